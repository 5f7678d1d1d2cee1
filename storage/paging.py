"""Where a page begins: behind a document, told by the values of its sort fields, and never by a number of
documents to pass over.

What follows is asked for in stretches, one after the other. In each the leading sort fields are equal and the
next one is in one range of one kind of value, so that an ordinary index answers it in order, in either store.
"""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from crm.kernel.errors import UnsupportedQuery, WrongUse
from crm.kernel.ports import Document, Filter, Portion, Sort
from storage.filters import split_path
from storage.values import value_at

Value = str | int | float | None

_LEAST = -sys.float_info.max


class _Place(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    collection: str
    sort: list[tuple[str, int]]
    values: list[Value]


def whole_sort(sort: Sort) -> list[tuple[str, int]]:
    """A sort in which no two documents are equal. Raises ``UnsupportedQuery``."""
    for field, way in sort:
        split_path(field)
        if way not in (1, -1):
            raise UnsupportedQuery("a sort goes up, 1, or down, -1")
    if any(field == "_id" for field, _ in sort):
        return list(sort)
    return [*sort, ("_id", sort[-1][1] if sort else 1)]


def both(filter: Filter, stretch: Filter) -> Filter:
    """What matches a filter in a stretch."""
    if not filter or not stretch:
        return filter or stretch
    return {"$and": [filter, stretch]}


def page_of(collection: str, sort: Sort, found: list[Document], limit: int) -> Portion:
    """The page that begins what was found, which is one document more where another page follows."""
    items = found[:limit]
    return Portion(items, cursor(collection, sort, items[-1]) if len(found) > limit else "")


def cursor(collection: str, sort: Sort, last: Document) -> str:
    """The place behind a document. Raises ``UnsupportedQuery`` where that cannot be told."""
    values = [value_at(last, field) for field, _ in sort]
    if not all(_is_sortable(value) for value in values):
        raise UnsupportedQuery("a sort field holds what has no place in an order")
    data = msgspec.json.encode(_Place(collection, list(sort), values))
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def stretches(collection: str, sort: Sort, after: str) -> list[Filter]:
    """The filters of what follows, in order. Raises ``WrongUse``."""
    if not after:
        return [{}]
    values = _read(collection, sort, after)
    found: list[Filter] = []
    for number in range(len(sort) - 1, -1, -1):
        equal = {field: value for (field, _), value in zip(sort[:number], values, strict=False)}
        field, way = sort[number]
        found += [{**equal, field: beyond} for beyond in _beyond(field, values[number], way)]
    return found


def _read(collection: str, sort: Sort, after: str) -> list[Value]:
    try:
        data = base64.b64decode(after + "=" * (-len(after) % 4), altchars=b"-_", validate=True)
        place = msgspec.json.decode(data, type=_Place)
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise WrongUse("this is no place in a list", "begin at its first page") from error
    if place.collection != collection or place.sort != list(sort) or len(place.values) != len(sort):
        raise WrongUse("this is a place in another list", "begin at the first page of this one")
    if any(isinstance(value, int) and not -(1 << 63) <= value < 1 << 63 for value in place.values):
        raise WrongUse("this is no place in a list", "begin at its first page")
    return place.values


def _beyond(field: str, value: Value, way: int) -> Iterator[Any]:
    """The ranges behind a value: nothing, then numbers, then texts, or the other way round."""
    if field == "_id":
        yield {"$gt" if way > 0 else "$lt": value if isinstance(value, str) else ""}
    elif way > 0:
        if value is None:
            yield {"$gte": _LEAST}
        if isinstance(value, (int, float)):
            yield {"$gt": value}
        yield {"$gt": value} if isinstance(value, str) else {"$gte": ""}
    else:
        if isinstance(value, str):
            yield {"$lt": value}
            yield {"$gte": _LEAST}
        if isinstance(value, (int, float)):
            yield {"$lt": value}
        if value is not None:
            yield None


def _is_sortable(value: Any) -> bool:
    return isinstance(value, (str, int, float, type(None))) and not isinstance(value, bool)
