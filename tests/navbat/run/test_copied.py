"""A copy of a data folder is another desk: nothing done with it reaches the one it was copied from."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from crm.kernel.errors import NavbatError
from navbat.run.embedded import EmbeddedRedis, belongs_to
from navbat.run.serving import attach, ping, recorded_socket, serving, survivor, url_of
from tests.navbat.process import CONFIG, Desk, Operator

MakeDesk = Callable[..., Desk]


@pytest.fixture(params=["near", "deep"])
def live(request: pytest.FixtureRequest, make_desk: MakeDesk) -> Iterator[tuple[Desk, Operator]]:
    """A running desk; ``deep``: its path is too long for a socket, which is elsewhere."""
    data = "./data" if request.param == "near" else f"./{'d' * 60}/{'e' * 60}"
    desk = make_desk(CONFIG.replace("./data", data), "live")
    anna = desk.add("anna")
    desk.start()
    yield desk, anna
    assert anna.command("status").stdout.startswith("desk shop")
    assert desk.process is not None
    assert desk.process.poll() is None


def copied(desk: Desk, make_desk: MakeDesk) -> Desk:
    """The folder as ``cp -a`` takes it, in use as it is."""
    copy = desk.folder.parent / "copy"
    subprocess.run(["cp", "-a", desk.folder, copy], check=True)
    return make_desk(desk.file.read_text(), "copy")


def redis_pid(desk: Desk) -> int:
    return desk.child("redis-server").pid


def test_no_command_with_the_copy_reaches_the_original(
    live: tuple[Desk, Operator], make_desk: MakeDesk
) -> None:
    desk, anna = live
    copy = copied(desk, make_desk)
    for words in (
        ("operator", "disable", "anna"),
        ("operator", "revoke", "anna"),
        ("operator", "set", "anna", "--max-sessions", "1"),
        ("line", "set", "sales", "answer_within=7m"),
    ):
        assert "the desk is not running" in copy.command(*words).stderr
    assert anna.json("sessions") == []
    assert "answer_within=7m" not in desk.command("line", "show", "sales").stdout
    assert "a desk runs on it now" not in copy.command("check", status=1).stdout


@pytest.mark.parametrize("role", ["receiver", "router", "gateway", "sender", "projector"])
def test_no_role_on_the_copy_joins_the_original(role: str, make_desk: MakeDesk) -> None:
    desk = make_desk(name="live")
    anna = desk.add("anna")
    desk.start()
    copy = copied(desk, make_desk)
    assert "no desk runs on" in copy.command("run", "--role", role, status=3).stderr
    assert sorted(anna.json("status")["processes"]) == ["desk", "projector", "router"]


def test_a_copy_that_is_started_lives_beside_the_original(
    live: tuple[Desk, Operator], make_desk: MakeDesk
) -> None:
    desk, anna = live
    copy = copied(desk, make_desk)
    before = redis_pid(desk)
    copy.start()
    assert redis_pid(desk) == before
    assert redis_pid(copy) != before
    desk.write("chat", "1", "for the original")
    anna.until_sessions(1)
    assert copy.as_operator("anna", anna.env["NAVBAT_TOKEN"]).json("sessions") == []
    copy.command("operator", "disable", "anna")
    copy.stop()
    assert len(anna.json("sessions")) == 1
    assert redis_pid(desk) == before


def test_both_have_sockets_of_their_own_after_a_restart(
    live: tuple[Desk, Operator], make_desk: MakeDesk
) -> None:
    """The original ends while the copy runs, and comes back: each has its own socket."""
    desk, anna = live
    copy = copied(desk, make_desk)
    copy.start()
    desk.stop()
    desk.url = ""
    desk.start()
    assert copy.as_operator("anna", anna.env["NAVBAT_TOKEN"]).json("sessions") == []
    assert redis_pid(desk) != redis_pid(copy)


async def test_the_same_folder_by_another_way_is_the_same(folder: Path) -> None:
    """Linked, moved, with a path too long to connect to."""
    data = folder / "data"
    server = EmbeddedRedis(data)
    await server.start()
    try:
        (folder / "link").symlink_to(data)
        assert (await serving(folder / "link")) == (folder / "link" / "redis" / "redis.sock", server.pid)
        moved = folder / "moved"
        data.rename(moved)
        assert await attach(moved) == url_of(moved / "redis" / "redis.sock")
        shutil.copytree(moved, data, ignore=shutil.ignore_patterns("*.sock"))
        (data / "redis" / "socket").write_text(str(moved / "redis" / "redis.sock"))
        assert await serving(data) is None, "a restored backup is not the folder that was moved away"
        long = folder / ("l" * 60) / ("m" * 60)
        long.parent.mkdir()
        long.symlink_to(moved)
        (moved / "redis" / "socket").write_text(str(moved / "redis" / "redis.sock"))
        assert await attach(long) == url_of(moved / "redis" / "redis.sock")
    finally:
        await server.stop()


async def test_a_server_whose_folder_was_replaced_is_nobody_s(folder: Path) -> None:
    """The folder was deleted under a live server, and a backup came into its place."""
    data = folder / "data"
    old = EmbeddedRedis(data)
    await old.start()
    survived = folder / "kept" / "redis.sock"
    try:
        survived.parent.mkdir()
        old.socket.rename(survived)
        shutil.rmtree(data)
        (data / "redis").mkdir(parents=True)
        (data / "redis" / "socket").write_text(str(survived))
        (data / "redis" / "redis.pid").write_text(str(old.pid))
        assert await survivor(data) is None
        new = EmbeddedRedis(data)
        await new.start()
        assert await ping(survived) == "+PONG"
        await new.stop()
    finally:
        await old.stop()


async def test_a_number_that_is_another_process_s_now_ends_nobody(folder: Path) -> None:
    (folder / "redis").mkdir()
    bystander = await asyncio.create_subprocess_exec("sleep", "60", cwd=folder / "redis")
    try:
        (folder / "redis" / "redis.pid").write_text(str(bystander.pid))
        server = EmbeddedRedis(folder)
        await server.start()
        await server.stop()
        assert bystander.returncode is None
    finally:
        bystander.kill()
        await bystander.wait()


@pytest.mark.parametrize("state", ["hangs", "nobody listens"])
async def test_our_own_survivor_is_ended_however_it_is(folder: Path, state: str) -> None:
    left = EmbeddedRedis(folder)
    await left.start()
    if state == "hangs":
        os.kill(left.pid, signal.SIGSTOP)
    else:
        left.socket.unlink()
    old = psutil.Process(left.pid)
    server = EmbeddedRedis(folder)
    await server.start()
    assert not old.is_running() or old.status() == psutil.STATUS_ZOMBIE
    await server.stop()
    await left.stop()


async def test_without_the_system_s_word_the_server_is_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel does not name the process that listens."""
    monkeypatch.setattr("navbat.run.serving._peer", lambda writer: 0)
    (folder / "one").mkdir()
    server = EmbeddedRedis(folder / "one")
    await server.start()
    shutil.copytree(folder / "one", folder / "two", ignore=shutil.ignore_patterns("*.sock"))
    (folder / "two" / "redis" / "socket").write_text(str(server.socket))
    assert await serving(folder / "one") == (server.socket, 0)
    assert await serving(folder / "two") is None
    again = EmbeddedRedis(folder / "one")
    await again.start()
    await server.stop()
    assert await ping(again.socket) in ("+PONG", "")
    await again.stop()


def test_one_folder_is_one_desk_s(desk: Desk) -> None:
    desk.add("anna")
    desk.start()
    desk.stop()
    belongs_to(desk.folder / "data", "shop")
    desk.file.write_text(CONFIG.replace("desk: shop", "desk: other"))
    for words in (("run",), ("check",), ("operator", "list")):
        done = desk.command(*words, status=1)
        assert "belongs to the desk shop" in done.stderr
    with pytest.raises(NavbatError, match="belongs to the desk shop"):
        belongs_to(desk.folder / "data", "other", claim=True)


def test_the_second_socket_record_does_not_confuse(folder: Path) -> None:
    """Whatever stands in the record, it is only a place to look at."""
    (folder / "redis").mkdir()
    for text in ("", "\0", "relative", str(folder / "redis")):
        (folder / "redis" / "socket").write_text(text)
        assert asyncio.run(serving(folder)) is None
    (folder / "redis" / "socket").write_bytes(b"\xff\xfe")
    assert recorded_socket(folder) is None
