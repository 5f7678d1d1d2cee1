"""Versions of the lines' rules: what was in force when, and who made it so.

A line's settings are kept as they are written in the configuration, not as the desk uses them. The
newest version of a line is in force. Versions are never changed: going back makes a new one.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from crm.kernel.errors import Refused
from crm.kernel.ports import Document, Store, Write
from crm.kernel.records import Record

COLLECTION = "line_versions"

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")

WrittenSettings = dict[str, Any]
"""A line's mapping in the configuration."""
VersionSource = Literal["file", "console", "cli", "rollback"]


class LineVersion(Record, kw_only=True):
    """``version`` counts from 1 for each line. ``removed``: from here on the line is not there."""

    line: str
    version: int
    at: int
    by: str
    source: VersionSource
    settings: WrittenSettings = msgspec.field(default_factory=dict)
    comment: str = ""
    removed: bool = False


async def in_force(store: Store) -> dict[str, LineVersion]:
    """The newest version of every line that is there, by name."""
    newest: dict[str, LineVersion] = {}
    for document in await store.find(COLLECTION, {}, sort=[("line", 1), ("version", 1)]):
        found = _version(document)
        newest[found.line] = found
    return {line: found for line, found in newest.items() if not found.removed}


async def newest(store: Store, line: str) -> LineVersion | None:
    """The newest version of a line, also when it says that the line is gone."""
    found = await versions(store, line, limit=1)
    return found[0] if found else None


async def versions(store: Store, line: str, *, limit: int = 0) -> list[LineVersion]:
    """The versions of a line, the newest first; all of them, or ``limit``."""
    documents = await store.find(COLLECTION, {"line": line}, sort=[("version", -1)], limit=limit)
    return [_version(document) for document in documents]


async def version(store: Store, line: str, number: int) -> LineVersion:
    """Raises ``Refused``: ``no_such_version``."""
    document = await store.get(COLLECTION, f"{line}/{number}")
    if document is None:
        raise Refused("no_such_version", line=line, version=str(number))
    return _version(document)


async def put(
    store: Store, line: str, settings: Mapping[str, Any], *, expected: int, by: str, source: VersionSource,
    comment: str = "", removed: bool = False,
) -> LineVersion:  # fmt: skip
    """Makes the version after ``expected`` (0: the first one) and its audit record. Of two who change
    the same version one is refused: ``line_changed``, with the ``version`` that is there now."""
    made = LineVersion(
        line=line, version=expected + 1, at=_now(), by=by, source=source, settings=plain(settings),
        comment=comment, removed=removed,
    )  # fmt: skip
    current = await newest(store, line)
    if (current.version if current else 0) != expected or not await store.write(_writes(made)):
        current = await newest(store, line)
        there = {"version": str(current.version), "by": current.by} if current else {"version": "0", "by": ""}
        raise Refused("line_changed", line=line, **there)
    return made


async def take_up_file(store: Store, given: Mapping[str, Mapping[str, Any]], *, by: str = "") -> None:
    """Compares the file's lines with what it last said. A line that was edited there becomes a new
    version and wins; one that was not keeps what was made of it while the desk ran. A line that was
    taken out of the file is gone."""
    kept = await store.find(COLLECTION, {"source": "file"}, sort=[("line", 1), ("version", 1)])
    said = {found.line: found for found in map(_version, kept)}
    for line, settings in given.items():
        last = said.get(line)
        if last is None or last.removed or last.settings != plain(settings):
            await _put_from_file(store, line, settings, by=by)
    for line, last in said.items():
        if line not in given and not last.removed:
            await _put_from_file(store, line, {}, by=by, removed=True)


async def _put_from_file(
    store: Store, line: str, settings: Mapping[str, Any], *, by: str, removed: bool = False
) -> None:
    """Two parts of a desk that start together say the same: one of them is enough."""
    while True:
        current = await newest(store, line)
        wanted = (plain(settings), removed)
        if current and current.source == "file" and (current.settings, current.removed) == wanted:
            return
        try:
            await put(
                store, line, settings, expected=current.version if current else 0, by=by, source="file",
                removed=removed,
            )  # fmt: skip
        except Refused:
            continue


def plain(settings: Mapping[str, Any]) -> WrittenSettings:
    """The settings as they come back from the store: two that are written the same are equal."""
    result: WrittenSettings = json.loads(json.dumps(settings))
    return result


def _writes(made: LineVersion) -> list[Write]:
    id = f"{made.line}/{made.version}"
    # Settings are one text: their keys are names and dates, which no store takes for paths then.
    document = msgspec.to_builtins(made) | {"_id": id, "settings": json.dumps(made.settings)}
    params = {
        "line": made.line,
        "version": str(made.version),
        "source": made.source,
        "comment": made.comment,
    }
    audit = {
        "_id": f"line:{id}", "at": made.at, "operator": made.by, "line": made.line, "params": params,
        "action": "line_removed" if made.removed else "line_changed",
    }  # fmt: skip
    return [Write.insert(COLLECTION, document), Write.insert("audit", audit)]


def _version(document: Document) -> LineVersion:
    return msgspec.convert({**document, "settings": json.loads(document["settings"])}, LineVersion)


def _now() -> int:
    return time.time_ns() // 1_000_000
