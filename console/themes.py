"""Four looks. The colours set here as variables are ours; the rest is Textual's palette."""

from __future__ import annotations

from typing import Any

from textual.theme import Theme


def _theme(
    name: str,
    *,
    dark: bool,
    note: str,
    whisper: str,
    rule: str,
    selection: str,
    shade: str,
    faint: str,
    soft: str,
    **colours: Any,
) -> Theme:
    variables = {
        "note": note,
        "whisper": whisper,
        "rule": rule,
        "selection": selection,
        "shade": shade,
        "faint": faint,
        "soft": soft,
        "scrollbar": rule,
        "scrollbar-background": colours["background"],
        "scrollbar-corner-color": colours["background"],
        "scrollbar-hover": colours["primary"],
        "scrollbar-active": colours["primary"],
        "scrollbar-background-hover": colours["background"],
        "scrollbar-background-active": colours["background"],
        "block-cursor-background": selection,
        "block-cursor-foreground": colours["foreground"],
        "block-cursor-text-style": "bold",
        "input-selection-background": f"{colours['primary']} 35%",
    }
    return Theme(name=name, dark=dark, variables=variables, **colours)


THEMES = (
    _theme(
        "navbat-dark", dark=True, note="#d9b44a", whisper="#c8a2e8", rule="#3a4452", selection="#2a3644", shade="#1b2229", faint="#818b96", soft="#b9c1ca",
        primary="#7fb4e6", secondary="#8fb8a8", accent="#c9a86a", foreground="#d6dbe1", background="#11151a",
        surface="#161b22", panel="#1b222b", success="#86bf8e", warning="#e0b050", error="#ea7a72",
    ),
    _theme(
        "navbat-light", dark=False, note="#8a6100", whisper="#73389f", rule="#b9c0c8", selection="#d6e3f1", shade="#eceee9", faint="#6a727b", soft="#3b434c",
        primary="#1f5f9e", secondary="#2f6f5c", accent="#7a5200", foreground="#1d232a", background="#fafaf7",
        surface="#f1f1ec", panel="#e8e8e2", success="#23702f", warning="#8a5a00", error="#b3261e",
    ),
    _theme(
        "navbat-contrast", dark=True, note="#ffe14d", whisper="#ff9dff", rule="#ffffff", selection="#003a70", shade="#1c1c1c", faint="#d0d0d0", soft="#ffffff",
        primary="#66ccff", secondary="#99ffcc", accent="#ffff66", foreground="#ffffff", background="#000000",
        surface="#000000", panel="#101010", success="#66ff66", warning="#ffcc00", error="#ff8080",
    ),
    # Okabe and Ito's palette: told apart with every common form of colour blindness
    _theme(
        "navbat-safe", dark=True, note="#f0e442", whisper="#cc79a7", rule="#4a5058", selection="#2b3842", shade="#1c2024", faint="#8d949b", soft="#c4c8cc",
        primary="#56b4e9", secondary="#cc79a7", accent="#f0e442", foreground="#e2e2e2", background="#121416",
        surface="#181b1e", panel="#1f2327", success="#009e73", warning="#e69f00", error="#e8743b",
    ),
)  # fmt: skip
NAMES = tuple(theme.name for theme in THEMES)
