"""Looking for anything by a few letters or digits: people, what was said, leads, deals."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, OptionList, Static

from console.crm.card import page_of
from console.crm.page import CrmPage, Possible
from console.screens.search import Ask
from console.shell import shell
from console.text.words import local
from console.text.wrap import fit
from crm.kernel.text import one_line
from router.wire import protocol as wire

TYPE_OF = {
    "customers": "customer",
    "leads": "lead",
    "deals": "deal",
    "contacts": "contact",
    "companies": "company",
}
LEAST = 2
"""Letters from which on one is looked for while typing."""


class FindPage(CrmPage[str]):
    """What is typed is looked for at once; Enter opens the marked hit, and gives the conversation of a message."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "results", show=False),
        Binding("slash", "again", show=False),
    ]
    DEFAULT_CSS = """
    FindPage { & #what { margin: 0; } }
    """

    def __init__(self, title: str, ask: Ask, declared: Possible) -> None:
        super().__init__(title, ask)
        self.declared = declared
        self.hits: dict[str, wire.FoundView] = {}

    def compose(self) -> ComposeResult:
        with self.box():
            yield Input(id="what", placeholder=shell(self).words("crm.find_what"))
            yield OptionList(id="options", markup=False)
            yield Static("", classes="hint", id="about", markup=False)

    def on_mount(self) -> None:
        self.query_one("#what", Input).focus()

    @on(Input.Changed, "#what")
    def _typed(self, event: Input.Changed) -> None:
        if len(event.value.strip()) >= LEAST:
            self.look(event.value)

    @on(Input.Submitted, "#what")
    def action_results(self) -> None:
        """From the words to what they found."""
        if self.options.option_count:
            self.options.focus()

    def action_again(self) -> None:
        self.query_one("#what", Input).focus()

    @work(group="find", exclusive=True)
    async def look(self, text: str) -> None:
        found = await self._ask(wire.Find(rid=0, text=text[:1000]), wire.FoundList)
        if not isinstance(found, wire.FoundList):
            return
        self.hits = {f"{hit.within}:{hit.id}": hit for hit in found.hits}
        self.put_rows([(key, self._row(hit)) for key, hit in self.hits.items()])
        words = shell(self).words
        more = "+" if found.more else ""
        about = words("search.count", n=f"{len(found.hits)}{more}") if found.hits else words("crm.none_found")
        self.query_one("#about", Static).update(about)

    def _row(self, hit: wire.FoundView) -> Text:
        words = shell(self).words
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(fit(words.maybe(f"found.{hit.within}", hit.within), 11) + " ", "dim")
        text.append(fit(one_line(hit.title, 80), 28) + "  ", "bold")
        if hit.at:
            text.append(local(hit.at, shell(self).zone).strftime("%d.%m.%y  "), "dim")
        for where in hit.matched[:2]:
            said = one_line(where.text, 400)
            shown = Text(said)
            for first, last in where.spans if said == where.text else ():
                shown.stylize("underline bold", first, last)
            text.append_text(shown).append("  ")
        return text

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        hit = self.hits.get(event.option_id or "")
        if hit is None:
            return
        if hit.within in TYPE_OF:
            self.app.push_screen(page_of(self._ask, TYPE_OF[hit.within], hit.id, self.declared))
        elif hit.session:
            self.dismiss(hit.session)
