"""Searching messages: in one session, for one customer, or everywhere this login may look."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from console.screens.dialogs import Modal
from console.shell import shell
from console.text.words import local
from crm.kernel.records import Message
from crm.kernel.text import one_line
from router.wire import protocol as wire

Ask = Callable[[wire.Request, type[wire.Frame]], Awaitable[wire.Frame | None]]


@dataclass(frozen=True)
class Found:
    """The message to go to."""

    session: str
    message: str


class SearchScreen(Modal[Found]):
    """Type, Enter searches; Enter on a result goes there. ^T widens from a session to everything."""

    DEFAULT_CSS = """
    SearchScreen {
        align: center middle; background: $background 60%;
        & .box { width: 84; max-width: 96%; height: auto; max-height: 90%; padding: 0 1;
                 background: $surface; border: round $rule; }
        & Input { border: none; height: 1; padding: 0 1; background: $panel; }
        & Input:focus { border: none; }
        & OptionList { border: none; height: auto; max-height: 18; background: $surface; padding: 0; }
        & OptionList:focus { border: none; }
        & .hint { color: $faint; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", show=False),
        Binding("ctrl+t", "widen", show=False, priority=True),
        Binding("down", "results", show=False),
    ]

    def __init__(self, ask: Ask, session: str = "") -> None:
        super().__init__()
        self._ask = ask
        self._session = session
        self._wide = not session
        self._found: dict[str, Message] = {}

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Input(id="query")
            yield Static("", classes="hint", id="scope", markup=False)
            yield OptionList(id="results", markup=False)

    def on_mount(self) -> None:
        self._say_scope()
        self.query_one(Input).focus()

    def _say_scope(self, extra: str = "") -> None:
        words = shell(self).words
        scope = words("search.everywhere" if self._wide else "search.here")
        self.query_one("#scope", Static).update(scope + (f" · {extra}" if extra else ""))

    def action_widen(self) -> None:
        """Switches between this session and everything; a search opened without one stays wide."""
        if self._session:
            self._wide = not self._wide
            self._say_scope()
            if self.query_one(Input).value:
                self.look()

    def action_results(self) -> None:
        if self.query_one(OptionList).option_count:
            self.query_one(OptionList).focus()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.look()

    @work(group="search", exclusive=True)
    async def look(self) -> None:
        """Asks the desk and lists what it found, newest first."""
        text = self.query_one(Input).value.strip()
        if not text:
            return
        frame = wire.Search(rid=0, text=text, session="" if self._wide else self._session, limit=50)
        page = await self._ask(frame, wire.Page)
        if not isinstance(page, wire.Page):
            return
        self._found = {message.id: message for message in page.messages}
        options = self.query_one(OptionList)
        options.clear_options()
        newest = sorted(page.messages, key=lambda m: -m.at)
        options.add_options([Option(self._line(message), id=message.id) for message in newest])
        self._say_scope(shell(self).words("search.count", n=len(newest)))
        if newest:
            options.highlighted = 0
            options.focus()

    def _line(self, message: Message) -> Text:
        app = shell(self)
        view = app.picture.sessions.get(message.session)
        who = (view.name if view is not None else "") if message.direction == "in" else message.author
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(local(message.at, app.zone).strftime("%d.%m %H:%M  "), "dim")
        text.append(one_line(who or app.words("thread.customer"), 20) + "  ", "bold")
        text.append(one_line(message.text, 300))
        return text

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        message = self._found.get(event.option_id or "")
        if message is not None:
            self.dismiss(Found(message.session, message.id))
