"""``navbat audit``: who did what."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from crm.kernel.text import one_line
from navbat.cli import crm_shapes
from navbat.cli.client import DeskClient, saved_login
from navbat.cli.crm import ask, moment
from navbat.cli.printing import print_page
from navbat.cli.shapes import rfc3339, with_times
from router.wire import protocol


async def main(args: argparse.Namespace) -> int:
    """``navbat audit``."""
    async with DeskClient(saved_login()) as client:
        page = await ask(
            client, protocol.GetAudit, protocol.AuditPage, who=args.who, what=args.what, object=args.object,
            session=args.session, since=moment(args.since), until=moment(args.until), limit=args.limit,
            after=args.after,
        )  # fmt: skip
    print_page([_shape(record) for record in page.items], page.next, json=args.json, line=_line)
    return 0


def _shape(record: Mapping[str, Any]) -> dict[str, Any]:
    """``operator`` is null for what the desk did by itself."""
    first = {
        "id": record.get("id"),
        "at": rfc3339(record.get("at", 0)),
        "operator": record.get("operator") or None,
        "action": record.get("action"),
        "type": record.get("type"),
        "object": record.get("object"),
        "session": record.get("session") or None,
        "before": record.get("before"),
        "after": record.get("after"),
        "params": record.get("params", {}),
    }
    return first | {name: value for name, value in record.items() if name not in first}


def _value(name: str, value: Any) -> str:
    if isinstance(value, int) and name.endswith(("_at", "_since")):
        return rfc3339(value) or ""
    return crm_shapes.written(with_times(value))


def _line(record: dict[str, Any]) -> str:
    what = record["object"] or record["session"] or ""
    before, after = record["before"] or {}, record["after"] or {}
    changed = []
    for name, value in after.items():
        was, now = _value(name, before.get(name)), _value(name, value)
        if was or now:
            changed.append(f"{name}: {was} → {now or '-'}" if was else f"{name}: {now}")
    changed += [f"{name}={crm_shapes.written(value)}" for name, value in record["params"].items()]
    who, action = one_line(record["operator"] or "-", 16), one_line(str(record["action"]), 24)
    return f"{record['at']} {who:<16} {action:<24} {one_line(str(what), 40):<20} {one_line('; '.join(changed), 300)}".rstrip()
