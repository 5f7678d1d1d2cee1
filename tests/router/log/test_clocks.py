"""Clocks that are wrong, at the real worker on a real Redis: one of an edge, the router's own, those of two
machines, Redis'."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bots.base import TryLater
from bots.way_out import lane
from bots.way_out.outbox import Sender
from crm.kernel.errors import Unavailable
from router.desk import events
from router.desk.events import LinesConfigured, OperatorChanged, Present
from router.desk.rules import LineRules
from router.desk.shifting import TIMES, shift_session
from router.desk.state import Entry, MessageAdded, Refusal, Session, decode_session
from router.desk.values import Hand, Value, Wait
from router.gateway.health import Health
from router.log.clock import Clock, ClockWarnings, steady_ms
from router.log.lease import Lease
from router.log.log import Log, now_ms
from router.log.writer import Writer
from router.wire import protocol
from router.worker import PIECE, Worker, in_pieces
from tests.bots.conftest import MemoryMedia, ScriptedChannel, delivery, enqueue, logged, running
from tests.conftest import until
from tests.router.desk.world import World
from tests.router.desk_in_process import running_desk
from tests.router.orders import order
from tests.router.test_worker import journal, message, working

HOUR = 3_600_000


class SettableClock:
    """A wall clock that can be set."""

    def __init__(self, off: int = 0) -> None:
        self.off = off

    def __call__(self) -> int:
        return now_ms() + self.off


def on(log: Log, clock: Callable[[], int]) -> Log:
    """The same desk from a machine with another clock."""
    return Log(log.redis, log.desk, clock)


async def configure(log: Log, answer_within: int) -> None:
    rules = LineRules(members=["anna"], answer_within=answer_within)
    await log.append(LinesConfigured(lines={"sales": rules}, channels={"bot": "sales"}))
    await log.append(OperatorChanged(name="anna"))
    await log.append(order("SetDuty", operator="anna", duty="online", event_id="d"))


async def saved(log: Log) -> dict[str, Session]:
    _, _, sessions, _ = await log.load()
    return {id: decode_session(data) for id, data in sessions.items()}


async def offered(log: Log, until: Callable[[int], bool]) -> bool:
    found = await saved(log)
    return "1" in found and found["1"].status == "offered" and until(found["1"].offer.until)


async def missed(log: Log) -> int:
    return sum(
        isinstance(told, MessageAdded) and told.message.text.startswith("missed")
        for _, entry in await journal(log)
        for told in entry.told
    )


async def newest_at(log: Log) -> int:
    return max(
        told.message.at
        for _, entry in await journal(log)
        for told in entry.told
        if isinstance(told, MessageAdded)
    )


async def warns(log: Log, code: str) -> bool:
    reports = await log.reports()
    return any(
        msgspec.json.decode(raw).get("trouble") == code
        for name, raw in reports.items()
        if name.startswith("router:")
    )


# ------------------------------------------------------------------ an edge


async def test_an_edge_an_hour_fast_ends_no_offer(log: Log) -> None:
    edge = on(log, SettableClock(HOUR))
    await configure(log, answer_within=60_000)
    worker = Worker(log)
    async with working(worker):
        await log.append(message(1))
        await until(lambda: offered(log, lambda due: due > now_ms()))
        await edge.append(message(2))
        await edge.append(message(3, chat="other"))
        await until(lambda: worker.applied == 6)
        assert await missed(log) == 0
        assert worker.desk.now <= now_ms()
        assert await newest_at(log) <= now_ms()
        assert worker.desk.sessions["1"].offer.until <= now_ms() + 60_000
        await until(lambda: warns(log, "router_edge"))
        troubles = await Health(log).look()
        assert [(t.code, t.stops) for t in troubles] == [("router_edge", False)]
    await edge._appender.close()


async def test_an_attempt_that_was_held_up_for_long_still_gets_the_refusal_that_was_told(log: Log) -> None:
    """Its gateway was stopped for half a minute; meanwhile its operator gave the words back to be sent again."""

    def attempt(token: str, at: int) -> events.Ordered:
        return order("Take", operator="anna", session="1", event_id="anna/t", attempt=token, at=at)

    await configure(log, answer_within=60_000)
    worker = Worker(log)
    async with working(worker):
        await log.append(attempt("second", now_ms()))
        await until(lambda: worker.applied == 4)
    _, fields, _, _ = await log.load()
    refusals = msgspec.msgpack.decode(fields["refusals"], type=dict[str, Refusal])
    refusals["anna/t"].at -= 20_000  # as if that had been twenty seconds ago
    await log.redis.hset(log.keys.desk, "refusals", msgspec.msgpack.encode(refusals))
    worker = Worker(log)
    async with working(worker):
        await log.append(message(1))
        await log.append(attempt("first", now_ms() - 30_000))
        await until(lambda: worker.applied == 2)
        assert (await saved(log))["1"].status == "offered"
        await log.append(attempt("third", now_ms()))
        await until(lambda: worker.applied == 3)
        assert (await saved(log))["1"].status == "taken"


async def test_a_gateway_an_hour_slow_loses_nobodys_presence(log: Log) -> None:
    edge = on(log, SettableClock(-HOUR))
    await configure(edge, answer_within=60_000)
    await edge.append(Present(gateway="g", operators=["anna"]))
    await edge.append(message(1))
    worker = Worker(log)
    async with working(worker):
        await until(lambda: offered(log, lambda due: due > now_ms()))
        assert worker.desk.seen["anna"] > now_ms() - 30_000
        assert worker.desk.operators["anna"].here
        await edge.append(Present(gateway="g", operators=["anna"]))
        await edge.append(message(2))
        await until(lambda: worker.applied == 7)
        assert worker.desk.operators["anna"].duty == "online"
    await edge._appender.close()


async def test_what_waited_long_for_a_router_is_as_old_as_it_is(log: Log) -> None:
    """An edge is believed as long as Redis does not know better."""
    worker = Worker(log)
    now = now_ms()
    then = events.Present(gateway="g", operators=[], at=now - 10 * 60_000)
    soon = events.Present(gateway="g", operators=[], at=now - 3_000)
    late = events.Present(gateway="g", operators=[], at=now + HOUR)
    worker._date(
        [(f"{now - 10 * 60_000}-0", b""), (f"{now}-0", b""), (f"{now - 1000}-0", b"")],
        [then, soon, late],
        now,
        now,
    )
    assert (then.at, soon.at, late.at) == (now - 10 * 60_000, now - 3_000, now)


# ------------------------------------------------------------------ the router's own


@pytest.mark.parametrize("steady", [steady_ms, None], ids=["steady", "no steady clock"])
async def test_a_clock_that_is_set_back_freezes_no_timer(log: Log, steady: Any) -> None:
    hand = SettableClock()
    mine = on(log, hand)
    await configure(log, answer_within=2_500)
    worker = Worker(mine, steady=steady)
    async with working(worker):
        await log.append(message(1))
        await until(lambda: offered(log, lambda due: due > now_ms()))
        hand.off = -HOUR
        set_at = time.monotonic()
        await until(lambda: offered(log, lambda due: due < now_ms() - HOUR // 2), within=worker._ttl)
        assert (await saved(log))["1"].offer.until <= hand() + 2_500
        await log.append(message(2))
        await until(lambda: worker.desk.sessions["1"].last_text == "text 2")
        assert worker.desk.sessions["1"].last_at <= hand()
        assert worker.desk.now <= hand()
        await until(lambda: missed(log))
        assert time.monotonic() - set_at < 8
        await until(lambda: warns(log, "router_clock"))
        # It is set right again. Without a steady clock that is an hour that has gone by.
        hand.off = 0
        await log.append(message(3))
        await until(lambda: worker.desk.sessions["1"].last_text == "text 3")
        assert abs(worker.desk.sessions["1"].last_at - now_ms()) < 10_000


async def test_what_a_set_clock_moved_along_is_written_without_waiting_for_news(log: Log) -> None:
    hand = SettableClock()
    await configure(log, answer_within=600_000)
    await log.append(message(1))
    worker = Worker(on(log, hand), lease_ttl=60.0)
    assert await worker.lease.acquire()
    writer = Writer(worker._log, worker.lease)
    await worker.load()
    while not await offered(log, lambda due: due > now_ms()):
        await worker.step(writer)
    hand.off = -HOUR
    worker._clock.now()
    await worker.load()
    async with asyncio.timeout(5):
        await worker.step(writer)
    assert await offered(log, lambda due: due < now_ms() - HOUR // 2)
    await writer.close()


async def test_a_clock_that_jumps_ahead_and_back_ends_no_offer(log: Log) -> None:
    hand = SettableClock()
    mine = on(log, hand)
    await configure(log, answer_within=60_000)
    worker = Worker(mine, steady=steady_ms)
    async with working(worker):
        await log.append(message(1))
        await until(lambda: offered(log, lambda due: due > now_ms()))
        before = (await saved(log))["1"]
        hand.off = HOUR
        await until(lambda: offered(log, lambda due: due > now_ms() + HOUR // 2))
        ahead = (await saved(log))["1"]
        assert abs(ahead.offer.until - before.offer.until - HOUR) < 1_000
        assert abs(ahead.waiting_since - before.waiting_since - HOUR) < 1_000
        assert ahead.rev > before.rev
        hand.off = 0
        await until(lambda: offered(log, lambda due: due < now_ms() + HOUR // 2))
        assert abs((await saved(log))["1"].offer.until - before.offer.until) < 1_000
        assert await missed(log) == 0


@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_waits_is_moved_once_whatever_becomes_of_the_commit(
    log: Log, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The reply to the commit that moves it is lost: before it was done, or after."""
    hand = SettableClock()
    await configure(log, answer_within=60_000)
    worker = Worker(on(log, hand), steady=steady_ms)
    async with working(worker):
        await log.append(message(1))
        await until(lambda: offered(log, lambda due: due > now_ms()))
        before = (await saved(log))["1"]
        real, lost = Writer.send, [1, 2] if when == "before" else [1]

        async def losing(self: Writer, **fields: Any) -> asyncio.Task[None]:
            is_lost = bool(lost and lost.pop())
            sent = None if is_lost and when == "before" else await real(self, **fields)

            async def reply() -> None:
                if sent is not None:
                    await sent
                if is_lost:
                    raise Unavailable("lost")

            return asyncio.create_task(reply())

        monkeypatch.setattr(Writer, "send", losing)
        hand.off = -HOUR
        await until(lambda: not lost)
        await log.append(message(2))
        await until(lambda: _last_is_2(log))
        moved = (await saved(log))["1"].offer.until - before.offer.until
        assert abs(moved + HOUR) < 1_000


async def _last_is_2(log: Log) -> bool:
    return (await saved(log))["1"].last_text == "text 2"


# ------------------------------------------------------------------ two machines


@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["fast", "slow"])
async def test_another_machines_clock_takes_over_without_ending_anything(log: Log, off: int) -> None:
    theirs = SettableClock(off)
    await configure(log, answer_within=60_000)
    async with working(Worker(on(log, theirs))):
        await log.append(message(1))
        await until(lambda: offered(log, lambda due: due > theirs()))
    worker = Worker(log)
    async with working(worker):
        await log.append(message(2))
        await until(lambda: _last_is_2(log))
        assert await offered(log, lambda due: now_ms() < due <= now_ms() + 61_000)
        assert await missed(log) == 0
        assert abs(worker.desk.sessions["1"].opened_at - now_ms()) < 20_000
        await until(lambda: warns(log, "router_clock"))


async def test_a_router_that_comes_back_after_long_lets_fire_what_is_due(log: Log) -> None:
    """Time that has gone by for Redis too is no difference of clocks."""
    await configure(log, answer_within=60_000)
    async with working(Worker(log)):
        await log.append(message(1))
        await until(lambda: offered(log, lambda due: due > now_ms()))
    ours, server = await log.written() or (0, 0)
    # As if all of it had been an hour ago.
    session = (await saved(log))["1"]
    shift_session(session, -HOUR)
    await log.redis.hset(log.keys.sessions, "1", msgspec.msgpack.encode(session))
    await log.redis.set(log.keys.written, f"{ours - HOUR} {server - HOUR}")
    async with working(Worker(log)):
        await until(lambda: missed(log))


async def test_a_lease_that_redis_clock_made_endless_holds_up_nobody(log: Log) -> None:
    """Redis' clock was set back an hour, and whoever had the lease is dead."""
    lease = Lease(log, "router", "dead", ttl=0.4)
    await log.redis.set(lease.key, "dead", px=HOUR)
    await configure(log, answer_within=60_000)
    worker = Worker(log, lease_ttl=0.4)
    async with working(worker):
        await until(lambda: worker.applied == 3, within=5)


# ------------------------------------------------------------------ the parts


def test_a_clock_that_is_set_is_told_from_time_that_passes() -> None:
    wall, steady = [1_000_000], [0]
    clock = Clock(lambda: wall[0], lambda: steady[0], lambda: True)

    def go(wall_ms: int, steady_by: int) -> int:
        wall[0] += wall_ms
        steady[0] += steady_by
        clock.now()
        return clock.step()

    assert go(0, 0) == 0
    assert go(HOUR, HOUR) == 0
    assert go(HOUR, 500) == HOUR - 500
    assert go(-HOUR, 500) == -HOUR - 500
    assert [go(1_001, 1_000) for _ in range(5_000)] == [0] * 5_000  # slewed
    assert go(0, 1_500) == 0


def test_a_process_that_is_stopped_between_two_looks_has_no_clock_that_was_set() -> None:
    """The two clocks are looked at one after the other."""
    looks = iter([0, 61_000, 61_000, 61_000])
    clock = Clock(lambda: 1_000_000 + 61_000, lambda: next(looks), lambda: True)
    clock._last = 1_000_000, 0
    clock.now()
    assert clock.step() == 0


def test_a_clock_without_a_steady_one_of_its_own_may_jump_ahead() -> None:
    wall = [1_000_000]
    clock = Clock(lambda: wall[0], lambda: 0, lambda: False)
    clock.now()
    wall[0] += HOUR
    clock.now()
    assert not clock.has_stepped
    wall[0] -= HOUR
    clock.now()
    assert clock.step() == -HOUR


def test_a_warning_is_forgotten() -> None:
    now = [0]
    warnings = ClockWarnings(lambda: now[0])
    assert warnings.report() == {}
    warnings.edge(2_000)
    assert warnings.report() == {}
    warnings.edge(HOUR)
    assert "3600 s" in warnings.report()["text"]
    warnings.was_set(-HOUR)
    assert warnings.report()["trouble"] == "router_clock"
    now[0] = 700_000
    assert warnings.report() == {}


def test_moments_that_somebody_chose_stay_where_they_are() -> None:
    session = Session(
        id="1", chat="b:1", channel="b", kind="", line="s", customer="c", opened_at=10 * HOUR, wait=Wait(arrival=10 * HOUR),
        hand=Hand(snoozed=20 * HOUR), timers={"snooze": (20 * HOUR, 1), "auto_close": (12 * HOUR, 2)},
        sla={"resolution": 13 * HOUR},
    )  # fmt: skip
    shift_session(session, -HOUR)
    assert (session.opened_at, session.wait.arrival, session.closed_at) == (9 * HOUR, 9 * HOUR, 0)
    assert (session.hand.snoozed, session.timers["snooze"]) == (20 * HOUR, (20 * HOUR, 1))
    assert (session.timers["auto_close"], session.sla["resolution"]) == ((11 * HOUR, 2), 12 * HOUR)


def test_every_moment_of_a_session_moves_along() -> None:
    """A number that is added to a session is said here to be a moment or none."""
    no_moments = {
        "priority",
        "seq",
        "rev",
        "read_seq",
        "unread",
        "snoozed",
        "asked",
        "ring",
        "rating",
        "form",
    }
    fields = msgspec.structs.fields(Session)
    values = [field.default for field in fields if isinstance(field.default, Value)]
    assert {field.name for field in fields if field.type is int} - no_moments == set(TIMES)
    for value in values:
        numbers = {field.name for field in msgspec.structs.fields(value) if field.type is int}
        assert numbers - no_moments == set(value.moments)


@pytest.mark.parametrize("by", [HOUR, -600_000])
def test_an_offer_that_is_written_into_is_held_as_long_as_before_when_the_clock_is_set(by: int) -> None:
    world = World("anna", answer_within=20_000, hold_at_most=30_000)
    world.online("anna")
    session = world.writes("ali")
    begun = session.offer.began
    world.at(15)
    world.desk.apply(events.Writing(session=session.id, operator="anna", at=world.time))
    assert (session.offer.until, session.offer.most) == (begun + 25_000, begun + 50_000)
    shift_session(session, by)
    assert (session.offer.began, session.offer.most) == (begun + by, begun + by + 50_000)


def test_a_whole_desk_that_moves_is_told_in_pieces() -> None:
    def some(count: int) -> list[Session]:
        return [
            Session(id=str(n), chat=f"b:{n}", channel="b", kind="", line="s", customer="c")
            for n in range(count)
        ]

    assert in_pieces(None) == (None, [])
    first, more = in_pieces(Entry(at=5, sessions=some(5 * PIECE + 1)))
    assert first is not None
    assert [len(entry.sessions) for entry in (first, *more)] == [PIECE] * 5 + [1]
    assert [s.id for entry in (first, *more) for s in entry.sessions] == [s.id for s in some(5 * PIECE + 1)]


async def test_everything_that_only_waits_goes_by_the_steady_clock(log: Log) -> None:
    """The lease is renewed and reports are made though the clock goes back again and again."""
    hand = SettableClock()
    await configure(log, answer_within=60_000)
    worker = Worker(on(log, hand), lease_ttl=0.6, steady=steady_ms)
    async with working(worker):
        await until(lambda: worker.applied == 3)
        for number in range(6):
            hand.off -= HOUR
            await log.append(message(number))
            await until(lambda n=number: worker.applied == 4 + n)
        assert await worker.lease.renew()
        assert any(name.startswith("router:") for name in await log.reports())


async def test_consoles_are_told_the_desks_time_whatever_their_gateways_clock_is(
    log: Log, tmp_path: Path
) -> None:
    async with running_desk(log, tmp_path) as desk:
        anna = await desk.login("anna")
        assert abs(anna.frames[0].now - now_ms()) < 5_000
        # The router's machine is an hour ahead of the gateway's: so are the times that it writes.
        await desk.stop("worker")
        desk.start("worker", Worker(on(log, SettableClock(HOUR)), desk.store))
        await desk.write("ali", "hello")
        await until(lambda: desk.gateway.picture.sessions)
        await desk.gateway.status.refresh()
        anna = await desk.login("anna")
        assert abs(anna.frames[0].now - now_ms() - HOUR) < 5_000
        await anna.send(protocol.Ping(at=1))
        assert abs((await anna.until(protocol.Pong)).now - now_ms() - HOUR) < 5_000


async def test_a_sender_whose_clock_is_days_fast_fails_nothing(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "now_ms", SettableClock(48 * HOUR))
    channel = ScriptedChannel("out")
    tries = 0

    async def later(_: object) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise TryLater(0.01, "busy")

    channel.behave = later
    await enqueue(log, delivery("d1"))
    async with running(Sender(log, [channel], MemoryMedia())):
        (outcome,) = await logged(log, 1)
    assert (outcome.state, tries) == ("sent", 2)
