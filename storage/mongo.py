"""The store on MongoDB, or on a server that speaks its language.

Filters and updates go through as they are, once they have been checked. Batches are transactions
where the server can (a replica set or a cluster of them); elsewhere they are carried out in order,
and a batch that breaks off is safe to repeat. Messages carry a field ``words`` for the search,
which needs nothing but an ordinary index.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import bson
import pymongo
from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import (
    AsyncIOMotorClient,
    AsyncIOMotorClientSession,
    AsyncIOMotorCollection,
    AsyncIOMotorDatabase,
)
from pymongo import ReturnDocument, WriteConcern
from pymongo.errors import (
    ConfigurationError,
    DuplicateKeyError,
    OperationFailure,
)

from crm.kernel.errors import (
    ConfigError,
    Duplicate,
    LeaseLost,
    Unavailable,
)
from crm.kernel.ports import Document, Filter, Portion, Sort, Update, Write
from storage.filters import compile_filter, split_path
from storage.mongo_errors import DUPLICATE, UNKNOWN_COMMAND, is_taken, reaching
from storage.paging import both, page_of, stretches, whole_sort
from storage.schema import INDEXES, OPENING, SEARCHED, Index, check_collection, expired, is_collection
from storage.updates import check_update, inserted, updated, with_id
from storage.values import check_document, check_operands, value_at
from storage.words import SPELLING, query_words, words

logger = logging.getLogger(__name__)

PART_COUNT = 1000
PART_BYTES = 16 << 20
"""Writes of one request: far below the server's 48 MB, and each document below its 16 MiB."""

_COMMAND = {
    "insert": "insert",
    "update": "update",
    "upsert": "update",
    "replace": "update",
    "delete": "delete",
}
_ARGUMENT = {"insert": "documents", "update": "updates", "delete": "deletes"}


class _PlainInt(TypeDecoder):
    """64-bit numbers as ordinary ``int``: records take nothing else."""

    bson_type = Int64

    def transform_bson(self, value: int) -> int:
        return int(value)


RESPELL_PAGE = 2000
"""Messages that are read at once when the index of words is brought up to date."""
_MARKS, _SPELLED = "marks", "spelling"
"""What this store notes for itself; no collection of the port's."""
_MARKS_BEFORE = "cursors"

_CODEC: CodecOptions[Document] = CodecOptions(type_registry=TypeRegistry([_PlainInt()]))


class MongoStore:
    """``crm.kernel.ports.Store`` in ``database`` of the server at ``url``. ``timeout`` in seconds holds for
    each call."""

    def __init__(self, url: str, database: str, *, timeout: float = 5.0) -> None:
        self._url = url
        self._name = database
        self._timeout = timeout
        self._client: AsyncIOMotorClient[Document] | None = None
        self._transactions = False

    # A transaction that repeats something is written one by one: even there it may break off.
    all_or_nothing = False

    async def open(self) -> None:
        """Raises ``ConfigError`` for a URL that is none, ``Unavailable``."""
        ms = int(self._timeout * 1000)
        try:
            self._client = AsyncIOMotorClient(
                self._url,
                serverSelectionTimeoutMS=ms,
                connectTimeoutMS=ms,
                socketTimeoutMS=ms,
                waitQueueTimeoutMS=ms,
                maxPoolSize=20,
                journal=True,
                appname="navbat",
            )
        except (ConfigurationError, ValueError) as error:
            raise ConfigError("mongodb: this is no usable address of a MongoDB", hint=str(error)) from error
        async with self._reaching():
            hello = await self._hello()
            self._transactions = "setName" in hello or hello.get("msg") == "isdbgrid"
        for collection, indexes in INDEXES.items():
            for index in indexes:
                await self._create(collection, index)
        async with self._unhurried():
            await self._of(SEARCHED).create_index([("words", 1), ("at", -1)], name="words")
        await self._respell()

    async def _hello(self) -> Document:
        """What the server says of itself; some know the command by its old name alone."""
        try:
            return await self._connected.admin.command("hello")
        except OperationFailure as error:
            if error.code != UNKNOWN_COMMAND:
                raise
            return await self._connected.admin.command("ismaster")

    async def _respell(self) -> None:
        """Brings the words of another time up to date, page by page: no call may take long. Broken off,
        it begins anew and does no harm."""
        async with self._reaching():
            done = await self._of(_MARKS).find_one({"_id": _SPELLED}) or await self._of(
                _MARKS_BEFORE
            ).find_one({"_id": _SPELLED})
        if done is not None and done["version"] >= SPELLING:
            return
        last = ""
        # The mark comes after them in the server's journal: what it promises is there with it.
        unhurried = self._of(SEARCHED).with_options(write_concern=WriteConcern(w=1, j=False))
        while True:
            async with self._reaching():
                page = self._of(SEARCHED).find(
                    {"_id": {"$gt": last}}, {"text": 1, "words": 1}, limit=RESPELL_PAGE
                )
                found = await page.sort([("_id", 1)]).to_list(None)
            for document in found:
                of_now = words(document.get("text") or "")
                if of_now != document.get("words"):
                    async with self._reaching():
                        change = {"$set": {"words": of_now}}
                        await unhurried.update_one({"_id": document["_id"]}, change)
            if len(found) < RESPELL_PAGE:
                break
            last = found[-1]["_id"]
        async with self._reaching():
            mark = {"$set": {"version": SPELLING}}
            await self._of(_MARKS).update_one({"_id": _SPELLED}, mark, upsert=True)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            # It says good-bye to the server, which may not listen any more.
            await asyncio.to_thread(client.close)

    async def collections(self) -> list[str]:
        async with self._reaching():
            names = await self._database.list_collection_names()
        return sorted(name for name in names if is_collection(name) and name != _MARKS)

    async def get(self, collection: str, id: str) -> Document | None:
        found = await self.find(collection, {"_id": id}, limit=1)
        return found[0] if found else None

    async def find(
        self, collection: str, filter: Filter, *, sort: Sort = (), limit: int = 0, skip: int = 0
    ) -> list[Document]:
        compile_filter(filter)
        for field, _ in sort:
            split_path(field)
        async with self._reaching():
            cursor = self._of(collection).find(filter, _hidden(collection), limit=limit, skip=skip)
            if sort:
                cursor = cursor.sort(whole_sort(sort))
            return await cursor.to_list(None)

    async def count(self, collection: str, filter: Filter) -> int:
        compile_filter(filter)
        async with self._reaching():
            return await self._of(collection).count_documents(filter)

    async def page(
        self, collection: str, filter: Filter, *, sort: Sort, limit: int, after: str = ""
    ) -> Portion:
        compile_filter(filter)
        sort, limit = whole_sort(sort), max(1, limit)
        found: dict[str, Document] = {}
        for stretch in stretches(collection, sort, after):
            part = both(filter, stretch)
            compile_filter(part)
            async with self._reaching():
                rows = self._of(collection).find(part, _hidden(collection), limit=limit + 1 - len(found))
                # One that has moved on between two stretches is there once.
                found |= {d["_id"]: d for d in await rows.sort(sort).to_list(None) if d["_id"] not in found}
            if len(found) > limit:
                break
        return page_of(collection, sort, list(found.values()), limit)

    async def insert(self, collection: str, document: Document) -> None:
        check_collection(collection)
        check_document(collection, document)
        statement = _statement(Write.insert(collection, document))
        async with self._reaching():
            try:
                await self._synced(collection).insert_one(statement)
            except DuplicateKeyError as error:
                raise await self._duplicate(error, collection, document) from error

    async def change(
        self, collection: str, filter: Filter, update: Update, *, upsert: bool = False, sort: Sort = ()
    ) -> Document | None:
        write = (Write.upsert if upsert else Write.update)(collection, filter, update)
        _check(write)
        check_operands(collection, update)
        order = whole_sort(sort) if sort else None
        statement = _statement(write)
        async with self._reaching():
            for again in (upsert, False):
                try:
                    found = await self._synced(collection).find_one_and_update(
                        filter, statement["u"], upsert=upsert, sort=order,
                        return_document=ReturnDocument.AFTER,
                    )  # fmt: skip
                except OperationFailure as error:
                    if not is_taken(error):
                        raise
                    # Of two that insert the same at once, one comes too late; it is there to be updated then.
                    if not again:
                        raise await self._duplicate_of_change(error, write, order) from error
                else:
                    break
        return _shown(collection, found)

    async def _duplicate_of_change(
        self, error: OperationFailure, write: Write, order: list[tuple[str, int]] | None
    ) -> Duplicate:
        assert write.change is not None
        there = await self._of(write.collection).find_one(write.filter, sort=order)
        if there is None:
            meant = inserted(write.filter, with_id(write.filter, write.change))
        else:
            meant = updated(there, write.change)
        return await self._duplicate(error, write.collection, meant, own=there is not None)

    async def _duplicate(
        self, error: OperationFailure, collection: str, meant: Document, *, own: bool = False
    ) -> Duplicate:
        """Which unique index refused a document. MongoDB tells, others do not. ``own``: the document that
        has its id is the one that was to be changed."""
        if (pattern := (error.details or {}).get("keyPattern")) is not None:
            return Duplicate("_".join(pattern).replace(".", "_"))
        if own or await self._of(collection).find_one({"_id": meant["_id"]}) is None:
            for index in INDEXES.get(collection, ()):
                same = {field: value_at(meant, field) for field in index.fields}
                others = {**same, "_id": {"$ne": meant["_id"]}}
                if index.unique and await self._of(collection).find_one(others) is not None:
                    return Duplicate(index.name)
        return Duplicate("_id")

    async def scrub(self) -> bool:
        return False

    async def expire(self, now: int) -> int:
        return sum([await self.write([write]) for write in expired(now)])

    async def write(self, writes: Sequence[Write], *, expect: tuple[str, Filter] | None = None) -> int:
        for write in writes:
            _check(write)
        if expect is not None:
            compile_filter(expect[1])
        if self._transactions:
            try:
                return await self._write_at_once(writes, expect)
            except _Taken:
                # A unique index ends a whole transaction. One by one, that write can be left out.
                logger.debug("a batch of %d writes repeats something; writing it one by one", len(writes))
        async with self._reaching():
            await self._expect(expect, None)
            return await self._write_in_order(writes, None)

    async def search(
        self, text: str, *, filter: Filter, limit: int = 50, whole: bool = False
    ) -> list[Document]:
        compile_filter(filter)
        *before, last = query_words(text) or [""]
        if not last:
            return []
        # Words are letters and digits only, so nothing in them means anything to a pattern.
        end: Any = last if whole else {"$regex": f"^{last}"}
        parts = [*({"words": word} for word in before), {"words": end}]
        async with self._reaching():
            cursor = self._of(SEARCHED).find({"$and": [*parts, filter]}, _hidden(SEARCHED), limit=limit)
            return await cursor.sort([("at", -1), ("_id", -1)]).to_list(None)

    # ---------------------------------------------------------------- writing

    async def _write_at_once(self, writes: Sequence[Write], expect: tuple[str, Filter] | None) -> int:
        async with (
            self._reaching(),
            await self._connected.start_session() as session,
            session.start_transaction(),
        ):
            await self._expect(expect, session)
            return await self._write_in_order(writes, session)

    async def _expect(
        self, expect: tuple[str, Filter] | None, session: AsyncIOMotorClientSession | None
    ) -> None:
        if expect is not None:
            collection, wanted = expect
            if await self._of(collection).find_one(wanted, session=session) is None:
                raise LeaseLost("another process writes this now")

    async def _write_in_order(
        self, writes: Sequence[Write], session: AsyncIOMotorClientSession | None
    ) -> int:
        changed = 0
        for (command, collection), group in itertools.groupby(writes, _run_of):
            for part in _parts(group):
                changed += await self._run(command, collection, part, session)
        return changed

    async def _run(
        self,
        command: str,
        collection: str,
        part: list[RawBSONDocument],
        session: AsyncIOMotorClientSession | None,
    ) -> int:
        """One command, and the rest of it again after each write that a unique index refused. Returns
        how many documents changed."""
        changed = 0
        while part:
            body: dict[str, Any] = {
                command: collection,
                _ARGUMENT[command]: part,
                "ordered": command != "insert",
            }
            if session is None:
                body["writeConcern"] = {"w": "majority", "j": True}
            reply = await self._database.command(body, session=session)
            errors = reply.get("writeErrors", [])
            for error in errors:
                if error["code"] != DUPLICATE:
                    raise OperationFailure(error.get("errmsg", ""), error["code"])
                if session is not None:
                    raise _Taken
            if command == "insert":
                # What was refused is left out; not every server's `n` does so.
                return len(part) - len(errors)
            upserted = len(reply.get("upserted", ()))
            changed += reply.get("nModified", reply.get("n", 0) - upserted) + upserted
            part = part[errors[0]["index"] + 1 :] if errors else []
        return changed

    # ---------------------------------------------------------------- plumbing

    async def _create(self, collection: str, index: Index) -> None:
        keys = [(field, 1) for field in index.fields]
        # Sparse, as a document without the field takes nobody's place.
        options: dict[str, Any] = {"unique": True} if index.unique else {}
        if index.unique or index.sparse:
            options["sparse"] = True
        async with self._unhurried():
            await self._of(collection).create_index(keys, name=index.name, **options)

    @property
    def _connected(self) -> AsyncIOMotorClient[Document]:
        if self._client is None:
            raise Unavailable("the store is closed")
        return self._client

    @property
    def _database(self) -> AsyncIOMotorDatabase[Document]:
        return self._connected.get_database(self._name, codec_options=_CODEC)

    def _of(self, collection: str) -> AsyncIOMotorCollection[Document]:
        return self._database[check_collection(collection)]

    def _reaching(self) -> AbstractAsyncContextManager[None]:
        return reaching(self._timeout)

    @asynccontextmanager
    async def _unhurried(self) -> AsyncIterator[None]:
        # The driver's own limit takes the place of that of the connection, which is one call's.
        with pymongo.timeout(OPENING):
            async with reaching(OPENING):
                yield

    def _synced(self, collection: str) -> AsyncIOMotorCollection[Document]:
        return self._of(collection).with_options(write_concern=WriteConcern(w="majority", j=True))


class _Taken(Exception):
    """A unique index refused a write in a transaction, which is over with that."""


def _shown(collection: str, found: Document | None) -> Document | None:
    if found is not None and collection == SEARCHED:
        found.pop("words", None)
    return found


def _hidden(collection: str) -> dict[str, int] | None:
    return {"words": 0} if collection == SEARCHED else None


def _run_of(write: Write) -> tuple[str, str]:
    return _COMMAND[write.kind], write.collection


def _parts(writes: Iterable[Write]) -> Iterator[list[RawBSONDocument]]:
    """The statements of a command, as many as one request may carry."""
    part: list[RawBSONDocument] = []
    size = 0
    for write in writes:
        encoded = bson.encode(_statement(write))
        if part and (len(part) == PART_COUNT or size + len(encoded) > PART_BYTES):
            yield part
            part, size = [], 0
        part.append(RawBSONDocument(encoded))
        size += len(encoded)
    if part:
        yield part


def _check(write: Write) -> None:
    check_collection(write.collection)
    compile_filter(write.filter)
    if write.change is not None:
        check_update(write.change)


def _statement(write: Write) -> Document:
    """A write as a part of the server's own command."""
    if write.kind == "delete":
        return {"q": write.filter, "limit": 0}
    if write.change is not None:
        upsert = write.kind == "upsert"
        change = with_id(write.filter, write.change) if upsert else write.change
        return {"q": write.filter, "u": _with_words(write.collection, change), "upsert": upsert}
    document = dict(write.document or {})
    if write.collection == SEARCHED:
        document["words"] = words(document.get("text", ""))
    return document if write.kind == "insert" else {"q": write.filter, "u": document, "upsert": True}


def _with_words(collection: str, change: Update) -> Mapping[str, Any]:
    """The change of a message's text, with the words that follow from it."""
    if collection != SEARCHED:
        return change
    result = {operator: dict(fields) for operator, fields in change.items()}
    for operator in ("$set", "$setOnInsert"):
        if "text" in result.get(operator, {}):
            result[operator]["words"] = words(result[operator]["text"])
    if "text" in result.get("$unset", {}):
        result.setdefault("$set", {})["words"] = []
    return result
