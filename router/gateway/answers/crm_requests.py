"""Objects of the CRM over the wire, and the audit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from crm.kernel import stages
from crm.kernel.access import OBJECT_TYPES, VERBS, Actor, ObjectType
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.errors import Conflict, Refused
from crm.kernel.ports import Document, Filter, Portion, Store
from crm.kernel.reach import phones_of
from crm.kernel.records import Media
from crm.kernel.text import file_name
from crm.objects import views
from crm.objects.checking import Checks
from crm.objects.service import PAGE_MAX, Objects
from crm.objects.twins import Twin
from crm.objects.types import Types
from crm.objects.values import Habits
from crm.timeline.reading import Timelines
from router.gateway.actor import actor_of
from router.gateway.connection import Connection
from router.gateway.picture import Picture
from router.log.log import now_ms
from router.wire import protocol

KEY_MAX = 200
"""Characters of the key of a request."""
_AUDITED_MAX = 500


class DeskStaff:
    """Who works at the desk and in which lines, as the gateway knows it."""

    def __init__(self, store: Store, picture: Picture) -> None:
        self._store = store
        self._picture = picture

    async def operator(self, name: str) -> bool:
        return name in self._picture.operators or await self._store.get("accounts", name) is not None

    def line(self, name: str) -> bool:
        return name in self._picture.configured.lines


class CrmRequests:
    """Answers the frames of ``router.wire.crm_frames``."""

    def __init__(self, store: Store, picture: Picture, settings: CrmSettings) -> None:
        self._store = store
        self._settings = settings
        self._timelines = Timelines(store)
        types = Types(settings.fields)
        self.objects = Objects(
            store,
            Checks(
                store,
                types,
                Habits(settings.currency, phones=phones_of(settings.country)),
                settings,
                DeskStaff(store, picture),
            ),
        )

    def answers(self) -> dict[type[protocol.Frame], Callable[[Connection, Any], Awaitable[None]]]:
        return {
            protocol.GetCrm: self._declared,
            protocol.GetObjects: self._list,
            protocol.GetObject: self._get,
            protocol.AddObject: self._add,
            protocol.SetObject: self._set,
            protocol.DeleteObject: self._delete,
            protocol.RestoreObject: self._restore,
            protocol.FindTwins: self._twins,
            protocol.AttachFile: self._attach,
            protocol.DetachFile: self._detach,
            protocol.GetAudit: self._audit,
            protocol.GetTimeline: self._timeline,
        }

    # ---------------------------------------------------------------- reading

    async def _declared(self, connection: Connection, frame: protocol.GetCrm) -> None:
        actor = actor_of(connection)
        connection.send(
            protocol.CrmDeclared(
                rid=frame.rid,
                fields={of: [*self.objects.checks.types.fields(of).values()] for of in OBJECT_TYPES},
                may={of: {verb: actor.may(of, verb) for verb in VERBS} for of in OBJECT_TYPES},
                funnels={
                    "lead": dict(stages.funnels(self._settings, "lead")),
                    "deal": dict(stages.funnels(self._settings, "deal")),
                },
                currency=self._settings.currency,
                country=self._settings.country,
            )
        )

    async def _list(self, connection: Connection, frame: protocol.GetObjects) -> None:
        actor, of = actor_of(connection), type_named(frame.type)
        page = await self.objects.page(
            actor, of, frame.where, sort=frame.sort, limit=frame.limit, after=frame.after,
            deleted=frame.deleted,
        )  # fmt: skip
        total = None
        if frame.total:
            total = await self.objects.count(actor, of, frame.where, deleted=frame.deleted)
        items = [views.view(document) for document in page.items]
        connection.send(protocol.ObjectList(rid=frame.rid, type=of, items=items, next=page.next, total=total))

    async def _get(self, connection: Connection, frame: protocol.GetObject) -> None:
        of = type_named(frame.type)
        self._show(connection, frame, of, await self.objects.get(actor_of(connection), of, frame.id))

    async def _twins(self, connection: Connection, frame: protocol.FindTwins) -> None:
        found = await self.objects.twins(
            actor_of(connection), type_named(frame.type), frame.fields, id=frame.id
        )
        connection.send(protocol.Twins(rid=frame.rid, twins=_twin_views(found)))

    async def _timeline(self, connection: Connection, frame: protocol.GetTimeline) -> None:
        of: ObjectType = "customer" if frame.type == "customer" else type_named(frame.type)
        page = await self._timelines.page(
            actor_of(connection), of, frame.id, limit=frame.limit, after=frame.after, kinds=frame.kinds
        )
        connection.send(protocol.Timeline(rid=frame.rid, items=page.items, next=page.next))

    # ---------------------------------------------------------------- changing

    async def _add(self, connection: Connection, frame: protocol.AddObject) -> None:
        of = type_named(frame.type)
        if len(frame.key) > KEY_MAX:
            raise Refused("field_too_long", field="key", limit=str(KEY_MAX))
        made = await self.objects.add(actor_of(connection), of, frame.fields, at=now_ms(), key=frame.key)
        self._show(connection, frame, of, made.document, twins=made.twins)

    async def _set(self, connection: Connection, frame: protocol.SetObject) -> None:
        actor, of = actor_of(connection), type_named(frame.type)
        try:
            found = await self.objects.set(
                actor, of, frame.id, frame.fields, at=now_ms(), version=max(0, frame.version)
            )
        except Conflict as conflict:
            wanted = await self.objects.checks.values(actor, of, frame.fields)
            both = views.conflicts(conflict.current, wanted)
            self._show(connection, frame, of, conflict.current, conflicts=both)
        else:
            self._show(connection, frame, of, found)

    async def _delete(self, connection: Connection, frame: protocol.DeleteObject) -> None:
        of = type_named(frame.type)
        found = await self.objects.delete(
            actor_of(connection), of, frame.id, at=now_ms(), version=max(0, frame.version)
        )
        self._show(connection, frame, of, found)

    async def _restore(self, connection: Connection, frame: protocol.RestoreObject) -> None:
        of = type_named(frame.type)
        found = await self.objects.restore(actor_of(connection), of, frame.id, at=now_ms())
        self._show(connection, frame, of, found)

    async def _attach(self, connection: Connection, frame: protocol.AttachFile) -> None:
        of, given = type_named(frame.type), frame.file
        if not given.key:
            raise Refused("no_such_file")
        file = Media(
            kind=given.kind, key=given.key, name=file_name(given.name), mime=given.mime[:100], size=given.size
        )
        found = await self.objects.add_file(actor_of(connection), of, frame.id, file, at=now_ms())
        self._show(connection, frame, of, found)

    async def _detach(self, connection: Connection, frame: protocol.DetachFile) -> None:
        of = type_named(frame.type)
        found = await self.objects.remove_file(actor_of(connection), of, frame.id, frame.key, at=now_ms())
        self._show(connection, frame, of, found)

    def _show(
        self, connection: Connection, frame: protocol.Request, of: ObjectType, document: Document, *,
        twins: Sequence[Twin] = (), conflicts: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        connection.send(
            protocol.ObjectShown(
                rid=frame.rid, type=of, object=views.view(document),
                may=views.may_with(actor_of(connection), of, document), twins=_twin_views(twins),
                conflicts=dict(conflicts or {}),
            )
        )  # fmt: skip

    # ---------------------------------------------------------------- who did what

    async def _audit(self, connection: Connection, frame: protocol.GetAudit) -> None:
        access = connection.access
        if "audit" not in access.rights:
            raise Refused("no_right", right="audit")
        wanted: list[dict[str, Any]] = [] if access.everywhere else [{"line": {"$in": sorted(access.lines)}}]
        named = {"operator": frame.who, "object": frame.object, "session": frame.session}
        wanted += [{field: value[:_AUDITED_MAX]} for field, value in named.items() if value]
        if frame.since:
            wanted.append({"at": {"$gte": frame.since}})
        if frame.until:
            wanted.append({"at": {"$lt": frame.until}})
        page = await self._audited_page(frame, wanted, {"action": frame.what} if frame.what else {})
        if frame.what and not page.items:
            page = await self._audited_page(frame, wanted, {"verb": frame.what})
        items = [_audited(actor_of(connection), record) for record in page.items]
        connection.send(protocol.AuditPage(rid=frame.rid, items=items, next=page.next))

    async def _audited_page(
        self, frame: protocol.GetAudit, wanted: Sequence[Filter], what: Mapping[str, str]
    ) -> Portion:
        # One of the two, and not either: each has an index that is in order of time.
        conditions = [*wanted, *({name: value[:_AUDITED_MAX]} for name, value in what.items())]
        return await self._store.page(
            "audit", {"$and": conditions} if conditions else {}, sort=[("at", -1)],
            limit=max(1, min(frame.limit, PAGE_MAX)), after=frame.after,
        )  # fmt: skip


def _audited(actor: Actor, record: Document) -> dict[str, Any]:
    """A record as it is told: what an object said only to who may read objects of its type."""
    told = {"id": record["_id"]} | {name: value for name, value in record.items() if name != "_id"}
    of = told.get("type")
    known = next((one for one in OBJECT_TYPES if one == of), None)
    if known is not None and not actor.reaches(known, "read", record):
        for said in ("before", "after", "params"):
            told.pop(said, None)
    return told


def _twin_views(twins: Sequence[Twin]) -> list[protocol.TwinView]:
    return [protocol.TwinView(**views.twin_view(twin)) for twin in twins]


def type_named(name: str) -> ObjectType:
    """A type whose objects are made and changed here: cards of customers have frames of their own. Raises
    ``Refused`` with the types there are."""
    types = [of for of in OBJECT_TYPES if of != "customer"]
    for of in types:
        if of == name:
            return of
    raise Refused("no_such_type", type=name[:60], allowed=", ".join(types))
