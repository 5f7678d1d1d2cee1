"""What the desk hands to its writer."""

from __future__ import annotations

from router.state import AnyTold, Delivery, OperatorState, Session


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

    @property
    def is_empty(self) -> bool:
        changed = self.sessions or self.closed or self.operators or self.fields
        return not (self.told or self.deliveries or changed)
