"""Every text in every language, none missing, none left over, the same gaps to fill."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Formatter
from typing import get_args, get_type_hints

import pytest

from console.actions import ACTIONS, GROUPS, Situation
from console.crm import figures, tables
from console.crm.values import TYPES
from console.desk.leading import SNOOZES
from console.text.reasons import why_not
from console.text.signs import COLOURS, SIGNS
from console.text.values import DAYS
from console.text.words import LANGUAGES, Words, preferred, setting_texts, texts
from console.themes import NAMES
from console.widgets.chrome import names_of
from crm.kernel.access import VERBS
from crm.kernel.crm_settings import Semantics
from crm.kernel.records import Duty, MessageKind, Right
from crm.lines.versions import VersionSource
from crm.objects.types import FIELDS
from crm.search.finding import PLACES
from navbat.config.rulebook import Rulebook
from navbat.config.types import Config
from router.desk.fired import EFFECTS
from router.desk.rules import LineRules
from router.desk.state import Status
from router.gateway.access import RIGHTS
from tests.fakes.gateway import session

ROOT = Path(__file__).parents[2]
ALIKE = ("phone", "email", "inn", "name")
CODED = ("trouble", "refused", "bye", "system", "alert", "because", "dropped", "timer")
"""Families whose keys are named by the desk; their codes are looked for in its source."""


def literals(*folders: str) -> set[str]:
    """Every string constant in the source, f-strings by their constant parts."""
    found: set[str] = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if "catalog" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
    return found


def reasons() -> set[str]:
    """What ``console.text.reasons`` can say, whichever action is asked for in whichever situation."""
    chosen = [session("1", **fields) for fields in (
        {"status": "closed"}, {"status": "closing"}, {"status": "spam"}, {"status": ""}, {"status": "waiting"},
        {"status": "bot", "holder": ""}, {"status": "taken", "holder": "bek"}, {"can_write": False},
        {"status": "offered", "holder": "bek"},
    )]  # fmt: skip
    situations = [
        Situation(focus=focus, session=view, mine=mine, message=message, earlier=earlier)
        for view in (None, *chosen) for focus in ("list", "thread") for mine in (True, False)
        for message in (True, False) for earlier in (True, False)
    ]  # fmt: skip
    return {"list"} | {code for a in ACTIONS for s in situations if (code := why_not(a.id, s)[0])}


def page_words() -> set[str]:
    """What the pages of the CRM and of the figures name by what the desk tells."""
    built_in = [field for fields in FIELDS.values() for field in fields]
    keys = {f"field.{field.name}" for field in built_in}
    keys |= {f"choice.{choice}" for field in built_in for choice in field.choices}
    keys |= {f"crm.{of}{s}" for of in (*TYPES, "customer") for s in ("", "s")} | {
        f"crm.new.{of}" for of in TYPES
    }
    keys |= {f"crm.example.{kind}" for kind in ("money", "date", "moment", "phones", "emails", "tags")}
    keys |= {f"crm.example.{name}" for name in ("amount", "close_date", "due_at")}
    keys |= {f"crm.suggested.{kind}" for kind in ("phone", "email")}
    keys |= {f"crm.side.{side}" for side in ("master", "other")}
    keys |= {f"found.{place}" for place in PLACES} | {"choice.message", "choice.stage"}
    keys |= {f"crm.semantics.{one}" for one in get_args(Semantics)} | {f"crm.alike_by.{by}" for by in ALIKE}
    keys |= {f"figures.{name}" for name in (*figures.KINDS, *tables.PERIODS)}
    keys |= {f"figures.by.{by}" for some in figures.BY.values() for by in some if by}
    keys |= {f"figure.{name}" for heads in (*tables.HEADS.values(), tables.STAGES) for name in heads}
    return keys | {f"figure.{name}" for name in ("response", "resolution", "open", "unanswered")}


def wanted() -> set[str]:
    """The keys that the console asks for."""
    keys = {text for text in literals("console") if re.fullmatch(r"[a-z]+(\.[a-z_-]+)+", text)}
    families = {key.split(".")[0] for key in texts("en")}
    keys = {key for key in keys if key.split(".")[0] in families and not key.endswith(".json")}
    keys |= {f"action.{action.id}" for action in ACTIONS} | {f"help.{action.id}" for action in ACTIONS}
    keys |= {f"short.{id}" for id in names_of(ACTIONS)} | {f"group.{group}" for group in GROUPS}
    keys |= {f"theme.{name}" for name in NAMES} | {f"duty.{duty}" for duty in get_args(Duty)}
    keys |= {f"status.{status}" for status in get_args(Status)}
    keys |= {f"kind.{kind}" for kind in get_args(MessageKind)}
    keys |= {f"snooze.{span}" for span in SNOOZES}
    keys |= {f"shift.{what}" for what in ("keep", "give_back", "transfer", "close")}
    keys |= {f"login.{field}" for field in ("server", "name", "password")}
    keys |= {f"channel.{kind}" for kind in ("telegram", "vk", "web", "email")}
    keys |= {f"thread.{kind}" for kind in ("note", "whisper")}
    keys |= {f"main.{kind}" for kind in ("note", "whisper")}
    keys |= {f"bar.waits.{place}" for place in ("in", "log", "out", "store")}
    keys |= {f"score.{score}" for score in range(1, 6)}
    keys |= {f"week.{day}" for day in DAYS} | {f"source.{source}" for source in get_args(VersionSource)}
    keys |= {f"board.{name}" for name in ("waiting", "oldest", "offered", "taken")}
    keys |= {f"staff.{name}" for name in ("lines", "max_sessions", "skills", "languages")}
    keys |= {
        f"right.{right}" for right in {*get_args(Right), *RIGHTS["admin"], *VERBS, "write"} - {"read_only"}
    }
    keys |= {f"sign.{means}" for signs in SIGNS.values() for _, means in signs}
    keys |= {f"signs.{place}" for place in SIGNS} | {f"colour.{means}" for means in COLOURS.values()}
    keys |= page_words()
    keys |= {f"offer.{kind}" for kind in ("responsible", "last_operator")}
    keys |= {f"left.{code}" for code in ("closed", "closing", "spam", "blocked", "held", "offered", "bot")}
    keys |= {f"left.{code}" for code in ("waiting", "gone", "again", "wrote")} | {
        f"cannot.{code}" for code in reasons()
    }
    return keys | {f"{family}.unknown" for family in ("refused", "bye", "system", "alert")}


def test_nothing_is_missing_and_nothing_left_over() -> None:
    known = {key for key in texts("en") if key.split(".")[0] not in CODED or key.endswith(".unknown")}
    keys = {key for key in wanted() if key.split(".")[0] not in CODED or key.endswith(".unknown")}
    assert keys - known == set()
    assert known - keys == set()


def refusals() -> set[str]:
    """The codes with which the desk refuses: ``Refused("…"`` and ``code="…"`` in its source."""
    found: set[str] = set()
    # Accounts are made at the command line, which has its own words for what is wrong with one.
    rooms = [room for room in (ROOT / "crm").iterdir() if room.is_dir() and room.name != "operators"]
    for path in [path for room in (ROOT / "router", *rooms) for path in room.rglob("*.py")]:
        found |= set(re.findall(r'(?:Refused|\bbad)\(\s*"([a-z_]+)"', path.read_text()))
    return found


def test_every_refusal_of_the_desk_has_a_text() -> None:
    assert {code for code in refusals() - {"unknown"} if f"refused.{code}" not in texts("en")} == set()


def test_every_trouble_of_the_desk_has_a_text() -> None:
    files = [
        *(ROOT / "router").rglob("*.py"),
        *(ROOT / "storage").rglob("*.py"),
        *(ROOT / "navbat").rglob("*.py"),
    ]
    source = "\n".join(path.read_text() for path in files)
    codes = set(re.findall(r'"((?:redis|router|store)_[a-z]+)"', source))
    known = {key.removeprefix("trouble.") for key in texts("en") if key.startswith("trouble.")}
    assert codes & known
    assert known - codes == set()
    assert codes - known - {"store_lag", "store_true", "store_false"} == set()


def test_every_note_of_the_desk_has_a_text() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "router").rglob("*.py"))
    codes = set(re.findall(r'\.system\(\s*\w+,\s*"([a-z_]+)"', source))
    assert codes
    assert {code for code in codes if f"system.{code}" not in texts("en")} == set()


def test_every_reason_of_a_decision_has_a_text() -> None:
    """Modes and reasons, what drops somebody, and timers: whatever ``navbat why`` may say."""
    source = "\n".join(
        (ROOT / "router/desk" / f"{name}.py").read_text() for name in ("floor", "queue", "dispatch")
    )
    inside = re.findall(
        r"(?:def standing|def dropped_by|def lacks).*?(?=\n    def |\ndef )", source, re.DOTALL
    )
    dropped = {"break", "offline", "had", "off_hours", "manual"}
    dropped |= set(re.findall(r'(?:return|if reason else|else) "([a-z_]+)"', "\n".join(inside)))
    dropped |= set(re.findall(r'return "([a-z_]+)" if', "\n".join(inside)))
    because = {*get_args(get_type_hints(LineRules)["mode"]), "off_hours", "pause", "nobody"}
    because |= {"responsible", "last_operator"}
    timers = {*EFFECTS, "sla_warn", "sla_breach"}
    english = texts("en")
    for family, codes in (("dropped", dropped), ("because", because), ("timer", timers)):
        assert {key.partition(".")[2] for key in english if key.startswith(f"{family}.")} == codes


def test_every_goodbye_of_the_gateway_has_a_text() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "router").rglob("*.py"))
    codes = set(re.findall(r'Bye\(\s*code="([a-z_]+)"', source))
    assert codes
    assert {code for code in codes if f"bye.{code}" not in texts("en")} == set()


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_languages_say_the_same_things(language: str) -> None:
    english, other = texts("en"), texts(language)
    assert set(other) == set(english)
    for key, text in english.items():
        assert gaps(other[key]) == gaps(text), key
        assert other[key].strip(), key


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_every_setting_of_a_line_is_explained(language: str) -> None:
    """In English the desk does it."""
    views = Rulebook(Config(), Path("flows"), {}).views({})
    assert set(setting_texts(language)) == {view.name for view in views}
    assert all(view.about for view in views)
    assert Words(language).setting("mode", "") != Words("en").setting("mode", "who is offered")
    assert Words(language).setting("a_newer_one", "as told") == "as told"


@pytest.mark.parametrize("language", LANGUAGES)
def test_twelve_months_and_seven_days(language: str) -> None:
    assert len(texts(language)["week.short"].split()) == 7
    assert len(texts(language)["day.months"].split()) == 12


@pytest.mark.parametrize(
    ("locale", "code"), [("ru_RU.UTF-8", "ru"), ("uz_UZ", "uz"), ("C", "en"), ("de_DE", "en")]
)
def test_the_locale_chooses(monkeypatch: pytest.MonkeyPatch, locale: str, code: str) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    assert preferred() == code


def test_a_code_of_a_newer_desk_is_named() -> None:
    words = Words("en")
    assert words.coded("refused", "too_windy", {}) == "The desk refused it (too_windy)."
    assert words.coded("refused", "held_by", {}) == "… has it."
