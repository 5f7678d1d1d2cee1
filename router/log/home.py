"""Where a desk's Redis is: at one address, or on whichever node is the master now.

All keys of a desk have one hash tag and so one slot: the whole desk is on one node, and its client is an
ordinary one, whose connections ask where that node is each time they are made. A node that says it is
not the master any more loses its connections at once.

A write that only the master has dies with it. So what is acknowledged waits for a replica to have it,
where there are replicas.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as Disconnected

from crm.kernel.errors import Unavailable
from router.log.address import Address, apart, has_nodes
from router.log.pipe import COMMAND_TIMEOUT, Args

logger = logging.getLogger(__name__)

CONNECTIONS = 1000
"""Of one process at most. Each channel has three that only wait: for bodies, for deliveries, for files to
fetch."""
CONNECT_TIMEOUT = 2.0
ASK_TIMEOUT = 1.0
"""Seconds in which a Sentinel or a node of a cluster must say where the master is."""
KNOWN_FOR = 0.5
"""Seconds for which that answer serves all connections that are being made."""
WAIT_MS = 1000
"""How long a replica may take to have what was written."""
ALONE_AFTER = 6.0
"""Seconds without any replica after which the master goes on alone, if it still is the master. Long enough
for a replica that was promoted to be known as the master."""

MOVED_AWAY = (AskError, ReadOnlyError, ClusterDownError, TryAgainError)
"""What a node answers that is not, or not yet, the one to ask."""


class Master(NamedTuple):
    """Where the master is, and how many replicas it is known to have, also such as are away now."""

    address: Address
    replicas: int


class Finder:
    """Asks the nodes that are known where the master is."""

    def __init__(self, nodes: Sequence[Address], options: dict[str, Any]) -> None:
        self.nodes = list(nodes)
        self._options = options

    async def find(self) -> Master:
        """Raises ``redis.exceptions.ConnectionError`` when none of them knows."""
        troubles = []
        for node in list(self.nodes):
            client = Redis(
                host=node[0], port=node[1], socket_connect_timeout=ASK_TIMEOUT, socket_timeout=ASK_TIMEOUT,
                retry=Retry(NoBackoff(), 0), protocol=2, **self._options,
            )  # fmt: skip
            try:
                async with asyncio.timeout(2 * ASK_TIMEOUT):
                    found = await self.ask(client, node)
            except (RedisError, OSError, TimeoutError) as error:
                for reason in (error, error.__cause__):
                    if isinstance(reason, AuthenticationError):
                        raise reason from None
                troubles.append(f"{node[0]}:{node[1]} {type(error).__name__}")
            else:
                self.nodes.sort(key=lambda known: known != node)
                return found
            finally:
                with contextlib.suppress(RedisError, OSError):
                    await client.aclose()
        raise Disconnected(f"nobody says where the master is ({', '.join(troubles)})")

    async def ask(self, client: Redis, node: Address) -> Master:
        """One node's answer. Raises what the client raises."""
        raise NotImplementedError


class SentinelFinder(Finder):
    """``name``: as the Sentinels call the master."""

    def __init__(self, nodes: Sequence[Address], name: str, options: dict[str, Any]) -> None:
        super().__init__(nodes, options)
        self._name = name

    async def ask(self, client: Redis, node: Address) -> Master:
        found = await _run(client, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)
        if not found:
            raise Disconnected(f"the Sentinel knows no master {self._name}")
        replicas = await _run(client, "SENTINEL", "REPLICAS", self._name)
        return Master((_text(found[0]), int(found[1])), len(replicas))


class ClusterFinder(Finder):
    """``slot``: that of all keys of the desk."""

    def __init__(self, nodes: Sequence[Address], slot: int, options: dict[str, Any]) -> None:
        super().__init__(nodes, options)
        self._given = list(nodes)
        self._slot = slot

    async def ask(self, client: Redis, node: Address) -> Master:
        found: Master | None = None
        known = [node]
        for first, last, *hosts in await _run(client, "CLUSTER", "SLOTS"):
            addresses = [(_text(host[0]) or node[0], int(host[1])) for host in hosts]
            known += addresses
            if first <= self._slot <= last:
                found = Master(addresses[0], len(addresses) - 1)
        # Nodes that are gone are forgotten: each of them would cost the time of a connection.
        self.nodes = list(dict.fromkeys([*known, *self._given]))
        if found is None:
            raise Disconnected(f"no node of the cluster serves slot {self._slot}")
        return found


async def _run(client: Redis, *words: str) -> Any:
    """As it is answered: the client's own names for these commands change with its versions."""
    pool: Any = client.connection_pool
    connection = await pool.get_connection()
    try:
        await connection.send_command(*words)
        return await connection.read_response()
    finally:
        await pool.release(connection)


def _text(raw: bytes | str | None) -> str:
    return raw.decode() if isinstance(raw, bytes) else raw or ""


class Home:
    """Where the desk lives now, for all connections of one process; and whether a replica has what was
    written."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._lock = asyncio.Lock()
        self._found: Master | None = None
        self._found_at = float("-inf")
        self._alone_since: float | None = None
        self.is_alone = False

    @property
    def replicas(self) -> int:
        """How many the master is known to have."""
        return self._found.replicas if self._found else 0

    @property
    def address(self) -> str:
        """Where it was last; "" before it was looked for."""
        return "{}:{}".format(*self._found.address) if self._found else ""

    async def find(self) -> Address:
        """Raises ``redis.exceptions.ConnectionError``."""
        async with self._lock:
            if self._found is None or time.monotonic() - self._found_at > KNOWN_FOR:
                found = await self._finder.find()
                if self._found is not None and found.address != self._found.address:
                    logger.warning("Redis' master is %s:%d now", *found.address)
                    self._alone_since, self.is_alone = None, False
                self._found, self._found_at = found, time.monotonic()
            return self._found.address

    def forget(self) -> None:
        """The next connection asks anew, and another node first: this one may be the last to hear."""
        self._found_at = float("-inf")
        self._finder.nodes.append(self._finder.nodes.pop(0))

    # ---------------------------------------------------------------- replicas

    @property
    def question(self) -> Args | None:
        """What to ask behind a write that must outlive the master."""
        if not self.replicas:
            return None
        return ("ROLE",) if self.is_alone else ("WAIT", 1, WAIT_MS)

    async def hear(self, question: Args, reply: Any, connection: Any) -> None:
        """Takes the answer. Raises ``Unavailable`` when the master may be lost together with the write."""
        if isinstance(reply, Exception):
            raise reply
        if question[0] == "ROLE":
            if reply[2]:
                logger.warning("the master has a replica again")
                self._alone_since, self.is_alone = None, False
            return
        if reply >= 1:
            self._alone_since = None
            return
        await connection.send_command("ROLE")
        _, _, online = await connection.read_response()
        if online or not await self._goes_on_alone():
            raise Unavailable("no replica of Redis has what was written", code="redis_replicas")

    async def _goes_on_alone(self) -> bool:
        """Its last replica may just be on the way to take over, and then what was written here is lost."""
        now = time.monotonic()
        if self._alone_since is None:
            self._alone_since = now
        if now - self._alone_since < ALONE_AFTER:
            return False
        before = self._found
        self.forget()
        await self.find()
        self.is_alone = (
            before is not None and self._found is not None and self._found.address == before.address
        )
        if self.is_alone:
            logger.warning(
                "the master has no replica and goes on alone: if it is lost, so is what it was given"
            )
        return self.is_alone


class Roaming(Connection):
    """A connection to the master, wherever that is."""

    def __init__(self, *, home: Home, **kwargs: Any) -> None:
        super().__init__(host="", port=0, **kwargs)
        self._home = home

    async def _connect(self) -> None:
        self.host, self.port = await self._home.find()
        try:
            await super()._connect()  # type: ignore[no-untyped-call]
        except BaseException:
            self._home.forget()
            raise

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().read_response(*args, **kwargs)
        except MOVED_AWAY as error:
            self._home.forget()
            await self.disconnect(nowait=True)
            raise Disconnected(f"this node is not the master: {type(error).__name__}") from error
        except ResponseError:
            raise
        except BaseException:
            self._home.forget()
            raise


class RoamingTLS(Roaming, SSLConnection):
    """The same, encrypted."""


def connect(url: str, desk: str = "") -> Redis:
    """A client for ``redis://…``, ``rediss://…``, ``unix:///path``, ``redis+sentinel://…/name`` or
    ``redis+cluster://…`` (which needs the ``desk``). It has no ``socket_timeout``: on Python 3.11 that goes
    through ``asyncio.wait_for``, which can swallow a cancellation, and it costs a task for each command.
    ``reaching`` holds every conversation to its time instead."""
    shared: dict[str, Any] = {
        "max_connections": CONNECTIONS, "timeout": COMMAND_TIMEOUT, "socket_timeout": None,
        "socket_connect_timeout": CONNECT_TIMEOUT, "health_check_interval": 0, "protocol": 2,
    }  # fmt: skip
    if not has_nodes(url):
        return Redis(connection_pool=BlockingConnectionPool.from_url(url, **shared))
    nodes = apart(url)
    options = dict(nodes.options)
    encrypted = options.pop("connection_class", None) is SSLConnection
    tls = {"ssl": True, **{k: v for k, v in options.items() if k.startswith("ssl_")}} if encrypted else {}
    finder: Finder
    if nodes.kind == "sentinel":
        finder = SentinelFinder(nodes.hosts, nodes.name, tls | nodes.asking)
    else:
        access = {word: options[word] for word in ("username", "password") if word in options}
        finder = ClusterFinder(nodes.hosts, key_slot(f"nb:{{{desk}}}:".encode()), tls | access)
    pool = BlockingConnectionPool(
        connection_class=RoamingTLS if encrypted else Roaming, **{**options, **shared, "home": Home(finder)}
    )
    return Redis(connection_pool=pool)


def home_of(redis: Redis) -> Home | None:
    """Where the client's master is looked up; None for one address."""
    found: Home | None = redis.connection_pool.connection_kwargs.get("home")
    return found
