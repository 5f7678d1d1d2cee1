"""One bad thing is set aside with its bytes, and everything behind it goes on."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crm.kernel.errors import Unavailable
from router.desk import customers, events, fired
from router.desk.commands.conversations import COMMANDS
from router.desk.events import LinesConfigured, OperatorChanged
from router.desk.floor import Floor
from router.desk.rules import LineRules
from router.desk.state import Alert, Aside, Audit, CommandDone, MessageAdded, Session, decode_session
from router.log import quarantine
from router.log.log import Log
from router.log.quarantine import Quarantine, reason_of, set_aside
from router.wire import commands, protocol
from router.worker import Worker
from storage.sqlite import SqliteStore
from tests.conftest import until
from tests.router.desk_in_process import running_desk
from tests.router.orders import order
from tests.router.test_worker import configure, journal, message, texts, working

Told = Any


async def told(log: Log, kind: type[Told]) -> list[Told]:
    return [t for _, entry in await journal(log) for t in entry.told if isinstance(t, kind)]


async def aside(log: Log) -> list[Aside]:
    return await Quarantine(log).items(100)


async def saved(log: Log) -> dict[str, Session]:
    return {id: decode_session(data) for id, data in (await states(log)).items()}


async def states(log: Log) -> dict[str, bytes]:
    _, _, sessions, _ = await log.load()
    return sessions


def plant(monkeypatch: pytest.MonkeyPatch, on: Callable[[str], bool]) -> None:
    """A rule that does all of its work and then raises, for certain texts."""
    real = customers._wrote

    def failing(floor: Floor, session: Session, text: str, **fields: Any) -> Any:
        found = real(floor, session, text, **fields)
        if on(text):
            raise KeyError(f"secret words of {text}")
        return found

    monkeypatch.setattr(customers, "_wrote", failing)


async def test_an_event_that_makes_a_rule_raise_is_set_aside_and_the_rest_of_its_batch_applied(
    log: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plant(monkeypatch, lambda text: text in ("text 2", "text 5"))
    await configure(log)
    for number in range(1, 8):
        await log.append(message(number, chat="ali" if number < 5 else f"new{number}"))
    worker = Worker(log)
    async with working(worker):
        await until(lambda: worker.applied == 7)
    assert await texts(log) == ["text 1", "text 3", "text 4", "text 6", "text 7"]
    assert {s.chat for s in (await saved(log)).values()} == {"bot:ali", "bot:new6", "bot:new7"}
    ali = (await saved(log))["1"]
    assert (ali.seq, ali.unread, ali.last_text) == (3, 3, "text 4")
    items = await aside(log)
    assert [events.decode_event(item.data).text for item in items] == ["text 2", "text 5"]  # type: ignore[union-attr]
    assert [(item.origin, item.kind) for item in items] == [("log", "MessageReceived")] * 2
    assert items[0].reason.startswith("KeyError at ")
    assert "secret" not in items[0].reason
    assert "secret" not in caplog.text
    assert len(await told(log, Audit)) == 2
    assert [alert.name for alert in await told(log, Alert) if alert.name == "set_aside"] == ["set_aside"]


async def test_what_was_set_aside_has_left_no_trace(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same desk, once with the event that raises and once without it."""
    other = Log(log.redis, log.desk + "-without")
    script = [message(n, chat=f"c{n % 3}") for n in range(12)]
    await configure(log)
    await configure(other)
    for event in script:
        await log.append(event)
        if event.text != "text 7":
            await other.append(msgspec.structs.replace(event))
    plant(monkeypatch, lambda text: text == "text 7")
    one, two = Worker(log), Worker(other)
    async with working(one), working(two):
        await until(lambda: one.applied == 13 and two.applied == 13)

    def timeless(session: Session) -> dict[str, Any]:
        facts: dict[str, Any] = msgspec.to_builtins(session)
        return {
            k: v for k, v in facts.items() if not k.endswith(("at", "since", "until", "arrival", "timers"))
        }

    assert [*map(timeless, (await saved(log)).values())] == [*map(timeless, (await saved(other)).values())]
    assert one.desk.next_session == two.desk.next_session
    await other._appender.close()


async def test_the_same_event_again_is_tried_again(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = True
    plant(monkeypatch, lambda text: broken and text == "text 2")
    await configure(log)
    worker = Worker(log)
    async with working(worker):
        await log.append(message(1))
        await log.append(message(2))
        await until(lambda: _count(log, 1))
        broken = False
        await log.append(message(2))
        await until(lambda: _texts(log, ["text 1", "text 2"]))
        (item,) = await aside(log)
        assert await Quarantine(log).put_back(item)
        await until(lambda: worker.duplicates == 1)
    assert await aside(log) == []
    assert await texts(log) == ["text 1", "text 2"]


async def _count(log: Log, count: int) -> bool:
    return (await Quarantine(log).amount()).items == count


async def _texts(log: Log, expected: list[str]) -> bool:
    return await texts(log) == expected


async def test_after_the_fix_it_comes_back_at_the_end(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = True
    plant(monkeypatch, lambda text: broken and text == "text 2")
    await configure(log)
    for number in (1, 2, 3):
        await log.append(message(number))
    async with working(Worker(log)):
        await until(lambda: _count(log, 1))
        (item,) = await aside(log)
        again = await Quarantine(log).put_back(item)
        assert again is not None
        await until(lambda: _is_there(log, f"log-{again}"))
    broken = False
    async with working(Worker(log)):
        (item,) = await aside(log)
        assert await Quarantine(log).put_back(item)
        assert await Quarantine(log).put_back(item) is None
        await until(lambda: _texts(log, ["text 1", "text 3", "text 2"]))
    assert (await Quarantine(log).amount())[:2] == (0, 0)


async def _is_there(log: Log, id: str) -> bool:
    return await Quarantine(log).item(id) is not None


async def test_who_gave_a_command_is_told_that_it_was_not_carried_out_and_it_is_so_until_somebody_says_otherwise(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(floor: Floor, command: commands.Take, by: str) -> Session:
        raise RuntimeError

    real = COMMANDS[commands.Take]
    monkeypatch.setitem(COMMANDS, commands.Take, failing)  # type: ignore[misc]
    await configure(log)
    await log.append(message(1))
    await log.append(order("Take", operator="anna", session="1", event_id="anna/t", attempt="1"))
    async with working(Worker(log)):
        await until(lambda: _count(log, 1))
    (done,) = await told(log, CommandDone)
    assert (done.event_id, done.operator, done.attempt, done.code) == ("anna/t", "anna", "1", "set_aside")
    monkeypatch.setitem(COMMANDS, commands.Take, real)  # type: ignore[misc]
    await log.append(order("Take", operator="anna", session="1", event_id="anna/t", attempt="1", at=1))
    worker = Worker(log)
    async with working(worker):
        await until(lambda: worker.applied == 1)
        assert worker.desk.sessions["1"].status == "waiting"
        (item,) = await aside(log)
        assert item.operator == "anna"
        assert await Quarantine(log).put_back(item)
        await until(lambda: worker.desk.sessions["1"].holder == "anna")


async def test_bytes_of_no_event_at_all_and_of_a_newer_version_are_set_aside(log: Log) -> None:
    await configure(log)
    foreign = [
        b"\x81\xa1t\xa7Unknown",
        b"\xff\xff",
        b"",
        msgspec.msgpack.encode({"t": "Say", "operator": 5}),
        b"\x82\xa1t\xabReactedLike\xa1x\xa2\xff\xfe",
        b"\x91" * 3000,
    ]
    for data in foreign:
        await log.redis.xadd(log.keys.log, {"e": data})
    await log.redis.xadd(log.keys.log, {"other": "field"})
    await log.append(message(1))
    worker = Worker(log)
    async with working(worker):
        await until(lambda: worker.applied == 3)
    items = await aside(log)
    assert [item.data for item in items][:-1] == foreign
    assert [item.kind for item in items] == ["Unknown", "", "", "Say", "", "", ""]
    assert await texts(log) == ["text 1"]


async def test_what_cannot_be_written_down_is_found_among_its_batch(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules are content, and what they made has no bytes: an event, or a timer, is to blame."""
    real = customers._wrote

    def failing(floor: Floor, session: Session, text: str, **fields: Any) -> Any:
        found = real(floor, session, text, **fields)
        if text == "text 2":
            session.name = "\ud800"
        return found

    monkeypatch.setattr(customers, "_wrote", failing)
    await configure(log)
    for number in range(1, 6):
        await log.append(message(number, chat=f"c{number}"))
    worker = Worker(log)
    async with working(worker):
        await until(lambda: worker.applied >= 6)
    assert await texts(log) == ["text 1", "text 3", "text 4", "text 5"]
    assert [item.reason.split()[0] for item in await aside(log)] == ["UnicodeEncodeError"]


async def test_a_timer_that_raises_is_set_aside_and_the_others_fire(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def failing(floor: Floor, session: Session) -> None:
        nonlocal tries
        if session.chat == "bot:bad":
            tries += 1
            raise ValueError
        real(floor, session)

    real = fired.EFFECTS["offer"]
    monkeypatch.setitem(fired.EFFECTS, "offer", failing)
    rules = LineRules(members=["anna"], answer_within=50)
    await log.append(LinesConfigured(lines={"sales": rules}, channels={"bot": "sales"}))
    await log.append(OperatorChanged(name="anna"))
    await log.append(order("SetDuty", operator="anna", duty="online", event_id="d"))
    await log.append(message(1, chat="bad"))
    await log.append(message(2, chat="good"))
    worker = Worker(log)
    async with working(worker):
        await until(lambda: _count(log, 1))
        await until(lambda: _renewed(log))
    assert tries == 1
    (item,) = await aside(log)
    assert (item.origin, item.place, item.kind) == ("timer", "1 offer", "offer")
    assert decode_session(item.data).chat == "bot:bad"
    assert "offer" not in (await saved(log))["1"].timers
    monkeypatch.setitem(fired.EFFECTS, "offer", real)
    async with working(Worker(log)):
        assert await Quarantine(log).put_back(item)
        await until(lambda: _missed(log, "1"))


async def test_a_timer_that_is_tried_again_is_not_taken_for_its_other_failures(
    log: Log, tmp_path: Path
) -> None:
    def failure(at: int) -> Aside:
        return Aside(
            id=f"timer-sales-calendar-{at}",
            origin="timer",
            place="sales calendar",
            at=at,
            reason="X",
            data=b"",
        )

    async with running_desk(log, tmp_path) as desk:
        for at in (1, 2, 3):
            await set_aside(log, failure(at))
        root = await desk.login("root")
        for at in (2, 3, 1):
            answer = await root.ask(protocol.RetrySetAside, id=failure(at).id)
            assert (answer.outcome, answer.id) == ("done", "")


async def _renewed(log: Log) -> bool:
    return any(a.name == "offer_renewed" and a.session == "2" for a in await told(log, Alert))


async def _missed(log: Log, session: str) -> bool:
    return any(
        m.message.session == session and m.message.text.startswith("missed")
        for m in await told(log, MessageAdded)
    )


async def test_a_saved_state_that_cannot_be_read_costs_only_its_own_session(log: Log) -> None:
    await configure(log)
    for number in range(1, 5):
        await log.append(message(number, chat=f"c{number}"))
    async with working(first := Worker(log)):
        await until(lambda: first.applied == 6)
    before = await states(log)
    await log.redis.hset(log.keys.sessions, "2", b"\xc1 of a newer version")
    wrong = decode_session(before["3"])
    wrong.timers["offer"] = ("never", 1)  # type: ignore[assignment]
    wrong.holder = ["x"]  # type: ignore[assignment]
    await log.redis.hset(log.keys.sessions, "3", msgspec.msgpack.encode(wrong))
    again = Worker(log)
    async with working(again):
        await until(lambda: _count(log, 2))
        assert sorted(again.desk.sessions) == ["1", "4"]
        good = Aside(
            id="session-2-fixed", origin="session", place="2", at=1, reason="fixed", data=before["2"]
        )
        await set_aside(log, good)
        assert await Quarantine(log).put_back(good)
        await until(lambda: "2" in again.desk.sessions)
        await log.append(message(9, chat="c2"))
        await until(lambda: again.desk.sessions["2"].last_text == "text 9")
    assert sorted(await saved(log)) == ["1", "2", "4"]


async def test_redis_away_is_no_poison(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trouble with Redis or the store is waited for, however often it comes."""
    from router.log.writer import Writer

    real, fails = Writer.send, 3

    async def failing(self: Writer, **fields: Any) -> asyncio.Task[None]:
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise Unavailable("away")
        return await real(self, **fields)

    monkeypatch.setattr(Writer, "send", failing)
    await configure(log)
    await log.append(message(1))
    async with working(Worker(log)):
        await until(lambda: _texts(log, ["text 1"]))
    assert await aside(log) == []


async def test_a_card_that_makes_no_sense_stops_no_message(log: Log, tmp_path: Path) -> None:
    class Odd(SqliteStore):
        async def find(self, collection: str, filter: Any, **_: Any) -> Any:
            cards = [{"_id": "c1", "chats": ["bot:ali"], "name": 5}, {"nothing": 1}]
            return cards if collection == "customers" else []

    await configure(log)
    await log.append(message(1))
    async with working(Worker(log, Odd(tmp_path / "odd.sqlite"))):
        await until(lambda: _texts(log, ["text 1"]))
    assert await aside(log) == []


async def test_there_is_a_most_and_what_falls_out_is_counted(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MAX_ITEMS", 3)

    def item(number: int, size: int = 10) -> Aside:
        return Aside(id=f"i{number}", origin="log", place="", at=number, reason="", data=b"x" * size)

    for number in (1, 2, 3, 4, 4, 5):
        await set_aside(log, item(number))
    assert [i.id for i in await aside(log)] == ["i3", "i4", "i5"]
    assert (await Quarantine(log).amount()).fell_out == 2
    monkeypatch.setattr(quarantine, "MAX_BYTES", 5000)
    await set_aside(log, item(6, size=4950))
    amount = await Quarantine(log).amount()
    assert (amount.items, amount.fell_out) == (1, 5)
    assert await Quarantine(log).drop("i6")
    assert not await Quarantine(log).drop("i6")
    assert await Quarantine(log).amount() == (0, 0, 5)


def test_a_reason_names_class_and_place_and_no_words() -> None:
    try:
        msgspec.json.decode(b'{"a": "secret"}', type=dict[str, int])
    except msgspec.ValidationError as error:
        reason = reason_of(error)
    assert reason.startswith("ValidationError at log/test_quarantine.py:")
    assert "secret" not in reason


KILLED = """
import asyncio, os, signal, sys
from router import suspects
from router.desk import customers
from router.log.log import Log
from router.log.home import connect
from router.worker import Worker
from router.log.writer import Writer

real_wrote, real_send = customers._wrote, Writer.send

def failing(floor, session, text, **fields):
    found = real_wrote(floor, session, text, **fields)
    if text == "text 2":
        raise KeyError
    return found

async def dying(self, *, aside=(), **fields):
    if aside and sys.argv[3] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    sent = await real_send(self, aside=aside, **fields)
    if aside:
        await sent
        os.kill(os.getpid(), signal.SIGKILL)
    return sent

customers._wrote, Writer.send = failing, dying
asyncio.run(Worker(Log(connect(sys.argv[1]), sys.argv[2]), lease_ttl=0.3).run())
"""


@pytest.mark.parametrize("when", ["before", "after"])
async def test_kill_9_while_setting_aside_loses_nothing_and_doubles_nothing(
    log: Log, redis_url: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await configure(log)
    for number in range(1, 6):
        await log.append(message(number))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, redis_url, log.desk, when, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(20):
        assert await process.wait() == -signal.SIGKILL
    assert len(await aside(log)) == (when == "after")
    plant(monkeypatch, lambda text: text == "text 2")
    async with working(Worker(log, lease_ttl=0.3)):
        await until(lambda: _texts(log, ["text 1", "text 3", "text 4", "text 5"]))
    (item,) = await aside(log)
    assert events.decode_event(item.data).event_id == "bot:2"
