"""``navbat flow``: a scripted bot is checked, or tried in the terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from crm.kernel.errors import ConfigError
from crm.kernel.text import clean
from navbat.config import flows
from router.desk.bots import flow
from router.desk.bots.flow import Flow, FlowState


def main(args: argparse.Namespace) -> int:
    """``navbat flow check|try``: 2 when a file is no flow."""
    try:
        found = [flows.read(Path(name)) for name in args.files]
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    if args.action == "try":
        return _try(found[0], args.language, not args.off_hours)
    for path, made in zip(args.files, found, strict=True):
        print(f"ok {path}: {len(made.nodes)} nodes")
    return 0


def _try(made: Flow, language: str, in_hours: bool) -> int:
    """A conversation in the terminal: lines from stdin, the bot's words on stdout."""
    step = flow.begin(made, language, in_hours)
    fields: dict[str, str] = {}
    while True:
        for line in _shown(step):
            print(line, flush=True)
        fields |= step.fields
        if step.done:
            break
        answer = _heard()
        if answer is None:
            return 0
        state: FlowState = step.state
        if flow.wants_human(answer, made.human_words):
            step = flow.FlowStep(state=state, done="hand_over")
        else:
            step = flow.hear(made, state, answer, "", language)
    for name, value in fields.items():
        print(f"[{name}: {clean(value)}]")
    where = f" to line {step.line}" if step.line else ""
    print("[closed]" if step.done == "close" else f"[handed over{where}]")
    return 0


def _shown(step: flow.FlowStep) -> Iterator[str]:
    for text, buttons in step.says:
        yield f"bot: {clean(text)}"
        for number, button in enumerate(buttons, 1):
            yield f"  {number}. {clean(button.text)}"


def _heard() -> str | None:
    if sys.stdin.isatty():
        print("you: ", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    return line.rstrip("\r\n") if line else None
