"""One batch of the journal as writes of the store.

Everything here may happen twice: a message that is there already stays as it is, and each message
remembers the last change that reached it (``applied``).
"""

from __future__ import annotations

import itertools
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from crm.conversations import history
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.ports import Document, Store, Write
from crm.kernel.records import Message, MessageChange, apply_change, customer_of, person_chat, to_document
from router.desk.state import (
    Alert,
    AnyTold,
    Audit,
    CustomerSeen,
    Decided,
    Entry,
    Erased,
    FieldsFilled,
    MessageAdded,
    MessageChanged,
    Rated,
    Session,
    Stray,
    document_of,
    encode,
)
from router.history.cards import card_writes, customer_writes, handled_write
from router.history.erased import ErasedPeople, erasure_writes
from router.history.leads import LeadBatch, LeadMemory, SessionLead
from router.history.reaching import attested_writes, line_write, suggestion_writes
from router.log.log import id_key

logger = logging.getLogger(__name__)

LOOKUP = 400
"""Keys of one query."""

UNREAD = ("sent", "delivered")
"""Outgoing messages in these states become ``read`` with a later one."""

SCORE = ("score", "score_by", "score_comment")
"""What a supervisor's judgement leaves on a session."""

_COLLECTIONS: dict[type, str] = {Alert: "alerts", Audit: "audit", Decided: "decisions", Stray: "strays"}


class SessionContext(NamedTuple):
    """To whom and where the messages of a session belong."""

    customer: str
    line: str
    channel: str


class Early(NamedTuple):
    """A change that came before its message; ``stamp`` is its id in the store."""

    stamp: str
    change: MessageChange


class Memory:
    """What is kept between batches: changes that wait, by the key of their message, and where the
    sessions are. The store has all of it too."""

    MAX_SESSIONS = 50_000
    MAX_EARLY = 10_000

    def __init__(self, crm: CrmSettings | None = None) -> None:
        self.early: dict[str, list[Early]] = {}
        self.leads = LeadMemory(crm)
        self.places: dict[str, SessionContext] = {}
        self.revs: dict[str, int] = {}
        self.erased = ErasedPeople()
        self.scores: dict[str, Document] = {}
        """Session -> what a supervisor's judgement left on it: the desk does not remember that."""
        self._waiting = 0

    def keep(self, key: str, early: Early) -> list[Early]:
        """Lets a change wait for its message. Returns those that have waited longest and give up."""
        waiting = self.early.setdefault(key, [])
        if early in waiting:
            return []
        waiting.append(early)
        self._waiting += 1
        return self.take(next(iter(self.early))) if self._waiting > self.MAX_EARLY else []

    def take(self, key: str) -> list[Early]:
        """The changes that wait for a message, which wait no longer."""
        found = self.early.pop(key, [])
        self._waiting -= len(found)
        return found

    def beside(self, session: str) -> Document:
        """What the store has of a session beside what the desk says of it."""
        lead = self.leads.sessions.get(session)
        return self.scores.get(session, {}) | (lead.document() if lead else {})

    def marked(self) -> set[str]:
        """The chats for which a read mark waits."""
        return {e.change.chat for waiting in self.early.values() for e in waiting if e.change.up_to}

    def remember(self, session: str, place: SessionContext, rev: int) -> None:
        self.places.pop(session, None)
        self.places[session] = place
        self.revs[session] = rev
        if len(self.places) > self.MAX_SESSIONS:
            oldest = next(iter(self.places))
            del self.places[oldest], self.revs[oldest]
            self.scores.pop(oldest, None)
            self.leads.sessions.pop(oldest, None)


class _Row:
    """A message of the batch. ``document`` is what the store has, nothing for a new one."""

    __slots__ = ("applied", "changed", "document", "message", "place", "source")

    def __init__(self, message: Message, place: SessionContext, document: Document | None = None) -> None:
        self.message = message
        self.place = place
        self.document = document
        self.applied: str = document.get("applied", "") if document else ""
        self.source: str = document["source"] if document else ""
        self.changed = document is None

    def to_document(self) -> Document:
        document = history.message_document(self.message, **self.place._asdict())
        document["source"] = self.source or document["source"]
        if self.applied:
            document["applied"] = self.applied
        return document


def stamp(journal_id: str, index: int) -> str:
    """The order of what the journal tells, as text."""
    ms, n = id_key(journal_id)
    return f"{ms:015d}-{n:06d}-{index:05d}"


class Batch:
    """Journal entries on their way into the store: ``load`` what they touch, then ``writes``."""

    def __init__(
        self,
        store: Store,
        memory: Memory,
        entries: Sequence[tuple[str, Entry]],
        only: Collection[int | str] | None = None,
    ) -> None:
        """``only``: of what is told these numbers, and of the sessions these ids; the others are in the
        store already, or never will be."""
        self._store = store
        self._memory = memory
        self._only = only
        self._told: list[tuple[str, AnyTold]] = [
            (stamp(id, index), told)
            for id, entry in entries
            for index, told in enumerate(entry.told)
            if (only is None or index in only) and not self._is_erased(told)
        ]
        self._sessions = _newest(entry.sessions for _, entry in entries)
        for id in memory.erased.sessions & self._sessions.keys():
            del self._sessions[id]
        self._rows: dict[str, _Row] = {}
        self._by_source: dict[str, str] = {}
        self._unread: dict[str, set[str]] = defaultdict(set)
        self._moved: dict[str, SessionContext] = {}
        """Sessions that are somewhere else now, or somebody else's, and where they were."""
        self._came: set[tuple[str, str]] = set()
        """Customers who came into a line."""
        self._leads = LeadBatch(store, memory.leads)
        self._lines_changed = any(entry.lines_changed for _, entry in entries)
        self._rated: dict[str, Document] = {}
        """Sessions that were rated after the desk had forgotten them."""
        self._records: list[Write] = []
        self._writes: list[Write] = []
        self._unbelieved: set[str] = set()
        """Ratings that somebody gave of another's session."""
        self._after: list[Write] = []
        """What goes onto sessions when they have been written."""

    def _is_erased(self, told: AnyTold) -> bool:
        if isinstance(told, Erased):
            self._memory.erased.learn(told)
        return self._memory.erased.forgot(told)

    # ---------------------------------------------------------------- what the store knows

    async def load(self) -> None:
        """Reads the messages and sessions that the batch touches; leaves out sessions of which the
        store has a newer state."""
        added = [t.message for _, t in self._told if isinstance(t, MessageAdded)]
        changes = [t.change for _, t in self._told if isinstance(t, MessageChanged)]
        await self._load_places({m.session for m in added} | self._sessions.keys())
        await self._leads.load(self._sessions.values(), lines_changed=self._lines_changed)
        await self._load_rows("_id", {m.id for m in added} | {c.id for c in changes if c.id})
        incoming = {history.source(m.chat, m.external_id) for m in added if _is_incoming(m)}
        named = {history.source(c.chat, c.external_id) for c in changes if not c.id and c.external_id}
        await self._load_rows("source", incoming | named)
        await self._load_rows("sent_as", named)
        touched = {m.chat for m in added} | {c.chat for c in changes}
        marked = {c.chat for c in changes if c.up_to} | (self._memory.marked() & touched)
        for chat in marked:
            await self._load({"chat": chat, "delivery": {"$in": list(UNREAD)}})
        for session in self._moved:
            await self._load({"session": session})
        rated = {t.session for _, t in self._told if isinstance(t, Rated) and not t.operator}
        for keys in _pieces(rated - self._sessions.keys()):
            for document in await self._store.find("sessions", {"_id": {"$in": keys}}):
                self._rated[document["_id"]] = document

    async def _load_places(self, sessions: set[str]) -> None:
        unknown = (sessions - self._memory.places.keys()) | (
            self._sessions.keys() - self._memory.leads.sessions.keys()
        )
        for keys in _pieces(unknown):
            for document in await self._store.find("sessions", {"_id": {"$in": keys}}):
                place = SessionContext(document["customer"], document["line"], document["channel"])
                self._memory.remember(document["_id"], place, document["rev"])
                self._memory.leads.sessions[document["_id"]] = SessionLead.of(document)
                if document.get("score"):
                    self._memory.scores[document["_id"]] = {name: document.get(name, "") for name in SCORE}
        for session in list(self._sessions.values()):
            if self._memory.revs.get(session.id, 0) > session.rev:
                del self._sessions[session.id]
                continue
            place = SessionContext(session.customer, session.line, session.channel)
            before = self._memory.places.get(session.id)
            if before != place and place.customer:
                self._came.add((place.customer, place.line))
            if before is not None and before != place:
                self._moved[session.id] = before
            self._memory.remember(session.id, place, session.rev)

    async def _load_rows(self, field: str, keys: set[str]) -> None:
        for piece in _pieces(keys):
            await self._load({field: {"$in": piece}})

    async def _load(self, wanted: dict[str, Any]) -> None:
        for document in await self._store.find("messages", wanted):
            if document["_id"] not in self._rows:
                place = SessionContext(document["customer"], document["line"], document["channel"])
                self._hold(_Row(history.message(document), place, document))

    def _hold(self, row: _Row) -> None:
        message = row.message
        self._rows[message.id] = row
        for key in _keys(message, row.source):
            self._by_source.setdefault(key, message.id)
        if message.direction == "out":
            self._unread[message.chat].add(message.id)

    # ---------------------------------------------------------------- what happened

    def writes(self) -> list[Write]:
        """What the batch changes, in an order that is safe to break off and to repeat: a change that
        waits is kept before, and let go after its message has it."""
        for at, told in self._told:
            if isinstance(told, MessageAdded):
                self._added(at, told.message)
            elif isinstance(told, MessageChanged):
                self._changed(at, told.change)
            elif isinstance(told, CustomerSeen):
                self._writes += customer_writes(told)
                self._writes += attested_writes(told, self._memory.leads.settings.country)
            elif isinstance(told, FieldsFilled):
                self._writes += card_writes(told)
            elif isinstance(told, Rated):
                self._rate(at, told)
            elif isinstance(told, Erased):
                self._writes += erasure_writes(told)
            elif type(told) in _COLLECTIONS:
                self._records.append(_record(_COLLECTIONS[type(told)], at, told))
        for session in self._moved:
            self._move(session)
        sessions = self._written
        self._writes += (line_write(customer, line) for customer, line in sorted(self._came))
        self._writes += self._lead_writes(sessions)
        rows = [row for row in self._rows.values() if row.changed]
        return [
            *self._records,
            *(_message_write(row) for row in rows if row.document is None),
            *(_message_write(row) for row in rows if row.document is not None),
            *self._writes,
            *(_session_write(s, self._memory.beside(s.id)) for s in sessions),
            *self._after,
            *(handled_write(s) for s in sessions if s.status == "closed" and s.holder),
        ]

    @property
    def attests(self) -> bool:
        """Whether a channel vouches for a number in it: perhaps somebody is known by it."""
        return any(isinstance(told, CustomerSeen) and told.customer.phone for _, told in self._told)

    @property
    def has_cards(self) -> bool:
        """Whether it writes cards of customers, which need to be spelled then."""
        return any(isinstance(told, (CustomerSeen, FieldsFilled)) for _, told in self._told)

    def counted(self) -> tuple[list[tuple[str, AnyTold]], dict[str, Session]]:
        """What figures are made of, once ``writes`` has been asked for: all that is told and can be believed,
        and the sessions."""
        told = [(at, one) for at, one in self._told if at not in self._unbelieved]
        return told, {session.id: session for session in self._written}

    @property
    def _written(self) -> list[Session]:
        return [s for s in self._sessions.values() if self._only is None or s.id in self._only]

    def _lead_writes(self, sessions: Sequence[Session]) -> list[Write]:
        """A session's lead is there before the session is: what is broken off is made again."""
        self._leads.project(sessions, self._told)
        for session in sessions:
            if before := self._moved.get(session.id):
                self._leads.moved(session, before.customer)
        # Each collection's in one run, which is one command to a server. The leads come before what tells of them.
        order = ("leads", "audit", "customers")
        return sorted(self._leads.writes, key=lambda write: order.index(write.collection))

    def _added(self, at: str, message: Message) -> None:
        row = self._rows.get(message.id)
        if row is not None:
            self._catch_up(row, at, fresh=False)
            return
        row = _Row(message, self._place_of(message))
        if _is_incoming(message):
            row.source = history.source(message.chat, message.external_id)
            if row.source in self._by_source:
                # The desk let it in, so it is kept; the channel's name stays with the first one.
                logger.warning(
                    "message %s repeats %s of its channel", message.id, self._by_source[row.source]
                )
                row.source = message.id
        self._hold(row)
        if message.direction == "in":
            region = self._memory.leads.settings.country
            self._writes += suggestion_writes(message, row.place.customer, region)
        self._catch_up(row, at, fresh=True)

    def _place_of(self, message: Message) -> SessionContext:
        place = self._memory.places.get(message.session)
        return place or SessionContext(
            customer_of(person_chat(message.chat)), "", message.chat.partition(":")[0]
        )

    def _changed(self, at: str, change: MessageChange) -> None:
        key = change.id or history.source(change.chat, change.external_id)
        row = self._rows.get(change.id or self._by_source.get(key, ""))
        if row is None:
            self._too_early(key, at, change)
            return
        fresh = at > row.applied
        if fresh:
            self._apply(row, at, change)
        if change.set_external_id:
            self._catch_up(row, at, fresh=fresh)

    def _apply(self, row: _Row, at: str, change: MessageChange) -> None:
        apply_change(row.message, change)
        row.applied = at
        row.changed = True
        for key in _keys(row.message, row.source):
            self._by_source.setdefault(key, row.message.id)
        if change.up_to:
            self._apply_up_to(row, at, change)

    def _apply_up_to(self, last: _Row, at: str, change: MessageChange) -> None:
        only_delivery = MessageChange(at=change.at, chat=change.chat, delivery=change.delivery)
        for id in sorted(self._unread[change.chat]):
            row = self._rows[id]
            earlier = (row.message.at, row.message.seq) <= (last.message.at, last.message.seq)
            if earlier and row.message.delivery in UNREAD and at > row.applied:
                self._apply(row, at, only_delivery)

    def _move(self, session: str) -> None:
        place = self._memory.places[session]
        for row in self._rows.values():
            if row.message.session == session and row.place != place:
                row.place = place
                row.changed = True

    def _rate(self, at: str, rated: Rated) -> None:
        """Into ``ratings``, and onto the session. A customer can rate only the sessions of his chat."""
        session = self._rated.get(rated.session, {})
        if session and not rated.by and session["chat"] != rated.chat:
            logger.warning("a rating of session %s came from another chat", rated.session)
            self._unbelieved.add(at)
            return
        record = _record("ratings", at, rated)
        if record.document is not None and session:
            missing = {"chat": session["chat"], "operator": session.get("last_author", "")}
            missing["line"] = session["line"]
            record.document |= {
                name: value for name, value in missing.items() if not record.document.get(name)
            }
        self._records.append(record)
        onto: Document = {"rating": rated.score}
        if rated.by:
            onto = dict(zip(SCORE, (rated.score, rated.by, rated.comment), strict=True))
            self._memory.scores[rated.session] = onto
        where = {"_id": rated.session} | ({} if rated.by else {"chat": rated.chat})
        self._after.append(Write.update("sessions", where, {"$set": onto}))

    # ---------------------------------------------------------------- changes that come too early

    def _too_early(self, key: str, at: str, change: MessageChange) -> None:
        if self._memory.erased.was_in(change.chat):
            return  # of a message that is gone
        logger.warning("a change of an unknown message of session %s is kept as %s", change.session, at)
        for gone in self._memory.keep(key, Early(at, change)):
            self._writes.append(Write.delete("early", {"_id": gone.stamp}))
        kept = {"_id": at, "key": key, "at": change.at, "change": msgspec.msgpack.encode(change)}
        stray = Stray(at=change.at, event=encode(change), reason="a change of an unknown message")
        self._records += [Write.insert("early", kept), _record("strays", at, stray)]

    def _catch_up(self, row: _Row, at: str, *, fresh: bool) -> None:
        """Applies what came before the message (or its name on the channel) did: once, ``fresh``."""
        if not self._memory.early:
            return
        keys = [row.message.id, *_keys(row.message, row.source)]
        while any(key in self._memory.early for key in keys):
            for early in [early for key in keys for early in self._memory.take(key)]:
                if fresh:
                    self._apply(row, at, early.change)
                self._writes.append(Write.delete("early", {"_id": early.stamp}))
            # One of them may have told the channel's name, under which others wait.
            keys = _keys(row.message, row.source)


def _newest(told: Iterable[list[Session]]) -> dict[str, Session]:
    newest: dict[str, Session] = {}
    for session in itertools.chain.from_iterable(told):
        if session.id not in newest or session.rev >= newest[session.id].rev:
            newest[session.id] = session
    return newest


def _is_incoming(message: Message) -> bool:
    return message.direction == "in" and bool(message.external_id)


def _keys(message: Message, source: str) -> list[str]:
    """Under which names the channel speaks of a message: none where an earlier one has the name."""
    if message.direction == "in":
        return [source] if source and source != message.id else []
    return [history.source(message.chat, part) for part in message.external_id.split()]


def _record(collection: str, at: str, told: msgspec.Struct) -> Write:
    document = {**to_document(told), "_id": at}
    document.pop("t", None)
    return Write.insert(collection, document)


def _message_write(row: _Row) -> Write:
    make = Write.insert if row.document is None else Write.replace
    return make("messages", row.to_document(), plain=not row.message.raw)


def _session_write(session: Session, beside: Document) -> Write:
    document = document_of(session)
    document["_id"] = session.id
    return Write.replace("sessions", document | beside, plain=True)


def _pieces(keys: Iterable[str]) -> Iterator[list[str]]:
    ordered = iter(sorted(keys))
    while piece := list(itertools.islice(ordered, LOOKUP)):
        yield piece
