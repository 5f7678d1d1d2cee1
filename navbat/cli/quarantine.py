"""``navbat quarantine …``: what could not be worked on, and what is to become of it."""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from crm.kernel.errors import Refused
from crm.kernel.text import clean, one_line
from navbat.cli import shapes
from navbat.cli.client import DeskClient, saved_login
from navbat.cli.printing import print_json
from router.wire import protocol

PAGE = 500
ALL = "all"
DONE, FAILED = 0, 1


async def list(args: argparse.Namespace) -> int:  # noqa: A001 - the command's name
    """``navbat quarantine list``."""
    async with DeskClient(saved_login()) as client:
        found = [view async for view in _all(client)]
    if args.json:
        print_json([shapes.set_aside(view) for view in found])
        return DONE
    for view in found:
        what = one_line(f"{view.origin} {view.kind}", 40)
        print(
            f"{one_line(view.id, 80):<40} {shapes.rfc3339(view.at)} {what:<24} {one_line(view.reason, 200)}"
        )
    return DONE


async def _all(client: DeskClient) -> AsyncIterator[protocol.SetAsideView]:
    skip = 0
    while True:
        request = protocol.GetQuarantine(rid=client.next_rid(), skip=skip, limit=PAGE)
        page = await client.ask(request, protocol.QuarantineList)
        for view in page.items:
            yield view
        skip += len(page.items)
        if len(page.items) < PAGE:
            return


async def show(args: argparse.Namespace) -> int:
    """``navbat quarantine show``."""
    async with DeskClient(saved_login()) as client:
        request = protocol.GetSetAside(rid=client.next_rid(), id=args.id)
        found = await client.ask(request, protocol.SetAside)
    shown = shapes.set_aside(found.item)
    content = _content(found.data)
    if args.json:
        print_json({**shown, "data": base64.b64encode(found.data).decode(), "content": content})
        return DONE
    for name, value in shown.items():
        if value is not None:
            print(f"{name}: {one_line(str(value), 400)}")
    if found.item.operator:
        print(f"{found.item.operator} was told that it was not carried out, and may have given it again")
    if content is not None:
        print(clean(json.dumps(content, ensure_ascii=False, indent=2)))
    else:
        print(found.data.hex(" "))
    if len(found.data) < found.item.size:
        print(f"and {found.item.size - len(found.data)} bytes more")
    return DONE


def _content(data: bytes) -> Any:
    """What the bytes hold, None where nobody can tell."""
    try:
        content = msgspec.msgpack.decode(data)
        return msgspec.json.decode(msgspec.json.encode(content)) if isinstance(content, dict) else None
    except Exception:  # noqa: BLE001 - they are here because they could not be read
        return None


async def retry(args: argparse.Namespace) -> int:
    """``navbat quarantine retry``: 1 when one of them was set aside again."""
    outcomes = []
    async with DeskClient(saved_login()) as client:
        for id in await _named(client, args.ids):
            request = protocol.RetrySetAside(rid=client.next_rid(), id=id)
            answer = await client.ask(request, protocol.Retried)
            outcomes.append(answer.outcome)
            facts = {"id": id, "outcome": answer.outcome, "again": answer.id or None}
            if args.json:
                print_json({**facts, "reason": answer.reason or None}, indent=None)
            else:
                print(f"{one_line(id, 80)}: {_told(answer)}", flush=True)
    return FAILED if "again" in outcomes else DONE


def _told(answer: protocol.Retried) -> str:
    if answer.outcome == "again":
        return f"set aside again as {one_line(answer.id, 80)}: {one_line(answer.reason, 200)}"
    return "done" if answer.outcome == "done" else "put back; nobody has come to it yet"


async def drop(args: argparse.Namespace) -> int:
    """``navbat quarantine drop``."""
    async with DeskClient(saved_login()) as client:
        for id in await _named(client, args.ids):
            await client.ask(protocol.DropSetAside(rid=client.next_rid(), id=id), protocol.Done)
            if args.json:
                print_json({"id": id, "outcome": "dropped"}, indent=None)
            else:
                print(f"{one_line(id, 80)}: dropped", flush=True)
    return DONE


async def _named(client: DeskClient, ids: Any) -> Any:
    """The ids; all there are now for ``all``."""
    if ALL not in ids:
        return ids
    found = [view.id async for view in _all(client)]
    if not found:
        raise Refused("not_set_aside", id=ALL)
    return found
