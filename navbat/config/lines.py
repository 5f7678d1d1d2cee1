"""What ``config.yaml`` (and whoever changes a line while the desk runs) may say of a line and of an
operator, and how it becomes what the desk uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crm.kernel.records import Account, OperatorRules
from navbat.cli.arguments import language_problem, unknown_word
from navbat.config import declared
from navbat.config.declared import Problem, file_form
from navbat.config.file import KeyPath
from router.desk import rules
from router.desk.rules import LineRules

Notices = file_form(rules.Notices)
SkillRing = file_form(rules.Ring)
Overflow = file_form(rules.Overflow)
Sla = file_form(rules.Sla)
_Line: Any = file_form(LineRules)
_Operator: Any = file_form(OperatorRules)


class Operator(_Operator):  # type: ignore[misc]
    """What an operator can and may."""

    def rules(self) -> OperatorRules:
        """What is said of him, as the desk uses it."""
        return declared.into_rules(self, OperatorRules)


class Line(_Line):  # type: ignore[misc]
    """One queue and its rules, as they are written."""

    def rules(self) -> LineRules:
        """The line as the desk uses it."""
        return declared.into_rules(self, LineRules)


def problems(line: Line) -> Iterator[Problem]:
    """What is wrong with a line by itself, each with its key."""
    return declared.problems(line, LineRules)


def problems_now(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with settings that are written now, although those kept before go on: a language that
    nobody can have, so that nobody would get an offer."""
    for field in declared.declared(LineRules):
        value = settings.get(field.name) if field.setting.written == "language" else None
        if isinstance(value, str) and value not in ("", "customer", "off"):
            wrong = language_problem(value)
            if wrong:
                yield (field.name,), wrong


def member_problem(name: str, known: Mapping[str, Account]) -> str:
    """Why nobody takes part in a line as this member, when the accounts are these; else empty."""
    if name not in known:
        return f"{name} has no account; `navbat operator add {name}` makes one"
    return f"the account {name} is disabled" if known[name].disabled else ""


def operator_problems(operator: Operator) -> Iterator[Problem]:
    """What is wrong with an operator's settings by themselves."""
    return declared.problems(operator, OperatorRules)


def joint_problems(lines: Mapping[str, Line], flows: Sequence[str] | None = None) -> Iterator[Problem]:
    """What is wrong between lines: an overflow into nowhere or in a circle."""
    for name, line in lines.items():
        for number, entry in enumerate(line.overflow):
            path: KeyPath = (name, "overflow", number, "line")
            if entry.line not in lines:
                yield path, unknown_word("line", entry.line, lines)
            elif circle := _circle(lines, name, entry.line):
                yield path, f"overflow goes in a circle: {' > '.join(circle)}"


def _circle(lines: Mapping[str, Line], start: str, into: str) -> list[str]:
    """The way from ``into`` back to ``start``, or nothing."""
    ways = [[start, into]]
    seen = {into}
    while ways:
        way = ways.pop()
        if way[-1] == start:
            return way
        for entry in lines[way[-1]].overflow if way[-1] in lines else ():
            if entry.line == start or entry.line not in seen:
                seen.add(entry.line)
                ways.append([*way, entry.line])
    return []
