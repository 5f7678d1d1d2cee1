"""The gateway's picture of the desk: open sessions, operators and lines as the journal tells them, and
what of it one login may see. Applying an entry twice, or an older one, changes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping

from crm.kernel.spelling import fold
from router.desk.events import LinesConfigured
from router.desk.hours import Calendar, calendar_of
from router.desk.state import HELD, Entry, OperatorState, Session
from router.gateway.access import Access
from router.gateway.index import SessionIndex, is_listed, people
from router.log.log import now_ms
from router.wire.protocol import LineView, OperatorView, SessionView

WAITING_SHOWN = 500
"""So many waiting sessions of a line are listed; the counters count all."""


class Picture:
    """Everything that is open now."""

    def __init__(self) -> None:
        self.index = SessionIndex()
        self.operators: dict[str, OperatorState] = {}
        self.configured = LinesConfigured(lines={}, channels={})
        self.position = "0"
        """The newest journal entry taken up."""
        self.can: Mapping[str, list[str]] = {}
        """Channel -> what it can do, by name."""
        self.ahead = 0
        """By how many ms the desk's clock is ahead of ours."""
        self._members_of: LinesConfigured | None = None
        self._members_by_line: dict[str, frozenset[str]] = {}
        self._open = Opening(lambda: self.configured, self.now)

    @property
    def sessions(self) -> Mapping[str, Session]:
        return self.index.sessions

    def now(self) -> int:
        """The time (ms) by the clock that the desk's own times were written with."""
        return now_ms() + self.ahead

    # ---------------------------------------------------------------- keeping it current

    def load(
        self, configured: LinesConfigured, sessions: Iterable[Session], operators: Iterable[OperatorState]
    ) -> None:
        self.index = SessionIndex()
        self.configured = configured
        self.index.fill(sessions)
        self.operators = {o.name: o for o in operators}

    def apply(self, entry: Entry) -> list[tuple[Session, Session | None]]:
        """Takes up an entry; returns the sessions that are news, each with what it was before."""
        news = []
        for session in entry.sessions:
            old = self.sessions.get(session.id)
            if old is not None and old.rev >= session.rev:
                continue
            if session.status != "closed":
                self.index.put(session, old)
            elif old is not None:
                self.index.drop(old)
            news.append((session, old))
        for operator in entry.operators:
            known = self.operators.get(operator.name)
            if known is None or known.rev < operator.rev:
                self.operators[operator.name] = operator
        return news

    def session_of_chat(self, chat: str) -> str:
        """The chat's open session, or nothing."""
        return self.index.of_chat(chat)

    # ---------------------------------------------------------------- what a login sees

    @staticmethod
    def may_read(access: Access, session: Session) -> bool:
        guests = (*session.guests, *session.silent, session.bot_turn.name, session.hand.transfer_from)
        return access.may("read", session.line, holder=session.holder, guests=guests)

    def concerns(self, access: Access, session: Session) -> bool:
        """Whether the session belongs on this login's lists: his own, or waiting in his lines."""
        if session.status == "closed":
            return False
        if access.name in people(session):
            return True
        return is_listed(session) and access.may("read", session.line)

    def listed(self, access: Access) -> list[Session]:
        """The sessions of this login's lists."""
        own = self.index.of_person(access.name)
        for line in sorted(access.lines):
            waiting = (
                s for s in self.index.listed(line)
                if access.name not in people(s) and self.concerns(access, s)
            )  # fmt: skip
            own += itertools.islice(waiting, WAITING_SHOWN)
        return own

    def found(
        self, access: Access, *, line: str = "", status: str = "", holder: str = "", customer: str = "",
        tag: str = "",
    ) -> Iterator[Session]:  # fmt: skip
        """The open sessions that this login may read and that are all of what is given, newest first."""
        folded = fold(tag)
        lines = access.lines & {line} if line else access.lines
        return (
            s
            for s in self.index.candidates(
                access.name, lines, status=status, holder=holder, customer=customer, tag=tag
            )
            if line in ("", s.line)
            and status in ("", s.status)
            and holder in ("", s.holder)
            and customer in ("", s.customer)
            and (not tag or folded in map(fold, s.tags))
            and self.may_read(access, s)
        )

    def colleagues(self, access: Access) -> list[OperatorView]:
        return [
            self.operator_view(o)
            for o in sorted(self.operators.values(), key=lambda o: o.name)
            if not o.disabled and self.is_colleague(access, o)
        ]

    def is_colleague(self, access: Access, operator: OperatorState) -> bool:
        """Whoever works in one of my lines, or leads."""
        if operator.name == access.name or operator.role != "operator":
            return True
        return any(
            operator.name in self._members(name) or name in operator.lines
            for name in access.lines
            if name in self.configured.lines
        )

    def _members(self, line: str) -> frozenset[str]:
        if self._members_of is not self.configured:
            lines = self.configured.lines.items()
            self._members_of = self.configured
            self._members_by_line = {name: frozenset(rules.members) for name, rules in lines}
        return self._members_by_line[line]

    # ---------------------------------------------------------------- views

    def line_view(self, name: str) -> LineView:
        rules = self.configured.lines[name]
        return LineView(
            name=name,
            mode=rules.mode,
            members=rules.members,
            answer_within=rules.answer_within,
            waiting=self.index.count(name, "waiting"),
            oldest=self.index.oldest(name),
            offered=self.index.count(name, "offered"),
            taken=sum(self.index.count(name, status) for status in HELD),
            open=self._open.now(name),
            results=rules.results,
            bot=rules.bot,
        )

    def turned(self) -> list[str]:
        """Lines that have opened or closed since the last time."""
        return self._open.turned()

    def operator_view(self, operator: OperatorState) -> OperatorView:
        return OperatorView(
            name=operator.name,
            role=operator.role,
            lines=operator.lines,
            duty=operator.duty,
            duty_reason=operator.duty_reason,
            skills=operator.skills,
            languages=operator.languages,
            load=operator.load,
            max_sessions=operator.max_sessions,
            here=operator.here,
        )

    def view(self, session: Session, access: Access) -> SessionView:
        """What this login sees of a session."""
        return self.view_for(session, silent=session.line in access.sees_silent)

    def view_for(self, session: Session, *, silent: bool) -> SessionView:
        """The same for all who are told of silent readers, or for all who are not."""
        ours, offer, hand = session.last_direction == "out", session.offer, session.hand
        return SessionView(
            id=session.id, chat=session.chat, channel=session.channel, kind=session.kind, line=session.line,
            status=session.status, customer=session.customer, holder=session.holder, name=session.name,
            priority=session.priority, opened_at=session.opened_at, first_answer_at=session.first_answer_at,
            closed_at=session.closed_at, unread=session.unread, rev=session.rev, seq=session.seq,
            arrival=session.wait.arrival, waiting_since=session.waiting_since, last_at=session.last_at,
            last_text=session.last_text, last_direction=session.last_direction, last_kind=session.last_kind,
            offer_until=offer.until, offered_at=offer.began, seen_by=offer.seen_by,
            guests=session.guests,
            transfer_from=hand.transfer_from, return_reason=session.wait.return_reason, result=session.result,
            pinned=hand.pinned, can_write=session.can_write, can=self.can.get(session.channel, []),
            vip=session.vip, snoozed=hand.snoozed, silent=session.silent if silent else [],
            bot=session.bot_turn.name, offer_kind=offer.kind, rating=session.rating, language=session.language,
            tags=session.tags, asked_text=session.asked_text if ours else "",
            asked_kind=session.asked_kind if ours else "",
        )  # fmt: skip


class Opening:
    """Which lines are within their working hours."""

    def __init__(self, configured: Callable[[], LinesConfigured], clock: Callable[[], int]) -> None:
        self._configured = configured
        self._clock = clock
        self._calendars: dict[str, Calendar] = {}
        self._of: LinesConfigured | None = None
        self._last: dict[str, bool] = {}

    def now(self, line: str) -> bool:
        if self._of is not self._configured():
            self._of, self._calendars = self._configured(), {}
        rules = self._of.lines[line]
        calendar = self._calendars.get(line)
        if calendar is None:
            calendar = calendar_of(rules.zone, rules.hours, rules.days, rules.holidays)
            self._calendars[line] = calendar
        return calendar.is_open(self._clock())

    def turned(self) -> list[str]:
        last, self._last = self._last, {line: self.now(line) for line in self._configured().lines}
        return [line for line, is_open in self._last.items() if last.get(line, is_open) != is_open]
