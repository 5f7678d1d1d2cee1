"""Statistics: key figures, a chart, and a table of which every row opens the conversations behind it."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList, Static
from textual_plotext import PlotextPlot

from console.crm.objects import ObjectsPage
from console.crm.page import CrmPage
from console.crm.tables import HEADS, PERIODS, STAGES, written_figure
from console.crm.values import stage_of
from console.files import meant
from console.screens.dialogs import AskScreen, Choice, PickScreen
from console.screens.listing import Listing
from console.screens.search import Ask
from console.shell import shell
from console.text.values import DAYS
from console.text.words import local
from console.text.wrap import fit
from crm.kernel.text import one_line
from router.wire import protocol as wire

LOAD = ("weekday", "hour", "arrivals", "open_mean", "open_max")
KINDS = ("sessions", "operators", "csat", "load", "funnel")
BY = {
    "sessions": ("day", "line", "channel", "operator", "hour"),
    "operators": ("operator", "line", "day"),
    "csat": ("operator", "line", "day"),
    "load": ("",),
    "funnel": ("", "source", "operator", "line"),
}
SHADES = " ░▒▓█"
HOURS = ((82, 3, 1), (58, 2, 2), (0, 1, 3))
"""From so many columns of the terminal on: cells of one hour of the heat map, and every how manieth is numbered."""
NAME, COLUMN = 22, 11


class FiguresPage(CrmPage[str]):
    """Digits change the kind, ``p`` the period, ``b`` what the rows are, ``i`` the line; Enter opens what is behind
    a row, and gives the conversation that is chosen there."""

    DEFAULT_CSS = """
    FiguresPage {
        & #total { height: auto; padding: 0 1; }
        & #chart { height: 2fr; min-height: 6; }
        & #heat { height: auto; display: none; padding: 0 1; }
        & OptionList { height: 1fr; min-height: 3; }
        & #head { height: 1; color: $faint; padding: 0 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(n), f"show({n})", show=False) for n in range(1, len(KINDS) + 1)),
        Binding("p", "period", show=False),
        Binding("b", "by", show=False),
        Binding("i", "line", show=False),
        Binding("r", "load", show=False),
        Binding("w", "write", show=False),
    ]

    def __init__(self, title: str, ask: Ask) -> None:
        super().__init__(title, ask)
        self.kind = "sessions"
        self._by = 0
        self._period = "week"
        self._line = ""
        self.found: wire.Statistics | None = None

    def compose(self) -> ComposeResult:
        with self.box():
            yield Static("", id="tabs", markup=False)
            yield Static("", id="total", markup=False)
            yield PlotextPlot(id="chart")
            yield Static("", id="heat", markup=False)
            yield Static("", id="head", markup=False)
            yield OptionList(id="options", markup=False)
            yield Static(shell(self).words("figures.hint"), classes="hint", markup=False)

    def on_mount(self) -> None:
        self.options.focus()
        self.action_load()

    # -------------------------------------------------------------- asking

    @work(group="figures", exclusive=True)
    async def action_load(self) -> None:
        self._say_tabs()
        if self.kind == "funnel" and not self.declared.fields:
            await self.declare()
        since, to = self._days()
        kind: Any = self.kind
        frame = wire.GetStatistics(rid=0, kind=kind, by=self.by, since=since, to=to, line=self._line)
        found = await self._ask(frame, wire.Statistics)
        if isinstance(found, wire.Statistics):
            self.found = found
            self._show(found)

    @property
    def by(self) -> str:
        return BY[self.kind][self._by % len(BY[self.kind])]

    def _days(self) -> tuple[str, str]:
        today = local(shell(self).now(), shell(self).zone).date()
        return (today - timedelta(days=PERIODS[self._period] - 1)).isoformat(), today.isoformat()

    def action_show(self, number: int) -> None:
        self.kind, self._by = KINDS[number - 1], 0
        self.action_load()

    def action_period(self) -> None:
        names = list(PERIODS)
        self._period = names[(names.index(self._period) + 1) % len(names)]
        self.action_load()

    def action_by(self) -> None:
        self._by += 1
        self.action_load()

    def action_line(self) -> None:
        words = shell(self).words
        lines = sorted(shell(self).picture.lines)
        choices = [
            Choice("", words("figures.all_lines")),
            *(Choice(name, one_line(name, 40)) for name in lines),
        ]

        def picked(line: str | None) -> None:
            if line is not None:
                self._line = line
                self.action_load()

        self.app.push_screen(PickScreen(words("figures.line"), choices, typing=len(choices) > 9), picked)

    # -------------------------------------------------------------- showing

    def _say_tabs(self) -> None:
        words = shell(self).words
        text = Text(no_wrap=True, overflow="ellipsis")
        for number, kind in enumerate(KINDS, 1):
            text.append(f" {number} ", "dim")
            text.append(words(f"figures.{kind}"), "bold reverse" if kind == self.kind else "")
        by = words.maybe(f"figures.by.{self.by}", "") if self.by else ""
        where = one_line(self._line, 30) or words("figures.all_lines")
        rest = " · ".join(part for part in (words(f"figures.{self._period}"), by, where) if part)
        self.query_one("#tabs", Static).update(text.append(f"   {rest}", "dim"))

    def _show(self, found: wire.Statistics) -> None:
        is_load = found.kind == "load"
        chart = self.query_one(PlotextPlot)
        chart.display = not is_load and bool(found.rows)
        heat = self.query_one("#heat", Static)
        heat.display = is_load
        self.options.display = self.query_one("#head", Static).display = not is_load
        if is_load:
            heat.update(self._heat(found.heat))
            self.query_one("#total", Static).update("")
            return
        self.query_one("#total", Static).update(self._total(found))
        self.query_one("#head", Static).update(self._head())
        self.put_rows([(str(row["key"]) or "–", self._row(row)) for row in found.rows])
        self._draw(chart, found.rows)

    def _columns(self) -> Sequence[str]:
        return STAGES if self.kind == "funnel" and not self.by else HEADS[self.kind]

    def _heads(self) -> Sequence[str]:
        room = max(1, (self.app.size.width - NAME - 10) // COLUMN)
        return self._columns()[:room]

    def _head(self) -> Text:
        words = shell(self).words
        heads = (words(f"figure.{name}")[: COLUMN - 1].rjust(COLUMN) for name in self._heads())
        return Text(" " * NAME + "".join(heads), no_wrap=True)

    def _row(self, row: Mapping[str, Any]) -> Text:
        text = Text(fit(self._named(row), NAME), "bold", no_wrap=True)
        for name in self._heads():
            text.append(self._figure(name, row.get(name)).rjust(COLUMN), "not bold")
        return text

    def _named(self, row: Mapping[str, Any]) -> str:
        """What a row is called: a stage by its name."""
        words = shell(self).words
        if "stage" in row:
            stage = stage_of(row, self.declared.funnels.get(str(row.get("type")), {}), words)
            return one_line(f"{words('crm.' + str(row['type']))}: {stage}", 40)
        return one_line(str(row["key"]), 40) or "–"

    def _figure(self, name: str, value: Any) -> str:
        return written_figure(name, value, shell(self).words)

    def _total(self, found: wire.Statistics) -> Text:
        words = shell(self).words
        text = Text()
        figures = [(name, self._figure(name, found.total.get(name))) for name in HEADS[self.kind]]
        if found.kind == "sessions":
            figures += [
                (name, self._figure(name, found.total.get(name))) for name in ("response", "resolution")
            ]
            figures += [(name, self._figure(name, found.now.get(name))) for name in ("open", "unanswered")]
        for name, value in figures:
            text.append(f"{words(f'figure.{name}')} ", "dim").append(value, "bold").append("   ")
        return text

    def _draw(self, chart: PlotextPlot, rows: Sequence[Mapping[str, Any]]) -> None:
        name = self._columns()[0]
        values = {
            self._named(row) if self.kind == "funnel" else str(row["key"]): row.get(name) or 0 for row in rows
        }
        if self.by == "day" and self.found is not None:
            values = {day: values.get(day, 0) for day in _days(self.found.since, self.found.to)}
        plot = chart.plt
        plot.clear_figure()
        plot.title(shell(self).words(f"figure.{name}"))
        labels = [key[5:] if self.by == "day" else one_line(key, 18) or "–" for key in values]
        if self.by in ("day", "hour"):
            plot.bar(labels, list(values.values()), width=0.5)
        else:
            plot.bar(labels[::-1], list(values.values())[::-1], orientation="horizontal", width=0.3)
        chart.refresh()

    def _heat(self, hours: Sequence[Mapping[str, Any]]) -> Text:
        """Seven days of hours, told apart by how much came, in words below for those who see no shades."""
        words = shell(self).words
        most = max((one["arrivals"] for one in hours), default=0)
        # Where there is less room an hour is narrower, and not each has its number.
        cell, every = next((c, e) for least, c, e in HOURS if self.app.size.width >= least)
        numbers = (f"{hour:<{cell * every}}" for hour in range(0, 24, every))
        text = Text(" " * 4 + "".join(numbers) + "\n", "dim", no_wrap=True)
        for number, name in enumerate(DAYS):
            text.append(f"{words(f'week.{name}')[:3]:<4}", "bold")
            for one in hours[number * 24 : number * 24 + 24]:
                shade = 0 if not most else -(-one["arrivals"] * (len(SHADES) - 1) // most)
                text.append((SHADES[shade] * max(1, cell - 1)).ljust(cell))
            text.append("\n")
        busiest = max(hours, key=lambda one: one["arrivals"], default=None)
        if busiest is None or not most:
            return text.append("\n" + words("figures.nothing"), "dim")
        day = words(f"week.{DAYS[busiest['weekday']]}")
        said = words("figures.busiest", day=day, hour=busiest["hour"], n=busiest["arrivals"])
        return text.append("\n" + said)

    # -------------------------------------------------------------- into a file

    def action_write(self) -> None:
        """The table as a CSV file; the desk is asked whether this login may take figures away."""
        words = shell(self).words
        name = Path.cwd() / f"{self.kind}-{local(shell(self).now(), shell(self).zone):%Y-%m-%d}.csv"

        def given(path: str | None) -> None:
            if path:
                self.export(meant(path))

        self.app.push_screen(AskScreen(words("figures.write"), value=str(name)), given)

    @work(group="export", exclusive=True)
    async def export(self, path: Path) -> None:
        since, to = self._days()
        kind: Any = self.kind
        frame = wire.GetStatistics(
            rid=0, kind=kind, by=self.by, since=since, to=to, line=self._line, export=True
        )
        found = await self._ask(frame, wire.Statistics)
        if not isinstance(found, wire.Statistics):
            return
        is_load = self.kind == "load"
        rows = found.heat if is_load else found.rows
        columns = LOAD if is_load else ("key", *self._columns())
        lines = [columns, *(tuple(_cell(row.get(name)) for name in columns) for row in rows)]
        try:
            await asyncio.to_thread(_write_csv, path, lines)
        except OSError as error:
            self.notify(f"{path}: {error.strerror}", severity="warning", markup=False)
        else:
            self.notify(shell(self).words("opening.saved", path=str(path)), markup=False, timeout=15)

    # -------------------------------------------------------------- what is behind

    @on(OptionList.OptionSelected)
    def _chosen(self) -> None:
        """Of the marked row, the conversations of one of its figures."""
        if self.found is None:
            return
        words, key = shell(self).words, self.marked()
        row = next((one for one in self.found.rows if str(one["key"]) == key), {})
        if self.kind == "funnel":
            self._open_objects(row)
            return
        choices = [
            Choice(name, words(f"figure.{name}"), self._figure(name, row.get(name)))
            for name in HEADS[self.kind]
            if name not in ("good", "bad", "mean", "rated")
        ]

        def picked(figure: str | None) -> None:
            if figure is not None:
                self._open(figure, key)

        self.app.push_screen(PickScreen(words("figures.behind"), choices, typing=False), picked)

    def _open_objects(self, row: Mapping[str, Any]) -> None:
        """The leads or deals that a row of the funnel is about, as they are now."""
        key = str(row.get("key", ""))
        if "stage" in row:
            of, where = str(row["type"]), [f"funnel={row['funnel']}", f"stage={row['stage']}"]
        else:
            field = {"source": "source", "operator": "responsible"}.get(self.by, self.by)
            of, where = "lead", [f"{field}={key.split(' ')[0] if self.by == 'source' else key}"]
        heading = f"{shell(self).words(f'crm.{of}s')} · {self._named(row)}"
        self.app.push_screen(ObjectsPage(heading, self._ask, of, tuple(where)))

    def _open(self, figure: str, key: str) -> None:
        since, to = self._days()
        frame = wire.GetBehind(rid=0, figure=figure, since=since, to=to, line=self._line)
        if self.by == "day":
            frame.since = frame.to = key
        elif self.by == "hour":
            frame.since = frame.to = key[:10]
        elif self.by in ("line", "channel", "operator"):
            setattr(frame, self.by, key)

        def chosen(session: str | None) -> None:
            if session:
                self.dismiss(session)

        self.app.push_screen(BehindPage(self._ask, frame, shell(self).words(f"figure.{figure}")), chosen)


class BehindPage(Listing[str]):
    """The conversations that a figure is made of; Enter gives the marked one."""

    DEFAULT_CSS = """
    BehindPage { & .box { width: 100; } }
    """

    def __init__(self, ask: Ask, frame: wire.GetBehind, title: str) -> None:
        super().__init__(title, ask)
        self._frame = frame

    def compose(self) -> ComposeResult:
        with self.box():
            yield OptionList(id="options", markup=False)
            yield Static("", classes="hint", id="count", markup=False)

    def on_mount(self) -> None:
        self.options.focus()
        self.load()

    @work(group="behind", exclusive=True)
    async def load(self) -> None:
        found = await self._ask(self._frame, wire.SessionsBehind)
        if not isinstance(found, wire.SessionsBehind):
            self.dismiss(None)
            return
        rows = {item.session.id: self._row(item) for item in found.items}
        self.put_rows(list(rows.items()))
        count = f"{len(rows)}{'+' if found.next else ''}"
        self.query_one("#count", Static).update(shell(self).words("search.count", n=count))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)

    def _row(self, item: wire.BehindItem) -> Text:
        view = item.session
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{one_line(item.hour, 16)}  ", "dim")
        text.append(fit(one_line(view.name or view.chat, 60), 20) + "  ", "bold")
        text.append(fit(one_line(item.operator or view.line, 40), 14) + "  ")
        if item.value > 1:
            text.append(shell(self).words.span(item.value) + "  ")
        return text.append(one_line(view.last_text, 200), "dim")


def _days(since: str, to: str) -> list[str]:
    """The days of a period, both ends counted; none for what is no period."""
    try:
        first, last = date.fromisoformat(since), date.fromisoformat(to)
    except ValueError:
        return []
    return [(first + timedelta(days=n)).isoformat() for n in range(min(400, (last - first).days + 1))]


def _cell(value: Any) -> str:
    """As it stands in a file: a duration by its median, in ms; what a spreadsheet would take for a formula is a
    text."""
    if isinstance(value, Mapping):
        value = value.get("median")
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _write_csv(path: Path, lines: Sequence[Sequence[str]]) -> None:
    """Never over a file that is there: raises ``FileExistsError``."""
    with path.open("x", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(lines)
