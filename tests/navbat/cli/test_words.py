"""Words that YAML 1.1 takes for something else, in every setting that there is: they arrive as they are
written, or it is said what is wrong."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

import msgspec
import pytest

from bots import registry
from crm.kernel.errors import ConfigError
from navbat.config.file import Duration, NumberOrOff, OffDuration, PeriodOrOff, YamlFile, parse_text
from navbat.config.flows import FlowSettings
from navbat.config.lines import Line, Operator
from navbat.config.rulebook import as_kept
from navbat.config.types import Config, load
from navbat.lab.story import Scenario

WORDS = (
    "no", "No", "NO", "yes", "Yes", "YES", "on", "On", "ON", "off", "Off", "OFF", "y", "Y", "n", "N",
    "true", "True", "false", "FALSE", "null", "~", "12:30", "1:30:15", "010", "0x1F", "0o17", "0b1", "1_000",
    "1.10", "1e3", ".5", ".inf", ".nan", "2026-03-21", "2026-03-21 10:00:00", "=", "<<", "+998901234567",
)  # fmt: skip
SWITCH = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


def bare(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def settings(kind: Any, place: str) -> Iterator[tuple[str, Any, list[Any]]]:
    """Every place in a struct where one word can stand: its name, its type, and the plain types there."""
    whole, kind = kind, bare(kind)
    arms = typing.get_args(kind) if typing.get_origin(kind) in (Union, types.UnionType) else (kind,)
    single = [arm for arm in arms if typing.get_origin(bare(arm)) not in (list, dict) and not is_struct(arm)]
    if single and single != [type(None)] and Any not in single:
        lists = [list] if any(typing.get_origin(bare(arm)) is list for arm in arms) else []
        yield place, whole, [*(bare(arm) for arm in single), *lists]
    for arm in map(bare, arms):
        if typing.get_origin(arm) in (list, dict):
            yield from settings(typing.get_args(arm)[-1], f"{place}.*")
        elif is_struct(arm):
            hints = typing.get_type_hints(arm, include_extras=True)
            for field in msgspec.structs.fields(arm):
                yield from settings(hints[field.name], f"{place}.{field.encode_name}")


def is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


ROOTS: list[Any] = [Config, Line, Operator, FlowSettings, Scenario]
ROOTS += [registry.settings_type(kind) for kind in registry.kinds()]


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.__name__)
def test_a_word_arrives_as_it_is_written_or_is_an_error(root: Any) -> None:
    places = list(settings(root, root.__name__))
    assert places
    for place, kind, kinds in places:
        for word in WORDS:
            file = YamlFile.of_tree(parse_text(f"[{word}]"))
            value = file.build(types.GenericAlias(list, (kind,)), file.tree)[0]
            if not file.problems:
                assert said(value) in spoken(word, kinds), f"{place}: {word} became {value!r}"


def said(value: Any) -> Any:
    return int(value) if isinstance(value, Duration | NumberOrOff) else value


def spoken(word: str, kinds: list[Any]) -> list[Any]:
    """What a word may become where one of these kinds stands."""
    meant: list[Any] = [word]
    alone = str not in kinds or list in kinds
    folded = word.casefold()
    if word in ("null", "~"):
        meant = [None]
    if (bool in kinds and folded in SWITCH and (alone or folded not in ("yes", "no"))) or (
        word.casefold() in ("true", "false")
    ):
        meant = [SWITCH[folded]]
    if kinds[0] in (OffDuration, PeriodOrOff, NumberOrOff) or typing.get_origin(kinds[0]) is typing.Literal:
        meant += [0, "off", False] if folded in ("off", "no", "false") else []
    if int in kinds or kinds[0] is NumberOrOff:
        meant += [int(word)] if word.lstrip("+").isdigit() and not word.startswith("0") else []
    return meant


def test_norway_is_a_country(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "lines: {no: {holidays: NO, language: no, members: [on, y, No], zone: Europe/Oslo, bot: yes}}\n"
        "operators: {on: {languages: [no, en], skills: [off, 1:30]}}\n"
    )
    config = load(file)
    line = config.lines["no"]
    assert (line.holidays, line.language, line.members, line.bot) == ("NO", "no", ["on", "y", "No"], "yes")
    assert (config.operators["on"].languages, config.operators["on"].skills) == (
        ["no", "en"],
        ["off", "1:30"],
    )


def test_what_is_kept_of_a_line_is_the_same_however_a_switch_is_written() -> None:
    """A line that stands in the file as before is not taken for one that was edited there."""
    tree = parse_text(
        "{check_duty: off, language: off, bot: OFF, holidays: off, auto_close_after: off, bot_first: off,"
        " hours: {mon: off, tue: [09:00-10:00], wed: no}, sla: {resolution: off}, notices: {waiting: no}, rating: on,"
        " days: {2026-01-01: Off}, shifts: {anna: {mon: off}}, members: [off, on], away_after_missed: no}"
    )
    assert as_kept(tree) == {
        "check_duty": False, "language": False, "bot": False, "holidays": False, "auto_close_after": False,
        "bot_first": False, "hours": {"mon": False, "tue": ["09:00-10:00"], "wed": False}, "sla": {"resolution": False},
        "notices": {"waiting": "no"}, "rating": True, "days": {"2026-01-01": False},
        "shifts": {"anna": {"mon": False}}, "members": ["off", "on"], "away_after_missed": False,
    }  # fmt: skip


@pytest.mark.parametrize("tag", ["timestamp", "binary", "set", "omap", "python/object:os.system"])
def test_no_tag_makes_anything_but_texts_numbers_lists_and_mappings(tmp_path: Path, tag: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"desk: !!{tag} 2026-03-01\n")
    with pytest.raises(ConfigError, match=r"config\.yaml:1: not YAML: could not determine a constructor"):
        load(file)
