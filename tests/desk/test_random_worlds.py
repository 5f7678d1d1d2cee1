"""Random worlds against what must always hold, and a crash between any two events: a desk restored
from what was committed goes on exactly like the one that never stopped."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from router import capacity
from router.desk import Desk
from router.events import LineRules
from tests.desk.world import World, saved

OPERATORS = ("anna", "bek", "vali")
CHATS = "abcdef"

steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(CHATS)),
        st.tuples(st.just("wait"), st.integers(1, 200)),
        st.tuples(
            st.sampled_from(["Take", "Skip", "Return", "Say", "Close", "Transfer", "Pin"]),
            st.sampled_from(OPERATORS),
            st.sampled_from(CHATS),
            st.sampled_from([*OPERATORS, "line:sales", "line:support"]),
        ),
        st.tuples(
            st.just("duty"), st.sampled_from(OPERATORS), st.sampled_from(["online", "break", "offline"])
        ),
    ),
    max_size=40,
)
modes = st.sampled_from(["even", "strict", "all", "manual"])


def rules(mode: Any, counts_until: Any, limit: int) -> dict[str, LineRules]:
    return {
        "sales": LineRules(members=list(OPERATORS), mode=mode, max_sessions=limit, counts_until=counts_until),
        "support": LineRules(members=["vali", "bek"], max_sessions=2),
    }


def play(world: World, step: tuple[Any, ...]) -> None:
    if step[0] == "write":
        world.writes(step[1])
    elif step[0] == "wait":
        world.at((world.time - 1_000_000) / 1000 + step[1])
    elif step[0] == "duty":
        world.do(step[1], "SetDuty", duty=step[2])
        world.desk.seen[step[1]] = 10**10
    else:
        session = world.desk.by_chat.get(f"bot:{step[2]}", "404")
        fields: dict[str, Any] = {"session": session}
        if step[0] == "Say":
            fields["text"] = "hi"
        if step[0] == "Transfer":
            fields["to"] = step[3]
        world.do(step[1], step[0], **fields)


def check(desk: Desk) -> None:
    """The invariants of the queue."""
    assert len(desk.by_chat) == len(desk.sessions)
    for chat, id in desk.by_chat.items():
        assert desk.sessions[id].chat == chat
    for session in desk.sessions.values():
        queue = desk.queues[session.line]
        waits = session.status == "waiting" or (session.status == "offered" and not session.holder)
        assert (session.id in queue) is waits
        assert bool(session.holder) is not waits
        if session.holder:
            assert session.id in desk.held[session.holder]
    for operator in desk.operators.values():
        counting = [
            s
            for s in desk.sessions.values()
            if s.holder == operator.name and capacity.counts(s, desk.queues[s.line].rules.counts_until)
        ]
        assert operator.load == len(counting)
    for queue in desk.queues.values():
        check_conserving(desk, queue)


def check_conserving(desk: Desk, queue: Any) -> None:
    ready = {n for n in queue.members if not desk.dropped_by(desk.operators.get(n), queue)}
    assert set(queue.ready()) == ready
    if queue.rules.mode in ("even", "strict") and ready:
        for session in queue.waiting():
            assert ready <= set(session.had), f"{session.id} waits though {ready} are eligible"
            assert session.pause_until > desk.now


def picture(desk: Desk) -> Any:
    """All that matters for what happens next; the order of timers armed is only relative."""
    sessions = {}
    for id, session in desk.sessions.items():
        state = msgspec.to_builtins(session)
        state["timers"] = {kind: due for kind, (due, _) in session.timers.items()}
        sessions[id] = state
    operators = {n: msgspec.to_builtins(o) for n, o in desk.operators.items()}
    for state in (*sessions.values(), *operators.values()):
        state.pop("rev", None)
    return sessions, operators


@settings(max_examples=150, deadline=None)
@given(
    mode=modes,
    counts_until=st.sampled_from(["first_answer", "answered", "closed"]),
    limit=st.integers(0, 2),
    steps=steps,
)
def test_the_invariants_hold_after_every_event(
    mode: str, counts_until: str, limit: int, steps: list[tuple[Any, ...]]
) -> None:
    world = World(lines=rules(mode, counts_until, limit))
    for step in steps:
        play(world, step)
        check(world.desk)


@settings(max_examples=100, deadline=None)
@given(mode=modes, steps=steps, crash=st.integers(0, 40))
def test_a_restored_desk_goes_on_like_the_one_that_never_stopped(
    mode: str, steps: list[tuple[Any, ...]], crash: int
) -> None:
    one, other = World(lines=rules(mode, "answered", 1)), World(lines=rules(mode, "answered", 1))
    for number, step in enumerate(steps):
        if number == crash:
            other.desk = saved(other.desk)
        play(one, step)
        play(other, step)
        assert picture(one.desk) == picture(other.desk)
