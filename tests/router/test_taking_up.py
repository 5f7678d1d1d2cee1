"""Taking up a desk: the queues and timers are built at once, and are what they were; a large one costs the
collector nothing."""

import gc
from random import Random

import pytest

from router import worker
from router.desk import events
from router.desk.desk import Desk
from router.desk.rules import LineRules, Overflow, Ring
from router.desk.state import encode
from router.log.lease import Lease
from router.log.log import Log
from router.log.writer import Writer
from router.taking_up import take_up, uncollected
from tests.router.orders import order

START = 1_000_000


def lived_in_desk(seed: int) -> Desk:
    random = Random(seed)
    desk = Desk()
    sales = LineRules(
        members=["anna"], skills=[Ring(need=[]), Ring(need=["iron"], after=60_000)],
        language="customer", overflow=[Overflow(line="night", after=90_000)],
    )  # fmt: skip
    lines = {"sales": sales, "night": LineRules(mode="all", members=["bek"])}
    desk.apply(events.LinesConfigured(lines=lines, channels={"bot": "sales", "site": "night"}, at=START))
    for name in ("anna", "bek"):
        desk.apply(events.OperatorChanged(name=name, max_sessions=3, languages=["uz"], at=START))
        desk.apply(order("SetDuty", operator=name, duty="online", at=START))
    for number in range(200):
        chat = f"c{random.randrange(60)}"
        author = events.Author(id=chat, language=random.choice(("uz", "ru", "")))
        desk.apply(
            events.MessageReceived(
                channel=random.choice(("bot", "site")), chat=chat, message_id=str(number), author=author,
                text="salom", at=START + number * 700,
            )
        )  # fmt: skip
    return desk


@pytest.mark.parametrize("seed", range(5))
def test_queues_and_timers_are_what_they_were(seed: int) -> None:
    desk = lived_in_desk(seed)
    fields = {name: desk.field(name) for name in ("next_session", "stamp", "configured", "clock")}
    sessions = {id: encode(session) for id, session in desk.sessions.items()}
    operators = {name: encode(operator) for name, operator in desk.operators.items()}
    other, aside = take_up(fields, sessions, operators, desk.now)
    assert not aside
    for name, queue in desk.queues.items():
        assert [s.id for s in other.queues[name].waiting()] == [s.id for s in queue.waiting()]
        assert len(list(queue.waiting())) > 10
    # Heartbeats begin anew where a desk is taken up.
    assert timers(other) == timers(desk)
    assert len(timers(desk)) > 60


def timers(desk: Desk) -> list[tuple[int, str, str]]:
    """All that will fire, in that order."""
    found = []
    while fired := desk.timers.pop_due(1 << 60):
        if fired[2] != "presence":
            found.append(fired)
    for due, owner, kind in found:
        desk.timers.arm(owner, kind, due)
    return found


def test_the_collector_runs_on_afterwards_and_leaves_alone_what_was_made() -> None:
    before = gc.get_freeze_count()
    try:
        with uncollected():
            assert not gc.isenabled()
            made: list[list[int]] = [[] for _ in range(1000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() >= before + len(made)
    finally:
        gc.unfreeze()


async def test_a_large_desk_is_left_alone_when_it_is_taken_up_first(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MANY", 1)
    lease = Lease(log, "router", "the one before")
    assert await lease.acquire()
    writer = Writer(log, lease)
    desk = lived_in_desk(1)
    await writer.guard((), desk.now)
    fields = {name: desk.field(name) for name in ("next_session", "stamp", "configured", "clock")}
    await writer.commit(
        at=desk.now, sessions=list(desk.sessions.values()), operators=list(desk.operators.values()),
        fields=fields,
    )  # fmt: skip
    await writer.close()
    standby = worker.Worker(log)
    try:
        before = gc.get_freeze_count()
        await standby.load()
        assert len(standby.desk.sessions) == len(desk.sessions)
        frozen = gc.get_freeze_count()
        assert frozen > before + len(desk.sessions)
        await standby.load()
        assert gc.get_freeze_count() <= frozen, "what has become garbage would never be freed"
        assert gc.isenabled()
    finally:
        gc.unfreeze()
