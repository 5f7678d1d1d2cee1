"""Objects of the CRM as commands print them: as JSON of a stable shape, and for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm.kernel.access import ObjectType
from crm.kernel.codes import MINOR_DIGITS
from crm.kernel.text import one_line
from crm.objects.types import FIELDS
from navbat.cli.shapes import rfc3339

_EMPTY: Mapping[str, Any] = {"phones": [], "emails": [], "tags": [], "files": [], "flag": False}
"""What a field that is not set is, where it is not null; by kind."""
_FIRST: Mapping[str, tuple[str, ...]] = {
    "lead": (
        "id", "title", "stage", "source", "customer", "name", "phones", "emails", "amount", "responsible",
        "created_at", "converted", "version",
    ),
    "deal": (
        "id", "title", "funnel", "stage", "semantics", "amount", "customer", "contact", "company", "responsible",
        "lost_reason", "lead", "created_at", "stage_since", "closed_at", "version",
    ),
}  # fmt: skip
"""With what an object begins: for a reader."""


def shape(type: ObjectType, found: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of the type, null where it is not set; times in RFC 3339."""
    shown: dict[str, Any] = {"id": found.get("id")}
    for field in FIELDS[type]:
        if field.at:
            continue
        value = found.get(field.name)
        shown[field.name] = rfc3339(value or 0) if field.kind == "moment" else value
        if value in (None, ""):
            shown[field.name] = _EMPTY.get(field.kind)
    if type == "lead":
        source = found.get("source") or {}
        shown["source"] = {name: source.get(name) or None for name in ("kind", "channel", "line")}
        shown["converted"] = found.get("converted")
    shown |= {name: value for name, value in found.items() if name not in shown}
    shown.setdefault("custom", {})
    first = {name: shown[name] for name in _FIRST.get(type, ("id",))}
    timed: dict[str, Any] = _timed(first | shown)
    return timed


def _timed(value: Any, name: str = "") -> Any:
    """Times inside (``stages``, ``deleted``, ``converted``) in RFC 3339 too."""
    if isinstance(value, dict):
        return {key: _timed(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_timed(one) for one in value]
    return rfc3339(value) if name == "at" and isinstance(value, int) else value


def written(value: Any) -> str:
    """A value as a person reads it, and could write it."""
    if value is None or value == [] or value == {}:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return _written_object(value)
    if isinstance(value, list):
        return ", ".join(written(one) for one in value)
    return one_line(str(value), 400)


def _written_object(value: Mapping[str, Any]) -> str:
    if set(value) == {"minor", "currency"}:
        return money(value["minor"], value["currency"])
    if "raw" in value:
        number = value.get("e164") or value["raw"]
        return one_line(f"{number} ext {value['ext']}" if value.get("ext") else str(number), 80)
    if "key" in value:
        return one_line(f"{value.get('name', '')} ({value['key']})", 200)
    return ", ".join(f"{name}={written(one)}" for name, one in value.items() if one not in (None, "", [], {}))


def money(minor: int, currency: str) -> str:
    """``120000.00:UZS``, as it is written on the command line."""
    digits = MINOR_DIGITS.get(currency, 2)
    whole, rest = divmod(abs(minor), 10**digits)
    amount = f"{'-' * (minor < 0)}{whole}" + (f".{rest:0{digits}}" if digits else "")
    return f"{amount}:{one_line(currency, 8)}"


def row(shown: Mapping[str, Any]) -> str:
    """One line of a list."""
    title = one_line(str(shown.get("title") or shown.get("name") or "-"), 40)
    where = one_line(str(shown.get("stage") or shown.get("kind") or ""), 14)
    more = written(shown.get("amount")) or written((shown.get("phones") or shown.get("emails") or [None])[0])
    when = (shown.get("due_at") or shown.get("created_at") or "")[:16].replace("T", " ")
    who = one_line(str(shown.get("responsible") or "-"), 16)
    return (
        f"{one_line(str(shown['id']), 40):<20} {title:<40} {where:<14} {more:<20} {who:<16} {when}".rstrip()
    )
