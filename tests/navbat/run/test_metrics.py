"""``/metrics``: what a desk at work tells Prometheus, and whom."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from navbat.run.web.metrics import FAMILIES
from tests.navbat.process import CONFIG, ROOT, SECRET, Desk, wait_for

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(desk: Desk, **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{desk.url}/metrics", headers=named)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text: str = answer.read().decode()
    return text


def samples(text: str) -> Samples:
    """As Prometheus reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def refused(desk: Desk, **headers: str) -> bool:
    try:
        scrape(desk, **headers)
    except urllib.error.HTTPError as error:
        return error.code == 401
    return False


def test_a_desk_at_work_shows_it(desk: Desk) -> None:
    anna = desk.add("anna", "--lines", "sales")
    desk.start()
    waits = ("navbat_sessions", (("line", "sales"), ("status", "waiting")))
    wait_for(lambda: samples(scrape(desk)).get(waits) == 0)
    desk.write("ali", "1", "salom: the text of a message", name="Ali Valiyev")
    desk.write("vali", "2", "salom")
    desk.write("vali", "2", "salom")
    wait_for(lambda: samples(scrape(desk))[waits] == 2)
    anna.online()
    sessions = anna.until_sessions(2)
    anna.command("say", sessions[0]["id"], "shipped yesterday")
    wait_for(desk.sent)

    def told() -> Samples | None:
        found = samples(scrape(desk))
        done = found.get(("navbat_sends_total", (("channel", "lo"), ("outcome", "sent"))), 0) == 1
        return found if done and found.get(("navbat_messages_total", (("direction", "out"),))) else None

    found: Samples = wait_for(told)

    def value(name: str, **labels: str) -> float:
        return found[name, tuple(sorted(labels.items()))]

    assert value("navbat_ready") == value("navbat_redis_up") == value("navbat_store_up") == 1
    assert value("navbat_routers", state="active") == 1
    assert value("navbat_messages_total", direction="in") == 2
    assert value("navbat_session_events_total", event="taken") == 1
    assert value("navbat_decisions_total", result="offered") >= 1
    assert value("navbat_events_total", result="duplicate") == 1
    assert value("navbat_events_total", result="applied") > 5
    assert value("navbat_commit_seconds_bucket", le="+Inf") == value("navbat_commit_seconds_count") > 3
    assert 0 < value("navbat_commit_seconds_sum") < 60
    assert value("navbat_sessions", line="sales", status="taken") == 1
    assert value("navbat_operators", duty="online") == 1
    assert value("navbat_inbox_entries", channel="lo") == value("navbat_outbox_entries", channel="lo") == 0
    assert value("navbat_channel_up", channel="lo") == 1
    assert value("navbat_connections", kind="member") >= 1
    assert value("navbat_log_lag_seconds") < 60
    assert value("navbat_history_lag_seconds") < 60
    for process in ("desk", "router", "projector"):
        assert value("navbat_process_resident_bytes", process=process) > 1 << 20
        assert value("navbat_process_cpu_seconds_total", process=process) > 0
    text = scrape(desk)
    assert {family.name for family in text_string_to_metric_families(text)} <= {
        name.removesuffix("_total") for name in FAMILIES
    }
    for word in ("Valiyev", "the text", "shipped", "anna", SECRET):
        assert word not in text


def test_only_this_machine_reads_it_without_a_token(desk: Desk) -> None:
    watch = desk.add("watch", "--role", "supervisor").env["NAVBAT_TOKEN"]
    anna = desk.add("anna", "--lines", "sales").env["NAVBAT_TOKEN"]
    desk.start()
    elsewhere = {"X_Forwarded_For": "203.0.113.9"}
    assert not refused(desk)
    assert refused(desk, **elsewhere)
    assert refused(desk, **elsewhere, Authorization=f"Bearer {anna}")
    assert refused(desk, **elsewhere, Authorization="Bearer nb_1_wrong")
    assert refused(desk, **elsewhere, Authorization=watch)
    assert not refused(desk, **elsewhere, Authorization=f"Bearer {watch}")
    desk.command("operator", "revoke", "watch")
    assert refused(desk, **elsewhere, Authorization=f"Bearer {watch}")


def test_what_a_proxy_passes_on_is_not_of_this_machine(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(CONFIG.replace('"127.0.0.1:0"', '"127.0.0.1:0", behind_proxy: on'))
    desk.start()
    assert refused(desk)


def test_the_page_is_there_while_redis_is_not(desk: Desk) -> None:
    desk.start()
    server = desk.child("redis.sock")
    server.suspend()
    try:
        found = wait_for(lambda: _down(desk), within=30)
        assert found["navbat_ready", ()] == 0
        assert found["navbat_trouble", (("code", "redis_away"), ("part", "redis"))] == 1
    finally:
        server.resume()
    wait_for(lambda: samples(scrape(desk))["navbat_redis_up", ()] == 1, within=30)


def _down(desk: Desk) -> Samples | None:
    found = samples(scrape(desk))
    return found if found["navbat_redis_up", ()] == 0 else None


# ---------------------------------------------------------------- the examples


def _named(text: str) -> set[str]:
    return set(re.findall(r"navbat_[a-z0-9_]+", text))


def _on_the_page() -> set[str]:
    names = set(FAMILIES)
    for name, family in FAMILIES.items():
        if family.kind == "histogram":
            names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    return names


def test_every_metric_has_a_name_of_ours_and_says_what_it_is() -> None:
    for name, family in FAMILIES.items():
        assert re.fullmatch(r"navbat_[a-z_]+", name)
        assert (family.kind == "counter") == name.endswith("_total")
        assert family.about


def test_the_dashboard_asks_only_for_what_there_is() -> None:
    text = (ROOT / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8")
    board = json.loads(text)
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    assert len(queries) > 10
    assert _named("\n".join(queries)) <= _on_the_page()
    assert all(_named(query) for query in queries)
    for panel in board["panels"]:
        assert panel["type"] == "row" or panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))


def test_the_alerts_ask_only_for_what_there_is() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus-alerts.yaml").read_text(encoding="utf-8"))
    [group] = rules["groups"]
    assert len(group["rules"]) > 8
    for rule in group["rules"]:
        assert _named(rule["expr"])
        assert _named(rule["expr"]) <= _on_the_page()
        for function, name in re.findall(r"\b(rate|increase|delta)\((navbat_[a-z_]+)", rule["expr"]):
            family = FAMILIES.get(name.removesuffix("_bucket"), FAMILIES.get(name))
            assert family is not None
            assert (family.kind == "gauge") == (function == "delta")
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        # A label that the text uses is one that the query keeps.
        for label in re.findall(r"\$labels\.([a-z]+)", json.dumps(rule["annotations"])):
            assert label in _labels(rule["expr"]) | {"instance"}


def _labels(query: str) -> set[str]:
    return {label for name in _named(query) & set(FAMILIES) for label in FAMILIES[name].labels}


@pytest.mark.parametrize("page", sorted(FAMILIES))
def test_the_documents_name_each(page: str) -> None:
    text = (Path(ROOT) / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert f"`{page}`" in text
