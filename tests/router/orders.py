"""Commands as tests write them down."""

from __future__ import annotations

from typing import Any

from router.desk import events


def order(
    name: str, *, operator: str, event_id: str = "", at: int = 0, attempt: str = "", **fields: Any
) -> events.Ordered:
    """An operator's command of that name, as it stands in the log."""
    command = events.COMMANDS[name](rid=0, id=event_id.removeprefix(f"{operator}/"), **fields)
    return events.Ordered(at=at, event_id=event_id, operator=operator, attempt=attempt, command=command)
