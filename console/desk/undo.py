"""What can be taken back: a command that leaves this computer only when its time for that is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.desk.part import Part
from console.shell import shell
from console.standing import Standing
from router.wire import protocol as wire

if TYPE_CHECKING:
    from console.desk.screen import MainScreen

UNDO = 5_000
"""ms during which a close or a transfer can be taken back."""


@dataclass
class Delayed:
    """A command that leaves when its time to be undone is over."""

    command: wire.SessionCommandFrame
    due: int
    text: str
    before: Standing
    """What the session was when the command was given."""


class Undo(Part):
    """One command waits at a time."""

    def __init__(self, desk: MainScreen) -> None:
        super().__init__(desk)
        self.delayed: Delayed | None = None

    def delay(self, command: wire.SessionCommandFrame, text: str) -> None:
        """Keeps a command for a moment; one that waits already leaves now."""
        self.flush()
        before = self.desk.stand(command.session)
        self.delayed = Delayed(command, shell(self.desk).clock() + UNDO, text, before)
        self.desk.verbs.refresh_keys()

    def run_due(self) -> None:
        if self.delayed is not None and self.delayed.due <= shell(self.desk).clock():
            self.flush()

    def flush(self) -> None:
        """Sends what waits to be undone: its time is over, or something follows that needs it."""
        delayed, self.delayed = self.delayed, None
        if delayed is not None:
            self.desk.errands.command(delayed.command)

    def do_undo(self) -> None:
        self.delayed = None
        self.desk.toast(shell(self.desk).words("undo.done"))

    def text(self) -> str:
        """What waits, with the seconds that are left; empty when nothing does."""
        if self.delayed is None:
            return ""
        left = max(0, self.delayed.due - shell(self.desk).clock())
        return f"{self.delayed.text} ({-(-left // 1000)})"
