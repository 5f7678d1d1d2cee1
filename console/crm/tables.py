"""Which figures are shown of each kind, and how one is written. Pure but for the words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.text.words import Words

PERIODS = {"today": 1, "week": 7, "month": 30, "quarter": 90}
"""Name -> days, today counted."""
HEADS = {
    "sessions": ("new", "closed", "missed", "transferred_out", "first_response"),
    "operators": ("taken", "missed_offers", "out", "transferred_out", "first_response"),
    "csat": ("asked", "rated", "good", "bad", "mean"),
    "funnel": ("created", "converted", "won", "won_share", "lost"),
}
STAGES = ("reached", "reached_share", "time")
"""The columns of a funnel stage by stage."""
"""The columns of a table; all of them have their own name in the desk's answer."""
DURATIONS = frozenset(
    {"first_response", "response", "queue", "accept", "resolution", "handle", "held", "time"}
)


def written_figure(name: str, value: Any, words: Words) -> str:
    """A figure as it is read: a duration by its median."""
    if name in DURATIONS:
        median = value.get("median") if isinstance(value, Mapping) else None
        return words.span(median) if median is not None else "–"
    if value is None:
        return "–"
    if name.endswith("_share"):
        return f"{value:.0%}"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
