"""The figures of what the projector writes: facts of sessions, and rollups of them.

Rollups are written whole, never counted up in the store, together with the facts that made them so and with
the place in the journal. Facts know what they were told last: told again, they do not change. So a batch that
is written twice counts once.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Generic, TypeVar

from msgspec.structs import replace

from crm.kernel.errors import Unavailable
from crm.kernel.ports import Document, Store, Write
from crm.statistics import facts as rules
from crm.statistics.cells import (
    CLIENTS,
    Cell,
    RollupKey,
    Tally,
    add_to_rollups,
    cell_of,
    document_of,
)
from crm.statistics.clients import Visits, cells_of
from crm.statistics.facts import Case, Facts, Times
from router.desk.state import Alert, AnyTold, MessageAdded, Rated, Session, Stood
from router.desk.state import document_of as document_of_session
from router.history.rebuild import packed, relived

logger = logging.getLogger(__name__)

LOOKUP = 400
"""Keys of one query."""
CASES, ROLLUPS, VISITORS = 5_000, 2_000, 5_000
"""So many of each are kept in memory."""

T = TypeVar("T")


class Working(Generic[T]):
    """Documents of a collection that are being worked on, as the store has them or will have with the next
    write; those used longest ago are read again when they are needed."""

    def __init__(self, store: Store, collection: str, most: int, read: Callable[[Document], T]) -> None:
        self._store = store
        self._collection = collection
        self._most = most
        self._read = read
        self._known: OrderedDict[str, T | None] = OrderedDict()

    async def load(self, ids: Iterable[str]) -> None:
        wanted = list(dict.fromkeys(ids))
        for id in wanted:
            if id in self._known:
                self._known.move_to_end(id)
        unknown = [id for id in wanted if id not in self._known]
        for start in range(0, len(unknown), LOOKUP):
            piece = unknown[start : start + LOOKUP]
            self._known |= dict.fromkeys(piece)
            for document in await self._store.find(self._collection, {"_id": {"$in": piece}}):
                self._known[document["_id"]] = self._read(document)

    def get(self, id: str) -> T | None:
        return self._known.get(id)

    def put(self, id: str, value: T) -> T:
        self._known[id] = value
        return value

    def trim(self) -> None:
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def forget(self) -> None:
        self._known.clear()


class Counting:
    """What of the journal's batches becomes figures. ``forget`` when a write has failed."""

    def __init__(self, store: Store, times: Times) -> None:
        self._store = store
        self._times = times
        self._cases: Working[Case] = Working(store, "facts", CASES, rules.case_of)
        self._rollups: Working[Cell] = Working(store, "rollups", ROLLUPS, cell_of)
        self._visits: Working[Visits] = Working(store, "visitors", VISITORS, visits_of)

    def forget(self) -> None:
        for kept in (self._cases, self._rollups, self._visits):
            kept.forget()

    async def writes(
        self, told: Sequence[tuple[str, AnyTold]], sessions: Mapping[str, Session]
    ) -> list[Write]:
        """``told``: each with its place in the journal, in order. ``sessions``: their states after it."""
        try:
            return await self._writes(told, sessions)
        except (Unavailable, MemoryError):
            raise
        except Exception:  # figures that cannot be made cost nobody his history
            logger.exception("%d things told are not counted", len(told))
            self.forget()
            return []

    async def _writes(
        self, told: Sequence[tuple[str, AnyTold]], sessions: Mapping[str, Session]
    ) -> list[Write]:
        of: dict[str, list[tuple[str, AnyTold]]] = {id: [] for id in sessions}
        for at, one in told:
            if (id := session_of(one)) and (id in sessions or _counts(one)):
                of.setdefault(id, []).append((at, one))
        await self._cases.load(of)
        work = _Work(self._times, await self._begun(of, sessions))
        for id, events in of.items():
            try:
                case = work.go_on(id, self._cases.get(id), events, sessions.get(id))
            except Exception:  # a figure that cannot be made costs nobody his history
                logger.exception("session %s is not counted", id)
            else:
                if case is not None:
                    self._cases.put(id, case)
        writes = [Write.replace("facts", rules.document_of(case), plain=True) for case in work.changed]
        writes += await self._roll_up(work)
        self._cases.trim()
        return writes

    async def _begun(
        self, of: Mapping[str, Sequence[tuple[str, AnyTold]]], sessions: Mapping[str, Session]
    ) -> dict[str, Case]:
        """Sessions that began before anybody counted, and go on: as their threads tell of them."""
        begun: dict[str, Case] = {}
        for id, events in of.items():
            if id not in sessions or self._cases.get(id) is not None:
                continue
            said = (told.message.seq for _, told in events if isinstance(told, MessageAdded))
            seq = next(said, sessions[id].seq + 1)
            if seq > 1:
                # How it stands after this batch, the batch itself tells.
                session = document_of_session(sessions[id]) | {"_id": id, "status": ""}
                begun[id] = await relived(self._store, session, self._times, before=seq)
        return begun

    async def _roll_up(self, work: _Work) -> list[Write]:
        changes: dict[RollupKey, Cell] = {}
        for spot, cell in work.difference.cells.items():
            add_to_rollups(changes, spot, cell)
        writes = await self._visitors(work.visits, changes)
        changed = {key.id: (key, change) for key, change in changes.items() if not change.is_empty}
        await self._rollups.load(changed)
        for id, (key, change) in changed.items():
            cell = self._rollups.get(id) or self._rollups.put(id, Cell())
            cell.merge(change)
            writes.append(Write.replace("rollups", document_of(key, cell), plain=True))
        self._rollups.trim()
        return writes

    async def _visitors(
        self, came: Mapping[tuple[str, str, str], int], changes: dict[RollupKey, Cell]
    ) -> list[Write]:
        by_customer: dict[str, Visits] = {}
        for (customer, line, day), by in came.items():
            if by:
                by_customer.setdefault(customer, {})[line, day] = by
        await self._visits.load(by_customer)
        writes = []
        for customer, steps in by_customer.items():
            visits = self._visits.get(customer) or {}
            before = cells_of(visits)
            for place, by in steps.items():
                visits[place] = visits.get(place, 0) + by
                if not visits[place]:
                    del visits[place]
            self._visits.put(customer, visits)
            for sign, cells in ((-1, before), (1, cells_of(visits))):
                for (line, day), cell in cells.items():
                    key = RollupKey(CLIENTS, day, line, "", "")
                    changes.setdefault(key, Cell()).merge(cell, sign)
            writes.append(Write.replace("visitors", packed(customer, visits), plain=True))
        self._visits.trim()
        return writes


def visits_of(document: Document) -> Visits:
    return {(one["line"], one["day"]): one["times"] for one in document["days"]}


def session_of(told: AnyTold) -> str:
    """Whom of the sessions it is about, where figures are made of it."""
    if isinstance(told, MessageAdded):
        return told.message.session
    return told.session if isinstance(told, (Stood, Rated, Alert)) else ""


def _counts(told: AnyTold) -> bool:
    return not isinstance(told, Alert) or told.name in ("no_answer", "sla_breach")


class _Work:
    """One batch: by how much it changes the figures."""

    def __init__(self, times: Times, begun: Mapping[str, Case]) -> None:
        self._times = times
        self._begun = begun
        self.difference = Tally()
        self.visits: dict[tuple[str, str, str], int] = {}
        self.changed: list[Case] = []

    def go_on(
        self, id: str, case: Case | None, events: Sequence[tuple[str, AnyTold]], session: Session | None
    ) -> Case | None:
        """The session's case after what it is told. Nothing changes where that raises."""
        before = case
        case = Case(copy(before.facts)) if before else self._begun.get(id) or begun(id, events, session)
        if case is None:
            return None  # a rating of what nobody knows
        for at, told in events:
            if at > case.facts.applied:
                tell(case, told, self._times)
                case.facts.applied = at
        if session is not None:
            catch_up(case, session)
        if before is None:
            before = Case(Facts(id=id))
        elif not case.marks.cells and replace(before.facts, applied=case.facts.applied) == case.facts:
            return None
        self._count(before, case)
        return case

    def _count(self, before: Case, case: Case) -> None:
        """``case`` has only what has been added to its marks; it gets the others too."""
        added, case.marks = case.marks, before.marks
        case.standing = before.standing
        if case.depends() != before.depends():
            case.standing = case.stands(self._times)
            self.difference.merge(before.standing, -1)
            self.difference.merge(case.standing)
        if before.is_spam != case.is_spam:
            self.difference.merge(before.marks, -1 if case.is_spam else 1)
        if not case.is_spam:
            self.difference.merge(added)
        case.marks.merge(added)
        if case.visits() != before.visits():
            self._moved(before.visit(self._times), -1)
            self._moved(case.visit(self._times), 1)
        self.changed.append(case)

    def _moved(self, visit: tuple[str, str, str] | None, by: int) -> None:
        if visit is not None:
            self.visits[visit] = self.visits.get(visit, 0) + by


def begun(id: str, events: Sequence[tuple[str, AnyTold]], session: Session | None) -> Case | None:
    """Of a session that nothing was known of: in the line in which it first stood."""
    stood = next((told for _, told in events if isinstance(told, Stood)), None)
    said = next((told.message for _, told in events if isinstance(told, MessageAdded)), None)
    line = stood.line if stood else session.line if session else ""
    chat = session.chat if session else said.chat if said else ""
    if not line or not chat:
        return None
    opened_at = session.opened_at if session else 0
    opened_at = opened_at or (said.at if said else 0)
    return Case(
        Facts(
            id=id, channel=chat.partition(":")[0], line=line, opened_line=line, opened_at=opened_at,
            line_since=opened_at, customer=session.customer if session else "",
        )
    )  # fmt: skip


def tell(case: Case, told: AnyTold, times: Times) -> None:
    if isinstance(told, MessageAdded):
        case.said(told.message, times)
    elif isinstance(told, Stood):
        case.stood(
            told.at, told.line, told.phase, times, holder=told.holder, offered_at=told.offered_at,
            missed=told.missed,
        )  # fmt: skip
    elif isinstance(told, Rated):
        case.rated(told.score, by_supervisor=bool(told.by))
    elif isinstance(told, Alert) and told.name == "no_answer":
        case.no_answer(told.at)
    elif isinstance(told, Alert) and told.name == "sla_breach":
        case.breached(told.at, told.params.get("clock", ""), told.operator, times)


def catch_up(case: Case, session: Session) -> None:
    """What only the session's own state says."""
    facts = case.facts
    facts.customer = session.customer
    facts.outgoing = session.outgoing
    facts.asked = session.rating_asked
    facts.tags = list(session.tags)
    if session.opened_at != facts.opened_at:
        if facts.line_since == facts.opened_at:
            facts.line_since = session.opened_at
        facts.opened_at = session.opened_at
    if session.status in rules.ENDED and not facts.ended_at:
        # Told by a version that did not say so.
        facts.ended_at = session.closed_at or session.last_at
        facts.phase = session.status
