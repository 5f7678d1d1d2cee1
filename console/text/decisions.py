"""A routing decision in words: why, to whom, among whom, what dropped the others, and the timers."""

from __future__ import annotations

from datetime import tzinfo

from console.text.words import Words, hour
from crm.kernel.text import one_line
from router.wire.protocol import DecisionView


def decision_lines(words: Words, decision: DecisionView, zone: tzinfo | None) -> list[str]:
    """The reason first, then one line for each fact."""
    chosen = one_line(decision.chosen, 60)
    lines = [
        words.maybe(f"because.{decision.why}", decision.why),
        words("why.chosen", name=chosen) if chosen else words("why.nobody"),
    ]
    if decision.candidates:
        names = ", ".join(one_line(name, 60) for name in decision.candidates)
        lines.append(words("why.among", names=names))
    for name, reason in decision.dropped.items():
        lines.append(f"✗ {one_line(name, 60)}: {words.maybe(f'dropped.{reason}', reason)}")
    for kind, due in decision.timers.items():
        clock = words.maybe("timer." + kind.partition(":")[0], kind)
        lines.append(f"◷ {hour(due, zone)} {clock}")
    return lines
