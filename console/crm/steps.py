"""Picking the stage that something moves to, and the reason where it is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from textual.screen import Screen

from console.crm.values import stage_named, title
from console.screens.dialogs import AskScreen, Choice, PickScreen
from console.shell import shell
from crm.kernel.crm_settings import Funnel, FunnelStage

Step = Callable[[str, str], object]
"""Is given the key of a stage, and a reason that is empty but for lost ones."""


def funnel_of(funnels: Mapping[str, Funnel], item: Mapping[str, Any]) -> Funnel | None:
    """The funnel in which something stands, or the first one."""
    return funnels.get(str(item.get("funnel", ""))) or next(iter(funnels.values()), None)


def pick_stage(
    screen: Screen[Any], funnels: Mapping[str, Funnel], item: Mapping[str, Any], step: Step
) -> None:
    """Asks for the stage. A lead is won by being converted, which is another key."""
    words, funnel = shell(screen).words, funnel_of(funnels, item)
    if funnel is None:
        return
    reachable = [
        one
        for one in funnel.stages
        if one.key != item.get("stage") and not (one.semantics == "won" and _is_lead(item))
    ]
    choices = [
        Choice(one.key, stage_named(one, words), words(f"crm.semantics.{one.semantics}")) for one in reachable
    ]

    def picked(key: str | None) -> None:
        found = next((one for one in reachable if one.key == key), None)
        if found is not None:
            to_stage(screen, funnel, found, step)

    heading = f"{words('crm.move')} · {title(item)}"
    screen.app.push_screen(PickScreen(heading, choices, typing=len(choices) > 9), picked)


def to_stage(screen: Screen[Any], funnel: Funnel, stage: FunnelStage, step: Step) -> None:
    """Goes there; a lost one asks why: one of the funnel's reasons, or in words where it has none."""
    words = shell(screen).words
    if stage.semantics != "lost":
        step(stage.key, "")
        return

    def given(reason: str | None) -> None:
        if reason:
            step(stage.key, reason)

    if funnel.lost_reasons:
        choices = [Choice(reason, reason) for reason in funnel.lost_reasons]
        screen.app.push_screen(PickScreen(words("crm.why_lost"), choices, typing=len(choices) > 9), given)
    else:
        screen.app.push_screen(AskScreen(words("crm.why_lost")), given)


def _is_lead(item: Mapping[str, Any]) -> bool:
    return str(item.get("id", "")).startswith("l")
