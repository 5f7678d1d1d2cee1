"""MongoDB's updates on plain documents, exactly the subset that ``crm/kernel/ports.py`` promises."""

from __future__ import annotations

import copy
import itertools
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from crm.kernel.errors import UnsupportedQuery
from crm.kernel.ports import Document, Filter, Update
from storage.filters import compile_filter, conditions, same, split_path

OPERATORS = ("$set", "$unset", "$setOnInsert", "$inc", "$max", "$min", "$push", "$addToSet", "$pull")

_WHOLE = ("$set", "$unset", "$setOnInsert")
_PLAIN = (str, int, float, type(None))

_MISSING = object()


def check_update(change: Update) -> None:
    """Raises ``UnsupportedQuery`` for what is outside the subset, before anything is touched."""
    paths: list[tuple[str, ...]] = []
    for operator, fields in change.items():
        if operator not in OPERATORS or not isinstance(fields, Mapping):
            raise UnsupportedQuery(f"the store's port has no update {operator}")
        for field, value in fields.items():
            if field == "_id" and operator != "$setOnInsert":
                raise UnsupportedQuery("a document's _id never changes")
            paths.append(split_path(field))
            _check_operand(operator, value)
    if len(change) == 1 and all(len(path) == 1 for path in paths):
        return
    paths.sort()
    for one, other in itertools.pairwise(paths):
        if other[: len(one)] == one:
            raise UnsupportedQuery(f"two changes of {'.'.join(one)} in one update")


def with_id(filter: Filter, change: Update) -> Update:
    """The change of an upsert, which names an ``_id`` for the case that it inserts."""
    named = any(field == "_id" and op == "$eq" for field, op, _ in conditions(filter))
    on_insert = change.get("$setOnInsert", {})
    if named or "_id" in on_insert:
        return change
    return {**change, "$setOnInsert": {**on_insert, "_id": uuid.uuid4().hex}}


def inserted(filter: Filter, change: Update) -> Document:
    """What an upsert inserts: the filter's equalities, then the change."""
    document: Document = {}
    for field, operator, operand in conditions(filter):
        if operator == "$eq":
            _set(document, split_path(field), operand)
    return updated(document, change, inserting=True)


def updated(document: Document, change: Update, *, inserting: bool = False) -> Document:
    """A changed copy of the document. Raises ``UnsupportedQuery`` where the change does not fit
    what is there (``$inc`` of text, ``$push`` into a number)."""
    # What is changed within is copied; what is set whole, or left alone, need not be.
    result = dict(document)
    for operator, fields in change.items():
        for field in fields:
            path = split_path(field)
            if (operator not in _WHOLE or len(path) > 1) and not isinstance(result.get(path[0]), _PLAIN):
                result[path[0]] = copy.deepcopy(result[path[0]])
    for operator, fields in change.items():
        if operator == "$setOnInsert" and not inserting:
            continue
        apply = _APPLY[operator]
        for field, value in fields.items():
            apply(result, split_path(field), value if isinstance(value, _PLAIN) else copy.deepcopy(value))
    return result


def _check_operand(operator: str, value: Any) -> None:
    if (
        operator in ("$inc", "$max", "$min")
        and not _is_number(value)
        and not (operator != "$inc" and isinstance(value, str))
    ):
        raise UnsupportedQuery(f"{operator} wants a number")
    if (
        operator in ("$push", "$addToSet")
        and isinstance(value, Mapping)
        and any(str(k).startswith("$") for k in value)
    ):
        raise UnsupportedQuery(f"{operator} takes one value")
    if operator == "$pull":
        _puller(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _holder(document: Document, path: tuple[str, ...], *, create: bool) -> Document | None:
    """The object that holds the last part of the path."""
    current: Any = document
    for part in path[:-1]:
        if part not in current:
            if not create:
                return None
            current[part] = {}
        current = current[part]
        if not isinstance(current, dict):
            if not create:
                return None
            raise UnsupportedQuery(f"{'.'.join(path)}: {part} is no object")
    return current  # type: ignore[no-any-return]  # a dict in every turn of the loop


def _get(document: Document, path: tuple[str, ...]) -> Any:
    holder = _holder(document, path, create=False)
    return _MISSING if holder is None else holder.get(path[-1], _MISSING)


def _set(document: Document, path: tuple[str, ...], value: Any) -> None:
    holder = _holder(document, path, create=True)
    assert holder is not None
    holder[path[-1]] = value


def _unset(document: Document, path: tuple[str, ...], _: Any) -> None:
    holder = _holder(document, path, create=False)
    if holder is not None:
        holder.pop(path[-1], None)


def _increase(document: Document, path: tuple[str, ...], value: Any) -> None:
    old = _get(document, path)
    if old is not _MISSING and not _is_number(old):
        raise UnsupportedQuery(f"{'.'.join(path)} is no number")
    _set(document, path, value if old is _MISSING else old + value)


def _bound(wins: Callable[[Any, Any], bool]) -> Callable[[Document, tuple[str, ...], Any], None]:
    def apply(document: Document, path: tuple[str, ...], value: Any) -> None:
        old = _get(document, path)
        if old is _MISSING or wins(*_comparable(value, old)):
            _set(document, path, value)

    return apply


def _comparable(new: Any, old: Any) -> tuple[Any, Any]:
    """MongoDB orders values of different types by their type."""
    ranks = _rank(new), _rank(old)
    return ranks if ranks[0] != ranks[1] else (new, old)


def _rank(value: Any) -> int:
    if value is None:
        return 0
    if _is_number(value):
        return 1
    return 2 if isinstance(value, str) else 3


def _array(document: Document, path: tuple[str, ...]) -> list[Any]:
    old = _get(document, path)
    if old is _MISSING:
        _set(document, path, [])
        return _array(document, path)
    if not isinstance(old, list):
        raise UnsupportedQuery(f"{'.'.join(path)} is no array")
    return old


def _push(document: Document, path: tuple[str, ...], value: Any) -> None:
    _array(document, path).append(value)


def _add_to_set(document: Document, path: tuple[str, ...], value: Any) -> None:
    array = _array(document, path)
    if not any(same(one, value) for one in array):
        array.append(value)


def _pull(document: Document, path: tuple[str, ...], value: Any) -> None:
    if _get(document, path) is not _MISSING:
        pulled = _puller(value)
        array = _array(document, path)
        array[:] = [one for one in array if not pulled(one)]


def _puller(value: Any) -> Callable[[Any], bool]:
    """Which elements ``$pull`` takes out: equal ones, or objects that match a filter."""
    if isinstance(value, Mapping):
        matches = compile_filter(value)
        return lambda one: isinstance(one, dict) and matches(one)
    return lambda one: same(one, value)


_APPLY: dict[str, Callable[[Document, tuple[str, ...], Any], None]] = {
    "$set": _set,
    "$setOnInsert": _set,
    "$unset": _unset,
    "$inc": _increase,
    "$max": _bound(lambda new, old: new > old),
    "$min": _bound(lambda new, old: new < old),
    "$push": _push,
    "$addToSet": _add_to_set,
    "$pull": _pull,
}
