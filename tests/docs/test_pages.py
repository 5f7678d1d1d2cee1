"""The pages name what there is: files and functions of the code, links between pages, commands."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import yaml

from navbat.cli.grammar import parser
from navbat.config.types import read
from navbat.run.composition import ROLES

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")],
    key=lambda page: page.as_posix(),
)
UNITS = sorted((ROOT / "deploy").rglob("*.service"))

_NAMED = re.compile(r"`([a-z_]+(?:/[a-z_0-9]+)*\.py)(?:: ([A-Za-z_][\w.]*))?`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@cache
def defined(file: Path) -> frozenset[str]:
    """Functions, classes and their methods, as ``name`` and ``Class.name``."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found.add(node.name)
            found |= {
                f"{node.name}.{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return frozenset(found)


def wrong_names(text: str) -> list[str]:
    """What a page names as `file.py: function` and is not there."""
    wrong = []
    for path, function in _NAMED.findall(text):
        file = ROOT / path
        if not file.is_file() or (function and function not in defined(file)):
            wrong.append(f"{path}: {function}")
    return wrong


@every_page
def test_named_files_and_functions_exist(page: Path) -> None:
    assert wrong_names(page.read_text(encoding="utf-8")) == []


def test_a_wrong_name_is_found() -> None:
    text = "`router/log/log.py: Log.append` `router/log/log.py: Log.nothing` `router/nowhere.py` `router/log/log.py`"
    assert wrong_names(text) == ["router/log/log.py: Log.nothing", "router/nowhere.py: "]


def test_the_way_of_a_message_passes_through_every_layer() -> None:
    text = (ROOT / "docs" / "way-of-a-message.md").read_text(encoding="utf-8")
    named = [path for path, function in _NAMED.findall(text) if function]
    assert {"bots", "router", "console"} <= {path.partition("/")[0] for path in named}
    assert len(named) > 30


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text)}


@every_page
def test_local_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            dead.append(link)
    assert dead == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for link in _LINK.findall(page.read_text(encoding="utf-8")):
            target = (page.parent / link.partition("#")[0]).resolve()
            if "://" not in link and target.is_file():
                waiting.append(target)
    assert [name_of(page) for page in PAGES if page not in reached] == []


# ------------------------------------------------------------------ commands


def commands(text: str) -> list[list[str]]:
    """The words of each `navbat …` line in a page's shell blocks, without variables and comments."""
    found = []
    for language, block in _FENCE.findall(text):
        if language != "sh":
            continue
        for line in block.splitlines():
            words = shlex.split(re.split(r" [<>|&]", line)[0], comments=True)
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            if words and words[0].rpartition("/")[2] == "navbat":
                found.append(words[1:])
    return found


@every_page
def test_commands_in_shell_blocks_are_understood(page: Path) -> None:
    for words in commands(page.read_text(encoding="utf-8")):
        parser().parse_args(words)


@pytest.mark.parametrize("unit", UNITS, ids=name_of)
def test_the_commands_of_units_are_understood(unit: Path) -> None:
    starts = re.findall(r"^ExecStart(?:Pre)?=(.+)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
    assert starts
    for start in starts:
        for role in ROLES:
            words = shlex.split(start.replace("%i", role))
            assert words[0].endswith("/navbat")
            parser().parse_args(words[1:])


def test_the_compose_file_runs_every_role_by_commands_that_are_understood() -> None:
    composed = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    roles = []
    for service in composed["services"].values():
        if "build" in service:
            args = parser().parse_args(service["command"])
            roles += args.role
    assert sorted(set(roles)) == sorted(ROLES)


def test_the_deployed_configuration_is_valid(tmp_path: Path) -> None:
    secrets = {"tg_token": "123456:ABCdefGHIjklMNOpqrSTUvwxYZ0123456789"}
    text = (ROOT / "deploy" / "config.yaml").read_text(encoding="utf-8")
    for name in ("tg_token", "redis_password", "mongo_password"):
        (tmp_path / name).write_text(secrets.get(name, "0a1b2c") + "\n", encoding="utf-8")
    (tmp_path / "config.yaml").write_text(text.replace("/run/secrets/", f"{tmp_path}/"), encoding="utf-8")
    config, file = read(tmp_path / "config.yaml")
    assert file.problems == []
    assert config is not None
    assert config.redis
    assert config.mongodb
