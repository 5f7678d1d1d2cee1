# ruff: noqa: S608 - names are checked against a pattern, values are always parameters
"""From a filter to the part of it that SQLite's indexes can answer.

SQL narrows, Python decides: the SQL made here finds every match, and perhaps more; what it finds
is checked with ``storage.filters``. ``exact`` says that it finds nothing more. So the meaning of a
filter lives in one place, and SQL is only ever about speed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from crm.kernel.ports import Filter, Sort
from storage.filters import names_id, operators, split_path
from storage.schema import INDEXES

_COMPARE = {"$eq": "=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_MAX_PARAMETERS = 500


class Narrowed(NamedTuple):
    """A condition on a collection's table, empty for all of it."""

    sql: str
    parameters: tuple[Any, ...]
    exact: bool

    @property
    def where(self) -> str:
        return f" WHERE {self.sql}" if self.sql else ""


_ALL = Narrowed("", (), exact=False)


def column(field: str) -> str:
    """The SQL of a field: the very expression that the indexes are made of."""
    if field == "_id":
        return "id"
    return f"json_extract(doc,'$.{'.'.join(split_path(field))}')"


def order_by(sort: Sort) -> str:
    """Ties go by ``_id``, so that pages never overlap; without a sort, the order of insertion."""
    if not sort:
        return " ORDER BY n"
    keys = [*sort, ("_id", sort[-1][1])]
    return " ORDER BY " + ", ".join(column(field) + (" DESC" if way < 0 else "") for field, way in keys)


def narrow(collection: str, filter: Filter, *, in_order: bool = False) -> Narrowed:
    """What the indexes of the collection can say about a (checked) filter. ``in_order``: the first of what is
    found, in the order of an index, is what is asked for. Then no ``$or`` says where to look: all that it
    matches (such as what somebody may read) would be sorted for the sake of a page."""
    id = names_id(filter)
    if id is not None and _is_plain(id):
        return Narrowed("id = ?", (id,), exact=True)
    parts: list[Narrowed] = []
    for key, value in filter.items():
        if key == "$and":
            parts += [narrow(collection, part, in_order=in_order) for part in value]
        elif key == "$or":
            either = _any(narrow(collection, part) for part in value)
            # A plus in front of a condition keeps SQLite from looking for an index of it.
            parts.append(either._replace(sql=f"+{either.sql}") if in_order and either.sql else either)
        else:
            parts += [_condition(collection, key, op, operand) for op, operand in operators(value).items()]
    found = [part for part in parts if part.sql]
    return Narrowed(
        " AND ".join(part.sql for part in found),
        tuple(value for part in found for value in part.parameters),
        exact=all(part.exact for part in parts),
    )


def _any(parts: Iterable[Narrowed]) -> Narrowed:
    found = list(parts)
    if not all(part.sql for part in found):
        return _ALL
    return Narrowed(
        "(" + " OR ".join(f"({part.sql})" for part in found) + ")",
        tuple(value for part in found for value in part.parameters),
        exact=all(part.exact for part in found),
    )


def _condition(collection: str, field: str, operator: str, operand: Any) -> Narrowed:
    many = [index.many for index in INDEXES.get(collection, ()) if field in index.fields]
    if field == "_id":
        many = [False]
    if operand is None and operator == "$eq" and many and not many[0]:
        return Narrowed(f"{column(field)} IS NULL", (), exact=False)
    operands = list(operand) if operator == "$in" else [operand]
    if not many or len(operands) > _MAX_PARAMETERS or not all(map(_is_plain, operands)):
        return _ALL
    # Only text can be mistaken for nothing else: SQLite has no booleans, and orders text after numbers.
    exact = operator in ("$eq", "$in") and all(isinstance(one, str) for one in operands)
    if operator == "$in":
        sql = f"IN ({','.join('?' * len(operands))})"
    elif operator in _COMPARE:
        sql = f"{_COMPARE[operator]} ?"
    else:
        return _ALL
    if not many[0]:
        return Narrowed(f"{column(field)} {sql}", tuple(operands), exact)
    if operator not in ("$eq", "$in"):
        return _ALL
    return Narrowed(
        f"n IN (SELECT n FROM {elements(collection, field)} WHERE value {sql})", tuple(operands), exact
    )


def elements(collection: str, field: str) -> str:
    """The table that holds the elements of an indexed array field."""
    return f'"{collection}.{field}"'


def _is_plain(value: Any) -> bool:
    """Text with NUL cannot be compared in SQL: SQLite's JSON functions end it there."""
    return isinstance(value, (int, float)) or (isinstance(value, str) and "\0" not in value)
