"""The conversations of a line or of a colleague, open and closed: the newest first."""

from __future__ import annotations

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.widgets import OptionList, Static

from console.screens.listing import Listing
from console.screens.search import Ask
from console.shell import shell
from console.text.wrap import fit
from crm.kernel.text import one_line
from router.wire import protocol as wire
from router.wire.protocol import SessionView

LIMIT = 200
NAME_WIDTH, STATUS_WIDTH, HOLDER_WIDTH = 18, 14, 12


class ConversationsScreen(Listing[str]):
    """Enter gives the marked session."""

    DEFAULT_CSS = """
    ConversationsScreen { & .box { width: 100; } }
    """

    def __init__(self, ask: Ask, *, line: str = "", holder: str = "") -> None:
        super().__init__(one_line(line or holder, 40), ask)
        self._line, self._holder = line, holder

    def compose(self) -> ComposeResult:
        with self.box():
            yield OptionList(id="options", markup=False)
            yield Static("", classes="hint", id="count", markup=False)

    def on_mount(self) -> None:
        self.load()

    @work(group="conversations", exclusive=True)
    async def load(self) -> None:
        frame = wire.GetSessions(rid=0, line=self._line, holder=self._holder, limit=LIMIT)
        found = await self._ask(frame, wire.SessionList)
        if not isinstance(found, wire.SessionList):
            self.dismiss(None)
            return
        self.put_rows([(view.id, self._row(view)) for view in found.sessions])
        self.query_one("#count", Static).update(shell(self).words("search.count", n=len(found.sessions)))
        self.options.focus()

    def _row(self, view: SessionView) -> Text:
        words = shell(self).words
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(fit(one_line(view.name or view.chat, 60), NAME_WIDTH) + " ", "bold")
        status = words.maybe(f"status.{view.status}", view.status)
        text.append(fit(status, STATUS_WIDTH) + " ")
        who = view.line if self._holder else view.holder or view.bot
        text.append(fit(one_line(who or "–", 40), HOLDER_WIDTH) + " ")
        return text.append(one_line(view.last_text, 200), "dim")

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)
