"""The types of objects and their fields, each declared once."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from crm.kernel.access import ObjectType
from crm.kernel.fields import (
    MAX_CUSTOM_FIELDS,
    MAX_LONG_TEXT,
    CustomField,
    CustomFields,
    ObjectField,
)

COLLECTION: Mapping[ObjectType, str] = {
    "customer": "customers",
    "lead": "leads",
    "contact": "contacts",
    "company": "companies",
    "deal": "deals",
    "activity": "activities",
}
PREFIX: Mapping[ObjectType, str] = {
    "customer": "c", "lead": "l", "contact": "k", "company": "b", "deal": "d", "activity": "a"
}  # fmt: skip
"""The first letter of an id says what it names."""

ACTIVITY_KINDS = ("task", "call", "meeting", "mail", "comment", "note")
LEAD_SOURCES = ("channel", "form", "exchange", "vision", "mail", "call", "manual")

_BY_DESK = (
    ObjectField(name="version", kind="number", read_only=True),
    ObjectField(name="created_at", kind="moment", read_only=True),
    ObjectField(name="created_by", kind="operator", read_only=True),
    ObjectField(name="changed_at", kind="moment", read_only=True),
)
_OF_ALL = (
    ObjectField(name="responsible", kind="operator"),
    ObjectField(name="line", kind="line"),
    ObjectField(name="tags", kind="tags", most=50),
    ObjectField(name="files", kind="files", most=50, read_only=True),
    ObjectField(name="about", kind="text", long=True, most=MAX_LONG_TEXT),
    *_BY_DESK,
)
_REACHED = (
    ObjectField(name="phones", kind="phones", most=20),
    ObjectField(name="emails", kind="emails", most=20),
)
_STAGED = (
    ObjectField(name="funnel", kind="choice"),
    ObjectField(name="stage", kind="choice"),
    ObjectField(name="semantics", kind="choice", choices=("work", "won", "lost"), read_only=True),
    ObjectField(name="stage_since", kind="moment", read_only=True),
    ObjectField(name="closed_at", kind="moment", read_only=True),
    ObjectField(name="lost_reason", kind="text", read_only=True),
)
"""Where an object stands in its funnel. ``stage`` and ``funnel`` are given when it is made; then it is moved."""
_PERSON = (
    ObjectField(name="last_name", kind="text"),
    ObjectField(name="first_name", kind="text"),
    ObjectField(name="middle_name", kind="text"),
    ObjectField(name="post", kind="text"),
)

FIELDS: Mapping[ObjectType, tuple[ObjectField, ...]] = {
    "lead": (
        ObjectField(name="title", kind="text", required=True),
        *_STAGED,
        ObjectField(name="source", kind="choice", at="source.kind", choices=LEAD_SOURCES, read_only=True),
        ObjectField(name="channel", kind="text", at="source.channel", read_only=True),
        ObjectField(name="name", kind="text"),
        ObjectField(name="company_name", kind="text"),
        ObjectField(name="post", kind="text"),
        *_REACHED,
        ObjectField(name="amount", kind="money"),
        ObjectField(name="customer", kind="reference", to="customer"),
        ObjectField(name="contact", kind="reference", to="contact"),
        ObjectField(name="company", kind="reference", to="company"),
        ObjectField(name="deal", kind="reference", to="deal", at="converted.deal", read_only=True),
        ObjectField(name="repeat", kind="flag", read_only=True),
        ObjectField(name="converted_at", kind="moment", at="converted.at", read_only=True),
        *_OF_ALL,
    ),
    "contact": (
        ObjectField(name="name", kind="text", required=True),
        *_PERSON,
        *_REACHED,
        ObjectField(name="birthday", kind="date"),
        ObjectField(name="address", kind="text"),
        ObjectField(name="customer", kind="reference", to="customer"),
        ObjectField(name="company", kind="reference", to="company"),
        ObjectField(name="lead", kind="reference", to="lead", read_only=True),
        *_OF_ALL,
    ),
    "company": (
        ObjectField(name="name", kind="text", required=True),
        ObjectField(name="official_name", kind="text"),
        ObjectField(name="industry", kind="text"),
        ObjectField(name="inn", kind="text", most=20),
        ObjectField(name="kpp", kind="text", most=20),
        *_REACHED,
        ObjectField(name="site", kind="link"),
        ObjectField(name="address", kind="text"),
        ObjectField(name="lead", kind="reference", to="lead", read_only=True),
        *_OF_ALL,
    ),
    "deal": (
        ObjectField(name="title", kind="text", required=True),
        *_STAGED,
        ObjectField(name="amount", kind="money"),
        ObjectField(name="close_date", kind="date"),
        ObjectField(name="customer", kind="reference", to="customer"),
        ObjectField(name="contact", kind="reference", to="contact"),
        ObjectField(name="company", kind="reference", to="company"),
        ObjectField(name="lead", kind="reference", to="lead", read_only=True),
        *_OF_ALL,
    ),
    "activity": (
        ObjectField(name="kind", kind="choice", choices=ACTIVITY_KINDS, required=True),
        ObjectField(name="title", kind="text", required=True),
        ObjectField(name="done", kind="flag"),
        ObjectField(name="done_at", kind="moment", read_only=True),
        ObjectField(name="due_at", kind="moment"),
        ObjectField(name="remind_at", kind="moment"),
        ObjectField(name="starts_at", kind="moment"),
        ObjectField(name="direction", kind="choice", choices=("in", "out")),
        ObjectField(name="result", kind="text", long=True, most=MAX_LONG_TEXT),
        ObjectField(name="customer", kind="reference", to="customer"),
        ObjectField(name="lead", kind="reference", to="lead"),
        ObjectField(name="contact", kind="reference", to="contact"),
        ObjectField(name="company", kind="reference", to="company"),
        ObjectField(name="deal", kind="reference", to="deal"),
        ObjectField(name="session", kind="text", most=40),
        *_OF_ALL,
    ),
    "customer": (
        ObjectField(name="name", kind="text"),
        ObjectField(name="username", kind="text", read_only=True),
        ObjectField(name="language", kind="text", most=8),
        ObjectField(name="responsible", kind="operator"),
        ObjectField(name="vip", kind="flag"),
        ObjectField(name="blocked", kind="flag"),
        *_REACHED,
        ObjectField(name="lead", kind="reference", to="lead", read_only=True),
        ObjectField(name="contact", kind="reference", to="contact"),
        ObjectField(name="company", kind="reference", to="company"),
        ObjectField(name="tags", kind="tags", most=50),
        ObjectField(name="files", kind="files", most=50, read_only=True),
        ObjectField(name="about", kind="text", long=True, most=MAX_LONG_TEXT),
        *_BY_DESK,
    ),
}

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Types:
    """The fields of each type, those of the configuration among them."""

    def __init__(self, custom: CustomFields | None = None) -> None:
        custom = custom or {}
        self._fields: dict[str, dict[str, ObjectField]] = {}
        for of, fields in FIELDS.items():
            own = [field.declared(name) for name, field in custom.get(of, {}).items()]
            self._fields[of] = {field.name: field for field in (*fields, *own)}

    def fields(self, type: ObjectType) -> Mapping[str, ObjectField]:
        """Name -> field."""
        return self._fields[type]


@functools.cache
def built_in(type: ObjectType) -> frozenset[str]:
    """The names that a custom field of this type cannot have."""
    return frozenset(field.name for field in FIELDS[type]) | {
        "custom",
        "stages",
        "keys",
        "tokens",
        "unaudited",
    }


def check_custom(custom: CustomFields) -> list[tuple[tuple[str, ...], str]]:
    """What is wrong with the custom fields of a configuration: (where, what to do)."""
    problems: list[tuple[tuple[str, ...], str]] = []
    for of, fields in custom.items():
        known = next((one for one in FIELDS if one == of and one != "customer"), None)
        if known is None:
            names = ", ".join(name for name in FIELDS if name != "customer")
            problems.append(((of,), f"is no type of objects; there are {names}"))
            continue
        if len(fields) > MAX_CUSTOM_FIELDS:
            problems.append(((of,), f"may have at most {MAX_CUSTOM_FIELDS} fields"))
        for name, field in fields.items():
            problems += [((of, name), problem) for problem in _problems(known, name, field)]
    return problems


def _problems(type: ObjectType, name: str, field: CustomField) -> list[str]:
    found = []
    if not _NAME.fullmatch(name):
        found.append("must be called with small letters, digits and _, a letter first, 40 at most")
    elif name in built_in(type):
        found.append("is a field already; choose another name")
    if field.kind == "choice" and not field.choices:
        found.append("needs choices")
    if field.kind != "choice" and field.choices:
        found.append("may have choices only with kind: choice")
    if len(set(field.choices)) < len(field.choices):
        found.append("names a choice twice")
    return found
