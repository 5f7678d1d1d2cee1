"""The recorded days out of the store. Only reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from crm.conversations import history
from crm.kernel.ports import Document, Store
from crm.operators.accounts import list_accounts
from navbat.config.rulebook import Rulebook
from navbat.lab.rehearse.recording import DutyChange, Recording, Talk, read_talk
from router.desk.desk import Known
from router.desk.events import OperatorChanged
from router.desk.state import Alert, AnyTold, Audit, Decided, MessageAdded

LOOKUP = 300
"""Keys of one query."""
_KINDS: tuple[tuple[str, Any], ...] = (("audit", Audit), ("decisions", Decided), ("alerts", Alert))


async def recorded(store: Store, start: int, end: int) -> Recording:
    """What happened from ``start`` (ms) until before ``end`` in the sessions opened in that time, and who
    was on duty. Messages come with their texts: flows and ratings need them."""
    documents = await store.find(
        "sessions", {"opened_at": {"$gte": start, "$lt": end}}, sort=[("opened_at", 1), ("_id", 1)]
    )
    documents.sort(key=lambda d: (d["opened_at"], int(d["_id"])))
    told = await _told(store, [d["_id"] for d in documents], end)
    before = await _customers_before(store, {d["customer"] for d in documents}, start)
    talks = [read_talk(_talk(document, before), told[document["_id"]]) for document in documents]
    everything = [one for document in documents for one in told[document["_id"]]]
    return Recording(start=start, end=end, talks=talks, duty=await _duty(store, start, end), told=everything)


async def operators(store: Store, book: Rulebook, recording: Recording) -> list[OperatorChanged]:
    """The accounts as they are now; whoever worked in that time was not disabled yet."""
    found = [book.told(account) for account in await list_accounts(store)]
    worked = {change.operator for change in recording.duty}
    worked |= {act.operator for talk in recording.talks for act in talk.acts}
    there = {operator.name for operator in found}
    found = [msgspec.structs.replace(o, disabled=o.disabled and o.name not in worked) for o in found]
    return found + [OperatorChanged(name=name) for name in sorted(worked - there) if name]


async def _told(store: Store, sessions: Sequence[str], end: int) -> dict[str, list[AnyTold]]:
    """By session, in order. At one instant the thread goes before the audit, that before decisions."""
    found: dict[str, list[tuple[int, int, Any, AnyTold]]] = defaultdict(list)
    for keys in _pieces(sessions):
        where = {"session": {"$in": keys}, "at": {"$lt": end}}
        for document in await store.find("messages", where):
            message = history.message(document)
            found[message.session].append((message.at, 0, message.seq, MessageAdded(message=message)))
        for rank, (collection, kind) in enumerate(_KINDS, 1):
            for document in await store.find(collection, where):
                one = msgspec.convert(document, kind)
                found[one.session].append((one.at, rank, document["_id"], one))
    return defaultdict(list, {id: [row[3] for row in sorted(rows, key=_order)] for id, rows in found.items()})


def _order(row: tuple[int, int, Any, AnyTold]) -> tuple[int, int, Any]:
    return row[:3]


async def _customers_before(store: Store, ids: Iterable[str], start: int) -> dict[str, int]:
    """When each customer was first seen (ms)."""
    created: dict[str, int] = {}
    for keys in _pieces(sorted(ids)):
        for document in await store.find("customers", {"_id": {"$in": keys}}):
            created[document["_id"]] = document.get("created_at") or start
    return created


def _talk(document: Document, created: dict[str, int]) -> Talk:
    channel, opened = document["channel"], document["opened_at"]
    customer = document["customer"]
    get = document.get
    known = None
    told = get("responsible") or get("last_operator") or get("vip")
    if told or created.get(customer, opened) < opened:
        known = Known(
            customer=customer, language=get("language") or "", responsible=get("responsible") or "",
            vip=bool(get("vip")), last_operator=get("last_operator") or "",
        )  # fmt: skip
    return Talk(
        id=document["_id"], channel=channel, chat=document["chat"][len(channel) + 1 :],
        line=document["line"], opened_at=opened, customer=customer, language=get("language") or "",
        known=known,
    )  # fmt: skip


async def _duty(store: Store, start: int, end: int) -> list[DutyChange]:
    """Changes in that time, and before them who was on duty when it began."""
    at_start = []
    for account in await list_accounts(store):
        wanted = {"operator": account.name, "action": "duty", "at": {"$lt": start}}
        for document in await store.find("audit", wanted, sort=[("at", -1)], limit=1):
            change = _change(document)
            if change.duty != "offline":
                # What the rules did to him before stays: nobody else tells when it ended.
                at_start.append(msgspec.structs.replace(change, at=start, reason=""))
    where = {"action": "duty", "at": {"$gte": start, "$lt": end}}
    found = await store.find("audit", where, sort=[("at", 1)])
    return [*at_start, *(_change(document) for document in found)]


def _change(document: Document) -> DutyChange:
    params = document["params"]
    return DutyChange(
        at=document["at"], operator=document["operator"], duty=params["duty"],
        reason=params.get("reason", ""),
    )  # fmt: skip


def _pieces(keys: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), LOOKUP):
        yield list(keys[start : start + LOOKUP])
