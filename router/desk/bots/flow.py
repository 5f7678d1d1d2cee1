"""A scripted bot: what it says, what it asks, where it leads. Pure.

``begin`` and ``hear`` each give one ``FlowStep``: all that the bot does until it needs the customer again.
A step goes through each node at most once, so it always ends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from crm.kernel.records import Button
from crm.kernel.spelling import fold
from crm.kernel.text import one_line
from router.desk.rules import Texts

Kind = Literal["say", "menu", "ask", "faq", "line", "hand_over", "close"]
Check = Literal["text", "phone", "email", "number"]

ANSWER_LIMIT = 200
HUMAN_WORDS_MAX = 4
"""A message of more words that has one of these words in it is about an operator, not a call for one."""
HUMAN = ("operator", "human", "agent", "оператор", "человек", "менеджер", "odam", "menejer", "inson")
"""Beginnings of words by which customers call for a human, in every language that we know."""

_WORD = re.compile(r"\w+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:[.,][0-9]{1,6})?")
_INVALID: dict[str, Texts] = {
    "phone": {
        "": "Please send a phone number, such as +998 90 123 45 67.",
        "ru": "Пришлите, пожалуйста, номер телефона, например +998 90 123 45 67.",
        "uz": "Iltimos, telefon raqamini yuboring, masalan +998 90 123 45 67.",
    },
    "email": {
        "": "Please send an e-mail address, such as name@example.com.",
        "ru": "Пришлите, пожалуйста, адрес почты, например name@example.com.",
        "uz": "Iltimos, pochta manzilini yuboring, masalan name@example.com.",
    },
    "number": {
        "": "Please send a number.",
        "ru": "Пришлите, пожалуйста, число.",
        "uz": "Iltimos, son yuboring.",
    },
    "text": {
        "": "Please write it as text.",
        "ru": "Напишите, пожалуйста, текстом.",
        "uz": "Iltimos, matn yozing.",
    },
}


class Option(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One way out of a menu."""

    label: Texts
    then: str


class Answer(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What is answered to a message that has one of the ``words`` in it; ``then`` empty: asks on."""

    words: list[str]
    say: Texts
    then: str = ""


class Node(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One place in a flow. ``say`` is said on arrival (for a menu, a question or a FAQ: what is asked)."""

    kind: Kind
    say: Texts = {}
    then: str = ""
    options: list[Option] = []
    field: str = ""
    check: Check = "text"
    invalid: Texts = {}
    answers: list[Answer] = []
    tries: int = 2
    """Answers that are not understood before a human is called."""
    line: str = ""
    priority: int | None = None


class Flow(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One flow as the desk runs it. ``phone_code``: of numbers without one, such as ``998``."""

    name: str
    start: str = ""
    off_hours: str = ""
    nodes: dict[str, Node] = {}
    human_words: list[str] = []
    phone_code: str = ""


class FlowState(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Where a session stands in its flow; saved with it."""

    at: str = ""
    tries: int = 0


class FlowStep(msgspec.Struct, kw_only=True):
    """What the bot does now. ``done``: it leaves, by ``hand_over`` (to ``line``, if it chose one) or
    ``close``."""

    state: FlowState
    says: list[tuple[str, list[Button]]] = []
    fields: dict[str, str] = {}
    priority: int | None = None
    line: str = ""
    done: Literal["", "hand_over", "close"] = ""


def begin(flow: Flow, language: str, in_hours: bool) -> FlowStep:
    """The first step: from the start, or outside the hours from where the flow says."""
    step = FlowStep(state=FlowState())
    return _run(flow, flow.start if in_hours or not flow.off_hours else flow.off_hours, language, step)


def hear(flow: Flow, state: FlowState, text: str, data: str, language: str) -> FlowStep:
    """The step that answers a message, or a button's ``data``."""
    step = FlowStep(state=FlowState(at=state.at, tries=state.tries))
    name, option = _pressed(flow, data)
    node = flow.nodes.get(name or state.at)
    if node is None:
        step.done = "hand_over"
    elif node.kind == "menu":
        _choose(flow, node, option, text, language, step)
    elif node.kind == "ask":
        _take_answer(flow, node, text, language, step)
    elif node.kind == "faq":
        _look_up(flow, node, text, language, step)
    else:
        step.done = "hand_over"
    return step


def wants_human(text: str, more: Iterable[str] = ()) -> bool:
    """Whether a message calls for a human: it is short and has a word in it that begins like one of those
    for an operator, or is exactly one of the flow's own."""
    text = fold(text)
    words = _WORD.findall(text)
    if text.strip() in {fold(word).strip() for word in more}:
        return True
    return len(words) <= HUMAN_WORDS_MAX and any(word.startswith(HUMAN) for word in words)


def in_language(texts: Mapping[str, str], language: str) -> str:
    """The text in the customer's language, else the one for any, else the first."""
    return texts.get(language) or texts.get("") or next(iter(texts.values()), "")


# ------------------------------------------------------------------ going on


def _run(flow: Flow, name: str, language: str, step: FlowStep) -> FlowStep:
    """Goes on from a node until the customer is needed or the bot leaves."""
    seen: set[str] = set()
    while True:
        node = flow.nodes.get(name)
        if node is None or name in seen:
            step.done = "hand_over"
            return step
        seen.add(name)
        step.state = FlowState(at=name)
        if node.priority is not None:
            step.priority = node.priority
        if node.say:
            step.says.append((in_language(node.say, language), _buttons(node, name, language)))
        if node.kind in ("menu", "ask", "faq"):
            return step
        if node.kind != "say":
            step.line = node.line
            step.done = "close" if node.kind == "close" else "hand_over"
            return step
        name = node.then


def _buttons(node: Node, name: str, language: str) -> list[Button]:
    return [
        Button(text=in_language(option.label, language), data=f"{name}:{number}")
        for number, option in enumerate(node.options, 1)
    ]


def _pressed(flow: Flow, data: str) -> tuple[str, int]:
    """(menu, option) of a button of this flow; an older menu's button leads on from there."""
    name, _, number = data.rpartition(":")
    node = flow.nodes.get(name)
    if node is None or not number.isdecimal() or not 1 <= int(number) <= len(node.options):
        return "", 0
    return name, int(number)


def _again(flow: Flow, node: Node, text: str, language: str, step: FlowStep, then: str = "") -> None:
    """What was said is no answer: once more, until it was too often."""
    step.state.tries += 1
    if step.state.tries > node.tries:
        if then:
            _run(flow, then, language, step)
        else:
            step.done = "hand_over"
    else:
        step.says.append((text, _buttons(node, step.state.at, language)))


# ------------------------------------------------------------------ kinds of nodes


def _choose(flow: Flow, node: Node, option: int, text: str, language: str, step: FlowStep) -> None:
    option = option or _typed(node, text)
    if option:
        _run(flow, node.options[option - 1].then, language, step)
    else:
        _again(flow, node, in_language(node.say, language), language, step)


def _typed(node: Node, text: str) -> int:
    """The option that was written: its number or its label, in whatever language."""
    text = fold(text.strip().rstrip(".)"))
    if text.isdecimal() and 1 <= int(text[:9]) <= len(node.options):
        return int(text)
    for number, option in enumerate(node.options, 1):
        if text in (fold(label) for label in option.label.values()):
            return number
    return 0


def _take_answer(flow: Flow, node: Node, text: str, language: str, step: FlowStep) -> None:
    value = valid(text, node.check, flow.phone_code)
    if value:
        step.fields[node.field] = value
        _run(flow, node.then, language, step)
    else:
        _again(flow, node, in_language(node.invalid or _INVALID[node.check], language), language, step)


def valid(text: str, check: Check, phone_code: str = "") -> str:
    """The answer in the form in which it is kept, or nothing when it is none."""
    text = one_line(text, ANSWER_LIMIT).strip()
    if check == "phone":
        return _phone(text, phone_code)
    if check == "email":
        return text.lower() if _EMAIL.fullmatch(text) else ""
    if check == "number":
        return text.replace(",", ".") if _NUMBER.fullmatch(text) else ""
    return text


def _phone(text: str, code: str) -> str:
    """``+998901234567``: international numbers have 8 to 15 digits (E.164)."""
    if re.search(r"[^0-9+()\s.-]", text) or "+" in text[1:]:
        return ""
    digits = re.sub(r"[^0-9]", "", text)
    if not text.startswith("+") and code and not digits.startswith(code):
        digits = code + digits.lstrip("0")
    return f"+{digits}" if 8 <= len(digits) <= 15 else ""


def _look_up(flow: Flow, node: Node, text: str, language: str, step: FlowStep) -> None:
    asked = fold(text)
    for answer in node.answers:
        if any(word in asked for word in map(fold, answer.words) if word):
            step.state.tries = 0
            step.says.append((in_language(answer.say, language), []))
            if answer.then:
                _run(flow, answer.then, language, step)
            return
    _again(flow, node, in_language(node.invalid or node.say, language), language, step, node.then)
