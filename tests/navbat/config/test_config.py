"""The configuration: what it may say, and how it says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.kernel.errors import ConfigError
from crm.kernel.records import Absence, OperatorRules
from navbat.config.file import BadConfig, Duration, YamlFile, parse_duration
from navbat.config.lines import Line, Operator
from navbat.config.types import Config, load, locate, read
from router.desk.rules import LineRules, Overflow, Ring, Sla

ROOT = Path(__file__).parents[3]


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(BadConfig) as caught:
        load(write(folder, text))
    prefix = f"{folder}/config.yaml"
    return [problem.removeprefix(prefix) for problem in caught.value.problems]


def test_the_sample_is_valid_and_says_the_defaults() -> None:
    sample = load(ROOT / "config.yaml")
    defaults = LineRules(notices=sample.lines["sales"].rules().notices, zone="Asia/Tashkent")
    assert sample.lines["sales"].rules() == defaults
    assert (sample.lease_ttl, sample.presence_timeout) == (Config().lease_ttl, Config().presence_timeout)
    assert sample.gateway.listen == Config().gateway.listen
    assert sample.folder == ROOT / "data"


def test_the_smallest_real_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TG_TOKEN", "123456:ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefgh")
    config = load(
        write(
            tmp_path,
            """
desk: shop
data: ./data
gateway: {listen: 127.0.0.1:8700}
lines:
  sales: {mode: even, members: [anna, bek], answer_within: 1m}
channels:
  shop_bot: {kind: telegram, line: sales, token: "${TG_TOKEN}", receive: polling}
""",
        )
    )
    told = config.lines_configured()
    assert told.lines["sales"].members == ["anna", "bek"]
    assert told.lines["sales"].answer_within == 60_000
    assert told.channels == {"shop_bot": "sales"}
    assert told.kinds == {"shop_bot": "telegram"}
    assert config.channels["shop_bot"].token.startswith("123456:")
    assert config.folder == tmp_path / "data"


def test_every_setting_of_a_line_reaches_the_desk(tmp_path: Path) -> None:
    text = """
lines:
  l:
    mode: strict
    members: [b, a]
    max_sessions: 3
    counts_until: first_answer
    answer_within: 1m30s
    transfer_wait: 2h
    on_leave: at_once
    check_duty: off
    priority: -5
    notices: {waiting: {uz: kuting, ru: ждите}}
"""
    assert load(write(tmp_path, text)).lines["l"].rules() == LineRules(
        mode="strict",
        members=["b", "a"],
        max_sessions=3,
        counts_until="first_answer",
        answer_within=90_000,
        transfer_wait=7_200_000,
        on_leave="at_once",
        check_duty=False,
        priority=-5,
        notices={"waiting": {"uz": "kuting", "ru": "ждите"}},
    )


EVERYTHING = """
lines:
  sales:
    mode: least_loaded
    members: [anna]
    away_after_missed: 3
    skills: [{need: [iron, uz]}, {need: [iron], after: 1m}, {need: [], after: 3m}]
    language: customer
    responsible_first: off
    responsible_wait: 1m
    last_operator_first: on
    crm_leads: off
    crm_follow_transfer: off
    crm_funnel: sales
    no_answer_after: off
    return_unanswered_after: 10m
    overflow: [{after: 5m, line: night, when: nobody_on_duty}, {after: 1h, line: night}]
    auto_close_after: 3d
    closing_time: 5m
    sla: {first_response: 5m, next_response: 10m, resolution: off}
    rating: on
    results: [sold, no answer]
    bot: reception
    bot_first: first_contact
    bot_time: 2m
    zone: Asia/Tashkent
    hours: {mon: ["09:00-13:00", "14:00-18:00"], fri: 22:00-06:00, sat: off}
    days: {2026-03-21: [], 2026-12-31: ["09:00-12:00"]}
    holidays: UZ
    off_hours: bot
    shifts: {anna: {mon: ["09:00-13:00"]}}
    show_position: on
    notices:
      off_hours: closed
      no_answer: soon
      auto_close: bye
      farewell: {uz: xayr, ru: пока}
      joined: hello
      closed_line: nobody
      rating: rate us
  night: {bot_first: off, language: off, bot: off, holidays: off, auto_close_after: off, skills: [iron]}
operators:
  anna:
    max_sessions: 3
    skills: [iron]
    languages: [uz, ru]
    absences: [{from: 2026-03-05, to: 2026-03-07, reason: leave}]
    rights: {sales: [take_over], "*": [whisper]}
  bek: {rights: [join_silent]}
"""


def test_every_rule_of_the_queue_reaches_the_desk(tmp_path: Path) -> None:
    config = load(write(tmp_path, EVERYTHING))
    sales, night = (config.lines[name].rules() for name in ("sales", "night"))
    assert sales == LineRules(
        mode="least_loaded", members=["anna"], away_after_missed=3,
        skills=[
            Ring(need=["iron", "uz"]), Ring(need=["iron"], after=60_000), Ring(need=[], after=180_000)
        ],
        language="customer", responsible_first=False, responsible_wait=60_000, last_operator_first=True,
        crm_leads=False, crm_follow_transfer=False, crm_funnel="sales",
        no_answer_after=0, return_unanswered_after=600_000,
        overflow=[
            Overflow(after=300_000, line="night", when="nobody_on_duty"),
            Overflow(after=3_600_000, line="night"),
        ],
        auto_close_after=3 * 86_400_000, closing_time=300_000,
        sla=Sla(first_response=300_000, next_response=600_000),
        rating=True, results=["sold", "no answer"], bot="reception", bot_first="first_contact",
        bot_time=120_000, zone="Asia/Tashkent",
        hours={"mon": ["09:00-13:00", "14:00-18:00"], "fri": ["22:00-06:00"], "sat": []},
        days={"2026-03-21": [], "2026-12-31": ["09:00-12:00"]}, holidays="UZ", off_hours="bot",
        shifts={"anna": {"mon": ["09:00-13:00"]}}, show_position=True,
        notices={
            "off_hours": {"": "closed"}, "no_answer": {"": "soon"}, "auto_close": {"": "bye"},
            "farewell": {"uz": "xayr", "ru": "пока"}, "joined": {"": "hello"},
            "closed_line": {"": "nobody"}, "rating": {"": "rate us"},
        },
    )  # fmt: skip
    assert night == LineRules(bot_first="off", auto_close_after=0, skills=[Ring(need=["iron"])])
    assert config.operators["anna"].rules() == OperatorRules(
        max_sessions=3,
        skills=["iron"],
        languages=["uz", "ru"],
        absences=[Absence(from_="2026-03-05", to="2026-03-07", reason="leave")],
        rights={"sales": ["take_over"], "*": ["whisper"]},
    )
    assert config.operators["bek"].rules().rights == {"*": ["join_silent"]}


def test_the_defaults_are_those_of_the_desk() -> None:
    assert Line().rules() == LineRules()
    assert Operator().rules() == OperatorRules()


def test_a_notice_without_languages(tmp_path: Path) -> None:
    config = load(write(tmp_path, "lines: {l: {notices: {waiting: Wait}}, m: }"))
    assert config.lines["l"].rules().notices == {"waiting": {"": "Wait"}}
    assert config.lines["m"].rules().notices == {}


LOOP = "{kind: loopback, line: l, secret: s}"

WRONG = [
    ("dsk: a", ":1: dsk: unknown key dsk; did you mean desk? Allowed: "),
    ("desk: a b", ":1: desk: a name is 1 to 32 letters"),
    ("lines: {l: {mode: evn}}", ":1: lines.l.mode: unknown value evn; did you mean even? Allowed: all, even,"),
    ("lines: {l: {mode: off}}", ":1: lines.l.mode: unknown value off. Allowed: all,"),
    ("lines: {l: {answer_within: 60}}", ":1: lines.l.answer_within: a duration needs a unit: write 60s, 60m or"),
    ("lines: {l: {answer_within: 1 minute}}", ":1: lines.l.answer_within: expected a duration such as 30s,"),
    ("lines: {l: {answer_within: 0s}}", ":1: lines.l.answer_within: must be longer than nothing"),
    ("lines: {l: {members: anna}}", ":1: lines.l.members: expected a list"),
    ("lines: {l: {members: [a, a]}}", ":1: lines.l.members: a is given twice"),
    ("lines: {l: {members: [a, 5]}}", ":1: lines.l.members[1]: expected a text"),
    ("lines: {l: {max_sessions: -1}}", ":1: lines.l.max_sessions: expected a whole number >= 0"),
    ("lines: {l: {check_duty: maybe}}", ":1: lines.l.check_duty: expected on or off"),
    ("lines: {l: {zone: Asia/Tashkentt}}", ":1: lines.l.zone: there is no time zone 'Asia/Tashkentt'"),
    ("lines: {l: {zone: ../../etc/passwd}}", ":1: lines.l.zone: there is no time zone"),
    ("lines: {l: {notices: {waiting: {1: vent}}}}", ":1: lines.l.notices.waiting[1]: YAML reads this key as 1"),
    ("lines: {l: {notices: {waiting: {true: vent}}}}", ":1: lines.l.notices.waiting[True]: YAML reads this key as"),
    ("lines: {l: {members: [true]}}", ":1: lines.l.members[0]: expected a text: put true in quotes"),
    ("lines: {l: {holidays: no}}", ":1: lines.l.holidays: no public holidays are known of 'no'; did you mean NO?"),
    ("lines: {l: {holidays: null}}", ":1: lines.l.holidays: expected a text or on or off, got nothing"),
    ("lines: {l: {priority: 1.5}}", ":1: lines.l.priority: expected a whole number, got a number"),
    ("lines: {l: {members: {a: b}}}", ":1: lines.l.members: expected a list [a, b], got a mapping {a: b}"),
    ("lines: {l: {holidays: on}}", ":1: lines.l.holidays: on is no value here"),
    ("lines: {l: {max_sessions: 010}}", ":1: lines.l.max_sessions: expected a whole number"),
    ("lines: {l: {max_sessions: 9007199254740993}}", ":1: lines.l.max_sessions: the number is too large"),
    ("lines: {l: {answer_within: 99999999d}}", ":1: lines.l.answer_within: longer than the longest duration"),
    ('data: "a\\0b"', ":1: data: expected a text of whole characters"),
    ('lines: {l: {members: ["\\ud800"]}}', ":1: lines.l.members[0]: expected a text of whole characters"),
    ("lines: {l: {language: on}}", ":1: lines.l.language: on is no value here"),
    ("lines: {l: {away_after_missed: 0}}", ":1: lines.l.away_after_missed: expected a whole number >= 1, or off"),
    ("lines: {l: {auto_close_after: 4}}", ":1: lines.l.auto_close_after: a duration needs a unit"),
    ("lines: {l: {hours: {monday: [09:00-10:00]}}}", ":1: lines.l.hours.monday: unknown weekday monday"),
    ("lines: {l: {hours: {mon: [9-10]}}}", ":1: lines.l.hours.mon: expected an interval such as 09:00-18:00"),
    ("lines: {l: {hours: {mon: [25:00-26:00]}}}", ":1: lines.l.hours.mon: 25:00-26:00: there is no such time"),
    ("lines: {l: {hours: {mon: on}}}", ":1: lines.l.hours.mon: on is no interval"),
    ("lines: {l: {days: {soon: []}}}", ":1: lines.l.days.soon: expected a date such as 2026-03-21"),
    ("lines: {l: {holidays: XX}}", ":1: lines.l.holidays: no public holidays are known of 'XX'"),
    ("lines: {l: {shifts: {anna: {mon: [x]}}}}", ":1: lines.l.shifts.anna.mon: expected an interval"),
    ("lines: {l: {skills: [a, {need: [b]}]}}", ":1: lines.l.skills: either a list of skills, or a list of rings"),
    (
        "lines: {l: {skills: [{need: [b], after: 1m}, {need: []}]}}",
        ":1: lines.l.skills: rings must follow each other in time",
    ),
    ("lines: {l: {overflow: [{after: 1m, line: k}]}}", ":1: lines.l.overflow[0].line: unknown line k"),
    ("lines: {l: {overflow: [{line: k}]}}", ":1: lines.l.overflow[0]: after is missing"),
    (
        "lines: {l: {overflow: [{after: 1m, line: m}]}, m: {overflow: [{after: 1m, line: l}]}}",
        ":1: lines.l.overflow[0].line: overflow goes in a circle: l > m > l",
    ),
    ("lines: {l: {overflow: [{after: 1m, line: l}]}}", ":1: lines.l.overflow[0].line: overflow goes in a circle: l > l"),
    ("lines: {l: {overflow: [{after: 1m, line: l, when: now}]}}", ":1: lines.l.overflow[0].when: unknown value now"),
    ("lines: {l: {results: [' ']}}", ":1: lines.l.results: a result needs a text"),
    (
        "operators: {a: {absences: [{from: 2026-03-05, to: 2026-03-04}]}}",
        ":1: operators.a.absences[0].to: lies before from",
    ),
    ("operators: {a: {absences: [{from: x, to: x}]}}", ":1: operators.a.absences[0].from: expected a date"),
    ("operators: {a: {rights: [fly]}}", ":1: operators.a.rights"),
    ("lines:\n  l:\n    mod: even", ":3: lines.l.mod: unknown key mod; did you mean mode?"),
    ("lines: {'a:b': }", ":1: lines.a:b: a name is 1 to 32"),
    ("lines: [a]", ":1: lines: expected"),
    ("gateway: {listen: 8700}", ":1: gateway.listen: expected a text"),
    ("gateway: {listen: '8700'}", ":1: gateway: listen is '8700': write host:port"),
    ("gateway: {listen: 0.0.0.0:8700}", ":1: gateway: 0.0.0.0 can be reached from outside this machine: set tls:"),
    ("gateway: {listen: '[::]:8700'}", ":1: gateway: :: can be reached from outside"),
    ("gateway: {listen: desk.example.com:443}", ":1: gateway: desk.example.com can be reached"),
    ("gateway: {tls: {cert: a}}", ":1: gateway.tls: key is missing"),
    ("redis: redis+sentinel://a,b", ":1: redis: a Sentinel's address ends with the master's name"),
    ("redis: redis+cluster://a,b/1", ":1: redis: a cluster has no numbered databases"),
    ("redis: 'redis+cluster://a,'", ":1: redis: '' is no host and port"),
    ("redis: localhost", ":1: redis: expected redis://host:6379"),
    ("mongodb: localhost", ":1: mongodb: expected mongodb://host"),
    ("lease_ttl: 10ms", ":1: lease_ttl: must be at least 500ms"),
    ("data: ${NAVBAT_NO_SUCH}", ":1: data: the environment has no NAVBAT_NO_SUCH"),
    ("data: '${file:/no/such/file}'", ":1: data: ${file:/no/such/file} cannot be read: FileNotFoundError"),
    ("data: '${a b}'", ":1: data: ${a b} is neither ${NAME} nor ${file:/path}"),
    ("channels: {a: {kind: telegramm}}", ":1: channels.a.kind: unknown kind telegramm; did you mean telegram?"),
    ("channels: {a: 5}", ":1: channels.a: expected a mapping with a kind, one of loopback"),
    (f"channels: {{a: {LOOP}}}", ":1: channels.a.line: unknown line l. Allowed: none"),
    ("lines: {l: }\nchannels: {a: {kind: loopback, line: l}}", ":2: channels.a: secret is missing"),
    ("lines: {l: }\nchannels:\n  a:\n    kind: loopback\n    x: 1", ":5: channels.a.x: unknown key x."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), WRONG, ids=[text for text, _ in WRONG])
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert any(problem.startswith(expected) for problem in found), found


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path, "dsk: a\nlease_ttl: 5\nlines: {l: {mode: x, zone: y}}\nchannels: {c: {kind: z}}"
    )
    assert len(found) == 4
    assert [p.partition(": ")[0] for p in found] == [":1", ":2", ":3", ":4"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: b: c", ":1: not YAML"),
        ("desk: a\ndesk: b", ":2: not YAML: desk is given twice"),
        ("? [a]\n: b", ":1: not YAML: a key must be a plain word"),
        ("!!python/object/apply:os.system [id]", ":1: not YAML"),
        ("- a", ": expected a mapping"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path}/config.yaml{expected}")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist") as caught:
        load(tmp_path / "none.yaml")
    assert "--config" in caught.value.hint


def test_an_empty_file_is_a_desk_of_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    config = load(write(tmp_path, ""))
    assert config.folder == tmp_path / "home" / "navbat" / "desk"
    assert config.gateway.address == ("127.0.0.1", 8700)


def test_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NB_HOST", "db.example")
    (tmp_path / "secret").write_text("pa$$\n")
    text = "mongodb: 'mongodb://u:${file:secret}@${NB_HOST}/x?$${y}'"
    config, file = read(write(tmp_path, text))
    assert config is not None
    assert config.mongodb == "mongodb://u:pa$$@db.example/x?${y}"
    assert file.referenced == {("mongodb",)}


def test_the_value_of_a_reference_is_not_read_as_one(tmp_path: Path) -> None:
    file = YamlFile(write(tmp_path, "x: '${A}'"), {"A": "${B}", "B": "no"})
    assert file.build(str, file.tree["x"], ("x",)) == "${B}"


def test_secrets_of_channels_are_not_needed_for_accounts(tmp_path: Path) -> None:
    text = "channels: {bot: {kind: telegram, line: l, token: '${NAVBAT_NO_SUCH}'}}\nlines: {l: }"
    assert load(write(tmp_path, text), channels=False).channels == {}


@pytest.mark.parametrize("extra", ["tls: {cert: c.pem, key: k.pem}", "behind_proxy: on"])
def test_listening_to_the_world_needs_a_reason(tmp_path: Path, extra: str) -> None:
    config = load(write(tmp_path, f"gateway: {{listen: 0.0.0.0:443, {extra}}}"))
    assert config.gateway.address == ("0.0.0.0", 443)
    if config.gateway.tls:
        assert config.gateway.tls.cert == str(tmp_path / "c.pem")


def test_where_the_file_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAVBAT_CONFIG", raising=False)
    assert locate() == Path("config.yaml")
    monkeypatch.setenv("NAVBAT_CONFIG", "/etc/navbat.yaml")
    assert locate() == Path("/etc/navbat.yaml")
    assert locate("mine.yaml") == Path("mine.yaml")


@given(st.integers(min_value=0, max_value=10**12))
def test_a_duration_written_is_the_duration_read(ms: int) -> None:
    assert parse_duration(str(Duration(ms))) == ms


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none()))
def test_anything_else_is_refused_with_a_sentence(value: object) -> None:
    try:
        found = parse_duration(value)
    except ValueError as error:
        said = str(error)
    else:
        assert isinstance(value, str)
        assert parse_duration(str(found)) == found
        return
    assert "duration" in said
