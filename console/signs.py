"""What the marks of the screen mean: every sign once, beside where it is used."""

from __future__ import annotations

from console.paint import TICKS

SIGNS: tuple[tuple[str, str], ...] = (
    ("!", "offer"),
    ("!!", "offer_ends"),
    ("△", "soon"),
    ("▲", "late"),
    ("3●", "unread"),
    ("^", "pinned"),
    ("z", "snoozed"),
    ("★", "vip"),
    ("● ◐ ○", "duty"),
    *((mark, f"tick_{state}") for state, mark in TICKS.items()),
    ("✗", "down"),
    ("⟳", "reconnecting"),
    ("▌", "cursor"),
    ("#", "tag"),
)
"""Sign -> the end of its key ``sign.<end>`` in the catalogue."""
