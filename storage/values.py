"""What no store keeps, found before either is asked: both refuse the same, in the same words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from crm.kernel.errors import NotStored, UnsupportedQuery
from crm.kernel.ports import Document, Update
from storage.schema import INDEXES

MAX_DOCUMENT = 8 << 20
"""Bytes of one document, names included; MongoDB takes 16 MiB of its own format."""
MAX_DEPTH = 50
"""Objects and lists within each other; MongoDB takes 100."""

_WHOLE = ("$set", "$setOnInsert", "$push", "$addToSet")


def check_document(collection: str, document: Document) -> None:
    """Raises ``NotStored``."""
    id = document.get("_id")
    if not isinstance(id, str) or not id:
        raise NotStored("a document needs a text as its _id")
    if _size(document, 0) > MAX_DOCUMENT:
        raise NotStored(f"a document may have {MAX_DOCUMENT >> 20} MiB at most")
    for index in INDEXES.get(collection, ()):
        if index.unique:
            _check_unique([value_at(document, field, _MISSING) for field in index.fields], index.name)


def check_operands(collection: str, update: Update) -> None:
    """The same for what an update puts in. Raises ``UnsupportedQuery`` for one that says nothing."""
    if not update or not all(update.values()):
        raise UnsupportedQuery("an update that changes nothing")
    unique = {field for index in INDEXES.get(collection, ()) if index.unique for field in index.fields}
    size = 0
    for operator in _WHOLE:
        for field, value in update.get(operator, {}).items():
            size += _size(value, 1)
            if field in unique:
                _check_unique([value], field)
    if size > MAX_DOCUMENT:
        raise NotStored(f"a document may have {MAX_DOCUMENT >> 20} MiB at most")


_MISSING = object()


def value_at(document: Document, field: str, missing: Any = None) -> Any:
    """What a document has at a dotted field; arrays are not looked into."""
    value: Any = document
    for part in field.split("."):
        if not isinstance(value, dict) or part not in value:
            return missing
        value = value[part]
    return value


def _check_unique(values: list[Any], name: str) -> None:
    # A null is a value to one store and none to the other; they agree on texts and numbers.
    there = [value for value in values if value is not _MISSING]
    if there and (len(there) < len(values) or not all(map(_is_key, there))):
        raise NotStored(f"{name} is unique: texts and numbers only, or no field at all")


def _is_key(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _size(value: Any, depth: int) -> int:
    """About how many bytes it takes. Raises ``NotStored`` for what cannot be kept."""
    if isinstance(value, str):
        return _size_of_text(value)
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, (int, float)):
        return _size_of_number(value)
    if isinstance(value, bytes):
        return len(value) * 4 // 3
    if depth > MAX_DEPTH:
        raise NotStored(f"more than {MAX_DEPTH} objects within each other")
    if isinstance(value, (list, tuple)):
        return sum(_size(one, depth + 1) for one in value) + len(value)
    if isinstance(value, Mapping):
        return sum(_size_of_name(key) + _size(one, depth + 1) for key, one in value.items())
    raise NotStored(f"a {type(value).__name__} cannot be stored")


def _size_of_text(text: str) -> int:
    if "\0" in text:
        raise NotStored("a text with a NUL character cannot be stored")
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise NotStored("a text with half a character cannot be stored") from error


def _size_of_number(number: float) -> int:
    if isinstance(number, int):
        if not -(1 << 63) <= number < 1 << 63:
            raise NotStored("a number of more than 64 bits cannot be stored")
    elif not math.isfinite(number):
        raise NotStored("what is no number cannot be stored as one")
    return 8


def _size_of_name(name: Any) -> int:
    if not isinstance(name, str) or not name or name.startswith("$") or "." in name:
        raise NotStored("the name of a field is a text without dots that does not begin with $")
    return _size_of_text(name)
