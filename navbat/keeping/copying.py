"""Whole collections, page by page: into a file, out of one, from one store into another."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec

from crm.kernel.errors import NavbatError
from crm.kernel.ports import Document, Store, Write
from storage.codec import canonical, decode

PAGE = 500
"""Documents that are in memory at once."""
FIRST = "cursors"
"""The collection that is copied before all others: it says up to where the journal has been written down.
What is read of the others afterwards may be newer, and the journal is written once more from there."""


class Sum(msgspec.Struct, frozen=True):
    """How many documents, and the SHA-256 of their lines in order of ``_id``."""

    count: int
    sha256: str


class _Adding:
    def __init__(self) -> None:
        self._count = 0
        self._digest = hashlib.sha256()

    def add(self, line: bytes) -> None:
        self._count += 1
        self._digest.update(line)

    def sum(self) -> Sum:
        return Sum(self._count, self._digest.hexdigest())


async def names(store: Store) -> list[str]:
    """The collections of a store, in the order in which they are copied."""
    return sorted(await store.collections(), key=lambda name: (name != FIRST, name))


async def pages(store: Store, collection: str, after: str = "") -> AsyncIterator[list[Document]]:
    """All documents in order of ``_id``, those after ``after``."""
    while page := await store.find(
        collection, {"_id": {"$gt": after}} if after else {}, sort=[("_id", 1)], limit=PAGE
    ):
        yield page
        after = page[-1]["_id"]


async def sum_of(store: Store, collection: str) -> Sum:
    """What is in a collection now."""
    adding = _Adding()
    async for page in pages(store, collection):
        for document in page:
            adding.add(canonical(document))
    return adding.sum()


async def to_file(store: Store, collection: str, path: Path) -> Sum:
    """Writes a collection as JSON lines; it is on disk when this returns."""
    adding = _Adding()
    with path.open("xb") as file:
        async for page in pages(store, collection):
            for document in page:
                line = canonical(document)
                adding.add(line)
                file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return adding.sum()


def sum_of_file(path: Path) -> Sum:
    """The same of a file that ``to_file`` wrote. Raises ``NavbatError``."""
    adding = _Adding()
    for line in _lines(path):
        adding.add(line)
    return adding.sum()


def documents_of(path: Path) -> Iterator[Document]:
    """The documents of a file that ``to_file`` wrote. Raises ``NavbatError``."""
    for number, line in enumerate(_lines(path), 1):
        yield _document(path, number, line)


async def from_file(path: Path, store: Store, collection: str) -> None:
    """Puts the documents of a file in place of those with their ``_id``. Raises ``NavbatError``."""
    page: list[Write] = []
    for document in documents_of(path):
        page.append(Write.replace(collection, document))
        if len(page) == PAGE:
            await store.write(page)
            page = []
    await store.write(page)


async def bring_up(source: Store, target: Store, collection: str) -> int:
    """Makes a collection of ``target`` the same as that of ``source``: what differs is written, what is
    there beyond it is deleted. Cut off, it goes on where it was when called again. Returns how many
    documents it wrote or deleted."""
    changed = 0
    after = ""
    async for page in pages(source, collection):
        last = page[-1]["_id"]
        changed += await _same(
            target, collection, page, {"$gt": after, "$lte": last} if after else {"$lte": last}
        )
        after = last
    async for page in pages(target, collection, after):
        changed += await target.write([_removed(collection, document["_id"]) for document in page])
    return changed


async def _same(target: Store, collection: str, page: list[Document], between: dict[str, Any]) -> int:
    there = {d["_id"]: canonical(d) for d in await target.find(collection, {"_id": between})}
    # Deleted first: a document that took a unique value over from another finds it free.
    writes = [_removed(collection, id) for id in there.keys() - {document["_id"] for document in page}]
    writes += [Write.replace(collection, d) for d in page if there.get(d["_id"]) != canonical(d)]
    await target.write(writes)
    return len(writes)


def _removed(collection: str, id: str) -> Write:
    return Write.delete(collection, {"_id": id})


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise NavbatError(f"{path} cannot be read: {error.strerror}") from error


def _document(path: Path, number: int, line: bytes) -> Document:
    try:
        document = decode(line.decode())
    except (ValueError, msgspec.DecodeError) as error:
        raise NavbatError(f"{path}, line {number}: this is no document: {error}") from error
    if not isinstance(document.get("_id"), str):
        raise NavbatError(f"{path}, line {number}: a document without its _id")
    return document
