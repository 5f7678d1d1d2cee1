"""What the desk hands to its writer."""

from __future__ import annotations

from router.desk.state import AnyTold, Aside, Delivery, Known, OperatorState, Session


class Outcome:
    """What has changed since it was last drained: to be committed as one."""

    def __init__(self) -> None:
        self.told: list[AnyTold] = []
        self.deliveries: list[Delivery] = []
        self.sessions: dict[str, Session] = {}
        self.closed: dict[str, Session] = {}
        self.operators: dict[str, OperatorState] = {}
        self.fields: set[str] = set()
        self.refused: set[str] = set()
        """Ids of commands that changed nothing: they may come again."""
        self.acquainted: dict[str, Known] = {}
        """Chat -> who writes there, which the store does not know yet: his session was closed, or the chat
        has moved."""
        self.aside: list[Aside] = []
        """What could not be worked on."""
        self.unreadable: list[tuple[str, str]] = []
        """What of it was saved state, as (key, field)."""
        self.fired: list[tuple[str, str]] = []
        """Timers that fired, as (owner, kind)."""

    @property
    def is_empty(self) -> bool:
        changed = self.sessions or self.closed or self.operators or self.fields
        return not (self.told or self.deliveries or changed or self.aside)
