"""Telling the operator outside the screen: the bell, and the terminal's desktop notification."""

from __future__ import annotations

import re

_ALLOWED = re.compile(r"[^\w .,:!?·–()'‘’+-]")


def desktop(title: str, text: str) -> str:
    """OSC 9 (iTerm2, kitty, Windows Terminal) and OSC 777 (foot, urxvt, WezTerm) for one
    notification. Only letters, digits and plain punctuation are let through: ``;`` and controls
    would end or change the sequence."""
    title, text = (_ALLOWED.sub(" ", part)[:120] for part in (title, text))
    return f"\x1b]9;{title}: {text}\x07\x1b]777;notify;{title};{text}\x07"
