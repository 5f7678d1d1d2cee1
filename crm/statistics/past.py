"""Sessions from before anybody counted: what the desk wrote into their threads says most of it. When something
was offered it does not say, so how long an operator took to accept is not known of them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from crm.kernel.records import Message
from crm.statistics.facts import ENDED, Case, Facts, Times, told_by

IN_QUEUE = frozenset({"returned", "unanswered", "left", "bot_left", "overflow"})
TAKEN = frozenset({"taken", "taken_over", "started"})


def relive(
    session: Mapping[str, Any], messages: Iterable[Message], alerts: Iterable[Mapping[str, Any]], times: Times
) -> Case:
    """``session`` and ``alerts`` as the store keeps them, ``messages`` and alerts in order."""
    lines = list(messages)
    line = _first_line(session, lines)
    case = Case(
        Facts(
            id=session["_id"], customer=session["customer"], channel=session["channel"], line=line,
            opened_line=line, opened_at=session["opened_at"], line_since=session["opened_at"],
            outgoing=bool(session.get("outgoing")), asked=bool(session.get("rating_asked")),
            rating=session.get("rating") or 0, score=session.get("score") or 0,
            tags=list(session.get("tags") or ()),
        )
    )  # fmt: skip
    case.stood(session["opened_at"], line, "queue", times)
    case.facts.reached_people = False
    coming = deque(alerts)
    for message in lines:
        while coming and coming[0]["at"] < message.at:
            _alerted(case, coming.popleft(), times)
        case.said(message, times)
        if message.direction == "system":
            _moved(case, message, times)
    for alert in coming:
        _alerted(case, alert, times)
    if case.facts.phase != "bot":
        case.facts.reached_people = True
    status = session.get("status")
    if status in ENDED and (case.facts.phase not in ENDED or status == "spam"):
        case.stood(session.get("closed_at") or session.get("last_at") or 0, case.facts.line, status, times)
    elif status == "closed" and case.is_spam:
        case.stood(session["closed_at"], case.facts.line, "closed", times)
    return case


def _alerted(case: Case, alert: Mapping[str, Any], times: Times) -> None:
    if alert["name"] == "no_answer":
        case.no_answer(alert["at"])
    elif alert["name"] == "sla_breach":
        clock = (alert.get("params") or {}).get("clock", "")
        case.breached(alert["at"], clock, alert.get("operator") or "", times)


def _moved(case: Case, message: Message, times: Times) -> None:
    """Where a line of the desk says that the session stands from then on."""
    word, params = told_by(message.text)
    at, line, phase, holder = message.at, case.facts.line, "", ""
    if word in TAKEN:
        phase, holder = "hand", params.get("operator", "")
    elif word in IN_QUEUE:
        phase, line = "queue", params.get("to", "") if word == "overflow" else line
    elif word == "bot":
        phase, holder = "bot", params.get("name", "")
    elif word == "transferred" and params.get("to", "").startswith("line:"):
        phase, line = "queue", params["to"].removeprefix("line:")
    elif word in ("closed", "auto_closed"):
        phase = "closing"
    elif word == "spam":
        phase = "spam"
    elif word == "unmuted":
        phase = "closed"
    elif word == "reopened":
        phase, holder = "hand", case.facts.author
    if phase:
        case.stood(at, line, phase, times, holder=holder)


def _first_line(session: Mapping[str, Any], lines: Iterable[Message]) -> str:
    """In which it began: where the first line that it left was told of, else where it is."""
    for message in lines:
        word, params = told_by(message.text) if message.direction == "system" else ("", {})
        if word == "overflow" and params.get("from"):
            return params["from"]
    return str(session["line"])
