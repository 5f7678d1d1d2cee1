"""The versions of a line's rules: who changed what and when, and going back to one."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.dom import DOMNode
from textual.widgets import OptionList, Static

from console.screens.dialogs import AskScreen
from console.screens.listing import Listing
from console.screens.search import Ask
from console.shell import shell
from console.text.words import local
from crm.kernel.text import clean, one_line
from router.wire import protocol as wire
from router.wire.protocol import LineVersionView


def stamp(node: DOMNode, at: int) -> str:
    """A moment as day and time on the user's clock."""
    return local(at, shell(node).zone).strftime("%Y-%m-%d %H:%M")


class VersionsScreen(Listing[str]):
    """The newest first; what the marked one changed stands below. ``b`` puts it in force again, as a new
    version, and gives that version's number."""

    DEFAULT_CSS = """
    VersionsScreen {
        & .box { width: 100; }
        & .body { height: 1fr; max-height: 100%; border-top: solid $rule; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("b", "go_back", show=False)]

    def __init__(self, ask: Ask, line: str, version: int) -> None:
        super().__init__(f"≡ {one_line(line, 40)}", ask)
        self._line = line
        self._version = version
        """The newest, as far as the form knows."""
        self._versions: dict[str, LineVersionView] = {}

    def compose(self) -> ComposeResult:
        with self.box():
            yield OptionList(id="options", markup=False)
            with VerticalScroll(classes="body", can_focus=False):
                yield Static("", id="diff", markup=False)
            yield Static(shell(self).words("versions.hint"), classes="hint", markup=False)

    def on_mount(self) -> None:
        self.load()

    @work(group="versions", exclusive=True)
    async def load(self) -> None:
        found = await self._ask(wire.GetLineVersions(rid=0, line=self._line, limit=100), wire.LineVersions)
        if not isinstance(found, wire.LineVersions):
            self.dismiss(None)
            return
        self._versions = {str(view.version): view for view in found.versions}
        self._version = max((view.version for view in found.versions), default=self._version)
        self.put_rows([(id, self._row(view)) for id, view in self._versions.items()])
        self.options.focus()

    def _row(self, view: LineVersionView) -> Text:
        words = shell(self).words
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{view.version:>4}  ", "bold")
        text.append(f"{stamp(self, view.at)}  ", "dim")
        text.append(f"{one_line(view.by, 24) or '–'} ")
        text.append(f"({words.maybe(f'source.{view.source}', view.source)})  ", "dim")
        keys = words("versions.removed") if view.removed else ", ".join(one_line(k, 40) for k in view.changed)
        text.append(keys)
        comment = one_line(view.comment, 80)
        return text.append(f"  “{comment}”", "italic") if comment else text

    @on(OptionList.OptionHighlighted)
    def _show(self, event: OptionList.OptionHighlighted) -> None:
        view = self._versions.get(event.option_id or "")
        if view is None:
            return
        text = Text()
        for key, (before, after) in view.changed.items():
            text.append(one_line(key, 60) + "\n", "bold")
            for mark, value in (("-", before), ("+", after)):
                if value:
                    text.append(f"  {mark} {clean(value, 2000)}\n")
        if not view.changed:
            text.append(shell(self).words("versions.same"), "dim")
        self.query_one("#diff", Static).update(text)

    def action_go_back(self) -> None:
        """Asks for a comment first: Escape there leaves everything as it is."""
        id, words = self.marked(), shell(self).words
        if not id:
            return

        def given(comment: str | None) -> None:
            if comment is not None:
                self.go_back(int(id), comment)

        self.app.push_screen(AskScreen(words("versions.back", n=id), words("rules.comment")), given)

    @work(group="back", exclusive=True)
    async def go_back(self, to: int, comment: str) -> None:
        frame = wire.RollbackLine(rid=0, line=self._line, expected=self._version, to=to, comment=comment)
        answer = await self._ask(frame, wire.Done)
        if not isinstance(answer, wire.Done):
            return
        if answer.code:
            self.tell_refusal(answer)
            self.load()
            return
        version = one_line(answer.params.get("version", ""), 20)
        self.notify(shell(self).words("rules.saved", n=version), markup=False)
        self.dismiss(version)
