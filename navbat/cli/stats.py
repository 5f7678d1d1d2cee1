"""``navbat stats …``: the desk's figures, and which conversations they are made of."""

from __future__ import annotations

import argparse
import asyncio
import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crm.kernel.text import formula_free, one_line
from navbat.cli import shapes
from navbat.cli.client import DeskClient, saved_login
from navbat.cli.crm import ask
from navbat.cli.printing import print_json
from router.wire import protocol

DONE = 0
ASK_EVERY = 0.5
"""Seconds between two questions whether the figures have been made anew."""
HEAT_COLUMNS = ("weekday", "hour", "hours", "arrivals", "open_mean", "open_max")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


async def show(args: argparse.Namespace) -> int:
    """``navbat stats sessions`` and the others."""
    async with DeskClient(saved_login()) as client:
        asked: dict[str, Any] = {
            "since": args.since, "to": args.to, "line": args.line, "channel": args.channel,
            "operator": args.operator,
        }  # fmt: skip
        if args.behind:
            asked |= {"figure": args.behind, "after": args.after, "limit": args.limit}
            _show_behind(args, await ask(client, protocol.GetBehind, protocol.SessionsBehind, **asked))
            return DONE
        asked |= {"kind": args.kind, "by": args.by, "export": args.csv}
        found = await ask(client, protocol.GetStatistics, protocol.Statistics, **asked)
    if args.csv:
        _print_csv(found)
    elif args.json:
        print_json(_json(found))
    else:
        _print(found)
    return DONE


async def rebuild(args: argparse.Namespace) -> int:
    """``navbat stats rebuild``: waits until it is done."""
    async with DeskClient(saved_login()) as client:
        found = protocol.Rebuilding(rid=0, id="")
        while not found.done:
            if found.id:
                await asyncio.sleep(ASK_EVERY)
            request = protocol.RebuildStatistics(rid=client.next_rid(), id=found.id)
            found = await client.ask(request, protocol.Rebuilding)
    if args.json:
        print_json({"sessions": found.sessions, "rollups": found.rollups})
    else:
        print(f"the figures of {found.sessions} conversations were made anew")
    return DONE


def _json(found: protocol.Statistics) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "kind": found.kind, "from": found.since, "to": found.to, "by": found.by or None, "rows": found.rows,
        "total": found.total,
    }  # fmt: skip
    if found.kind == "load":
        shown["heat"] = found.heat
    if found.parts:
        shown |= found.parts
    if found.now:
        shown["now"] = found.now
    shown["error"] = found.error
    return shown


# ------------------------------------------------------------------ CSV


def _print_csv(found: protocol.Statistics) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    for title, rows in tables(found):
        if title:
            out.writerow([title])
        flat = [dict(_flat(row)) for row in rows]
        names = list(dict.fromkeys(name for row in flat for name in row))
        out.writerow(names)
        out.writerows([[_cell(row.get(name)) for name in names] for row in flat])


def tables(found: protocol.Statistics) -> Iterator[tuple[str, Sequence[Mapping[str, Any]]]]:
    if found.kind == "load" and not found.rows:
        yield "", [{name: one[name] for name in HEAT_COLUMNS} for one in found.heat]
        return
    total = [{"key": "total", **found.total}] if found.total else []
    yield "", [*found.rows, *total] or [{"key": ""}]
    for name, rows in found.parts.items():
        if rows:
            yield name, rows


def _flat(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}_")
        else:
            yield before + name, value


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return formula_free(value) if isinstance(value, str) else value


# ------------------------------------------------------------------ for people


def _print(found: protocol.Statistics) -> None:
    print(f"{found.kind}, {found.since} to {found.to}")
    if found.kind == "load" and not found.rows:
        _print_heat(found.heat)
        return
    if not found.rows and not any(found.parts.values()):
        print("nothing")
        return
    if any(isinstance(value, dict) for row in found.rows for value in row.values()):
        print("durations: median / 90th percentile")
    for title, rows in tables(found):
        if title:
            print(f"\n{title.replace('_', ' ')}")
        _print_rows(rows)
    for name, value in found.now.items():
        shown = _time(value) if name == "longest_wait" and value is not None else value
        print(f"now {name.replace('_', ' ')}: {'–' if shown is None else shown}")


def _print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """One column for each figure that is not nought in all rows."""
    shown = [{name: _shown(name, value) for name, value in row.items()} for row in rows]
    names = [
        name
        for name in dict.fromkeys(name for row in shown for name in row)
        if name == "key" or any(row.get(name) not in ("0", "–", "", None) for row in shown)
    ]
    widths = {n: max(len(n), *(len(row.get(n, "")) for row in shown)) for n in names}
    print("  ".join(name.replace("_", " ").rjust(widths[name]) for name in names).replace("key", "   "))
    for row in shown:
        print("  ".join(row.get(name, "").rjust(widths[name]) for name in names))


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        if "median" not in value:
            return one_line(" ".join(f"{key}={one}" for key, one in value.items()), 60)
        return f"{_time(value['median'])} / {_time(value['p90'])}"
    if isinstance(value, list):
        return " ".join(map(str, value)) if any(value) else "–"
    if name in ("online", "on_break"):
        return _time(value)
    if name in ("rate", "score") or name.endswith("_share"):
        return f"{value:.0%}"
    return one_line(f"{value:.2f}" if isinstance(value, float) else str(value), 60)


def _time(ms: float) -> str:
    """``5 s``, ``12 min``, ``3.5 h``, ``2.1 d``."""
    for limit, unit, name in ((60_000, 1000, "s"), (3_600_000, 60_000, "min"), (86_400_000, 3_600_000, "h")):
        if ms < limit:
            return f"{ms / unit:.3g} {name}"
    return f"{ms / 86_400_000:.3g} d"


def _print_heat(heat: Sequence[Mapping[str, Any]]) -> None:
    for title, name in (
        ("arrivals", "arrivals"),
        ("open at once, mean", "open_mean"),
        ("most open at once", "open_max"),
    ):
        print(f"\n{title}")
        print("     " + "".join(f"{hour:5}" for hour in range(24)))
        for day, label in enumerate(DAYS):
            row = heat[day * 24 : day * 24 + 24]
            print(f"{label:<5}" + "".join(f"{_short(one[name]):>5}" for one in row))


def _short(value: float) -> str:
    if not value:
        return "·"
    return f"{value:.0f}" if value == int(value) or value >= 100 else f"{value:.1f}"


def _show_behind(args: argparse.Namespace, found: protocol.SessionsBehind) -> None:
    if args.json:
        items = [
            {
                "session": shapes.session(item.session), "hour": item.hour, "line": item.line,
                "operator": item.operator or None, "value": item.value,
            }
            for item in found.items
        ]  # fmt: skip
        print_json({"items": items, "next": found.next or None})
        return
    for item in found.items:
        who = one_line(item.operator, 24)
        name = one_line(item.session.name or item.session.chat, 30)
        print(
            f"{item.session.id:<8} {item.hour}  {one_line(item.line, 20):<20} {who:<24} {item.value:>12}  {name}"
        )
    if found.next:
        print(f"more: --after {found.next}")
