"""What is in ``deploy/``: units and containers that may do no more than they need, and work so."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from navbat.run import alive
from navbat.run.parts import PartState, ProcessReport
from tests.conftest import RedisServer
from tests.deploy.confined import CANNOT
from tests.navbat.process import CONFIG, ROOT, Desk, wait_for

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MOST_EXPOSED = 2.5
PARTS = ("receiver", "router", "gateway", "sender", "projector")

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here (apt-get install systemd)"
)


# ---------------------------------------------------------------- systemd


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_exposes_little(unit: Path) -> None:
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told.stdout)
    assert found, told.stderr
    assert float(found.group(1)) <= MOST_EXPOSED
    assert "Unknown" not in told.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_started_again_for_ever(unit: Path) -> None:
    sections = dict(re.findall(r"^\[(\w+)\]\n(.*?)(?=^\[|\Z)", unit.read_text(), re.MULTILINE | re.DOTALL))
    assert "StartLimitIntervalSec=0\n" in sections["Unit"]
    assert "Restart=always\n" in sections["Service"]
    assert not re.search(r"(TOKEN|PASSWORD|SECRET)=", unit.read_text())


@needs_systemd
@pytest.mark.slow
def test_a_desk_works_with_what_the_unit_leaves_it(desk: Desk) -> None:
    """System calls and memory; name spaces need systemd itself."""
    desk.within = [sys.executable, str(ROOT / "tests" / "deploy" / "confined.py"), str(UNITS[0])]
    probe = subprocess.run([*desk.within, "/bin/true"], capture_output=True, text=True, check=False)
    if probe.returncode == CANNOT:
        pytest.skip(probe.stdout.strip())
    desk.start()
    desk.command("operator", "add", "anna", "--lines", "sales", "--password-stdin", stdin="qwe-rty-1234\n")
    watch = desk.add("watch", "--role", "supervisor")
    desk.write("ali", "1", "salom")
    watch.until_sessions(1)
    status = watch.json("status")
    assert status["processes"].keys() == {"desk", "router", "projector"}
    assert all(not part.get("trouble") for p in status["processes"].values() for part in p["parts"].values())
    desk.stop()


# ---------------------------------------------------------------- containers


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", [*PARTS, "redis", "mongo"])
def test_a_container_may_do_little_and_says_how_it_does(composed: dict[str, Any], name: str) -> None:
    service = composed["services"][name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert any(mount.startswith("/tmp") for mount in service["tmpfs"])
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries"} <= service["healthcheck"].keys()
    assert service.get("privileged") is None
    assert "cap_add" not in service
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_every_service_is_looked_at(composed: dict[str, Any]) -> None:
    assert composed["services"].keys() == {*PARTS, "redis", "mongo"}


def test_passwords_and_tokens_are_files(composed: dict[str, Any]) -> None:
    text = (DEPLOY / "config.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r"\$\{file:/run/secrets/(\w+)\}", text))
    assert named == {"tg_token", "redis_password", "mongo_password"}
    assert not re.search(r"\$\{(?!file:)", text)
    for name, service in composed["services"].items():
        given = set(service.get("secrets", ()))
        assert given <= composed["secrets"].keys()
        if name in PARTS:
            assert given == named
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|SECRET", key):
                assert key.endswith("_FILE")
                assert value.startswith("/run/secrets/")
    ignored = (ROOT / ".gitignore").read_text() + (ROOT / ".dockerignore").read_text()
    assert ignored.count("deploy/secrets") == 2


def test_the_data_is_reached_by_the_parts_alone(composed: dict[str, Any]) -> None:
    assert composed["networks"]["data"] == {"internal": True}
    for name in ("redis", "mongo"):
        assert composed["services"][name]["networks"] == ["data"]
        assert "ports" not in composed["services"][name]
    redis = "\n".join(composed["services"]["redis"]["command"])
    for line in ("appendonly yes", "appendfsync always", "maxmemory-policy noeviction", "requirepass"):
        assert line in redis
    assert "--keyFile" in "\n".join(composed["services"]["mongo"]["command"])


def test_the_image_needs_no_compiler() -> None:
    [install] = re.findall(r"pip install .*", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    assert "'.[telegram]'" in install


# ---------------------------------------------------------------- the health of parts without HTTP


def _report(host: str, trouble: str = "") -> bytes:
    parts = {"router": PartState(trouble=trouble)}
    return msgspec.json.encode(ProcessReport(pid=7, host=host, version="1", started_at=1, parts=parts))


def test_a_host_is_well_when_its_processes_report_no_trouble() -> None:
    assert alive.verdict({"process:router:a:7": _report("a")}, "a") == ""
    assert alive.verdict({"process:router:b:7": _report("b"), "router:x": b"{}"}, "a") != ""
    assert alive.verdict({"process:router:a:7": _report("a", "OSError")}, "a") == "router: OSError"


def test_a_router_alone_is_asked_through_redis(
    make_desk: Callable[..., Desk], own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(CONFIG + f"redis: {own_redis.url}\n")
    monkeypatch.setenv("NAVBAT_CONFIG", str(desk.file))

    def asked() -> int:
        return subprocess.run(
            [sys.executable, "-m", "navbat.run.alive"], cwd=ROOT, check=False, capture_output=True
        ).returncode

    assert asked() == 1
    router = desk.start_command("run", "--role", "router")
    assert router.stdout is not None
    assert router.stdout.readline().startswith("ready")
    wait_for(lambda: asked() == 0)
    own_redis.kill()
    assert asked() == 1
