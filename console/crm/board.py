"""The board: what is in hand stands in columns, one for each stage, and is moved on by a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import HorizontalScroll, Vertical
from textual.events import Resize
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from console.crm.card import ObjectPage
from console.crm.page import CrmPage, Possible
from console.crm.steps import pick_stage, to_stage
from console.crm.values import money, stage_named, title, total
from console.screens.search import Ask
from console.shell import shell
from console.text.wrap import fit
from crm.kernel.crm_settings import Funnel, FunnelStage
from crm.kernel.text import one_line
from router.wire import protocol as wire

COLUMN_MAX = 200
"""Cards of one column that are read; the list has them all."""
WIDTH = 22
"""Cells of a column at least: so many columns as have room share it, the others are scrolled to."""
GONE = "gone"
FRESH = 10.0
"""Seconds after which it is read again while one looks at it."""


class StagesPage(CrmPage[None]):
    """Arrows go about, ``<`` and ``>`` move the marked card one stage, ``m`` to any, Enter opens it, ``f`` goes to
    the next funnel."""

    DEFAULT_CSS = f"""
    StagesPage {{
        & HorizontalScroll {{ height: 1fr; scrollbar-size-horizontal: 1; }}
        & .stage {{ width: {WIDTH}; height: 100%; border-right: solid $rule; }}
        & .stage OptionList {{ height: 1fr; max-height: 100%; padding: 0 1 0 0; }}
        & .stage Static {{ height: 2; padding: 0 1; }}
        & .stage.here Static {{ background: $panel; }}
    }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "column(-1)", show=False, priority=True),
        Binding("right,l", "column(1)", show=False, priority=True),
        Binding("less_than_sign,comma", "shift(-1)", show=False),
        Binding("greater_than_sign,full_stop", "shift(1)", show=False),
        Binding("m", "move", show=False),
        Binding("f", "funnel", show=False),
        Binding("r", "load", show=False),
    ]

    def __init__(self, ask: Ask, of: str, declared: Possible) -> None:
        super().__init__("", ask)
        self.of = of
        self.declared = declared
        self._funnel = next(iter(declared.funnels.get(of, {})), "")
        self.columns: dict[str, list[dict[str, Any]]] = {}
        self._more: set[str] = set()
        self._column = 0
        self._wide = WIDTH
        self._standing: list[str] = []
        """The stages whose columns are there."""

    def compose(self) -> ComposeResult:
        with self.box():
            yield HorizontalScroll(can_focus=False, id="stages")
            yield Static(shell(self).words("crm.board_hint"), classes="hint", markup=False)

    def on_mount(self) -> None:
        self.build()
        self.set_interval(FRESH, self._freshen)

    def _freshen(self) -> None:
        if self.app.screen is self:
            self.action_load()

    @property
    def funnel(self) -> Funnel:
        return self.declared.funnels[self.of][self._funnel]

    @property
    def keys(self) -> list[str]:
        """The stages as columns; what stands in stages that are gone has one more."""
        return [*(stage.key for stage in self.funnel.stages), *([GONE] if self.columns.get(GONE) else [])]

    @work(group="board", exclusive=True)
    async def build(self) -> None:
        """The columns of the funnel, empty, and then what is in them."""
        words = shell(self).words
        funnel = self.funnel.name.get(words.language) or self.funnel.name.get("") or ""
        heading = " · ".join(part for part in (words(f"crm.{self.of}s"), one_line(funnel, 40)) if part)
        self.frame_title(Text(heading).markup)
        self._column = 0
        await self._lay()
        await self._read()

    async def _lay(self) -> None:
        self._standing = []
        stages = self.query_one("#stages", HorizontalScroll)
        await stages.remove_children()
        await stages.mount(
            *(
                Vertical(Static("", markup=False), OptionList(markup=False), classes="stage", id=f"stage-{n}")
                for n, _ in enumerate(self.keys)
            )
        )
        self._standing = self.keys
        self._share()
        self._go(self._column)

    def _share(self) -> None:
        """The room among the columns that are to be seen at a time."""
        columns = list(self.query(".stage").results(Vertical))
        room = self.query_one("#stages", HorizontalScroll).size.width
        seen = max(1, min(len(columns), room // WIDTH))
        self._wide = max(WIDTH, room // seen)
        for column in columns:
            column.styles.width = self._wide

    def on_resize(self, event: Resize) -> None:
        super().on_resize(event)
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if self._standing == self.keys:
            self._share()
            self._fill()
            self.query_one(f"#stage-{self._column}").scroll_visible(animate=False)

    @work(group="board", exclusive=True)
    async def action_load(self) -> None:
        await self._read()

    async def _read(self) -> None:
        before = self.keys
        for stage in self.funnel.stages:
            await self._read_column(stage.key, f"stage={stage.key}")
        await self._read_gone()
        if before != self.keys:
            await self._lay()
        self._fill()

    async def _read_column(self, key: str, *where: str) -> None:
        found = await self._ask(
            wire.GetObjects(
                rid=0, type=self.of, where=[f"funnel={self._funnel}", *where], sort="-stage_since",
                limit=COLUMN_MAX,
            ),
            wire.ObjectList,
        )  # fmt: skip
        if isinstance(found, wire.ObjectList):
            self.columns[key] = found.items
            (self._more.add if found.next else self._more.discard)(key)

    async def _read_gone(self) -> None:
        await self._read_column(GONE, *(f"stage!={stage.key}" for stage in self.funnel.stages))

    def _fill(self) -> None:
        for number, key in enumerate(self.keys):
            items = self.columns.get(key, [])
            column = self.query_one(f"#stage-{number}", Vertical)
            column.query_one(Static).update(self._head(key, items))
            options = column.query_one(OptionList)
            at = options.highlighted or 0
            options.clear_options()
            options.add_options([Option(self._card(item), id=item["id"]) for item in items])
            options.highlighted = min(at, len(items) - 1) if items else None

    def _head(self, key: str, items: list[dict[str, Any]]) -> Text:
        words = shell(self).words
        stage = self._stage(key)
        name = stage_named(stage, words) if stage else words("crm.stage_gone")
        style = {"won": "bold green", "lost": "bold red"}.get(stage.semantics if stage else "", "bold")
        count = f"{len(items)}{'+' if key in self._more else ''}"
        text = Text(f"{name} ", style, no_wrap=True, overflow="ellipsis").append(count, "dim not bold")
        return text.append("\n" + total([item.get("amount") for item in items]), "dim not bold")

    def _card(self, item: Mapping[str, Any]) -> Text:
        text = Text(title(item), "bold", no_wrap=True, overflow="ellipsis")
        amount = money(item.get("amount"))
        who = one_line(str(item.get("responsible") or "–"), 16)
        days = max(0, shell(self).now() - int(item.get("stage_since") or 0)) // 86_400_000
        age = shell(self).words("span.days", n=days) if days else ""
        return text.append(
            "\n" + fit("  ".join(p for p in (amount, who, age) if p), self._wide - 3), "dim not bold"
        )

    def _stage(self, key: str) -> FunnelStage | None:
        return next((stage for stage in self.funnel.stages if stage.key == key), None)

    # -------------------------------------------------------------- going about

    @property
    def options(self) -> OptionList:
        """The list of the column where one is."""
        return self.query_one(f"#stage-{self._column} OptionList", OptionList)

    def _go(self, number: int) -> None:
        self._column = max(0, min(number, len(self.keys) - 1))
        for other, column in enumerate(self.query(".stage").results(Vertical)):
            column.set_class(other == self._column, "here")
        self.options.focus()
        self.query_one(f"#stage-{self._column}").scroll_visible(animate=False)

    def action_column(self, step: int) -> None:
        self._go(self._column + step)

    @on(OptionList.OptionHighlighted)
    def _pointed(self, event: OptionList.OptionHighlighted) -> None:
        """A click in another column goes there."""
        parent = event.option_list.parent
        if event.option_list.has_focus and parent is not None and parent.id:
            number = int(parent.id.removeprefix("stage-"))
            if number != self._column:
                self._go(number)

    def action_funnel(self) -> None:
        names = list(self.declared.funnels.get(self.of, {}))
        self._funnel = names[(names.index(self._funnel) + 1) % len(names)]
        self.columns, self._more = {}, set()
        self.build()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        page = ObjectPage(self._ask, self.of, event.option_id or "", self.declared)
        self.app.push_screen(page, self._again)

    def _again(self, _: object) -> None:
        """What was in front has gone, and may have changed something."""
        self.action_load()

    # -------------------------------------------------------------- moving cards

    def _marked_item(self) -> dict[str, Any] | None:
        id, key = self.marked(), self.keys[self._column] if self.keys else ""
        return next((item for item in self.columns.get(key, []) if item["id"] == id), None)

    def action_shift(self, step: int) -> None:
        """One stage on, or back; from a stage that is gone, to the first one."""
        item, keys = self._marked_item(), [stage.key for stage in self.funnel.stages]
        if item is None:
            return
        here = self.keys[self._column]
        number = keys.index(here) + step if here in keys else 0
        if not 0 <= number < len(keys):
            return
        stage = self.funnel.stages[number]
        if stage.semantics == "won" and self.of == "lead":
            self.warn("crm.converts")
            return
        to_stage(self, self.funnel, stage, lambda key, reason: self.step(item, key, reason))

    def action_move(self) -> None:
        item = self._marked_item()
        if item is not None:
            funnels = {self._funnel: self.funnel}
            pick_stage(self, funnels, item, lambda key, reason: self.step(item, key, reason))

    @work(group="step")
    async def step(self, item: Mapping[str, Any], key: str, reason: str) -> None:
        """On the version that is on screen: a card that somebody else has moved meanwhile is shown where it is."""
        frame = wire.MoveObject(
            rid=0, type=self.of, id=item["id"], stage=key, reason=reason, version=item["version"]
        )
        answer = await self._ask(frame, wire.ObjectShown)
        if isinstance(answer, wire.ObjectShown):
            self._put(answer.object)
            return
        await self._read()
        where = (key for key, items in self.columns.items() if any(one["id"] == item["id"] for one in items))
        if (key := next(where, "")) in self.keys:
            self._go(self.keys.index(key))
            self.options.highlighted = self.options.get_option_index(item["id"])

    def _put(self, item: dict[str, Any]) -> None:
        for key, items in self.columns.items():
            self.columns[key] = [one for one in items if one["id"] != item["id"]]
        key = str(item.get("stage", ""))
        if key in self.columns and item.get("funnel") == self._funnel:
            self.columns[key].insert(0, item)
        self._fill()
        if key in self.keys:
            self._go(self.keys.index(key))
            self.options.highlighted = 0
