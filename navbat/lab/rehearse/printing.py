"""The figures side by side: as a table, as CSV, as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

import msgspec

from navbat.cli.shapes import rfc3339
from navbat.config.file import Duration
from navbat.lab.rehearse.figures import Figures, Load

COUNTS = (
    ("sessions", "sessions"),
    ("answered", "answered"),
    ("never_offered", "never offered"),
    ("missed", "missed offers"),
    ("returned", "returned"),
    ("overflowed", "overflowed"),
    ("auto_closed", "closed by themselves"),
    ("sla_breaches", "service levels broken"),
)
WAITS = (("first_answer", "first answer"), ("backlog", "in the backlog"))
RANKS = ("p50", "p90", "p99", "max")
LOADS = ("given", "taken", "missed", "busiest")

Row = tuple[str, str, list[int | None]]
"""Name, unit (``ms`` or nothing) and a value for each column."""


def rows(columns: Mapping[str, Figures]) -> list[Row]:
    figures = list(columns.values())
    made: list[Row] = [(label, "", [getattr(f, name) for f in figures]) for name, label in COUNTS]
    for name, label in WAITS:
        made += [
            (f"{label}, {rank}", "ms", [getattr(getattr(f, name), rank) for f in figures]) for rank in RANKS
        ]
    for operator in sorted({name for f in figures for name in f.operators}):
        for name in LOADS:
            loads = [f.operators.get(operator, Load()) for f in figures]
            made.append((f"{operator}: {name}", "", [getattr(load, name) for load in loads]))
    return made


def table(columns: Mapping[str, Figures]) -> str:
    """Durations in words (``1m30s``); ``-`` where there is nothing to tell."""
    cells = [["", *columns]]
    cells += [[name, *(_cell(value, unit) for value in values)] for name, unit, values in rows(columns)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = []
    for row in cells:
        numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([row[0].ljust(widths[0]), *numbers]).rstrip())
    return "\n".join(lines)


def _cell(value: int | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit != "ms":
        return str(value)
    # Milliseconds tell nothing of a wait of minutes.
    return str(Duration(value if value < 10_000 else round(value / 1000) * 1000))


def as_csv(columns: Mapping[str, Figures]) -> str:
    """``figure,unit,…``: one row for each figure; nothing is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["figure", "unit", *columns])
    for name, unit, values in rows(columns):
        writer.writerow([name, unit, *("" if value is None else value for value in values)])
    return out.getvalue()


def as_json(columns: Mapping[str, Figures], about: Mapping[str, Any]) -> dict[str, Any]:
    """``{line, from, to, recorded, now, new}``; waits in ms, times in RFC 3339."""
    shown: dict[str, Any] = dict(about)
    for name, figures in columns.items():
        plain = msgspec.to_builtins(figures)
        for load in plain["operators"].values():
            load["busiest_at"] = rfc3339(load["busiest_at"])
        shown[name] = plain
    return shown
