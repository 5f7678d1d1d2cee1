"""A desk that is started before Redis or the store is there waits, says so, and can be ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from tests.conftest import RedisServer
from tests.crash.house import free_port
from tests.navbat.process import CONFIG, ROOT, Desk, wait_for

MakeDesk = Callable[..., Desk]
ROLES = ("receiver", "router", "gateway", "sender", "projector")


@pytest.fixture
def away(own_redis: RedisServer) -> RedisServer:
    """A Redis that is not there yet."""
    own_redis.kill()
    return own_redis


def on(server: RedisServer, more: str = "") -> str:
    return CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{free_port()}") + f"redis: {server.url}\n{more}"


def heard(process: subprocess.Popen[str], text: str) -> str:
    """The line of stderr that has the text."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return line
    raise AssertionError(f"never said {text!r}")


def listens(desk: Desk) -> str:
    address = desk.file.read_text().split('listen: "')[1].split('"')[0]
    return f"http://{address}"


def ready(desk: Desk) -> tuple[int, list[str]]:
    try:
        with urllib.request.urlopen(f"{listens(desk)}/health/ready", timeout=5) as response:
            return response.status, []
    except urllib.error.HTTPError as error:
        with error:
            return error.code, [reason["code"] for reason in json.load(error)["reasons"]]
    except OSError:
        return 0, []


@pytest.mark.parametrize("role", ["", *ROLES])
def test_every_part_waits_for_redis_and_says_so(role: str, away: RedisServer, make_desk: MakeDesk) -> None:
    desk = make_desk(on(away))
    process = desk.start_command("run", *(["--role", role] if role else []))
    assert "Redis does not answer" in heard(process, "waiting for redis")
    if role in ("", "gateway", "receiver"):
        wait_for(lambda: ready(desk) == (503, ["redis_away"]))
        status = desk.command("status", status=3, env={"NAVBAT_URL": listens(desk), "NAVBAT_TOKEN": "t"})
        assert "the desk is there, but: Redis does not answer" in status.stderr
    away.start()
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready")
    heard(process, "redis is there")
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0


@pytest.mark.parametrize("role", ["", *ROLES])
def test_who_waits_can_be_ended(role: str, away: RedisServer, make_desk: MakeDesk) -> None:
    process = make_desk(on(away)).start_command("run", *(["--role", role] if role else []))
    heard(process, "waiting for redis")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err


def test_it_waits_for_a_mongodb(own_redis: RedisServer, make_desk: MakeDesk) -> None:
    desk = make_desk(on(own_redis, f"mongodb: mongodb://127.0.0.1:{free_port()}/\n"))
    process = desk.start_command("run")
    heard(process, "waiting for store: the store does not answer")
    wait_for(lambda: ready(desk) == (503, ["store_away"]))
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err


def test_a_redis_that_lets_nobody_in_is_not_waited_for(own_redis: RedisServer, make_desk: MakeDesk) -> None:
    with redis.Redis(unix_socket_path=f"{own_redis.folder}/redis.sock") as client:
        client.config_set("requirepass", "secret-word")
    done = make_desk(on(own_redis)).command("run", status=3)
    assert "does not let us in" in done.stderr


RISKS = {
    "appendonly": ("no", "appendonly is no", True),
    "appendfsync": ("everysec", "appendfsync is everysec", False),
    "maxmemory-policy": ("allkeys-lru", "maxmemory-policy is allkeys-lru", True),
}


@pytest.mark.parametrize("setting", RISKS)
def test_a_redis_that_may_forget(setting: str, own_redis: RedisServer, make_desk: MakeDesk) -> None:
    """Refused when it will in ordinary operation and nobody accepts it, else warned about, everywhere."""
    value, text, fatal = RISKS[setting]
    with redis.Redis(unix_socket_path=f"{own_redis.folder}/redis.sock") as client:
        client.config_set(setting, value)
        client.config_set("maxmemory", "100mb")
    desk = make_desk(on(own_redis))
    boss = desk.add("anna", "--role", "admin")
    checked = desk.command("check", "--online", status=1 if fatal else 0)
    assert f"{'problem' if fatal else 'warning'}: redis: {text}" in checked.stderr
    if fatal:
        refused = desk.command("run", status=1)
        assert text in refused.stderr
        assert "accept_volatile_redis: on" in refused.stderr
        desk.file.write_text(desk.file.read_text() + "accept_volatile_redis: on\n")
        assert f"warning: redis: {text}" in desk.command("check", "--online").stderr
    desk.start()
    assert desk.process is not None
    heard(desk.process, f"warning: redis: {text}")
    told = boss.json("status")
    assert any(text in risk for risk in told["risks"])
    assert f"RISK: redis: {text}" in boss.command("status").stdout


def test_a_redis_as_it_should_be_is_no_risk(own_redis: RedisServer, make_desk: MakeDesk) -> None:
    desk = make_desk(on(own_redis))
    boss = desk.add("anna", "--role", "admin")
    assert "redis" not in desk.command("check", "--online").stderr
    desk.start()
    assert boss.json("status")["risks"] == []


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs a small file system of its own"
)
@pytest.mark.parametrize("fill", [True, False])
def test_a_full_disk_at_the_start_is_said(fill: bool, folder: Path) -> None:
    """Nothing can be written at all, or only a little."""
    desk = Desk(folder)
    (folder / "data").mkdir()
    filled = "dd if=/dev/zero of=data/full bs=1k 2>/dev/null; " if fill else ""
    script = f"mount -t tmpfs -o size=64k none data && {filled}exec timeout 20 {sys.executable} -m navbat run"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        cwd=folder, env=desk.environment() | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "No space left" in done.stderr or "no room left on its disk" in done.stderr
    assert done.stdout == ""
