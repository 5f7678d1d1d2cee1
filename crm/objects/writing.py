"""One change of one object: the document, its version and its audit record in a single write.

The record lies in the document (``unaudited``) from the moment of the change, and is then copied into
``audit``, where its id makes that harmless to repeat. ``owes`` marks documents of which something is still
to be copied: whoever died in between is finished by ``sweep``.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crm.kernel.access import ObjectType
from crm.kernel.errors import Conflict, NotFound
from crm.kernel.ports import Document, Store, Update, Write
from crm.kernel.tokens import SEARCHED_FIELDS, tokens_of
from crm.objects.types import COLLECTION, PREFIX

SWEPT = 500
"""Documents that a sweep looks at together."""
_ABOUT = ("line", "customer")
"""What an audit record repeats of its object: by these it is found, and erased."""


@dataclass(frozen=True)
class Edit:
    """What happens to an object. ``action``: a past participle (``changed``, ``moved``, ``deleted``).
    ``set``: path -> value, None takes it away; ``push``: path -> what is appended to a list there; ``pull``:
    path -> what is taken out of it. ``params``: what the audit shall know beside before and after."""

    action: str
    set: Mapping[str, Any] = field(default_factory=dict)
    push: Mapping[str, Any] = field(default_factory=dict)
    pull: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)


def new_id(type: ObjectType) -> str:
    return PREFIX[type] + secrets.token_urlsafe(9).replace("-", "0").replace("_", "1")


def born(
    type: ObjectType, document: Document, *, by: str, at: int, params: Mapping[str, str] | None = None
) -> Document:
    """The document (with its ``_id``) as it is inserted: version 1, and its audit record with it. ``by`` is
    empty for the desk itself; ``at`` in ms."""
    made = {**document, "version": 1, "created_at": at, "changed_at": at, "created_by": by}
    record = _record(type, made, "added", by=by, at=at, params=params or {})
    record["after"] = _shown(document)
    return {**made, "tokens": tokens_of(made), "unaudited": [record], "owes": 1}


def update_of(type: ObjectType, before: Document, edit: Edit, *, by: str, at: int) -> Update:
    """The update that makes the change on this version of the document."""
    version = before.get("version", 0) + 1
    record = _record(type, {**before, "version": version}, edit.action, by=by, at=at, params=edit.params)
    record["before"] = {_named(path): value_at(before, path) for path in (*edit.set, *edit.pull)}
    record["after"] = {_named(path): value for path, value in (*edit.set.items(), *edit.push.items())}
    for hidden in _HIDDEN:
        record["before"].pop(hidden, None)
        record["after"].pop(hidden, None)
    update: dict[str, dict[str, Any]] = {
        "$set": {"version": version, "changed_at": at, "owes": 1}
        | {path: value for path, value in edit.set.items() if value is not None},
        "$push": {**edit.push, "unaudited": record},
    }
    if any(path.partition(".")[0] in SEARCHED_FIELDS for path in (*edit.set, *edit.push, *edit.pull)):
        update["$set"]["tokens"] = tokens_of(_after(before, edit))
    if gone := [path for path, value in edit.set.items() if value is None]:
        update["$unset"] = dict.fromkeys(gone, "")
    if edit.pull:
        update["$pull"] = dict(edit.pull)
    return update


def _after(before: Document, edit: Edit) -> Document:
    """What is searched of the document, as it is after the edit; what is pulled out is still there, which does
    no harm to tokens."""
    after = dict(before)
    for path, value in (*edit.set.items(), *((path, [one]) for path, one in edit.push.items())):
        head, _, rest = path.partition(".")
        if rest:
            after[head] = {**(after.get(head) or {}), rest: value}
        else:
            after[head] = [*(after.get(head) or ()), *value] if path in edit.push else value
    return after


async def insert(store: Store, type: ObjectType, document: Document) -> None:
    """Puts in what ``born`` made. Raises ``Duplicate`` where it is there already, and ``NotStored``."""
    await store.insert(COLLECTION[type], document)
    await settle(store, type, document)


async def change(
    store: Store, type: ObjectType, before: Document, edit: Edit, *, by: str, at: int
) -> Document:
    """The document as it is after the change. Raises ``Conflict`` when it is not as ``before`` any more, and
    ``NotFound`` when it is gone."""
    version = before.get("version", 0)
    unchanged = {"_id": before["_id"], "version": version or {"$exists": False}}
    update = update_of(type, before, edit, by=by, at=at)
    after = await store.change(COLLECTION[type], unchanged, update)
    if after is None:
        current = await store.get(COLLECTION[type], before["_id"])
        if current is None:
            raise NotFound(f"there is no {type} {before['_id']} any more")
        raise Conflict(f"{type} {before['_id']} has been changed meanwhile", current)
    await settle(store, type, after)
    return after


async def settle(store: Store, type: ObjectType, document: Document) -> None:
    """Copies what lies in the document into the audit. When the document has changed since, that has left
    the same records in it, and whoever did it copies them."""
    records = document.get("unaudited", [])
    done = {"$set": {"unaudited": []}, "$unset": {"owes": ""}}
    unchanged = {"_id": document["_id"], "version": document["version"]}
    await store.write([Write.insert("audit", record) for record in records])
    await store.write([Write.update(COLLECTION[type], unchanged, done)])


async def sweep(store: Store) -> int:
    """Copies what a crash has left uncopied, and returns of how many objects that was."""
    swept = 0
    for type, collection in COLLECTION.items():  # noqa: A001 - the word of the domain
        while found := await store.find(collection, {"owes": 1}, limit=SWEPT):
            for document in found:
                await settle(store, type, document)
            swept += len(found)
    return swept


def _record(
    type: ObjectType, document: Document, action: str, *, by: str, at: int, params: Mapping[str, str]
) -> Document:
    record = {
        "_id": f"{document['_id']}-{document['version']}",
        "at": at,
        "operator": by,
        "action": f"{type}_{action}",
        "verb": action,
        "type": type,
        "object": document["_id"],
        "version": document["version"],
    }
    record |= {name: document[name] for name in _ABOUT if document.get(name)}
    return record | ({"params": dict(params)} if params else {})


_HIDDEN = frozenset({"_id", "keys", "tokens", "unaudited", "owes", "version", "created_at", "changed_at"})


def _named(path: str) -> str:
    """A path as the name of a field, in which no store allows a dot."""
    return path.replace(".", "_")


def _shown(document: Document) -> Document:
    return {name: value for name, value in document.items() if name not in _HIDDEN}


def value_at(document: Mapping[str, Any], path: str) -> Any:
    """What is at a dotted path; None for nothing."""
    value: Any = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
