"""How a setting says what it is, where it is declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

Written = Literal[
    "plain", "wait", "duration", "duration_or_off", "number_or_off", "name_or_off", "language", "country",
    "zone", "rights", "absences", "members", "sentences", "rings", "week", "dates", "shifts", "text", "texts",
    "key", "stages", "currency", "region", "period_or_off",
]  # fmt: skip
"""How a setting is written, where its type does not say it all:

``plain``: as its type; ``wait``: a duration longer than nothing; ``duration``, ``duration_or_off``,
``number_or_off``: such as ``5m``, here ms, off is 0; ``name_or_off``, ``language``, ``country``: a word,
off is empty; ``zone``: a time zone; ``rights``: in all lines, or by line; ``absences``: days off;
``members``: operators, each once; ``sentences``: texts, none empty;
``rings``: skills, or ``Ring``\\ s; ``week``, ``dates``, ``shifts``: intervals by weekday, by date, by member
and weekday; ``text``: one, or one for each language; ``texts``: several of those, by the names of
``parts``; ``key``: small letters, digits, ``_`` and ``-``; ``stages``: those of a funnel; ``currency``, ``region``:
codes of ISO 4217 and 3166; ``period_or_off``: such as ``3y`` or ``90d``, here ms, off is 0."""


@dataclass(frozen=True)
class Setting:
    """What a field does, in a few words of English, and how it is written. ``least`` and ``most`` hold
    for what is written from now on: what was kept before is read whatever it says."""

    about: str
    written: Written = "plain"
    least: int | None = None
    most: int | None = None
    required: bool = False
    """It must be written, although the desk would know a default."""
    parts: type[msgspec.Struct] | None = None
    """A struct whose fields declare what is inside."""
