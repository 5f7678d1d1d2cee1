"""Who may do what with the objects of the CRM. Deny by default.

One answer for every way to an object: lists, search, duplicate hints, timeline, export and statistics ask
``filter_for`` (for the store) or ``reaches`` (for a document that is there), and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from crm.kernel.ports import Filter

if TYPE_CHECKING:
    from crm.kernel.records import Role

ObjectType = Literal["customer", "lead", "contact", "company", "deal", "activity"]
Verb = Literal["read", "add", "edit", "delete", "export"]
Reach = Literal["none", "own", "line", "all"]
"""``own``: objects for which he is responsible; ``line``: those too, and all of his lines."""

OBJECT_TYPES: tuple[ObjectType, ...] = get_args(ObjectType)
VERBS: tuple[Verb, ...] = get_args(Verb)
REACHES: tuple[Reach, ...] = get_args(Reach)

Grants = Mapping[ObjectType | Literal["*"], Mapping[Verb | Literal["*"], Reach]]
"""Type of object, or ``*`` for all -> verb, or ``*`` for all -> reach."""

BY_ROLE: Mapping[Role, Mapping[Verb, Reach]] = {
    "operator": {"read": "line", "add": "line", "edit": "line"},
    "supervisor": {"read": "all", "add": "all", "edit": "all", "export": "all"},
    "admin": dict.fromkeys(VERBS, "all"),
    "bot": {},
}
"""What a role may where nothing else is said; a verb that is not named: nothing."""

NOTHING: Filter = {"_id": {"$in": []}}
"""A filter that no document matches."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. ``lines`` are those he works in. ``everywhere``: all lines, also those that are made later,
    and what is of no line; without it ``all`` ends at his lines."""

    name: str
    role: Role = "operator"
    lines: frozenset[str] = frozenset()
    grants: Grants = field(default_factory=dict)
    everywhere: bool = False

    def may(self, type: ObjectType, verb: Verb) -> Reach:
        """How far this verb reaches among the objects of this type."""
        reach = self._granted(type, verb) or BY_ROLE[self.role].get(verb, "none")
        return "line" if reach == "all" and not self.everywhere else reach

    def _granted(self, type: ObjectType, verb: Verb) -> Reach | None:
        # What is said of the type comes before what is said of all, and so do the verbs.
        for of in (self.grants.get(type, {}), self.grants.get("*", {})):
            if found := of.get(verb) or of.get("*"):
                return found
        return None

    def filter_for(self, type: ObjectType, verb: Verb = "read") -> Filter:
        """What the store is asked beside everything else: ``{}`` for all, ``NOTHING`` for none."""
        match self.may(type, verb):
            case "all":
                return {}
            case "line":
                of = "lines" if type == "customer" else "line"
                return {"$or": [{of: {"$in": sorted(self.lines)}}, {"responsible": self.name}]}
            case "own":
                return {"responsible": self.name}
            case _:
                return NOTHING

    def reaches(self, type: ObjectType, verb: Verb, document: Mapping[str, Any]) -> bool:
        """Whether the verb reaches this document: the same as that ``filter_for`` matches it."""
        reach = self.may(type, verb)
        if reach in ("all", "none"):
            return reach == "all"
        if document.get("responsible") == self.name:
            return True
        if type == "customer":  # he writes in several
            return reach == "line" and not self.lines.isdisjoint(document.get("lines") or ())
        return reach == "line" and document.get("line") in self.lines


def within(actor: Actor, type: ObjectType, verb: Verb, filter: Filter) -> Filter:
    """The filter, narrowed to what the actor may."""
    rights = actor.filter_for(type, verb)
    if not rights:
        return filter
    return {"$and": [rights, filter]} if filter else rights
