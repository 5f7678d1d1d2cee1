"""A line's rules as a form: every setting with its value and what it does, changed together as one
version."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList, Static

from console.screens.dialogs import AskScreen, Choice, PickScreen
from console.screens.fields import Field, FieldsScreen, MembersScreen
from console.screens.listing import Listing
from console.screens.search import Ask
from console.screens.versions import VersionsScreen, stamp
from console.shell import shell
from console.text import values
from console.text.wrap import fit
from crm.kernel.text import one_line
from router.wire import protocol as wire
from router.wire.protocol import SettingView

NAME_WIDTH = 23


class LineForm(Listing[None]):
    """Changes are kept here until they are saved, all together; somebody else's change meanwhile is
    shown and nothing is lost."""

    DEFAULT_CSS = """
    LineForm {
        & .box { width: 100; }
        & #about { height: 4; color: $foreground; }
        & #made { height: auto; color: $faint; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False),
        Binding("d", "default", show=False),
        Binding("s,ctrl+s", "save", show=False),
        Binding("v", "versions", show=False),
    ]

    def __init__(self, ask: Ask, line: str) -> None:
        super().__init__(f"≡ {one_line(line, 40)}", ask)
        self._line = line
        self._version = 0
        self._settings: dict[str, SettingView] = {}
        self.changes: dict[str, str] = {}
        """Setting -> the text it shall have; not yet saved."""

    def compose(self) -> ComposeResult:
        with self.box():
            yield Static("", id="made", markup=False)
            yield OptionList(id="options", markup=False)
            yield Static("", id="about", markup=False)
            yield Static("", classes="hint", id="hint", markup=False)

    def on_mount(self) -> None:
        self.load()

    @work(group="rules", exclusive=True)
    async def load(self) -> None:
        """Reads what is in force; changes that are not saved stay."""
        found = await self._ask(wire.GetLine(rid=0, line=self._line), wire.LineSettings)
        if not isinstance(found, wire.LineSettings):
            if not self._settings:
                self.dismiss(None)
            return
        self._version = found.version
        self._settings = {view.name: view for view in found.settings}
        words = shell(self).words
        made = words(
            "rules.made", n=found.version, at=stamp(self, found.at), by=one_line(found.by, 30) or "–"
        )
        comment = one_line(found.comment, 60)
        self.query_one("#made", Static).update(made + (f" · {comment}" if comment else ""))
        self.fill()
        self.options.focus()

    # -------------------------------------------------------------- showing

    def fill(self) -> None:
        self.put_rows([(view.name, self._row(view)) for view in self._settings.values()])
        key = "rules.unsaved" if self.changes else "rules.hint"
        self.query_one("#hint", Static).update(shell(self).words(key, n=len(self.changes)))

    def value(self, name: str) -> str:
        """The text of a setting as the form has it; empty is the default."""
        return self.changes.get(name, self._settings[name].text)

    def _row(self, view: SettingView) -> Text:
        changed, value = view.name in self.changes, self.value(view.name)
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append("* " if changed else "  " if view.yours else "- ", "bold" if changed else "dim")
        text.append(fit(view.name, NAME_WIDTH) + " ", "" if view.yours else "dim")
        if value:
            return text.append(self._shown(view.name, value), "bold")
        return text.append(_bare(view.default), "dim")

    def _shown(self, name: str, value: str) -> str:
        read = values.read(value)
        if name == "hours":
            return one_line(values.week_short(read, self._days()), 200)
        if name == "shifts" and isinstance(read, dict):
            weeks = [f"{who}: {values.week_short(week, self._days())}" for who, week in read.items()]
            return one_line("; ".join(weeks), 200)
        if name.startswith("notices."):
            texts = values.text_fields(value).items()
            return one_line(
                " · ".join(f"{lang}: {text}" if lang else text for lang, text in texts if text), 200
            )
        return one_line(value, 200)

    def _days(self) -> dict[str, str]:
        return dict(zip(values.DAYS, shell(self).words("week.short").split(), strict=True))

    @on(OptionList.OptionHighlighted)
    def _explain(self, event: OptionList.OptionHighlighted) -> None:
        view = self._settings.get(event.option_id or "")
        if view is None:
            return
        words = shell(self).words
        facts = [words("rules.default", value=_bare(view.default))]
        if view.allowed:
            facts.append(words("rules.allowed", words=", ".join(one_line(w, 40) for w in view.allowed)))
        if not view.yours:
            facts.append(words("rules.locked"))
        if view.name == "members" and (absent := self._absent()):
            facts.append(words("members.nobody", names=", ".join(one_line(name, 20) for name in absent)))
        text = Text(" · ".join(facts) + "\n", "dim")
        text.append(words.setting(view.name, view.about), "not dim")
        self.query_one("#about", Static).update(text)

    # -------------------------------------------------------------- changing

    def put(self, name: str, text: str) -> None:
        """Changes a setting here; back to what is in force, it is no change."""
        if values.same(text, self._settings[name].text):
            self.changes.pop(name, None)
        else:
            self.changes[name] = text
        self.fill()

    def action_default(self) -> None:
        view = self._settings.get(self.marked())
        if view is not None and self._allowed(view):
            self.put(view.name, "")

    def _allowed(self, view: SettingView) -> bool:
        if not view.yours:
            self.warn("rules.locked")
        return view.yours

    @on(OptionList.OptionSelected)
    def _edit(self) -> None:
        view = self._settings.get(self.marked())
        if view is None or not self._allowed(view):
            return
        name = view.name
        if view.allowed:
            self._edit_word(view)
        elif name == "members":
            self._edit_members(name)
        elif name == "hours":
            self._edit_week(
                name, values.read(self.value(name)), lambda week: self.put(name, values.write(week))
            )
        elif name == "shifts":
            self._edit_shifts(name)
        elif name.startswith("notices."):
            self._edit_text(name)
        else:
            self._edit_line(view)

    def _edit_word(self, view: SettingView) -> None:
        words, now = shell(self).words, self.value(view.name) or view.default
        choices = [
            Choice(word, one_line(word, 40), words("rules.now") if word == now else "")
            for word in view.allowed
        ]

        def picked(word: str | None) -> None:
            if word is not None:
                self.put(view.name, "" if word == view.default else word)

        self.app.push_screen(PickScreen(view.name, choices, typing=False), picked)

    def _edit_members(self, name: str) -> None:
        def given(members: list[str] | None) -> None:
            if members is not None:
                self.put(name, values.write(members))

        everybody = [o.name for o in shell(self).picture.operators.values() if o.role != "bot"]
        chosen = values.read_names(self.value(name))
        self.app.push_screen(MembersScreen(name, chosen, everybody, self._absent()), given)

    def _absent(self) -> list[str]:
        """Members whom nobody can log in as. Whoever may change a line knows all who work in it."""
        there = shell(self).picture.operators
        return [name for name in values.read_names(self.value("members")) if name not in there]

    def _edit_week(self, title: str, value: object, then: Callable[[dict[str, list[str]]], None]) -> None:
        words = shell(self).words
        fields = [
            Field(day, words(f"week.{day}"), text, "09:00-18:00")
            for day, text in values.week_fields(value).items()
        ]

        def given(answer: dict[str, str] | None) -> None:
            if answer is not None:
                then(values.week(answer))

        self.app.push_screen(FieldsScreen(title, fields, words("week.hint")), given)

    def _edit_shifts(self, name: str) -> None:
        """Whose first: members, and those who have some."""
        read = values.read(self.value(name))
        shifts = read if isinstance(read, dict) else {}
        people = dict.fromkeys([*values.read_names(self.value("members")), *map(str, shifts)])
        days = self._days()
        choices = [
            Choice(person, one_line(person, 40), values.week_short(shifts.get(person), days))
            for person in people
        ]

        def picked(person: str | None) -> None:
            if person is None:
                return

            def given(week: dict[str, list[str]]) -> None:
                others = {who: hours for who, hours in shifts.items() if who != person}
                self.put(name, values.write({**others, person: week} if week else others))

            self._edit_week(person, shifts.get(person), given)

        self.app.push_screen(PickScreen(name, choices), picked)

    def _edit_text(self, name: str) -> None:
        words = shell(self).words
        fields = [
            Field(language, words("text.everybody") if not language else one_line(language, 12), text)
            for language, text in values.text_fields(self.value(name)).items()
        ]

        def given(answer: dict[str, str] | None) -> None:
            if answer is not None:
                self.put(name, values.write(values.by_language(answer)))

        told = f"{words.setting(name, self._settings[name].about)} · {words('text.hint')}"
        self.app.push_screen(FieldsScreen(name, fields, told), given)

    def _edit_line(self, view: SettingView) -> None:
        def given(text: str | None) -> None:
            if text is not None:
                self.put(view.name, "" if text == view.default else text)

        screen = AskScreen(view.name, one_line(view.default, 60), self.value(view.name))
        self.app.push_screen(screen, given)

    # -------------------------------------------------------------- saving

    def action_save(self) -> None:
        if not self.changes:
            return
        words = shell(self).words

        def given(comment: str | None) -> None:
            if comment is not None:
                self.save(comment)

        self.app.push_screen(
            AskScreen(words("rules.save", n=len(self.changes)), words("rules.comment")), given
        )

    @work(group="save", exclusive=True)
    async def save(self, comment: str) -> None:
        """One version of all changes. Refused, they stay in the form."""
        changes = dict(self.changes)
        frame = wire.SetLine(rid=0, line=self._line, expected=self._version, changes=changes, comment=comment)
        answer = await self._ask(frame, wire.Done)
        if not isinstance(answer, wire.Done):
            return
        if answer.code:
            self.tell_refusal(answer)
            if answer.code == "line_changed":
                self.load()
            return
        self.changes = {name: text for name, text in self.changes.items() if changes.get(name) != text}
        version = one_line(answer.params.get("version", ""), 20)
        self.notify(shell(self).words("rules.saved", n=version), markup=False)
        self.load()

    def action_versions(self) -> None:
        def done(rolled_back: str | None) -> None:
            if rolled_back:
                self.load()

        self.app.push_screen(VersionsScreen(self._ask, self._line, self._version), done)

    def action_leave(self) -> None:
        """Asks first when something is not saved."""
        if not self.changes:
            self.dismiss(None)
            return
        words = shell(self).words
        choices = [Choice("stay", words("rules.stay")), Choice("drop", words("rules.drop"))]

        def picked(what: str | None) -> None:
            if what == "drop":
                self.dismiss(None)

        self.app.push_screen(
            PickScreen(words("rules.leave", n=len(self.changes)), choices, typing=False), picked
        )


def _bare(default: str) -> str:
    """A default as it is shown; an empty list or mapping is nothing."""
    return "–" if default in ("", "[]", "{}") else one_line(default, 60)
