"""What keeps a desk from its work shows everywhere one looks: status, its exit, the health pages, the wire."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from tests.conftest import RedisServer
from tests.crash.house import free_port
from tests.navbat.process import CONFIG, Desk, Operator, wait_for

MakeDesk = Callable[..., Desk]


class Watched:
    """A running desk on a Redis that the test may hurt."""

    def __init__(self, server: RedisServer, make_desk: MakeDesk) -> None:
        self.server = server
        self.desk = make_desk(CONFIG + f"redis: {server.url}\n")
        self.boss: Operator = self.desk.add("anna", "--role", "supervisor")
        self.desk.start()
        self.client = redis.Redis(unix_socket_path=f"{server.folder}/redis.sock")

    def ready(self) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"{self.desk.url}/health/ready", timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def live(self) -> int:
        with urllib.request.urlopen(f"{self.desk.url}/health/live", timeout=10) as response:
            return int(response.status)

    def until_reason(self, code: str) -> None:
        """Not ready, and says why; alive all the same."""

        def told() -> bool:
            status, body = self.ready()
            return status == 503 and [reason["code"] for reason in body["reasons"]] == [code]

        wait_for(told)
        assert self.live() == 200

    def status(self, code: int) -> dict[str, Any]:
        done = self.boss.command("status", "--json", status=code)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def until_well(self) -> None:
        wait_for(lambda: self.ready() == (200, {"ready": True, "reasons": []}), 30)
        wait_for(lambda: self.boss.desk.start_command("status", env=self.boss.env).wait(20) == 0, 30)


@pytest.fixture
def watched(own_redis: RedisServer, make_desk: MakeDesk) -> Iterator[Watched]:
    found = Watched(own_redis, make_desk)
    yield found
    found.client.close()


def fill(watched: Watched) -> Callable[[], object]:
    watched.client.config_set("maxmemory", "1")
    return lambda: watched.client.config_set("maxmemory", "0")


def demote(watched: Watched) -> Callable[[], object]:
    watched.client.replicaof("127.0.0.1", "1")
    return lambda: watched.client.replicaof("NO", "ONE")


def break_disk(watched: Watched) -> Callable[[], object]:
    (watched.server.folder / "taken.rdb" / "x").mkdir(parents=True)
    watched.client.config_set("dbfilename", "taken.rdb")
    watched.client.config_set("save", "3600 1")
    watched.client.bgsave()
    wait_for(lambda: watched.client.info("persistence")["rdb_last_bgsave_status"] == "err")
    return lambda: watched.client.config_set("save", "")


@pytest.mark.parametrize(
    ("hurt", "code", "says"),
    [
        (fill, "redis_memory", "its memory is full"),
        (demote, "redis_readonly", "it is a replica"),
        (break_disk, "redis_disk", "cannot write to its disk"),
    ],
)
def test_a_redis_that_refuses_writes(
    watched: Watched, hurt: Callable[[Watched], Callable[[], object]], code: str, says: str
) -> None:
    assert watched.ready() == (200, {"ready": True, "reasons": []})
    watched.desk.write("chat", "1", "before")
    watched.boss.until_sessions(1)
    heal = hurt(watched)
    watched.until_reason(code)
    with pytest.raises(urllib.error.HTTPError, match="503"):
        watched.desk.write("chat", "2", "meanwhile")
    told = watched.status(1)
    assert [(t["part"], t["code"], t["stops"]) for t in told["troubles"]] == [("redis", code, True)]
    assert told["channels"]["lo"]["inbox"] == 0
    assert told["log_lag"] == 0
    assert says in watched.boss.command("status", status=1).stdout
    heal()
    watched.until_well()
    watched.desk.write("chat", "2", "after")


def test_a_redis_that_is_dead(watched: Watched) -> None:
    watched.desk.write("chat", "1", "before")
    watched.boss.until_sessions(1)
    watched.server.kill()
    watched.until_reason("redis_away")
    told = watched.status(3)
    assert [t["code"] for t in told["troubles"]] == ["redis_away"]
    assert told["known_at"], "what was known last, and when"
    assert "desk" in told["processes"]
    assert "last heard at" in watched.boss.command("status", status=3).stdout
    watched.server.start()
    watched.until_well()


def test_a_router_that_is_gone_shows(own_redis: RedisServer, make_desk: MakeDesk) -> None:
    desk = make_desk(CONFIG + f"redis: {own_redis.url}\n")
    boss = desk.add("anna", "--role", "supervisor")
    gateway = desk.start_command("run", "--role", "gateway")
    assert gateway.stdout is not None
    desk.url = gateway.stdout.readline().split("gateway=")[1].split()[0]
    client = Watched.__new__(Watched)
    client.desk, client.boss = desk, boss
    client.until_reason("router_away")
    assert client.status(1)["troubles"][0]["part"] == "router"


def test_only_who_serves_takes_the_port(own_redis: RedisServer, make_desk: MakeDesk) -> None:
    """Every role has the same file, and the same port in it."""
    text = CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{free_port()}")
    desk = make_desk(text + f"redis: {own_redis.url}\n")
    roles = ("gateway", "router", "sender", "projector")
    processes = {role: desk.start_command("run", "--role", role) for role in roles}
    for role, process in processes.items():
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready"), role
