"""An operator's settings as a form: absences, and for administrators lines, load, skills, languages."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList, Static

from console.screens.dialogs import AskScreen
from console.screens.fields import Field, FieldsScreen, MembersScreen
from console.screens.listing import Listing
from console.screens.search import Ask
from console.shell import shell
from console.text.wrap import fit
from crm.kernel.records import Absence
from crm.kernel.text import one_line
from router.wire import protocol as wire

NAME_WIDTH = 18
ABSENCE = "absence:"


class OperatorForm(Listing[None]):
    """Each change is saved at once; it holds from then on for every line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", show=False),
        Binding("d", "drop", show=False),
    ]

    def __init__(self, ask: Ask, operator: str) -> None:
        super().__init__(one_line(operator, 40), ask)
        self._operator = operator
        self.settings: wire.OperatorSettings | None = None

    def compose(self) -> ComposeResult:
        with self.box():
            yield OptionList(id="options", markup=False)
            yield Static(shell(self).words("staff.hint"), classes="hint", markup=False)

    def on_mount(self) -> None:
        self.load()

    @work(group="staff", exclusive=True)
    async def load(self) -> None:
        frame = wire.GetOperator(rid=0, operator=self._operator)
        found = await self._ask(frame, wire.OperatorSettings)
        if not isinstance(found, wire.OperatorSettings):
            self.dismiss(None)
            return
        self.settings = found
        self.put_rows(self._rows(found))
        self.options.focus()

    def _rows(self, found: wire.OperatorSettings) -> list[tuple[str, Text]]:
        words = shell(self).words
        values = {
            "lines": ", ".join(found.lines),
            "max_sessions": str(found.max_sessions),
            "skills": ", ".join(found.skills),
            "languages": ", ".join(found.languages),
        }
        rows = [
            (name, self._row(words(f"staff.{name}"), value, name in found.may))
            for name, value in values.items()
        ]
        absences = [
            (f"{ABSENCE}{n}", self._row(words("staff.absences"), _days(absence), "absences" in found.may))
            for n, absence in enumerate(found.absences)
        ]
        none = [("absences", self._row(words("staff.absences"), "", "absences" in found.may))]
        return [*rows, *(absences or none)]

    def _row(self, label: str, value: str, yours: bool) -> Text:
        text = Text("  " if yours else "- ", "dim", no_wrap=True, overflow="ellipsis")
        text.append(fit(label, NAME_WIDTH) + " ")
        return text.append(one_line(value, 200) or "–", "bold" if yours and value else "dim")

    def _may(self, name: str) -> bool:
        may = self.settings is not None and name in self.settings.may
        if not may:
            self.warn("rules.locked")
        return may

    # -------------------------------------------------------------- changing

    @on(OptionList.OptionSelected)
    def _edit(self) -> None:
        name, found = self.marked(), self.settings
        if found is None:
            return
        if name.startswith(ABSENCE):
            self._edit_absence(int(name.removeprefix(ABSENCE)))
        elif name == "absences":
            self.action_add()
        elif not self._may(name):
            return
        elif name == "lines":
            screen = MembersScreen(
                shell(self).words("staff.lines"), found.lines, list(shell(self).picture.lines)
            )
            self.app.push_screen(screen, self._put_lines)
        elif name == "max_sessions":
            self._ask_line(name, str(found.max_sessions), self._put_number)
        else:
            now = ", ".join(getattr(found, name))
            self._ask_line(name, now, lambda text: self._put_names(name, text))

    def _ask_line(self, name: str, now: str, then: Callable[[str], None]) -> None:
        def given(text: str | None) -> None:
            if text is not None:
                then(text)

        self.app.push_screen(AskScreen(shell(self).words(f"staff.{name}"), value=now), given)

    def _put_lines(self, lines: list[str] | None) -> None:
        if lines is not None:
            self.save(wire.SetOperator(rid=0, operator=self._operator, lines=lines))

    def _put_number(self, text: str) -> None:
        if text.isdecimal():
            self.save(wire.SetOperator(rid=0, operator=self._operator, max_sessions=int(text[:9])))
        else:
            self.warn("staff.number")

    def _put_names(self, name: str, text: str) -> None:
        names = [part.strip() for part in text.split(",") if part.strip()]
        frame = wire.SetOperator(rid=0, operator=self._operator)
        setattr(frame, name, names)
        self.save(frame)

    # -------------------------------------------------------------- absences

    def action_add(self) -> None:
        self._edit_absence(-1)

    def action_drop(self) -> None:
        name = self.marked()
        if name.startswith(ABSENCE) and self.settings is not None and self._may("absences"):
            kept = list(self.settings.absences)
            del kept[int(name.removeprefix(ABSENCE))]
            self.save(wire.SetOperator(rid=0, operator=self._operator, absences=kept))

    def _edit_absence(self, number: int) -> None:
        """One absence; -1 is a new one."""
        found, words = self.settings, shell(self).words
        if found is None or not self._may("absences"):
            return
        old = found.absences[number] if number >= 0 else Absence(from_="", to="")
        fields = [
            Field("from", words("absence.from"), old.from_, "2026-03-02"),
            Field("to", words("absence.to"), old.to, "2026-03-09"),
            Field("reason", words("absence.reason"), old.reason),
        ]

        def given(answer: dict[str, str] | None) -> None:
            if answer is None:
                return
            first = answer["from"]
            new = Absence(from_=first, to=answer["to"] or first, reason=answer["reason"])
            kept = [a for n, a in enumerate(found.absences) if n != number]
            kept = sorted([*kept, new], key=lambda a: (a.from_, a.to))
            self.save(wire.SetOperator(rid=0, operator=self._operator, absences=kept))

        title = f"{one_line(self._operator, 40)} · {words('staff.absences')}"
        self.app.push_screen(FieldsScreen(title, fields, words("absence.hint")), given)

    @work(group="save", exclusive=True)
    async def save(self, frame: wire.SetOperator) -> None:
        answer = await self._ask(frame, wire.Done)
        if isinstance(answer, wire.Done):
            if answer.code:
                self.tell_refusal(answer)
            self.load()


def _days(absence: Absence) -> str:
    days = absence.from_ if absence.from_ == absence.to else f"{absence.from_} … {absence.to}"
    return f"{days}  {absence.reason}" if absence.reason else days
