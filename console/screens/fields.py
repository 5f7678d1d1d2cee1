"""Dialogs with several values: labelled fields, and names in an order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from console.screens.dialogs import Dialog
from console.shell import shell
from console.text import values
from crm.kernel.text import one_line


@dataclass(frozen=True)
class Field:
    """One line to fill in; ``hint`` stands in it while it is empty."""

    key: str
    label: str
    value: str = ""
    hint: str = ""


class FieldsScreen(Dialog[dict[str, str]]):
    """Fill in some lines. Enter goes to the next one and gives all from the last; ^S gives them at once."""

    DEFAULT_CSS = """
    FieldsScreen {
        & .field { height: 1; width: 100%; }
        & .field Label { width: 16; color: $faint; }
        & .field Input { width: 1fr; margin: 0; }
        & .fields { height: auto; max-height: 14; scrollbar-size-vertical: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "give", show=False, priority=True),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, title: str, fields: Sequence[Field], about: str = "") -> None:
        super().__init__(title)
        self._fields = list(fields)
        self._about = about

    def compose(self) -> ComposeResult:
        with self.box():
            with VerticalScroll(classes="fields", can_focus=False):
                for number, field in enumerate(self._fields):
                    with Horizontal(classes="field"):
                        yield Label(one_line(field.label, 16), markup=False)
                        yield Input(field.value, placeholder=field.hint, id=f"field-{number}")
            yield Static(self._about, classes="hint", markup=False)
            yield Static(shell(self).words("fields.hint"), classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#field-0", Input).focus()

    @on(Input.Submitted)
    def _next(self, event: Input.Submitted) -> None:
        if event.input.id == f"field-{len(self._fields) - 1}":
            self.action_give()
        else:
            self.focus_next()

    def action_give(self) -> None:
        found = {
            field.key: self.query_one(f"#field-{number}", Input).value.strip()
            for number, field in enumerate(self._fields)
        }
        self.dismiss(found)


class MembersScreen(Dialog[list[str]]):
    """Who belongs to it and in which order: Space puts in or takes out, ``<`` and ``>`` move, Enter
    gives them. ``absent``: those whom nobody can log in as."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "flip", show=False, priority=True),
        Binding("enter,ctrl+s", "give", show=False, priority=True),
        Binding("less_than_sign,shift+up", "shift(-1)", show=False),
        Binding("greater_than_sign,shift+down", "shift(1)", show=False),
    ]

    def __init__(
        self, title: str, chosen: Sequence[str], everybody: Sequence[str], absent: Sequence[str] = ()
    ) -> None:
        super().__init__(title)
        self._absent = frozenset(absent)
        self._chosen = list(chosen)
        self._others = sorted(set(everybody) - set(chosen))

    def compose(self) -> ComposeResult:
        with self.box():
            yield OptionList(id="options", markup=False)
            yield Static(shell(self).words("members.hint"), classes="hint", markup=False)

    def on_mount(self) -> None:
        self._fill("")

    def _fill(self, at: str) -> None:
        options = self.query_one(OptionList)
        names = [*self._chosen, *self._others]
        options.clear_options()
        options.add_options([Option(self._line(name), id=str(n)) for n, name in enumerate(names)])
        options.highlighted = names.index(at) if at in names else 0 if names else None

    def _line(self, name: str) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        if name in self._chosen:
            text.append(f"{self._chosen.index(name) + 1:>3} ", "bold").append(one_line(name, 50))
        else:
            text.append("  – ", "dim").append(one_line(name, 50), "dim")
        if name in self._absent:
            text.append(f" · {shell(self).words('members.absent')}", "dim")
        return text

    def _marked(self) -> str:
        number = self.query_one(OptionList).highlighted
        return "" if number is None else [*self._chosen, *self._others][number]

    def action_flip(self) -> None:
        name = self._marked()
        if name in self._chosen:
            self._chosen.remove(name)
            self._others = sorted([*self._others, name])
        elif name:
            self._others.remove(name)
            self._chosen.append(name)
        self._fill(name)

    def action_shift(self, step: int) -> None:
        name = self._marked()
        self._chosen = values.moved(self._chosen, name, step)
        self._fill(name)

    def action_give(self) -> None:
        self.dismiss(list(self._chosen))
