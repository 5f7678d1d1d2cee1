"""Rows of a file become objects, or each the reason why not. The same row makes the same object, once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from crm.kernel.access import Actor, ObjectType
from crm.kernel.errors import Refused
from crm.kernel.ports import Document, Store
from crm.objects.service import Objects
from crm.objects.twins import ALIVE
from crm.objects.types import COLLECTION, PREFIX
from crm.objects.writing import born

ROWS_MAX = 200
"""Rows that are taken together."""
LOOKUP = 400
"""Keys of one query."""
ALIKE = ("phone:", "email:", "inn:")
"""Keys of which one in common makes two of the same type duplicates."""

Rule = Literal["skip", "make"]
"""What becomes of a row of which there is a duplicate already."""


class TakenRow(NamedTuple):
    """What became of a row: ``made``, with the id; not made because the same row has made ``id`` already; or
    refused, with the reason."""

    made: bool = False
    id: str = ""
    refused: Refused | None = None


class Importing:
    """One portion of rows. ``at`` in ms."""

    def __init__(self, store: Store, objects: Objects, actor: Actor, type: ObjectType, *, at: int) -> None:
        self._store = store
        self._objects = objects
        self._actor = actor
        self._type = type
        self._at = at

    async def take(
        self, rows: Sequence[Mapping[str, str]], *, rule: Rule = "skip", dry_run: bool = False
    ) -> list[TakenRow]:
        """What became of each row, in order; with ``dry_run`` what would become of it. Raises ``Refused`` for
        who may add nothing."""
        if len(rows) > ROWS_MAX:
            raise Refused("too_many", field="rows", limit=str(ROWS_MAX))
        if self._actor.may(self._type, "add") == "none" or self._type == "customer":
            raise Refused("no_right", right="add")
        drafts = [await self._draft(row) for row in rows]
        there = await self._there([draft["_id"] for draft in drafts if isinstance(draft, dict)])
        alike = await self._alike(drafts) if rule == "skip" else {}
        taken: list[TakenRow] = []
        made: dict[str, Document] = {}
        for draft in drafts:
            if isinstance(draft, Refused):
                taken.append(TakenRow(refused=draft))
            elif draft["_id"] in there or draft["_id"] in made:
                taken.append(TakenRow(id=draft["_id"]))
            elif (twin := self._twin(draft, alike)) is not None:
                taken.append(TakenRow(refused=twin))
            else:
                made[draft["_id"]] = draft
                if rule == "skip":
                    alike |= dict.fromkeys(_keys(draft), draft)
                taken.append(TakenRow(made=True, id=draft["_id"]))
        if made and not dry_run:
            params = {"from": "import"}
            by = self._actor.name
            await self._objects.insert_all(
                self._type,
                [born(self._type, one, by=by, at=self._at, params=params) for one in made.values()],
            )
        return taken

    async def _draft(self, row: Mapping[str, str]) -> Document | Refused:
        try:
            given = {name: value for name, value in row.items() if value.strip()}
            if not given:
                return Refused("empty_row")
            draft = await self._objects.draft(self._actor, self._type, given, at=self._at)
        except Refused as refused:
            return refused
        draft["_id"] = _id_of(self._type, given)
        return draft

    async def _there(self, ids: Sequence[str]) -> set[str]:
        found = await self._store.find(COLLECTION[self._type], {"_id": {"$in": list(dict.fromkeys(ids))}})
        return {document["_id"] for document in found}

    async def _alike(self, drafts: Sequence[Document | Refused]) -> dict[str, Document]:
        """Key -> what there is with it."""
        keys = list(dict.fromkeys(key for draft in drafts if isinstance(draft, dict) for key in _keys(draft)))
        found: dict[str, Document] = {}
        for start in range(0, len(keys), LOOKUP):
            wanted = {"keys": {"$in": keys[start : start + LOOKUP]}, **ALIVE}
            for document in await self._store.find(COLLECTION[self._type], wanted):
                found |= dict.fromkeys(_keys(document), document)
        return found

    def _twin(self, draft: Document, alike: Mapping[str, Document]) -> Refused | None:
        """Why a draft is not made: what has a phone, an address or a tax number of it is there. Of one that may
        not be read it is only said that there is one."""
        key = next((key for key in _keys(draft) if key in alike), None)
        if key is None:
            return None
        twin = alike[key]
        by = key.partition(":")[0]
        if not self._actor.reaches(self._type, "read", twin):
            return Refused("duplicate_hidden", by=by)
        return Refused("duplicate_row", by=by, id=twin["_id"])


def _keys(document: Document) -> list[str]:
    return [key for key in document.get("keys", ()) if key.startswith(ALIKE)]


def _id_of(type: ObjectType, given: Mapping[str, str]) -> str:
    said = json.dumps(sorted(given.items()), ensure_ascii=True).encode()
    return PREFIX[type] + "i" + hashlib.blake2b(said, digest_size=12, person=b"navbat-import").hexdigest()
