"""A setting of an operator is declared once, and what earlier versions kept of one is read."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crm.kernel.records import Account, OperatorRules, to_document
from navbat.config.declared import declared
from navbat.config.file import YamlFile
from navbat.config.lines import Operator, operator_problems
from router.desk.events import OperatorChanged, decode_event, encode_event
from router.desk.state import decode_operator, encode
from router.wire.admin_frames import OperatorSettings, SetOperator

KEPT: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data/operators/kept.json").read_text())
"""As it was when the settings were still declared in several places."""
SETTINGS = OperatorRules.__struct_fields__


def test_what_the_log_and_the_desk_have_stored_is_read_and_written_as_before() -> None:
    told, state = (base64.b64decode(KEPT[name]) for name in ("told", "state"))
    assert msgspec.msgpack.decode(encode_event(decode_event(told))) == msgspec.msgpack.decode(told)
    assert msgspec.msgpack.decode(encode(decode_operator(state))) == msgspec.msgpack.decode(state)


def test_an_account_that_is_stored_is_read_and_kept_as_before() -> None:
    account = msgspec.convert(KEPT["document"], Account)
    assert to_document(account) == KEPT["document"]


def test_what_the_file_says_becomes_the_same_rules() -> None:
    file = YamlFile.of_tree(KEPT["written"])
    operator = file.build(Operator, file.tree)
    assert list(operator_problems(operator)) == []
    rules = operator.rules()
    told = {name: json.loads(msgspec.json.encode(getattr(rules, name))) for name in SETTINGS}
    assert told == {**KEPT["rules"], "crm": {}}


@pytest.mark.parametrize(
    ("written", "word"),
    [({"deals": {"read": "all"}}, "deals"), ({"deal": {"look": "all"}}, "look"), ({"deal": {"read": "some"}}, "some"),
     ({"deal": "all"}, "deal")],
)  # fmt: skip
def test_rights_in_the_crm_are_named_when_they_are_none(written: dict[str, Any], word: str) -> None:
    file = YamlFile.of_tree({"crm": written})
    file.build(Operator, file.tree)
    assert any(word in problem for problem in file.problems), file.problems
    fine = YamlFile.of_tree({"crm": {"deal": {"*": "own"}, "*": {"read": "line"}}})
    assert fine.build(Operator, fine.tree).rules().crm == {"deal": {"*": "own"}, "*": {"read": "line"}}


@pytest.mark.parametrize("wrong", KEPT["wrong"], ids=lambda wrong: json.dumps(wrong["written"]))
def test_what_was_wrong_is_wrong_in_the_same_words(wrong: dict[str, Any]) -> None:
    file = YamlFile.of_tree(wrong["written"])
    operator = file.build(Operator, file.tree)
    found = file.problems or [str(problem) for problem in operator_problems(operator)]
    assert found == wrong["problems"]


def test_every_setting_says_what_it_does_and_can_be_changed_from_a_console() -> None:
    assert all(field.setting.about for field in declared(OperatorRules))
    assert set(SETTINGS) <= set(SetOperator.__struct_fields__)
    assert set(SETTINGS) <= set(OperatorSettings.__struct_fields__)


def test_what_is_told_of_an_operator_is_an_event() -> None:
    told = OperatorChanged(at=1, name="anna", skills=["iron"])
    assert decode_event(encode_event(told)) == told


WITH_MORE = """
import importlib.util, json, sys
from pathlib import Path

spec = importlib.util.find_spec("crm.kernel.records")
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
text = Path(spec.origin).read_text(encoding="utf-8")
before, field, after = text.partition("    languages: Annotated[")
assert field
more = '    desk_number: Annotated[int, Setting("a made-up place", least=1)] = 1\\n'
exec(compile(before + more + field + after, spec.origin, "exec"), module.__dict__)

from crm.kernel.records import Account
from crm.operators import accounts
from navbat.cli import reference
from navbat.config.rulebook import Rulebook
from navbat.config.types import load
from router.desk.events import decode_event, encode_event
from tests.router.desk.world import World
from crm.kernel.errors import NavbatError

folder = Path(sys.argv[1])
good, bad = folder / "good.yaml", folder / "bad.yaml"
good.write_text("lines: {sales: }\\noperators: {anna: {desk_number: 7}}\\n")
bad.write_text("lines: {sales: }\\noperators: {anna: {desk_number: 0}}\\n")
try:
    wrong = load(bad) and ""
except NavbatError as error:
    wrong = str(error)
config, book = Rulebook.load(good)
told = [decode_event(encode_event(book.told(Account(name="anna", **own)))) for own in ({}, {"desk_number": 3})]
world = World("anna")
world.happens(told[1])
print(json.dumps({
    "told": [one.desk_number for one in told],
    "wrong": wrong,
    "desk": world.desk.operators["anna"].desk_number,
    "account": "desk_number" in accounts.SETTINGS,
    "page": [row for row in reference.configuration().splitlines() if "made-up" in row],
}))
"""


def test_a_setting_declared_in_one_place_is_known_everywhere(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", WITH_MORE, str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found.pop("wrong").endswith("operators.anna.desk_number: expected a whole number >= 1")
    assert found == {
        "told": [7, 3],
        "desk": 3,
        "account": True,
        "page": ["| `desk_number` | whole number | `1` | a made-up place |"],
    }
