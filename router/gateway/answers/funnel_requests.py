"""Stages and conversions over the wire."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from crm.funnels.conversion import ConversionPlan, Conversions, Wanted
from crm.funnels.converting import convert, finish, intent_of, unfinished
from crm.funnels.moving import Moves, StageCount
from crm.kernel import stages
from crm.kernel.crm_settings import CrmSettings, Funnel
from crm.kernel.errors import Refused
from crm.kernel.ports import Document, Store
from crm.kernel.stages import StagedType
from crm.objects import views
from crm.objects.service import Objects
from router.gateway.actor import actor_of
from router.gateway.connection import Connection
from router.gateway.picture import Picture
from router.log.log import now_ms
from router.wire import protocol

STAGED: tuple[StagedType, ...] = ("lead", "deal")


class FunnelRequests:
    """Answers the frames of ``router.wire.funnel_frames``."""

    def __init__(self, store: Store, objects: Objects, settings: CrmSettings, picture: Picture) -> None:
        self._store = store
        self._objects = objects
        self._settings = settings
        self._moves = Moves(store, objects, settings)
        self._conversions = Conversions(store, objects, settings, self._funnel_of)
        self._picture = picture

    def answers(self) -> dict[type[protocol.Frame], Callable[[Connection, Any], Awaitable[None]]]:
        return {
            protocol.GetFunnels: self._list,
            protocol.MoveObject: self._move,
            protocol.PlanConversion: self._plan,
            protocol.ConvertLead: self._convert,
        }

    def _funnel_of(self, line: str) -> str:
        rules = self._picture.configured.lines.get(line)
        return rules.crm_funnel if rules else ""

    async def _list(self, connection: Connection, frame: protocol.GetFunnels) -> None:
        actor, found = actor_of(connection), []
        for type in STAGED:  # noqa: A001 - the word of the domain
            there = stages.funnels(self._settings, type)
            counts = await self._moves.standings(actor, type)
            for name, of in itertools.groupby(counts, key=lambda count: count.funnel):
                found.append(_funnel_view(type, name, there.get(name, Funnel()), of))
        connection.send(protocol.FunnelList(rid=frame.rid, funnels=found))

    async def _move(self, connection: Connection, frame: protocol.MoveObject) -> None:
        actor = actor_of(connection)
        found = await self._moves.move(
            actor, _staged(frame.type), frame.id, frame.stage, at=now_ms(), funnel=frame.funnel,
            reason=frame.reason, version=max(0, frame.version),
        )  # fmt: skip
        may = views.may_with(actor, _staged(frame.type), found)
        shown = protocol.ObjectShown(rid=frame.rid, type=frame.type, object=views.view(found), may=may)
        connection.send(shown)

    async def _plan(self, connection: Connection, frame: protocol.PlanConversion) -> None:
        plan = await self._planned(connection, frame)
        connection.send(
            protocol.ConversionPlanned(
                rid=frame.rid, lead=views.view(plan.lead), ids=dict(plan.ids.items()), open=[*plan.open],
                drafts={target: views.view(draft) for target, draft in plan.drafts.items()},
                twins={
                    target: [protocol.TwinView(**views.twin_view(twin)) for twin in found]
                    for target, found in plan.twins.items()
                },
            )
        )  # fmt: skip

    async def _convert(self, connection: Connection, frame: protocol.ConvertLead) -> None:
        actor = actor_of(connection)
        await self._objects.get(actor, "lead", frame.lead)
        there = await unfinished(self._store, frame.lead)
        if there is not None and await finish(self._store, there):  # it was cut off: this is the same again
            lead = await self._objects.get(actor, "lead", frame.lead)
        else:
            plan = await self._planned(connection, frame)
            plan.check()
            lead = await convert(self._store, intent_of(self._settings, plan, by=actor.name, at=now_ms()))
        connection.send(_converted(frame.rid, lead))

    async def _planned(
        self, connection: Connection, frame: protocol.PlanConversion | protocol.ConvertLead
    ) -> ConversionPlan:
        if unknown := set(frame.fields) - {"contact", "company", "deal"}:
            raise Refused("no_such_type", type=min(unknown)[:60], allowed="contact, company, deal")
        wanted = Wanted(
            contact=frame.contact, company=frame.company, deal=frame.deal, funnel=frame.funnel, fields=frame.fields
        )  # fmt: skip
        return await self._conversions.plan(actor_of(connection), frame.lead, wanted, at=now_ms())


def _staged(name: str) -> StagedType:
    for of in STAGED:
        if of == name:
            return of
    raise Refused("no_such_type", type=name[:60], allowed=", ".join(STAGED))


def _funnel_view(
    type: StagedType, name: str, funnel: Funnel, counts: Iterable[StageCount]
) -> protocol.FunnelView:
    shown = []
    for count in counts:
        if count.stage is None:
            shown.append(protocol.StageView(objects=count.objects, gone=True))
            continue
        stage = count.stage
        shown.append(
            protocol.StageView(
                key=stage.key, name=dict(stage.name), semantics=stage.semantics, objects=count.objects
            )
        )
    return protocol.FunnelView(
        type=type, key=name, name=dict(funnel.name), stages=shown, lost_reasons=list(funnel.lost_reasons)
    )


def _converted(rid: int, lead: Document) -> protocol.LeadConverted:
    links = lead["converted"]
    return protocol.LeadConverted(
        rid=rid, lead=views.view(lead),
        contact=links.get("contact", ""), company=links.get("company", ""), deal=links.get("deal", ""),
    )  # fmt: skip
