"""Talking to Redis: for how long, and one connection on which many commands make one round trip.

Packed in C and without a task or timeout per command: on the way of every message this is several
times faster than the client's own pipeline. Not for concurrent use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as Disconnected

from crm.kernel.errors import Unavailable

COMMAND_TIMEOUT = 5.0
"""Seconds that Redis may take to answer."""

Args = tuple[str | int | float | bytes | memoryview, ...]


_MATTER: tuple[tuple[type[RedisError], str, str], ...] = (
    (OutOfMemoryError, "redis_memory", "takes no writes: its memory is full"),
    (ReadOnlyError, "redis_readonly", "takes no writes: it is a replica"),
    (BusyLoadingError, "redis_loading", "is loading its file"),
    (AuthenticationError, "redis_access", "does not let us in"),
    (AuthorizationError, "redis_access", "does not let us in"),
    (NoPermissionError, "redis_access", "does not let us do that"),
    (AskError, "redis_refuses", "is a node of a cluster: write its address as redis+cluster://host,host"),
)
_BY_WORD = {
    "MISCONF": ("redis_disk", "takes no writes: it cannot write to its disk"),
    "NOREPLICAS": ("redis_replicas", "takes no writes: too few replicas have them"),
}


def unavailable(what: str, error: BaseException) -> Unavailable:
    """What an error of the client or of the server means for ``what`` was tried."""
    cause = error.__cause__ or error  # the client wraps what is answered while it connects
    for kind, code, text in _MATTER:
        if isinstance(error, kind) or isinstance(cause, kind):
            return Unavailable(f"Redis {text} ({what})", code=code)
    if isinstance(error, ResponseError):
        word = str(error).partition(" ")[0]
        code, text = _BY_WORD.get(word, ("redis_refuses", "refuses what it is asked"))
        return Unavailable(f"Redis {text} ({what}): {type(error).__name__} {word[:20]}", code=code)
    return Unavailable(f"Redis does not answer ({what}): {type(error).__name__}", code="redis_away")


class reaching:  # noqa: N801 - used like a function
    """Turns everything that can go wrong on the way to Redis, and not answering within ``seconds``,
    into ``Unavailable``. A class, because a generator costs three times as much, several times a message."""

    __slots__ = ("_timeout", "_what")

    def __init__(self, what: str, seconds: float = COMMAND_TIMEOUT) -> None:
        self._what = what
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as late:
            raise unavailable(self._what, late) from late
        if isinstance(error, RedisError | OSError):
            raise unavailable(self._what, error) from error


class Said(NamedTuple):
    """Commands on their way: whose replies are still to be heard."""

    connection: AbstractConnection
    opened: int
    """Which opening of the pipe it was: the client may give the same connection again, to another socket."""
    commands: int
    question: Args | None


class Pipe:
    """Opens itself at the first use. After an error the connection is gone and the next use opens
    another one; what the commands did is then unknown."""

    def __init__(self, redis: Redis) -> None:
        self._pool: Any = redis.connection_pool
        self._home: Any = getattr(self._pool, "connection_kwargs", {}).get("home")
        self._connection: AbstractConnection | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._opened = 0

    async def talk(self, commands: Sequence[Args], *, keep: bool = False) -> list[Any]:
        """The replies in order; an error reply stands in its place as an exception. With ``keep`` what was
        written outlives the node, where there are replicas. Raises what the client raises when Redis cannot
        be reached, and ``Unavailable`` when no replica has it."""
        return await self.hear(await self.say(commands, keep=keep))

    async def say(self, commands: Sequence[Args], *, keep: bool = False) -> Said:
        """The first half of ``talk``: returns when the commands are on their way. More may be said before the
        replies are heard, unless ``asks_nodes``."""
        if self._connection is None:
            self._connection = await self._pool.get_connection()
            self._writer = getattr(self._connection, "_writer", None)
            self._opened += 1
        connection, opened = self._connection, self._opened
        question = self._home.question if keep and self._home is not None else None
        asked = commands if question is None else [*commands, question]
        try:
            await connection.send_packed_command([b"".join([pack_command(args) for args in asked])])  # type: ignore[arg-type]
        except BaseException:
            await self.close()
            raise
        return Said(connection, opened, len(asked), question)

    async def hear(self, said: Said) -> list[Any]:
        """The second half: the replies to what was said, in the order in which it was."""
        connection, question = said.connection, said.question
        if self._connection is None or said.opened != self._opened:
            raise Disconnected("the connection was lost while others waited for their replies")
        replies: list[Any] = []
        try:
            for _ in range(said.commands):
                try:
                    replies.append(await connection.read_response())
                except ResponseError as error:
                    replies.append(error)
            if question is not None:
                await self._home.hear(question, replies.pop(), connection)
        except BaseException:
            await self.close()
            raise
        return replies

    @property
    def asks_nodes(self) -> bool:
        """Whether a reply may have to be asked about, on the same connection, before the next is heard."""
        return self._home is not None

    async def give_back(self) -> None:
        """Lets others have the connection, as it is."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._pool.release(connection)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)
            if self._writer is not None:
                self._writer.transport.abort()  # what has not left must not arrive when nobody waits for it
            await self._pool.release(connection)
