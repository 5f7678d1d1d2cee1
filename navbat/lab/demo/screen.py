"""The demo's console: the real one, with nothing of the user's own behind it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from console.app import Console
from console.link import Credentials
from console.settings import Shelf

WHO = {
    "en": "You are “demo”, on duty with nodira and timur.",
    "ru": "Вы – «demo», на смене с nodira и timur.",
    "uz": "Siz – “demo”, nodira va timur bilan smenadasiz.",
}


class DemoConsole(Console):
    """Ctrl-C asks whether to leave: that is what one presses to end a demo."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "ask_quit", show=False, priority=True)]

    def start_hint(self) -> str:
        return f"{WHO[self.words.language]}\n{super().start_hint()}"


def show(*, url: str, token: str, folder: Path) -> int:
    """Runs the console until it is left; its settings and drafts live and go with ``folder``."""
    state = folder / "console"
    state.mkdir(mode=0o700)
    console = DemoConsole(url, Credentials(token=token), shelf=Shelf(state), greet=True)
    return console.run() or 0
