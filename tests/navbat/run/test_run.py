"""``navbat run`` from outside: ready, stopping, restarting, and what happens when a part is killed."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable

import psutil

from tests.navbat.process import CONFIG, Desk, wait_for


def test_says_when_it_is_ready_and_ends_cleanly(desk: Desk) -> None:
    desk.start()
    assert desk.ready.endswith("redis=embedded store=sqlite\n")
    redis, router = desk.child("redis-server"), desk.child("navbat.run.child")
    assert desk.stop() < 10
    psutil.wait_procs([redis, router], timeout=5)
    assert not redis.is_running()
    assert not router.is_running()


def test_interrupt_ends_it_too(desk: Desk) -> None:
    desk.start()
    assert desk.process is not None
    desk.process.send_signal(signal.SIGINT)
    desk.process.communicate(timeout=10)
    assert desk.process.returncode == 0


def test_can_be_ended_while_a_console_is_connected(desk: Desk) -> None:
    anna = desk.add("anna")
    desk.start()
    anna.online()
    assert desk.stop() < 10


def test_a_second_run_keeps_everything(desk: Desk) -> None:
    anna = desk.add("anna")
    desk.start()
    desk.write("c1", "1", "first")
    [before] = anna.until_sessions(1)
    desk.stop()
    desk.start()
    desk.write("c1", "2", "second")
    wait_for(lambda: len(anna.json("history", before["id"])) == 2)
    texts = [message["text"] for message in anna.json("history", before["id"])]
    assert texts == ["first", "second"]


def test_two_desks_on_one_data_folder_do_not_run(desk: Desk, make_desk: Callable[..., Desk]) -> None:
    desk.start()
    second = make_desk()
    refused = second.command("run", status=1)
    assert "is in use by another navbat" in refused.stderr
    assert refused.stdout == ""
    assert str(desk.process.pid if desk.process else "") in refused.stderr


def test_a_taken_port_is_a_clear_refusal(make_desk: Callable[..., Desk]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        desk = make_desk(CONFIG.replace("127.0.0.1:0", address))
        assert f"cannot listen on {address}" in desk.command("run", status=1).stderr


def test_a_killed_redis_server_comes_back_with_everything(desk: Desk) -> None:
    anna = desk.add("anna")
    desk.start()
    desk.write("c1", "1", "before")
    anna.until_sessions(1)
    killed = desk.child("redis-server")
    killed.kill()
    killed.wait(5)

    def write() -> bool:
        try:
            desk.write("c1", "2", "after")
        except OSError:
            return False
        return True

    wait_for(write)
    wait_for(lambda: len(anna.json("history", "1")) == 2)
    assert [m["text"] for m in anna.json("history", "1")] == ["before", "after"]
    assert desk.child("redis-server").pid != killed.pid
    desk.stop()


def test_a_killed_router_process_comes_back(desk: Desk) -> None:
    anna = desk.add("anna")
    desk.start()
    killed = desk.child("navbat.run.child")
    killed.kill()
    desk.write("c1", "1", "nobody routes now")
    anna.until_sessions(1)

    def told() -> bool:
        parts = anna.json("status")["processes"]["desk"]["parts"]
        return bool(parts.get("router process", {}).get("restarts") == 1)

    wait_for(told)
    desk.stop()


def test_nothing_outlives_a_killed_desk_and_the_next_one_goes_on(desk: Desk) -> None:
    anna = desk.add("anna")
    desk.start()
    desk.write("c1", "1", "before")
    anna.until_sessions(1)
    left = [desk.child("redis-server"), desk.child("navbat.run.child")]
    assert desk.process is not None
    desk.process.kill()
    desk.process.communicate()
    psutil.wait_procs(left, timeout=5)
    assert [p.pid for p in left if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    desk.start()
    assert [m["text"] for m in anna.json("history", "1")] == ["before"]
    desk.stop()


def test_a_desk_can_run_as_separate_roles(desk: Desk, make_desk: Callable[..., Desk]) -> None:
    anna = desk.add("anna")
    desk.start()
    standby = desk.start_command("run", "--role", "router,projector")
    assert standby.stdout is not None
    assert standby.stdout.readline() == "ready roles=router,projector redis=embedded store=sqlite\n"
    desk.child("navbat.run.child").send_signal(signal.SIGSTOP)
    desk.write("c1", "1", "the standby takes this")
    anna.until_sessions(1)
    desk.child("navbat.run.child").send_signal(signal.SIGCONT)
    standby.terminate()
    standby.communicate(timeout=10)
    assert standby.returncode == 0


def test_a_role_alone_needs_a_desk_to_attach_to(desk: Desk) -> None:
    refused = desk.command("run", "--role", "gateway", status=3)
    assert "no desk runs on" in refused.stderr


def test_roles_without_anything_to_run_say_so(desk: Desk) -> None:
    assert "no camera is configured" in desk.command("run", "--role", "vision", status=1).stderr
    assert "there is no role rooter" in desk.command("run", "--role", "rooter", status=2).stderr


def test_data_is_private(desk: Desk) -> None:
    desk.start()
    data = desk.folder / "data"
    for path in (data, data / "redis"):
        assert path.stat().st_mode & 0o077 == 0
    desk.stop()
