"""What was set aside: kept with its bytes until somebody tries it again or drops it.

Whoever cannot work on something puts it here in the same step in which it leaves where it was, and goes
on with what comes behind it. Bounded in number and bytes; what falls out for that is counted.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from crm.kernel.errors import Unavailable
from router.backoff import Backoff
from router.desk import events
from router.desk.state import Aside, Entry, decode_aside, encode
from router.log.keys import Keys
from router.log.log import Log, id_key
from router.log.pipe import Args, Pipe, reaching

logger = logging.getLogger(__name__)

MAX_ITEMS = 10_000
MAX_BYTES = 64 << 20
PROJECTOR = "projector"

_KIND = re.compile(r"[A-Za-z]\w{0,39}")

# The same thing put aside twice (its mover died in between) is there once.
_PUT = """
if redis.call('hexists',KEYS[1],ARGV[1])==1 then return 0 end
redis.call('hset',KEYS[1],ARGV[1],ARGV[3]) redis.call('zadd',KEYS[2],ARGV[2],ARGV[1])
local bytes=redis.call('hincrby',KEYS[3],'bytes',#ARGV[3])
while redis.call('zcard',KEYS[2])>1 and (redis.call('zcard',KEYS[2])>tonumber(ARGV[4]) or bytes>tonumber(ARGV[5])) do
  local oldest=redis.call('zpopmin',KEYS[2])[1]
  bytes=redis.call('hincrby',KEYS[3],'bytes',-redis.call('hstrlen',KEYS[1],oldest))
  redis.call('hdel',KEYS[1],oldest) redis.call('hincrby',KEYS[3],'fell_out',1)
end
return 1
"""
_TAKE = """
local size=redis.call('hstrlen',KEYS[1],ARGV[1])
if redis.call('hdel',KEYS[1],ARGV[1])==0 then return false end
redis.call('zrem',KEYS[2],ARGV[1]) redis.call('hincrby',KEYS[3],'bytes',-size)
if not KEYS[4] then return '0' end
return redis.call('xadd',KEYS[4],'*','e',ARGV[2])
"""


class Amount(NamedTuple):
    """How much is set aside. ``fell_out``: how many were dropped for want of room, ever."""

    items: int
    bytes: int
    fell_out: int


def reason_of(error: BaseException) -> str:
    """The class of an error and where it was raised. Never its text, which may quote a message."""
    trace = error.__traceback__
    if trace is None:
        return type(error).__name__
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    where = "/".join(Path(code.co_filename).parts[-2:])
    return f"{type(error).__name__} at {where}:{trace.tb_lineno} in {code.co_name}"


def kind_of(data: bytes) -> str:
    """What encoded bytes say they are, in whatever version; empty when they do not say."""
    try:
        told = msgspec.msgpack.decode(data)
    except Exception:  # noqa: BLE001 - the bytes are those that nobody could read
        return ""
    tag = told.get("t") if isinstance(told, dict) else None
    return tag if isinstance(tag, str) and _KIND.fullmatch(tag) else ""


def put_command(keys: Keys, item: Aside) -> Args:
    """The one command that puts an item aside, for the transaction in which it leaves its place."""
    return (
        "EVAL", _PUT, 3, keys.quarantine, keys.quarantine_order, keys.quarantine_facts,
        item.id, item.at, encode(item), MAX_ITEMS, MAX_BYTES,
    )  # fmt: skip


def noted(item: Aside) -> events.PutAside:
    """What the desk is told by a part beside its writer; told twice, it is heard once."""
    return events.PutAside(
        event_id=f"aside:{item.id}", at=item.at, id=item.id, origin=item.origin, reason=item.reason
    )


async def set_aside(log: Log, item: Aside, *leaving: Args, quietly: bool = False) -> None:
    """Puts an item aside, carries out the commands by which it leaves its place, and tells the desk unless
    ``quietly``: in one step, which may be repeated. Raises ``Unavailable``."""
    note: Args = ("XADD", log.keys.log, "*", "e", events.encode_event(noted(item)))
    notes = () if quietly else (note,)
    commands: list[Args] = [("MULTI",), put_command(log.keys, item), *leaving, *notes, ("EXEC",)]
    pipe = Pipe(log.redis)
    try:
        async with reaching("quarantine"):
            replies = await pipe.talk(commands, keep=True)
    finally:
        await pipe.close()
    for reply in replies:
        if isinstance(reply, Exception):
            raise Unavailable(f"Redis refused to set something aside: {type(reply).__name__}")


async def set_aside_for_sure(log: Log, origin: str, channel: str, id: str, data: bytes, reason: str) -> None:
    """Takes one entry out of a channel's stream (``out`` or ``fetch``) and sets it aside, however long
    Redis takes to come back."""
    logger.error("channel %s: %s %s is set aside: %s", channel, origin, id, reason)
    item = Aside(
        id=f"{origin}-{channel}-{id}", origin=origin, place=f"{channel} {id}", at=log.now(), reason=reason,
        data=data, kind=kind_of(data) or origin,
    )  # fmt: skip
    leaving: list[Args] = [("XDEL", getattr(log.keys, origin)(channel), id)]
    if origin == "out":
        leaving.append(("SREM", log.keys.sending(channel), id))
    backoff = Backoff(most=5.0)
    while True:
        try:
            return await set_aside(log, item, *leaving)
        except Unavailable:
            await asyncio.sleep(backoff.next())


class Quarantine:
    """One desk's quarantine. All methods raise ``Unavailable``."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._keys = log.keys

    async def amount(self) -> Amount:
        async with reaching("quarantine"):
            items = await self._run("HLEN", self._keys.quarantine)
            size, fell_out = await self._run("HMGET", self._keys.quarantine_facts, "bytes", "fell_out")
        return Amount(items, int(size or 0), int(fell_out or 0))

    async def items(self, limit: int, skip: int = 0) -> list[Aside]:
        """The oldest first."""
        async with reaching("quarantine"):
            ids = await self._run("ZRANGE", self._keys.quarantine_order, skip, skip + limit - 1)
            found = await self._run("HMGET", self._keys.quarantine, *ids) if ids else []
        return [decode_aside(data) for data in found if data is not None]

    async def item(self, id: str) -> Aside | None:
        async with reaching("quarantine"):
            found = await self._run("HGET", self._keys.quarantine, id)
        return decode_aside(found) if found is not None else None

    async def drop(self, id: str) -> bool:
        """Forgets an item; False when it was not there."""
        return await self._take(id) is not None

    async def put_back(self, item: Aside) -> str | None:
        """Puts an item at the end of where it came from, and it is set aside no longer. Returns its
        stream id there; None when it was not there any more."""
        stream, data = self._target(item)
        return await self._take(item.id, stream, data)

    async def is_behind(self, item: Aside, entry: str) -> bool:
        """Whether somebody has come to what was put back as stream entry ``entry``."""
        if item.origin in ("out", "fetch"):
            async with reaching("quarantine"):
                return not await self._run("XRANGE", self._target(item)[0], entry, entry)
        async with reaching("quarantine"):
            reader = self._keys.reader(PROJECTOR) if item.origin == "journal" else self._keys.cursor
            position = await self._run("GET", reader)
        return position is not None and id_key(position.decode()) >= id_key(entry)

    async def came_back(self, item: Aside, entry: str, before: Collection[str] = ()) -> Aside | None:
        """What was put back as ``entry`` and is set aside once more. ``before``: the ids of a timer's
        ``failures`` when it was put back."""
        if item.origin in ("out", "fetch"):
            channel = item.place.rpartition(" ")[0]
            return await self.item(f"{item.origin}-{channel}-{entry}")
        if item.origin == "journal":
            return await self.item(f"journal-{entry}-0") or await self._newest_of(f"journal-{entry}-")
        if item.origin == "timer":
            return await self._newest_of(_failures_of(item), before)
        return await self.item(f"log-{entry}")

    async def failures(self, item: Aside) -> list[str]:
        """How often a timer was set aside: it has another id each time. Nothing for what is no timer."""
        return await self._beginning_with(_failures_of(item)) if item.origin == "timer" else []

    async def _newest_of(self, prefix: str, before: Collection[str] = ()) -> Aside | None:
        found = [id for id in await self._beginning_with(prefix) if id not in before]
        return await self.item(found[0]) if found else None

    async def _beginning_with(self, prefix: str) -> list[str]:
        """Among the newest, the newest first."""
        async with reaching("quarantine"):
            ids = await self._run("ZREVRANGE", self._keys.quarantine_order, 0, 200)
        return [id.decode() for id in ids if id.decode().startswith(prefix)]

    def _target(self, item: Aside) -> tuple[str, bytes]:
        keys, channel = self._keys, item.place.rpartition(" ")[0]
        if item.origin in ("out", "fetch"):
            return (keys.out if item.origin == "out" else keys.fetch)(channel), item.data
        if item.origin == "journal":
            return keys.journal, item.data
        if item.origin == "timer":
            owner, _, timer = item.place.rpartition(" ")
            return keys.log, events.encode_event(events.TimerAgain(owner=owner, timer=timer, at=item.at))
        if item.origin == "session":
            return keys.log, events.encode_event(events.SessionRestored(state=item.data, at=item.at))
        return keys.log, _anew(item.data) if item.operator else item.data

    async def _take(self, id: str, *target: str | bytes) -> str | None:
        keys = [self._keys.quarantine, self._keys.quarantine_order, self._keys.quarantine_facts, *target[:1]]
        async with reaching("quarantine"):
            found = await self._run("EVAL", _TAKE, len(keys), *keys, id, *target[1:])
        return found.decode() if found else None

    async def _run(self, *args: str | bytes | int) -> Any:
        return await self._log.redis.execute_command(*args)  # type: ignore[no-untyped-call]


def _failures_of(timer: Aside) -> str:
    """How the ids of all its failures begin."""
    return f"timer-{timer.place.replace(' ', '-')}-"


def _anew(data: bytes) -> bytes:
    """A command that was answered: it is carried out although it was, because somebody says so now."""
    event = events.decode_event(data)
    if isinstance(event, events.Command):
        event.attempt = ""
    return events.encode_event(event)


def journal_part(at: int, *, told: Sequence[bytes] = (), sessions: Sequence[bytes] = ()) -> bytes:
    """A journal entry for the projector alone, of parts as they were encoded."""
    return encode(
        _Parts(
            at=at,
            told=[msgspec.Raw(one) for one in told],
            sessions=[msgspec.Raw(one) for one in sessions],
            only_for=PROJECTOR,
        )
    )


class _Parts(msgspec.Struct, omit_defaults=True, kw_only=True):
    at: int
    told: list[msgspec.Raw]
    sessions: list[msgspec.Raw]
    only_for: str


assert set(_Parts.__struct_fields__) <= set(Entry.__struct_fields__)
