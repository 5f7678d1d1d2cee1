"""Every command and a whole desk on Sentinel and on a cluster, as on any Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.navbat.process import CONFIG, Desk, wait_for
from tests.servers.redis_nodes import Cluster, Nodes, Sentinels


@pytest.fixture(scope="module", params=["sentinel", "cluster"])
def nodes(request: pytest.FixtureRequest) -> Iterator[Nodes]:
    found: Nodes = Sentinels(1) if request.param == "sentinel" else Cluster(0)
    yield found
    found.end()


def test_a_desk_on_several_nodes(nodes: Nodes, make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(CONFIG + f"redis: {nodes.url}\n")
    anna = desk.add("anna")
    boss = desk.add("boss", "--role", "admin")
    assert f"the master is {nodes.master('shop').address}" in desk.command("check", "--online").stdout
    desk.start()
    assert desk.ready.split()[2:] == ["redis=external", "store=sqlite"]
    presence = anna.online()
    desk.write("chat", "1", "hello")
    (session,) = anna.until_sessions(1)
    wait_for(lambda: anna.json("sessions")[0]["status"] == "offered")
    anna.command("take", session["id"])
    anna.command("say", session["id"], "good day")
    wait_for(lambda: [sent["text"] for sent in desk.sent()] == ["good day"])
    assert boss.json("status")["troubles"] == []
    assert boss.json("status")["risks"] == []
    assert boss.json("why", session["id"])["decisions"]
    desk.command("line", "set", "sales", "answer_within=7m")
    told = desk.command("operator", "disable", "anna")
    assert "not running" not in told.stderr
    wait_for(lambda: presence.poll() is not None)
    boss.command("quarantine", "list")
    assert desk.stop() < 10
