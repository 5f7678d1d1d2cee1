"""Lists of objects: leads, deals, contacts, companies, tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, OptionList, Static

from console.crm.board import FRESH, StagesPage
from console.crm.card import ObjectPage
from console.crm.finding import FindPage
from console.crm.page import CrmPage
from console.crm.person import PeoplePage
from console.crm.values import TYPES, money, shown, stage_of, title, value_of
from console.link import new_id
from console.screens.dialogs import AskScreen, Choice, PickScreen
from console.screens.fields import Field, FieldsScreen
from console.screens.search import Ask
from console.shell import shell
from console.text.words import local
from console.text.wrap import fit
from crm.kernel.text import one_line
from router.wire import protocol as wire

PAGE = 100
SORTS = {"lead": "-created_at", "deal": "-stage_since", "contact": "name", "company": "name"}
MORE = "more:"
SAVE, FORGET = "save:", "forget:"
TO_DO = ["done=no", "kind!=note", "kind!=comment"]
"""What is listed of activities where nobody says otherwise."""
NEEDED = {
    "lead": ("title", "name", "phones", "amount"),
    "deal": ("title", "amount", "close_date"),
    "contact": ("name", "phones", "emails"),
    "company": ("name", "inn", "phones"),
    "activity": ("title", "due_at", "about"),
}
"""What a form for a new object asks for; everything else is filled in on its card."""


class ObjectsPage(CrmPage[str]):
    """Enter opens the card, ``a`` makes a new one, ``/`` narrows, ``o`` shows one's own only, ``b`` the board of
    stages, ``f`` looks for anything; digits change what is listed. Gives a conversation that was found."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(n), f"show({n})", show=False) for n in range(1, len(TYPES) + 1)),
        Binding(str(len(TYPES) + 1), "people", show=False),
        Binding("tab", "next(1)", show=False, priority=True),
        Binding("shift+tab", "next(-1)", show=False, priority=True),
        Binding("a", "add", show=False),
        Binding("b", "board", show=False),
        Binding("o", "own", show=False),
        Binding("space", "done", show=False),
        Binding("slash", "narrow", show=False),
        Binding("f", "find", show=False),
        Binding("v", "views", show=False),
        Binding("escape", "back", show=False, priority=True),
    ]

    def __init__(self, title: str, ask: Ask, of: str = "lead", where: tuple[str, ...] = ()) -> None:
        super().__init__(title, ask)
        self.of = of
        self._where = list(where)
        """What holds whatever is typed: the object whose tasks these are."""
        self._typed: list[str] = []
        self._own = False
        self._items: dict[str, dict[str, Any]] = {}
        self._next = ""
        self._all: int | None = None

    def compose(self) -> ComposeResult:
        with self.box():
            yield Static("", id="tabs", markup=False)
            yield Input(id="query", placeholder=shell(self).words("crm.narrow"))
            yield OptionList(id="options", markup=False)
            yield Static("", classes="hint", id="count", markup=False)
            yield Static(shell(self).words("crm.hint"), classes="hint", markup=False)

    def on_mount(self) -> None:
        self._say_tabs()
        self.options.focus()
        self.load()
        self.set_interval(FRESH, self._freshen)

    def _freshen(self) -> None:
        """New leads come by themselves; who has gone further down is left where he is."""
        if self.app.screen is self and len(self._items) <= PAGE and not self.query_one("#query").has_focus:
            self.load()

    # -------------------------------------------------------------- reading

    @work(group="objects", exclusive=True)
    async def load(self, after: str = "") -> None:
        """The list from its beginning, or what comes ``after``."""
        if not self.declared.fields and not await self.declare():
            return
        found = await self._ask(
            wire.GetObjects(
                rid=0, type=self.of, where=self._conditions(), sort=SORTS.get(self.of, "due_at"),
                limit=PAGE, after=after, total=not after,
            ),
            wire.ObjectList,
        )  # fmt: skip
        if not isinstance(found, wire.ObjectList):
            return
        if not after:
            self._items, self._all = {}, found.total
        self._items |= {item["id"]: item for item in found.items}
        self._next = found.next
        self._fill()

    def _conditions(self) -> list[str]:
        own = [f"responsible={shell(self).picture.operator}"] if self._own else []
        open_tasks = TO_DO if self.of == "activity" and not self._typed and not self._where else []
        return [*self._where, *own, *open_tasks, *self._typed]

    def _fill(self) -> None:
        words = shell(self).words
        rows = [(id, self._row(item)) for id, item in self._items.items()]
        if self._next:
            rows.append((MORE, Text(words("crm.more"), "dim")))
        self.put_rows(rows)
        count = words("crm.count", n=self._all if self._all is not None else len(self._items))
        narrowed = " · ".join(one_line(one, 60) for one in self._conditions() if one not in TO_DO)
        empty = "" if rows else words("crm.none" if narrowed else "crm.empty")
        self.query_one("#count", Static).update(" · ".join(part for part in (count, narrowed, empty) if part))

    def _say_tabs(self) -> None:
        words = shell(self).words
        text = Text(no_wrap=True, overflow="ellipsis")
        for number, of in enumerate(TYPES, 1):
            text.append(f" {number} ", "dim")
            text.append(words(f"crm.{of}s"), "bold reverse" if of == self.of else "")
            text.append(" ")
        text.append(f" {len(TYPES) + 1} ", "dim").append(words("crm.customers"))
        self.query_one("#tabs", Static).update(text)

    def _row(self, item: Mapping[str, Any]) -> Text:
        width = max(30, self.app.size.width - 6)
        right = self._right(item)
        who = fit(one_line(str(item.get("responsible") or "–"), 40), 12)
        mark = ("☑ " if item.get("done") else "☐ ") if self.of == "activity" else ""
        room = max(12, width - sum(cell_len(part) + 2 for part, _ in right) - 14 - len(mark))
        text = Text(mark, no_wrap=True, overflow="ellipsis")
        text.append(fit(title(item), room) + "  ", "bold")
        for part, style in right:
            text.append(part + "  ", style)
        return text.append(who, "dim")

    def _right(self, item: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The columns after the title: (text, style)."""
        words, zone = shell(self).words, shell(self).zone
        if self.of in ("lead", "deal"):
            stage = stage_of(item, self.declared.funnels.get(self.of, {}), words)
            style = {"won": "green", "lost": "red"}.get(str(item.get("semantics")), "")
            since = "stage_since" if self.of == "deal" else "created_at"
            day = local(int(item.get(since) or 0), zone).strftime("%d.%m")
            return [
                (fit(stage, 16), style), (fit(money(item.get("amount")).rjust(16), 16), ""), (day, "dim")
            ]  # fmt: skip
        if self.of == "activity":
            due = int(item.get("due_at") or 0)
            late = 0 < due < shell(self).now() and not item.get("done")
            when = local(due, zone).strftime("%d.%m %H:%M") if due else "–"
            return [(fit(words.maybe(f"choice.{item.get('kind')}", "")[:10], 10), "dim"),
                    (fit(when, 11), "bold red" if late else "")]  # fmt: skip
        fields = self.declared.fields.get(self.of, {})
        names = ("phones", "emails") if self.of == "contact" else ("inn", "phones")
        values = (shown(fields[n], value_of(fields[n], item), words, zone) for n in names if n in fields)
        return [(fit(one_line(value, 60), 18), "dim") for value in values]

    # -------------------------------------------------------------- moving about

    def action_show(self, number: int) -> None:
        self._turn_to(TYPES[number - 1])

    def action_next(self, step: int) -> None:
        self._turn_to(TYPES[(TYPES.index(self.of) + step) % len(TYPES)])

    def _turn_to(self, of: str) -> None:
        if of != self.of and not self._where:
            self.of, self._typed, self._items, self._next = of, [], {}, ""
            self.query_one("#query", Input).value = ""
            self._say_tabs()
            self.put_rows([])
            self.load()

    def action_back(self) -> None:
        """Out of the filter first, then off the page."""
        box = self.query_one("#query", Input)
        if box.has_focus or box.has_class("on"):
            box.remove_class("on")
            self.options.focus()
            if self._typed:
                self._typed, box.value = [], ""
                self.load()
        else:
            self.dismiss(None)

    def action_own(self) -> None:
        self._own = not self._own
        self.load()

    def action_narrow(self) -> None:
        box = self.query_one("#query", Input)
        box.add_class("on")
        box.focus()

    @on(Input.Submitted, "#query")
    def _narrowed(self, event: Input.Submitted) -> None:
        self._typed = [part.strip() for part in event.value.split(",") if part.strip()]
        self.options.focus()
        self.load()

    # -------------------------------------------------------------- doing

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        id = event.option_id or ""
        if id == MORE:
            self.load(self._next)
        else:
            self.app.push_screen(ObjectPage(self._ask, self.of, id, self.declared), self._again)

    def _again(self, _: object) -> None:
        """What was in front has gone, and may have changed something."""
        self.load()

    def action_views(self) -> None:
        """A saved view, or what is listed now saved as one."""
        words, views = shell(self).words, shell(self).settings.views
        named = [key for key in views if key.startswith(f"{self.of}/")]
        choices = [
            *(
                Choice(key, one_line(key.partition("/")[2], 40), ", ".join(views[key]))
                for key in sorted(named)
            ),
            *([Choice(SAVE, words("crm.save_view"))] if self._conditions() else []),
            *([Choice(FORGET, words("crm.forget_view"))] if named else []),
        ]

        def picked(key: str | None) -> None:
            if key == SAVE:
                self.app.push_screen(
                    AskScreen(words("crm.save_view"), words("crm.view_name")), self._save_view
                )
            elif key == FORGET:
                kept = [choice for choice in choices if choice.id in views]
                self.app.push_screen(PickScreen(words("crm.forget_view"), kept, typing=False), self._forget)
            elif key is not None:
                self._use(views[key])

        if choices:
            self.app.push_screen(PickScreen(words("crm.views"), choices, typing=len(choices) > 9), picked)
        else:
            self.warn("crm.no_views")

    def _use(self, conditions: list[str]) -> None:
        own = f"responsible={shell(self).picture.operator}"
        self._own = own in conditions
        self._typed = [one for one in conditions if one != own]
        box = self.query_one("#query", Input)
        box.value = ", ".join(self._typed)
        box.set_class(bool(self._typed), "on")
        self.load()

    def _save_view(self, name: str | None) -> None:
        if name := one_line(name or "", 40):
            shell(self).settings.views[f"{self.of}/{name}"] = self._conditions()
            shell(self).shelf.save(shell(self).settings)

    def _forget(self, key: str | None) -> None:
        if key is not None and shell(self).settings.views.pop(key, None) is not None:
            shell(self).shelf.save(shell(self).settings)

    def action_people(self) -> None:
        self.app.push_screen(PeoplePage(shell(self).words("crm.customers"), self._ask, self.declared))

    def action_find(self) -> None:
        def chosen(session: str | None) -> None:
            if session:
                self.dismiss(session)

        page = FindPage(shell(self).words("crm.find"), self._ask, self.declared)
        self.app.push_screen(page, chosen)

    def action_board(self) -> None:
        of = self.of if self.of in ("lead", "deal") else "deal"
        self.app.push_screen(StagesPage(self._ask, of, self.declared), self._again)

    def action_done(self) -> None:
        """A task is done, or is not after all."""
        item = self._items.get(self.marked())
        if self.of == "activity" and item is not None:
            self.save(item, {"done": not item.get("done")})

    @work(group="save", exclusive=True)
    async def save(self, item: Mapping[str, Any], fields: dict[str, Any]) -> None:
        frame = wire.SetObject(rid=0, type=self.of, id=item["id"], fields=fields, version=item["version"])
        answer = await self._ask(frame, wire.ObjectShown)
        if isinstance(answer, wire.ObjectShown):
            self._items[item["id"]] = answer.object
            self._fill()

    def action_add(self) -> None:
        """A form with the few things that matter; what is alike is told before anything is made."""
        if not self.declared.can(self.of, "add"):
            self.warn("crm.may_not_add")
            return
        words = shell(self).words
        fields = [
            Field(name, words.maybe(f"field.{name}", name), "", words.maybe(f"crm.example.{name}", ""))
            for name in NEEDED[self.of]
        ]

        def given(answer: dict[str, str] | None) -> None:
            values = {name: value for name, value in (answer or {}).items() if value}
            if values:
                fixed = dict(one.split("=", 1) for one in self._where)
                kind = {"kind": "task"} if self.of == "activity" else {}
                self.make({**kind, **fixed, **values})

        self.app.push_screen(FieldsScreen(words(f"crm.new.{self.of}"), fields), given)

    @work(group="make", exclusive=True)
    async def make(self, values: dict[str, Any]) -> None:
        answer = await self._ask(
            wire.AddObject(rid=0, type=self.of, fields=values, key=new_id()), wire.ObjectShown
        )
        if not isinstance(answer, wire.ObjectShown):
            return
        if answer.twins:
            names = ", ".join(one_line(twin.title or "…", 40) for twin in answer.twins[:3])
            text = shell(self).words("crm.alike", names=names)
            self.notify(text, severity="warning", markup=False, timeout=8)
        page = ObjectPage(self._ask, self.of, answer.object["id"], self.declared)
        self.app.push_screen(page, self._again)
