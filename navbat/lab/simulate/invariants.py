"""What must hold in every world, told apart from the desk: from the sessions and operators themselves,
the log's events and the journal, not from the orders that the desk keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from navbat.lab.simulate.redis import SimulatedRedis
from router.desk import events
from router.desk.desk import Desk
from router.desk.hours import is_absent
from router.desk.queue import Queue
from router.desk.state import (
    Decided,
    Entry,
    MessageAdded,
    OperatorState,
    Session,
    decode_aside,
    decode_delivery,
    decode_entry,
    decode_operator,
    decode_session,
)
from router.desk.values import NO_OFFER
from router.log.keys import Keys

HELD = ("taken", "answered", "pending")
NOBODYS = ("waiting", "bot", "spam")
Loads = dict[str, dict[str, int]]
"""Operator -> line -> sessions that count."""
NOTHING: dict[str, int] = {}
PLANTED = ("DecodeError", "ValidationError", "ZoneInfoNotFoundError", "ValueError")
"""Errors of what is poisoned on purpose."""
WHOLE_EVERY = 64
"""Checks between two looks at the whole desk against what is saved."""


class Violation(Exception):
    """Something does not hold."""


def require(holds: object, what: str) -> None:
    if not holds:
        raise Violation(what)


class Checker:
    """Sees every event that is accepted and every state that is committed."""

    def __init__(self, server: SimulatedRedis, keys: Keys) -> None:
        self._server = server
        self._keys = keys
        self._journal_seen = 0
        self._accepted: dict[str, list[str]] = {}
        """Chat -> ids of messages that were accepted, in the order received."""
        self._written: dict[str, list[str]] = {}
        self._seq: dict[str, int] = {}
        self._out: list[str] = []
        self._seen: set[str] = set()
        self._gone: set[tuple[str, str, tuple[int, int]]] = set()
        self._armed: dict[str, dict[str, tuple[int, int]]] = {}
        self._checks = 0
        self._days_off: dict[str, Any] = {}
        self.poisoned = 0
        """How many things are in the log that nobody can work on."""

    # ---------------------------------------------------------------- what is told

    def accepted(self, event: events.Event) -> None:
        """An event is in the log for the first time."""
        if isinstance(event, events.MessageReceived):
            self._accepted.setdefault(event.key, []).append(event.message_id)

    def unsure(self) -> None:
        """Nobody knows whether the last commit was done; the next load tells."""

    def taken_up(self, desk: Desk) -> None:
        """A writer has loaded the desk. It numbers timers anew, from the highest that is armed."""
        self._gone.clear()
        self._read_journal(desk)

    # ---------------------------------------------------------------- after every commit

    def check(self, desk: Desk) -> None:
        """After every step of the writer."""
        entry = self._read_journal(desk)
        self._checks += 1
        if entry is None:
            return
        for session in entry.sessions:
            self._check_timers(session)
        check_sessions(desk)
        check_queues(desk)
        before, self._days_off = self._days_off, days_off(desk)
        check_decisions(desk, [told for told in entry.told if isinstance(told, Decided)], before)
        if self._checks % WHOLE_EVERY == 0:
            check_saved(desk, self._server, self._keys)

    def _read_journal(self, desk: Desk) -> Entry | None:
        """The new journal entries: messages once, in order, each in one session."""
        entries = self._server.values.get(self._keys.journal.encode(), [])
        last = None
        for _, _, fields in entries[self._journal_seen :]:
            last = decode_entry(fields[b"e"])
            for told in last.told:
                if isinstance(told, MessageAdded):
                    self._message(told.message)
        self._journal_seen = len(entries)
        return last

    def _message(self, message: Any) -> None:
        seq = self._seq.get(message.session, 0) + 1
        require(message.seq == seq, f"message {message.id} follows number {seq - 1} of its session")
        self._seq[message.session] = seq
        if message.direction == "in" and message.kind != "button":
            self._written.setdefault(message.chat, []).append(message.external_id)
        if message.direction == "out":
            self._out.append(message.id)

    def _check_timers(self, session: Session) -> None:
        """A timer that has gone never comes back as it was armed."""
        for kind, armed in self._armed.get(session.id, {}).items():
            if session.timers.get(kind) != armed:
                self._gone.add((session.id, kind, armed))
        for kind, armed in session.timers.items():
            require((session.id, kind, armed) not in self._gone, f"timer {kind} of {session.id} fires twice")
        self._armed[session.id] = dict(session.timers)

    # ---------------------------------------------------------------- at the end

    def finish(self, desk: Desk) -> None:
        """The whole history: nothing is lost and nothing twice."""
        self._read_journal(desk)
        check_saved(desk, self._server, self._keys)
        aside = [decode_aside(data) for data in self._server.get(self._keys.quarantine.encode(), {}).values()]
        wrong = [(item.kind, item.reason) for item in aside if not item.reason.startswith(PLANTED)]
        require(not wrong, f"set aside: {wrong[:3]}")
        require(len(aside) == self.poisoned, f"{self.poisoned} were to be set aside, and {len(aside)} were")
        moved = len({*self._accepted} ^ {*self._written})
        accepted = [id for ids in self._accepted.values() for id in ids]
        written = [id for ids in self._written.values() for id in ids]
        require(Counter(accepted) == Counter(written), f"messages are lost or repeated ({moved} chats moved)")
        for chat, ids in self._written.items():
            mine = [id for id in self._accepted.get(chat, []) if id in set(ids)]
            require([id for id in ids if id in set(mine)] == mine, f"messages of {chat} are out of order")
        posted = [
            decode_delivery(fields[b"e"])
            for key, entries in self._server.values.items()
            if key.startswith(self._keys.out("").encode())
            for _, _, fields in entries
        ]
        sent = [d.message for d in posted if d.action == "send"]
        require(Counter(sent) == Counter(self._out), "deliveries are lost or repeated")


# ------------------------------------------------------------------ one state


def check_sessions(desk: Desk) -> None:
    """One open session for each chat, one holder for each taken one, the book of each holder right."""
    chats = {session.chat for session in desk.sessions.values()}
    require(len(chats) == len(desk.sessions), "two sessions are open in one chat")
    held: dict[str, set[str]] = {}
    for session in desk.sessions.values():
        status = session.status
        wrong = (
            desk.by_chat.get(session.chat) != session.id
            or status == "closed"
            or (status in HELD and not session.holder)
            or (status in NOBODYS and session.holder)
            or bool(session.bot_turn.name) is not (status == "bot")
            or ("offer" in session.timers) is not (status == "offered")
            or not _offer_agrees(session)
        )
        if wrong:
            raise Violation(f"session {session.id} is {status} and does not agree with itself: {session}")
        if session.holder:
            held.setdefault(session.holder, set()).add(session.id)
    for name in {*held, *desk.held}:
        if set(desk.held.get(name, ())) != held.get(name, set()):
            raise Violation(f"the book of {name} is wrong")


def _offer_agrees(session: Session) -> bool:
    """An offer ends when its timer fires; writing moves that, but never beyond its most."""
    if session.status != "offered":
        return session.offer == NO_OFFER
    offer = session.offer
    most = offer.most or offer.until
    return session.timers["offer"][0] == offer.until <= most and offer.began > 0


def counting(desk: Desk) -> Loads:
    """Told anew from the rules."""
    found: Loads = {}
    for session in desk.sessions.values():
        if session.holder and _counts(session, desk.queues[session.line].rules.counts_until):
            lines = found.setdefault(session.holder, {})
            lines[session.line] = lines.get(session.line, 0) + 1
    return found


def _counts(session: Session, until: str) -> bool:
    if session.status == "offered":
        return True
    if session.status not in HELD or session.hand.snoozed:
        return False
    if until == "first_answer":
        return not session.hand.answered_by_holder
    return until == "closed" or session.status != "answered"


def _check_loads(desk: Desk, loads: Loads) -> None:
    for name, operator in desk.operators.items():
        if operator.load != sum(loads.get(name, NOTHING).values()):
            raise Violation(f"the load of {name} is wrong")
    of_lines: Loads = {}
    for name, load in loads.items():
        for line, number in load.items():
            of_lines.setdefault(line, {})[name] = number
    for line, queue in desk.queues.items():
        there = {name: n for name, n in queue.load.items() if n and name in desk.operators}
        if there != {name: n for name, n in of_lines.get(line, NOTHING).items() if name in desk.operators}:
            raise Violation(f"the loads in {line} are wrong")


def check_queues(desk: Desk) -> None:
    """Loads are right, backlogs complete and in order, and nobody waits for whom somebody is free."""
    loads = counting(desk)
    _check_loads(desk, loads)
    untaken: dict[str, list[Session]] = {}
    for s in desk.sessions.values():
        if not s.holder and (s.status == "waiting" or s.status == "offered"):
            untaken.setdefault(s.line, []).append(s)
    for line, queue in desk.queues.items():
        waiting = sorted(untaken.get(line, ()), key=_place)
        # The very ones: a copy would not be what the desk changes.
        if list(map(id, queue.waiting())) != list(map(id, waiting)):
            raise Violation(f"the backlog of {line} is wrong")
        if waiting and (queue.is_open or queue.rules.off_hours == "offer"):
            _check_conserving(desk, queue, waiting, loads)


def _place(session: Session) -> tuple[int, float, int, int]:
    breach = min(session.sla.values()) if session.sla else float("inf")
    return -session.priority, breach, session.wait.arrival, int(session.id)


def _check_conserving(desk: Desk, queue: Queue, waiting: Iterable[Session], loads: Loads) -> None:
    if queue.rules.mode == "manual":
        return
    free = [
        desk.operators[n] for n in queue.members if n in desk.operators and is_free(desk, n, queue, loads)
    ]
    for session in waiting:
        able = {o.name for o in free if can(o, session, queue)}
        if queue.rules.mode == "all":
            if session.status == "offered":
                require(
                    set(session.offer.seen_by) <= able,
                    f"{session.id} is shown to somebody who cannot have it",
                )
            left = able - set(session.round.had) - set(session.round.hidden_from)
            require(left <= set(session.offer.seen_by), f"{session.id} is not shown to {left}")
        elif session.status == "waiting":
            require(able <= set(session.round.had), f"{session.id} waits though {able} are free")
            require(not able or session.round.pause_until > desk.now, f"{session.id} waits for no new round")


def is_free(desk: Desk, name: str, queue: Queue, loads: Loads) -> bool:
    """On duty in the line, with room."""
    operator = desk.operators[name]
    load = loads.get(name, NOTHING)
    rules = queue.rules
    return (
        not operator.disabled
        and name not in queue.absent
        and name not in queue.off_shift
        and (operator.duty == "online" or not rules.check_duty)
        and sum(load.values()) < operator.max_sessions
        and (not rules.max_sessions or load.get(queue.name, 0) < rules.max_sessions)
    )


def can(operator: OperatorState, session: Session, queue: Queue) -> bool:
    """Has the skills of the ring in force, and the language."""
    rules = queue.rules
    rings = rules.skills[: session.wait.ring]
    language = session.language if rules.language == "customer" else rules.language
    need = set(rings[-1].need) if rings else set()
    return need <= set(operator.skills) and (not language or language in operator.languages)


def days_off(desk: Desk) -> dict[str, Any]:
    """Operator -> his absences, and line -> its zone."""
    zones = {name: queue.rules.zone for name, queue in desk.queues.items()}
    return {operator.name: operator.absences for operator in desk.operators.values()} | zones


def check_decisions(desk: Desk, decisions: list[Decided], before: dict[str, Any]) -> None:
    """An offer by the mode never exceeds a capacity. ``before``: days off when the batch began; who was chosen and
    then, in the same batch, declared absent, was there."""
    by_mode = [d for d in decisions if d.chosen and d.why in ("even", "strict", "least_loaded")]
    for decision in by_mode:
        name = decision.chosen
        queue = desk.queues.get(decision.line)
        require(name not in decision.dropped, f"{name} was dropped and chosen")
        if queue is not None:
            absences, zone = desk.operators[name].absences, queue.rules.zone
            is_new = before.get(name) != absences or before.get(decision.line) != zone
            absent = not is_new and is_absent(absences, zone, decision.at)
            require(not absent, f"{name} is absent and chosen")


def check_saved(desk: Desk, server: SimulatedRedis, keys: Keys) -> None:
    """What is saved is what the desk has."""
    sessions = {k.decode(): v for k, v in server.values.get(keys.sessions.encode(), {}).items()}
    require(sessions.keys() == desk.sessions.keys(), "other sessions are saved than there are")
    for id, data in sessions.items():
        _same(f"session {id}", decode_session(data), desk.sessions[id])
    for name, data in server.values.get(keys.operators.encode(), {}).items():
        saved = decode_operator(data)
        _same(f"operator {saved.name}", saved, desk.operators[name.decode()])
    fields = server.values.get(keys.desk.encode(), {})
    for name in ("next_session", "stamp", "configured"):
        if name.encode() in fields:
            require(fields[name.encode()] == msgspec.msgpack.encode(getattr(desk, name)), f"{name} is stale")


def _same(what: str, saved: msgspec.Struct, there: msgspec.Struct) -> None:
    other = [n for n in saved.__struct_fields__ if getattr(saved, n) != getattr(there, n)]
    require(not other, f"{what} is saved with another {', '.join(other)}")
