"""Whether something like it is there already. It is a warning: nothing is refused for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from crm.kernel.access import Actor, ObjectType
from crm.kernel.ports import Document, Store
from crm.kernel.spelling import sound
from crm.objects.types import COLLECTION
from crm.objects.values import phone_key

ALIVE: Mapping[str, Any] = {"deleted": {"$exists": False}, "merged_into": {"$exists": False}}
"""What lists, hints and searches find: neither deleted nor merged into another."""

SEARCHED: Mapping[ObjectType, tuple[ObjectType, ...]] = {
    "customer": ("customer", "contact", "lead"),
    "lead": ("lead", "contact", "company", "customer"),
    "contact": ("contact", "lead", "customer"),
    "company": ("company", "lead"),
}
"""Where the like of a new object is looked for."""
COMMON = 20
"""A name that more have than these says nothing."""
SHOWN = 50
"""Hits at most, of one type."""
MIN_NAME = 3
"""Letters of a name that is compared."""

_SIGNS = re.compile('[«»„“”"()\\[\\],.;:!?]')
"""What is written in or around names and is no part of them."""

By = Literal["phone", "email", "inn", "name"]
_NAMES: Mapping[str, tuple[str, ...]] = {"company": ("name", "official_name")}


class Twin(NamedTuple):
    """Something alike. ``document`` is None where the asker may not read it: then it is only said that there
    is one."""

    type: ObjectType
    by: By
    document: Document | None


def keys_of(type: ObjectType, document: Mapping[str, Any]) -> list[str]:
    """By what the like of an object is found: ``phone:+998901234567``, ``email:a@b.uz``, ``inn:301234567``,
    ``name:anvar karimov``."""
    keys = [phone_key(phone) for phone in document.get("phones") or ()]
    keys += [f"email:{address}" for address in document.get("emails") or ()]
    if inn := "".join(c for c in document.get("inn") or "" if c.isalnum()):
        keys.append(f"inn:{inn.lower()}")
    for field in _NAMES.get(type, ("name",)):
        name = " ".join(sorted(_SIGNS.sub(" ", sound(document.get(field) or "")).split()))
        if len(name) >= MIN_NAME and type in SEARCHED:
            keys.append(f"name:{name}")
    return list(dict.fromkeys(key for key in keys if not key.endswith(":")))


async def twins(
    store: Store, actor: Actor, type: ObjectType, keys: Sequence[str], id: str = ""
) -> list[Twin]:
    """What has one of the keys, but for the object itself. ``digits:`` find nothing: such numbers are not
    whole. Of names only those of the same type count."""
    telling = [key for key in keys if not key.startswith("digits:")]
    found: list[Twin] = []
    for of in SEARCHED.get(type, ()):
        wanted = [key for key in telling if of == type or not key.startswith("name:")]
        if not wanted:
            continue
        alike = await store.find(COLLECTION[of], {"keys": {"$in": wanted}, **ALIVE}, limit=SHOWN)
        found += _hits(actor, of, wanted, [one for one in alike if one["_id"] != id])
    return found


def _hits(actor: Actor, type: ObjectType, keys: Sequence[str], alike: Sequence[Document]) -> list[Twin]:
    hits = []
    for document in alike:
        shared = [key for key in keys if key in document.get("keys", ())]
        kind = shared[0].partition(":")[0] if shared else ""
        by = next((by for by in _BYS if by == kind), None)
        if by is not None:
            readable = actor.reaches(type, "read", document)
            hits.append(Twin(type, by, document if readable else None))
    named = [hit for hit in hits if hit.by == "name"]
    return [hit for hit in hits if hit.by != "name"] if len(named) > COMMON else hits


_BYS: tuple[By, ...] = ("phone", "email", "inn", "name")
