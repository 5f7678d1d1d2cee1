"""Everything that is kept of one person, part by part: nothing is left out, and no part is large."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from crm.consent.erasure import files_of, mentions
from crm.consent.person import Person, pieces
from crm.consent.traces import Traces, decoded
from crm.kernel.errors import WrongUse
from crm.kernel.ports import Document, Filter, Sort, Store

PART = 100
"""Documents that are read for one part."""
_INSIDE = frozenset({"tokens", "respell", "words", "unaudited", "owes"})
"""What the store needs for itself."""


class Section(NamedTuple):
    """``filters`` together find all of it; where they find more, ``is_his`` tells."""

    kind: str
    collection: str
    filters: Sequence[Filter]
    sort: Sort = (("_id", 1),)
    is_his: Callable[[Document], bool] = lambda _: True


class PersonPiece(NamedTuple):
    """``next``: where the following part begins; empty at the end."""

    kind: str
    items: list[dict[str, Any]]
    next: str


def _among(field: str, ids: Sequence[str]) -> list[Filter]:
    return [{field: {"$in": piece}} for piece in pieces(ids)]


def _or(*filters: list[Filter]) -> list[Filter]:
    """All that one of these finds, the first pieces together: what several find is told once."""
    first = [of[0] for of in filters if of]
    return [{"$or": first}, *(one for of in filters for one in of[1:])]


def traces_of(person: Person) -> Traces:
    return Traces(frozenset(person.customers), frozenset(person.sessions), frozenset(person.chats))


def sections(person: Person) -> list[Section]:
    """In the order in which they are told."""
    objects = person.objects
    customers, sessions = person.customers, person.sessions
    traces = traces_of(person)
    names = {*customers, *(id for ids in objects.values() for id in ids)}
    by_time: Sort = (("at", 1),)
    about = _or(_among("session", sessions), _among("object", sorted(names)), _among("customer", customers))
    return [
        Section("cards", "customers", _among("_id", customers)),
        Section("sessions", "sessions", _among("_id", sessions)),
        Section("messages", "messages", _among("session", sessions), (("session", 1), ("seq", 1))),
        *(Section(name, name, _among("_id", ids)) for name, ids in sorted(objects.items())),
        Section("ratings", "ratings", _among("session", sessions), by_time),
        Section("decisions", "decisions", _among("session", sessions), by_time),
        Section("alerts", "alerts", _among("session", sessions), by_time),
        Section("audit", "audit", about, by_time),
        Section("figures", "facts", _among("_id", sessions)),
        Section("visits", "visitors", _among("_id", customers)),
        Section("merges", "merges", [{}], is_his=lambda one: mentions(one, names)),
        Section("suggestions", "suggestions", [{}], is_his=lambda one: mentions(one, names)),
        Section("receipts", "receipts", _among("customers", customers)),
        Section("early_changes", "early", [{}], is_his=lambda one: _tells(traces, one, "change")),
        Section("strays", "strays", [{}], is_his=lambda one: _tells(traces, one, "event")),
    ]


def _tells(traces: Traces, document: Document, field: str) -> bool:
    return traces.are_in(decoded(document.get(field, b"")))


async def part(store: Store, person: Person, after: str = "") -> PersonPiece:
    """The part that begins at ``after``. Raises ``WrongUse`` for a place that is none."""
    every = sections(person)
    number, which, place = _read_place(after)
    if number >= len(every):
        raise WrongUse("this is no place in what is kept of a person")
    section = every[number]
    if which >= len(section.filters):
        return PersonPiece(section.kind, [], _next(every, number, which, ""))
    page = await store.page(
        section.collection, section.filters[which], sort=section.sort, limit=PART, after=place
    )
    items = [shown(one) for one in page.items if section.is_his(one)]
    return PersonPiece(section.kind, items, _next(every, number, which, page.next))


def shown(document: Document) -> dict[str, Any]:
    """As it is stored, with the content of what lies encoded in it, and files by name and hash (SHA-256)."""
    told = {name: plain(value) for name, value in document.items() if name not in _INSIDE}
    told = {"id": told.pop("_id"), **told}
    if keys := sorted(files_of(document)):
        told["sha256"] = keys
    return told


def plain(value: Any) -> Any:
    """Without bytes: what lies encoded in them, else Base64."""
    if isinstance(value, bytes):
        inside = decoded(value)
        return plain(inside) if inside is not None else base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def _next(every: Sequence[Section], number: int, which: int, place: str) -> str:
    if place:
        return _place(number, which, place)
    if which + 1 < len(every[number].filters):
        return _place(number, which + 1, "")
    return _place(number + 1, 0, "") if number + 1 < len(every) else ""


def _place(number: int, which: int, place: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((number, which, place))).decode()


def _read_place(after: str) -> tuple[int, int, str]:
    if not after:
        return 0, 0, ""
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(after), type=tuple[int, int, str])
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise WrongUse("this is no place in what is kept of a person") from None
    if min(found[:2]) < 0:
        raise WrongUse("this is no place in what is kept of a person")
    return found
