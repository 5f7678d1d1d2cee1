"""MongoDB's filters over plain documents, exactly the subset that ``crm/kernel/ports.py`` promises.

A filter is compiled once, which is also where it is checked, and then asked document by document.
Both stores check with it, so what one refuses the other refuses too.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from crm.kernel.errors import UnsupportedQuery
from crm.kernel.ports import Document, Filter

Matcher = Callable[[Document], bool]

_FIELD = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")
_MISSING = object()


def compile_filter(filter: Filter) -> Matcher:
    """A function that tells whether a document matches. Raises ``UnsupportedQuery``."""
    if (id := names_id(filter)) is not None:
        return lambda document: bool(document.get("_id") == id)
    tests = [test for key, value in filter.items() for test in _tests(key, value)]
    if len(tests) == 1:
        return tests[0]
    return lambda document: all(test(document) for test in tests)


def names_id(filter: Filter) -> str | None:
    """The id, where the filter asks for one document by its id and for nothing else: most writes do."""
    if len(filter) != 1:
        return None
    id = filter.get("_id")
    return id if isinstance(id, str) else None


def conditions(filter: Filter) -> Iterator[tuple[str, str, Any]]:
    """The (field, operator, operand) that every match must meet; ``$or`` is left out."""
    for key, value in filter.items():
        if key == "$and":
            for part in value:
                yield from conditions(part)
        elif not key.startswith("$"):
            for operator, operand in operators(value).items():
                yield key, operator, operand


def operators(value: Any) -> Mapping[str, Any]:
    """``{field: value}`` spelled out as ``{field: {"$eq": value}}``."""
    return value if isinstance(value, Mapping) else {"$eq": value}


@functools.lru_cache(maxsize=4096)
def split_path(field: str) -> tuple[str, ...]:
    """The parts of a dotted field. Each is a plain name, which also makes it safe inside SQL;
    positions in arrays are not part of the subset."""
    if not _FIELD.fullmatch(field):
        raise UnsupportedQuery(f"{field!r} is not a field name that the store's port knows")
    return tuple(field.split("."))


def values_at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Everything found at a path; arrays of objects on the way are looked into, as MongoDB does."""
    if not path:
        yield value
    elif isinstance(value, dict):
        if path[0] in value:
            yield from values_at(value[path[0]], path[1:])
    elif isinstance(value, list):
        for element in value:
            if isinstance(element, dict):
                yield from values_at(element, path)


def same(left: Any, right: Any) -> bool:
    """Equality without Python's ``True == 1``."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def check_scalar(value: Any, *, ordered: bool = False) -> None:
    """Raises ``UnsupportedQuery`` for what cannot be compared; ``ordered`` wants a number or text."""
    fine = isinstance(value, (str, int, float, bool, type(None)))
    if fine and ordered:
        fine = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    if not fine or (isinstance(value, float) and not math.isfinite(value)):
        raise UnsupportedQuery(f"a value of type {type(value).__name__} cannot be compared")


def _tests(key: str, value: Any) -> list[Matcher]:
    if key in ("$and", "$or"):
        if not isinstance(value, (list, tuple)) or not value:
            raise UnsupportedQuery(f"{key} wants a list of filters")
        parts = [compile_filter(part) for part in value]
        if key == "$and":
            return parts
        return [lambda document: any(part(document) for part in parts)]
    if key.startswith("$"):
        raise UnsupportedQuery(f"the store's port has no {key}")
    path = split_path(key)
    if isinstance(value, Mapping) and not value:
        raise UnsupportedQuery(f"an empty condition on {key}")
    return [_condition(path, operator, operand) for operator, operand in operators(value).items()]


def _condition(path: tuple[str, ...], operator: str, operand: Any) -> Matcher:
    if operator in ("$in", "$nin"):
        if not isinstance(operand, (list, tuple)):
            raise UnsupportedQuery(f"{operator} wants a list")
        for one in operand:
            check_scalar(one)
        wanted = list(operand)
        return _equality(path, wanted, negated=operator == "$nin")
    if operator in ("$eq", "$ne"):
        check_scalar(operand)
        return _equality(path, [operand], negated=operator == "$ne")
    if operator == "$exists":
        if not isinstance(operand, bool):
            raise UnsupportedQuery("$exists wants true or false")
        return lambda document: (next(values_at(document, path), _MISSING) is not _MISSING) is operand
    if operator in _ORDER:
        check_scalar(operand, ordered=True)
        return _order(path, _ORDER[operator], operand)
    raise UnsupportedQuery(f"the store's port has no {operator}")


def _equality(path: tuple[str, ...], wanted: list[Any], *, negated: bool) -> Matcher:
    null = any(one is None for one in wanted)
    # A set answers in one step for the usual case; numbers and booleans need `same`.
    texts = {one for one in wanted if isinstance(one, str)}
    others = [one for one in wanted if not isinstance(one, str)]

    def hit(value: Any) -> bool:
        return value in texts if isinstance(value, str) else any(same(value, one) for one in others)

    def test(document: Document) -> bool:
        found = False
        for value in values_at(document, path):
            found = True
            if hit(value) or (isinstance(value, list) and any(hit(one) for one in value)):
                return not negated
        return (null and not found) is not negated

    return test


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda a, b: a > b,
    "$gte": lambda a, b: a >= b,
    "$lt": lambda a, b: a < b,
    "$lte": lambda a, b: a <= b,
}


def _order(path: tuple[str, ...], compare: Callable[[Any, Any], bool], operand: Any) -> Matcher:
    kinds = (str,) if isinstance(operand, str) else (int, float)

    def fits(value: Any) -> bool:
        # Text never compares with numbers; code points order as MongoDB's UTF-8 bytes do.
        return isinstance(value, kinds) and not isinstance(value, bool) and compare(value, operand)

    def test(document: Document) -> bool:
        return any(
            fits(value) or (isinstance(value, list) and any(fits(one) for one in value))
            for value in values_at(document, path)
        )

    return test
