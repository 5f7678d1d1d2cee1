"""The redis-server of our own."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from redis.asyncio import Redis

from crm.kernel.errors import NavbatError, Unavailable
from navbat.run.embedded import EmbeddedRedis, FolderLock, find_server
from navbat.run.serving import SOCKET_LIMIT, attach, ping, recorded_socket
from router.log.home import connect
from tests.conftest import until


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[EmbeddedRedis, Redis]]:
    server = EmbeddedRedis(folder)
    await server.start()
    watching = asyncio.create_task(server.watch())
    client = connect(server.url)
    try:
        yield server, client
    finally:
        await client.aclose(close_connection_pool=True)
        watching.cancel()
        await asyncio.wait([watching])
        await server.stop()


def test_there_is_a_server_new_enough() -> None:
    path, version = find_server()
    assert path.exists()
    assert tuple(int(n) for n in version.split(".")[:2]) >= (6, 2)


def test_an_old_server_in_path_is_passed_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = folder / "redis-server"
    fake.write_text("#!/bin/sh\necho 'Redis server v=5.0.14 sha=0'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    assert find_server()[0] != fake
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NavbatError, match=r"redis-server is 5\.0\.14"):
        find_server()


async def test_everything_is_on_disk_before_it_is_acknowledged(folder: Path) -> None:
    async with running(folder) as (server, client):
        for setting, value in (("appendonly", "yes"), ("appendfsync", "always"), ("save", ""), ("port", "0")):
            assert await client.config_get(setting) == {setting: value}
        assert stat.S_IMODE((folder / "redis").stat().st_mode) == 0o700
        assert server.socket.parent == folder / "redis"
    assert await ping(server.socket) == ""


async def test_a_killed_server_comes_back_with_its_data(folder: Path) -> None:
    async with running(folder) as (server, client):
        await client.set("a", "1")
        first = server.pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: server.pid != first)

        async def answers() -> bool:
            return await ping(server.socket) == "+PONG"

        await until(answers)
        assert await client.get("a") == b"1"
        assert server.restarts == 1


async def test_a_torn_end_of_the_file_costs_only_what_was_never_acknowledged(folder: Path) -> None:
    async with running(folder) as (_, client):
        await client.set("a", "1")
    with (folder / "redis" / "appendonly.aof").open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$1\r\nb")
    async with running(folder) as (_, client):
        assert await client.get("a") == b"1"
        assert await client.get("b") is None


async def test_the_survivor_of_a_killed_navbat_is_ended_first(folder: Path) -> None:
    survivor = EmbeddedRedis(folder)
    await survivor.start()
    old = psutil.Process(survivor.pid)
    async with running(folder) as (server, client):
        assert not old.is_running() or old.status() == psutil.STATUS_ZOMBIE
        assert server.pid != old.pid
        assert (await client.info("server"))["process_id"] == server.pid
    await survivor.stop()


async def test_a_deep_folder_has_its_socket_elsewhere_and_private(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)
    async with running(deep) as (server, client):
        assert len(os.fsencode(server.socket)) <= SOCKET_LIMIT
        assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
        assert recorded_socket(deep) == server.socket
        assert await attach(deep) == server.url
        await client.set("a", "1")
    assert not server.socket.parent.exists()


async def test_nobody_attaches_where_nothing_runs(folder: Path) -> None:
    with pytest.raises(Unavailable, match="no desk runs on"):
        await attach(folder)
    async with running(folder):
        pass
    with pytest.raises(Unavailable):
        await attach(folder)


async def test_a_damaged_file_is_named_with_what_to_do(folder: Path) -> None:
    (folder / "redis").mkdir()
    path = folder / "redis" / "appendonly.aof"
    path.write_bytes(b"this is no append-only file\r\n" * 10)
    with pytest.raises(NavbatError, match=r"is damaged from byte 0 to 290 of 290") as caught:
        await EmbeddedRedis(folder).start()
    assert str(path) in str(caught.value)
    assert "navbat repair" in caught.value.hint


async def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    (folder / "redis" / "appendonly.aof").mkdir(parents=True)
    with pytest.raises(NavbatError, match="did not start") as caught:
        await EmbeddedRedis(folder).start()
    assert "append-only file" in str(caught.value) or "append only file" in str(caught.value)
    assert "just started" not in str(caught.value)


async def test_a_full_disk_is_named_as_the_reason(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(folder) as (server, _):
        monkeypatch.setattr("navbat.run.embedded.LEAST_ROOM", 1 << 60)
        (folder / "redis" / "appendonly.aof").rename(folder / "redis" / "kept.aof")
        (folder / "redis" / "appendonly.aof").mkdir()
        os.kill(server.pid, signal.SIGKILL)
        await until(lambda: "cannot be started" in server.trouble)
        assert server.trouble.startswith(f"the disk of {folder / 'redis'} is full: ")
        (folder / "redis" / "appendonly.aof").rmdir()
        (folder / "redis" / "kept.aof").rename(folder / "redis" / "appendonly.aof")
        await until(lambda: not server.trouble)


async def test_an_older_server_does_not_start_empty_beside_newer_data(folder: Path) -> None:
    (folder / "redis" / "appendonlydir").mkdir(parents=True)
    if int(find_server()[1].split(".")[0]) >= 7:
        async with running(folder) as (_, client):
            assert await client.ping()
        return
    with pytest.raises(NavbatError, match="written by Redis 7"):
        await EmbeddedRedis(folder).start()


def test_the_lock_names_its_owner_and_is_freed(folder: Path) -> None:
    with FolderLock(folder / "data"), pytest.raises(NavbatError, match=f"process {os.getpid()}"):
        FolderLock(folder / "data").__enter__()
    with FolderLock(folder / "data"):
        pass


def test_a_folder_that_cannot_be_made(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(NavbatError, match="cannot be used as a folder"):
        FolderLock(folder / "file" / "data").__enter__()
