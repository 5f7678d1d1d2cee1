"""``navbat crm …``: objects of a running desk, through the same wire as the console."""

from __future__ import annotations

import argparse
import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from console.text.words import Words
from crm.kernel.access import ObjectType
from crm.kernel.errors import Refused, WrongUse
from crm.kernel.text import one_line
from crm.objects.types import FIELDS
from navbat.cli import crm_shapes
from navbat.cli.client import Answer, DeskClient, saved_login
from navbat.cli.printing import print_json, print_page
from router.wire import protocol

DONE, FAILED = 0, 1
_WRONG_USE = frozenset(
    {
        "no_such_field",
        "needs_field",
        "read_only_field",
        "moved_not_set",
        "field_too_long",
        "too_many",
        "not_comparable",
        "no_such_stage",
        "no_such_funnel",
        "no_such_reason",
        "no_such_figure",
    }
)
"""What is refused because it was written wrongly; so is all that is called ``bad_…``."""
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


async def show_list(args: argparse.Namespace) -> int:
    """``navbat crm list``."""
    where = [condition for text in args.where for condition in local_conditions(args.type, text)]
    where += [f"{name}={getattr(args, name)}" for name in ("funnel", "stage") if getattr(args, name)]
    async with DeskClient(saved_login()) as client:
        page = await ask(
            client, protocol.GetObjects, protocol.ObjectList, type=args.type, where=where, sort=args.sort,
            limit=args.limit, after=args.after, deleted=args.deleted,
        )  # fmt: skip
    shown = [crm_shapes.shape(args.type, found) for found in page.items]
    print_page(shown, page.next, json=args.json, line=crm_shapes.row)
    return DONE


async def show(args: argparse.Namespace) -> int:
    """``navbat crm show``."""
    async with DeskClient(saved_login()) as client:
        found = await ask(client, protocol.GetObject, protocol.ObjectShown, type=args.type, id=args.id)
    shown = crm_shapes.shape(args.type, found.object)
    if args.json:
        print_json(shown)
        return DONE
    stages = shown.pop("stages", [])
    for name, value in shown.items():
        if text := crm_shapes.written(value):
            print(f"{one_line(name, 40)}: {text}")
    for step in stages:
        print(f"  {step.get('at')} {crm_shapes.written({n: v for n, v in step.items() if n != 'at'})}")
    return DONE


async def fields(args: argparse.Namespace) -> int:
    """``navbat crm fields``."""
    async with DeskClient(saved_login()) as client:
        declared = await ask(client, protocol.GetCrm, protocol.CrmDeclared)
    of = {args.type: declared.fields[args.type]} if args.type else declared.fields
    if args.json:
        import msgspec

        print_json({name: msgspec.to_builtins(found) for name, found in of.items() if found})
        return DONE
    for name, found in of.items():
        for field in found:
            marks = [
                word for word, is_so in (("required", field.required), ("read-only", field.read_only),
                ("yours", field.custom)) if is_so
            ]  # fmt: skip
            choices = f"one of {', '.join(field.choices)}" if field.choices else ""
            print(
                f"{name:<10} {field.name:<16} {field.kind:<10} {one_line(', '.join([*marks, choices]), 200)}".rstrip(
                    " ,"
                )
            )
    return DONE


async def add(args: argparse.Namespace) -> int:
    """``navbat crm add``: prints the id; what is like it goes to stderr."""
    given = fields_given(args.type, args.fields)
    key = args.id or uuid.uuid4().hex
    async with DeskClient(saved_login()) as client:
        made = await ask(
            client, protocol.AddObject, protocol.ObjectShown, type=args.type, fields=given, key=key
        )
    for twin in made.twins:
        print(f"navbat: perhaps there already, by {twin.by}: {_twin(twin)}", file=sys.stderr)
    duplicates = [
        {
            "type": t.type,
            "by": t.by,
            "id": t.id or None,
            "title": t.title or None,
            "responsible": t.responsible or None,
        }
        for t in made.twins
    ]
    _told(args, made, duplicates=duplicates)
    return DONE


def _twin(twin: protocol.TwinView) -> str:
    if not twin.id:
        return f"a {twin.type} that is not for you to see"
    return f"{twin.type} {one_line(twin.id, 60)} {one_line(twin.title, 80)} ({one_line(twin.responsible, 40) or '-'})"


async def change(args: argparse.Namespace) -> int:
    """``navbat crm set``: 1 when somebody else was first, with both values."""
    given = fields_given(args.type, args.fields)
    async with DeskClient(saved_login()) as client:
        found = await ask(
            client, protocol.SetObject, protocol.ObjectShown, type=args.type, id=args.id, fields=given,
            version=args.expected,
        )  # fmt: skip
    if not found.conflicts:
        _told(args, found)
        return DONE
    params = {"id": args.id, "version": str(found.object.get("version", 0))}
    text = Words().coded("refused", "object_changed", params)
    print(f"navbat: {text}", file=sys.stderr)
    for name, both in found.conflicts.items():
        yours, now = crm_shapes.written(both.get("yours")) or "-", crm_shapes.written(both.get("now")) or "-"
        print(f"        {one_line(name, 60)}: yours {yours}, now {now}", file=sys.stderr)
    if args.json:
        print_json(
            {
                "outcome": "refused", "code": "object_changed", "params": params, "error": text,
                "conflicts": found.conflicts, "object": crm_shapes.shape(args.type, found.object),
            }
        )  # fmt: skip
    return FAILED


async def delete(args: argparse.Namespace) -> int:
    """``navbat crm delete``."""
    return await _acted(args, protocol.DeleteObject, version=args.expected)


async def restore(args: argparse.Namespace) -> int:
    """``navbat crm restore``."""
    return await _acted(args, protocol.RestoreObject)


async def attach(args: argparse.Namespace) -> int:
    """``navbat crm attach``."""
    async with DeskClient(saved_login()) as client:
        await ask(client, protocol.GetObject, protocol.ObjectShown, type=args.type, id=args.id)
        file = await client.upload(Path(args.file))
        found = await ask(
            client, protocol.AttachFile, protocol.ObjectShown, type=args.type, id=args.id, file=file
        )
    _told(args, found)
    return DONE


async def detach(args: argparse.Namespace) -> int:
    """``navbat crm detach``."""
    return await _acted(args, protocol.DetachFile, key=args.key)


async def _acted(args: argparse.Namespace, kind: type[protocol.Request], **more: Any) -> int:
    async with DeskClient(saved_login()) as client:
        found = await ask(client, kind, protocol.ObjectShown, type=args.type, id=args.id, **more)
    _told(args, found)
    return DONE


def _told(args: argparse.Namespace, found: protocol.ObjectShown, **more: Any) -> None:
    if args.json:
        shown = crm_shapes.shape(args.type, found.object)
        print_json(
            {"outcome": "done", "id": shown["id"], "version": shown["version"], "object": shown, **more}
        )
    elif args.action == "add":
        print(found.object["id"])


async def ask(
    client: DeskClient, request: type[protocol.Request], answer: type[Answer], /, **fields: Any
) -> Answer:
    """One request. What was written wrongly is ``WrongUse``."""
    try:
        return await client.ask(request(rid=client.next_rid(), **fields), answer)
    except Refused as refused:
        if refused.code in _WRONG_USE or refused.code.startswith("bad_"):
            raise WrongUse(Words().coded("refused", refused.code, refused.params)) from None
        raise


# ------------------------------------------------------------------ what was written


def fields_given(type: ObjectType, given: Sequence[str]) -> dict[str, Any]:
    """``field=value`` …; a time without a zone is that of the clock on the wall here."""
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise WrongUse(f"{one_line(text, 80)!r} is no FIELD=VALUE", "write one such as title=Chairs")
        if name in found:
            raise WrongUse(f"{one_line(name, 60)} is given twice")
        found[name] = with_zone(value) if name in _moments(type) else value
    return found


def _moments(type: ObjectType) -> Mapping[str, object]:
    return {field.name: field for field in FIELDS[type] if field.kind == "moment"}


def with_zone(text: str) -> str:
    """The text itself where it is no time, or names its zone."""
    try:
        at = datetime.fromisoformat(text.strip())
        return text if at.tzinfo else at.astimezone().isoformat()
    except (ValueError, OverflowError):
        return text


def local_conditions(type: ObjectType, text: str) -> list[str]:
    """A condition on a time: its day is the one here."""
    match = re.fullmatch(r"\s*(\w+)\s*(!=|>=|<=|=|>|<)(.*)", text, re.DOTALL)
    if match is None or match[1] not in _moments(type):
        return [text]
    name, operator, value = match[1], match[2], match[3].strip()
    if not _DAY.fullmatch(value) or operator == "!=":
        return [f"{name}{operator}{with_zone(value)}"]
    try:
        start, end = (
            with_zone(value),
            with_zone((date.fromisoformat(value) + timedelta(days=1)).isoformat()),
        )
    except (ValueError, OverflowError):
        return [text]
    return {
        "=": [f"{name}>={start}", f"{name}<{end}"], ">": [f"{name}>={end}"], "<=": [f"{name}<{end}"],
    }.get(operator, [f"{name}{operator}{start}"])  # fmt: skip


def moment(text: str) -> int:
    """A date, or a date and time, as ms; 0 for nothing. Raises ``WrongUse``."""
    if not text:
        return 0
    try:
        return round(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise WrongUse(
            f"{one_line(text, 60)!r} is no date", "write 2026-03-05 or '2026-03-05 10:00'"
        ) from None
