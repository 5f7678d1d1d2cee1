"""Frames about stages: moving leads and deals, and converting a lead. Objects travel as in
``router.wire.crm_frames``; what is refused comes as ``Done``."""

from __future__ import annotations

from typing import Any

import msgspec

from router.wire.crm_frames import TwinView
from router.wire.frame import Frame, Number, Request

# ------------------------------------------------------------------ client -> gateway


class GetFunnels(Request, kw_only=True):
    """The funnels of leads and deals with how many stand in each stage: answered by ``FunnelList``."""


class MoveObject(Request, kw_only=True):
    """A lead or a deal into a stage, of another ``funnel`` where that is named. A stage that is lost needs a
    ``reason``. ``version``: the one that was seen; 0: whatever is there. Answered by ``ObjectShown``."""

    type: str
    id: str
    stage: str
    funnel: str = ""
    reason: str = ""
    version: Number = 0


class PlanConversion(Request, kw_only=True):
    """What ``ConvertLead`` would make of a lead: answered by ``ConversionPlanned``. Changes nothing."""

    lead: str
    contact: str = ""
    company: str = ""
    deal: str = ""
    funnel: str = ""
    fields: dict[str, dict[str, Any]] = {}


class ConvertLead(Request, kw_only=True):
    """Makes contact, company and deal of a lead. Each is ``new``, ``none``, the id of one that is there, or
    empty for what suggests itself: then ``twins_found`` refuses a new one that is like one that is there.
    ``funnel``: of the new deal. ``fields``: target -> what a new one shall say beside what the lead says.
    Answered by ``LeadConverted``."""

    lead: str
    contact: str = ""
    company: str = ""
    deal: str = ""
    funnel: str = ""
    fields: dict[str, dict[str, Any]] = {}


# ------------------------------------------------------------------ gateway -> client


class StageView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """``name``: by language, empty for all; ``semantics``: ``work | won | lost``. ``objects``: how many of
    those that this login may read stand here. ``gone``: what is here stands in stages (or a funnel) that the
    configuration does not have any more; ``key`` is empty then."""

    key: str = ""
    name: dict[str, str] = {}
    semantics: str = ""
    objects: int = 0
    gone: bool = False


class FunnelView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """``type``: ``lead | deal``. ``key`` is empty for what stands in funnels that are gone."""

    type: str
    key: str = ""
    name: dict[str, str] = {}
    stages: list[StageView] = []
    lost_reasons: list[str] = []


class FunnelList(Frame, kw_only=True):
    rid: int
    funnels: list[FunnelView] = []


class ConversionPlanned(Frame, kw_only=True):
    """``drafts``: target -> the new object; ``ids``: target -> its id, of those that are there too. ``twins``:
    target -> what is like the new one; ``open``: targets for which somebody has to say what they shall be."""

    rid: int
    lead: dict[str, Any]
    drafts: dict[str, dict[str, Any]] = {}
    ids: dict[str, str] = {}
    twins: dict[str, list[TwinView]] = {}
    open: list[str] = []


class LeadConverted(Frame, kw_only=True):
    """The lead as it is now, and the ids of what it became; empty for none."""

    rid: int
    lead: dict[str, Any]
    contact: str = ""
    company: str = ""
    deal: str = ""
