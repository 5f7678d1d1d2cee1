"""The desk's writer: what a batch changed becomes durable as a whole, or not at all.

One connection of its own. ``guard`` watches the lease and says which events are known; ``commit`` is
one MULTI that Redis refuses if the lease has changed hands in between, so a writer that was stopped,
outlived its lease and woke up again cannot do harm. A commit watches the lease for the next one, too: a
writer that has work to do makes one round trip for each batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from crm.kernel.errors import LeaseLost
from router.desk.state import Aside, Delivery, Entry, Saved, encode
from router.log.clock import steady_ms
from router.log.lease import Lease
from router.log.log import Log
from router.log.pipe import Args, Pipe, reaching, unavailable
from router.log.quarantine import put_command
from router.log.seen import Seen

WATCHING = 3
"""Commands that watch the lease and ask for the clock."""


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
        self._watched_at: int | None = None
        """When the last commit began to watch the lease for the next one."""

    @property
    def server_ms(self) -> int:
        """Redis' clock, as far as it is known; 0 before it was asked."""
        if self._server is None:
            return 0
        told, since = self._server
        return told + self._steady() - since

    async def close(self) -> None:
        await self._pipe.close()

    async def begin_anew(self) -> None:
        """After a batch that was given up before its commit was sent."""
        await self._pipe.close()
        self._seen = Seen(self._keys.root)
        self._watched_at = None

    async def guard(self, event_ids: Sequence[str], at: int) -> set[str]:
        """Begins a commit: which of the event ids have been applied before. Raises ``LeaseLost``
        when the desk is somebody else's, ``Unavailable``."""
        await self._open_seen(at)
        questions = self._seen.questions(event_ids, at)
        watched, self._watched_at = self._watched_at, None
        # A renewal is a change of what is watched. It is due when a third of the lease's time has passed.
        if watched is not None and 4 * (self._steady() - watched) < self._lease.ttl_ms:
            answers = await self._talk(questions) if questions else []
            return self._seen.known(answers)
        # UNWATCH: the last guard may have found nothing to commit, and what it watched has changed since.
        _, *watching = await self._talk([("UNWATCH",), *self._watching(), *questions])
        if not self._is_ours(watching[:WATCHING]):
            raise LeaseLost("another process writes this desk now")
        return self._seen.known(watching[WATCHING:])

    def _watching(self) -> list[Args]:
        return [("TIME",), ("WATCH", self._lease.key), ("GET", self._lease.key)]

    def _is_ours(self, replies: Sequence[Any]) -> bool:
        """What the replies to ``_watching`` say of the lease."""
        (seconds, micros), _, owner = replies
        self._server = int(seconds) * 1000 + int(micros) // 1000, self._steady()
        return bool(owner == self._lease.token.encode())

    async def _open_seen(self, at: int) -> None:
        if not self._seen.is_open:
            self._seen.open(at, await self._talk(self._seen.opening(at)))

    async def commit(
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
    ) -> None:
        """``unreadable``: fields of hashes that are put aside; ``more``: further entries after ``entry``.
        Raises ``LeaseLost`` (nothing was written) or
        ``Unavailable`` (nobody knows: load anew)."""
        keys = self._keys
        commands: list[Args] = [("MULTI",)]
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
        commands += [("PEXPIRE", self._lease.key, self._lease.ttl_ms), ("EXEC",), *self._watching()]
        *_, done, seconds, watched, owner = await self._talk(commands, keep=True)
        if done is None:
            raise LeaseLost("another process writes this desk now")
        if self._is_ours((seconds, watched, owner)):
            self._watched_at = self._steady()

    async def _talk(self, commands: list[Args], *, keep: bool = False) -> list[Any]:
        """One round trip. An error of any command is ``Unavailable``: Redis then did none of a
        transaction, or something that is not a desk's Redis answers."""
        async with reaching("commit"):
            replies = await self._pipe.talk(commands, keep=keep)
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
