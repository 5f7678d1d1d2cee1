"""Who may do what: the same answer as a filter for the store and about one document."""

from __future__ import annotations

import itertools

import pytest

from crm.kernel.access import (
    BY_ROLE,
    NOTHING,
    OBJECT_TYPES,
    REACHES,
    VERBS,
    Actor,
    Grants,
    ObjectType,
    Reach,
    Verb,
    within,
)
from crm.kernel.ports import Document
from crm.kernel.records import Role
from storage.filters import compile_filter

OBJECTS: dict[str, Document] = {
    "mine": {"_id": "d1", "responsible": "anna", "line": "sales"},
    "mine, elsewhere": {"_id": "d2", "responsible": "anna", "line": "support"},
    "a colleague's": {"_id": "d3", "responsible": "bek", "line": "sales"},
    "nobody's, of my line": {"_id": "d4", "line": "sales"},
    "of another line": {"_id": "d5", "responsible": "bek", "line": "support"},
    "of no line": {"_id": "d6", "responsible": "", "line": ""},
}
for _one in OBJECTS.values():
    _one["lines"] = [_one["line"]]  # a customer writes in several
REACHED: dict[Reach, set[str]] = {
    "none": set(),
    "own": {"mine", "mine, elsewhere"},
    "line": {"mine", "mine, elsewhere", "a colleague's", "nobody's, of my line"},
    "all": set(OBJECTS),
}


def anna(role: Role = "operator", *, everywhere: bool = False, grants: Grants | None = None) -> Actor:
    return Actor("anna", role, frozenset({"sales"}), grants or {}, everywhere)


@pytest.mark.parametrize(("type", "verb", "reach"), list(itertools.product(OBJECT_TYPES, VERBS, REACHES)))
def test_reaches_as_far_as_granted(type: ObjectType, verb: Verb, reach: Reach) -> None:
    actor = anna(everywhere=True, grants={type: {verb: reach}})
    matches = compile_filter(actor.filter_for(type, verb))
    assert {name for name, one in OBJECTS.items() if matches(one)} == REACHED[reach]
    assert {name for name, one in OBJECTS.items() if actor.reaches(type, verb, one)} == REACHED[reach]


@pytest.mark.parametrize(
    ("role", "verb", "reach"),
    [
        ("operator", "read", "line"), ("operator", "add", "line"), ("operator", "edit", "line"),
        ("operator", "delete", "none"), ("operator", "export", "none"),
        ("supervisor", "read", "all"), ("supervisor", "add", "all"), ("supervisor", "edit", "all"),
        ("supervisor", "delete", "none"), ("supervisor", "export", "all"),
        ("admin", "read", "all"), ("admin", "add", "all"), ("admin", "edit", "all"),
        ("admin", "delete", "all"), ("admin", "export", "all"),
        ("bot", "read", "none"), ("bot", "add", "none"), ("bot", "edit", "none"),
        ("bot", "delete", "none"), ("bot", "export", "none"),
    ],
)  # fmt: skip
def test_what_a_role_may(role: Role, verb: Verb, reach: Reach) -> None:
    assert {anna(role, everywhere=True).may(of, verb) for of in OBJECT_TYPES} == {reach}


def test_every_role_is_in_the_table() -> None:
    assert set(BY_ROLE) == {"operator", "supervisor", "admin", "bot"}


def test_all_ends_at_the_lines_of_who_has_only_some() -> None:
    assert anna("supervisor").may("deal", "read") == "line"
    assert anna("supervisor", everywhere=True).may("deal", "read") == "all"
    assert anna(grants={"deal": {"read": "all"}}).may("deal", "read") == "line"


def test_what_is_said_of_the_type_comes_first() -> None:
    grants: Grants = {"*": {"read": "own", "delete": "own"}, "deal": {"*": "line"}}
    assert anna(grants=grants).may("deal", "delete") == "line"
    assert anna(grants=grants).may("lead", "delete") == "own"
    assert anna(grants=grants).may("lead", "edit") == "line"
    assert anna(grants={"deal": {"read": "none"}}).may("deal", "read") == "none"


def test_rights_narrow_a_filter_and_never_widen_it() -> None:
    assert within(anna(everywhere=True, grants={"*": {"*": "all"}}), "deal", "read", {"stage": "new"}) == {
        "stage": "new"
    }
    assert within(anna("bot"), "deal", "read", {}) == NOTHING
    matches = compile_filter(
        within(anna(), "deal", "read", {"$or": [{"line": "support"}, {"line": "sales"}]})
    )
    assert {name for name, one in OBJECTS.items() if matches(one)} == REACHED["line"]
