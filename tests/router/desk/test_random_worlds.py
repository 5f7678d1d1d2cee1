"""Random worlds against what must always hold, and a crash between any two events: a desk restored
from what was committed goes on exactly like the one that never stopped."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from router.desk.desk import Desk, Known
from router.desk.events import OperatorChanged, Reacted
from router.desk.queue import counts, lacks, need_of
from router.desk.rules import LineRules, Overflow, Ring, Sla
from router.desk.state import Session
from tests.router.desk.world import World, saved

OPERATORS = ("anna", "bek", "vali")
CHATS = "abcdef"
LINES = ("sales", "support", "night")
MINUTE = 60_000

steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(CHATS), st.sampled_from(["hello", "5", "operator"])),
        st.tuples(st.just("react"), st.sampled_from(CHATS)),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, 61, 130, 700, 4000, 20000])),
        st.tuples(
            st.sampled_from(
                ["Take", "Skip", "Return", "Say", "Close", "Transfer", "Pin", "TakeOver", "Join", "Snooze",
                 "Spam", "SetPriority", "Whisper"]
            ),
            st.sampled_from(OPERATORS),
            st.sampled_from(CHATS),
            st.sampled_from([*OPERATORS, "line:sales", "line:support", "line:night", "bot"]),
        ),
        st.tuples(
            st.just("duty"), st.sampled_from(OPERATORS), st.sampled_from(["online", "break", "offline"])
        ),
    ),
    min_size=25,
    max_size=60,
)  # fmt: skip
options = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["even", "strict", "all", "manual", "least_loaded"]),
        "counts_until": st.sampled_from(["first_answer", "answered", "closed"]),
        "max_sessions": st.integers(0, 2),
    },
    optional={
        "on_leave": st.sampled_from(["keep", "at_once"]),
        "check_duty": st.just(False),
        "away_after_missed": st.integers(1, 2),
        "notices": st.just({name: {"": name} for name in ("waiting", "off_hours", "farewell", "auto_close")}),
        "hours": st.sampled_from([{}, {"thu": ["00:00-00:30", "00:50-12:00"]}]),
        "off_hours": st.sampled_from(["offer", "bot"]),
        "skills": st.sampled_from(
            [[Ring(need=["iron"])], [Ring(need=["iron", "uz"]), Ring(need=[], after=2 * MINUTE)]]
        ),
        "last_operator_first": st.just(True),
        "return_unanswered_after": st.just(2 * MINUTE),
        "overflow": st.sampled_from(
            [
                [Overflow(after=3 * MINUTE, line="night")],
                [Overflow(after=0, line="night", when="off_hours")],
                [Overflow(after=MINUTE, line="night", when="nobody_on_duty")],
            ]
        ),
        "sla": st.just(Sla(first_response=MINUTE, next_response=MINUTE, resolution=10 * MINUTE)),
        "rating": st.just(True),
        "bot": st.just("robot"),
        "bot_first": st.sampled_from(["first_contact", "off"]),
        "show_position": st.just(True),
        "shifts": st.just({"anna": {"thu": ["00:00-01:00"]}}),
    },
)


def rules(settings: dict[str, Any]) -> dict[str, LineRules]:
    return {
        "sales": LineRules(members=list(OPERATORS), **settings),
        "support": LineRules(members=["vali", "bek"], max_sessions=2),
        "night": LineRules(members=["bek"], mode="strict"),
    }


def begin(settings: dict[str, Any]) -> World:
    world = World(lines=rules(settings))
    world.happens(OperatorChanged(name="robot", role="bot"))
    world.happens(OperatorChanged(name="anna", skills=["iron"], rights={"*": ["take_over", "join_open"]}))
    world.happens(OperatorChanged(name="bek", skills=["iron", "uz"], max_sessions=3))
    return world


def play(world: World, step: tuple[Any, ...]) -> None:
    if step[0] == "write":
        world.writes(step[1], step[2], known=Known(f"c{step[1]}", responsible="bek", last_operator="anna"))
    elif step[0] == "react":
        world.happens(Reacted(channel="bot", chat=step[1], message_id="m1", author="x", emoji=["+"]))
    elif step[0] == "wait":
        world.at((world.time - 1_000_000) / 1000 + step[1])
    elif step[0] == "duty":
        world.do(step[1], "SetDuty", duty=step[2])
        world.desk.seen[step[1]] = 10**10
    else:
        session = world.desk.by_chat.get(f"bot:{step[2]}", "404")
        fields: dict[str, Any] = {"session": session}
        if step[0] in ("Say", "Whisper"):
            fields["text"] = "hi"
        if step[0] == "Transfer":
            fields["to"] = step[3]
        if step[0] == "SetPriority":
            fields["priority"] = 5
        if step[0] == "Spam":
            fields["on"] = step[3] != "bot"
        if step[0] == "Snooze" and step[3] != "bot":
            fields["until"] = world.time + 5 * MINUTE
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
        if session.status in ("taken", "answered", "pending", "offered"):
            assert bool(session.holder) is not waits
        assert bool(session.bot_turn.name) is (session.status == "bot")
        if session.holder:
            assert session.id in desk.held[session.holder]
        check_timers(desk, session)
    for operator in desk.operators.values():
        counting = [
            s
            for s in desk.sessions.values()
            if s.holder == operator.name and counts(s, desk.queues[s.line].rules.counts_until)
        ]
        assert operator.load == len(counting)
    for queue in desk.queues.values():
        check_conserving(desk, queue)


def check_timers(desk: Desk, session: Session) -> None:
    """Each status has its own timers, and what is armed is not late."""
    allowed = {
        "waiting": {"pause", "overflow", "ring", "auto_close"},
        "offered": {"offer", "pause", "overflow", "ring", "auto_close"},
        "bot": {"bot"},
        "closing": {"closing"},
        "spam": set(),
    }.get(session.status, {"return", "auto_close", "snooze"})
    kinds = {kind for kind in session.timers if kind != "no_answer" and not kind.startswith("sla")}
    assert kinds <= allowed, (session.status, kinds)
    assert all(due >= desk.now for due, _ in session.timers.values())
    assert ("offer" in session.timers) is (session.status == "offered")


def check_conserving(desk: Desk, queue: Any) -> None:
    ready = {n for n in queue.members if not desk.dropped_by(desk.operators.get(n), queue)}
    assert set(queue.ready()) == ready
    assert queue.dropped == {
        n: desk.dropped_by(desk.operators[n], queue) for n in queue.members if n in desk.operators
    }
    if queue.rules.mode in ("even", "strict", "least_loaded") and queue.routes:
        for session in queue.waiting():
            need = need_of(session, queue.rules)
            eligible = {n for n in ready if not lacks(desk.operators[n], need)}
            assert eligible <= set(session.round.had), f"{session.id} waits though {eligible} are eligible"
            assert not eligible or session.round.pause_until > desk.now


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


@settings(max_examples=300, deadline=None)
@given(options=options, steps=steps)
def test_the_invariants_hold_after_every_event(options: dict[str, Any], steps: list[tuple[Any, ...]]) -> None:
    world = begin(options)
    for step in steps:
        play(world, step)
        check(world.desk)


@settings(max_examples=300, deadline=None)
@given(options=options, steps=steps, crash=st.integers(0, 40))
def test_a_restored_desk_goes_on_like_the_one_that_never_stopped(
    options: dict[str, Any], steps: list[tuple[Any, ...]], crash: int
) -> None:
    one, other = begin(options), begin(options)
    for number, step in enumerate(steps):
        if number == crash:
            other.desk = saved(other.desk)
        play(one, step)
        play(other, step)
        assert picture(one.desk) == picture(other.desk)
