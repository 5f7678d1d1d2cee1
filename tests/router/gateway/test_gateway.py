"""The wire as its clients see it: a whole desk in this process on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from crm.kernel.ports import Write
from crm.kernel.records import Media
from router.desk.events import Delivered, OperatorChanged
from router.desk.state import CommandDone
from router.gateway import listening
from router.gateway.connection import QUEUE_BYTES, QUEUE_FRAMES
from router.history.projector import Projector
from router.log.log import Log
from router.wire import protocol
from router.wire.protocol import Bye, Changes, DeskEvent, Done, Page, Snapshot, Welcome
from tests.conftest import until
from tests.router.desk_in_process import Client, DeskInProcess, running_desk


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        yield desk


FILL = "x" * 8000
"""Long enough that the kernel's buffers do not hold what a client leaves unread."""


def has_message(text: str) -> object:
    return lambda frame: isinstance(frame, Changes) and any(m.text == text for m in frame.messages)


async def test_a_message_reaches_the_operator_it_is_offered_to_and_nobody_else(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna, vali = await desk.login("anna"), await desk.login("vali")
    await desk.write("ali", "narxi qancha?")
    frame = await anna.until(has_message("narxi qancha?"))
    assert [(s.status, s.holder, s.unread, s.name) for s in frame.sessions] == [("offered", "anna", 1, "Ali")]
    await desk.write("olga", "привет", channel="help")
    await vali.until(lambda f: isinstance(f, Changes) and any(s.line == "support" for s in f.sessions))
    assert all(s.line == "support" for f in vali.frames if isinstance(f, Changes) for s in f.sessions)


async def test_a_command_is_answered_and_the_same_id_again_does_it_once(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna = await desk.login("anna")
    await desk.write("ali", "hi")
    await anna.until(has_message("hi"))
    first = await anna.ask(protocol.Say, session="1", text="salom", id="one")
    again = await anna.ask(protocol.Say, session="1", text="salom", id="one")
    assert (first.code, first.message, again.code) == ("", "1-3", "")
    page = await anna.ask(protocol.Open, session="1")
    assert [(m.direction, m.text) for m in page.messages] == [
        ("in", "hi"),
        ("system", "taken|operator=anna"),
        ("out", "salom"),
    ]


async def test_a_file_is_called_by_a_clean_name_whatever_the_client_says(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna = await desk.login("anna")
    await desk.write("ali", "hi")
    await anna.until(has_message("hi"))
    media = [
        Media(kind="document", key="0" * 64, name="../../.ssh/inv\u202efdp.exe"),
        Media(kind="contact", name="Ali / Vali: home", phone="+998900000000"),
    ]
    assert (await anna.ask(protocol.Say, session="1", text="look", media=media)).code == ""
    page = await anna.ask(protocol.Open, session="1")
    assert [m.name for m in page.messages[-1].media] == ["invfdp.exe", "Ali / Vali: home"]


async def test_a_refusal_says_why_and_changes_nothing(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    bek = await desk.login("bek")
    await desk.write("ali", "hi")
    await until(lambda: desk.gateway.picture.sessions)
    done = await bek.ask(protocol.Take, session="1")
    assert (done.code, done.params) == ("offered_to_other", {"holder": "anna"})
    assert (await bek.ask(protocol.Take, session="77")).code == "no_such_session"
    assert desk.worker.desk.sessions["1"].holder == "anna"


async def test_a_closed_conversation_is_called_closed_to_those_who_may_see_it(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna = await desk.login("anna")
    await desk.write("ali", "hi")
    await until(lambda: desk.gateway.picture.sessions.get("1"))
    assert (await anna.ask(protocol.Close, session="1")).code == ""
    for kind, fields in ((protocol.Take, {}), (protocol.Say, {"text": "x"}), (protocol.Tag, {"tags": ["x"]})):

        async def said(kind: Any = kind, fields: Any = fields) -> bool:
            done = await anna.ask(kind, session="1", **fields)
            return bool(done.code == "closed")

        await until(said)  # the history is on its way
    await desk.account("guest", "operator", lines=["support"])
    guest = await desk.login("guest")
    assert (await guest.ask(protocol.Take, session="1")).params == {"right": "work", "line": "sales"}


async def test_a_page_shows_what_the_projector_has_not_written_yet(desk: DeskInProcess) -> None:
    await desk.stop("projector")
    await desk.duty("anna")
    anna = await desk.login("anna")
    for number in range(5):
        await desk.write("ali", f"text {number}")
    await anna.until(has_message("text 4"))
    page = await anna.ask(protocol.Open, session="1", limit=3)
    assert ([m.text for m in page.messages], page.more) == (["text 2", "text 3", "text 4"], True)
    desk.start("projector", Projector(desk.log, desk.store))
    await until(lambda: _written(desk, 5))
    page = await anna.ask(protocol.GetThread, session="1", before_seq=3)
    assert ([m.text for m in page.messages], page.more) == (["text 0", "text 1"], False)


async def _written(desk: DeskInProcess, count: int) -> bool:
    return await desk.store.count("messages", {}) >= count


async def test_a_client_that_resumes_misses_nothing_and_gets_nothing_twice(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna = await desk.login("anna")
    for number in range(10):
        await desk.write("ali", f"text {number}")
    await anna.until(has_message("text 9"))
    since = anna.last_id()
    await anna.socket.close()
    for number in range(10, 20):
        await desk.write("ali", f"text {number}")
    again = await desk.raw(token=desk.tokens["anna"], since=since)
    welcome = await again.next()
    assert isinstance(welcome, Welcome)
    assert welcome.resumed
    await again.until(has_message("text 19"))
    await desk.write("ali", "live")
    await again.until(has_message("live"))
    texts = [m.text for m in (*anna.messages(), *again.messages())]
    assert texts == [f"text {n}" for n in range(20)] + ["live"]
    assert not any(isinstance(f, Snapshot) for f in again.frames)


async def test_who_was_away_too_long_gets_a_new_snapshot(desk: DeskInProcess) -> None:
    for since in ("1-0", "nonsense", "99999999999999-0"):
        client = await desk.raw(token=desk.tokens["anna"], since=since)
        welcome = await client.next()
        assert isinstance(welcome, Welcome)
        assert not welcome.resumed
        assert isinstance(await client.next(), Snapshot)


async def test_who_resumes_hears_of_colleagues_lines_and_alerts_too(desk: DeskInProcess) -> None:
    boss = await desk.login("boss")
    await desk.write("first", "hi")
    await boss.until(lambda f: isinstance(f, Changes) and any(line.waiting == 1 for line in f.lines))
    since = boss.last_id()
    await boss.socket.close()
    await desk.duty("anna")
    await desk.log.append(
        Delivered(chat="bot:first", session="1", message="1-1", state="failed", event_id="d")
    )
    await until(lambda: desk.gateway.picture.operators["anna"].duty == "online")
    await until(lambda: _log_is_read(desk))
    again = await desk.login("boss", since=since)
    lists = await again.until(lambda f: isinstance(f, Changes) and bool(f.operators) and bool(f.lines))
    assert [o.duty for o in lists.operators if o.name == "anna"] == ["online"]
    assert [(line.waiting, line.offered) for line in lists.lines if line.name == "sales"] == [(0, 1)]
    alerts = [a.name for f in again.frames if isinstance(f, Changes) for a in f.alerts]
    assert alerts == ["delivery_failed"]


async def _log_is_read(desk: DeskInProcess) -> bool:
    _, newest = await desk.log.journal_bounds()
    return await desk.log.behind() == 0 and desk.gateway.picture.position == newest


async def _stop_reading(desk: DeskInProcess, client: Client) -> None:
    """Until so much waits for the client that the gateway has given up telling it."""
    transport: asyncio.Transport = client.socket._response.connection.transport  # type: ignore[union-attr, assignment]
    transport.pause_reading()
    await _flood(desk, 2 * QUEUE_FRAMES)
    await until(lambda: any(c.lagging for c in desk.gateway.connections))


async def test_a_revoked_login_that_does_not_read_is_not_heard_and_cut_off(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna = await desk.login("anna")
    await desk.write("ali", "first")
    await anna.until(has_message("first"))
    await _stop_reading(desk, anna)
    await desk.log.append(OperatorChanged(name="anna", revoked=["*"]))
    await until(lambda: all(c.closing is not None for c in desk.gateway.connections))
    await anna.send(protocol.Note(rid=1, id="n", session="1", text="still here"))
    await until(lambda: not list(desk.gateway.connections), within=5.0)
    told = [t for _, entry in await desk.log.read_journal("0", count=10_000) for t in entry.told]
    assert not [t for t in told if isinstance(t, CommandDone) and t.event_id == "anna/n"]


async def test_who_asks_without_reading_the_answers_is_not_listened_to(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna = await desk.login("anna")
    for _ in range(100):
        await desk.write("ali", FILL)
    await desk.write("ali", "last")
    await anna.until(has_message("last"))
    transport: asyncio.Transport = anna.socket._response.connection.transport  # type: ignore[union-attr, assignment]
    transport.pause_reading()
    for number in range(100):
        await anna.send(protocol.GetThread(rid=number, session="1", limit=200))
    (connection,) = desk.gateway.connections
    await until(lambda: connection._bytes > QUEUE_BYTES)
    await anna.send(protocol.Say(rid=1000, id="s", session="1", text="not yet"))
    bek = await desk.login("bek")
    for number in range(20):
        assert isinstance(await bek.ask(protocol.GetThread, session="1"), Page), number
    assert connection._bytes < QUEUE_BYTES + 101 * (len(FILL) + 1000)
    transport.resume_reading()
    await anna.until(lambda frame: isinstance(frame, Done) and frame.rid == 1000)
    assert [f.rid for f in anna.frames if isinstance(f, Page)] == list(range(100))


async def test_a_client_that_does_not_read_catches_up_with_everything_once(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    lazy, busy = await desk.login("anna"), await desk.login("anna")
    transport = lazy.socket._response.connection.transport  # type: ignore[union-attr]
    transport.pause_reading()  # type: ignore[union-attr]
    count = 2 * QUEUE_FRAMES
    sent = asyncio.create_task(_flood(desk, count))
    await busy.until(has_message(f"{count - 1} {FILL}"))
    await sent
    assert [len(c._queue) <= QUEUE_FRAMES for c in desk.gateway.connections if c.lagging] == [True]
    transport.resume_reading()  # type: ignore[union-attr]
    await lazy.until(has_message(f"{count - 1} {FILL}"))
    await desk.write("ali", "live")
    await lazy.until(has_message("live"))
    expected = [f"{n} {FILL}" for n in range(count)]
    assert [m.text for m in busy.messages()] == expected
    assert [m.text for m in lazy.messages()] == [*expected, "live"]


async def _flood(desk: DeskInProcess, count: int) -> None:
    for number in range(count):
        await desk.write("ali", f"{number} {FILL}")


async def test_waiting_sessions_are_listed_to_the_line_and_leave_when_taken(desk: DeskInProcess) -> None:
    anna, bek = await desk.login("anna"), await desk.login("bek")
    await desk.write("ali", "hi")
    for client in (anna, bek):
        frame = await client.until(lambda f: isinstance(f, Changes) and f.sessions)
        assert [(s.id, s.status) for s in frame.sessions] == [("1", "waiting")]
    await anna.ask(protocol.Take, session="1")
    frame = await bek.until(lambda f: isinstance(f, Changes) and f.gone)
    assert frame.gone == ["1"]
    assert not any(f.gone for f in anna.frames if isinstance(f, Changes))
    assert [(x.name, x.waiting, x.taken) for x in frame.lines] == [("sales", 0, 1)]


async def test_events_can_be_followed_and_resumed_by_id(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    boss = await desk.login("boss")
    assert (await boss.ask(protocol.Follow)).code == ""
    await desk.write("ali", "one")
    first = await boss.until(lambda f: isinstance(f, DeskEvent) and f.type == "message")
    again = await desk.login("boss")
    await again.ask(protocol.Follow, since=first.id)
    following = await again.until(DeskEvent)
    assert following.id.split(":")[0] == first.id.split(":")[0]
    assert int(following.id.split(":")[1]) > int(first.id.split(":")[1])
    assert (await again.ask(protocol.Follow, since="1-0:1")).code == "gone"


async def test_presence_lasts_as_long_as_the_heartbeat(desk: DeskInProcess) -> None:
    await desk.login("anna", presence=True)
    operators = desk.worker.desk.operators
    await until(lambda: "anna" in operators and operators["anna"].here)
    await desk.login("bek")
    assert not desk.worker.desk.operators["bek"].here


NO_FRAMES: dict[str, str | bytes] = {
    "unknown": '{"t":"Nothing"}',
    "no json": "no json",
    "no object": "[]",
    "fields are missing": '{"t":"Say"}',
    "deep": '{"t":"Ping","x":' + "[" * 100_000,
    "no utf-8": b'{"t":"Leave","rid":1,"session":"\xff"}',
}


@pytest.mark.parametrize("frame", NO_FRAMES.values(), ids=NO_FRAMES.keys())
async def test_what_is_no_frame_is_told_and_ends_the_connection(
    desk: DeskInProcess, frame: str | bytes
) -> None:
    client = await desk.login("anna")
    if isinstance(frame, bytes):
        await client.socket.send_bytes(frame)
    else:
        await client.socket.send_str(frame)
    bye = await client.until(Bye)
    assert bye.code == "frame"


async def test_goodbye_is_said_when_the_gateway_stops(desk: DeskInProcess) -> None:
    client = await desk.login("anna")
    await desk.stop("gateway")
    bye = await client.until(Bye)
    assert bye.code == "stopping"


async def test_too_long_a_text_is_refused_never_cut(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna = await desk.login("anna")
    await desk.write("ali", "hi")
    await anna.until(has_message("hi"))
    done = await anna.ask(protocol.Say, session="1", text="x" * (protocol.MAX_TEXT + 1))
    assert (done.code, done.params) == ("too_long", {"limit": str(protocol.MAX_TEXT)})


async def test_search_finds_what_this_login_may_read(desk: DeskInProcess) -> None:
    await desk.write("ali", "konditsioner narxi")
    await desk.write("olga", "konditsioner servis", channel="help")
    await until(lambda: _written(desk, 2))
    anna: Client = await desk.login("anna")
    page = await anna.ask(protocol.Search, text="kondits")
    assert isinstance(page, Page)
    assert [m.text for m in page.messages] == ["konditsioner narxi"]
    done = await anna.ask(protocol.GetThread, session="2")
    assert isinstance(done, Done)
    assert done.code == "no_right"


async def test_who_writes_again_is_known_by_what_the_store_says(desk: DeskInProcess) -> None:
    await desk.write("ali", "hi")
    await until(lambda: _written(desk, 1))
    (customer,) = await desk.store.find("customers", {"chats": "bot:ali"})
    await desk.store.write(
        [Write.update("customers", {"_id": customer["_id"]}, {"$set": {"name": "Mr Karimov"}})]
    )
    anna = await desk.login("anna")
    await anna.ask(protocol.Close, session="1")
    await desk.write("ali", "again")
    await until(lambda: "2" in desk.worker.desk.sessions)
    session = desk.worker.desk.sessions["2"]
    assert (session.name, session.customer) == ("Mr Karimov", customer["_id"])


async def test_an_outgoing_session_starts_with_a_known_customer_only(desk: DeskInProcess) -> None:
    await desk.write("ali", "hi")
    await until(lambda: _written(desk, 1))
    anna = await desk.login("anna")
    done = await anna.ask(protocol.Start, chat="bot:ali", line="sales", text="hello")
    assert (done.code, done.params) == ("duplicate_chat", {"session": "1"})
    await anna.ask(protocol.Close, session="1")
    assert (await anna.ask(protocol.Start, chat="bot:nobody", line="sales")).code == "no_such_chat"
    done = await anna.ask(protocol.Start, chat="bot:ali", line="sales", text="hello")
    assert (done.code, done.session) == ("", "2")
    session = desk.worker.desk.sessions["2"]
    assert (session.status, session.holder) == ("answered", "anna")


async def test_the_heartbeat_says_what_does_not_work(desk: DeskInProcess) -> None:
    await until(lambda: desk.gateway.status.down == [], 20)
    await desk.log.report("channel:bot", b'{"trouble":"token refused"}')
    await until(lambda: desk.gateway.status.down == ["bot"], 20)
    anna = await desk.login("anna")
    await anna.send(protocol.Ping(at=7))
    pong = await anna.until(protocol.Pong)
    assert (pong.at, pong.down) == (7, ["bot"])


async def test_why_tells_the_decisions_also_those_not_written_yet(desk: DeskInProcess) -> None:
    await desk.stop("projector")
    await desk.duty("bek")
    await desk.write("ali", "hi")
    bek = await desk.login("bek")
    await until(lambda: desk.gateway.picture.sessions)
    why = await bek.ask(protocol.GetWhy, session="1")
    assert [(d.chosen, d.candidates, d.dropped) for d in why.decisions] == [
        ("bek", ["bek"], {"anna": "offline"})
    ]
    desk.start("projector", Projector(desk.log, desk.store))
    await until(lambda: _written(desk, 1))
    again = await bek.ask(protocol.GetWhy, session="1")
    assert again.decisions == why.decisions


async def test_nothing_overtakes_a_page_that_is_being_read(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id of a frame says that all before it has been sent: a line that is cut in the middle of an
    opening must not make the client skip what was kept for after the page."""
    await desk.duty("anna")
    anna = await desk.login("anna")
    await desk.write("ali", "one")
    await desk.write("olga", "two")
    await anna.until(has_message("two"))
    since = anna.last_id()
    reading, read = asyncio.Event(), asyncio.Event()
    page = desk.gateway._requests._current.page

    async def slow(*args: object) -> object:
        found = await page(*args)  # type: ignore[arg-type]
        reading.set()
        await read.wait()
        return found

    monkeypatch.setattr(desk.gateway._requests._current, "page", slow)
    await anna.send(protocol.Open(rid=900, session="1"))
    await reading.wait()
    await desk.write("ali", "three")
    await desk.write("olga", "four")
    await until(lambda: desk.gateway.picture.sessions["2"].last_text == "four")
    (connection,) = desk.gateway.connections
    assert connection.sent == since
    read.set()
    await anna.until(has_message("four"))
    told = []
    for frame in anna.frames:
        if isinstance(frame, Page):
            told.append("the page")
        elif isinstance(frame, Changes):
            told += [message.text for message in frame.messages]
    assert told == ["one", "two", "the page", "three", "four"]
    assert anna.last_id() == desk.gateway.picture.position


async def test_who_says_nothing_for_long_is_let_go_in_order(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listening, "SILENCE", 0.05)
    anna = await desk.login("anna")
    with pytest.raises(ConnectionError):
        await anna.until(lambda _: False)
    assert anna.socket.close_code == 1000
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
