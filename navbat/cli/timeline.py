"""``navbat crm timeline`` and ``navbat customer timeline``: all that happened, the newest first."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from crm.kernel.text import one_line
from crm.timeline.entries import TimelineEntry
from navbat.cli.client import DeskClient, saved_login
from navbat.cli.crm import ask
from navbat.cli.printing import print_page
from navbat.cli.shapes import rfc3339, with_times
from router.wire import protocol


async def main(args: argparse.Namespace) -> int:
    """``navbat crm timeline TYPE ID``."""
    return await print_timeline(args, args.type, args.id)


async def of_customer(args: argparse.Namespace) -> int:
    """``navbat customer timeline ID``."""
    return await print_timeline(args, "customer", args.customer)


async def print_timeline(args: argparse.Namespace, type: str, id: str) -> int:
    async with DeskClient(saved_login()) as client:
        page = await ask(
            client, protocol.GetTimeline, protocol.Timeline, type=type, id=id, kinds=args.kind, limit=args.limit,
            after=args.after,
        )  # fmt: skip
    print_page([*map(_shape, page.items)], page.next, json=args.json, line=_line)
    return 0


def _shape(entry: TimelineEntry) -> dict[str, Any]:
    """``by``: the operator, or the name of the customer who said it; null for the desk itself."""
    return {
        "at": rfc3339(entry.at), "kind": entry.kind, "by": entry.by or None, "title": entry.title or None,
        "text": entry.text or None, "type": entry.type or None, "object": entry.object or None,
        "data": with_times(msgspec.to_builtins(entry.data)),
    }  # fmt: skip


def _line(shown: dict[str, Any]) -> str:
    kind, data = shown["kind"], shown["data"]
    what = {"message": data.get("direction"), "stage": data.get("stage")}.get(kind) or ""
    text = " · ".join(filter(None, (shown["title"], shown["text"])))
    if kind == "message" and not text:
        text = f"[{data.get('kind', '')}]"
    who = one_line(shown["by"] or "-", 16)
    return f"{shown['at']} {kind:<8} {one_line(str(what), 12):<12} {who:<16} {one_line(text, 200)}".rstrip()
