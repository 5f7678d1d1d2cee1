"""Taking one person out of what a desk has in Redis, so that no byte of him is left in its files either.

An entry that is deleted from a stream keeps its bytes in the block that it shares with its neighbours, in
memory and in every file that Redis writes. So a stream with something of him is made anew, with the same ids:
who reads it goes on where he was. Then Redis writes its files anew.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import msgspec
from redis.exceptions import NoPermissionError, ResponseError

from crm.consent.traces import Traces, decoded
from crm.kernel.errors import Unavailable
from router.desk.state import Erased, encode
from router.log.ahead import pairs, payload
from router.log.log import Log
from router.log.pipe import Args, Pipe, reaching

PAGE = 500
"""Entries that are looked at between two turns of everybody else."""
ROUNDS = 5
"""How often a stream is made anew at most, where something of him keeps coming."""
FILES_WITHIN = 1800.0
"""Seconds in which Redis must have written its files anew."""
ASK_EVERY = 0.05

# What came meanwhile is copied in the same step in which the names are changed. The last id stays what it was,
# also where nothing is left: ids only grow.
_SWAP = """
if redis.call('exists', KEYS[1]) == 0 then redis.call('del', KEYS[2]) return 1 end
local after = '-'
if ARGV[1] ~= '' then after = '(' .. ARGV[1] end
local tail = redis.call('xrange', KEYS[1], after, '+', 'count', 1001)
if #tail > 1000 then return 0 end
local top, info = '0-0', redis.call('xinfo', 'stream', KEYS[1])
for i = 1, #info, 2 do if info[i] == 'last-generated-id' then top = info[i + 1] end end
for _, entry in ipairs(tail) do redis.call('xadd', KEYS[2], entry[1], unpack(entry[2])) end
if redis.call('exists', KEYS[2]) == 0 then
  if top == '0-0' then redis.call('del', KEYS[1]) return 1 end
  redis.call('xadd', KEYS[2], top, 'e', '')
  redis.call('xdel', KEYS[2], top)
else
  redis.call('xsetid', KEYS[2], top)
end
redis.call('rename', KEYS[2], KEYS[1])
return 1
"""

_DROP = """
local dropped = 0
for i = 1, #ARGV do
  local size = redis.call('hstrlen', KEYS[1], ARGV[i])
  if redis.call('hdel', KEYS[1], ARGV[i]) == 1 then
    redis.call('zrem', KEYS[2], ARGV[i]) redis.call('hincrby', KEYS[3], 'bytes', -size)
    dropped = dropped + 1
  end
end
return dropped
"""

Change = Callable[[bytes], bytes | None]
"""An entry's bytes -> what is to stand there: the same, others, or nothing."""


class _Parts(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A journal entry whose parts stay as they were encoded."""

    at: int = 0
    told: list[msgspec.Raw] = []
    sessions: list[msgspec.Raw] = []
    operators: list[msgspec.Raw] = []
    lines_changed: bool = False
    only_for: str = ""


_parts = msgspec.msgpack.Decoder(_Parts).decode
_NOTHING = msgspec.Raw(encode(Erased()))
"""In place of what was told, as everything has its number."""


class Forgetting:
    """Takes out what ``traces`` say. ``erasure``: what came into log and journal after the mark of this name is
    of somebody else. Everything may be done twice. Raises ``Unavailable``."""

    def __init__(self, log: Log, traces: Traces, erasure: str) -> None:
        self._log = log
        self._keys = log.keys
        self._traces = traces
        self._erasure = erasure
        self._needles = traces.needles()
        self._is_later = False

    async def purge(self) -> Counter[str]:
        """What was taken out, by where it was."""
        counts: Counter[str] = Counter()
        keys = self._keys
        counts["log"] = await self._anew(keys.log, self._of_log)
        counts["journal"] = await self._anew(keys.journal, self._of_journal)
        for channel in sorted({chat.partition(":")[0] for chat in self._traces.chats}):
            for key in (keys.out(channel), keys.fetch(channel)):
                counts["waiting"] += await self._anew(key, self._of_stream, always=True)
            # What has been parsed has left it, and its bytes may still be there.
            await self._anew(keys.inbox(channel), lambda data: data, always=True)
            await self._unmark(channel)
        counts["set_aside"] = await self._quarantine()
        return counts

    # ---------------------------------------------------------------- what is his

    def is_his(self, data: bytes) -> bool:
        """Whether encoded bytes tell of him."""
        if self._needles is not None and not self._needles.search(data):
            return False
        return self._traces.are_in(decoded(data), later=self._is_later)

    def _of_log(self, data: bytes) -> bytes | None:
        his = self.is_his(data)
        self._pass(data, "CustomerErased")
        return None if his else data

    def _of_stream(self, data: bytes) -> bytes | None:
        return None if self.is_his(data) else data

    def _of_journal(self, data: bytes) -> bytes | None:
        try:
            entry = _parts(data) if self._needles is None or self._needles.search(data) else None
        except msgspec.MsgspecError:
            return None if self.is_his(data) else data
        changed = False
        if entry is not None:
            told = [_NOTHING if self.is_his(bytes(raw)) else raw for raw in entry.told]
            sessions = [raw for raw in entry.sessions if not self.is_his(bytes(raw))]
            changed = len(sessions) < len(entry.sessions) or any(
                new is not old for new, old in zip(told, entry.told, strict=True)
            )
            entry.told, entry.sessions = told, sessions
        self._pass(data, "Erased")
        return encode(entry) if changed and entry is not None else data

    def _pass(self, data: bytes, mark: str) -> None:
        """From the mark on everything is later."""
        if self._is_later or self._erasure.encode() not in data:
            return
        found = decoded(data) or {}
        self._is_later = any(
            one.get("t") == mark and one.get("erasure") == self._erasure
            for one in (found, *found.get("told", ()))
        )

    # ---------------------------------------------------------------- streams

    async def _anew(self, key: str, change: Change, *, always: bool = False) -> int:
        """Returns how many entries changed or went."""
        changed, after = 0, ""
        self._is_later = False
        for turn in range(ROUNDS):
            hits = await self._hits(key, change, after)
            if not hits and (turn or not always):
                break
            # What came while it was copied has not been looked at yet: only that can still be his.
            after = await self._copy(key, change)
            changed += hits
        self._is_later = False
        return changed

    async def _hits(self, key: str, change: Change, after: str) -> int:
        hits = 0
        while rows := await self.page(key, after):
            hits += sum(change(data) != data for _, data in rows)
            after = rows[-1][0]
            await asyncio.sleep(0)
        return hits

    async def _copy(self, key: str, change: Change) -> str:
        """Returns up to which entry everything was looked at."""
        new, after = f"{key}:anew", ""
        self._is_later = False
        async with reaching("erasure"):
            await self._run("UNLINK", new)
        while True:
            rows = await self.page(key, after)
            kept = [(id, data) for id, data in ((id, change(data)) for id, data in rows) if data is not None]
            await self._talk([("XADD", new, id, "e", data) for id, data in kept])
            after = rows[-1][0] if rows else after
            if len(rows) == PAGE:
                continue
            async with reaching("erasure"):
                if await self._run("EVAL", _SWAP, 2, key, new, after):
                    return after

    async def page(self, key: str, after: str) -> list[tuple[str, bytes]]:
        """The next entries of a stream."""
        async with reaching("erasure"):
            found = await self._run("XRANGE", key, f"({after}" if after else "-", "+", "COUNT", PAGE)
        return [(id.decode(), payload(pairs(fields))) for id, fields in found or ()]

    async def _unmark(self, channel: str) -> None:
        """Marks of deliveries that are gone."""
        marked = await self._log.sending(channel)
        async with reaching("erasure"):
            for id in marked:
                if not await self._run("XRANGE", self._keys.out(channel), id, id):
                    await self._run("SREM", self._keys.sending(channel), id)

    async def _quarantine(self) -> int:
        keys = (self._keys.quarantine, self._keys.quarantine_order, self._keys.quarantine_facts)
        ids = [id async for id, data in self.hash(keys[0]) if self.is_his(data)]
        if not ids:
            return 0
        async with reaching("erasure"):
            gone: int = await self._run("EVAL", _DROP, 3, *keys, *ids)
        return gone

    async def hash(self, key: str) -> AsyncIterator[tuple[bytes, bytes]]:
        """Its fields and values, by HSCAN."""
        position = 0
        while True:
            async with reaching("erasure"):
                position, found = await self._run("HSCAN", key, position, "COUNT", PAGE)
            for field, data in found.items():
                yield field, data
            if not int(position):
                return

    # ---------------------------------------------------------------- plumbing

    async def _run(self, *args: str | bytes | int) -> Any:
        return await self._log.redis.execute_command(*args)  # type: ignore[no-untyped-call]

    async def _talk(self, commands: Sequence[Args]) -> None:
        if not commands:
            return
        pipe = Pipe(self._log.redis)
        try:
            async with reaching("erasure"):
                replies = await pipe.talk(commands)
        finally:
            await pipe.give_back()
        for reply in replies:
            if isinstance(reply, Exception):
                raise Unavailable(f"Redis refuses to copy a stream: {type(reply).__name__}")


async def lying(log: Log, traces: Traces) -> list[dict[str, Any]]:
    """What Redis holds of a person now and the store does not have as such, each with where it is: states of
    open sessions, what waits to be sent or fetched, what was set aside; and of log and journal, which say what the
    store says, how many entries. Raises ``Unavailable``."""
    found = _Lying(log, traces)
    keys = log.keys
    for channel in sorted({chat.partition(":")[0] for chat in traces.chats}):
        for place, key in (("outbox", keys.out(channel)), ("fetch", keys.fetch(channel))):
            found.items += [{"place": place, "content": decoded(data)} async for data in found.of_stream(key)]
    for place, key in (("session", keys.sessions), ("set_aside", keys.quarantine)):
        found.items += [{"place": place, "content": decoded(data)} async for data in found.of_hash(key)]
    for place, key in (("log", keys.log), ("journal", keys.journal)):
        entries = 0
        async for _ in found.of_stream(key):
            entries += 1
        found.items.append({"place": place, "entries": entries})
    return found.items


class _Lying:
    def __init__(self, log: Log, traces: Traces) -> None:
        self._forgetting = Forgetting(log, traces, "")
        self.items: list[dict[str, Any]] = []

    async def of_stream(self, key: str) -> AsyncIterator[bytes]:
        after = ""
        while rows := await self._forgetting.page(key, after):
            for _, data in rows:
                if self._forgetting.is_his(data):
                    yield data
            after = rows[-1][0]
            await asyncio.sleep(0)

    async def of_hash(self, key: str) -> AsyncIterator[bytes]:
        async for _, data in self._forgetting.hash(key):
            if self._forgetting.is_his(data):
                yield data


# ------------------------------------------------------------------ Redis' own files


async def write_files_anew(log: Log) -> list[str]:
    """Redis' files as they are without what is gone: the append-only file, and the snapshot where it makes
    any. Returns what it would not do (``append_only``, ``snapshot``): then its administrator has to. Raises
    ``Unavailable`` when it is not done in time."""
    facts = await _facts(log)
    left = []
    if facts.get("aof_enabled") == "1" and not await _asked(log, "BGREWRITEAOF", "aof_rewrite"):
        left.append("append_only")
    if await _snapshots(log, facts) and not await _asked(log, "BGSAVE", "rdb_bgsave"):
        left.append("snapshot")
    return left


async def _snapshots(log: Log, facts: dict[str, str]) -> bool:
    """Whether it makes any by itself, or has made one since it was started."""
    async with reaching("erasure"):
        try:
            found = await log.redis.execute_command("CONFIG", "GET", "save")  # type: ignore[no-untyped-call]
        except ResponseError as error:
            if _is_kept_from_us(error):
                return True  # nobody tells; one more does no harm
            raise
    told = found.values() if isinstance(found, dict) else found[1::2]
    return any(bool(value) for value in told) or facts.get("rdb_saves", "0") != "0"


def _is_kept_from_us(error: ResponseError) -> bool:
    """Managed servers keep some commands to themselves."""
    return isinstance(error, NoPermissionError) or "unknown command" in str(error)


async def _asked(log: Log, command: str, field: str) -> bool:
    """Waits for one that is under way, which began before, and then for ours. False where it is refused."""
    await _until_idle(log)
    async with reaching("erasure"):
        try:
            await log.redis.execute_command(command)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            if _is_kept_from_us(error):
                return False
            raise
    facts = await _until_idle(log)
    outcome = {"aof_rewrite": "aof_last_bgrewrite_status", "rdb_bgsave": "rdb_last_bgsave_status"}[field]
    if facts.get(outcome, "ok") != "ok":
        raise Unavailable("Redis could not write its files anew", "is there room on its disk?")
    return True


async def _until_idle(log: Log) -> dict[str, str]:
    until = time.monotonic() + FILES_WITHIN
    while True:
        facts = await _facts(log)
        if all(facts.get(name, "0") == "0" for name in _BUSY):
            return facts
        if time.monotonic() > until:
            raise Unavailable("Redis does not get its files written anew")
        await asyncio.sleep(ASK_EVERY)


_BUSY = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")


async def _facts(log: Log) -> dict[str, str]:
    async with reaching("erasure"):
        found = await log.redis.execute_command("INFO", "persistence")  # type: ignore[no-untyped-call]
    if isinstance(found, dict):
        return {str(name): str(value) for name, value in found.items()}
    text = found.decode() if isinstance(found, bytes) else str(found)
    return dict(_lines(text.splitlines()))


def _lines(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        name, _, value = line.partition(":")
        yield name, value
