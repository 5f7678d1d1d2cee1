"""A desk on Sentinel and on a cluster: where it lives, and what is acknowledged only when a replica has it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from crm.kernel.errors import Unavailable
from router.desk.events import Present
from router.gateway.health import risks
from router.log import home
from router.log.address import apart, problem
from router.log.home import ALONE_AFTER, ClusterFinder, connect, home_of
from router.log.log import Log
from tests.conftest import RedisServer, until
from tests.servers.redis_nodes import Cluster, Sentinels


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three masters and nobody to take over."""
    found = Cluster(replicas=0)
    yield found
    found.end()


@pytest.fixture
def sentinels() -> Iterator[Sentinels]:
    found = Sentinels(replicas=1)
    yield found
    found.end()


def log_of(url: str, desk: str) -> Log:
    return Log(connect(url, desk), desk)


async def test_desks_spread_over_a_cluster_and_each_is_on_one_node(cluster: Cluster) -> None:
    used = set()
    for desk in ("shop", "bank", "clinic", "school", "taxi"):
        log = log_of(cluster.url, desk)
        await log.append(Present(gateway="g", operators=["anna"]))
        await log.put_raw("tg", b"{}")
        node = await asyncio.to_thread(cluster.master, desk)
        keys = await asyncio.to_thread(node.client.keys, "*")
        assert {f"nb:{{{desk}}}:log".encode(), f"nb:{{{desk}}}:in:tg".encode()} <= set(keys)
        used.add(node.port)
        await log.close()
    assert len(used) > 1


async def test_hints_go_through_a_cluster(cluster: Cluster) -> None:
    one, other = log_of(cluster.url, "shop"), log_of(cluster.url, "shop")
    heard: list[bytes] = []

    async def listen() -> None:
        heard.append(await anext(other.hints()))

    listening = asyncio.create_task(listen())

    async def told() -> bool:
        await one.hint(b"typing")
        return bool(heard)

    await until(told)
    listening.cancel()
    await asyncio.wait([listening])
    await one.close()
    await other.close()


async def test_a_node_of_a_cluster_says_how_its_address_is_written(cluster: Cluster) -> None:
    elsewhere = next(node for node in cluster.nodes if node is not cluster.master("shop"))
    log = log_of(f"redis://{elsewhere.address}", "shop")
    with pytest.raises(Unavailable, match=r"redis\+cluster://") as caught:
        await log.probe(1000)
    assert caught.value.code == "redis_refuses"
    await log.close()


async def test_nodes_that_left_a_cluster_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nodes get another address at each start, as in Kubernetes."""
    given = ("redis", 6379)
    finder = ClusterFinder([given], 5, {})
    for start in range(100):
        addresses = [(f"10.0.{start}.{n}", 6379) for n in range(3)]
        slots = [[10 * n, 10 * n + 9, [host.encode(), port]] for n, (host, port) in enumerate(addresses)]

        async def answered(*_: object, slots: object = slots) -> object:
            return slots

        monkeypatch.setattr(home, "_run", answered)
        found = await finder.ask(Redis(), given)
        assert found.address == addresses[0]
        assert set(finder.nodes) == {given, *addresses}


async def test_a_cluster_behind_a_password(cluster: Cluster) -> None:
    for node in cluster.nodes:
        await asyncio.to_thread(node.client.config_set, "requirepass", "open sesame")
    outside, inside = (
        log_of(cluster.url, "shop"),
        log_of(cluster.url.replace("://", "://:open%20sesame@"), "shop"),
    )
    try:
        with pytest.raises(Unavailable) as caught:
            await outside.probe(1000)
        assert caught.value.code == "redis_access"
        await inside.probe(1000)
    finally:
        for node in cluster.nodes:
            await asyncio.to_thread(node.client.config_set, "requirepass", "")
        await outside.close()
        await inside.close()


async def test_without_replicas_nothing_is_waited_for(cluster: Cluster) -> None:
    log = log_of(cluster.url, "shop")
    await log.append(Present(gateway="g", operators=["anna"]))
    home = home_of(log.redis)
    assert home is not None
    assert (home.replicas, home.question) == (0, None)
    await log.close()


async def test_nothing_is_acknowledged_that_no_replica_has(sentinels: Sentinels) -> None:
    log = log_of(sentinels.url, "shop")
    await log.append(Present(gateway="g", operators=["anna"]))
    replica = sentinels.servers[1]
    assert await asyncio.to_thread(replica.client.xlen, "nb:{shop}:log") == 1
    replica.signal(signal.SIGSTOP)
    with pytest.raises(Unavailable) as caught:
        await log.append(Present(gateway="g", operators=["bek"]))
    assert caught.value.code == "redis_replicas"
    replica.signal(signal.SIGCONT)

    async def acknowledged() -> bool:
        try:
            await log.append(Present(gateway="g", operators=["bek"]))
        except Unavailable:
            return False
        return True

    await until(acknowledged)
    await log.close()


async def test_a_master_that_stays_alone_goes_on_and_waits_again_for_a_new_replica(
    sentinels: Sentinels,
) -> None:
    log = log_of(sentinels.url, "shop")
    await log.append(Present(gateway="g", operators=["anna"]))
    home = home_of(log.redis)
    assert home is not None
    replica = sentinels.servers[1]
    await asyncio.to_thread(replica.kill)
    since = asyncio.get_running_loop().time()

    async def acknowledged() -> bool:
        try:
            await log.append(Present(gateway="g", operators=["bek"]))
        except Unavailable:
            return False
        return True

    await until(acknowledged, 30)
    assert asyncio.get_running_loop().time() - since >= ALONE_AFTER
    assert home.is_alone
    await asyncio.to_thread(replica.start)

    async def waits_again() -> bool:
        return await acknowledged() and not home.is_alone

    await until(waits_again, 30)
    await log.close()


async def test_a_replicated_redis_without_a_file_is_only_warned_about(sentinels: Sentinels) -> None:
    log = log_of(sentinels.url, "shop")
    await log.probe(1000)
    await asyncio.to_thread(sentinels.servers[0].client.config_set, "appendonly", "no")
    assert [(risk.fatal, "appendonly" in risk.text) for risk in await risks(log)] == [(False, True)]
    await log.close()


async def test_one_address_has_no_home(shared_redis: RedisServer) -> None:
    redis = connect(shared_redis.url)
    assert home_of(redis) is None
    await redis.aclose(close_connection_pool=True)


GOOD = {
    "redis+sentinel://a,b:26380/m": ("sentinel", [("a", 26379), ("b", 26380)], "m"),
    "rediss+sentinel://u:p%40@[::1]:1,b/m/3?sentinel_password=x": (
        "sentinel",
        [("::1", 1), ("b", 26379)],
        "m",
    ),
    "redis+cluster://a,b:7000": ("cluster", [("a", 6379), ("b", 7000)], ""),
}


@pytest.mark.parametrize("url", GOOD)
def test_addresses(url: str) -> None:
    assert problem(url) == ""
    found = apart(url)
    assert (found.kind, found.hosts, found.name) == GOOD[url]


def test_the_parts_of_an_address() -> None:
    found = apart("rediss+sentinel://u:p%40@a/m/3?sentinel_password=x")
    assert found.options["password"] == "p@"
    assert found.options["username"] == "u"
    assert found.options["db"] == 3
    assert found.asking == {"password": "x"}


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://a,b",
        "redis+cluster://a/1",
        "redis+cluster://",
        "redis+cluster://a:b",
        "http://a",
        "redis+x://a",
    ],
)
def test_what_is_no_address(url: str) -> None:
    assert problem(url)
