"""Stand-in."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from crm.records import Button


class Flow(msgspec.Struct, omit_defaults=True, kw_only=True):
    name: str
    human_words: list[str] = []


class FlowState(msgspec.Struct, omit_defaults=True, kw_only=True):
    at: str = ""


class Step(msgspec.Struct, kw_only=True):
    state: FlowState
    says: list[tuple[str, list[Button]]] = []
    fields: dict[str, str] = {}
    priority: int | None = None
    line: str = ""
    done: str = ""


def begin(flow: Flow, state: FlowState | None, language: str, in_hours: bool) -> Step:
    return Step(state=FlowState())


def hear(flow: Flow, state: FlowState, text: str, data: str, language: str) -> Step:
    return Step(state=state)


def wants_human(text: str, language: str, words: Iterable[str] = ()) -> bool:
    return text.casefold() in ("operator", "оператор")
