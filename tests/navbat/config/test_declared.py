"""A setting of a line is declared once, and all that people see of it is made from that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from crm.kernel.settings import Setting
from navbat.config.declared import declared
from navbat.config.rulebook import Rulebook, build
from navbat.config.types import Config
from router.desk.events import LinesConfigured
from router.desk.rules import LineRules, Notices, Overflow, Ring, Sla

DATA = Path(__file__).parents[2] / "data" / "lines"
KEPT: dict[str, list[dict[str, Any]]] = json.loads((DATA / "kept.json").read_text(encoding="utf-8"))
"""Versions of lines as they were kept when settings were still declared in several places, with what
was made of them then."""
BOOK = Rulebook(Config(), Path("flows"), {})


def as_json(rules: LineRules) -> Any:
    return json.loads(msgspec.json.encode(rules))


@pytest.mark.parametrize("number", range(len(KEPT["versions"])))
def test_a_version_that_was_kept_becomes_the_same_rules_and_texts(number: int) -> None:
    version = KEPT["versions"][number]
    line, problems = build(version["settings"])
    assert line is not None
    assert problems == []
    assert as_json(line.rules()) == version["rules"]
    assert BOOK.texts(version["settings"]) == version["texts"]


def test_the_lines_that_a_desk_has_stored_are_read() -> None:
    stored = msgspec.msgpack.decode((DATA / "configured.msgpack").read_bytes(), type=LinesConfigured)
    assert [as_json(rules) for rules in stored.lines.values()] == [v["rules"] for v in KEPT["versions"]]


def test_the_form_still_shows_what_it_showed() -> None:
    views = {view.name: view for view in BOOK.views({})}
    names = [entry["name"] for entry in KEPT["form"]]
    assert [name for name in views if name in names] == names
    for entry in KEPT["form"]:
        view = views[entry["name"]]
        assert (view.default, view.allowed) == (entry.get("default", ""), entry.get("allowed", []))


@pytest.mark.parametrize("wrong", KEPT["wrong"], ids=lambda wrong: " ".join(map(str, wrong["settings"])))
def test_what_was_wrong_is_wrong_in_the_same_words(wrong: dict[str, Any]) -> None:
    assert build(wrong["settings"])[1] == wrong["problems"]


@pytest.mark.parametrize("rules", [LineRules, Notices, Overflow, Ring, Sla])
def test_every_field_says_what_it_does(rules: type[msgspec.Struct]) -> None:
    assert all(field.setting.about for field in declared(rules))


def test_a_field_that_says_nothing_is_refused_by_its_name() -> None:
    class Careless(msgspec.Struct):
        told: Annotated[int, Setting("this one is")] = 0
        made_up: int = 0

    with pytest.raises(TypeError, match=r"Careless\.made_up does not say what it is"):
        declared(Careless)


MORE = """
    lunch_after: Annotated[int, Setting("a made-up rest", "duration_or_off")] = 90_000
    tea: Annotated[Literal["green", "black"], Setting("a made-up drink")] = "green"
"""
"""Two more fields of ``LineRules``, which stands last in its file."""

WITH_MORE = """
import importlib.util, json, sys
from pathlib import Path

spec = importlib.util.find_spec("router.desk.rules")
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
exec(compile(Path(spec.origin).read_text(encoding="utf-8") + sys.argv[1], spec.origin, "exec"), module.__dict__)

import msgspec
from console.text.words import setting_texts
from navbat.cli import reference
from navbat.config.rulebook import Rulebook
from navbat.config.types import Config, load
from crm.kernel.errors import NavbatError

def trouble(call):
    try:
        call()
    except NavbatError as error:
        return str(getattr(error, "params", {}).get("problems", error))

folder = Path(sys.argv[2])
good, bad = folder / "good.yaml", folder / "bad.yaml"
good.write_text("lines: {sales: {lunch_after: 2m, tea: black}, night: }")
bad.write_text("lines:\\n  sales:\\n    lunch_after: 5\\n    tea: milk\\n")
config, (known, book) = load(good), Rulebook.load(good)
kept = book.edited(book.written["sales"], {"lunch_after": "off"})
views = {view.name: msgspec.to_builtins(view) for view in book.views(kept)}
print(json.dumps({
    "rules": [[rules.lunch_after, rules.tea] for rules in (line.rules() for line in config.lines.values())],
    "told": [rules.lunch_after for rules in config.lines_configured().lines.values()],
    "wrong": trouble(lambda: load(bad)),
    "kept": kept,
    "not kept": trouble(lambda: book.compile({"sales": {"lunch_after": "soon"}})),
    "texts": book.texts(kept),
    "form": [views["lunch_after"], views["tea"]],
    "page": [row for row in reference.configuration().splitlines() if "made-up" in row],
    "untranslated": {code: sorted(views.keys() - setting_texts(code).keys()) for code in ("ru", "uz")},
}))
"""


def test_a_setting_declared_in_one_place_is_known_everywhere(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", WITH_MORE, MORE, str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["rules"] == [[120_000, "black"], [90_000, "green"]]
    assert found["told"] == [120_000, 90_000]
    assert found["wrong"].splitlines() == [
        f"{tmp_path}/bad.yaml:3: lines.sales.lunch_after: a duration needs a unit: write 5s, 5m or 5h",
        f"{tmp_path}/bad.yaml:4: lines.sales.tea: unknown value milk. Allowed: black, green",
    ]
    assert found["kept"] == {"lunch_after": False, "tea": "black"}
    assert found["not kept"].startswith("sales.lunch_after: expected a duration such as")
    assert found["texts"] == {"lunch_after": "off", "tea": "black"}
    assert found["form"] == [
        {"name": "lunch_after", "text": "off", "default": "1m30s", "about": "a made-up rest"},
        {
            "name": "tea", "text": "black", "default": "green", "allowed": ["green", "black"],
            "about": "a made-up drink",
        },
    ]  # fmt: skip
    assert found["page"] == [
        "| `lunch_after` | duration or `off` | `1m30s` | a made-up rest |",
        "| `tea` | `green`, `black` | `green` | a made-up drink |",
    ]
    assert found["untranslated"] == {"ru": ["lunch_after", "tea"], "uz": ["lunch_after", "tea"]}
