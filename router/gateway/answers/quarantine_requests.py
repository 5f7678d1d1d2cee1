"""What administrators do with what was set aside."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from crm.kernel.errors import Refused
from crm.kernel.ports import Store, Write
from router.desk.state import Aside
from router.gateway.connection import Connection
from router.log.log import Log, now_ms
from router.log.quarantine import Quarantine
from router.wire import protocol

ITEMS_MAX = 1000
DATA_MAX = 1 << 20
"""Bytes of one item that are shown."""
OUTCOME_WITHIN = 5.0
"""Seconds in which something that is tried again should have been worked on."""
ASK_EVERY = 0.05


class QuarantineRequests:
    """Answers the frames of ``router.wire.quarantine_frames``."""

    def __init__(self, log: Log, store: Store) -> None:
        self._quarantine = Quarantine(log)
        self._store = store

    def answers(self) -> dict[type[protocol.Frame], Callable[[Connection, Any], Awaitable[None]]]:
        return {
            protocol.GetQuarantine: self._list,
            protocol.GetSetAside: self._show,
            protocol.RetrySetAside: self._retry,
            protocol.DropSetAside: self._drop,
        }

    async def _list(self, connection: Connection, frame: protocol.GetQuarantine) -> None:
        _check_right(connection)
        limit = max(1, min(frame.limit, ITEMS_MAX))
        found = await self._quarantine.items(limit, max(0, frame.skip))
        amount = await self._quarantine.amount()
        connection.send(
            protocol.QuarantineList(
                rid=frame.rid, items=[*map(view_of, found)], count=amount.items, size=amount.bytes,
                fell_out=amount.fell_out,
            )
        )  # fmt: skip

    async def _show(self, connection: Connection, frame: protocol.GetSetAside) -> None:
        item = await self._item(connection, frame.id)
        await self._audit(connection, "quarantine_shown", item)
        connection.send(protocol.SetAside(rid=frame.rid, item=view_of(item), data=item.data[:DATA_MAX]))

    async def _drop(self, connection: Connection, frame: protocol.DropSetAside) -> None:
        item = await self._item(connection, frame.id)
        await self._audit(connection, "quarantine_dropped", item)
        if not await self._quarantine.drop(item.id):
            raise Refused("not_set_aside", id=item.id)
        connection.send(protocol.Done(rid=frame.rid))

    async def _retry(self, connection: Connection, frame: protocol.RetrySetAside) -> None:
        item = await self._item(connection, frame.id)
        if item.origin == "operator":
            # The accounts say what he can and may: the desk is told at the next start.
            raise Refused("cannot_retry", id=item.id)
        await self._audit(connection, "quarantine_retried", item)
        before = await self._quarantine.failures(item)
        entry = await self._quarantine.put_back(item)
        if entry is None:
            raise Refused("not_set_aside", id=item.id)
        passed = await self._passed(item, entry)
        again = await self._quarantine.came_back(item, entry, before)
        connection.send(
            protocol.Retried(
                rid=frame.rid,
                outcome="again" if again else "done" if passed else "waits",
                id=again.id if again else "",
                reason=again.reason if again else "",
            )
        )

    async def _passed(self, item: Aside, entry: str) -> bool:
        until = time.monotonic() + OUTCOME_WITHIN
        while True:
            if await self._quarantine.is_behind(item, entry):
                return True
            if time.monotonic() > until:
                return False
            await asyncio.sleep(ASK_EVERY)

    async def _item(self, connection: Connection, id: str) -> Aside:
        _check_right(connection)
        item = await self._quarantine.item(id)
        if item is None:
            raise Refused("not_set_aside", id=id[:200])
        return item

    async def _audit(self, connection: Connection, action: str, item: Aside) -> None:
        """Before it is done: nothing happens that the audit does not know."""
        params = {"id": item.id, "origin": item.origin, "kind": item.kind, "reason": item.reason}
        record = {"_id": uuid.uuid4().hex, "at": now_ms(), "operator": connection.name, "action": action}
        await self._store.write([Write.insert("audit", {**record, "params": params})])


def view_of(item: Aside) -> protocol.SetAsideView:
    return protocol.SetAsideView(
        id=item.id, origin=item.origin, place=item.place, kind=item.kind, reason=item.reason, at=item.at,
        size=len(item.data), operator=item.operator,
    )  # fmt: skip


def _check_right(connection: Connection) -> None:
    access = connection.access
    if "administer" not in access.rights or not access.everywhere:
        raise Refused("no_right", right="administer")
