"""The card of a person over all channels: who he is, what is suggested for it, and what belongs to him."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Literal

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, OptionList, Static

from console.crm.card import ObjectPage
from console.crm.page import CrmPage, Possible
from console.crm.values import title
from console.screens.dialogs import Choice, PickScreen
from console.screens.search import Ask
from console.shell import shell
from console.text.words import local
from console.text.wrap import fit
from crm.kernel.text import one_line
from router.wire import protocol as wire

SUGGESTED, TWIN, MERGED = "suggested:", "twin:", "merged:"
PAGE = 100


class PersonPage(ObjectPage):
    """As any card; what is suggested stands above the fields, and Enter answers it. ``l`` and ``s`` open leads and
    deals, ``w`` says that this is somebody who has a card."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "belongings('lead')", show=False),
        Binding("s", "belongings('deal')", show=False),
        Binding("w", "same", show=False),
    ]

    def __init__(self, ask: Ask, id: str, declared: Possible) -> None:
        super().__init__(ask, "customer", id, declared)
        self.shown: wire.CustomerShown | None = None

    async def fetch(self) -> wire.ObjectShown | None:
        return await self._person(wire.GetCustomer(rid=0, customer=self.object))

    async def put(self, fields: dict[str, Any], version: int) -> wire.ObjectShown | None:
        return await self._person(
            wire.SetCustomer(rid=0, customer=self.object, fields=fields, version=version)
        )

    async def _person(self, frame: wire.Request) -> wire.ObjectShown | None:
        found = await self._ask(frame, wire.CustomerShown)
        if not isinstance(found, wire.CustomerShown):
            return None
        self.shown, self.object = found, found.customer["id"]
        return wire.ObjectShown(
            rid=0, type="customer", object=found.customer, may=found.may, conflicts=found.conflicts
        )

    # -------------------------------------------------------------- what wants an answer

    def hints(self) -> list[tuple[str, Text]]:
        if self.shown is None:
            return []
        words = shell(self).words
        rows = [
            (f"{SUGGESTED}{one.key}", self._hint(words(f"crm.suggested.{one.kind}"), one.value or one.raw))
            for one in self.shown.suggestions
            if one.kind in ("phone", "email")
        ]
        rows += [
            (f"{TWIN}{twin.id}", self._hint(words("crm.maybe_same"), f"{twin.title} · {twin.responsible}"))
            for twin in self.shown.twins
            if twin.id and twin.type == "customer"
        ]
        return rows + [
            (f"{MERGED}{id}", Text(f"  {words('crm.merged')} {one_line(id, 40)}", "dim"))
            for id in self.shown.merged
        ]

    def _hint(self, what: str, value: str) -> Text:
        text = Text("? ", "bold", no_wrap=True, overflow="ellipsis")
        return text.append(f"{what} ", "").append(one_line(value, 120), "bold")

    @on(OptionList.OptionSelected)
    def _edit(self) -> None:
        name = self.marked()
        if name.startswith(SUGGESTED):
            self._ask_about(name.removeprefix(SUGGESTED))
        elif name.startswith(TWIN):
            self._ask_same(name.removeprefix(TWIN))
        elif name.startswith(MERGED):
            self._ask_apart(name.removeprefix(MERGED))
        else:
            super()._edit()

    def _choose(self, heading: str, choices: list[tuple[str, str]], then: Callable[[str], object]) -> None:
        words = shell(self).words

        def picked(answer: str | None) -> None:
            if answer is not None:
                then(answer)

        options = [Choice(id, words(key)) for id, key in choices]
        self.app.push_screen(PickScreen(heading, options, typing=False), picked)

    def _ask_about(self, key: str) -> None:
        choices = [("yes", "crm.accept"), ("no", "crm.refuse")]
        heading = shell(self).words("crm.is_it_his")
        self._choose(heading, choices, lambda answer: self.answer(key, accept=answer == "yes"))

    def _ask_same(self, other: str) -> None:
        choices = [("merge", "crm.merge"), ("open", "crm.open_card"), ("no", "crm.refuse_twin")]

        def then(answer: str) -> None:
            if answer == "merge":
                self.merge(other, {})
            elif answer == "open":
                self.app.push_screen(PersonPage(self._ask, other, self.declared), lambda _: self.reload())
            else:
                self.answer(f"card:{other}", accept=False)

        self._choose(shell(self).words("crm.maybe_same"), choices, then)

    def _ask_apart(self, other: str) -> None:
        heading = shell(self).words("crm.take_apart")
        self._choose(heading, [("yes", "crm.yes"), ("no", "crm.no")],
                     lambda answer: self.unmerge(other) if answer == "yes" else None)  # fmt: skip

    @work(group="save", exclusive=True)
    async def answer(self, key: str, *, accept: bool) -> None:
        """What was suggested comes onto the card, or is never offered again."""
        await self._do(wire.AnswerSuggestion(rid=0, customer=self.object, key=key, accept=accept))

    @work(group="save", exclusive=True)
    async def unmerge(self, other: str) -> None:
        """The other card is one of its own again."""
        if isinstance(
            await self._ask(wire.UnmergeCustomer(rid=0, other=other), wire.CustomerShown), wire.CustomerShown
        ):
            self.action_load()

    async def _do(self, frame: wire.Request) -> None:
        found = await self._person(frame)
        if found is not None:
            self._show(found)

    # -------------------------------------------------------------- two cards of one person

    def action_same(self) -> None:
        """Picks the card that he has already; this one goes into it."""

        def picked(master: str | None) -> None:
            if master and master != self.object:
                self.merge_into(master, {})

        page = PeoplePage(shell(self).words("crm.who_is_it"), self._ask, self.declared, picking=True)
        self.app.push_screen(page, picked)

    @work(group="save", exclusive=True)
    async def merge(self, other: str, prefer: dict[str, Literal["master", "other"]]) -> None:
        """The other card goes into this one; where both say something else, it is asked which holds."""
        await self._merge(self.object, other, prefer, self.merge)

    @work(group="save", exclusive=True)
    async def merge_into(self, master: str, prefer: dict[str, Literal["master", "other"]]) -> None:
        """This card goes into the other one, which is shown then."""
        await self._merge(master, self.object, prefer, lambda _, choices: self.merge_into(master, choices))

    async def _merge(
        self, master: str, other: str, prefer: dict[str, Literal["master", "other"]],
        again: Callable[[str, dict[str, Literal["master", "other"]]], Awaitable[None] | object],
    ) -> None:  # fmt: skip
        frame = wire.MergeCustomers(rid=0, master=master, other=other, prefer=prefer)
        found = await self._ask(frame, wire.CustomerShown)
        if not isinstance(found, wire.CustomerShown):
            return
        if found.disputed:
            self._ask_disputed(found.disputed, prefer, lambda choices: again(other, choices))
            return
        self.object = found.customer["id"]
        self.notify(shell(self).words("crm.merged_done"), markup=False)
        self.action_load()

    def _ask_disputed(
        self, disputed: dict[str, dict[str, Any]], prefer: dict[str, Literal["master", "other"]],
        then: Callable[[dict[str, Literal["master", "other"]]], object],
    ) -> None:  # fmt: skip
        """Both values side by side, one field after the other."""
        words = shell(self).words
        field, both = next(iter(disputed.items()))
        choices = [
            Choice(side, one_line(str(both.get(side) or "–"), 60), words(f"crm.side.{side}"))
            for side in ("master", "other")
        ]

        def picked(side: str | None) -> None:
            if side is not None:
                then({**prefer, field: "master" if side == "master" else "other"})

        heading = words("crm.which_holds", field=words.maybe(f"field.{field}", field))
        self.app.push_screen(PickScreen(heading, choices, typing=False), picked)

    def action_belongings(self, of: str) -> None:
        """The leads or the deals of this person."""
        from console.crm.objects import ObjectsPage  # a list opens cards, and a card a list

        if self.item:
            heading = f"{shell(self).words(f'crm.{of}s')} · {title(self.item)}"
            self.app.push_screen(ObjectsPage(heading, self._ask, of, (f"customer={self.object}",)))


class PeoplePage(CrmPage[str]):
    """All who ever wrote, those who wrote last first; typing narrows. Enter opens a card, or with ``picking`` gives
    its id. ``d`` shows only whom there may be twice."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("down", "results", show=False)]
    DEFAULT_CSS = """
    PeoplePage { & #who { margin: 0; } }
    """

    def __init__(self, title: str, ask: Ask, declared: Possible, *, picking: bool = False) -> None:
        super().__init__(title, ask)
        self.declared = declared
        self._picking = picking
        self._people: dict[str, dict[str, Any]] = {}
        self._next = ""

    def compose(self) -> ComposeResult:
        with self.box():
            yield Input(id="who", placeholder=shell(self).words("crm.find_who"))
            yield OptionList(id="options", markup=False)
            yield Static(shell(self).words("crm.people_hint"), classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#who", Input).focus()
        self.load("")

    @on(Input.Changed, "#who")
    def _typed(self, event: Input.Changed) -> None:
        self.load(event.value.strip())

    @on(Input.Submitted, "#who")
    def action_results(self) -> None:
        """From the words to whom they found."""
        if self.options.option_count:
            self.options.focus()

    @work(group="people", exclusive=True)
    async def load(self, query: str, after: str = "") -> None:
        if not self.declared.fields and not await self.declare():
            return
        frame = wire.GetCustomers(rid=0, query=query[:500], limit=PAGE, after=after)
        found = await self._ask(frame, wire.CustomerList)
        if isinstance(found, wire.CustomerList):
            self._people = (self._people if after else {}) | {one["id"]: one for one in found.items}
            self._next = found.next
            self.put_rows([(id, self._row(one)) for id, one in self._people.items()])

    @on(OptionList.OptionHighlighted)
    def _pointed(self, event: OptionList.OptionHighlighted) -> None:
        if self._next and event.option_index > len(self._people) - 10:
            after, self._next = self._next, ""
            self.load(self.query_one("#who", Input).value.strip(), after)

    def _row(self, one: dict[str, Any]) -> Text:
        seen = int(one.get("seen_at") or 0)
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append("★ " if one.get("vip") else "  ")
        text.append(fit(one_line(str(one.get("name") or one["id"]), 80), 30) + "  ", "bold")
        numbers = [str(phone.get("e164") or phone.get("raw", "")) for phone in one.get("phones") or []]
        known = ", ".join([*numbers, *(one.get("emails") or [])]) or str(one.get("username") or "")
        text.append(fit(one_line(known, 80), 28) + "  ")
        text.append(fit(one_line(str(one.get("responsible") or "–"), 40), 12) + "  ", "dim")
        return text.append(local(seen, shell(self).zone).strftime("%d.%m.%y %H:%M") if seen else "", "dim")

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        id = event.option_id or ""
        if self._picking:
            self.dismiss(id)
        else:
            self.app.push_screen(PersonPage(self._ask, id, self.declared))
