"""What is kept of one person, for whoever may see all of it or make it go. What is asked for here is noted, and
carried out by ``router.consent``."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from crm.consent import access, erasure, person, retention
from crm.kernel.access import Verb
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.errors import Refused
from crm.kernel.ports import Document, Store, Write
from router.gateway.actor import actor_of
from router.gateway.connection import Connection
from router.log.forgetting import lying
from router.log.log import Log
from router.wire import protocol
from router.wire.consent_frames import ReceiptView

RECEIPTS_MAX = 200
REDIS = "redis"
"""Where, after all that is in the store, it goes on with what lies in Redis."""


class ConsentRequests:
    """Answers the frames of ``router.wire.consent_frames``."""

    def __init__(self, log: Log, store: Store, settings: CrmSettings) -> None:
        self._log = log
        self._store = store
        self._rules = settings.retention

    def answers(self) -> dict[type[protocol.Frame], Callable[[Connection, Any], Awaitable[None]]]:
        return {
            protocol.ExportPerson: self._export,
            protocol.ErasePerson: self._erase,
            protocol.GetReceipts: self._receipts,
            protocol.RunRetention: self._retain,
        }

    # ---------------------------------------------------------------- access

    async def _export(self, connection: Connection, frame: protocol.ExportPerson) -> None:
        _check_reach(connection, "export")
        who = await person.find(self._store, frame.customer)
        if not frame.after:
            await self._audit(connection, "customer_exported", "exported", object=who.id, type="customer")
        if frame.after == REDIS:
            items = await lying(self._log, access.traces_of(who))
            connection.send(
                protocol.PersonPart(rid=frame.rid, kind=REDIS, items=[access.plain(one) for one in items])
            )
            return
        part = await access.part(self._store, who, frame.after)
        connection.send(
            protocol.PersonPart(rid=frame.rid, kind=part.kind, items=part.items, next=part.next or REDIS)
        )

    # ---------------------------------------------------------------- erasure

    async def _erase(self, connection: Connection, frame: protocol.ErasePerson) -> None:
        _check_reach(connection, "delete")
        at = self._log.now()
        intent, receipt = await erasure.ask(self._store, frame.customer, by=connection.name, at=at)
        if intent is not None:
            await self._audit(
                connection, "customer_erased", "erased", object=intent.customer, type="customer"
            )
            connection.send(protocol.ReceiptList(rid=frame.rid, items=[_of_intent(intent)]))
        elif receipt is not None:
            connection.send(protocol.ReceiptList(rid=frame.rid, items=[_of_receipt(receipt)]))

    async def _receipts(self, connection: Connection, frame: protocol.GetReceipts) -> None:
        _check_right(connection)
        if frame.id:
            connection.send(protocol.ReceiptList(rid=frame.rid, items=[await self._receipt(frame.id)]))
            return
        limit = max(1, min(frame.limit, RECEIPTS_MAX))
        page = await self._store.page("receipts", {}, sort=[("done_at", -1)], limit=limit, after=frame.after)
        items = [*map(_of_receipt, page.items)]
        if not frame.after:
            items = [*map(_of_intent, await erasure.open_intents(self._store)), *items]
        connection.send(protocol.ReceiptList(rid=frame.rid, items=items, next=page.next))

    async def _receipt(self, id: str) -> ReceiptView:
        """Looked for among those that are done last: it may be done between two looks."""
        for intent in await erasure.open_intents(self._store):
            if intent.erasure == id:
                return _of_intent(intent)
        asked = await self._store.get("intents", retention.KIND)
        if asked is not None and asked["receipt"] == id:
            return _of_retention(asked)
        receipt = await self._store.get("receipts", id)
        if receipt is None:
            raise Refused("no_such_receipt", id=id[:100])
        return _of_receipt(receipt)

    # ---------------------------------------------------------------- retention

    async def _retain(self, connection: Connection, frame: protocol.RunRetention) -> None:
        _check_right(connection)
        now = self._log.now()
        if frame.dry_run:
            counts = await retention.would_go(self._store, self._rules, now)
            view = ReceiptView(id="", kind="retention", counts=dict(counts))
            connection.send(protocol.ReceiptList(rid=frame.rid, items=[view]))
            return
        await self._audit(connection, "retention_run", "removed")
        intent = await retention.ask(self._store, by=connection.name, at=now)
        connection.send(protocol.ReceiptList(rid=frame.rid, items=[_of_retention(intent)]))

    async def _audit(self, connection: Connection, action: str, verb: str, **about: str) -> None:
        """Before it is done: nothing happens that the audit does not know."""
        record = {
            "_id": uuid.uuid4().hex, "at": self._log.now(), "operator": connection.name, "action": action,
            "verb": verb, **about,
        }  # fmt: skip
        await self._store.write([Write.insert("audit", record)])


def _of_intent(intent: erasure.Intent) -> ReceiptView:
    return ReceiptView(
        id=intent.erasure, customer=intent.customer, by=intent.by, asked_at=intent.asked_at,
        erased_at=intent.erased_at, step=intent.step, counts=intent.counts,
    )  # fmt: skip


def _of_retention(intent: Mapping[str, Any]) -> ReceiptView:
    return ReceiptView(
        id=intent["receipt"], kind="retention", by=intent["by"], asked_at=intent["asked_at"], step="store",
        counts=intent["counts"],
    )  # fmt: skip


def _of_receipt(receipt: Document) -> ReceiptView:
    return msgspec.convert({**receipt, "id": receipt["_id"]}, ReceiptView, strict=False)


def _check_reach(connection: Connection, verb: Verb) -> None:
    if actor_of(connection).may("customer", verb) != "all":
        raise Refused("no_right", right=verb)


def _check_right(connection: Connection) -> None:
    access = connection.access
    if "administer" not in access.rights or not access.everywhere:
        raise Refused("no_right", right="administer")
