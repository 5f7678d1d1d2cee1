"""The separate rights of the queue: what an operator may do in a line beyond his own sessions. Pure."""

from __future__ import annotations

from router.desk.events import Right
from router.desk.state import OperatorState


def may(operator: OperatorState, right: Right, line: str) -> bool:
    """Whether the operator has the right in the line."""
    if operator.rights is None:
        return right != "read_only" and leads(operator)
    return right in operator.rights.get("*", ()) or right in operator.rights.get(line, ())


def leads(operator: OperatorState) -> bool:
    """Supervisors and administrators act on what others hold."""
    return operator.role in ("supervisor", "admin")
