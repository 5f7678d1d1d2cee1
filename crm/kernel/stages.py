"""The rules of stages: where an object begins, where it may go, and what is kept of each step. Pure.

The stage is on the object, and so is its history (``stages``): one write of one document moves it. What an
object stands in may be gone from the configuration: it stays where it is, is shown as it was, and may be
moved to a stage that is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from crm.kernel.crm_settings import CrmSettings, Funnel, FunnelStage
from crm.kernel.errors import Refused
from crm.kernel.text import one_line

StagedType = Literal["lead", "deal"]

LEADS = "leads"
"""The one funnel of leads, as it is stored."""
CREATED, BETWEEN, ENDED, ELSEWHERE = 1, 2, 3, 5
"""Kinds of entries of the history: made, moved on (also: opened again), won or lost, and moved into another
funnel."""
REASON_MAX = 500
"""Characters of a lost reason."""
HISTORY_MAX = 1000
"""Entries of one object: nobody moves one so often by hand."""


def funnels(settings: CrmSettings, type: StagedType) -> Mapping[str, Funnel]:
    """The funnels of a type by name, the first one first."""
    if type == "deal":
        return settings.funnels
    return {LEADS: Funnel(stages=settings.leads.stages, lost_reasons=settings.leads.lost_reasons)}


def stage(settings: CrmSettings, type: StagedType, funnel: str, key: str) -> FunnelStage | None:
    """None for one that is not in the configuration, or not any more."""
    there = funnels(settings, type).get(funnel)
    return next((one for one in there.stages if one.key == key), None) if there else None


def won(settings: CrmSettings, type: StagedType, funnel: str) -> FunnelStage:
    """The one stage of a funnel in which things are won. Raises ``Refused``: ``no_such_funnel``."""
    return next(one for one in _funnel(settings, type, funnel).stages if one.semantics == "won")


def begun(
    settings: CrmSettings, type: StagedType, *, at: int, by: str, funnel: str = "", key: str = "",
    reason: str = "",
) -> dict[str, Any]:  # fmt: skip
    """The fields of a new object: in the first stage of the first funnel, where nothing else is said. ``by`` is
    empty for the desk itself. Raises ``Refused``: ``no_such_funnel``, ``no_such_stage``, ``reason_needed``,
    ``which_reason``, ``no_such_reason``, ``lead_converts``."""
    funnel = funnel or next(iter(funnels(settings, type)))
    there = _funnel(settings, type, funnel)
    found = _stage(there, key or there.stages[0].key)
    if type == "lead" and found.semantics == "won":
        raise Refused("lead_converts")
    given = _reason(there, found, reason)
    return {
        **_standing(funnel, found, at, given),
        "stages": [_entry(funnel, found, at, by, CREATED, given)],
    }


def moved(
    settings: CrmSettings, type: StagedType, document: Mapping[str, Any], *, key: str, at: int, by: str,
    funnel: str = "", reason: str = "", converting: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """The update that moves an object into a stage, in its funnel or another one. ``converting``: a lead is
    won by nothing else. Raises ``Refused`` as ``begun`` does, and ``lead_converted``, ``same_stage``,
    ``funnel_gone``, ``moved_too_often``."""
    if type == "lead" and document.get("converted"):
        raise Refused("lead_converted", id=document["_id"])
    before = document.get("funnel") or next(iter(funnels(settings, type)))
    if not funnel and before not in funnels(settings, type):
        raise Refused("funnel_gone", funnel=before, funnels=_listed(funnels(settings, type)))
    funnel = funnel or before
    there = _funnel(settings, type, funnel)
    found = _stage(there, key)
    if type == "lead" and found.semantics == "won" and not converting:
        raise Refused("lead_converts")
    if (funnel, key) == (before, document.get("stage")):
        raise Refused("same_stage", stage=key)
    if len(document.get("stages", ())) >= HISTORY_MAX:
        raise Refused("moved_too_often", limit=str(HISTORY_MAX))
    given = _reason(there, found, reason)
    kind = ELSEWHERE if funnel != before else BETWEEN if found.semantics == "work" else ENDED
    return {
        "$set": _standing(funnel, found, at, given),
        "$push": {"stages": _entry(funnel, found, at, by, kind, given)},
    }


def _standing(funnel: str, found: FunnelStage, at: int, reason: str) -> dict[str, Any]:
    return {
        "funnel": funnel,
        "stage": found.key,
        "semantics": found.semantics,
        "stage_since": at,
        "closed_at": 0 if found.semantics == "work" else at,
        "lost_reason": reason,
    }


def _entry(funnel: str, found: FunnelStage, at: int, by: str, kind: int, reason: str) -> dict[str, Any]:
    entry = {
        "stage": found.key,
        "at": at,
        "by": by,
        "kind": kind,
        "funnel": funnel,
        "semantics": found.semantics,
    }
    return entry | ({"reason": reason} if reason else {})


def _funnel(settings: CrmSettings, type: StagedType, name: str) -> Funnel:
    there = funnels(settings, type)
    if name not in there:
        raise Refused("no_such_funnel", funnel=one_line(name), funnels=_listed(there))
    return there[name]


def _stage(funnel: Funnel, key: str) -> FunnelStage:
    for found in funnel.stages:
        if found.key == key:
            return found
    raise Refused("no_such_stage", stage=one_line(key), stages=_listed([one.key for one in funnel.stages]))


def _reason(funnel: Funnel, found: FunnelStage, reason: str) -> str:
    """Why something is lost; for every other stage there is none."""
    if found.semantics != "lost":
        return ""
    reason = one_line(reason, REASON_MAX)
    known: Sequence[str] = funnel.lost_reasons
    if not reason and known:
        raise Refused("which_reason", stage=found.key, reasons=_listed(known))
    if not reason:
        raise Refused("reason_needed", stage=found.key)
    if known and reason not in known:
        raise Refused("no_such_reason", reason=reason, reasons=_listed(known))
    return reason


def _listed(words: Mapping[str, Any] | Sequence[str]) -> str:
    return ", ".join(words)
