"""``navbat customer export|erase|receipts`` and ``navbat retention``: what is kept of one person, and what goes."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from crm.kernel.errors import NavbatError, WrongUse
from navbat.cli.client import DeskClient, saved_login
from navbat.cli.printing import print_json
from navbat.cli.shapes import rfc3339
from router.backoff import Backoff
from router.wire import protocol

DONE = 0
STAYS = {
    "backups": "backups made before; a restored one brings him back: erase him again",
    "statistics": "figures, which count and name nobody",
    "audit_without_values": "who did what and when, without what was said or changed",
    "operators_files": "what operators have saved or begun to write on their own machines",
    "platforms": "what the messengers themselves keep",
    "receipt": "this receipt, which does not say who he was",
    "files_shared": "files that somebody else has sent or got too",
    "deals_without_person": "deals, with their amounts and stages and without him",
    "pages_of_store": "traces in the store's own files until its server or SQLite's VACUUM writes them anew",
    "append_only_of_redis": "Redis' append-only file, which it does not let us write anew: its administrator must",
    "snapshot_of_redis": "Redis' snapshot, which it does not let us write anew: its administrator must",
    "repaired_copies": "what `navbat repair` has kept in the folders `damaged`",
}
"""Name of what stays -> what that is."""


# ------------------------------------------------------------------ access


async def export(args: argparse.Namespace) -> int:
    """``navbat customer export``: one JSON object, written as it comes."""
    async with DeskClient(saved_login()) as client:
        parts = _parts(client, args.customer)
        first = await anext(parts)
        out = sys.stdout
        out.write('{"customer": ' + _json(args.customer))
        kind = ""
        async for part in _together(first, parts):
            if part.kind != kind:
                out.write(("" if not kind else "]") + f', "{part.kind}": [')
                kind, between = part.kind, ""
            for item in part.items:
                out.write(between + "\n" + _json(item))
                between = ","
        out.write("]}\n")
    return DONE


async def _parts(client: DeskClient, customer: str) -> AsyncIterator[protocol.PersonPart]:
    after = ""
    while True:
        request = protocol.ExportPerson(rid=client.next_rid(), customer=customer, after=after)
        part = await client.ask(request, protocol.PersonPart)
        yield part
        after = part.next
        if not after:
            return


async def _together(
    first: protocol.PersonPart, rest: AsyncIterator[protocol.PersonPart]
) -> AsyncIterator[protocol.PersonPart]:
    yield first
    async for part in rest:
        yield part


def _json(value: Any) -> str:
    plain = (sys.stdout.encoding or "ascii").lower().replace("-", "") not in ("utf8", "utf_8")
    return json.dumps(value, ensure_ascii=plain)


# ------------------------------------------------------------------ erasure


async def erase(args: argparse.Namespace) -> int:
    """``navbat customer erase``: returns when it is done."""
    if not args.yes:
        raise WrongUse(
            "this erases all of a person, for good",
            f"`navbat customer export {args.customer}` shows what; `--yes` does it",
        )
    async with DeskClient(saved_login()) as client:
        request = protocol.ErasePerson(rid=client.next_rid(), customer=args.customer)
        asked = await client.ask(request, protocol.ReceiptList)
        return await _until_done(client, asked.items[0], args)


async def receipts(args: argparse.Namespace) -> int:
    """``navbat customer receipts``."""
    async with DeskClient(saved_login()) as client:
        request = protocol.GetReceipts(
            rid=client.next_rid(), id=args.receipt or "", limit=args.limit, after=args.after
        )
        found = await client.ask(request, protocol.ReceiptList)
    if args.json:
        shown = [_shape(view) for view in found.items]
        print_json(
            shown[0] if args.receipt else {"receipts": shown} | ({"next": found.next} if found.next else {})
        )
    elif args.receipt:
        _print(found.items[0])
    else:
        for view in found.items:
            state = rfc3339(view.done_at) or f"not done: {view.step}"
            print(f"{view.id:<18} {state:<25} {view.kind:<10} {view.customer or '-':<18} {_counted(view)}")
        if found.next:
            print(f"more: --after {found.next}", file=sys.stderr)
    return DONE


async def _until_done(client: DeskClient, view: protocol.ReceiptView, args: argparse.Namespace) -> int:
    pause = Backoff(0.1, 1.0)
    step = ""
    while not view.done_at:
        if view.step != step:
            step = view.step
            print(f"{view.id}: {step} …", file=sys.stderr)
        await asyncio.sleep(pause.next())
        request = protocol.GetReceipts(rid=client.next_rid(), id=view.id)
        try:
            view = (await client.ask(request, protocol.ReceiptList)).items[0]
        except NavbatError as error:
            error.hint = error.hint or f"it goes on: `navbat customer receipts {view.id}` tells how far it is"
            raise
    if args.json:
        print_json(_shape(view))
    else:
        _print(view)
    return DONE


def _shape(view: protocol.ReceiptView) -> dict[str, Any]:
    shown = msgspec.to_builtins(view)
    times = {name: rfc3339(getattr(view, name)) for name in ("asked_at", "erased_at", "done_at")}
    return {
        "id": view.id, "kind": view.kind, "customer": view.customer or None, "by": view.by or None, **times,
        "counts": view.counts, "stays": view.stays, "step": shown.get("step"),
    }  # fmt: skip


def _counted(view: protocol.ReceiptView) -> str:
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(view.counts.items()))


def _print(view: protocol.ReceiptView) -> None:
    print(f"receipt {view.id}" + (f" for {view.customer}" if view.customer else ""))
    for name, at in (("asked", view.asked_at), ("done", view.done_at)):
        if at:
            print(f"{name}: {rfc3339(at)}" + (f" by {view.by}" if name == "asked" and view.by else ""))
    if not view.done_at:
        print(f"not done: {view.step}")
    for kind, count in sorted(view.counts.items()):
        print(f"  {count:>8} {kind.replace('_', ' ')}")
    if view.stays:
        print("what stays:")
    for name in view.stays:
        print(f"  {name.replace('_', ' ')}: {STAYS.get(name, '')}")


# ------------------------------------------------------------------ retention


async def retention(args: argparse.Namespace) -> int:
    """``navbat retention``."""
    async with DeskClient(saved_login()) as client:
        request = protocol.RunRetention(rid=client.next_rid(), dry_run=args.dry_run)
        asked = (await client.ask(request, protocol.ReceiptList)).items[0]
        if not args.dry_run:
            return await _until_done(client, asked, args)
    if args.json:
        print_json({"counts": asked.counts})
    else:
        print(f"would go: {_counted(asked) or 'nothing'}")
    return DONE
