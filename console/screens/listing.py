"""A dialog over a list that asks the desk and is told when it is refused."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from console.screens.dialogs import Dialog, ShowScreen, T
from console.screens.search import Ask
from console.shell import shell
from crm.kernel.text import clean, one_line
from router.wire import protocol as wire


class Listing(Dialog[T]):
    """Arrows or ``j`` and ``k`` move the mark."""

    DEFAULT_CSS = """
    Listing {
        & .box { height: 85%; }
        & OptionList { height: 1fr; max-height: 100%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "down(1)", show=False),
        Binding("k", "down(-1)", show=False),
    ]

    def __init__(self, title: str, ask: Ask) -> None:
        super().__init__(title)
        self._ask = ask

    @property
    def options(self) -> OptionList:
        return self.query_one(OptionList)

    def marked(self) -> str:
        """The id under the mark; empty when there is none."""
        number = self.options.highlighted
        return "" if number is None else self.options.get_option_at_index(number).id or ""

    def action_down(self, step: int) -> None:
        (self.options.action_cursor_down if step > 0 else self.options.action_cursor_up)()

    def put_rows(self, rows: list[tuple[str, Text]]) -> None:
        """Shows these rows (id, text); the mark stays where it was."""
        ids = [self.options.get_option_at_index(n).id for n in range(self.options.option_count)]
        if ids == [id for id, _ in rows]:
            for id, text in rows:
                self.options.replace_option_prompt(id, text)
            return
        at = self.options.highlighted or 0
        self.options.clear_options()
        self.options.add_options([Option(text, id=id) for id, text in rows])
        self.options.highlighted = min(at, len(rows) - 1) if rows else None

    def warn(self, key: str) -> None:
        self.notify(shell(self).words(key), severity="warning", markup=False)

    def tell_refusal(self, answer: wire.Done) -> None:
        """Why nothing was changed; settings that cannot be with all their problems."""
        words = shell(self).words
        if answer.code == "bad_settings":
            problems = clean(answer.params.get("problems", ""), 4000)
            self.app.push_screen(ShowScreen(words("rules.problems"), Text(problems)))
            return
        params = {key: one_line(value, 200) for key, value in answer.params.items()}
        text = words.coded("refused", one_line(answer.code, 60), params)
        self.notify(text, severity="warning", markup=False)
