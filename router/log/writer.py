"""The desk's writer: what a batch changed becomes durable as a whole, or not at all.

One connection of its own. A commit is one MULTI that Redis refuses if the lease is somebody else's, so a
writer that was stopped, outlived its lease and woke up again cannot do harm; and it refuses one that does not
follow the commit that was sent before it. So several may be on their way: when one fails, so do those after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from crm.kernel.errors import LeaseLost
from router.desk.state import Aside, Delivery, Entry, Saved, encode
from router.log.clock import steady_ms
from router.log.lease import Lease
from router.log.log import Log
from router.log.pipe import Args, Pipe, Said, reaching, unavailable
from router.log.quarantine import put_command
from router.log.seen import Seen

T = TypeVar("T")

MOST_SENT = 4
"""Commits on their way at once."""
TOLD_MS = 2000
"""For so long it is known what Redis' clock says."""

# What is touched is watched by whoever asks: his transaction is then refused.
_FOLLOWS = """
if redis.call('get', KEYS[1]) == ARGV[1] and (redis.call('get', KEYS[2]) or '') == ARGV[2] then return 1 end
redis.call('set', KEYS[3], '', 'px', 1000)
return 0
"""


class Writer:
    """Commits batches for the holder of ``lease``. After any error it must not be used again."""

    def __init__(self, log: Log, lease: Lease, steady: Callable[[], int] = steady_ms) -> None:
        self._keys = log.keys
        self._lease = lease
        self._steady = steady
        self._pipe = Pipe(log.redis)
        self._seen = Seen(log.keys.root)
        self._server: tuple[int, int] | None = None
        """Redis' clock when it told it last, and our steady one then."""
        self._before: str | None = None
        """The commit that the next one follows; None until it is known."""
        self._is_refused = False
        self._sent = 0
        self._hearing: set[asyncio.Task[Any]] = set()
        self._order = asyncio.Lock()
        """Replies are heard in the order in which they were asked for."""

    @property
    def most_sent(self) -> int:
        """How many commits may be on their way."""
        return 1 if self._pipe.asks_nodes else MOST_SENT

    @property
    def server_ms(self) -> int:
        """Redis' clock, as far as it is known; 0 before it was asked."""
        if self._server is None:
            return 0
        told, since = self._server
        return told + self._steady() - since

    async def close(self) -> None:
        """What is on its way may be carried out or not."""
        hearing = list(self._hearing)
        for task in hearing:
            task.cancel()
        await asyncio.gather(*hearing, return_exceptions=True)
        await self._pipe.close()

    async def begin_anew(self) -> None:
        """After a batch that was given up before its commit was sent, and when none is on its way."""
        await self.close()
        self._seen = Seen(self._keys.root)
        self._before = None
        await self.open()

    async def guard(self, event_ids: Sequence[str], at: int) -> set[str]:
        """Begins a commit: which of the event ids have been applied before, those on their way included.
        Raises ``LeaseLost`` when the desk is known to be somebody else's, ``Unavailable``."""
        await self.open()
        await self._open_seen(at)
        questions = self._seen.questions(event_ids, at)
        if self._server is None or self._steady() - self._server[1] > TOLD_MS:
            time, *answers = await self._talk([("TIME",), *questions])
            self._told(time)
        else:
            answers = await self._talk(questions) if questions else []
        return self._seen.known(answers)

    async def open(self) -> None:
        """Before the desk is taken up: what an earlier writer sent and was given up may still come until the
        next commit, which is refused then. Raises as ``guard``."""
        if self._is_refused:
            raise LeaseLost("another process writes this desk now")
        if self._before is not None:
            return
        owner, before, time = await self._talk(
            [("GET", self._lease.key), ("GET", self._keys.commits), ("TIME",)]
        )
        if owner != self._lease.token.encode():
            raise LeaseLost("another process writes this desk now")
        self._before = (before or b"").decode()
        self._told(time)

    def _told(self, time: Sequence[bytes]) -> None:
        seconds, micros = time
        self._server = int(seconds) * 1000 + int(micros) // 1000, self._steady()

    async def _open_seen(self, at: int) -> None:
        if not self._seen.is_open:
            self._seen.open(at, await self._talk(self._seen.opening(at)))

    async def commit(self, *, at: int, **changed: Any) -> None:
        """``send``, and waits for it."""
        await (await self.send(at=at, **changed))

    async def send(
        self,
        *,
        at: int,
        cursor: str = "",
        event_ids: Sequence[str] = (),
        sessions: Sequence[Saved] = (),
        closed: Sequence[str] = (),
        unreadable: Sequence[tuple[str, str]] = (),
        aside: Sequence[Aside] = (),
        operators: Sequence[Saved] = (),
        fields: dict[str, bytes] | None = None,
        entry: Entry | None = None,
        more: Sequence[Entry] = (),
        deliveries: Sequence[Delivery] = (),
    ) -> asyncio.Task[None]:
        """``unreadable``: fields of hashes that are put aside; ``more``: further entries after ``entry``. Returns
        when the commit is on its way. The task ends when it has been carried out; it raises ``LeaseLost``
        (nothing was written, nor will be what is sent after it) or ``Unavailable`` (nobody knows: load anew)."""
        keys = self._keys
        await self.open()
        commands: list[Args] = []
        if sessions:
            commands.append(("HSET", keys.sessions, *_saved(sessions, "id")))
        if closed:
            commands.append(("HDEL", keys.sessions, *closed))
        commands += [("HDEL", key, field) for key, field in unreadable]
        commands += [put_command(keys, item) for item in aside]
        if operators:
            commands.append(("HSET", keys.operators, *_saved(operators, "name")))
        if fields:
            commands.append(("HSET", keys.desk, *(part for pair in fields.items() for part in pair)))
        if event_ids:
            await self._open_seen(at)
            commands += self._seen.notes(event_ids, at)
        commands += [("XADD", keys.out(d.channel), "*", "e", encode(d)) for d in deliveries]
        entries = [*([entry] if entry is not None else ()), *more]
        commands += [("XADD", keys.journal, "*", "e", encode(one)) for one in entries]
        if self._server is not None:
            commands.append(("SET", keys.written, f"{at} {self.server_ms}"))
        if cursor:
            commands.append(("SET", keys.cursor, cursor))
        lease, mine = self._lease, f"{self._lease.token}-{self._sent}"
        before, self._before, self._sent = self._before or "", mine, self._sent + 1
        fence = f"{keys.commits}:refused:{lease.token}"
        ahead: list[Args] = [
            ("WATCH", lease.key, fence),
            ("EVAL", _FOLLOWS, 3, lease.key, keys.commits, fence, lease.token, before),
            ("TIME",),
            ("MULTI",),
        ]
        last: list[Args] = [("SET", keys.commits, mine), ("PEXPIRE", lease.key, lease.ttl_ms), ("EXEC",)]
        return self._heard(self._carried_out(await self._say([*ahead, *commands, *last], keep=True)))

    async def _carried_out(self, said: Said) -> None:
        _, _, time, *_, done = await self._hear(said)
        self._told(time)
        if done is None:
            self._is_refused = True
            raise LeaseLost("another process writes this desk now")

    async def _talk(self, commands: list[Args]) -> list[Any]:
        """One round trip. An error of any command is ``Unavailable``: Redis then did none of a
        transaction, or something that is not a desk's Redis answers."""
        said = await self._say(commands)
        if self._hearing:
            return await self._heard(self._hear(said))
        return await self._hear(said)  # nobody was asked before: no turn of the loop is waited for

    async def _say(self, commands: list[Args], *, keep: bool = False) -> Said:
        async with reaching("commit"):
            return await self._pipe.say(commands, keep=keep)

    def _heard(self, hearing: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(hearing, name="writer-reply")
        self._hearing.add(task)
        task.add_done_callback(self._is_heard)
        return task

    def _is_heard(self, task: asyncio.Task[Any]) -> None:
        self._hearing.discard(task)
        if not task.cancelled():
            task.exception()  # those behind one that failed are not waited for

    async def _hear(self, said: Said) -> list[Any]:
        async with self._order, reaching("commit"):
            replies = await self._pipe.hear(said)
        for reply in replies:
            if isinstance(reply, Exception):
                raise unavailable("commit", reply)
        return replies


def _saved(states: Sequence[Saved], key: str) -> list[str | bytes]:
    """Field and value pairs of a hash of states."""
    pairs: list[str | bytes] = []
    for state in states:
        pairs += (getattr(state, key), encode(state))
    return pairs
