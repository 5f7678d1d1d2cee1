"""Scripted bots: what each kind of node does with what it hears, and the shipped ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crm.kernel.errors import ConfigError
from navbat.config.flows import SHIPPED, read
from router.desk.bots.flow import Answer, Flow, FlowState, Node, Option, begin, hear, valid, wants_human
from router.desk.events import LinesConfigured
from router.desk.state import FieldsFilled
from tests.router.desk.world import World

FLOW = Flow(
    name="greeter",
    start="hello",
    off_hours="closed",
    human_words=["help me"],
    phone_code="998",
    nodes={
        "hello": Node(kind="say", say={"": "Hello", "uz": "Salom"}, then="what"),
        "what": Node(
            kind="menu",
            say={"": "What?"},
            options=[
                Option(label={"": "Buy", "uz": "Xarid"}, then="phone"),
                Option(label={"": "Ask"}, then="faq"),
                Option(label={"": "Leave"}, then="bye"),
            ],
        ),
        "phone": Node(kind="ask", say={"": "Phone?"}, field="phone", check="phone", then="sales", tries=1),
        "sales": Node(kind="line", say={"": "One moment"}, line="support", priority=7),
        "faq": Node(kind="faq", say={"": "Ask"}, answers=[Answer(words=["hours"], say={"": "9-18"})], tries=0,
                    then="human"),
        "human": Node(kind="hand_over"),
        "bye": Node(kind="close", say={"": "Bye"}),
        "closed": Node(kind="hand_over", say={"": "Closed"}),
    },
)  # fmt: skip


def bot_world(**rules: Any) -> World:
    world = World("anna", bot="greeter", **rules)
    lines = world.desk.configured.lines | {"support": world.desk.configured.lines["sales"]}
    world.happens(LinesConfigured(lines=lines, channels={"bot": "sales"}, flows={"greeter": FLOW}))
    return world


def test_it_begins_in_the_customers_language_or_where_the_night_begins() -> None:
    step = begin(FLOW, "uz", True)
    assert [text for text, _ in step.says] == ["Salom", "What?"]
    assert [b.text for b in step.says[-1][1]] == ["Xarid", "Ask", "Leave"]
    assert step.state.at == "what"
    assert begin(FLOW, "", False).done == "hand_over"


@pytest.mark.parametrize("answer", ["1", "1.", "buy", "XARID"])
def test_a_menu_takes_numbers_and_labels_in_any_language(answer: str) -> None:
    assert hear(FLOW, FlowState(at="what"), answer, "", "").state.at == "phone"


def test_a_button_of_an_older_menu_leads_on_from_there() -> None:
    assert hear(FLOW, FlowState(at="phone"), "Leave", "what:3", "").done == "close"
    assert hear(FLOW, FlowState(at="what"), "x", "what:9", "").done == ""


def test_what_is_not_understood_is_asked_again_and_then_handed_over() -> None:
    state = FlowState(at="what")
    for _ in range(2):
        step = hear(FLOW, state, "blah", "", "")
        assert ([text for text, _ in step.says], step.done) == (["What?"], "")
        state = step.state
    assert hear(FLOW, state, "blah", "", "").done == "hand_over"


def test_an_answer_fills_the_card_and_the_line_is_chosen() -> None:
    step = hear(FLOW, FlowState(at="phone"), "90 123-45-67", "", "")
    assert (step.fields, step.line, step.done, step.priority) == (
        {"phone": "+998901234567"}, "support", "hand_over", 7
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "check", "kept"),
    [
        ("+998 (90) 123-45-67", "phone", "+998901234567"),
        ("998901234567", "phone", "+998901234567"),
        ("12", "phone", ""), ("call me", "phone", ""), ("+1+2 34567890", "phone", ""),
        ("Ali@Example.COM", "email", "ali@example.com"), ("ali@", "email", ""), ("a b@c.de", "email", ""),
        ("12,5", "number", "12.5"), ("twelve", "number", ""), ("", "text", ""), ("  Ali ", "text", "Ali"),
    ],
)  # fmt: skip
def test_validation(text: str, check: object, kept: str) -> None:
    assert valid(text, check, "998") == kept  # type: ignore[arg-type]


def test_a_faq_answers_and_goes_on_or_gives_up() -> None:
    step = hear(FLOW, FlowState(at="faq"), "Your HOURS please", "", "")
    assert ([text for text, _ in step.says], step.state.at, step.done) == (["9-18"], "faq", "")
    assert hear(FLOW, FlowState(at="faq"), "weather?", "", "").done == "hand_over"


@pytest.mark.parametrize(
    "text", ["operator", "Оператор!", "позовите оператора", "operatorni chaqiring", "human please", "help me"]
)
def test_a_human_is_one_word_away(text: str) -> None:
    assert wants_human(text, FLOW.human_words)


@pytest.mark.parametrize("text", ["hello", "", "what does the operator of your crane earn a month"])
def test_what_is_no_call_for_a_human(text: str) -> None:
    assert not wants_human(text, FLOW.human_words)


def test_the_desk_carries_it_out_and_the_card_is_filled() -> None:
    world = bot_world()
    world.writes("ali", "hi")
    assert world.sent == ["Hello", "What?"]
    world.writes("ali", "1")
    world.writes("ali", "+998901234567")
    session = world.session("ali")
    assert (session.status, session.line, session.priority, session.bot_turn.name) == (
        "waiting",
        "support",
        7,
        "",
    )
    filled = [t.fields for t in world.told if isinstance(t, FieldsFilled)]
    assert filled == [{"phone": "+998901234567"}]


def test_bot_time_and_a_call_for_a_human_end_its_turn() -> None:
    world = bot_world(bot_time=60_000)
    world.writes("ali")
    world.writes("olga", "operator")
    assert [world.session(c).status for c in ("ali", "olga")] == ["bot", "waiting"]
    assert world.at(60).session("ali").status == "waiting"


def test_the_shipped_flows_are_right() -> None:
    assert {path.stem for path in SHIPPED.glob("*.yaml")} >= {"reception", "off_hours"}
    for path in SHIPPED.glob("*.yaml"):
        read(path)


WRONG = [
    ("start: b\nnodes: {a: {hand_over: on}}", "unknown node b"),
    ("start: a\nnodes: {a: {say: hi, then: b}, b: {say: ho, then: a}}", "goes in a circle"),
    ("start: a\nnodes: {a: {hand_over: on}, b: {close: on}}", "nothing leads here"),
    ("start: a\nnodes: {a: {say: hi}}", "then: is missing"),
    ("start: a\nnodes: {a: {menu: [{label: x, then: a}]}}", "say: is missing"),
    ("start: a\nnodes: {a: {close: on, hand_over: on}}", "hand_over and close at once"),
    ("start: a\nnodes: {a: {say: x, ask: f, check: fone, then: a}}", "unknown value fone"),
    (
        f"start: {'a' * 70}\nnodes: {{{'a' * 70}: {{say: x, menu: [{{label: x, then: {'a' * 70}}}]}}}}",
        "too long",
    ),
]


@pytest.mark.parametrize(("text", "problem"), WRONG, ids=[problem for _, problem in WRONG])
def test_what_is_wrong_with_a_flow_is_said(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=problem):
        read(path)


@pytest.mark.parametrize("sign", ["ʻ", "‘", "'", "`", "ʼ", "ʽ", "＇"])
def test_a_customer_spells_an_apostrophe_as_his_keyboard_does(sign: str) -> None:
    menu = Node(kind="menu", say={"": "?"}, options=[Option(label={"uz": "Toʻlov"}, then="end")])
    faq = Node(kind="faq", say={"": "?"}, answers=[Answer(words=["soʻm", "ʼ"], say={"": "120 000"})])
    made = Flow(name="f", start="menu", nodes={"menu": menu, "faq": faq, "end": Node(kind="close")})
    assert hear(made, FlowState(at="menu"), f"to{sign}lov", "", "uz").done == "close"
    told = hear(made, FlowState(at="faq"), f"necha so{sign}m?", "", "uz")
    assert [text for text, _ in told.says] == ["120 000"]
    other = hear(made, FlowState(at="faq"), "salom", "", "uz")
    assert "120 000" not in [text for text, _ in other.says]
