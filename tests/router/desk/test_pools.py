"""The ready and the waiting of one line, against what they are by definition: with many more needs than
pools that are kept, and members who come and go meanwhile."""

from random import Random

import pytest

from router.desk.queue import POOLS_KEPT, Queue, lacks, need_of, place
from router.desk.rules import LineRules, Ring
from router.desk.state import OperatorState, Session
from router.desk.values import Wait

LANGUAGES = [f"l{n}" for n in range(3 * POOLS_KEPT)]
NAMES = [f"op{n}" for n in range(8)]


@pytest.mark.parametrize("mode", ["even", "strict", "least_loaded"])
@pytest.mark.parametrize("seed", [1])
def test_pools_and_backlog_are_what_they_are_by_definition(mode: str, seed: int) -> None:
    random = Random(seed)
    rules = LineRules(members=NAMES, skills=[Ring(need=["iron"])], language="customer", mode=mode)  # type: ignore[arg-type]
    queue = Queue("sales", rules)
    queue.set_members(NAMES)
    people = [
        OperatorState(name=name, skills=["iron"] if n else [], languages=random.sample(LANGUAGES, 150))
        for n, name in enumerate(NAMES)
    ]
    ready: dict[str, OperatorState] = {}
    waiting: dict[str, Session] = {}
    most = 0
    for step in range(1, 1500):
        if random.random() < 0.6:
            session = _session(step, random.choice(LANGUAGES), random.randrange(3))
            queue.put(session)
            waiting[session.id] = session
        else:
            for id in random.sample(sorted(waiting), min(len(waiting), 3 if step > 500 else 1)):
                queue.remove(id)
                del waiting[id]
        most = max(most, len(queue._pools))
        operator = random.choice(people)
        operator.given_at, operator.load = random.randrange(100), random.randrange(3)
        is_ready = random.random() < 0.7
        queue.set_ready(operator, is_ready)
        ready.pop(operator.name, None)
        if is_ready:
            ready[operator.name] = operator
        _check(queue, ready, waiting)
    assert most > POOLS_KEPT


def _session(number: int, language: str, priority: int) -> Session:
    return Session(
        id=str(number), chat=f"bot:{number}", channel="bot", kind="", line="sales", customer="c",
        language=language, priority=priority, wait=Wait(ring=1, arrival=number // 2),
    )  # fmt: skip


def _check(queue: Queue, ready: dict[str, OperatorState], waiting: dict[str, Session]) -> None:
    in_order = sorted(waiting.values(), key=place)
    assert list(queue.waiting()) == in_order
    possible = []
    for session in in_order:
        able = [o for o in ready.values() if not lacks(o, need_of(session, queue.rules))]
        assert list(queue.ready(queue.need(session.id))) == [o.name for o in sorted(able, key=queue.rank)]
        if able:
            possible.append(session)
    found = queue.first({})
    assert (found[0][-1] if found else None) is (possible[0] if possible else None)
