"""The log and everything else that lives in Redis. Only this package part knows a key's name.

One desk's keys share a hash tag and so a cluster slot. Every method raises ``Unavailable`` when
Redis does not answer, and never retries by itself: the caller knows what a retry means.
Commands of Redis 6.2 and nothing newer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis

from crm.kernel.errors import LeaseLost, Unavailable
from router.desk.events import Event, encode_event
from router.desk.state import Entry, read_entry
from router.log.ahead import Ahead, pairs, payload
from router.log.append import Appender
from router.log.keys import Keys
from router.log.lease import Lease
from router.log.pipe import COMMAND_TIMEOUT, Args, Pipe, reaching, unavailable

SAME_MS = 2_000
"""Clocks that differ by no more are taken for the same."""

QUIET_MS = 5_000
"""How long a read waits for news before it asks again: news wake it at once, and asking costs a desk that
has nothing to do most of its processor time."""

SILENCE = 15.0
"""Seconds without a hint after which Redis is asked whether it is still there."""

LAST_KEPT_MS = 6 * 24 * 3600 * 1000
"""A channel's last number is forgotten then: after a week's silence Telegram goes on with a random one."""


def now_ms() -> int:
    """The wall clock in ms. Everything pure gets it as an argument."""
    return time.time_ns() // 1_000_000


# The first write is one that Redis refuses when its memory is full: then nothing of it is done.
_MOVE = """
if ARGV[1] ~= '' and redis.call('get', KEYS[1]) ~= ARGV[1] then return -1 end
local ids, first = tonumber(ARGV[4]), 6
local there = ids == 0
for i = first, first + ids - 1 do
  there = there or #redis.call('xrange', KEYS[2], ARGV[i], ARGV[i]) > 0
end
if not there then return 0 end
local jobs = first + ids + tonumber(ARGV[5])
for i = first + ids, jobs - 1 do redis.call('xadd', KEYS[3], '*', 'e', ARGV[i]) end
for i = jobs, #ARGV do redis.call('xadd', KEYS[4], '*', 'e', ARGV[i]) end
for i = first, first + ids - 1 do redis.call('xdel', KEYS[2], ARGV[i]) end
if ARGV[2] ~= '' then redis.call('set', KEYS[5], ARGV[2], 'px', ARGV[3]) end
return 1
"""

# Only what has not reported since.
_FORGET = """
for i = 2, #KEYS do
  if redis.call('exists', KEYS[i]) == 0 then redis.call('srem', KEYS[1], ARGV[i - 1]) end
end
"""

# Nothing of what is counted leaves Redis.
_COUNT = "return #redis.call('xrange', KEYS[1], ARGV[1], '+', 'count', ARGV[2])"

_ENDS = """
local last = redis.call('xrevrange', KEYS[2], '+', '-', 'count', 1)
return {redis.call('get', KEYS[1]), #last > 0 and last[1][1] or '0-0'}
"""


class Log:
    """One desk's log, journal, states and streams, for every process role."""

    def __init__(self, redis: Redis, desk: str, clock: Callable[[], int] = now_ms) -> None:
        self.redis = redis
        self.desk = desk
        self.now = clock
        """The time in ms, for everything that this log's processes stamp."""
        self.keys = Keys(desk)
        self._appender = Appender(redis)
        self._mover = Pipe(redis)
        self._moving = asyncio.Lock()

    # ---------------------------------------------------------------- appending

    async def append(self, event: Event) -> str:
        """Makes the event durable and returns its log id. Only after that may its source be told
        that we have it."""
        if not event.at:
            event.at = self.now()
        return await self._appender.add(self.keys.log, encode_event(event))

    async def put_raw(self, channel: str, body: bytes) -> str:
        """Makes a raw body of a channel durable. It waits in the inbox until it is parsed."""
        return await self._appender.add(self.keys.inbox(channel), body)

    async def read_raw(
        self, channels: Sequence[str], after: dict[str, str], count: int = 512, block_ms: int = 2000
    ) -> list[tuple[str, str, bytes]]:
        """Unparsed bodies as (channel, id, body), waiting up to ``block_ms`` for the first.
        ``after`` maps channel -> last id read (``"0"`` at start: what is in the inbox is undone)."""
        by_key = {self.keys.inbox(c).encode(): c for c in channels}
        rows = await self._xread({self.keys.inbox(c): after.get(c, "0") for c in channels}, count, block_ms)
        return [(by_key[key], id, payload(fields)) for key, id, fields in rows]

    async def move_parsed(
        self,
        channel: str,
        ids: Sequence[str],
        events: Sequence[Event],
        jobs: Sequence[bytes] = (),
        last: int | None = None,
        lease: Lease | None = None,
    ) -> None:
        """Takes raw bodies out of the inbox and puts their events into the log (and media jobs into
        the fetch stream) in one step; once, also when it is repeated because a reply was lost. ``last``
        is the platform's number of the newest body moved, for the next process to go on from. Raises
        ``LeaseLost`` where ``lease`` is somebody else's now."""
        at = self.now()
        for event in events:
            event.at = event.at or at
        entries = [encode_event(event) for event in events]
        keys = self.keys
        # Also without a lease a key stands in its place: all of them must be in one slot of a cluster.
        places = (lease.key if lease else keys.log, keys.inbox(channel), keys.log, keys.fetch(channel))
        values = (
            lease.token if lease else "",
            "" if last is None else last,
            LAST_KEPT_MS,
            len(ids),
            len(entries),
        )
        command: Args = ("EVAL", _MOVE, 5, *places, keys.last(channel), *values, *ids, *entries, *jobs)
        async with self._moving, reaching("move"):
            [reply] = await self._mover.talk([command], keep=True)
        if isinstance(reply, Exception):
            raise unavailable("move", reply)
        if reply < 0:
            raise LeaseLost("another process parses for this channel now")

    async def last_number(self, channel: str) -> int | None:
        """The platform's number of the newest body that was ever moved."""
        async with reaching("move"):
            found = await self._run("GET", self.keys.last(channel))
        return int(found) if found else None

    # ---------------------------------------------------------------- media jobs

    async def read_jobs(
        self, channel: str, after: str = "0", count: int = 64, block_ms: int = 2000
    ) -> list[tuple[str, bytes]]:
        rows = await self._xread({self.keys.fetch(channel): after}, count, block_ms)
        return [(id, payload(fields)) for _, id, fields in rows]

    async def finish_job(self, channel: str, id: str, outcome: Event) -> None:
        """Appends the outcome and removes the job in one step."""
        outcome.at = outcome.at or self.now()
        commands: list[Args] = [
            ("XADD", self.keys.log, "*", "e", encode_event(outcome)),
            ("XDEL", self.keys.fetch(channel), id),
        ]
        await self._keep("job", [("MULTI",), *commands, ("EXEC",)])

    # ---------------------------------------------------------------- the way out

    async def read_outbox(
        self, channel: str, after: str = "0", count: int = 256, block_ms: int = 2000
    ) -> list[tuple[str, bytes]]:
        """Undone deliveries of a channel in order, undecoded. What is in the stream is undone; only the
        holder of the lease ``out:<channel>`` may work on it."""
        rows = await self._xread({self.keys.out(channel): after}, count, block_ms)
        return [(id, payload(fields)) for _, id, fields in rows]

    async def begin_sending(self, channel: str, ids: Sequence[str], lease: Lease) -> set[str]:
        """Marks deliveries as being sent, before the first byte leaves, and renews the lease. Returns those that
        are there no more and must not be sent: whom they were for has been erased. Raises ``LeaseLost``."""
        # A script and no WATCH: the keeper of the lease renews it meanwhile, which is a change.
        script = (
            "if redis.call('get',KEYS[1])~=ARGV[1] then return false end redis.call('pexpire',KEYS[1],ARGV[2]) "
            "local gone={} for i=3,#ARGV do if #redis.call('xrange',KEYS[3],ARGV[i],ARGV[i])==0 "
            "then gone[#gone+1]=ARGV[i] else redis.call('sadd',KEYS[2],ARGV[i]) end end return gone"
        )
        keys = (lease.key, self.keys.sending(channel), self.keys.out(channel))
        (gone,) = await self._keep("outbox", [("EVAL", script, 3, *keys, lease.token, lease.ttl_ms, *ids)])
        if gone is None:
            raise LeaseLost("another process sends for this channel now")
        return {id.decode() for id in gone}

    async def sending(self, channel: str) -> set[str]:
        """Stream ids of deliveries that were being sent when somebody stopped in the middle."""
        async with reaching("outbox"):
            return {m.decode() for m in await self._run("SMEMBERS", self.keys.sending(channel))}

    async def finish_sending(self, channel: str, done: Sequence[tuple[str, Sequence[Event]]]) -> None:
        """Removes deliveries (by stream id) and appends their outcomes in one step."""
        at = self.now()
        commands: list[Args] = [("MULTI",)]
        for id, outcomes in done:
            for outcome in outcomes:
                outcome.at = outcome.at or at
                commands.append(("XADD", self.keys.log, "*", "e", encode_event(outcome)))
            commands.append(("XDEL", self.keys.out(channel), id))
            commands.append(("SREM", self.keys.sending(channel), id))
        await self._keep("outbox", [*commands, ("EXEC",)])

    async def release_sending(self, channel: str, id: str) -> None:
        """Takes the mark back: it is certain that nothing left (refused connection, 429)."""
        async with reaching("outbox"):
            await self.redis.srem(self.keys.sending(channel), id)

    # ---------------------------------------------------------------- the journal

    async def read_journal(
        self, after: str, count: int = 64, block_ms: int = 0, reader: str = ""
    ) -> list[tuple[str, Entry]]:
        """Journal entries after the id, oldest first; ``block_ms`` 0 returns at once. What is told for
        another ``reader`` alone is empty; what this version does not understand is ``Strange``."""
        if block_ms:
            rows = [
                (id, payload(fields))
                for _, id, fields in await self._xread({self.keys.journal: after}, count, block_ms)
            ]
        else:
            start = f"({after}" if after != "0" else "-"
            async with reaching("journal"):
                found = await self._run("XRANGE", self.keys.journal, start, "+", "COUNT", count)
            rows = [(id.decode(), payload(pairs(fields))) for id, fields in _entries(found)]
        return entries_of(rows, reader)

    def journal_ahead(self) -> Ahead:
        """For who follows the journal and does nothing else meanwhile; ``entries_of`` reads what it gives."""
        return Ahead(self.redis, self.keys.journal)

    def log_ahead(self) -> Ahead:
        """The same for the log."""
        return Ahead(self.redis, self.keys.log)

    async def journal_bounds(self) -> tuple[str, str]:
        """(oldest id still there, newest id ever), ``"0-0"`` where there is none."""
        async with reaching("journal"):
            pipe: Any = self.redis.pipeline(transaction=False)
            pipe.execute_command("XRANGE", self.keys.journal, "-", "+", "COUNT", 1)
            pipe.execute_command("XREVRANGE", self.keys.journal, "+", "-", "COUNT", 1)
            first, last = (_entries(found) for found in await pipe.execute())
        return (first[0][0].decode() if first else "0-0", last[0][0].decode() if last else "0-0")

    async def reader(self, name: str) -> str:
        """Up to where a named reader of the journal has come; ``"0"`` at first."""
        async with reaching("reader"):
            found = await self._run("GET", self.keys.reader(name))
        return found.decode() if found else "0"

    async def ends(self, name: str) -> tuple[str, str]:
        """Up to where a named reader of the journal has come, and the journal's newest id (``"0-0"`` where
        there is none), at the same time."""
        async with reaching("reader"):
            found, newest = await self._run("EVAL", _ENDS, 2, self.keys.reader(name), self.keys.journal)
        return (found.decode() if found else "0", newest.decode())

    async def set_reader(self, name: str, id: str) -> None:
        async with reaching("reader"):
            await self.redis.set(self.keys.reader(name), id)

    # ---------------------------------------------------------------- the desk's writer

    async def load(self) -> tuple[str, dict[str, bytes], dict[str, bytes], dict[str, bytes]]:
        """(cursor, the desk's own fields, sessions by id, operators by name) as last committed. Sessions
        are read in pieces so that Redis never stalls on a large desk."""
        async with reaching("load"):
            cursor = await self._run("GET", self.keys.cursor)
        return (
            cursor.decode() if cursor else "0",
            await self.load_fields(),
            await self._hash(self.keys.sessions),
            await self._hash(self.keys.operators),
        )

    async def load_fields(self) -> dict[str, bytes]:
        """The desk's own fields: its lines, counters and heartbeats."""
        async with reaching("load"):
            return {k.decode(): v for k, v in (await self._run("HGETALL", self.keys.desk)).items()}

    async def _hash(self, key: str) -> dict[str, bytes]:
        """All of a hash, by HSCAN."""
        found: dict[bytes, bytes] = {}
        position = 0
        async with reaching("load"):
            while True:
                position, part = await self._run("HSCAN", key, position, "COUNT", 5000)
                found.update(part)
                if not position:
                    return {field.decode(): value for field, value in found.items()}

    async def read_log(self, after: str, count: int, block_ms: int) -> list[tuple[str, bytes]]:
        """Log entries after the cursor, undecoded, waiting up to ``block_ms`` for the first."""
        rows = await self._xread({self.keys.log: after}, count, max(1, block_ms))
        return [(id, payload(fields)) for _, id, fields in rows]

    async def trim(self, log_age_ms: int, journal_age_ms: int, log_before: str, journal_before: str) -> None:
        """Drops what is older than its age, by Redis' clock, and behind every reader's cursor."""
        now = await self.server_ms()
        streams = (
            (self.keys.log, log_age_ms, log_before),
            (self.keys.journal, journal_age_ms, journal_before),
        )
        async with reaching("trim"):
            for key, age_ms, before in streams:
                oldest = f"{now - age_ms}-0"
                await self._run("XTRIM", key, "MINID", "~", min(before, oldest, key=id_key))

    async def server_ms(self) -> int:
        """Redis' own clock, by which stream ids are made."""
        async with reaching("time"):
            seconds, micros = await self._run("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def written(self) -> tuple[int, int] | None:
        """When the desk was last written, by its writer's clock and by Redis'; None before that."""
        async with reaching("time"):
            found = await self._run("GET", self.keys.written)
        ours, _, server = (found or b"").decode().partition(" ")
        return (int(ours), int(server)) if ours.isdecimal() and server.isdecimal() else None

    async def ahead(self) -> int:
        """By how many ms the clock of whoever writes the desk is ahead of ours, as far as Redis' clock
        tells; 0 where it is about the same."""
        written = await self.written()
        if written is None:
            return 0
        theirs, server = written
        ahead = theirs + max(0, await self.server_ms() - server) - self.now()
        return ahead if abs(ahead) > SAME_MS else 0

    # ---------------------------------------------------------------- health and hints

    async def report(self, part: str, fields: bytes, ttl: float = 15.0) -> None:
        """Tells how a part does; forgotten after ``ttl`` seconds without a new report."""
        key = f"{self.keys.health}:{part}"
        told = [("SET", key, fields, "PX", int(ttl * 1000)), ("SADD", self.keys.parts, part)]
        await self._together("health", told)

    async def probe(self, ttl_ms: int) -> None:
        """Writes something that nobody reads. Raises ``Unavailable`` when Redis takes no writes."""
        async with reaching("health"):
            await self.redis.set(self.keys.root + "probe", b"", px=ttl_ms)

    async def reports(self) -> dict[str, bytes]:
        """What the parts said last, as far as it is not forgotten."""
        async with reaching("health"):
            names = sorted(name.decode() for name in await self._run("SMEMBERS", self.keys.parts))
            found = await self._reports_of(names)
            if not any(name.startswith("router:") for name in found):
                # One of an earlier version is in no list. To look through all keys takes long where they
                # are many.
                prefix = self.keys.health + ":"
                pattern = "".join(f"[{c}]" if c in "*?[" else c for c in prefix) + "*"
                keys = [k async for k in self.redis.scan_iter(match=pattern, count=1000)]
                found |= await self._reports_of([key.decode()[len(prefix) :] for key in keys])
        if gone := [name for name in names if name not in found]:
            places = [f"{self.keys.health}:{name}" for name in gone]
            with contextlib.suppress(Unavailable):
                async with reaching("health"):
                    await self._run("EVAL", _FORGET, 1 + len(gone), self.keys.parts, *places, *gone)
        return found

    async def _reports_of(self, names: Sequence[str]) -> dict[str, bytes]:
        values = await self._run("MGET", *(f"{self.keys.health}:{name}" for name in names)) if names else ()
        return {name: value for name, value in zip(names, values, strict=True) if value is not None}

    async def behind(self) -> int:
        """The age in ms of the oldest log entry that no commit has passed; 0 when there is none."""
        async with reaching("lag"):
            cursor = await self._run("GET", self.keys.cursor)
            after = f"({cursor.decode()}" if cursor else "-"
            found = _entries(await self._run("XRANGE", self.keys.log, after, "+", "COUNT", 1))
        return max(0, await self.server_ms() - id_key(found[0][0].decode())[0]) if found else 0

    async def lags(self, channels: Sequence[str]) -> dict[str, int]:
        """How much waits where: ``log`` (entries behind the writer's cursor), ``in:…``, ``out:…``,
        ``store`` (entries that the history has not got). Counted up to 10 000, of the last up to 1000."""
        keys = self.keys
        async with reaching("lag"):
            cursor, stored = await self._run("MGET", keys.cursor, keys.reader("projector"))
            pipe: Any = self.redis.pipeline(transaction=False)
            pipe.execute_command("EVAL", _COUNT, 1, keys.log, _after(cursor), 10_000)
            pipe.execute_command("EVAL", _COUNT, 1, keys.journal, _after(stored), 1000)
            for channel in channels:
                pipe.xlen(keys.inbox(channel))
                pipe.xlen(keys.out(channel))
            behind, unprojected, *waiting = await pipe.execute()
        result = {"log": behind}
        for channel, inbox, out in zip(channels, waiting[::2], waiting[1::2], strict=True):
            result |= {f"in:{channel}": inbox, f"out:{channel}": out}
        return result | {"store": unprojected}

    async def hint(self, payload: bytes) -> None:
        """Publishes something that may be lost: typing, drafting."""
        async with reaching("hint"):
            await self.redis.publish(self.keys.hints, payload)

    async def hints(self) -> AsyncIterator[bytes]:
        """Follows the hints of all processes until it is closed."""
        async with self.redis.pubsub() as pubsub:
            async with reaching("hints"):
                await pubsub.subscribe(self.keys.hints)
            while True:
                async with reaching("hints", SILENCE + COMMAND_TIMEOUT):
                    message = await pubsub.get_message(timeout=SILENCE)
                if message is None:
                    # Nobody types, or nobody is there any more: then nothing answers this either.
                    async with reaching("hints"):
                        await pubsub.ping()
                        message = await pubsub.get_message(timeout=None)
                if message is not None and message["type"] == "message":
                    yield message["data"]

    async def close(self) -> None:
        await self._appender.close()
        await self._mover.close()
        await self.redis.aclose(close_connection_pool=True)

    # ---------------------------------------------------------------- plumbing

    async def _keep(self, what: str, commands: Sequence[Args]) -> list[Any]:
        """Writes that must outlive the node. An error of any is raised."""
        return await self._together(what, commands, keep=True)

    async def _together(self, what: str, commands: Sequence[Args], *, keep: bool = False) -> list[Any]:
        """In one round trip, on a connection that nobody else has meanwhile. An error of any is raised."""
        pipe = Pipe(self.redis)
        try:
            async with reaching(what):
                replies = await pipe.talk(commands, keep=keep)
        finally:
            await pipe.give_back()
        for reply in replies:
            if isinstance(reply, Exception):
                raise unavailable(what, reply)
        return replies

    async def _run(self, *args: str | bytes | int) -> Any:
        return await self.redis.execute_command(*args)  # type: ignore[no-untyped-call]

    async def _xread(
        self, positions: dict[str, str], count: int, block_ms: int
    ) -> list[tuple[bytes, str, dict[bytes, bytes]]]:
        block = ("BLOCK", block_ms) if block_ms else ()
        async with reaching("read", COMMAND_TIMEOUT + block_ms / 1000):
            found = await self._run(
                "XREAD", "COUNT", count, *block, "STREAMS", *positions.keys(), *positions.values()
            )
        rows = []
        for key, entries in found.items() if isinstance(found, dict) else found or ():
            if isinstance(found, dict):
                entries = [e for part in entries for e in part]
            rows += [(key, id.decode(), pairs(fields)) for id, fields in entries if fields is not None]
        return rows


def entries_of(rows: Sequence[tuple[str, bytes]], reader: str = "") -> list[tuple[str, Entry]]:
    """Journal entries, decoded as ``Log.read_journal`` does."""
    entries = ((id, read_entry(data)) for id, data in rows)
    return [(id, e if e.only_for in ("", reader) else Entry(at=e.at)) for id, e in entries]


def read_hint(payload: bytes) -> dict[str, str]:
    """Empty for one of another version: nobody misses it."""
    try:
        return {"kind": "typing", **msgspec.json.decode(payload, type=dict[str, str])}
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def id_key(id: str) -> tuple[int, int]:
    """Orders stream ids."""
    ms, _, n = id.partition("-")
    return int(ms), int(n or 0)


def _after(position: bytes | None) -> str:
    """Where XRANGE begins behind a reader's position."""
    return f"({position.decode()}" if position and position != b"0" else "-"


def _entries(found: object) -> list[tuple[bytes, object]]:
    return [(id, fields) for id, fields in found or ()]  # type: ignore[attr-defined]
