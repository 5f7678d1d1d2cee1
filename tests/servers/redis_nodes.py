"""Several redis-servers: a master with replicas and Sentinels, or a cluster."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot

from tests.conftest import redis_server

SLOTS = 16384
SHARDS = 3


def free_ports(count: int) -> list[int]:
    """Such that the port of the cluster's bus, 10 000 above, is free too."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        port = random.randrange(12_000, 22_000)  # with the bus below what the system gives away
        while len(found) < count:
            port += 1
            try:
                for number in (port, port + 10_000):
                    held.enter_context(socket.create_server(("127.0.0.1", number)))
            except OSError:
                continue
            found.append(port)
    return found


def wait_for(condition: Callable[[], Any], within: float = 30.0) -> Any:
    """What the condition returns as soon as it is true; not answering is not true."""
    deadline = time.monotonic() + within
    while True:
        with contextlib.suppress(redis.RedisError, OSError):
            if found := condition():
                return found
        assert time.monotonic() < deadline, f"did not happen within {within} s"
        time.sleep(0.05)


class Node:
    """One server on a port of its own; it keeps its folder when it is killed and started again."""

    def __init__(self, folder: Path, port: int, *arguments: str) -> None:
        self.folder = folder / str(port)
        self.folder.mkdir(parents=True)
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self._arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None
        self.client: Any = redis.Redis(port=port, socket_timeout=5)

    def start(self) -> None:
        self.process = subprocess.Popen(
            [redis_server(), *self._arguments, "--port", str(self.port), "--dir", str(self.folder)],
            stdout=subprocess.DEVNULL, cwd=self.folder,
        )  # fmt: skip
        wait_for(self.client.ping)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def lose(self, number: int) -> None:
        """Kills it, or lets it hang."""
        if number == signal.SIGSTOP:
            self.signal(number)
        else:
            self.kill()

    def come_back(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
        else:
            self.start()

    def end(self) -> None:
        self.client.close()
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
            self.kill()


DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--bind", "127.0.0.1")


class Nodes:
    """What both have in common. ``url`` is what a configuration says."""

    url = ""

    def __init__(self, replicas: int = 1) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nb-nodes-"))
        self.nodes: list[Node] = []
        try:
            self._build(replicas)
        except BaseException:
            self.end()
            raise

    def _build(self, replicas: int) -> None:
        """Starts everything and returns when it knows of each other."""
        raise NotImplementedError

    def _add(self, port: int, *arguments: str) -> Node:
        node = Node(self.folder, port, *arguments)
        self.nodes.append(node)
        node.start()
        return node

    def master(self, desk: str) -> Node:
        """The node that has the desk now."""
        raise NotImplementedError

    def end(self) -> None:
        for node in self.nodes:
            node.end()
        shutil.rmtree(self.folder)


class Sentinels(Nodes):
    """A master ``desk-master``, ``replicas`` of it, and three Sentinels."""

    def _build(self, replicas: int) -> None:
        first, *others = free_ports(1 + replicas + 3)
        self._add(first, *DURABLE)
        for port in others[:replicas]:
            self._add(port, *DURABLE, "--replicaof", "127.0.0.1", str(first))
        self.servers = list(self.nodes)
        wait_for(partial(has_replicas, self.servers[0], replicas))
        self.sentinels = []
        for port in others[replicas:]:
            file = self.folder / f"{port}.conf"
            file.write_text(
                f"sentinel monitor desk-master 127.0.0.1 {first} 2\n"
                "sentinel down-after-milliseconds desk-master 1000\n"
                "sentinel failover-timeout desk-master 5000\n"
                "bind 127.0.0.1\n"
            )
            self.sentinels.append(self._add(port, str(file), "--sentinel"))
        for sentinel in self.sentinels:
            wait_for(partial(self._knows_all, sentinel, replicas))
        self.url = f"redis+sentinel://{','.join(s.address for s in self.sentinels)}/desk-master"

    def _knows_all(self, sentinel: Node, replicas: int) -> bool:
        state = sentinel.client.sentinel_master("desk-master")
        return bool((state["num-other-sentinels"], state["num-slaves"]) == (2, replicas))

    def master(self, desk: str = "") -> Node:
        def named() -> Node | None:
            for sentinel in self.sentinels:
                address = sentinel.client.sentinel_get_master_addr_by_name("desk-master")
                return next((node for node in self.servers if address and node.port == int(address[1])), None)
            return None

        found: Node = wait_for(named)
        return found


class Cluster(Nodes):
    """Three shards, each with ``replicas``."""

    def _build(self, replicas: int) -> None:
        ports = free_ports(SHARDS * (1 + replicas))
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1500")
        for port in ports:
            self._add(port, *DURABLE, *options)
        for node in self.nodes[1:]:
            node.client.execute_command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        masters = self.nodes[:SHARDS]
        for number, node in enumerate(masters):
            slots = range(number * SLOTS // SHARDS, (number + 1) * SLOTS // SHARDS)
            node.client.execute_command("CLUSTER", "ADDSLOTS", *slots)
        for node in self.nodes:
            wait_for(partial(_is, node, "cluster_known_nodes", str(len(ports))))
        for number, node in enumerate(self.nodes[SHARDS:]):
            of = masters[number % SHARDS].client.execute_command("CLUSTER", "MYID").decode()
            wait_for(partial(node.client.execute_command, "CLUSTER", "REPLICATE", of))
        for node in self.nodes:
            wait_for(partial(_is, node, "cluster_state", "ok"))
        for master in masters:
            wait_for(partial(has_replicas, master, replicas))
        self.url = f"redis+cluster://{','.join(node.address for node in self.nodes[:2])}"

    def master(self, desk: str) -> Node:
        slot = key_slot(f"nb:{{{desk}}}:".encode())

        def serving() -> Node | None:
            for node in self.nodes:
                with contextlib.suppress(redis.RedisError):
                    for first, last, host, *_ in node.client.execute_command("CLUSTER", "SLOTS"):
                        if first <= slot <= last:
                            return next(other for other in self.nodes if other.port == host[1])
            return None

        found: Node = wait_for(serving)
        return found


def has_replicas(node: Node, count: int) -> bool:
    """Whether so many replicas are connected to the node."""
    return bool(node.client.info("replication")["connected_slaves"] == count)


def _is(node: Node, fact: str, value: str) -> bool:
    told = node.client.execute_command("CLUSTER", "INFO")
    if not isinstance(told, dict):
        told = dict(line.split(":") for line in told.decode().splitlines() if line)
    return bool(told[fact] == value)
