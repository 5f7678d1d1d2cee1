"""What a client may send that no honest one does: each request is refused by name, and costs nobody else
anything."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from router.desk import events
from router.gateway.logins import Logins
from router.log.log import Log
from router.wire import protocol
from router.wire.protocol import Bye, Done, Hello, Page
from tests.router.desk_in_process import DeskInProcess, running_desk
from tests.router.gateway.test_gateway import has_message

LONG = "x" * 900_000
HUGE = 10**30
DIGITS = "9" * 5000


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        await desk.duty("anna")
        yield desk


async def answer(desk: DeskInProcess, kind: type[protocol.Request], fields: dict[str, Any]) -> Any:
    """The answer to a request about a session that anna has."""
    anna = await desk.login("anna")
    await desk.write("ali", "hi")
    await anna.until(has_message("hi"))
    frame = {"t": kind.__name__, "rid": 7, "id": "c1", **fields}
    await anna.socket.send_str(json.dumps(frame))
    return await anna.until(lambda frame: getattr(frame, "rid", 0) == 7 or isinstance(frame, Bye))


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        (protocol.Say, {"session": "1", "text": "x", "reply_to": "1-²"}, "no_such_message"),
        (protocol.Resend, {"session": "1", "message": "1-٣"}, "no_such_message"),
        (protocol.Resend, {"session": "1", "message": "1-" + DIGITS[:900]}, "no_such_message"),
        (protocol.Resend, {"session": "1", "message": "1-" + DIGITS}, "too_long"),
        (protocol.Take, {"session": "١"}, "no_such_session"),
        (protocol.Take, {"session": "1-1"}, "no_such_session"),
        (protocol.Open, {"session": "1\0"}, "no_such_session"),
        (protocol.Return, {"session": "1", "reason": LONG}, "too_long"),
        (protocol.Transfer, {"session": "1", "to": "bek", "comment": LONG}, "too_long"),
        (protocol.Close, {"session": "1", "result": LONG}, "too_long"),
        (protocol.Say, {"session": "1", "media": [{"kind": "photo", "key": LONG}]}, "too_long"),
        (protocol.GetCard, {"customer": "\0"}, "no_right"),
        (protocol.Follow, {"since": "99999999999999999999-0"}, "no_such_event"),
        (protocol.Follow, {"since": "999999999999999-0"}, "no_such_event"),
        (protocol.Follow, {"since": "5--1"}, "no_such_event"),
        (protocol.Follow, {"since": "٥-٥"}, "no_such_event"),
    ],
)
async def test_what_names_nothing_or_is_too_long_is_refused(
    desk: DeskInProcess, kind: type[protocol.Request], fields: dict[str, Any], code: str
) -> None:
    done = await answer(desk, kind, fields)
    assert isinstance(done, Done)
    assert done.code == code


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (protocol.GetThread, {"session": "1", "before_seq": -5, "limit": -1}),
        (protocol.GetHistory, {"customer": "x", "before_at": 5, "before_id": "1-" + DIGITS}),
        (protocol.Search, {"text": LONG}),
        (protocol.Search, {"text": '\0 " * ( NEAR', "session": "١"}),
    ],
)
async def test_odd_questions_have_answers(
    desk: DeskInProcess, kind: type[protocol.Request], fields: dict[str, Any]
) -> None:
    page = await answer(desk, kind, fields)
    assert isinstance(page, Page)
    assert page.messages == []


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (protocol.Take, {"session": "1", "id": LONG}),
        (protocol.Take, {"session": "1", "id": ""}),
        (protocol.Take, {"session": "1", "rid": HUGE}),
        (protocol.MarkRead, {"session": "1", "seq": HUGE}),
        (protocol.GetThread, {"session": "1", "before_seq": HUGE}),
        (protocol.GetSessions, {"limit": -HUGE}),
        (protocol.GetHistory, {"customer": "x", "before_at": HUGE}),
        (protocol.Say, {"session": "1", "media": [{"kind": "photo", "size": 2**64 - 1}]}),
    ],
)
async def test_numbers_and_ids_without_measure_are_no_frame(
    desk: DeskInProcess, kind: type[protocol.Request], fields: dict[str, Any]
) -> None:
    bye = await answer(desk, kind, fields)
    assert isinstance(bye, Bye)
    assert bye.code == "frame"


async def test_nobody_acts_as_somebody_else(desk: DeskInProcess) -> None:
    """What a frame says of who gives it, when and under which id counts for nothing."""
    claims = {"operator": "bek", "by": "bek", "at": 1, "event_id": "bek/c1", "attempt": "x"}
    done = await answer(desk, protocol.Note, {"session": "1", "text": "mine", **claims})
    assert isinstance(done, Done)
    assert done.code == ""
    entries = await desk.log.read_log("0", 1000, 100)
    logged = [events.decode_event(data) for _, data in entries]
    orders = [event for event in logged if isinstance(event, events.Ordered)]
    (note,) = [order for order in orders if isinstance(order.command, protocol.Note)]
    assert (note.operator, note.event_id) == ("anna", "anna/c1")
    assert note.at != 1
    assert note.attempt != "x"


async def test_what_failed_logins_leave_behind_is_small() -> None:
    class NoAccounts:
        async def get(self, *_: object) -> None:
            return None

    logins = Logins(NoAccounts())  # type: ignore[arg-type]
    assert await logins.check(Hello(name=LONG, password="x"), "10.0.0.1", 0.0) is None
    assert all(len(key) < 200 for key in logins._throttle._failures)
