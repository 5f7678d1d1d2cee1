"""``navbat search``: over messages, customers and objects of a running desk."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec

from crm.kernel.errors import WrongUse
from crm.kernel.text import clean, one_line
from crm.search.finding import PLACES
from navbat.cli import shapes
from navbat.cli.arguments import unknown_word
from navbat.cli.client import DeskClient, saved_login
from navbat.cli.commands import print_messages
from navbat.cli.printing import print_json
from router.wire import protocol


async def main(args: argparse.Namespace) -> int:
    """The best first; in one conversation, or with one customer, messages only and the newest first."""
    unknown = next((name for name in args.within if name not in PLACES), None)
    if unknown is not None:
        raise WrongUse(unknown_word("place", one_line(unknown, 60), PLACES))
    async with DeskClient(saved_login()) as client:
        if args.session or args.customer:
            return await _messages(client, args)
        request = protocol.Find(
            rid=client.next_rid(), text=args.text, within=args.within, limit=min(args.limit, 100)
        )
        found = await client.ask(request, protocol.FoundList)
    if args.json:
        print_json([shape(hit) for hit in found.hits])
        return 0
    for hit in found.hits:
        print(_row(hit))
    for place in found.more:
        print(f"navbat: there are more {place}; say more words, or --limit", file=sys.stderr)
    return 0


async def _messages(client: DeskClient, args: argparse.Namespace) -> int:
    request = protocol.Search(
        rid=client.next_rid(), text=args.text, session=args.session, customer=args.customer, limit=args.limit
    )
    found = (await client.ask(request, protocol.Page)).messages
    if args.json:
        print_json([shapes.message(message) for message in found])
    else:
        print_messages(found, sessions=True)
    return 0


def shape(hit: protocol.FoundView) -> dict[str, Any]:
    """A hit as JSON: a message with all that a message has, an object with what it is called; ``in`` says where it
    is, ``match`` how well it matches, and ``matched`` where in it."""
    matched = msgspec.to_builtins(hit.matched)
    where = {"in": hit.within, "match": hit.match, "matched": matched}
    if hit.message is not None:
        return shapes.message(hit.message) | where
    about = {name: getattr(hit, name) for name in ("line", "responsible", "stage", "customer")}
    told = {"id": hit.id, "title": hit.title, "at": shapes.rfc3339(hit.at)}
    return told | {name: value for name, value in about.items() if value} | where


def _row(hit: protocol.FoundView) -> str:
    about = "; ".join(
        f"{one_line(m.field, 40)}: {one_line(clean(m.text), 160)}"
        for m in hit.matched
        if m.field not in ("title", "text") and m.text != hit.title
    )
    text = one_line(clean(hit.matched[0].text), 200) if hit.message is not None and hit.matched else ""
    shown = one_line(hit.title, 80) or text
    forgiven = " (an error forgiven)" if hit.match == "forgiven" else ""
    return f"{hit.within:<9} {hit.id} {shapes.rfc3339(hit.at) or ''} {shown}{f' [{about}]' if about else ''}{forgiven}"
