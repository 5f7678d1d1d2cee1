"""Logins and rights, from outside: wrong passwords, revoked tokens, and lines that are not one's own."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import chain
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from crm.kernel.records import Media
from router.desk.events import Author, MessageReceived
from router.log.home import connect
from router.log.log import Log
from router.wire import protocol as wire
from tests.conftest import RedisServer, until
from tests.crash.console import Console
from tests.crash.house import House
from tests.fakes.telegram import FakeTelegram

pytestmark = pytest.mark.slow

LINES = "{sales: {mode: even, members: [anna]}, support: {mode: even, members: [bek], answer_within: 1h}}"
SECRET = "a very secret sentence"
PHONE = "+998901234567"
FILE = Media(kind="document", key="0" * 64, size=1, name="x")
TRIES = 20
REVOKED_WITHIN = 5.0


@pytest.fixture
async def house(folder: Path, own_redis: RedisServer, telegram: FakeTelegram) -> AsyncIterator[House]:
    """Its only channel leads to the line ``support``, where anna may do nothing."""
    house = House(folder, own_redis, telegram.url, receive="polling", line="support")
    house.write_config(LINES)
    yield house
    await house.end()


async def login(url: str, hello: wire.Hello) -> wire.ServerFrame:
    """The gateway's first answer."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/ws") as socket:
        await socket.send_str(wire.encode_frame(hello).decode())
        return wire.decode_server(await socket.receive_str(timeout=10))


async def test_wrong_passwords_are_throttled(house: House) -> None:
    await house.command("operator", "add", "anna", "--password-stdin", stdin="correct horse battery\n")
    await house.start(["router", "gateway"])
    right = wire.Hello(name="anna", password="correct horse battery")
    assert isinstance(await login(house.url, right), wire.Welcome)
    answers = [await login(house.url, wire.Hello(name="anna", password=f"wrong {n}")) for n in range(TRIES)]
    byes = [answer for answer in answers if isinstance(answer, wire.Bye)]
    assert len(byes) == TRIES
    codes = Counter(bye.code for bye in byes)
    assert set(codes) == {"login", "throttled"}
    assert codes["throttled"] >= TRIES / 2
    assert all(int(bye.params["after"]) >= 1 for bye in byes if bye.code == "throttled")
    refused = await login(house.url, right)
    assert isinstance(refused, wire.Bye)
    assert refused.code == "throttled", "the right password is a guess like any other now"


async def test_a_revoked_token_stops_at_once(house: House) -> None:
    anna = Console(house.url, await house.add_operator("anna"))
    bek = Console(house.url, await house.add_operator("bek"))
    await house.start(["router", "gateway"])
    anna.start()
    bek.start()
    try:
        await anna.online.wait()
        await bek.online.wait()
        await house.command("operator", "revoke", "anna")
        revoked = time.monotonic()
        await until(lambda: not anna.online.is_set(), REVOKED_WITHIN)
        assert time.monotonic() - revoked < REVOKED_WITHIN
        await until(lambda: anna.bye is not None)
        assert anna.bye is not None
        assert anna.bye.code == "revoked"
        again = await login(house.url, wire.Hello(token=anna.token))
        assert isinstance(again, wire.Bye)
        assert again.code == "login"
        assert bek.online.is_set()
    finally:
        await anna.stop()
        await bek.stop()


# ------------------------------------------------------------------ a line that is not his

NO_RIGHT = "no_right"


def _no_right(answer: wire.Frame) -> bool:
    return isinstance(answer, wire.Done) and answer.code == NO_RIGHT


def _empty(answer: wire.Frame) -> bool:
    return _no_right(answer) or (
        isinstance(answer, wire.Page | wire.SessionList)
        and not getattr(answer, "messages", [])
        and not getattr(answer, "sessions", [])
    )


def _only_own_lines(answer: wire.Frame) -> bool:
    return (
        isinstance(answer, wire.StatusReport)
        and [line.name for line in answer.lines] == ["sales"]
        and "bek" not in {operator.name for operator in answer.operators}
    )


def _accepted(answer: wire.Frame) -> bool:
    return isinstance(answer, wire.Done) and not answer.code


def _not_there(answer: wire.Frame) -> bool:
    return isinstance(answer, wire.Done) and answer.code in ("no_such_object", "no_such_customer")


def _nothing(answer: wire.Frame) -> bool:
    """A list without an item, and without a word about what is left out."""
    lists = wire.ObjectList | wire.CustomerList | wire.DuplicateList | wire.SessionsBehind
    if isinstance(answer, wire.FoundList):
        return not answer.hits and not answer.more
    return (
        isinstance(answer, lists) and not answer.items and not answer.next and not getattr(answer, "total", 0)
    )


def _counts_nothing(answer: wire.Frame) -> bool:
    """Rows of the calendar (``hours``: how many there were) and of the configuration say nothing themselves."""
    if not isinstance(answer, wire.Statistics):
        return False
    told = [answer.total, answer.now, *answer.rows, *answer.heat, *chain.from_iterable(answer.parts.values())]
    calendar = ("hour", "hours", "weekday")
    counted = [value for row in told for name, value in row.items() if name not in calendar]
    return not any(value for value in counted if isinstance(value, int | float))


def _may_in_her_lines(answer: wire.Frame) -> bool:
    wanted = {"read": "line", "add": "line", "edit": "line", "delete": "none", "export": "none"}
    return isinstance(answer, wire.CrmDeclared) and all(may == wanted for may in answer.may.values())


def _only_that_there_is_one(answer: wire.Frame) -> bool:
    told = [wire.TwinView(type="lead", by="phone")]
    return isinstance(answer, wire.Twins) and answer.twins == told


def _stands_nowhere(answer: wire.Frame) -> bool:
    return isinstance(answer, wire.FunnelList) and not any(
        stage.objects or stage.gone for funnel in answer.funnels for stage in funnel.stages
    )


def _row_refused(answer: wire.Frame) -> bool:
    return isinstance(answer, wire.RowsImported) and [row.code for row in answer.rows] == [NO_RIGHT]


Frame = tuple[type[wire.Frame], dict[str, Any], Callable[[wire.Frame], bool]]

ABOUT_SESSION: dict[str, Any] = {"session": "1"}
FRAMES: list[Frame] = [
    (wire.Say, {"text": "hello"}, _no_right),
    (wire.Note, {"text": "hello"}, _no_right),
    (wire.Take, {}, _no_right),
    (wire.Skip, {}, _no_right),
    (wire.Return, {}, _no_right),
    (wire.Transfer, {"to": "anna"}, _no_right),
    (wire.Transfer, {"to": "line:sales"}, _no_right),
    (wire.Close, {}, _no_right),
    (wire.Pin, {}, _no_right),
    (wire.Resend, {"message": "1-2"}, _no_right),
    (wire.EditMessage, {"message": "1-2", "text": "hello"}, _no_right),
    (wire.MarkRead, {"seq": 1}, _no_right),
    (wire.Open, {}, _no_right),
    (wire.Leave, {}, _no_right),
    (wire.GetThread, {}, _no_right),
    (wire.GetWhy, {}, _no_right),
    (wire.Whisper, {"text": "hello"}, _no_right),
    (wire.TakeOver, {}, _no_right),
    (wire.Join, {}, _no_right),
    (wire.Join, {"silent": True}, _no_right),
    (wire.Join, {"on": False}, _no_right),
    (wire.Snooze, {}, _no_right),
    (wire.Spam, {}, _no_right),
    (wire.Spam, {"on": False}, _no_right),
    (wire.SetPriority, {"priority": 1}, _no_right),
    (wire.Tag, {"tags": ["x"]}, _no_right),
    (wire.Score, {"score": 5}, _no_right),
]
ABOUT_DESK: list[Frame] = [
    (wire.Start, {"chat": "tg:7", "line": "support", "text": "hello"}, _no_right),
    (wire.GetHistory, {"customer": "{customer}"}, _empty),
    (wire.GetCard, {"customer": "{customer}"}, _no_right),
    (wire.Search, {"text": "secret"}, _empty),
    (wire.Search, {"text": "secret", "session": "1"}, _empty),
    (wire.Search, {"text": "secret", "customer": "{customer}"}, _empty),
    (wire.GetSessions, {}, _empty),
    (wire.GetSessions, {"line": "support"}, _empty),
    (wire.GetSessions, {"holder": "bek"}, _empty),
    (wire.GetSessions, {"status": "closed", "line": "support"}, _empty),
    (wire.GetStatus, {}, _only_own_lines),
    (wire.Follow, {"since": "{oldest}"}, _accepted),
    (wire.GetLine, {"line": "support"}, _no_right),
    (wire.GetLine, {"line": "sales"}, _no_right),
    (wire.GetLineVersions, {"line": "support"}, _no_right),
    (wire.SetLine, {"line": "support", "expected": 1, "changes": {"mode": "all"}}, _no_right),
    (wire.SetLine, {"line": "sales", "expected": 1, "changes": {"members": "[anna]"}}, _no_right),
    (wire.SetLine, {"line": "hers", "expected": 0, "changes": {}}, _no_right),
    (wire.RollbackLine, {"line": "support", "expected": 1, "to": 1}, _no_right),
    (wire.GetOperator, {"operator": "bek"}, _no_right),
    (wire.SetOperator, {"operator": "anna", "lines": ["support"]}, _no_right),
    (wire.SetOperator, {"operator": "anna", "rights": {"*": ["take_over"]}}, _no_right),
    (wire.GetQuarantine, {}, _no_right),
    (wire.GetSetAside, {"id": "1-1"}, _no_right),
    (wire.RetrySetAside, {"id": "1-1"}, _no_right),
    (wire.DropSetAside, {"id": "1-1"}, _no_right),
    (wire.ExportPerson, {"customer": "{customer}"}, _no_right),
    (wire.ErasePerson, {"customer": "{customer}"}, _no_right),
    (wire.GetReceipts, {}, _no_right),
    (wire.RunRetention, {"dry_run": True}, _no_right),
    (wire.GetStatistics, {"kind": "sessions"}, _counts_nothing),
    (wire.GetStatistics, {"kind": "load"}, _counts_nothing),
    (wire.GetStatistics, {"kind": "funnel"}, _counts_nothing),
    (wire.GetStatistics, {"kind": "sessions", "line": "support"}, _no_right),
    (wire.GetStatistics, {"kind": "sessions", "export": True}, _no_right),
    (wire.GetBehind, {"figure": "first_response"}, _nothing),
    (wire.GetBehind, {"figure": "first_response", "line": "support"}, _no_right),
    (wire.RebuildStatistics, {}, _no_right),
]
ABOUT_CRM: list[Frame] = [
    (wire.GetCrm, {}, _may_in_her_lines),
    (wire.GetObjects, {"type": "lead", "total": True}, _nothing),
    (wire.GetObjects, {"type": "lead", "where": ["line=support"], "total": True}, _nothing),
    (wire.GetObjects, {"type": "lead", "deleted": True}, _nothing),
    (wire.GetObject, {"type": "lead", "id": "{lead}"}, _not_there),
    (
        wire.AddObject,
        {"type": "lead", "fields": {"title": "x", "line": "support", "responsible": "bek"}},
        _no_right,
    ),
    (wire.SetObject, {"type": "lead", "id": "{lead}", "fields": {"line": "sales"}}, _not_there),
    (wire.DeleteObject, {"type": "lead", "id": "{lead}"}, _not_there),
    (wire.RestoreObject, {"type": "lead", "id": "{lead}"}, _not_there),
    (wire.FindTwins, {"type": "lead", "fields": {"phones": PHONE}}, _only_that_there_is_one),
    (wire.AttachFile, {"type": "lead", "id": "{lead}", "file": FILE}, _not_there),
    (wire.DetachFile, {"type": "lead", "id": "{lead}", "key": "0"}, _not_there),
    (wire.GetAudit, {}, _no_right),
    (wire.GetAudit, {"object": "{lead}"}, _no_right),
    (wire.GetFunnels, {}, _stands_nowhere),
    (wire.MoveObject, {"type": "lead", "id": "{lead}", "stage": "working"}, _not_there),
    (wire.PlanConversion, {"lead": "{lead}"}, _not_there),
    (wire.ConvertLead, {"lead": "{lead}", "deal": "new"}, _not_there),
    (wire.GetTimeline, {"type": "lead", "id": "{lead}"}, _not_there),
    (wire.GetTimeline, {"type": "customer", "id": "{customer}"}, _not_there),
    (wire.GetCustomers, {}, _nothing),
    (wire.GetCustomers, {"query": "Secret"}, _nothing),
    (wire.GetCustomer, {"customer": "{customer}"}, _not_there),
    (wire.GetDuplicates, {}, _nothing),
    (wire.GetDuplicates, {"customer": "{customer}"}, _not_there),
    (wire.SetCustomer, {"customer": "{customer}", "fields": {"responsible": "anna"}}, _not_there),
    (wire.LinkSession, {"session": "1", "customer": "{customer}"}, _no_right),
    (wire.MergeCustomers, {"master": "{customer}", "other": "{customer}"}, _not_there),
    (wire.UnmergeCustomer, {"other": "{customer}"}, _not_there),
    (wire.AnswerSuggestion, {"customer": "{customer}", "key": "phone:" + PHONE}, _not_there),
    (wire.Find, {"text": "secret"}, _nothing),
    (wire.Find, {"text": PHONE}, _nothing),
    (
        wire.ImportRows,
        {"type": "lead", "rows": [{"title": "x", "line": "support", "responsible": "bek"}]},
        _row_refused,
    ),
    (wire.ExportObjects, {"type": "lead"}, _no_right),
]
ELSEWHERE = {wire.Hello, wire.Ping, wire.SetDuty, wire.Typing}
"""Frames without an answer (they are sent below), and the one that is about oneself only."""


def test_every_frame_is_in_the_table() -> None:
    told = {kind for kind, _, _ in FRAMES + ABOUT_DESK + ABOUT_CRM}
    assert told | ELSEWHERE == wire.CLIENT_FRAMES
    assert not told & ELSEWHERE


class Stranger(Console):
    """anna, who also keeps everything that she is sent."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, token)
        self.heard: list[bytes] = []

    def overhear(self, frame: wire.ServerFrame) -> None:
        self.heard.append(wire.encode_frame(frame))


class Neighbour(Console):
    """bek, who would notice that somebody writes or looks."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, token)
        self.hints: list[wire.Hint] = []

    def overhear(self, frame: wire.ServerFrame) -> None:
        if isinstance(frame, wire.Hint):
            self.hints.append(frame)


@pytest.fixture
async def log(own_redis: RedisServer) -> AsyncIterator[Log]:
    log = Log(connect(own_redis.url), "shop")
    yield log
    await log.close()


async def _customer_writes(log: Log) -> None:
    author = Author(id="7", name="Secret Name")
    await log.append(
        MessageReceived(channel="tg", chat="7", event_id="tg:1", message_id="1", author=author, text=SECRET)
    )


async def test_a_line_that_is_not_his_is_closed_to_an_operator(house: House, log: Log) -> None:
    anna = Stranger(house.url, await house.add_operator("anna"))
    bek = Neighbour(house.url, await house.add_operator("bek"))
    await house.start(["router", "gateway", "projector"])
    bek.start()
    try:
        await bek.duty()
        await _customer_writes(log)
        await until(lambda: bek.sessions, 30)
        assert not (await bek.say("1", "an answer that is secret too")).code
        anna.start()
        await anna.duty()
        await until(lambda: _in_store(house), 30)
        customer, oldest = bek.sessions["1"].customer, (await log.journal_bounds())[0]
        for kind, fields, expected in FRAMES:
            answer = await anna.ask(_frame(kind, ABOUT_SESSION | fields))
            assert expected(answer), f"{kind.__name__} {fields}: {answer}"
        names = {"customer": customer, "oldest": oldest, "lead": await _lead_of(bek)}
        for kind, fields, expected in ABOUT_DESK + ABOUT_CRM:
            given = {
                name: value.format(**names) if isinstance(value, str) else value
                for name, value in fields.items()
            }
            answer = await anna.ask(_frame(kind, given))
            assert expected(answer), f"{kind.__name__} {fields}: {answer}"
        after = await bek.ask(_frame(wire.GetObject, {"type": "lead", "id": names["lead"]}))
        assert isinstance(after, wire.ObjectShown)
        assert after.object["version"] == 1, "nobody changed it"
        anna.tell(wire.Typing(session="1"))
        anna.tell(wire.Typing(session="1", draft=True))
        assert not (await bek.say("1", "and another secret")).code
        await _resumes(anna, oldest)
        assert bek.sessions["1"].holder == "bek"
        assert [m.author for m in bek.messages.values() if m.direction in ("out", "note")] == ["bek", "bek"]
        assert not [hint for hint in bek.hints if hint.who == "anna"]
        heard = [data for data in anna.heard if b"ecret" in data or b'"tg:7"' in data]
        assert heard == []
    finally:
        await anna.stop()
        await bek.stop()


async def _lead_of(bek: Neighbour) -> str:
    """The id of one that bek makes in his own line."""
    fields = {"title": "A secret deal", "line": "support", "phones": PHONE}
    shown = await bek.ask(wire.AddObject(rid=0, type="lead", fields=fields))
    assert isinstance(shown, wire.ObjectShown), shown
    assert shown.object["line"] == "support"
    return str(shown.object["id"])


def _frame(kind: type[wire.Frame], fields: dict[str, Any]) -> wire.Request:
    more = {"id": f"try-{kind.__name__}"} if issubclass(kind, wire.CommandFrame) else {}
    made = kind(rid=0, **fields, **more)
    assert isinstance(made, wire.Request)
    return made


async def _in_store(house: House) -> bool:
    return len(await house.stored({"direction": {"$in": ["in", "out"]}})) >= 2


async def _resumes(anna: Stranger, oldest: str) -> None:
    """A reconnect that asks for everything since the beginning, with the session open."""
    connections = anna.connections
    anna.link.watch = ["1"]
    anna.link.since = oldest
    await anna.reconnect()
    await until(lambda: anna.connections > connections, 10)
    assert anna.resumed == 1
    assert isinstance(await anna.ask(wire.GetStatus(rid=0)), wire.StatusReport)
    async with asyncio.timeout(10):
        await anna.duty("offline")
