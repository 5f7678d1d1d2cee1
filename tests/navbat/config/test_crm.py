"""The section ``crm:``: what it may say, its defaults, and how it says what is wrong."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from crm.kernel.codes import COUNTRIES, MINOR_DIGITS
from crm.kernel.crm_settings import CrmSettings, Funnel, FunnelStage, LeadRules, Retention
from crm.kernel.fields import CustomField
from navbat.config.backends import DeskAddress, place_of
from navbat.config.check import check
from navbat.config.types import load
from tests.navbat.config.test_config import problems, write

DAY = 86_400_000
ENDS = "{key: won, semantics: won}, {key: lost, semantics: lost}"


def test_without_the_section_the_defaults_hold(tmp_path: Path) -> None:
    for text in ("desk: shop\n", "crm:\n", "crm: {leads: {}}\n"):
        rules = load(write(tmp_path, text)).crm.rules()
        assert rules == CrmSettings()
    assert (rules.country, rules.currency, rules.leads.repeat) == ("UZ", "UZS", "open_only")
    for stages in (rules.leads.stages, *(funnel.stages for funnel in rules.funnels.values())):
        assert [stage.semantics for stage in stages].count("won") == 1
        assert stages[0].semantics == "work"
        assert "lost" in [stage.semantics for stage in stages]
        assert all(set(stage.name) == {"en", "ru", "uz"} for stage in stages)


def test_all_of_it_is_understood_and_reaches_the_processes(tmp_path: Path) -> None:
    text = f"""
crm:
  country: KZ
  currency: KZT
  leads:
    repeat: always
    lost_reasons: [spam]
    stages: [{{key: fresh, name: Fresh}}, {ENDS}]
  funnels:
    big:
      name: {{en: Big, uz: Katta}}
      stages: [{{key: talk}}, {ENDS}]
      lost_reasons: [too dear]
    small: {{stages: [{{key: a}}, {ENDS}, {{key: gone, semantics: lost}}]}}
  retention: {{messages: 3y, audit: 90d, leads: off}}
"""
    config = load(write(tmp_path, text))
    won, lost = FunnelStage(key="won", semantics="won"), FunnelStage(key="lost", semantics="lost")
    gone = FunnelStage(key="gone", semantics="lost")
    assert config.crm.rules() == CrmSettings(
        country="KZ",
        currency="KZT",
        leads=LeadRules(
            repeat="always",
            lost_reasons=["spam"],
            stages=[FunnelStage(key="fresh", name={"": "Fresh"}), won, lost],
        ),
        funnels={
            "big": Funnel(
                name={"en": "Big", "uz": "Katta"},
                stages=[FunnelStage(key="talk"), won, lost],
                lost_reasons=["too dear"],
            ),
            "small": Funnel(stages=[FunnelStage(key="a"), won, lost, gone]),
        },
        retention=Retention(messages=3 * 365 * DAY, audit=90 * DAY),
    )
    place = place_of(config, "redis://x")
    there = msgspec.json.decode(msgspec.json.encode(place), type=DeskAddress)
    assert there.crm == config.crm.rules()
    assert list(there.crm.funnels) == ["big", "small"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("country: uz", "1: crm.country: 'uz' is no country of ISO 3166; did you mean UZ?"),
        ("country: Narnia", "1: crm.country: 'Narnia' is no country of ISO 3166; write one such as UZ"),
        ("currency: sum", "1: crm.currency: 'sum' is no currency of ISO 4217; write one such as UZS"),
        ("currency: usd", "1: crm.currency: 'usd' is no currency of ISO 4217; did you mean USD?"),
        (
            "leads: {repeat: sometimes}",
            "1: crm.leads.repeat: unknown value sometimes. Allowed: always, never, open_only",
        ),
        (
            f"leads: {{stages: [{{key: a}}, {{key: a}}, {ENDS}]}}",
            "1: crm.leads.stages[1].key: a is given twice",
        ),
        (
            "leads: {stages: [{key: a}, {key: b, semantics: lost}]}",
            "1: crm.leads.stages: exactly one stage has semantics: won, here none",
        ),
        (
            f"funnels: {{f: {{stages: [{{key: a}}, {{key: b, semantics: won}}, {ENDS}]}}}}",
            "1: crm.funnels.f.stages: exactly one stage has semantics: won, here 2",
        ),
        (
            "funnels: {f: {stages: [{key: a}, {key: b, semantics: won}]}}",
            "1: crm.funnels.f.stages: at least one stage has semantics: lost, here none",
        ),
        (
            f"funnels: {{f: {{stages: [{ENDS}]}}}}",
            "1: crm.funnels.f.stages[0].semantics: the first stage is where everything begins: its semantics is work",
        ),
        (
            f"funnels: {{f: {{stages: [{{key: $a.b}}, {ENDS}]}}}}",
            "1: crm.funnels.f.stages[0].key: a key is a small letter and up to 31 more, digits, underscores or hyphens",
        ),
        (
            f"funnels: {{a.b: {{stages: [{{key: a}}, {ENDS}]}}}}",
            "1: crm.funnels.a.b: a key is a small letter and up to 31 more, digits, underscores or hyphens",
        ),
        ("funnels: {f: {stages: [{name: x}]}}", "1: crm.funnels.f.stages[0]: key is missing"),
        (
            "funnels: {f: {}}",
            "1: crm.funnels.f: stages is missing: a funnel has at least a first, a won and a lost one",
        ),
        ("funnels: {}", "1: crm.funnels: 1 to 50 funnels, or leave the key out"),
        (
            "fields: {lead: {colour: {kind: choice}}, thing: {}}",
            ("1: crm.fields.lead.colour: needs choices\n"
            "1: crm.fields.thing: is no type of objects; there are lead, contact, company, deal, activity"),
        ),
        (
            "fields: {deal: {'a.b': {kind: money}}}",
            "1: crm.fields.deal.a.b: must be called with small letters, digits and _, a letter first, 40 at most",
        ),
        ("retention: {messages: 3}", "1: crm.retention.messages: expected a period such as 3y, 90d or 12h, or off"),
        ("retention: {messages: 200y}", "1: crm.retention.messages: expected a period such as 3y, 90d or 12h, or off"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_key(text: str, wanted: str, tmp_path: Path) -> None:
    assert problems(tmp_path, f"crm: {{{text}}}\n") == [f":{line}" for line in wanted.split("\n")]


def test_a_line_names_a_funnel_that_is_there(tmp_path: Path) -> None:
    text = "lines:\n  a: {crm_funnel: sales}\n  b: {crm_funnel: sails}\n"
    assert problems(tmp_path, text) == [
        ":3: lines.b.crm_funnel: unknown funnel sails; did you mean sales? Allowed: sales"
    ]


def test_fields_of_ones_own(tmp_path: Path) -> None:
    text = "crm: {fields: {lead: {colour: {kind: choice, choices: [red, blue], label: {uz: Rang}}}}}\n"
    rules = load(write(tmp_path, text)).crm.rules()
    colour = CustomField(kind="choice", choices=("red", "blue"), label={"uz": "Rang"})
    assert rules.fields == {"lead": {"colour": colour}}
    there = msgspec.json.decode(msgspec.json.encode(DeskAddress(desk="d", data="", redis="", crm=rules)))
    assert msgspec.convert(there, DeskAddress).crm == rules


async def test_check_names_file_and_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "data: ./data\ncrm:\n  currency: UZZ\n  colour: red\n")
    assert await check(path) == 1
    said = capsys.readouterr().err
    assert f"problem: {path}:4: crm.colour: unknown key colour" in said


def test_the_codes_are_those_of_the_standards() -> None:
    assert (MINOR_DIGITS["UZS"], MINOR_DIGITS["JPY"], MINOR_DIGITS["KWD"]) == (2, 0, 3)
    assert all(len(code) == 3 and code.isupper() for code in MINOR_DIGITS)
    assert len(COUNTRIES) == 249
    assert all(len(code) == 2 and code.isupper() for code in COUNTRIES)
