"""The demo's console: the real one, with nothing of the user's own behind it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from console.app import Console
from console.link import Credentials
from console.settings import Shelf

HINT = (
    "You are “demo”, on duty with nodira and timur.\n"
    "t  take what is offered\n"
    "⏎  write, and again to send\n"
    "n  go to who waits longest\n"
    "c  close · x transfer · i note\n"
    "F1 all keys · ^Q leave the demo"
)


class DemoConsole(Console):
    """Leaves on Ctrl-C too: that is what one presses to end a demo."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", show=False, priority=True)]


def show(*, url: str, token: str, folder: Path) -> int:
    """Runs the console until it is left; its settings and drafts live and go with ``folder``."""
    state = folder / "console"
    state.mkdir(mode=0o700)
    console = DemoConsole(url, Credentials(token=token), shelf=Shelf(state), hint=HINT)
    return console.run() or 0
