"""What frames the panes: the top bar, the rules with their titles, and the footer with its keys."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message as Posted
from textual.strip import Strip
from textual.widget import Widget

from console.actions import Action, Situation, footer, shown_key
from console.shell import shell
from console.text.wrap import fit
from console.widgets.sessions import SETTLED
from crm.kernel.text import one_line

Span = tuple[str, str]
DUTY_MARKS = {"online": "●", "break": "◐", "offline": "○"}
BAR_STYLES = (
    "brand", "text", "faint", "good", "warn", "bad", "rule", "title", "note", "whisper", "key", "focus",
)  # fmt: skip


class Painted(Widget):
    """A widget of single lines made of styled spans; never of markup."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"bar--{name}" for name in BAR_STYLES}
    DEFAULT_CSS = """
    Painted {
        height: 1; background: $background;
        & .bar--brand { color: $primary; text-style: bold; }
        & .bar--text { color: $foreground; }
        & .bar--faint { color: $faint; }
        & .bar--good { color: $success; }
        & .bar--warn { color: $warning; }
        & .bar--bad { color: $error; text-style: bold; }
        & .bar--rule { color: $rule; }
        & .bar--title { color: $foreground; text-style: bold; }
        & .bar--note { color: $note; text-style: bold; }
        & .bar--whisper { color: $whisper; text-style: bold; }
        & .bar--key { color: $accent; text-style: bold; }
        & .bar--focus { color: $primary; text-style: bold; }
    }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._styles: dict[str, Style] = {}

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    def _style(self, name: str) -> Style:
        """The whole style of a span; kept, because adding styles up costs more than all the rest."""
        style = self._styles.get(name)
        if style is None:
            style = self.rich_style
            if name:
                style += self.get_component_rich_style(f"bar--{name}", partial=True)
            self._styles[name] = style
        return style

    def strip(self, spans: list[Span]) -> Strip:
        """The spans as one line of the widget's width."""
        parts = [Segment(text, self._style(name)) for name, text in spans]
        return Strip(parts).adjust_cell_length(self.size.width, self._style(""))


def spread(
    left: list[Span], right: list[Span], width: int, fill: str = " ", style: str = "text"
) -> list[Span]:
    """``left`` and ``right`` at the two ends of ``width`` cells. Where there is no room for both,
    ``right`` is left out, and then the end of ``left`` is cut."""
    used = sum(cell_len(text) for _, text in left)
    tail = sum(cell_len(text) for _, text in right)
    if used + tail + 1 > width:
        right, tail = [], 0
    kept: list[Span] = []
    room = width - tail
    for name, text in left:
        if cell_len(text) > room:
            kept.append((name, fit(text, room)))
            room = 0
            break
        kept.append((name, text))
        room -= cell_len(text)
    return [*kept, (style, fill * room), *right]


class TopBar(Painted):
    """The truth in one line: desk, duty, backlog, latency or what is wrong with the link. Each stretch of
    it does something when it is clicked."""

    @dataclass
    class Pressed(Posted):
        """A stretch that stands for an action was clicked."""

        action: str

    def render_line(self, y: int) -> Strip:
        return self.strip(self.spans())

    def spans(self) -> list[Span]:
        left, right, room = self._stretches()
        return spread(spread(_flat(left), [], room), _flat(right), self.size.width)

    def _stretches(self) -> tuple[list[Stretch], list[Stretch], int]:
        """What stands at the left and at the right, and the cells for the left."""
        right = self._link()
        room = self.size.width - _cells(right) - 1
        # what is wrong must be seen: where there is no room, the rest goes first
        for details in (3, 2, 1, 0):
            left = self._left(details)
            if _cells(left) <= room:
                break
        return left, right, room

    def action_at(self, x: int) -> str:
        """What a click on that cell does; empty between the stretches."""
        left, right, _ = self._stretches()
        end = 0
        for action, spans in left:
            end += sum(cell_len(text) for _, text in spans)
            if x < end:
                return action
        end = self.size.width - _cells(right)
        for action, spans in right:
            start, end = end, end + sum(cell_len(text) for _, text in spans)
            if start <= x < end:
                return action
        return ""

    def on_click(self, event: events.Click) -> None:
        if action := self.action_at(event.x):
            self.post_message(self.Pressed(action))

    def _left(self, details: int) -> list[Stretch]:
        """Duty and trouble, and with ``details`` of 1 how many wait, of 2 the lines, of 3 the longest
        wait."""
        app = shell(self)
        words, picture = app.words, app.picture
        left: list[Stretch] = [("palette", [("brand", " navbat  ")])]
        names = "·".join(one_line(line.name, 20) for line in picture.my_lines()[:4])
        if details >= 2 and names:
            left.append(("lines" if "lead" in picture.rights else "to_waiting", [("text", names + "   ")]))
        if picture.operator:
            left.append(("duty", self._duty()))
        waiting, oldest, late = picture.backlog(app.now())
        if details:
            backlog: list[Span] = [("faint", words("bar.waiting", n=waiting))]
            if waiting and details == 3:
                backlog.append(("faint", " · " + words("bar.oldest", span=words.span(oldest))))
            left.append(("to_waiting", backlog))
        if late:
            goes = "next" if picture.owes() else "to_waiting"
            left.append((goes, [("text", "  "), ("bad", "▲ " + words("bar.late", n=late))]))
        return [*left, ("state", self._troubles(details))]

    def _troubles(self, details: int) -> list[Span]:
        """What does not work, and with ``details`` how much waits because of it."""
        app = shell(self)
        words, how = app.words, app.how
        found: list[Span] = []
        if how.down:
            found += [("text", "  "), ("bad", "✗ " + words("bar.down", names=how.trouble(words)))]
            found += [("faint", f" · {text}") for text in (how.waiting(words) if details >= 2 else ())]
        if how.lag > 2_000:
            found += [("text", "  "), ("warn", "… " + words("bar.lag", span=words.span(how.lag)))]
        return found

    def _duty(self) -> list[Span]:
        app = shell(self)
        me = app.picture.me
        style = {"online": "good", "break": "warn"}.get(me.duty, "faint")
        load = f"{me.load}/{me.max_sessions}" if me.max_sessions < 1000 else str(me.load)
        return [
            (style, f"{DUTY_MARKS.get(me.duty, '○')} {app.words.maybe(f'duty.{me.duty}', me.duty)}"),
            ("text", f" {load}   "),
        ]

    def _link(self) -> list[Stretch]:
        app = shell(self)
        unsent = [("bad", app.words("bar.unsent", n=app.unsent) + " ")] if app.unsent else []
        if app.latency >= 0:
            return [("state", [*unsent, ("faint", f"{app.latency:.0f} ms ")])]
        return [("reconnect", [("warn", "⟳ " + app.words("bar.reconnecting") + " ")]), ("state", unsent)]


Stretch = tuple[str, list[Span]]
"""An action and what stands for it."""


def _flat(stretches: list[Stretch]) -> list[Span]:
    return [span for _, spans in stretches for span in spans]


def _cells(stretches: list[Stretch]) -> int:
    return sum(cell_len(text) for _, text in _flat(stretches))


@dataclass(frozen=True)
class PaneHead:
    """A stretch of a rule above one pane: ``width`` cells and its titles."""

    width: int
    title: str = ""
    right: str = ""
    style: str = "title"
    focused: bool = False
    """Keys act in the pane below: its line is heavy and its title marked, so not by colour alone."""


class Rule(Painted):
    """A horizontal line that joins the panes' borders: ``┌ MINE ──┬ Ali ──┐``."""

    def __init__(self, ends: str, *, id: str) -> None:
        super().__init__(id=id)
        self._ends = ends
        self._parts: list[PaneHead] = []

    def put(self, parts: list[PaneHead]) -> None:
        """Sets the stretches from left to right; painted again only when they differ."""
        if parts != self._parts:
            self._parts = parts
            self.refresh()

    def render_line(self, y: int) -> Strip:
        return self.strip(self.spans())

    def spans(self) -> list[Span]:
        left, middle, end = list(self._ends)
        spans: list[Span] = []
        for number, part in enumerate(self._parts):
            spans.append(("rule", middle if number else left))
            spans += stretch(part)
        return [*spans, ("rule", end)]


def stretch(part: PaneHead) -> list[Span]:
    """A part's titles on a line."""
    fill, line, style = ("━", "focus", part.style) if part.focused else ("─", "rule", part.style)
    if part.focused and style in ("title", "faint"):
        style = "focus"
    if part.width < 5 or not part.title:
        return [(line, fill * part.width)]
    mark = "▸" if part.focused else " "
    title: list[Span] = [(style, f"{mark}{fit(part.title, min(cell_len(part.title), part.width - 3))} ")]
    right: list[Span] = [("faint", f" {part.right} "), (line, fill)] if part.right else []
    return spread(title, right, part.width, fill, line)


class ReplyRule(Rule):
    """The line above the composer, inside the middle pane: what is written, and to whom."""

    def spans(self) -> list[Span]:
        return stretch(self._parts[0]) if self._parts else []


class Prompt(Painted):
    """The mark before the composer: what is written there, in its colour while it has the focus. Not by
    ``:focus-within``, for which Textual looks up all styles of the screen whenever the focus moves."""

    DEFAULT_CSS = "Prompt { width: 3; }"
    MARKS: ClassVar[dict[str, Span]] = {
        "reply": ("focus", ">"), "note": ("note", "✎"), "whisper": ("whisper", "»"), "locked": ("bad", "✗"),
    }  # fmt: skip

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._span: Span = ("faint", ">")

    def put(self, kind: str, *, focused: bool) -> None:
        style, mark = self.MARKS[kind]
        span = (style if focused else "faint", mark)
        if span != self._span:
            self._span = span
            self.refresh()

    def render_line(self, y: int) -> Strip:
        return self.strip([("text", " "), self._span])


class Divider(Widget):
    """A vertical line, one cell wide; ``joint`` is a row at which the reply rule meets it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"divider--focus"}

    DEFAULT_CSS = """
    Divider {
        width: 1; height: 1fr; color: $rule; background: $background;
        & .divider--focus { color: $primary; background: $background; text-style: bold; }
    }
    """

    def __init__(self, mark: str, *, id: str) -> None:
        super().__init__(id=id)
        self._mark = mark
        self._joint = -1
        self._beside: range = range(0)
        self._strips: dict[tuple[str, bool], Strip] = {}

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()

    def put_joint(self, row: int) -> None:
        if row != self._joint:
            self._joint = row
            self.refresh()

    def put_beside(self, rows: range) -> None:
        """The rows beside the pane that has the focus."""
        if rows != self._beside:
            self._beside = rows
            self.refresh()

    def render_line(self, y: int) -> Strip:
        text, beside = self._mark if y == self._joint else "│", y in self._beside
        strip = self._strips.get((text, beside))
        if strip is None:
            style = self.get_component_rich_style("divider--focus") if beside else self.rich_style
            strip = self._strips[text, beside] = Strip([Segment(text, style)], 1)
        return strip


class KeyBar(Painted):
    """The six keys that matter now, and what waits to be undone."""

    @dataclass
    class Pressed(Posted):
        """A key of the footer was clicked."""

        action: str

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.situation = Situation()
        self.undo = self._language = ""
        self._places: list[tuple[int, int, str]] = []
        self._places_before = self._places
        self._moved = -SETTLED
        """When what can be clicked has changed (monotonic seconds)."""

    def put(self, situation: Situation, undo: str) -> None:
        language = shell(self).words.language
        changed = (undo, language) != (self.undo, self._language)
        changed = changed or footer(situation) != footer(self.situation)
        if footer(situation) != footer(self.situation) or bool(undo) != bool(self.undo):
            self._places_before, self._moved = self._places, time.monotonic()
        self.situation, self.undo, self._language = situation, undo, language
        if changed:
            self.refresh()

    def render_line(self, y: int) -> Strip:
        return self.strip(self.spans())

    def spans(self) -> list[Span]:
        words = shell(self).words
        spans: list[Span] = [("text", " ")]
        self._places = []
        if self.undo:
            spans.append(("warn", self.undo + "  "))
        used = sum(cell_len(text) for _, text in spans)
        for action in footer(self.situation):
            if not action.keys:
                continue
            key, name = shown_key(action.keys[0]), words(f"short.{action.id}")
            cells = cell_len(key) + cell_len(name) + 3
            if used + cells > self.size.width:
                break
            self._places.append((used, used + cells, action.id))
            spans += [("key", key), ("faint", f" {name}  ")]
            used += cells
        return spans

    def on_click(self, event: events.Click) -> None:
        action = _action_at(self._places, event.x)
        fresh = time.monotonic() - self._moved < SETTLED
        if fresh and action != _action_at(self._places_before, event.x):
            return  # it was aimed at what stood there: a double click on "take" does not send
        if action:
            self.post_message(self.Pressed(action))


def _action_at(places: list[tuple[int, int, str]], x: int) -> str:
    return next((action for start, end, action in places if start <= x < end), "")


def names_of(actions: tuple[Action, ...]) -> list[str]:
    """Ids of the actions that can appear in the footer and so need a short name."""
    return [action.id for action in actions if action.weight and action.keys]
