"""The help: every key of the desk and what it does, and what signs and colours mean."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from rich.text import Text

from console.actions import ACTIONS, GROUPS, Action, shown_key
from console.text.signs import COLOURS, SIGNS
from console.text.words import Words
from console.text.wrap import wrap

WIDTH = 54
"""Cells of the explanations at most."""
INDENT = 12


def help_lines(words: Words, colours: Mapping[str, str], width: int = INDENT + WIDTH) -> tuple[Text, ...]:
    """Every action by group, with its keys and what it does; then what signs and colours (by their names in
    the theme) mean. ``width``: cells that a line may take."""
    return _lines(
        words.language,
        max(1, min(WIDTH, width - INDENT)),
        tuple(colours.get(name, "bold") for name in COLOURS),
    )


@lru_cache(8)
def _lines(language: str, width: int, colours: tuple[str, ...]) -> tuple[Text, ...]:
    """Kept: it is some hundred lines, and the same until language, theme or window change."""
    words, lines = Words(language), list[Text]()
    for group in GROUPS:
        lines.append(Text(words(f"group.{group}"), "bold"))
        for action in ACTIONS:
            if action.group == group:
                lines += _action(words, action, width)
        lines.append(Text())
    for place, signs in SIGNS.items():
        lines.append(Text(words(f"signs.{place}"), "bold"))
        for sign, means in signs:
            first, *rest = wrap(words(f"sign.{means}"), width)
            lines.append(Text.assemble((_head(sign), "bold"), first))
            lines += _more(rest)
        lines.append(Text())
    lines.append(Text(words("signs.colours"), "bold"))
    for colour, means in zip(colours, COLOURS.values(), strict=True):
        first, *rest = wrap(words(f"colour.{means}"), width)
        lines += [Text.assemble((_head("■ ■ ■"), colour), (first, "dim")), *_more(rest)]
    return tuple(lines)


def _action(words: Words, action: Action, width: int) -> list[Text]:
    keys, name = " ".join(map(shown_key, action.keys)) or "^P", words(f"action.{action.id}")
    first, *rest = wrap(f"{name} – {words(f'help.{action.id}')}", width)
    head = Text.assemble((_head(keys), "bold"), first[: len(name)], (first[len(name) :], "dim"))
    return [head, *_more(rest)]


def _head(keys: str) -> str:
    return f"{keys:<{INDENT - 1}} "


def _more(rest: list[str]) -> list[Text]:
    return [Text(f"{'':<{INDENT}}{line}", "dim") for line in rest]
