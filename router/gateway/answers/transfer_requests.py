"""Import and export over the wire, by the rights of a login."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from crm.kernel.ports import Store, Write
from crm.objects import views
from crm.objects.service import Objects
from crm.objects.values import split_where
from crm.transfer.importing import Importing, TakenRow
from router.gateway.actor import actor_of
from router.gateway.answers.crm_requests import type_named
from router.gateway.connection import Connection
from router.log.log import now_ms
from router.wire import protocol

_WHERE_SHOWN = 500


class TransferRequests:
    """Answers the frames of ``router.wire.transfer_frames``."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self._store = store
        self._objects = objects

    def answers(self) -> dict[type[protocol.Frame], Callable[[Connection, Any], Awaitable[None]]]:
        return {protocol.ImportRows: self._import, protocol.ExportObjects: self._export}

    async def _import(self, connection: Connection, frame: protocol.ImportRows) -> None:
        of = type_named(frame.type)
        importing = Importing(self._store, self._objects, actor_of(connection), of, at=now_ms())
        taken = await importing.take(frame.rows, rule=frame.duplicates, dry_run=frame.dry_run)
        connection.send(protocol.RowsImported(rid=frame.rid, rows=[_view(row) for row in taken]))

    async def _export(self, connection: Connection, frame: protocol.ExportObjects) -> None:
        actor, of = actor_of(connection), type_named(frame.type)
        page = await self._objects.page(
            actor, of, frame.where, sort="created_at", limit=frame.limit, after=frame.after, verb="export"
        )
        if not frame.after:
            # What leaves the desk is written down before it leaves.
            record = {
                "_id": f"export-{secrets.token_hex(8)}",
                "at": now_ms(),
                "operator": actor.name,
                "action": f"{of}_exported",
                "verb": "exported",
                "type": of,
                # By which fields, and not which values: a number of somebody would outlive him there.
                "params": {"where": " ".join(split_where(text)[0] for text in frame.where)[:_WHERE_SHOWN]},
            }
            await self._store.write([Write.insert("audit", record)])
        items = [views.view(document) for document in page.items]
        connection.send(protocol.ObjectsExported(rid=frame.rid, items=items, next=page.next))


def _view(row: TakenRow) -> protocol.RowView:
    if row.refused is not None:
        return protocol.RowView(code=row.refused.code, params=dict(row.refused.params))
    return protocol.RowView(made=row.made, id=row.id)
