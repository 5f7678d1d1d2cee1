"""Leads and deals from stage to stage, and how many stand where."""

from __future__ import annotations

from typing import NamedTuple

from crm.kernel import stages
from crm.kernel.access import Actor, within
from crm.kernel.crm_settings import CrmSettings, FunnelStage
from crm.kernel.errors import Conflict, Refused
from crm.kernel.ports import Document, Filter, Store
from crm.kernel.stages import StagedType
from crm.objects.checking import changed_only
from crm.objects.service import Objects
from crm.objects.twins import ALIVE
from crm.objects.types import COLLECTION
from crm.objects.writing import Edit

TRIES = 20
"""So often a move is made anew on what somebody else has changed meanwhile."""


class StageCount(NamedTuple):
    """How many objects of a list stand in a stage. ``stage`` is None for stages that are not in the
    configuration any more."""

    funnel: str
    stage: FunnelStage | None
    objects: int


class Moves:
    """Moves what has stages, and counts it."""

    def __init__(self, store: Store, objects: Objects, settings: CrmSettings) -> None:
        self._store = store
        self._objects = objects
        self._settings = settings

    async def move(
        self, actor: Actor, type: StagedType, id: str, stage: str, *, at: int, funnel: str = "",
        reason: str = "", version: int = 0,
    ) -> Document:  # fmt: skip
        """The object in its new stage. ``version``: the one it was seen in; 0: whichever there is. Raises
        ``Conflict``, and ``Refused`` as ``stages.moved`` does."""
        for _ in range(TRIES):
            before = await self._objects.editable(actor, type, id)
            if version and version != before["version"]:
                raise Conflict(f"{type} {id} has been changed meanwhile", before)
            update = stages.moved(
                self._settings, type, before, key=stage, at=at, by=actor.name, funnel=funnel, reason=reason
            )
            edit = Edit(
                "moved", changed_only(before, update["$set"]), push=update["$push"],
                params={"from": before.get("stage") or "", "to": stage},
            )  # fmt: skip
            try:
                return await self._objects.write(actor, type, before, edit, at=at)
            except Conflict:
                if version:
                    raise
        raise Refused("busy", id=id)

    async def standings(self, actor: Actor, type: StagedType) -> list[StageCount]:
        """Of what he may read: all stages in order, then what stands where nothing is any more."""
        if actor.may(type, "read") == "none":
            raise Refused("no_right", right="read")
        found = []
        there = stages.funnels(self._settings, type)
        for name, funnel in there.items():
            for stage in funnel.stages:
                count = await self._count(actor, type, {"funnel": name, "stage": stage.key})
                found.append(StageCount(name, stage, count))
            keys = [stage.key for stage in funnel.stages]
            found += await self._gone(actor, type, {"funnel": name, "stage": {"$nin": keys}}, name)
        return found + await self._gone(actor, type, {"funnel": {"$nin": [*there]}}, "")

    async def _gone(self, actor: Actor, type: StagedType, filter: Filter, funnel: str) -> list[StageCount]:
        count = await self._count(actor, type, filter)
        return [StageCount(funnel, None, count)] if count else []

    async def _count(self, actor: Actor, type: StagedType, filter: Filter) -> int:
        wanted = within(actor, type, "read", {**ALIVE, **filter})
        return await self._store.count(COLLECTION[type], wanted)
