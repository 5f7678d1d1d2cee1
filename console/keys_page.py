"""Writes ``docs/reference/keys.md`` from the registry: ``python -m console.keys_page``."""

from __future__ import annotations

from pathlib import Path

from console.actions import ACTIONS, GROUPS, shown_key
from console.text.words import Words


def keys_page() -> str:
    """The page, in English."""
    words = Words("en")
    lines = [
        "# Keys of the console",
        "",
        "Made from `console/actions.py` by `python -m console.keys_page`. `⏎` is Enter, `^P` is Ctrl+P.",
        "Letters act while no composer has the focus; *anywhere* keys act always.",
    ]
    for group in GROUPS:
        lines += [
            "",
            f"## {words(f'group.{group}')}",
            "",
            "| key | action | what it does | |",
            "| --- | --- | --- | --- |",
        ]
        for action in ACTIONS:
            if action.group == group:
                keys = " ".join(f"`{shown_key(key)}`" for key in action.keys) or "palette"
                where = "anywhere" if action.anywhere else ""
                name, text = words(f"action.{action.id}"), words(f"help.{action.id}")
                lines.append(f"| {keys} | {name} | {text} | {where} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    page = Path(__file__).parents[1] / "docs" / "reference" / "keys.md"
    page.write_text(keys_page())
