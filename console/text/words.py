"""The catalogue: every text the console shows, in the language chosen, switchable while it runs."""

from __future__ import annotations

import importlib
import locale
import os
from collections.abc import Mapping
from datetime import datetime, tzinfo

from crm.kernel.text import one_line

LANGUAGES = {"en": "English", "ru": "Русский", "uz": "O‘zbekcha"}
"""Code -> the language's own name, which is the same in every language."""


def texts(language: str) -> dict[str, str]:
    """The catalogue of one language; only those in use are imported."""
    parts = (
        importlib.import_module(f"console.catalog.{language}{part}")
        for part in ("", "_crm", "_desk", "_kept", "_pages", "_signs")
    )
    return {key: text for part in parts for key, text in part.TEXTS.items()}


def setting_texts(language: str) -> dict[str, str]:
    """What the settings of lines do, in a language that the desk does not tell it in; read when a form
    is opened."""
    found: dict[str, dict[str, str]] = importlib.import_module("console.catalog.settings").SETTINGS
    return found.get(language, {})


def preferred() -> str:
    """The language of the user's locale, English when we do not have it."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return value[:2].lower() if value[:2].lower() in LANGUAGES else "en"
    code = (locale.getlocale()[0] or "")[:2].lower()
    return code if code in LANGUAGES else "en"


class Words:
    """Looks texts up: ``words("status.unsent", n=3)``."""

    def __init__(self, language: str = "") -> None:
        self.language = ""
        self._texts: dict[str, str] = {}
        self.use(language or preferred())

    def use(self, language: str) -> None:
        """Switches the language; an unknown one is English."""
        self.language = language if language in LANGUAGES else "en"
        self._texts = texts(self.language)

    def __call__(self, key: str, **params: object) -> str:
        """The text of ``key``. Raises KeyError for one that does not exist: a programming error,
        which the catalogue's tests find first."""
        text = self._texts[key]
        return text.format(**params) if params else text

    def coded(self, family: str, code: str, params: Mapping[str, str]) -> str:
        """A text that the gateway names by a code: ``refused``, ``bye``, ``system``, ``alert``. One
        we do not know (the gateway may be newer) is named as it is."""
        if (family, code) == ("refused", "no_right"):
            return self._no_right(params)
        text = self._texts.get(f"{family}.{code}")
        if text is None:
            return self._texts[f"{family}.unknown"].format(code=code)
        return text.format_map(_Lenient(params))

    def _no_right(self, params: Mapping[str, str]) -> str:
        right = self.maybe(f"right.{params.get('right', '')}", params.get("right", "…"))
        if line := params.get("line", ""):
            return self("refused.no_right_in", right=right, line=line)
        return self("refused.no_right", right=right)

    def maybe(self, key: str, fallback: str) -> str:
        """A name that the gateway gives by a word which may be newer than this catalogue."""
        return self._texts.get(key) or one_line(fallback, 40)

    def setting(self, name: str, fallback: str) -> str:
        """What a line's setting does; as the desk tells it where we have no words for it."""
        return setting_texts(self.language).get(name) or one_line(fallback, 400).replace("`", "")

    # -------------------------------------------------------------- times

    def span(self, ms: int) -> str:
        """A duration as a person reads it at a glance: ``0:42``, ``12:05``, ``3 h``, ``2 d``."""
        seconds = max(0, ms) // 1000
        if seconds < 3600:
            return f"{seconds // 60}:{seconds % 60:02}"
        if seconds < 86_400:
            return self("span.hours", n=seconds // 3600)
        return self("span.days", n=seconds // 86_400)

    def day(self, at: int, now: int, zone: tzinfo | None) -> str:
        """A day for a separator: today, yesterday, or the date."""
        day, today = local(at, zone).date(), local(now, zone).date()
        if day == today:
            return self("day.today")
        if (today - day).days == 1:
            return self("day.yesterday")
        month = self("day.months").split()[day.month - 1]
        return self("day.date" if day.year == today.year else "day.full", d=day.day, month=month, y=day.year)


class _Lenient(dict[str, str]):
    """A parameter that an older gateway does not send leaves a gap instead of an error."""

    def __missing__(self, key: str) -> str:
        return "…"


def local(at: int, zone: tzinfo | None) -> datetime:
    """A moment (ms UTC) on the operator's clock; ``None`` is the computer's own zone."""
    return datetime.fromtimestamp(at / 1000, tz=zone).astimezone(zone)


def hour(at: int, zone: tzinfo | None) -> str:
    return local(at, zone).strftime("%H:%M")


def size(count: int) -> str:
    """Bytes as ``212 kB`` or ``1.4 MB``."""
    if count < 1_000_000:
        return f"{max(1, round(count / 1000))} kB"
    return f"{count / 1_000_000:.1f} MB"
