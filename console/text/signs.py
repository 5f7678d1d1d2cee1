"""What the marks and colours of the screen mean: every sign once, under the place where it is seen."""

from __future__ import annotations

from console.text.paint import TICKS

SIGNS: dict[str, tuple[tuple[str, str], ...]] = {
    "list": (
        ("!", "offer"),
        ("!!", "offer_ends"),
        ("△", "soon"),
        ("▲", "late"),
        ("3●", "unread"),
        ("^", "pinned"),
        ("z", "snoozed"),
        ("★", "vip"),
        ("▌", "cursor"),
    ),
    "ticks": tuple((mark, f"tick_{state}") for state, mark in TICKS.items()),
    "screen": (
        ("● ◐ ○", "duty"),
        ("✗", "down"),
        ("⟳", "reconnecting"),
        ("▸ ━", "focus"),
        ("#", "tag"),
    ),
}
"""Place (``signs.<place>`` in the catalogue) -> sign and the end of its key ``sign.<end>``."""

COLOURS = {
    "primary": "customer",
    "success": "ours",
    "note": "note",
    "whisper": "whisper",
    "warning": "soon",
    "error": "bad",
}
"""A theme's colour -> the end of its key ``colour.<end>``. Nothing is told by a colour alone."""
