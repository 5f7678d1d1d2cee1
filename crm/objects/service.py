"""What people and programs do with objects. Every door (wire, import, projector) leads here; whoever comes
is an ``Actor``, and sees and changes no more than he may."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from crm.kernel import stages
from crm.kernel.access import Actor, ObjectType, Verb, within
from crm.kernel.errors import Conflict, Duplicate, Refused
from crm.kernel.ports import Document, Portion, Store, Write
from crm.kernel.records import Media, to_document
from crm.kernel.text import one_line
from crm.objects import twins as alike
from crm.objects.checking import Checks, changed_only
from crm.objects.twins import ALIVE, Twin, keys_of
from crm.objects.types import COLLECTION, PREFIX
from crm.objects.values import condition, split_where
from crm.objects.writing import Edit, born, change, insert, new_id

PAGE_MAX = 200
WHERE_MAX = 20
"""Conditions of one list."""
SORTS = ("created_at", "changed_at", "due_at", "close_date", "stage_since", "title", "name")
MAX_TITLE = 80
"""Characters of a title that is made of a text."""
_OWNERS: tuple[ObjectType, ...] = ("deal", "lead", "contact", "company", "customer")
"""Of what an activity is: the first that is named gives it its line."""


class Added(NamedTuple):
    document: Document
    twins: list[Twin]
    """What is like it and was there before."""


class Objects:
    """The objects of one desk."""

    def __init__(self, store: Store, checks: Checks) -> None:
        self._store = store
        self.checks = checks

    # ---------------------------------------------------------------- reading

    async def get(self, actor: Actor, type: ObjectType, id: str, *, deleted: bool = False) -> Document:
        """Raises ``Refused`` (``no_such_object``), also for what he may not read."""
        return await self.checks.readable(actor, type, id, deleted=deleted)

    async def page(
        self, actor: Actor, type: ObjectType, where: Sequence[str] = (), *, sort: str = "-created_at",
        limit: int = 50, after: str = "", deleted: bool = False, verb: Verb = "read",
    ) -> Portion:  # fmt: skip
        """A page of what he may read and that meets every condition (``amount>=1000``). ``sort``: one of
        ``SORTS``, backwards with ``-``. ``deleted``: those that were deleted, and no others."""
        by = sort.removeprefix("-")
        if by not in SORTS:
            raise Refused("bad_sort", sort=sort[:60], allowed=", ".join(SORTS))
        wanted = self.filter(actor, type, where, deleted=deleted, verb=verb)
        order = [(by, -1 if sort.startswith("-") else 1)]
        return await self._store.page(
            COLLECTION[type], wanted, sort=order, limit=max(1, min(limit, PAGE_MAX)), after=after
        )

    async def count(
        self, actor: Actor, type: ObjectType, where: Sequence[str] = (), *, deleted: bool = False
    ) -> int:
        """How many all pages of the list have."""
        return await self._store.count(COLLECTION[type], self.filter(actor, type, where, deleted=deleted))

    def filter(
        self, actor: Actor, type: ObjectType, where: Sequence[str], *, deleted: bool = False,
        verb: Verb = "read",
    ) -> Mapping[str, Any]:  # fmt: skip
        """What the store is asked for a list. Raises ``Refused``."""
        if actor.may(type, verb) == "none":
            raise Refused("no_right", right=verb)
        if len(where) > WHERE_MAX:
            raise Refused("too_many", field="where", limit=str(WHERE_MAX))
        conditions = []
        for text in where:
            name, operator, value = split_where(text)
            conditions.append(condition(self.checks.field(type, name), operator, value, self.checks.habits))
        there: Mapping[str, Any] = {"deleted": {"$exists": True}} if deleted else ALIVE
        readable = within(actor, type, "read", {"$and": [there, *conditions]})
        return readable if verb == "read" else within(actor, type, verb, readable)

    # ---------------------------------------------------------------- making

    async def add(
        self, actor: Actor, type: ObjectType, given: Mapping[str, Any], *, at: int, key: str = ""
    ) -> Added:
        """Makes an object, for which he is responsible himself where nobody is named. ``key``: of the same
        actor and key there is made but one, however often it is asked for."""
        document = await self.draft(actor, type, given, at=at)
        document["_id"] = _id_for(type, actor.name, key) if key else new_id(type)
        found = await alike.twins(self._store, actor, type, document["keys"], document["_id"])
        made = born(type, document, by=actor.name, at=at)
        try:
            await insert(self._store, type, made)
        except Duplicate:
            there = await self._store.get(COLLECTION[type], document["_id"])
            if not key or there is None:
                raise
            if not actor.reaches(type, "read", there):
                raise Refused("no_such_object", type=type, id=there["_id"]) from None
            return Added(there, found)
        return Added(made, found)

    async def draft(self, actor: Actor, type: ObjectType, given: Mapping[str, Any], *, at: int) -> Document:
        """An object as it would be made, without an id. Raises ``Refused``."""
        if actor.may(type, "add") == "none" or type == "customer":
            raise Refused("no_right", right="add")
        values = await self.checks.values(actor, type, _titled(type, given), making=True)
        document = await self._with_owner(actor, type, _nested(values))
        if type in ("lead", "deal"):
            begins = {"funnel": values.get("funnel") or "", "key": values.get("stage") or ""}
            document |= stages.begun(self.checks.settings, type, at=at, by=actor.name, **begins)
        if type == "lead":
            document.setdefault("source", {"kind": "manual"})
        if not actor.reaches(type, "add", document):
            raise Refused("no_right", right="add")
        document["keys"] = keys_of(type, document)
        return document

    async def insert_all(self, type: ObjectType, made: Sequence[Document]) -> None:
        """Inserts many that ``born`` made, each with its record in the audit; those that are there already are
        left alone."""
        records = [Write.insert("audit", record) for one in made for record in one["unaudited"]]
        if self._store.all_or_nothing:
            settled = [{**one, "unaudited": []} for one in made]
            for one in settled:
                del one["owes"]
            await self._store.write([*(Write.insert(COLLECTION[type], one) for one in settled), *records])
            return
        await self._store.write([Write.insert(COLLECTION[type], one) for one in made])
        await self._store.write(records)
        done = {"$set": {"unaudited": []}, "$unset": {"owes": ""}}
        first = [{"_id": one["_id"], "version": 1} for one in made]
        await self._store.write([Write.update(COLLECTION[type], one, done) for one in first])

    async def twins(
        self, actor: Actor, type: ObjectType, given: Mapping[str, Any], *, id: str = ""
    ) -> list[Twin]:
        """What is like an object that is only being written."""
        if "none" in (actor.may(type, "read"), actor.may(type, "add")):
            raise Refused("no_right", right="add")
        values = await self.checks.values(actor, type, given)
        return await alike.twins(self._store, actor, type, keys_of(type, values), id)

    async def _with_owner(self, actor: Actor, type: ObjectType, document: Document) -> Document:
        """With whom it is for, and in which line: where nothing is said, as what it belongs to, else as who
        makes it."""
        document.setdefault("responsible", actor.name)
        if type == "activity":
            owner = next((of for of in _OWNERS if document.get(of)), None)
            if owner is not None:
                of = await self.checks.readable(actor, owner, document[owner])
                for name in ("line", "customer"):
                    if of.get(name):
                        document.setdefault(name, of[name])
        if "line" not in document and len(actor.lines) == 1:
            document["line"] = next(iter(actor.lines))
        document.setdefault("line", "")
        return document

    # ---------------------------------------------------------------- changing

    async def set(
        self, actor: Actor, type: ObjectType, id: str, given: Mapping[str, Any], *, at: int, version: int = 0
    ) -> Document:
        """Changes the fields that are given. ``version``: the one that they were changed on; 0: whichever
        there is. Raises ``Conflict`` when there is another by now, unless it says all that already."""
        before = await self.editable(actor, type, id)
        values = await self.checks.values(actor, type, given)
        while wanted := changed_only(before, values):
            if version and version != before.get("version", 0):
                raise Conflict(f"{type} {id} has been changed meanwhile", before)
            edit = Edit("changed", _with_consequences(type, before, wanted, at))
            try:
                return await self.write(actor, type, before, edit, at=at)
            except Conflict:
                before = await self.editable(actor, type, id)
        return before

    async def editable(self, actor: Actor, type: ObjectType, id: str) -> Document:
        """The object, if this actor may change it. Raises ``Refused``."""
        document = await self.checks.readable(actor, type, id)
        if not actor.reaches(type, "edit", document):
            raise Refused("no_right", right="edit")
        if type == "lead" and document.get("converted"):
            raise Refused("lead_converted", id=id)
        return document

    async def write(
        self, actor: Actor, type: ObjectType, before: Document, edit: Edit, *, at: int
    ) -> Document:
        """One change of what ``editable`` gave. Raises ``Conflict``."""
        return await change(self._store, type, before, edit, by=actor.name, at=at)

    async def delete(self, actor: Actor, type: ObjectType, id: str, *, at: int, version: int = 0) -> Document:
        """Takes it out of everything that lists or finds. It stays, with who did it and when, and can be
        restored. Deleting what is deleted changes nothing."""
        before = await self.get(actor, type, id, deleted=True)
        if not actor.reaches(type, "delete", before):
            raise Refused("no_right", right="delete")
        if "deleted" in before:
            return before
        if version and version != before["version"]:
            raise Conflict(f"{type} {id} has been changed meanwhile", before)
        edit = Edit("deleted", {"deleted": {"at": at, "by": actor.name}})
        return await self.write(actor, type, before, edit, at=at)

    async def restore(self, actor: Actor, type: ObjectType, id: str, *, at: int) -> Document:
        """Undoes ``delete``."""
        before = await self.get(actor, type, id, deleted=True)
        if not actor.reaches(type, "delete", before):
            raise Refused("no_right", right="delete")
        if "deleted" not in before:
            return before
        return await self.write(actor, type, before, Edit("restored", {"deleted": None}), at=at)

    # ---------------------------------------------------------------- files

    async def add_file(self, actor: Actor, type: ObjectType, id: str, file: Media, *, at: int) -> Document:
        """Attaches a file that is in the media store. Twice is once."""
        before = await self.editable(actor, type, id)
        files = before.get("files", [])
        if any(one.get("key") == file.key for one in files):
            return before
        limit = self.checks.field(type, "files").most
        if len(files) >= limit:
            raise Refused("too_many", field="files", limit=str(limit))
        edit = Edit("file_added", {"files": [*files, to_document(file)]}, params={"name": file.name})
        return await self.write(actor, type, before, edit, at=at)

    async def remove_file(self, actor: Actor, type: ObjectType, id: str, key: str, *, at: int) -> Document:
        """Takes a file off the object."""
        before = await self.editable(actor, type, id)
        files = [one for one in before.get("files", []) if one.get("key") != key]
        if len(files) == len(before.get("files", [])):
            raise Refused("no_such_file")
        return await self.write(actor, type, before, Edit("file_removed", {"files": files}), at=at)


def _titled(type: ObjectType, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """A note or a comment needs no title: the beginning of its text is one."""
    about = given.get("about")
    if type != "activity" or given.get("title") or not isinstance(about, str):
        return given
    return {**given, "title": one_line(about[: 4 * MAX_TITLE], MAX_TITLE)}


def _with_consequences(
    type: ObjectType, before: Document, wanted: Mapping[str, Any], at: int
) -> dict[str, Any]:
    """The change with what follows from it: the keys, and when a task was done."""
    values = dict(wanted)
    merged = {**before, **wanted}
    keys = keys_of(type, merged)
    if keys != before.get("keys", []):
        values["keys"] = keys
    if type == "activity" and "done" in wanted:
        values["done_at"] = at if wanted["done"] else None
    return values


def _nested(values: Mapping[str, Any]) -> Document:
    """Path -> value as a document, without what is empty."""
    document: Document = {}
    for path, value in values.items():
        if value is None or path in ("funnel", "stage"):
            continue
        head, _, name = path.partition(".")
        if name:
            document.setdefault(head, {})[name] = value
        else:
            document[head] = value
    return document


def _id_for(type: ObjectType, operator: str, key: str) -> str:
    return PREFIX[type] + hashlib.blake2b(f"{operator}/{key}".encode(), digest_size=9).hexdigest()
