"""The card of one object: its fields, changed where they stand, and what belongs to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList, Static

from console.crm.converting import convert, told
from console.crm.page import CrmPage, Possible
from console.crm.steps import pick_stage
from console.crm.timeline import PastPage
from console.crm.values import label, shown, stage_of, title, value_of, written
from console.screens.dialogs import AskScreen, Choice, PickScreen
from console.screens.search import Ask
from console.shell import shell
from console.text.wrap import fit
from crm.kernel.errors import Refused, Unavailable
from crm.kernel.fields import ObjectField
from crm.kernel.text import one_line
from router.wire import protocol as wire

LABEL_WIDTH = 18
FIRST = (
    "title",
    "name",
    "kind",
    "stage",
    "lost_reason",
    "amount",
    "phones",
    "emails",
    "due_at",
    "responsible",
)
"""What one looks for comes first; the other fields follow as they are declared, the desk's own last."""
HIDDEN = frozenset({"semantics", "funnel", "version", "files"})


class ObjectPage(CrmPage[None]):
    """Enter changes the marked field or opens what is linked, ``e`` changes the link, ``m`` the stage, ``x`` converts a lead, ``k`` opens the tasks, ``h`` what
    happened, ``d`` deletes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "rewrite", show=False),
        Binding("m", "move", show=False),
        Binding("x", "convert", show=False),
        Binding("k", "tasks", show=False),
        Binding("h", "happened", show=False),
        Binding("d", "drop", show=False),
        Binding("r", "load", show=False),
    ]

    def __init__(self, ask: Ask, of: str, id: str, declared: Possible) -> None:
        super().__init__("", ask)
        self.of, self.object = of, id
        self.declared = declared
        self.item: dict[str, Any] = {}
        self._may: frozenset[str] = frozenset()
        self._named: dict[str, str] = {}
        """Id of an object that is linked -> what it is called."""

    def compose(self) -> ComposeResult:
        with self.box():
            yield OptionList(id="options", markup=False)
            yield Static("", classes="hint", id="about", markup=False)
            hints = {"lead": "crm.lead_hint", "deal": "crm.deal_hint", "customer": "crm.person_hint"}
            hint = hints.get(self.of, "crm.card_hint")
            yield Static(shell(self).words(hint), classes="hint", markup=False)

    def on_mount(self) -> None:
        self.options.focus()
        self.action_load()

    @work(group="object", exclusive=True)
    async def action_load(self) -> None:
        if not self.declared.fields and not await self.declare():
            return
        found = await self.fetch()
        if found is not None:
            self._show(found)
        elif not self.item:
            self.dismiss(None)

    async def fetch(self) -> wire.ObjectShown | None:
        """What is shown, as the desk has it; None, and said, when it is not to be had."""
        frame = wire.GetObject(rid=0, type=self.of, id=self.object)
        found = await self._ask(frame, wire.ObjectShown)
        return found if isinstance(found, wire.ObjectShown) else None

    async def put(self, fields: dict[str, Any], version: int) -> wire.ObjectShown | None:
        """Changes fields on that version; None, and said, when it was refused."""
        frame = wire.SetObject(rid=0, type=self.of, id=self.object, fields=fields, version=version)
        answer = await self._ask(frame, wire.ObjectShown)
        return answer if isinstance(answer, wire.ObjectShown) else None

    def hints(self) -> list[tuple[str, Text]]:
        """Rows before the fields: what wants an answer."""
        return []

    def all_rows(self) -> list[tuple[str, Text]]:
        return [*self.hints(), *((field.name, self._row(field)) for field in self._fields())]

    def _show(self, found: wire.ObjectShown) -> None:
        self.item, self._may = found.object, frozenset(found.may)
        words = shell(self).words
        self.frame_title(Text(f"{words(f'crm.{self.of}')} · {title(self.item)}").markup)
        self.put_rows(self.all_rows())
        locked = "" if "edit" in self._may and not self._is_converted else words("crm.locked")
        if self._is_converted:
            locked = words("crm.converted")
        self.query_one("#about", Static).update(locked)
        self.name_links()

    @work(group="links", exclusive=True)
    async def name_links(self) -> None:
        """What is linked is shown by its name. One that this login may not read stays an id."""
        for field in self._fields():
            id = value_of(field, self.item)
            if field.kind == "reference" and id and id not in self._named:
                self._named[id] = await self._name_of(field.to, id) or id
            self.put_rows(self.all_rows())

    async def _name_of(self, of: str, id: str) -> str:
        """Empty, and nothing said, where this login may not read it."""
        link = shell(self).link
        if link is None:
            return ""
        try:
            if of == "customer":
                person = await link.request(wire.GetCustomer(rid=0, customer=id), wire.CustomerShown)
                return title(person.customer)
            return title((await link.request(wire.GetObject(rid=0, type=of, id=id), wire.ObjectShown)).object)
        except (Refused, Unavailable):
            return ""

    @property
    def _is_converted(self) -> bool:
        return bool(self.item.get("converted"))

    def _fields(self) -> list[ObjectField]:
        """Those that are worth a line: what can be changed, and what the desk has written."""
        there = self.declared.fields.get(self.of, {})
        first = [there[name] for name in FIRST if name in there]
        others = [field for field in there.values() if field.name not in FIRST]
        ordered = [*first, *sorted(others, key=lambda field: field.read_only)]
        return [
            field
            for field in ordered
            if field.name not in HIDDEN and (not field.read_only or value_of(field, self.item))
        ]

    def _row(self, field: ObjectField) -> Text:
        words = shell(self).words
        value = shown(field, value_of(field, self.item), words, shell(self).zone)
        if field.name == "stage":
            value = stage_of(self.item, self.declared.funnels.get(self.of, {}), words)
        value = self._named.get(value, value)
        changes = self._can_change(field)
        text = Text("  " if changes else "- ", "dim", no_wrap=True, overflow="ellipsis")
        text.append(fit(label(field, words), LABEL_WIDTH) + " ", "" if changes else "dim")
        return text.append(one_line(value, 300) or "–", "bold" if value and changes else "dim")

    def _can_change(self, field: ObjectField) -> bool:
        return "edit" in self._may and not field.read_only and not self._is_converted

    # -------------------------------------------------------------- changing

    @on(OptionList.OptionSelected)
    def _edit(self) -> None:
        field = self.declared.fields.get(self.of, {}).get(self.marked())
        if field is None:
            return
        value = value_of(field, self.item)
        if field.name in ("stage", "funnel"):
            self.action_move()
        elif field.kind == "reference" and value:
            self.app.push_screen(page_of(self._ask, field.to, value, self.declared), lambda _: self.reload())
        elif not self._can_change(field):
            self.warn("crm.locked")
        elif field.kind == "flag":
            self.save({field.name: not value_of(field, self.item)})
        elif field.choices:
            self._pick(field)
        else:
            self._write(field)

    def reload(self) -> None:
        """What was in front has gone, and may have changed something."""
        self.action_load()

    def action_rewrite(self) -> None:
        """The marked field as a line of text, also where Enter goes to what is linked."""
        field = self.declared.fields.get(self.of, {}).get(self.marked())
        if field is not None and self._can_change(field) and not field.choices and field.name != "stage":
            self._write(field)

    def _pick(self, field: ObjectField) -> None:
        words = shell(self).words
        choices = [Choice(one, words.maybe(f"choice.{one}", one)) for one in field.choices]

        def picked(value: str | None) -> None:
            if value is not None:
                self.save({field.name: value})

        self.app.push_screen(PickScreen(label(field, words), choices, typing=len(choices) > 9), picked)

    def _write(self, field: ObjectField) -> None:
        words = shell(self).words
        now = written(field, value_of(field, self.item), shell(self).zone)

        def given(text: str | None) -> None:
            if text is not None and text != now:
                self.save({field.name: text})

        example = words.maybe(f"crm.example.{field.kind}", "")
        self.app.push_screen(AskScreen(label(field, words), example, now), given)

    @work(group="save")
    async def save(self, fields: dict[str, Any], version: int | None = None) -> None:
        """Writes on the version that is on screen; when somebody was faster, both values are shown and asked
        about."""
        on = self.item["version"] if version is None else version
        answer = await self.put(fields, on)
        if answer is None:
            return
        self._show(answer)
        if answer.conflicts:
            self._ask_which(fields, answer)

    def _ask_which(self, fields: dict[str, Any], answer: wire.ObjectShown) -> None:
        words, zone = shell(self).words, shell(self).zone
        there = self.declared.fields.get(self.of, {})
        path, both = next(iter(answer.conflicts.items()))
        field = next((one for one in there.values() if one.path == path), None)
        now, yours = both.get("now"), both.get("yours")
        said = [shown(field, one, words, zone) if field else one_line(str(one)) for one in (now, yours)]
        choices = [
            Choice("now", words("crm.keep_theirs"), said[0] or "–"),
            Choice("yours", words("crm.write_mine"), said[1] or "–"),
        ]

        def picked(which: str | None) -> None:
            if which == "yours":
                self.save(fields, answer.object["version"])

        name = label(field, words) if field else one_line(path, 40)
        self.app.push_screen(PickScreen(words("crm.both_changed", field=name), choices, typing=False), picked)

    # -------------------------------------------------------------- steps

    def action_move(self) -> None:
        if self.of not in ("lead", "deal") or not self.item:
            return
        if "edit" not in self._may or self._is_converted:
            self.warn("crm.locked")
            return
        funnels = self.declared.funnels.get(self.of, {})
        pick_stage(self, funnels, self.item, self.step)

    @work(group="save", exclusive=True)
    async def step(self, stage: str, reason: str) -> None:
        frame = wire.MoveObject(
            rid=0, type=self.of, id=self.object, stage=stage, reason=reason, version=self.item["version"]
        )
        answer = await self._ask(frame, wire.ObjectShown)
        if isinstance(answer, wire.ObjectShown):
            self._show(answer)
        else:
            self.action_load()

    @work(group="convert", exclusive=True)
    async def action_convert(self) -> None:
        """A lead becomes contact, company and deal; what it became is opened."""
        if self.of == "lead" and self.item and not self._is_converted:
            await convert(self, self._ask, self.object, self._converted)

    def _converted(self, answer: wire.LeadConverted) -> None:
        self.action_load()
        made = told(answer)
        of = next((one for one in ("deal", "contact", "company") if one in made), "")
        if of:
            self.app.push_screen(ObjectPage(self._ask, of, made[of], self.declared))

    def action_happened(self) -> None:
        if self.of != "activity" and self.item:
            heading = f"{shell(self).words('crm.happened')} · {title(self.item)}"
            self.app.push_screen(PastPage(self._ask, self.of, self.object, heading, self.declared))

    def action_tasks(self) -> None:
        """The tasks of this object, and a new one."""
        from console.crm.objects import ObjectsPage  # a list opens cards, and a card a list

        if self.of == "activity" or not self.item:
            return
        heading = f"{shell(self).words('crm.activitys')} · {title(self.item)}"
        page = ObjectsPage(heading, self._ask, "activity", (f"{self.of}={self.object}",))
        self.app.push_screen(page)

    def action_drop(self) -> None:
        """Asks first; what was deleted can be put back by whoever may delete."""
        if "delete" not in self._may:
            self.warn("crm.may_not_delete")
            return
        words = shell(self).words
        self._ask_first(words("crm.delete"), self._delete)

    def _ask_first(self, question: str, then: Callable[[], object]) -> None:
        words = shell(self).words
        choices = [Choice("yes", words("crm.yes")), Choice("no", words("crm.no"))]

        def answered(answer: str | None) -> None:
            if answer == "yes":
                then()

        self.app.push_screen(PickScreen(question, choices, typing=False), answered)

    @work(group="save", exclusive=True)
    async def _delete(self) -> None:
        frame = wire.DeleteObject(rid=0, type=self.of, id=self.object, version=self.item["version"])
        if isinstance(await self._ask(frame, wire.ObjectShown), wire.ObjectShown):
            self.dismiss(None)


def page_of(ask: Ask, of: str, id: str, declared: Possible) -> ObjectPage:
    """The card of anything."""
    from console.crm.person import PersonPage  # a card with more than others

    return PersonPage(ask, id, declared) if of == "customer" else ObjectPage(ask, of, id, declared)
