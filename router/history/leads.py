"""Leads that make themselves, beside the messages of the same batch.

A session that is told for the first time makes a lead, or joins the one that its customer has open. What became
of it is kept on the session (``lead``, ``owner``, ``passed``) and written before it, so that a batch that is
broken off anywhere is decided the same way when it comes again: a lead has an id that its session gives it.
Whatever happens to a lead later is one conditional update with its audit record in it, and changes nothing
the second time.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from crm.kernel import stages
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.ports import Document, Store, Write
from crm.kernel.text import one_line
from crm.kernel.tokens import tokens_of
from crm.lines import versions
from crm.objects.twins import keys_of
from router.desk.state import AnyTold, Audit, MessageAdded, Session, Stood

TOGETHER = 10_000
"""ms; who opens two chats within this time has come once."""
LOOKUP = 400
"""Keys of one query."""
ALIVE: Mapping[str, Any] = {"deleted": None, "merged_into": None}
OPEN: Mapping[str, Any] = {"semantics": "work", **ALIVE}
MERGES = 8
"""Cards that were merged one into the other are followed so far."""


class SessionLead(NamedTuple):
    """What is kept of a session: the lead it is about, who was made responsible through it, whether it has
    been transferred since, in which line it was found last, and how far the journal was followed for that."""

    lead: str = ""
    owner: str = ""
    passed: bool = False
    led_in: str = ""
    led: str = ""

    @classmethod
    def of(cls, document: Document) -> SessionLead:
        """As the store has it of a session."""
        kept = {name: document[name] for name in cls._fields if name in document}
        return cls(**kept)

    def document(self) -> Document:
        """The same as fields of the session in the store."""
        return {name: value for name, value in self._asdict().items() if value}


class LineLeads(NamedTuple):
    """What a line says of leads."""

    makes: bool = True
    follows: bool = True


class LeadMemory:
    """What is kept between batches; the store has all of it."""

    def __init__(self, settings: CrmSettings | None = None) -> None:
        self.settings = settings or CrmSettings()
        self.sessions: dict[str, SessionLead] = {}
        self.lines: dict[str, LineLeads] | None = None

    async def load_lines(self, store: Store) -> None:
        found = await versions.in_force(store)
        self.lines = {name: _line(line.settings) for name, line in found.items()}

    def line(self, name: str) -> LineLeads:
        return (self.lines or {}).get(name, LineLeads())


def _line(settings: Mapping[str, Any]) -> LineLeads:
    return LineLeads(
        settings.get("crm_leads", True) is not False,
        settings.get("crm_follow_transfer", True) is not False,
    )


def lead_id(session: str) -> str:
    """The id of the lead that a session makes."""
    digest = hashlib.blake2b(f"session {session}".encode(), digest_size=9).digest()
    return "l" + base64.b32encode(digest).decode().rstrip("=").lower()


class LeadBatch:
    """The leads of one batch: ``load`` what they hang on, then ``project``; ``writes`` is what that changes."""

    def __init__(self, store: Store, memory: LeadMemory) -> None:
        self._store = store
        self._memory = memory
        self._cards: dict[str, Document] = {}
        """Customer -> his card; that of a merged one is the card he is now."""
        self._open: dict[str, list[Document]] = defaultdict(list)
        """Customer -> his open leads, the oldest first."""
        self._dealing: set[str] = set()
        """Customers with an open deal."""
        self._came_into: dict[str, str] = {}
        """Session -> the line in which it was first."""
        self._made: list[Write] = []
        self._records: list[Write] = []
        self._changes: list[Write] = []

    @property
    def writes(self) -> list[Write]:
        """What ``project`` has found: what is new first, kind by kind, as a store takes it quickest."""
        return [*self._made, *self._records, *self._changes]

    async def load(self, sessions: Iterable[Session], *, lines_changed: bool) -> None:
        """Who writes in sessions of which something is to be decided, and what is open with him."""
        if lines_changed or self._memory.lines is None:
            await self._memory.load_lines(self._store)
        kept = self._memory.sessions
        wanted = {s.customer for s in sessions if s.customer and _is_undecided(s, kept.get(s.id))}
        names = {customer: customer for customer in wanted}
        for _ in range(MERGES):
            if not wanted:
                break
            found = await self._find("customers", "_id", wanted)
            self._cards |= {card["_id"]: card for card in found}
            moved = {card["_id"]: card["merged_into"] for card in found if card.get("merged_into")}
            names = {customer: moved.get(now, now) for customer, now in names.items()}
            wanted = {into for into in moved.values() if into not in self._cards}
        masters = set(names.values())
        leads = await self._find("leads", "customer", masters, OPEN)
        for lead in sorted(leads, key=lambda lead: (lead["created_at"], lead["_id"])):
            self._open[lead["customer"]].append(lead)
        deals = await self._find("deals", "customer", masters - self._open.keys(), OPEN)
        self._dealing = {deal["customer"] for deal in deals}
        self._cards |= {old: self._cards.get(now, {"_id": now}) for old, now in names.items()}

    async def _find(
        self, collection: str, field: str, keys: Iterable[str], filter: Mapping[str, Any] | None = None
    ) -> list[Document]:
        ordered, found = sorted(keys), []
        for start in range(0, len(ordered), LOOKUP):
            piece = ordered[start : start + LOOKUP]
            found += await self._store.find(collection, {field: {"$in": piece}, **(filter or {})})
        return found

    # ---------------------------------------------------------------- what happened

    def project(self, sessions: Sequence[Session], told: Sequence[tuple[str, AnyTold]]) -> None:
        """``sessions`` as they are after the batch, and what was told with its place in the journal. What is
        written of them is in the memory too."""
        kept = self._memory.sessions
        self._came_into = {}
        for _, one in told:
            if isinstance(one, Stood):
                self._came_into.setdefault(one.session, one.line)
        for session in sorted(sessions, key=lambda session: (session.opened_at, len(session.id), session.id)):
            if session.id not in kept:
                card = self._cards.setdefault(session.customer, {"_id": session.customer})
                kept[session.id] = SessionLead(lead=self._lead_for(session, card))
                # Who comes again in the same batch is known too.
                card.setdefault("created_at", session.opened_at)
        by_id = {session.id: session for session in sessions}
        for at, one in told:
            told_of = by_id.get(_session_of(one))
            if told_of is not None and at > kept[told_of.id].led:
                kept[told_of.id] = self._happened(told_of, kept[told_of.id], at, one)._replace(led=at)
        for session in sessions:
            standing = kept[session.id]
            if session.status == "spam":
                kept[session.id] = self._take_back(session, standing)
            elif session.first_answer_at and not standing.owner:
                who = session.last_author or session.holder
                kept[session.id] = self._hand_over(session, standing, who, standing.led)

    def _happened(self, session: Session, standing: SessionLead, at: str, one: AnyTold) -> SessionLead:
        if isinstance(one, MessageAdded):
            # What a bot says is no answer: the session knows when the first one was.
            if one.message.at == session.first_answer_at and not standing.owner:
                return self._hand_over(session, standing, one.message.author, at)
        elif isinstance(one, Audit):
            return standing._replace(passed=one.action == "transfer")
        elif isinstance(one, Stood):
            return self._stands(session, standing, at, one)
        return standing

    def _stands(self, session: Session, standing: SessionLead, at: str, one: Stood) -> SessionLead:
        """Whoever takes what was transferred is responsible after the one before, where the line says so; and
        a lead is of the line in which it is worked on."""
        follows = self._memory.line(one.line).follows
        if one.line != (standing.led_in or one.line) and follows and standing.lead == lead_id(session.id):
            self._change(
                "leads", standing.lead, session, {"line": standing.led_in}, {"line": one.line}, at=at
            )
        standing = standing._replace(led_in=one.line)
        if one.phase != "hand" or not standing.passed or one.holder in ("", standing.owner):
            return standing
        standing = standing._replace(passed=False)
        return self._hand_over(session, standing, one.holder, at) if follows and standing.owner else standing

    def moved(self, session: Session, customer: str) -> None:
        """A session was of another customer: so is the lead that it made."""
        lead = self._memory.sessions[session.id].lead
        if lead == lead_id(session.id) and customer != session.customer:
            self._change("leads", lead, session, {"customer": customer}, {"customer": session.customer})

    def _lead_for(self, session: Session, card: Document) -> str:
        """The lead that a new session is about; empty for none."""
        there = self._open[card["_id"]]
        mine = lead_id(session.id)
        if any(lead["_id"] == mine for lead in there):
            self._make(session, card)  # what was broken off comes again, and what was not written yet with it
            return mine
        if session.status == "spam" or not session.customer:
            return ""
        if self._makes(session, card, there):
            made = self._make(session, card)
            there.append(made)
            return mine
        earlier = [lead for lead in there if lead["created_at"] <= session.opened_at]
        if not earlier:
            return ""
        newest = earlier[-1]
        if newest.get("alone"):
            newest["alone"] = False
            self._changes.append(Write.update("leads", {"_id": newest["_id"]}, {"$set": {"alone": False}}))
        return str(newest["_id"])

    def _makes(self, session: Session, card: Document, there: Sequence[Document]) -> bool:
        line = self._came_into.get(session.id, session.line)
        if session.outgoing or card.get("blocked") or not self._memory.line(line).makes:
            return False
        match self._memory.settings.leads.repeat:
            case "always":
                return not any(abs(session.opened_at - lead["created_at"]) < TOGETHER for lead in there)
            case "open_only":
                return not there and card["_id"] not in self._dealing
            case "never":
                return not there and card["_id"] not in self._dealing and not _is_known(card, session)

    def _make(self, session: Session, card: Document) -> Document:
        at, line = session.opened_at, self._came_into.get(session.id, session.line)
        name = one_line(card.get("name") or session.name or session.username)
        document: Document = {
            "_id": lead_id(session.id),
            "title": name or session.chat,
            **stages.begun(self._memory.settings, "lead", at=at, by=""),
            "source": {"kind": "channel", "channel": session.channel, "line": line},
            **({"name": name} if name else {}),
            "customer": card["_id"],
            "line": line,
            "responsible": "",
            "repeat": _is_known(card, session),
            "session": session.id,
            "alone": True,
            "version": 1,
            "created_at": at,
            "changed_at": at,
            "created_by": "",
        }
        if keys := keys_of("lead", document):
            document["keys"] = keys
        document["tokens"] = tokens_of(document)
        record = _record(document, 1, at, "added", id=f"{document['_id']}-1")
        record["after"] = {"title": document["title"], "stage": document["stage"], "customer": card["_id"]}
        self._made.append(Write.insert("leads", document, plain=True))
        self._records.append(Write.insert("audit", record, plain=True))
        named = {"$set": {"lead": document["_id"]}}
        self._changes.append(Write.update("customers", {"_id": card["_id"]}, named))
        card["lead"] = document["_id"]
        return document

    # ---------------------------------------------------------------- who is responsible

    def _hand_over(self, session: Session, standing: SessionLead, who: str, at: str) -> SessionLead:
        """From who was made responsible through this session to the next; the first one takes the place of
        nobody else."""
        card = self._cards.get(session.customer, {"_id": session.customer})
        was = {"responsible": standing.owner or {"$in": ["", None]}, "converted": None}
        for collection, id in (("leads", standing.lead), ("customers", card["_id"])):
            if id and who:
                self._change(collection, id, session, was, {"responsible": who}, at=at)
        return standing._replace(owner=who)

    def _take_back(self, session: Session, standing: SessionLead) -> SessionLead:
        """The lead of spam goes, unless somebody else has come to it or worked on it."""
        lead = standing.lead
        if lead == lead_id(session.id):
            first = self._memory.settings.leads.stages[0].key
            untouched = {"alone": True, "stage": first, "converted": None, **ALIVE}
            deleted = {"at": session.closed_at or session.last_at, "by": ""}
            self._change("leads", lead, session, untouched, {"deleted": deleted}, "taken_back")
            gone = {"_id": session.customer, "lead": lead}
            self._changes.append(Write.update("customers", gone, {"$unset": {"lead": ""}}))
        return standing._replace(lead="")

    def _change(
        self, collection: str, id: str, session: Session, where: Mapping[str, Any], values: Mapping[str, Any],
        action: str = "changed", *, at: str = "",
    ) -> None:  # fmt: skip
        """Changes a document that is still as ``where`` says, and leaves the record of it there until it is
        copied into the audit. ``at``: the place in the journal that says so; what was said later there goes
        before it."""
        now = session.last_at or session.opened_at
        document = {"_id": id, "line": session.line, "customer": session.customer}
        of = "lead" if collection == "leads" else "customer"
        record = _record(
            document, 0, now, action, type=of, id=f"{id}-{session.id}.{session.rev}.{len(self._changes)}"
        )
        record["before"] = {name: where.get(name) for name in values if isinstance(where.get(name), str)}
        record["after"] = dict(values)
        update = {
            "$set": {**values, "changed_at": now, "owes": 1, **({"led": at} if at else {})},
            "$inc": {"version": 1},
            "$push": {"unaudited": record},
        }
        if at:
            where = {**where, "$or": [{"led": None}, {"led": {"$lte": at}}]}
        self._changes.append(Write.update(collection, {"_id": id, **where}, update))


def _is_undecided(session: Session, standing: SessionLead | None) -> bool:
    """Whether a session may still make a lead, or somebody responsible."""
    return standing is None or standing.passed or (session.first_answer_at > 0 and not standing.owner)


def _session_of(one: AnyTold) -> str:
    """The session of what tells who is responsible: an answer, a transfer, where it stands; else empty."""
    if isinstance(one, MessageAdded):
        return one.message.session if one.message.direction == "out" and one.message.author else ""
    if isinstance(one, Stood):
        return one.session
    return one.session if isinstance(one, Audit) and one.action in ("transfer", "return") else ""


def _is_known(card: Document, session: Session) -> bool:
    """Whether he was here before this session."""
    return bool(card.get("lead")) or card.get("created_at", session.opened_at) < session.opened_at


def _record(
    document: Document, version: int, at: int, action: str, *, id: str, type: str = "lead"
) -> Document:
    record = {
        "_id": id, "at": at, "operator": "", "action": f"{type}_{action}", "verb": action, "type": type,
        "object": document["_id"], "line": document["line"], "customer": document["customer"],
    }  # fmt: skip
    return record | ({"version": version} if version else {})
