"""The lines with their state, and the colleagues: the way into their forms."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList, Static

from console.screens.conversations import ConversationsScreen
from console.screens.dialogs import AskScreen
from console.screens.listing import Listing
from console.screens.rules import LineForm
from console.screens.staff import OperatorForm
from console.shell import shell
from console.text.wrap import fit
from console.widgets.chrome import DUTY_MARKS
from crm.kernel.text import one_line
from router.wire import protocol as wire
from router.wire.protocol import LineView, OperatorView

NAME_WIDTH, MODE_WIDTH = 14, 13
ROOMY = 76
"""Columns of the screen from which the modes are shown too."""


class Board(Listing[str]):
    """Live: who waits where, and who is there. Enter opens a line's rules or a colleague's settings, ``s``
    the conversations there; one that is chosen is given."""

    DEFAULT_CSS = """
    Board { & .box { width: 92; } }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sessions", show=False),
        Binding("a", "add", show=False),
    ]

    def compose(self) -> ComposeResult:
        with self.box():
            yield Static(self._columns(), classes="hint", markup=False)
            yield OptionList(id="options", markup=False)
            yield Static(shell(self).words("board.hint"), classes="hint", markup=False)

    def on_mount(self) -> None:
        self.fill()
        self.set_interval(1.0, self.fill)

    def fill(self) -> None:
        """Reads the picture again; the mark stays where it was."""
        picture = shell(self).picture
        lines = sorted(picture.lines.values(), key=lambda line: line.name)
        people = sorted((o for o in picture.operators.values() if o.role != "bot"), key=lambda o: o.name)
        rows = [(f"line:{line.name}", self._line(line)) for line in lines]
        rows += [(f"operator:{person.name}", self._person(person)) for person in people]
        self.put_rows(rows)

    @property
    def _roomy(self) -> bool:
        return self.app.size.width >= ROOMY

    def _columns(self) -> Text:
        words = shell(self).words
        heads = [words(f"board.{name}") for name in ("waiting", "oldest", "offered", "taken")]
        return Text(" " * self._lead() + "".join(_right(head) for head in heads), no_wrap=True)

    def _lead(self) -> int:
        """Cells before the figures."""
        return 2 + NAME_WIDTH + 1 + (MODE_WIDTH if self._roomy else 0)

    def _line(self, line: LineView) -> Text:
        app = shell(self)
        oldest = app.words.span(app.now() - line.oldest) if line.waiting and line.oldest else "–"
        text = Text("≡ " if line.open else "× ", no_wrap=True, overflow="ellipsis")
        text.append(fit(one_line(line.name, NAME_WIDTH), NAME_WIDTH) + " ", "bold")
        if self._roomy:
            text.append(fit(one_line(line.mode, MODE_WIDTH), MODE_WIDTH), "dim")
        for figure in (str(line.waiting), oldest, str(line.offered), str(line.taken)):
            text.append(_right(figure))
        return text if line.open else text.append("  " + app.words("board.closed"), "dim")

    def _person(self, person: OperatorView) -> Text:
        words = shell(self).words
        text = Text(f"{DUTY_MARKS[person.duty]} ", no_wrap=True, overflow="ellipsis")
        text.append(fit(one_line(person.name, NAME_WIDTH), NAME_WIDTH) + " ", "bold")
        text.append(f"{words(f'duty.{person.duty}')} · {words('pick.load', n=person.load)}")
        member_of = [line.name for line in shell(self).picture.lines.values() if person.name in line.members]
        lines = ", ".join(one_line(name, 20) for name in sorted({*member_of, *person.lines}))
        return text.append(f" · {lines}" if lines else "", "dim")

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        kind, _, name = (event.option_id or "").partition(":")
        self.app.push_screen(LineForm(self._ask, name) if kind == "line" else OperatorForm(self._ask, name))

    def action_add(self) -> None:
        """A new line, for administrators: its name first, then its rules."""

        def given(name: str | None) -> None:
            if name:
                self.add(name)

        words = shell(self).words
        if "administer" in shell(self).picture.rights:
            self.app.push_screen(AskScreen(words("board.add"), words("board.name")), given)
        else:
            self.warn("rules.locked")

    @work(group="add", exclusive=True)
    async def add(self, name: str) -> None:
        answer = await self._ask(wire.SetLine(rid=0, line=name, expected=0, changes={}), wire.Done)
        if not isinstance(answer, wire.Done):
            return
        if answer.code:
            self.tell_refusal(answer)
        else:
            self.app.push_screen(LineForm(self._ask, name))

    def action_sessions(self) -> None:
        kind, _, name = self.marked().partition(":")

        def chosen(session: str | None) -> None:
            if session:
                self.dismiss(session)

        line, holder = (name, "") if kind == "line" else ("", name)
        self.app.push_screen(ConversationsScreen(self._ask, line=line, holder=holder), chosen)


def _right(text: str, width: int = 9) -> str:
    return " " * max(1, width - cell_len(text)) + text
