"""The store's port. Two implementations live in ``storage/``; one contract suite holds both to it.

Filters and updates are MongoDB's own syntax, in this subset and nothing else (anything else raises
``UnsupportedQuery``):

filter   ``{field: value}`` and ``$eq $ne $gt $gte $lt $lte $in $nin $exists`` on dotted fields;
         equality on an array field matches any element; ``$and``, ``$or`` of filters
update   ``$set $unset $setOnInsert $inc $max $min $push $addToSet $pull``
sort     a list of ``(field, 1 | -1)``; equal ones go by ``_id``

Fields are plain names, without positions in arrays. Filters compare with text, numbers, booleans and
nothing, ranges with text and numbers only. ``$pull`` takes a value or a filter of elements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

Document = dict[str, Any]
Filter = Mapping[str, Any]
Update = Mapping[str, Any]
Sort = Sequence[tuple[str, int]]


class Write:
    """One write of a batch, made by one of the class methods. ``plain``: the document holds texts, finite
    numbers, truths, nothing, and lists and objects of them, and no bytes. It is encoded in a tenth of the time
    when nobody has to look for those."""

    __slots__ = ("change", "collection", "document", "filter", "kind", "plain")

    def __init__(
        self,
        kind: str,
        collection: str,
        filter: Filter,
        change: Update | None = None,
        document: Document | None = None,
        plain: bool = False,
    ) -> None:
        self.kind = kind
        self.collection = collection
        self.filter = filter
        self.change = change
        self.document = document
        self.plain = plain

    @classmethod
    def upsert(cls, collection: str, filter: Filter, change: Update) -> Write:
        """Updates the one match, or inserts a document made of the filter's equalities and the
        change."""
        return cls("upsert", collection, filter, change)

    @classmethod
    def update(cls, collection: str, filter: Filter, change: Update) -> Write:
        """Updates the first match; no match changes nothing."""
        return cls("update", collection, filter, change)

    @classmethod
    def replace(cls, collection: str, document: Document, *, plain: bool = False) -> Write:
        """Puts the document in place of the one with its ``_id``, or inserts it."""
        return cls("replace", collection, {"_id": document["_id"]}, document=document, plain=plain)

    @classmethod
    def insert(cls, collection: str, document: Document, *, plain: bool = False) -> Write:
        """Inserts; a document that breaks a unique index is left out, which is how repeated
        writes stay harmless. The same holds for every other kind of write."""
        return cls("insert", collection, {"_id": document["_id"]}, document=document, plain=plain)

    @classmethod
    def delete(cls, collection: str, filter: Filter) -> Write:
        """Deletes every match."""
        return cls("delete", collection, filter)


class Portion(NamedTuple):
    """A part of a list. ``next`` is where the following part begins; empty at the end."""

    items: list[Document]
    next: str


class Store(Protocol):
    """Documents in named collections, each with a string ``_id``. Every method raises ``Unavailable`` when
    the store does not answer, and ``TimedOut``, which is one, when it does not answer in time. A write that
    raised either may have been carried out."""

    @property
    def all_or_nothing(self) -> bool:
        """Whether ``write`` never leaves a part of its batch behind, whatever happens in between."""

    async def open(self) -> None:
        """Connects, and creates what is missing (collections, indexes)."""

    async def close(self) -> None: ...

    async def collections(self) -> list[str]:
        """The names of all collections there are, in order; some may be empty."""

    async def get(self, collection: str, id: str) -> Document | None: ...

    async def find(
        self, collection: str, filter: Filter, *, sort: Sort = (), limit: int = 0, skip: int = 0
    ) -> list[Document]:
        """All matches, or the first ``limit`` of them."""

    async def count(self, collection: str, filter: Filter) -> int: ...

    async def page(
        self, collection: str, filter: Filter, *, sort: Sort, limit: int, after: str = ""
    ) -> Portion:
        """The first ``limit`` matches, or those that follow where an earlier page ended (its ``next``). The
        place is that of the last document, whatever has been added or deleted since. Sort fields hold
        numbers, texts or nothing, in that order: nothing comes first. Raises ``WrongUse`` for an ``after``
        that is not of this list."""

    async def insert(self, collection: str, document: Document) -> None:
        """Raises ``Duplicate``, and ``NotStored`` for what no store keeps: fields named with ``$``, a dot or
        nothing, numbers of more than 64 bits, NUL in a text, more than 8 MiB."""

    async def change(
        self, collection: str, filter: Filter, update: Update, *, upsert: bool = False, sort: Sort = ()
    ) -> Document | None:
        """Updates the first match in one step and returns it as it is then; None where nothing matches. An
        ``upsert`` inserts a document then, made of the filter's equalities and the update. Raises what
        ``insert`` raises, and nothing has changed."""

    async def scrub(self) -> bool:
        """Makes unreadable, in the files that are the store's own, what has been deleted: it may take as long as
        all of the store takes to be copied, and writes wait meanwhile. False where that is not for us to do:
        the server's administrator has to, or the store is too large to hold everybody up for it."""

    async def expire(self, now: int) -> int:
        """Deletes what is past the time that its index says (``Index.expires``), and returns how many
        documents that were. ``now`` in ms."""

    async def write(self, writes: Sequence[Write], *, expect: tuple[str, Filter] | None = None) -> int:
        """Applies the writes in order, all or nothing where the store can (SQLite always, MongoDB
        on a replica set; else in order and safe to repeat). Returns how many documents changed.

        With ``expect``, a collection and a filter, nothing is written unless a document of it
        matches: then ``LeaseLost`` is raised. That is how a writer makes sure it is still the one."""

    async def search(
        self, text: str, *, filter: Filter, limit: int = 50, whole: bool = False
    ) -> list[Document]:
        """Messages whose text holds all the words and that match ``filter``; the last stored come first. The
        last word may be the beginning of one, unless all are ``whole``. Any text is a legal query."""
