"""How an object leaves us: over the wire, into an export, and with what the asker may do with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm.kernel.access import VERBS, Actor, ObjectType
from crm.kernel.ports import Document
from crm.objects.twins import Twin
from crm.objects.writing import value_at

_INSIDE = frozenset(
    {
        "_id",
        "keys",
        "tokens",
        "respell",
        "unaudited",
        "owes",
        "alone",
        "led",
        "hinged",
        "suggested",
        "offered",
    }
)
"""What the store needs for itself."""


def view(document: Document) -> dict[str, Any]:
    """All there is to see of an object: ``id`` and its fields, as they are stored."""
    return {"id": document["_id"]} | {name: v for name, v in document.items() if name not in _INSIDE}


def may_with(actor: Actor, type: ObjectType, document: Document) -> list[str]:
    """The verbs that reach this object."""
    return [verb for verb in VERBS if verb != "add" and actor.reaches(type, verb, document)]


def title(document: Mapping[str, Any]) -> str:
    """What an object is called in a list."""
    return str(document.get("title") or document.get("name") or "")


def twin_view(twin: Twin) -> dict[str, Any]:
    """A duplicate that the asker may not read has a type, and by what it is alike, and nothing more."""
    told: dict[str, Any] = {"type": twin.type, "by": twin.by}
    if twin.document is not None:
        told |= {
            "id": twin.document["_id"],
            "title": title(twin.document),
            "responsible": twin.document.get("responsible", ""),
        }
    return told


def conflicts(current: Document, wanted: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Path -> both values of what was to be changed and is something else: ``yours`` and ``now``."""
    return {
        path: {"yours": value, "now": value_at(current, path)}
        for path, value in wanted.items()
        if value_at(current, path) != value
    }
