"""Signing in: server, name and password, asked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message as Posted
from textual.screen import Screen
from textual.widgets import Input, Static

from console.screens.swift import Swift
from console.shell import shell
from console.terminal.decoder import Paste

DEFAULT_SERVER = "127.0.0.1:8700"


class LoginScreen(Swift, Screen[None]):
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
    AUTO_FOCUS = ""
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

    def __init__(self, server: str = "", trouble: str = "") -> None:
        super().__init__()
        self._server = server or DEFAULT_SERVER
        self._trouble = trouble
        self._fields: list[Input] = []
        """Server, name and password; none before they can take what is typed."""
        self._ahead: list[events.Key | events.Paste] = []
        """What was typed before that."""
        self._asking = False
        """The desk is asked: what is typed meanwhile is for nobody."""

    def compose(self) -> ComposeResult:
        settings = shell(self).settings
        with Vertical():
            yield Static("navbat", classes="brand", markup=False)
            yield Static("", classes="motto", markup=False)
            yield Static("", classes="label", id="label-server", markup=False)
            yield Input(self._server, id="server")
            yield Static("", classes="label", id="label-name", markup=False)
            yield Input(settings.name, id="name")
            yield Static("", classes="label", id="label-password", markup=False)
            yield Input(password=True, id="password")
            yield Static(self._trouble, id="trouble", markup=False)
            yield Static("", classes="hint", markup=False)

    def on_mount(self) -> None:
        self.translate()
        self._fields = [self.query_one(f"#{name}", Input) for name in ("server", "name", "password")]
        self._go_to_empty()
        for event in self._ahead:
            self.take(event)
        self._ahead.clear()

    def _go_to_empty(self) -> bool:
        """Puts the cursor into the first empty field, if there is one."""
        for field in self._fields:
            if not field.value.strip():
                self.set_focus(field)
                return True
        return False

    # -------------------------------------------------------------- typing

    def take(self, event: events.Key | events.Paste) -> bool:
        """Does at once what is typed: a letter is in its field, and Enter has moved the cursor, before
        the next key is looked at. So no letter of a password lands in the name, however fast they
        come. False: not for us (an arrow, a function key)."""
        if not self._fields:
            self._ahead.append(event)
            return True
        if isinstance(event, Paste):  # unmarked: several fields typed ahead, or pasted together
            for key in event.keys:
                if isinstance(key, events.Key):
                    self._press(key)
            return True
        if isinstance(event, events.Paste):
            line = event.text.strip("\r\n").partition("\r")[0].partition("\n")[0]
            self._write("".join(filter(str.isprintable, line)))
            return True
        return self._press(event)

    def _press(self, event: events.Key) -> bool:
        if event.key == "enter":
            self._enter()
        elif event.key == "backspace" and isinstance(self.focused, Input):
            self.focused.action_delete_left()
        elif event.is_printable and event.character:
            self._write(event.character)
        elif event.key in ("tab", "down"):
            self.focus_next()
        elif event.key in ("shift+tab", "up"):
            self.focus_previous()
        else:
            return False
        return True

    def _write(self, text: str) -> None:
        field = self.focused
        if isinstance(field, Input) and not self._asking:
            field.replace(text, *sorted(field.selection))

    def _enter(self) -> None:
        if self._asking or self._go_to_empty():
            return
        server, name, password = self._fields
        self.say(shell(self).words("login.connecting"))
        self._asking = True
        self.post_message(self.Submitted(server.value.strip(), name.value.strip(), password.value))

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
        """Shows what went wrong, or what is being done; the fields can be written in again."""
        self._asking = False
        self.query_one("#trouble", Static).update(text)
