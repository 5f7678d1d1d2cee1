"""Fixtures shared by all tests: a real Redis, and a log of its own for each test."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from navbat.run.embedded import find_server
from router.log.home import connect
from router.log.log import Log
from tests.servers import mongodb


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: no worker is left with minutes of it when the others are done."""
    items.sort(key=lambda item: "/tests/crash/" not in item.path.as_posix())


def redis_server() -> str:
    """The redis-server that an embedded desk would run."""
    return str(find_server()[0])


class RedisServer:
    """A redis-server of the tests' own on a Unix socket, durable like the embedded one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/redis.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                redis_server(), "--port", "0", "--unixsocket", f"{self.folder}/redis.sock",
                "--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "always", "--save", "",
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 10
        client = redis.Redis(unix_socket_path=f"{self.folder}/redis.sock")
        while True:
            try:
                client.ping()
                break
            except (redis.ConnectionError, redis.exceptions.BusyLoadingError):
                assert time.monotonic() < deadline, "redis-server did not start"
                time.sleep(0.01)
        client.close()

    def kill(self) -> None:
        """kill -9: what a crash leaves is the append-only file."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    folder = Path(tempfile.mkdtemp(prefix="nb-redis-"))
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that the test may kill."""
    folder = Path(tempfile.mkdtemp(prefix="nb-redis-"))
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def redis_url(shared_redis: RedisServer) -> str:
    return shared_redis.url


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[Log]:
    """A log of a desk that no other test knows."""
    log = Log(connect(redis_url), f"test-{uuid.uuid4().hex[:8]}")
    yield log
    await log.close()


async def until(condition: object, within: float = 30.0) -> None:
    """Waits for a condition (a callable, plain or async) to hold; fails when it does not in time."""
    deadline = time.monotonic() + within
    while True:
        result = condition()  # type: ignore[operator]
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        assert time.monotonic() < deadline, f"did not happen within {within} s"
        await asyncio.sleep(0.005)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    mongodb.fold_skips(terminalreporter.stats.get("skipped", []))
