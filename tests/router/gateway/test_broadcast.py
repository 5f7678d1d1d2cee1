"""Who is told what of one journal entry, without sockets."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from crm.kernel.records import Account, Message
from router.desk.events import LinesConfigured
from router.desk.rules import LineRules
from router.desk.state import Entry, Session
from router.gateway.access import Access
from router.gateway.broadcast import Broadcast
from router.gateway.connection import Connection
from router.gateway.picture import Picture
from router.wire.protocol import Changes, decode_server

LINES = {"sales": LineRules(members=["anna", "bek"])}


class Screen:
    """What the broadcast sees of a connection."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.access = Access(Account(name=name), LINES)
        self.watching: set[str] = set()
        self.frames: list[Changes] = []

    def send_change(self, id: str, data: bytes, *, wake: bool = True) -> None:
        frame = decode_server(data)
        assert isinstance(frame, Changes)
        assert frame.id == id
        self.frames.append(frame)

    def texts(self) -> list[list[str]]:
        return [[message.text for message in frame.messages] for frame in self.frames]


def session(id: str, holder: str, rev: int = 1) -> Session:
    return Session(
        id=id, chat=f"tg:{id}", channel="tg", kind="telegram", line="sales", customer=f"c{id}",
        status="taken", holder=holder, rev=rev,
    )  # fmt: skip


def message(of: str, text: str) -> Message:
    return Message(id=f"{of}-1", session=of, chat=f"tg:{of}", seq=1, direction="in", at=1, text=text)


def broadcast_with(*screens: Screen) -> tuple[Broadcast, Picture]:
    picture = Picture()
    picture.configured = LinesConfigured(lines=LINES, channels={})
    broadcast = Broadcast(picture)
    for screen in screens:
        broadcast.join(cast("Connection", screen))
    return broadcast, picture


def tell(broadcast: Broadcast, picture: Picture, id: str, sessions: list[Session], **more: Any) -> None:
    news = picture.apply(Entry(at=1, sessions=sessions))
    broadcast.tell(id, news, more.get("messages", {}), {})


def test_an_entry_is_one_frame_for_each_client() -> None:
    """Its id says that all of the entry has arrived: a client that resumes after it asks for no more."""
    anna, bek = Screen("anna"), Screen("bek")
    broadcast, picture = broadcast_with(anna, bek)
    held = [session("1", "anna"), session("2", "bek"), session("3", "anna")]
    texts = {s.id: [message(s.id, f"text {s.id}")] for s in held}
    tell(broadcast, picture, "5-0", held, messages=texts)
    assert anna.texts() == [["text 1", "text 3"]]
    assert bek.texts() == [["text 2"]]
    assert [s.id for s in anna.frames[0].sessions] == ["1", "3"]


def test_who_loses_one_session_and_gets_another_is_told_at_once() -> None:
    anna, bek = Screen("anna"), Screen("bek")
    broadcast, picture = broadcast_with(anna, bek)
    tell(broadcast, picture, "5-0", [session("1", "anna"), session("2", "bek")])
    tell(broadcast, picture, "6-0", [session("1", "bek", rev=2), session("2", "anna", rev=2)])
    assert [(f.id, f.gone, [s.id for s in f.sessions]) for f in anna.frames[1:]] == [("6-0", ["1"], ["2"])]
    assert [(f.id, f.gone, [s.id for s in f.sessions]) for f in bek.frames[1:]] == [("6-0", ["2"], ["1"])]


def test_lists_are_told_to_all_with_one_frame_and_to_whom_they_concern_with_his_own() -> None:
    anna, bek, vera = Screen("anna"), Screen("bek"), Screen("vera")
    vera.access = Access(Account(name="vera"), LINES)
    broadcast, picture = broadcast_with(anna, bek, vera)
    waiting = msgspec.structs.replace(session("1", ""), status="waiting")
    tell(broadcast, picture, "5-0", [waiting])
    assert {c.name for c in broadcast.flush()} == {"anna", "bek"}
    assert [s.id for s in bek.frames[-1].sessions] == ["1"]
    assert vera.frames == []
    tell(broadcast, picture, "6-0", [session("1", "anna", rev=2)])
    broadcast.flush()
    assert bek.frames[-1].gone == ["1"]
    assert anna.frames[-1].gone == [], "it left the waiting ones, but it is hers now"
    assert broadcast.flush() == []


def test_who_looks_at_a_session_that_leaves_his_lines_is_turned_away_before_the_next_word() -> None:
    lines = {**LINES, "staff": LineRules(members=["vera"])}
    anna, bek = Screen("anna"), Screen("bek")
    broadcast, picture = broadcast_with(anna, bek)
    picture.configured = LinesConfigured(lines=lines, channels={})
    tell(broadcast, picture, "5-0", [session("1", "anna")])
    broadcast.watch(cast("Connection", bek), "1")
    tell(
        broadcast, picture, "6-0", [session("1", "anna", rev=2)], messages={"1": [message("1", "yours too")]}
    )
    assert bek.texts() == [["yours too"]]
    moved = msgspec.structs.replace(session("1", "", rev=3), status="waiting", line="staff")
    tell(broadcast, picture, "7-0", [moved], messages={"1": [message("1", "secret")]})
    tell(broadcast, picture, "8-0", [], messages={"1": [message("1", "secret too")]})
    assert bek.texts() == [["yours too"], []]
    assert (bek.frames[-1].gone, bek.frames[-1].sessions) == (["1"], [])
    assert bek.watching == set()


def test_whose_rights_change_hears_nothing_more_of_what_he_looks_at() -> None:
    anna, bek = Screen("anna"), Screen("bek")
    broadcast, picture = broadcast_with(anna, bek)
    tell(broadcast, picture, "5-0", [session("1", "anna")])
    broadcast.watch(cast("Connection", bek), "1")
    bek.access = Access(Account(name="bek", disabled=True), LINES)
    tell(broadcast, picture, "6-0", [], messages={"1": [message("1", "secret")]})
    assert bek.texts() == []


TWO = {**LINES, "staff": LineRules(members=["vera", "anna"])}


def of_two_lines(*names: str) -> list[Screen]:
    screens = [Screen(name) for name in names]
    for screen in screens:
        screen.access = Access(Account(name=screen.name), TWO)
    return screens


def waiting(rev: int, line: str = "sales") -> Session:
    return msgspec.structs.replace(session("1", "", rev=rev), status="waiting", line=line)


def test_nobody_hears_of_what_leaves_the_list_of_anothers_line() -> None:
    bek, vera = of_two_lines("bek", "vera")
    broadcast, picture = broadcast_with(bek, vera)
    picture.configured = LinesConfigured(lines=TWO, channels={})
    tell(broadcast, picture, "5-0", [waiting(1)])
    broadcast.flush()
    tell(broadcast, picture, "6-0", [session("1", "anna", rev=2)])
    broadcast.flush()
    assert bek.frames[-1].gone == ["1"]
    assert [frame.gone for frame in vera.frames] == []


def test_what_goes_on_waiting_in_another_line_is_gone_for_those_who_see_only_the_first() -> None:
    anna, bek, vera = of_two_lines("anna", "bek", "vera")
    broadcast, picture = broadcast_with(anna, bek, vera)
    picture.configured = LinesConfigured(lines=TWO, channels={})
    tell(broadcast, picture, "5-0", [waiting(1)])
    broadcast.flush()
    tell(broadcast, picture, "6-0", [waiting(2, "staff")])
    broadcast.flush()
    assert (bek.frames[-1].gone, bek.frames[-1].sessions) == (["1"], [])
    for screen in (anna, vera):
        assert screen.frames[-1].gone == []
        assert [s.line for s in screen.frames[-1].sessions] == ["staff"]


def test_what_waited_when_the_gateway_started_leaves_the_lists_too() -> None:
    anna, bek = Screen("anna"), Screen("bek")
    broadcast, picture = broadcast_with(anna, bek)
    picture.load(picture.configured, [waiting(1)], [])
    tell(broadcast, picture, "6-0", [session("1", "anna", rev=2)])
    broadcast.flush()
    assert bek.frames[-1].gone == ["1"]


def test_what_is_taken_before_anybody_heard_that_it_waits_is_not_told_as_gone() -> None:
    anna, bek = Screen("anna"), Screen("bek")
    broadcast, picture = broadcast_with(anna, bek)
    tell(broadcast, picture, "5-0", [waiting(1)])
    tell(broadcast, picture, "6-0", [session("1", "anna", rev=2)])
    broadcast.flush()
    assert [frame.gone for frame in bek.frames if frame.gone] == []
