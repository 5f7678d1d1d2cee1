"""Open sessions, found by what is asked for without looking at all of them.

Everything is kept current with each change; a session costs about 300 bytes here, whatever is asked. The
numbers in the lists are sessions' ids.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from sortedcontainers import SortedList

from crm.kernel.spelling import fold
from router.desk.state import Session

Place = tuple[int, int, int]
"""Where a waiting session stands in the list of its line: (-priority, arrival, id)."""


class SessionIndex:
    """``sessions`` has all of them by id. ``put`` and ``drop`` want what was put before."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self._by_chat: dict[str, str] = {}
        self._by_customer: dict[str, tuple[str, ...]] = {}
        self._by_tag: dict[str, dict[str, None]] = {}
        self._by_person: dict[str, dict[str, None]] = {}
        self._handed_by: dict[str, dict[str, None]] = {}
        self._numbers: dict[tuple[str, str], SortedList[int]] = {}
        """(line, status) -> ids."""
        self._backlogs: dict[str, Backlog] = {}

    def fill(self, sessions: Iterable[Session]) -> None:
        """Puts the first ones, each of another id: in a third of the time that ``put`` would need."""
        numbers: dict[tuple[str, str], list[int]] = {}
        backlogs: dict[str, tuple[list[Place], list[int]]] = {}
        for session in sessions:
            self.sessions[session.id] = session
            self._by_chat[session.chat] = session.id
            numbers.setdefault((session.line, session.status), []).append(int(session.id))
            others = self._by_customer.get(session.customer, ())
            self._by_customer[session.customer] = (*others, session.id)
            place, arrival = _waits(session)
            if arrival is not None:
                places, arrivals = backlogs.setdefault(session.line, ([], []))
                arrivals.append(arrival)
                if place is not None:
                    places.append(place)
            self._name(session, None)
        self._numbers = {key: SortedList(ids) for key, ids in numbers.items()}
        self._backlogs = {line: Backlog(*parts) for line, parts in backlogs.items()}

    def put(self, session: Session, old: Session | None) -> None:
        self.sessions[session.id] = session
        if old is not None and old.chat != session.chat:
            self._forget_chat(old)
        self._by_chat[session.chat] = session.id
        if old is None or (old.line, old.status) != (session.line, session.status):
            self._uncount(old)
            numbers = self._numbers.get((session.line, session.status))
            if numbers is None:
                numbers = self._numbers[session.line, session.status] = SortedList()
            numbers.add(int(session.id))
        if old is None or old.customer != session.customer:
            self._forget_customer(old)
            others = self._by_customer.get(session.customer, ())
            self._by_customer[session.customer] = (*others, session.id)
        self._wait(session, old)
        self._name(session, old)

    def drop(self, old: Session) -> None:
        self.sessions.pop(old.id, None)
        self._forget_chat(old)
        self._uncount(old)
        self._forget_customer(old)
        self._wait(None, old)
        self._name(None, old)

    def _forget_chat(self, old: Session) -> None:
        if self._by_chat.get(old.chat) == old.id:
            del self._by_chat[old.chat]

    def _uncount(self, old: Session | None) -> None:
        if old is not None:
            self._numbers[old.line, old.status].remove(int(old.id))

    def _forget_customer(self, old: Session | None) -> None:
        if old is None:
            return
        others = tuple(id for id in self._by_customer[old.customer] if id != old.id)
        if others:
            self._by_customer[old.customer] = others
        else:
            del self._by_customer[old.customer]

    def _wait(self, session: Session | None, old: Session | None) -> None:
        before = (old.line, *_waits(old)) if old is not None else ("", None, None)
        now = (session.line, *_waits(session)) if session is not None else ("", None, None)
        if before != now:
            for (line, place, arrival), change in ((before, Backlog.remove), (now, Backlog.add)):
                if arrival is not None:
                    if line not in self._backlogs:
                        self._backlogs[line] = Backlog()
                    change(self._backlogs[line], place, arrival)

    def _name(self, session: Session | None, old: Session | None) -> None:
        """A session that has changed stands last among those of a person."""
        if old is not None:
            for name in people(old):
                _remove(self._by_person, name, old.id)
        if session is not None:
            for name in people(session):
                self._by_person.setdefault(name, {})[session.id] = None
        for groups, words in ((self._handed_by, _giver), (self._by_tag, _tags)):
            before = words(old) if old is not None else ()
            now = words(session) if session is not None else ()
            if before != now:
                either = session or old
                assert either is not None
                for word in before:
                    _remove(groups, word, either.id)
                for word in now:
                    groups.setdefault(word, {})[either.id] = None

    # ---------------------------------------------------------------- asking

    def of_chat(self, chat: str) -> str:
        """The chat's open session, or nothing."""
        return self._by_chat.get(chat, "")

    def of_person(self, name: str) -> list[Session]:
        """Those on this operator's, or external bot's, own lists."""
        return [self.sessions[id] for id in self._by_person.get(name, ())]

    def count(self, line: str, status: str) -> int:
        return len(self._numbers.get((line, status), ()))

    def oldest(self, line: str) -> int:
        """The arrival of whoever waits longest in the line; 0 when nobody does."""
        backlog = self._backlogs.get(line)
        return backlog.oldest if backlog is not None else 0

    def listed(self, line: str) -> Iterator[Session]:
        """Those that all who may read the line see wait, in the order of its queue."""
        backlog = self._backlogs.get(line)
        for _, _, number in backlog.places if backlog is not None else ():
            yield self.sessions[str(number)]

    def candidates(
        self, name: str, lines: Iterable[str], *, status: str, holder: str, customer: str, tag: str
    ) -> Iterator[Session]:
        """Newest first and each once, all that match what is given, and more: those of these lines, and
        those of others in which ``name`` may have a part."""
        narrow = self._narrowest(holder, customer, tag)
        if narrow is not None:
            return map(self.sessions.__getitem__, sorted(narrow, key=int, reverse=True))
        wanted = set(lines)
        there = [
            reversed(numbers)
            for (line, of), numbers in self._numbers.items()
            if line in wanted and status in ("", of)
        ]
        own = {*self._by_person.get(name, ()), *self._handed_by.get(name, ())}
        elsewhere = [int(id) for id in own if self.sessions[id].line not in wanted]
        numbers = heapq.merge(*there, sorted(elsewhere, reverse=True), reverse=True)
        return (self.sessions[str(number)] for number in numbers)

    def _narrowest(self, holder: str, customer: str, tag: str) -> Iterable[str] | None:
        if customer:
            return self._by_customer.get(customer, ())
        if holder:
            return self._by_person.get(holder, ())
        return self._by_tag.get(fold(tag), ()) if tag else None


class Backlog:
    """Who waits in one line. Those that only some see wait have no place."""

    def __init__(self, places: Iterable[Place] = (), arrivals: Iterable[int] = ()) -> None:
        self.places: SortedList[Place] = SortedList(places)
        self._arrivals: SortedList[int] = SortedList(arrivals)

    @property
    def oldest(self) -> int:
        return self._arrivals[0] if self._arrivals else 0

    def add(self, place: Place | None, arrival: int) -> None:
        self._arrivals.add(arrival)
        if place is not None:
            self.places.add(place)

    def remove(self, place: Place | None, arrival: int) -> None:
        self._arrivals.remove(arrival)
        if place is not None:
            self.places.remove(place)


def is_waiting(session: Session) -> bool:
    """In the backlog: waiting, or in mode ``all`` shown to some and taken by nobody."""
    return session.status == "waiting" or (session.status == "offered" and not session.holder)


def is_listed(session: Session) -> bool:
    """Whether all who may read its line see it wait."""
    return is_waiting(session) and not session.offer.seen_by


def people(session: Session) -> tuple[str, ...]:
    """Operators, and the external bot, on whose own lists the session stands."""
    seen_by, bot = session.offer.seen_by, session.bot_turn.name
    if seen_by or session.guests or session.silent or bot:
        own = {session.holder, bot, *seen_by, *session.guests, *session.silent}
        return tuple(own - {""})
    return (session.holder,) if session.holder else ()


def _waits(session: Session) -> tuple[Place | None, int | None]:
    if not is_waiting(session):
        return None, None
    listed = (-session.priority, session.wait.arrival, int(session.id)) if is_listed(session) else None
    return listed, session.wait.arrival


def _giver(session: Session) -> tuple[str, ...]:
    sender = session.hand.transfer_from
    return (sender,) if sender else ()


def _tags(session: Session) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(fold, session.tags))) if session.tags else ()


def _remove(groups: dict[str, dict[str, None]], name: str, id: str) -> None:
    group = groups.get(name)
    if group is not None:
        group.pop(id, None)
        if not group:
            del groups[name]
