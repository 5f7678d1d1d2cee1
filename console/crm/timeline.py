"""What happened to somebody or something, the newest first: older things are read while one goes down."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList, Static

from console.crm.page import CrmPage, Possible
from console.crm.values import stage_of
from console.screens.dialogs import ShowScreen
from console.screens.search import Ask
from console.shell import shell
from console.text.paint import system_text
from console.text.words import local
from console.text.wrap import fit
from crm.kernel.text import clean, one_line
from crm.timeline.entries import TimelineEntry
from router.wire import protocol as wire

PAGE = 60
MARKS = {"in": "←", "out": "→", "note": "✎", "whisper": "✎", "system": "·"}
"""Direction of a message -> its mark."""
CALM = ("system", "note", "whisper")


class PastPage(CrmPage[None]):
    """Enter shows an entry whole."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "load", show=False)]

    def __init__(self, ask: Ask, of: str, id: str, heading: str, declared: Possible) -> None:
        super().__init__(heading, ask)
        self.declared = declared
        self.of, self.object = of, id
        self.entries: dict[str, TimelineEntry] = {}
        self._next = ""
        self._reading = False

    def compose(self) -> ComposeResult:
        with self.box():
            yield OptionList(id="options", markup=False)
            yield Static("", classes="hint", id="about", markup=False)

    def on_mount(self) -> None:
        self.options.focus()
        self.action_load()

    def action_load(self) -> None:
        """From the newest on."""
        self.entries, self._next = {}, ""
        self.read()

    @work(group="timeline", exclusive=True)
    async def read(self) -> None:
        self._reading = True
        try:
            frame = wire.GetTimeline(rid=0, type=self.of, id=self.object, limit=PAGE, after=self._next)
            found = await self._ask(frame, wire.Timeline)
        finally:
            self._reading = False
        if isinstance(found, wire.Timeline):
            self.entries |= {f"{one.at}:{one.kind}:{one.key}": one for one in found.items}
            self._next = found.next
            self.put_rows([(key, self._row(entry)) for key, entry in self.entries.items()])
        about = "" if self.entries else shell(self).words("crm.nothing_happened")
        self.query_one("#about", Static).update(about)

    @on(OptionList.OptionHighlighted)
    def _pointed(self, event: OptionList.OptionHighlighted) -> None:
        """Near the end the next page is read."""
        if self._next and not self._reading and event.option_index > len(self.entries) - 10:
            self.read()

    def _row(self, entry: TimelineEntry) -> Text:
        words, zone = shell(self).words, shell(self).zone
        direction = str(entry.data.get("direction", ""))
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(local(entry.at, zone).strftime("%d.%m.%y %H:%M  "), "dim")
        kind = MARKS.get(direction, "") if entry.kind == "message" else self._kind(entry)
        text.append(fit(kind, 10) + " ", "bold")
        by = entry.by or (words("thread.customer") if direction == "in" else "–")
        text.append(fit(one_line(by, 40), 12) + "  ", "dim")
        return text.append(one_line(self._said(entry), 300), "dim" if direction in CALM else "")

    def _said(self, entry: TimelineEntry) -> str:
        words = shell(self).words
        if entry.data.get("direction") == "system":
            return system_text(words, entry.text)
        if entry.kind == "stage":
            standing = {
                "funnel": entry.data.get("funnel", ""),
                "stage": entry.text or entry.data.get("stage", ""),
            }
            stage = stage_of(standing, self.declared.funnels.get(entry.type, {}), words)
            return f"{one_line(entry.title, 80)} → {stage}"
        return entry.text or entry.title

    def _kind(self, entry: TimelineEntry) -> str:
        return shell(self).words.maybe(f"choice.{entry.kind}", entry.kind)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        entry = self.entries.get(event.option_id or "")
        if entry is not None and (said := self._said(entry)):
            at = local(entry.at, shell(self).zone).strftime("%d.%m.%Y %H:%M")
            self.app.push_screen(ShowScreen(f"{at} · {one_line(entry.by, 40)}", Text(clean(said))))
