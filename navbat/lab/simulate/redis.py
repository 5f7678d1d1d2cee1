"""A Redis in memory with the transactions of the real one, a clock of its own, and faults on demand.

It knows the commands that the log, the lease and the writer use, and no others. Several clients share
one server; each conversation (``Pipe``) has a connection with its own ``WATCH``.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any

import hiredis
from redis.exceptions import ConnectionError as Lost

Args = list[Any]


class SimulatedRedis:
    """The data. ``clock`` gives ms; keys expire by it."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.values: dict[bytes, Any] = {}
        self.expires: dict[bytes, int] = {}
        self.versions: dict[bytes, int] = {}
        self.last_id: dict[bytes, tuple[int, int]] = {}

    # ---------------------------------------------------------------- keys

    def get(self, key: bytes, default: Any = None) -> Any:
        due = self.expires.get(key)
        if due is not None and due <= self.clock():
            self.delete(key)
        return self.values.get(key, default)

    def put(self, key: bytes, value: Any) -> None:
        self.values[key] = value
        self.touch(key)

    def touch(self, key: bytes) -> None:
        self.versions[key] = self.versions.get(key, 0) + 1

    def delete(self, key: bytes) -> int:
        self.expires.pop(key, None)
        if self.values.pop(key, None) is None:
            return 0
        self.touch(key)
        return 1

    def version(self, key: bytes) -> int:
        """Changes with every change of the key, its expiry included."""
        self.get(key)
        return self.versions.get(key, 0)

    # ---------------------------------------------------------------- commands

    def run(self, args: Args) -> Any:
        """One command and its reply. Raises ``KeyError`` for one that is not known here."""
        return COMMANDS[args[0]](self, *args[1:])

    def _get(self, key: bytes) -> Any:
        return self.get(key)

    def _set(self, key: bytes, value: bytes, *options: bytes) -> Any:
        words = [bytes(option).upper() for option in options]
        if b"NX" in words and self.get(key) is not None:
            return None
        self.expires.pop(key, None)
        self.put(key, value)
        if b"PX" in words:
            self.expires[key] = self.clock() + int(options[words.index(b"PX") + 1])
        return b"OK"

    def _time(self) -> list[bytes]:
        now = self.clock()
        return [b"%d" % (now // 1000), b"%d" % (now % 1000 * 1000)]

    def _pexpire(self, key: bytes, ms: bytes) -> int:
        if self.get(key) is None:
            return 0
        self.expires[key] = self.clock() + int(ms)
        self.touch(key)
        return 1

    def _eval(self, script: bytes, count: bytes, *rest: bytes) -> Any:
        """The few scripts there are, told apart by a command that only one of them has."""
        keys, values = rest[: int(count)], rest[int(count) :]
        if b"'sismember'" in script:
            return self._ask_seen(list(keys), values)
        if b"'scard'" in script:
            return self._note_seen(keys, values)
        if b"'px', 1000" in script:
            return self._follows(keys, values)
        if b"'hexists'" in script:
            return self._put_aside(keys[0], values[0], values[2])
        return self._if_mine(script, keys[0], *values)

    def _follows(self, keys: tuple[bytes, ...], values: tuple[bytes, ...]) -> int:
        """Whether a commit is by the holder of the lease and follows the one that it should."""
        if self.get(keys[0]) == values[0] and self.get(keys[1], b"") == values[1]:
            return 1
        self._set(keys[2], b"", b"PX", b"1000")
        return 0

    def _put_aside(self, key: bytes, id: bytes, data: bytes) -> int:
        """Without the bounds that the real one has."""
        found = self.get(key, {})
        self.put(key, {id: data, **found})
        return int(id not in found)

    def _if_mine(self, script: bytes, key: bytes, token: bytes, *rest: bytes) -> int:
        """The lease's scripts: extend, delete or rename it, if it is still the caller's."""
        if b"'pttl'" in script:
            left = self.expires.get(key, 0) - self.clock()
            return (
                self._pexpire(key, token) if self.get(key) is not None and left > int(rest[0]) else int(left)
            )
        if self.get(key) != token:
            return 0
        if b"'set'" in script:
            self._set(key, rest[0], b"PX", rest[1])
            return 1
        return self.delete(key) if b"'del'" in script else self._pexpire(key, rest[0])

    def _ask_seen(self, keys: list[bytes], values: tuple[bytes, ...]) -> list[int]:
        found = []
        for member, count in zip(values[::2], values[1::2], strict=True):
            places = [keys.pop(0) for _ in range(int(count))]
            found.append(int(any(member in self.get(place, ()) for place in places)))
        return found

    def _note_seen(self, keys: tuple[bytes, ...], values: tuple[bytes, ...]) -> None:
        lifetime, *members = values
        for key, member in zip(keys, members, strict=True):
            if self._sadd(key, member) and len(self.get(key)) == 1:
                self._pexpire(key, lifetime)

    def _exists(self, *keys: bytes) -> int:
        return sum(self.get(key) is not None for key in keys)

    def _hset(self, key: bytes, *pairs: bytes) -> int:
        found = self.get(key, {})
        self.put(key, found)
        before = len(found)
        found.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(found) - before

    def _hdel(self, key: bytes, *fields: bytes) -> int:
        found = self.get(key, {})
        gone = sum(found.pop(field, None) is not None for field in fields)
        if gone:
            self.touch(key)
        return gone

    def _hgetall(self, key: bytes) -> dict[bytes, bytes]:
        return dict(self.get(key, {}))

    def _hscan(self, key: bytes, position: bytes, *options: bytes) -> tuple[int, dict[bytes, bytes]]:
        return 0, self._hgetall(key)

    def _sadd(self, key: bytes, *members: bytes) -> int:
        found = self.get(key, set())
        before = len(found)
        found.update(members)
        if len(found) > before:
            self.put(key, found)
        return len(found) - before

    def _smismember(self, key: bytes, *members: bytes) -> list[int]:
        found = self.get(key, set())
        return [int(member in found) for member in members]

    def _smembers(self, key: bytes) -> list[bytes]:
        """Of integers, which the real one keeps sorted."""
        return sorted(self.get(key, ()), key=int)

    def _xadd(self, key: bytes, id: bytes, *fields: bytes) -> bytes:
        ms, n = self.last_id.get(key, (0, -1))
        now = self.clock()
        ms, n = (now, 0) if now > ms else (ms, n + 1)
        self.last_id[key] = ms, n
        entries = self.get(key, [])
        self.put(key, entries)
        entries.append((ms, n, dict(zip(fields[::2], fields[1::2], strict=True))))
        return b"%d-%d" % (ms, n)

    def _after(self, key: bytes, after: bytes, count: int) -> list[tuple[bytes, dict[bytes, bytes]]]:
        entries = self.get(key, [])
        start = 0
        if after not in (b"-", b"0"):
            ms, _, n = after.partition(b"-")
            position = int(ms), int(n or 0)
            # What was read last stands near the end.
            start = len(entries)
            while start and entries[start - 1][:2] > position:
                start -= 1
        return [(b"%d-%d" % (ms, n), fields) for ms, n, fields in entries[start : start + count]]

    def _xread(self, *args: bytes) -> Any:
        words = [bytes(arg).upper() for arg in args]
        count = int(args[words.index(b"COUNT") + 1])
        streams = args[words.index(b"STREAMS") + 1 :]
        half = len(streams) // 2
        found = [
            [key, self._after(key, after, count)]
            for key, after in zip(streams[:half], streams[half:], strict=True)
        ]
        return [row for row in found if row[1]] or None

    def _xrange(self, key: bytes, start: bytes, end: bytes, *options: bytes) -> Any:
        count = int(options[1]) if options else 1 << 60
        return self._after(key, bytes(start).lstrip(b"("), count)

    def _xtrim(self, key: bytes, how: bytes, about: bytes, before: bytes) -> int:
        ms, _, n = before.partition(b"-")
        entries = self.get(key, [])
        gone = bisect_left(
            entries, (int(ms), int(n or 0))
        )  # no two entries have one id: fields are not compared
        if gone:
            self.put(key, entries[gone:])
        return gone


COMMANDS: dict[bytes, Callable[..., Any]] = {
    b"GET": SimulatedRedis._get,
    b"SET": SimulatedRedis._set,
    b"EXISTS": SimulatedRedis._exists,
    b"PEXPIRE": SimulatedRedis._pexpire,
    b"TIME": SimulatedRedis._time,
    b"EVAL": SimulatedRedis._eval,
    b"HSET": SimulatedRedis._hset,
    b"HDEL": SimulatedRedis._hdel,
    b"HGETALL": SimulatedRedis._hgetall,
    b"HSCAN": SimulatedRedis._hscan,
    b"SADD": SimulatedRedis._sadd,
    b"SMEMBERS": SimulatedRedis._smembers,
    b"SMISMEMBER": SimulatedRedis._smismember,
    b"XADD": SimulatedRedis._xadd,
    b"XREAD": SimulatedRedis._xread,
    b"XRANGE": SimulatedRedis._xrange,
    b"XTRIM": SimulatedRedis._xtrim,
}


class Faults:
    """What goes wrong for one client: after so many more commands its connection is lost, or stands
    still until it is let go."""

    def __init__(self) -> None:
        self.lose_after: int | None = None
        self.stall_after: int | None = None
        self.stalled: asyncio.Event | None = None

    def count(self) -> None:
        """One more command is about to be carried out. Raises when it never arrives."""
        if self.lose_after is not None:
            self.lose_after -= 1
            if self.lose_after < 0:
                self.lose_after = None
                raise Lost("the connection is lost")

    async def wait(self) -> None:
        if self.stall_after is not None:
            self.stall_after -= 1
            if self.stall_after < 0:
                self.stall_after = None
                self.stalled = asyncio.Event()
                await self.stalled.wait()
                self.stalled = None


class SimulatedConnection:
    """One conversation: its transaction and what it watches."""

    def __init__(self, server: SimulatedRedis, faults: Faults) -> None:
        self._server = server
        self._faults = faults
        self._reader = hiredis.Reader()
        self._replies: list[Any] = []
        self._queued: list[Args] | None = None
        self._watched: dict[bytes, int] = {}

    async def send_packed_command(self, packed: Iterable[bytes]) -> None:
        await self._faults.wait()
        for part in packed:
            self._reader.feed(part)
        while (args := self._reader.gets()) is not False:
            self._faults.count()
            self._replies.append(self._run(args))

    async def read_response(self) -> Any:
        """The reply of the next command. A connection that is lost here was lost after the command had
        been carried out."""
        self._faults.count()
        return self._replies.pop(0)

    def _run(self, args: Args) -> Any:
        word = args[0]
        if word == b"EXEC":
            return self._exec()
        if self._queued is not None:
            self._queued.append(args)
            return b"QUEUED"
        if word == b"MULTI":
            self._queued = []
            return b"OK"
        if word == b"WATCH":
            self._watched |= {key: self._server.version(key) for key in args[1:]}
            return b"OK"
        if word == b"UNWATCH":
            self._watched = {}
            return b"OK"
        return self._server.run(args)

    def _exec(self) -> list[Any] | None:
        queued, self._queued = self._queued or [], None
        watched, self._watched = self._watched, {}
        if any(self._server.version(key) != version for key, version in watched.items()):
            return None
        return [self._server.run(args) for args in queued]

    async def disconnect(self, nowait: bool = False) -> None:
        self._queued, self._watched = None, {}


class SimulatedClient:
    """What the log uses of the client library, on a server in memory."""

    def __init__(self, server: SimulatedRedis) -> None:
        self.server = server
        self.faults = Faults()

    @property
    def connection_pool(self) -> SimulatedClient:
        return self

    async def get_connection(self) -> SimulatedConnection:
        return SimulatedConnection(self.server, self.faults)

    async def release(self, connection: SimulatedConnection) -> None:
        """A connection is not used twice."""

    async def execute_command(self, *args: Any) -> Any:
        await self.faults.wait()
        self.faults.count()
        return self.server.run([_bytes(arg) for arg in args])

    async def set(self, key: str, value: Any, *, nx: bool = False, px: int | None = None) -> Any:
        options: list[Any] = ["NX"] if nx else []
        options += ["PX", px] if px is not None else []
        return await self.execute_command("SET", key, value, *options)

    async def eval(self, script: str, count: int, *args: Any) -> Any:
        return await self.execute_command("EVAL", script, count, *args)


def _bytes(arg: Any) -> bytes:
    if isinstance(arg, bytes):
        return arg
    return str(arg).encode()
