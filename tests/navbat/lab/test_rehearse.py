"""``navbat rehearse``: the record under the same rules gives what was recorded, under others what they do."""

from __future__ import annotations

import asyncio
import csv
import gc
import io
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from navbat.cli.program import main
from navbat.lab.rehearse import command, printing, reading
from navbat.lab.rehearse.command import compare, moment
from navbat.lab.rehearse.figures import Figures, measure, waits
from navbat.lab.rehearse.recording import Recording
from navbat.lab.rehearse.replay import replay
from router.desk.events import LinesConfigured, OperatorChanged
from router.desk.rules import LineRules, Overflow, Sla
from router.desk.state import MessageAdded
from storage.sqlite import SqliteStore
from tests.navbat.lab.recorded import DAY, Recorded

START = 1_772_409_600_000  # 2026-03-02 00:00 UTC, a Monday
MINUTE = 60_000
NAMES = ["anna", "bek", "vali"]


def lines(**settings: Any) -> LinesConfigured:
    rules: dict[str, Any] = {"members": NAMES, "max_sessions": 2, "sla": Sla(first_response=3 * MINUTE)}
    return LinesConfigured(
        lines={"sales": LineRules(**{**rules, **settings}), "other": LineRules(members=["vali", "bek"])},
        channels={"bot": "sales", "second": "other"},
    )


async def record(
    folder: Path, told: LinesConfigured, *, seed: int = 1, chats: int = 120
) -> tuple[Recorded, Recording]:
    world = Recorded(msgspec.structs.replace(told), START, seed=seed, chats=chats)
    store = SqliteStore(folder / "navbat.sqlite")
    await store.open()
    try:
        await world.keep(store)
        return world, await reading.recorded(store, START, START + DAY)
    finally:
        await store.close()


def people() -> list[OperatorChanged]:
    return [OperatorChanged(name=name) for name in NAMES]


RULES: list[dict[str, Any]] = [
    {},
    {"mode": "strict", "counts_until": "closed"},
    {"mode": "least_loaded", "max_sessions": 3, "return_unanswered_after": 2 * MINUTE},
    {"mode": "all"},
    {"mode": "manual"},
    {"overflow": [Overflow(after=4 * MINUTE, line="other")], "on_leave": "at_once", "answer_within": 20_000},
    {"auto_close_after": 3 * MINUTE, "notices": {"farewell": {"": "bye"}}, "away_after_missed": 3},
    {"hours": {"mon": ["02:00-08:00"]}},
]


@pytest.mark.parametrize("settings", RULES, ids=str)
async def test_the_same_rules_give_what_was_recorded(tmp_path: Path, settings: dict[str, Any]) -> None:
    told = lines(**settings)
    _, recording = await record(tmp_path, told)
    played = replay(recording, told, people())
    for line in ("sales", "other"):
        expected = measure(recording.told, line, recording.end)
        assert measure(played, line, recording.end) == expected
        assert expected.sessions > 20
        assert expected.answered > 10
    assert last_holders(played) == last_holders(recording.told)


def last_holders(told: list[Any]) -> dict[str, str]:
    found = {}
    for one in told:
        if isinstance(one, MessageAdded) and one.message.text.startswith("taken|operator="):
            found[one.message.chat] = one.message.text.partition("=")[2]
    return found


async def test_it_is_the_same_every_time(tmp_path: Path) -> None:
    _, recording = await record(tmp_path, lines())
    other = lines(mode="strict", answer_within=20_000)
    assert replay(recording, other, people()) == replay(recording, other, people())


async def test_a_bot_that_was_not_there_holds_it_for_its_time(tmp_path: Path) -> None:
    told = lines(bot="robot", bot_time=90_000)
    _, recording = await record(tmp_path, told)
    robot = OperatorChanged(name="robot", role="bot")
    played = replay(recording, told, [*people(), robot])
    # The made-up desk has no such account, so there the bot never came: here it comes and leaves.
    assert all(talk.bot_time == -1 for talk in recording.talks)
    expected = measure(recording.told, "sales", recording.end)
    assert waits_longer(measure(played, "sales", recording.end), expected)


def waits_longer(slow: Figures, quick: Figures) -> bool:
    assert slow.first_answer.p50 is not None
    assert quick.first_answer.p50 is not None
    return slow.first_answer.p50 > quick.first_answer.p50


async def test_other_rules_have_other_figures(tmp_path: Path) -> None:
    told = lines(members=["anna"], max_sessions=1)
    _, recording = await record(tmp_path, told)
    both = compare(recording, "sales", told, lines(members=NAMES, max_sessions=5), people())
    assert both["recorded"] == both["now"]
    assert waits_longer(both["now"], both["new"])
    assert both["new"].never_offered < both["now"].never_offered
    assert "bek" not in both["now"].operators
    assert both["new"].operators["bek"].taken > 0
    strict = compare(recording, "sales", told, lines(mode="strict", members=NAMES), people())["new"]
    assert strict.operators["anna"].given > strict.operators["vali"].given


async def test_two_sets_of_rules_played_side_by_side_have_the_same_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, recording = await record(tmp_path, lines())
    new = lines(members=NAMES, max_sessions=1)
    one_by_one = compare(recording, "sales", lines(), new, people())
    started: list[str] = []

    class Counted(ProcessPoolExecutor):
        def submit(self, *args: Any, **fields: Any) -> Any:
            started.append("here")
            return super().submit(*args, **fields)

    monkeypatch.setattr(command, "MANY", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(command, "ProcessPoolExecutor", Counted)
    assert compare(recording, "sales", lines(), new, people()) == one_by_one
    assert started == ["here"]
    assert gc.isenabled()


async def test_an_earlier_close_makes_a_second_session(tmp_path: Path) -> None:
    _, recording = await record(tmp_path, lines())
    both = compare(recording, "sales", lines(), lines(auto_close_after=10_000), people())
    assert both["new"].auto_closed > both["now"].auto_closed
    assert both["new"].sessions > both["now"].sessions


async def test_what_was_missed_is_missed_again_but_not_for_ever(tmp_path: Path) -> None:
    _, recording = await record(tmp_path, lines())
    quick = compare(recording, "sales", lines(), lines(answer_within=5_000), people())
    assert quick["new"].missed > quick["now"].missed > 0
    assert quick["new"].answered > 0.9 * quick["now"].answered


def test_ranks_are_the_nearest() -> None:
    found = waits(range(1, 101))
    assert (found.p50, found.p90, found.p99, found.max) == (50, 90, 99, 100)
    assert waits([7]).p99 == 7
    assert waits([]).p50 is None


def test_a_moment_is_local() -> None:
    assert moment("2026-03-02", "Asia/Tashkent") == START - 5 * 60 * MINUTE
    assert moment("2026-03-02T05:00", "Asia/Tashkent") == START
    assert moment("2026-03-02T00:00Z", "Asia/Tashkent") == START
    with pytest.raises(ValueError, match="such as 2026-03-02"):
        moment("monday", "UTC")


# ------------------------------------------------------------------ the command

CONFIG = """
desk: shop
data: .
gateway: {listen: 127.0.0.1:0}
lines:
  sales: {members: [anna, bek, vali], max_sessions: 2, sla: {first_response: 3m}}
  other: {members: [vali, bek]}
channels:
  bot: {kind: loopback, line: sales}
  second: {kind: loopback, line: other}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    asyncio.run(record(tmp_path, lines()))
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "new.yaml").write_text("mode: strict\nanswer_within: 20s\n")
    return tmp_path


def words(folder: Path, *more: str, **given: str) -> list[str]:
    options = {"line": "sales", "rules": str(folder / "new.yaml"), "from": "2026-03-02", "to": "2026-03-03"}
    options |= given
    made = [word for name, value in options.items() for word in (f"--{name}", value)]
    return ["--config", str(folder / "config.yaml"), "rehearse", *made, *more]


def rehearse(folder: Path, *more: str, **given: str) -> int:
    return main(words(folder, *more, **given))


def test_the_command_prints_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rehearse(folder) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["recorded", "now", "new"]
    cells = {row.rsplit(maxsplit=3)[0]: row.rsplit(maxsplit=3)[1:] for row in rows}
    recorded, now, new = cells["missed offers"]
    assert recorded == now != new
    assert cells["first answer, p50"][0].endswith("s")
    assert "anna: busiest" in cells


def test_json_and_csv_say_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rehearse(folder, "--json", csv=str(folder / "out.csv")) == 0
    printed = capsys.readouterr().out
    shown = json.loads(printed)
    assert (shown["line"], shown["from"]) == ("sales", "2026-03-02T00:00:00.000Z")
    assert shown["recorded"] == shown["now"] != shown["new"]
    rows = list(csv.DictReader(io.StringIO((folder / "out.csv").read_text())))
    [p90] = [row for row in rows if row["figure"] == "first answer, p90"]
    assert int(p90["new"]) == shown["new"]["first_answer"]["p90"]
    assert rehearse(folder, csv="-") == 0
    assert capsys.readouterr().out == (folder / "out.csv").read_text()
    assert "secret" not in printed


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        ({"line": "saels"}, 2, "unknown line saels; did you mean sales?"),
        ({"from": "monday"}, 2, "expected a date such as 2026-03-02"),
        ({"to": "2026-03-02"}, 2, "--to must be later than --from"),
        ({"from": "2025-03-02", "to": "2025-03-03"}, 1, "nothing was recorded"),
        ({"rules": "nowhere.yaml"}, 1, "cannot be read"),
        ({"csv": "/nowhere/out.csv"}, 1, "cannot be written"),
    ],
)
def test_what_cannot_be(
    folder: Path, capsys: pytest.CaptureFixture[str], given: dict[str, str], status: int, said: str
) -> None:
    assert rehearse(folder, **given) == status
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("mode: evn", "unknown value evn; did you mean even?"),
        ("answer_within: 5", "a duration needs a unit"),
        ("overflow: [{after: 1m, line: nowhere}]", "unknown line nowhere"),
        ("- a", "expected a mapping"),
    ],
)
def test_rules_that_cannot_be(
    folder: Path, capsys: pytest.CaptureFixture[str], rules: str, said: str
) -> None:
    (folder / "new.yaml").write_text(rules)
    assert rehearse(folder) == 1
    assert said in capsys.readouterr().err


def test_the_table_has_a_dash_where_there_is_nothing() -> None:
    nothing = measure([], "sales", 0)
    assert "first answer, p50" in printing.table({"recorded": nothing})
    assert printing.table({"recorded": nothing}).splitlines()[-1].endswith("-")
