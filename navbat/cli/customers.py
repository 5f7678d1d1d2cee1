"""``navbat customer …``: cards of a running desk, through the same wire as the console."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from console.text.words import Words
from crm.kernel.errors import Refused, WrongUse
from crm.kernel.text import one_line
from navbat.cli import crm_shapes, shapes
from navbat.cli.client import DeskClient, saved_login
from navbat.cli.crm import ask, fields_given
from navbat.cli.printing import print_json, print_page
from router.wire import protocol

DONE, FAILED = 0, 1


async def show_list(args: argparse.Namespace) -> int:
    """``navbat customer list``."""
    async with DeskClient(saved_login()) as client:
        page = await ask(
            client, protocol.GetCustomers, protocol.CustomerList, query=args.query, limit=args.limit,
            after=args.after,
        )  # fmt: skip
    print_page([shape(card) for card in page.items], page.next, json=args.json, line=row)
    return DONE


async def show(args: argparse.Namespace) -> int:
    """``navbat customer show``."""
    async with DeskClient(saved_login()) as client:
        card = await client.ask(
            protocol.GetCard(rid=client.next_rid(), customer=args.customer), protocol.Card
        )
        shown = shapes.customer(card)
        try:
            found = await ask(client, protocol.GetCustomer, protocol.CustomerShown, customer=args.customer)
        except Refused as refused:
            if refused.code != "no_such_customer":
                raise
        else:  # it is there, and by its card
            shown |= shape(found.customer)
            shown |= {
                "merged": found.merged,
                "suggestions": [_suggestion(one) for one in found.suggestions],
                "duplicates": [_twin(twin) for twin in found.twins],
            }
    if args.json:
        print_json(shown)
        return DONE
    _print(shown)
    return DONE


def _print(shown: Mapping[str, Any]) -> None:
    apart = ("identities", "sessions", "suggestions", "duplicates")
    for name, value in shown.items():
        if name not in apart and (text := crm_shapes.written(value)):
            print(f"{one_line(name, 40)}: {text}")
    for identity in shown["identities"]:
        sure = " (verified)" if identity.get("verified") else ""
        print(f"{one_line(identity['channel'])}: {one_line(identity['value'])}{sure}")
    for one in shown.get("suggestions", ()):
        print(f"suggested: {one_line(one['key'], 200)} (message {one_line(one['message'] or '-', 60)})")
    for twin in shown.get("duplicates", ()):
        print(f"perhaps the same, by {twin['by']}: {_twin_text(twin)}")
    for session in shown["sessions"]:
        print(f"session {session['id']}: {session['status']}, {session['line']}, {session['opened_at']}")


async def duplicates(args: argparse.Namespace) -> int:
    """``navbat customer duplicates``."""
    async with DeskClient(saved_login()) as client:
        page = await ask(
            client, protocol.GetDuplicates, protocol.DuplicateList, customer=args.customer, limit=args.limit,
            after=args.after,
        )  # fmt: skip
    items = [
        {**shape(item.customer), "duplicates": [_twin(twin) for twin in item.twins]} for item in page.items
    ]
    print_page(items, page.next, json=args.json, line=_duplicate_rows)
    return DONE


def _duplicate_rows(item: Mapping[str, Any]) -> str:
    twins = [f"    by {twin['by']}: {_twin_text(twin)}" for twin in item["duplicates"]]
    return "\n".join([row(item), *twins])


async def change(args: argparse.Namespace) -> int:
    """``navbat customer set``: 1 when somebody else was first, with both values."""
    given = fields_given("customer", args.fields)
    async with DeskClient(saved_login()) as client:
        found = await ask(
            client, protocol.SetCustomer, protocol.CustomerShown, customer=args.customer, fields=given,
            version=args.expected,
        )  # fmt: skip
    if not found.conflicts:
        return _done(args, found)
    params = {"id": args.customer, "version": str(found.customer.get("version", 0))}
    return _refused(args, found, "object_changed", params, found.conflicts, ("yours", "now"))


async def accept(args: argparse.Namespace) -> int:
    """``navbat customer accept``."""
    return await _acted(args, protocol.AnswerSuggestion, customer=args.customer, key=args.key, accept=True)


async def refuse(args: argparse.Namespace) -> int:
    """``navbat customer refuse``."""
    return await _acted(args, protocol.AnswerSuggestion, customer=args.customer, key=args.key, accept=False)


async def link(args: argparse.Namespace) -> int:
    """``navbat customer link``."""
    return await _acted(args, protocol.LinkSession, session=args.session, customer=args.customer)


async def merge(args: argparse.Namespace) -> int:
    """``navbat customer merge``: 1 where both say something else, with both values."""
    prefer = _preferred(args.prefer)
    async with DeskClient(saved_login()) as client:
        found = await ask(
            client, protocol.MergeCustomers, protocol.CustomerShown, master=args.master, other=args.other,
            prefer=prefer,
        )  # fmt: skip
    if not found.disputed:
        return _done(args, found)
    params = {"fields": ", ".join(found.disputed)}
    return _refused(args, found, "merge_conflict", params, found.disputed, ("master", "other"))


async def unmerge(args: argparse.Namespace) -> int:
    """``navbat customer unmerge``."""
    return await _acted(args, protocol.UnmergeCustomer, other=args.other)


async def _acted(args: argparse.Namespace, kind: type[protocol.Request], **fields: Any) -> int:
    async with DeskClient(saved_login()) as client:
        found = await ask(client, kind, protocol.CustomerShown, **fields)
    return _done(args, found)


def _done(args: argparse.Namespace, found: protocol.CustomerShown) -> int:
    if args.json:
        shown = shape(found.customer)
        print_json(
            {"outcome": "done", "id": shown["id"], "version": shown["version"], "customer": shown, "merged": found.merged}
        )  # fmt: skip
    return DONE


def _refused(
    args: argparse.Namespace, found: protocol.CustomerShown, code: str, params: dict[str, str],
    both: Mapping[str, Mapping[str, Any]], sides: Sequence[str],
) -> int:  # fmt: skip
    text = Words().coded("refused", code, params)
    print(f"navbat: {text}", file=sys.stderr)
    for name, values in both.items():
        told = ", ".join(f"{side} {crm_shapes.written(values.get(side)) or '-'}" for side in sides)
        print(f"        {one_line(name, 60)}: {told}", file=sys.stderr)
    if args.json:
        print_json(
            {
                "outcome": "refused", "code": code, "params": params, "error": text, "conflicts": both,
                "customer": shape(found.customer),
            }
        )  # fmt: skip
    return FAILED


def _preferred(given: Sequence[str]) -> dict[str, Literal["master", "other"]]:
    prefer: dict[str, Literal["master", "other"]] = {}
    for text in given:
        field, equals, side = text.rpartition("=")
        if side not in ("master", "other") or (equals and not field):
            raise WrongUse(
                f"{one_line(text, 60)!r} says not whose value wins", "write master, other, or name=other"
            )
        prefer[field or "*"] = "master" if side == "master" else "other"
    return prefer


# ------------------------------------------------------------------ how it is printed


def shape(card: Mapping[str, Any]) -> dict[str, Any]:
    """A card in JSON: the fields of the interface first, then everything else there is to it."""
    shown: dict[str, Any] = {
        "id": card["id"],
        "name": card.get("name", ""),
        "language": card.get("language", ""),
        "responsible": card.get("responsible") or None,
        "vip": bool(card.get("vip")),
        "blocked": bool(card.get("blocked")),
        "phones": card.get("phones") or [],
        "emails": card.get("emails") or [],
        "identities": [
            {
                "channel": one.get("channel", ""), "kind": one.get("kind", "chat"), "value": one.get("value", ""),
                "verified": bool(one.get("verified")),
            }
            for one in card.get("identities") or ()
        ],
        **{name: card.get(name) or None for name in ("lead", "contact", "company")},
        "visits": card.get("visits") or [],
        "merged_into": card.get("merged_into") or None,
        "version": card.get("version", 0),
    }  # fmt: skip
    for name in ("created_at", "seen_at", "changed_at", "handled_at"):
        if card.get(name):
            shown[name] = shapes.rfc3339(card[name])
    return shown | {name: value for name, value in card.items() if name not in shown}


def row(card: Mapping[str, Any]) -> str:
    """One line of a list."""
    name = one_line(str(card.get("name") or card.get("username") or "-"), 32)
    reached = crm_shapes.written((card["phones"] or card["emails"] or [None])[0])
    marks = " ".join(mark for mark in ("vip", "blocked") if card.get(mark))
    who = one_line(str(card.get("responsible") or "-"), 16)
    seen = str(card.get("seen_at") or "")[:16].replace("T", " ")
    return f"{one_line(str(card['id']), 40):<20} {name:<32} {reached:<20} {who:<16} {seen} {marks}".rstrip()


def _suggestion(one: protocol.SuggestionView) -> dict[str, Any]:
    return {
        "key": one.key, "kind": one.kind, "value": one.value, "raw": one.raw or None,
        "message": one.message or None, "session": one.session or None, "at": shapes.rfc3339(one.at),
        "alike": [_twin(twin) for twin in one.alike],
    }  # fmt: skip


def _twin(twin: protocol.TwinView) -> dict[str, Any]:
    """Of one that may not be seen only that there is one."""
    told = {"type": twin.type, "by": twin.by}
    return told | {name: getattr(twin, name) or None for name in ("id", "title", "responsible")}


def _twin_text(twin: Mapping[str, Any]) -> str:
    if not twin["id"]:
        return f"a {twin['type']} that is not for you to see"
    return f"{twin['type']} {one_line(twin['id'], 60)} {one_line(twin['title'] or '', 80)}".rstrip()
