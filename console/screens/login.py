"""Signing in: server, name and password, asked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message as Posted
from textual.screen import Screen
from textual.widgets import Input, Static

from console.shell import shell


class LoginScreen(Screen[None]):
    """Asks for server and login. What was typed stays when the desk refuses it."""

    DEFAULT_CSS = """
    LoginScreen {
        align: center middle; background: $background;
        & Vertical { width: 66; max-width: 96%; height: auto; padding: 1 3; border: round $rule; }
        & .brand { color: $primary; text-style: bold; text-align: center; }
        & .motto { color: $faint; text-align: center; margin-bottom: 1; }
        & Input { border: none; height: 1; background: $panel; margin-bottom: 1; padding: 0 1; }
        & Input:focus { border: none; background: $selection; }
        & .label { color: $faint; }
        & #trouble { color: $error; height: auto; min-height: 1; }
        & .hint { color: $faint; height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "app.quit", show=False),
        Binding("f3", "language", show=False),
    ]

    @dataclass
    class Submitted(Posted):
        """The operator wants to sign in."""

        server: str
        name: str
        password: str

    class LanguageWanted(Posted):
        """The operator wants the next language."""

    def __init__(self, trouble: str = "") -> None:
        super().__init__()
        self._trouble = trouble

    def compose(self) -> ComposeResult:
        settings = shell(self).settings
        with Vertical():
            yield Static("navbat", classes="brand", markup=False)
            yield Static("", classes="motto", markup=False)
            yield Static("", classes="label", id="label-server", markup=False)
            yield Input(settings.server or "127.0.0.1:8700", id="server")
            yield Static("", classes="label", id="label-name", markup=False)
            yield Input(settings.name, id="name")
            yield Static("", classes="label", id="label-password", markup=False)
            yield Input(password=True, id="password")
            yield Static(self._trouble, id="trouble", markup=False)
            yield Static("", classes="hint", markup=False)

    def on_mount(self) -> None:
        self.translate()
        first = "name" if not shell(self).settings.name else "password"
        self.query_one("#" + ("server" if not shell(self).settings.server else first), Input).focus()

    def translate(self) -> None:
        """Writes the screen's texts in the present language."""
        words = shell(self).words
        for part in ("server", "name", "password"):
            self.query_one(f"#label-{part}", Static).update(words(f"login.{part}"))
        self.query_one(".motto", Static).update(words("login.motto"))
        self.query_one(".hint", Static).update(words("login.hint"))

    def action_language(self) -> None:
        self.post_message(self.LanguageWanted())

    def say(self, text: str) -> None:
        """Shows what went wrong, or what is being done."""
        self.query_one("#trouble", Static).update(text)

    @on(Input.Submitted)
    def _next(self, event: Input.Submitted) -> None:
        fields = [self.query_one(f"#{name}", Input) for name in ("server", "name", "password")]
        for field in fields:
            if not field.value.strip():
                field.focus()
                return
        server, name, password = fields
        self.say(shell(self).words("login.connecting"))
        self.post_message(self.Submitted(server.value.strip(), name.value.strip(), password.value))
