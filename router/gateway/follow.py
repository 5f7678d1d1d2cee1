"""Following the desk: every journal entry as events for scripts, each with an id to resume from."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec

from crm.kernel.errors import Refused, Unavailable
from crm.kernel.records import Message
from router.desk.state import (  # fmt: skip
    Alert,
    Audit,
    CommandDone,
    CustomerSeen,
    Decided,
    Entry,
    LoginsRevoked,
    MessageAdded,
    MessageChanged,
    Session,
    Told,
)
from router.gateway.access import Access
from router.gateway.picture import Picture
from router.log.log import QUIET_MS, Log, id_key
from router.wire.protocol import DeskEvent

_EVENT = re.compile(r"[0-9]{1,15}(-[0-9]{1,15})?(:[0-9]{1,9})?")


async def follow(
    log: Log, picture: Picture, access: Callable[[], Access], after: str, skip: int
) -> AsyncIterator[DeskEvent]:
    """Events after where ``start_of`` says, each if ``access`` may see it at that time."""
    while True:
        try:
            entries = await log.read_journal(after, count=64, block_ms=QUIET_MS)
        except Unavailable:
            await asyncio.sleep(0.5)
            continue
        for id, entry in entries:
            for event in _events(picture, access(), id, entry):
                if int(event.id.rpartition(":")[2]) > skip:
                    yield event
            skip = 0
            after = id


async def start_of(log: Log, picture: Picture, since: str) -> tuple[str, int]:
    """Where to read on from after event ``since`` (``<journal id>:<number>``; empty: from now on):
    (journal id, events of the next entry to leave out). Raises ``Refused`` when ``since`` is no event
    id or what comes after it is no longer kept."""
    if not since:
        return picture.position, 0
    entry, _, number = since.partition(":")
    oldest, newest = await log.journal_bounds()
    if not _EVENT.fullmatch(since) or id_key(entry) > id_key(newest):
        raise Refused("no_such_event", since=since[:100])
    if id_key(entry) < id_key(oldest):
        raise Refused("gone", since=since)
    ms, n = id_key(entry)
    skip = int(number or 0)
    before = f"{ms}-{n - 1}" if n else f"{ms - 1}-{2**63}"
    return (before, skip) if skip else (f"{ms}-{n}", 0)


def _events(picture: Picture, access: Access, id: str, entry: Entry) -> Iterator[DeskEvent]:
    """Numbered from 1 over all that the entry tells, seen or not, so that ids mean the same to
    everybody."""
    states = {s.id: s for s in entry.sessions}
    number = 0
    for told in entry.told:
        number += 1
        kind = KINDS.get(type(told))
        if kind is not None and _may_see(picture, access, told, states):
            yield DeskEvent(id=f"{id}:{number}", at=entry.at, type=kind, data=_data(told))
    for session in entry.sessions:
        number += 1
        if picture.may_read(access, session):
            data = msgspec.to_builtins(picture.view(session, access))
            yield DeskEvent(id=f"{id}:{number}", at=entry.at, type="session", data=data)
    for operator in entry.operators:
        number += 1
        if picture.is_colleague(access, operator):
            data = msgspec.to_builtins(picture.operator_view(operator))
            yield DeskEvent(id=f"{id}:{number}", at=entry.at, type="operator", data=data)


KINDS: dict[type[Told], str] = {
    MessageAdded: "message",
    MessageChanged: "message_changed",
    CustomerSeen: "customer",
    Alert: "alert",
    Audit: "audit",
    Decided: "decision",
    CommandDone: "command",
    LoginsRevoked: "logins_revoked",
}


def _may_see(picture: Picture, access: Access, told: Told, states: dict[str, Session]) -> bool:
    if isinstance(told, CommandDone):
        return told.operator == access.name
    if isinstance(told, LoginsRevoked):
        return access.everywhere and "administer" in access.rights
    if isinstance(told, (Audit, Alert)) and not told.session:
        return access.may("lead", told.line) if told.line else "lead" in access.rights
    if isinstance(told, CustomerSeen):
        id = picture.session_of_chat(told.chat)
    elif isinstance(told, MessageAdded):
        id = told.message.session
    elif isinstance(told, MessageChanged):
        id = told.change.session or picture.session_of_chat(told.change.chat)
    else:
        id = getattr(told, "session", "")
    session = states.get(id) or picture.sessions.get(id)
    if session is None:
        return access.everywhere and "administer" in access.rights
    if isinstance(told, Audit):
        return access.may("audit", session.line)
    return picture.may_read(access, session)


def _data(told: Told) -> dict[str, Any]:
    if isinstance(told, MessageAdded):
        data = msgspec.to_builtins(plain(told.message))
    elif isinstance(told, MessageChanged):
        data = msgspec.to_builtins(told.change)
    elif isinstance(told, CustomerSeen):
        data = msgspec.to_builtins(told.customer) | {"chat": told.chat}
    else:
        data = msgspec.to_builtins(told)
        del data["t"]
    result: dict[str, Any] = data
    return result


def plain(message: Message) -> Message:
    """Without the raw body, which stays in the store."""
    message.raw = b""
    return message
