"""The list on the left: mine, offered, joined, and waiting by line; two lines for each."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message as Posted
from textual.strip import Strip

from console.shell import shell
from console.text.paint import TICKS
from console.text.wrap import fit
from console.widgets.pane import RowsPane
from crm.kernel.text import one_line
from router.wire.protocol import SessionView

KINDS = {
    "telegram": "TG", "vk": "VK", "web": "WW", "teams": "MS", "email": "EM", "whatsapp": "WA",
    "messenger": "FB", "instagram": "IG", "viber": "VB", "loopback": "LB",
}  # fmt: skip
SOON = 20_000
"""ms before a promise runs out at which it is marked."""
SETTLED = 0.7
"""Seconds after which what has moved by itself is taken to have been seen: the way to a terminal and the
eye take their time."""
STYLES = (
    "head",
    "name",
    "kind",
    "preview",
    "calm",
    "soon",
    "late",
    "unread",
    "cursor",
    "offered",
    "open",
    "pin",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list: a heading, a session's first line, or its second."""

    part: Literal["head", "first", "second"]
    session: str = ""
    label: str = ""


class SessionPane(RowsPane, can_focus=True):
    """Sessions in order. The cursor stays with its session when the order changes; when the session leaves
    the list, the cursor is nowhere until the operator moves it, for the next key was meant for that one."""

    # letters are looked up last, when it is known what the keys before them have done
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "step(1)", show=False),
        Binding("k", "step(-1)", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"sessions--{name}" for name in STYLES}
    DEFAULT_CSS = """
    SessionPane {
        height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; background: $background;
        & .sessions--head { color: $faint; }
        & .sessions--name { color: $foreground; }
        & .sessions--kind { color: $faint; }
        & .sessions--preview { color: $faint; }
        & .sessions--calm { color: $faint; }
        & .sessions--soon { color: $warning; }
        & .sessions--late { color: $error; text-style: bold; }
        & .sessions--unread { color: $primary; text-style: bold; }
        & .sessions--offered { color: $accent; text-style: bold; }
        & .sessions--pin { color: $secondary; }
        & .sessions--open { background: $shade; }
        & .sessions--cursor { background: $selection; }
    }
    """

    @dataclass
    class Opened(Posted):
        """A session was chosen by Enter or a click."""

        session: str

    @dataclass
    class Moved(Posted):
        """The cursor stands on another session."""

        session: str

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.cursor = ""
        self.lost = False
        """The session under the cursor has left the list."""
        self.open = ""
        """The session that is shown in the thread."""
        self._rows: list[Row] = []
        self._order: list[str] = []
        self._place: dict[str, int] = {}
        """Session -> its place in the order."""
        self._row_of: dict[str, int] = {}
        """Session -> its first line."""
        self.started = False
        """There has been a cursor."""
        self._gap = 0
        """The place that the cursor has lost."""
        self._landed = 0.0
        """When the cursor came by itself to where it is (monotonic seconds); 0 when it was put there."""
        self._resorted = 0.0
        self._rows_before: list[Row] = []
        """The lines as they were before they were sorted anew, and when that was."""
        self._strips: dict[int, Strip] = {}
        """Painted lines; empty after anything but scrolling changed."""
        self._styles: dict[tuple[str, str], Style] = {}

    # -------------------------------------------------------------- content

    def sync(self) -> None:
        """Reads the picture again."""
        picture, words = shell(self).picture, shell(self).words
        before, was_empty, place = self._rows, not self._order, self._place.get(self.cursor, self._gap)
        self._rows, self._order, self._place, self._row_of = [], [], {}, {}
        self._section("", picture.mine())
        if not self._rows:
            self._rows.append(Row("head", label=words("list.none")))
        self._section(words("list.offered"), picture.offered())
        self._section(words("list.joined"), picture.joined())
        for line, views in picture.waiting().items():
            known = picture.lines.get(line)
            count = max(known.waiting if known is not None else 0, len(views))
            self._section(words("list.waiting", line=one_line(line, 20), n=count), views)
        if self._rows != before:
            self._rows_before, self._resorted = before, time.monotonic()
        if self.cursor not in self._place:
            self._misplace(place, was_empty=was_empty)
        self.put_height(len(self._rows))
        self.repaint()

    def _misplace(self, place: int, *, was_empty: bool) -> None:
        """The session under the cursor is not listed, or there is no cursor yet."""
        now = time.monotonic()
        if self.cursor:
            self.cursor, self.lost, self._gap, self._landed = "", True, place, now
            self.post_message(self.Moved(""))
        elif self._order and was_empty and (not self.lost or now - self._landed > SETTLED):
            self.lost, self._landed = False, now if self.started else 0.0
            self.started = True
            self.cursor = self._order[0]
            self.post_message(self.Moved(self.cursor))

    def land(self) -> None:
        """The operator comes to the list: where the cursor was lost it is on the next one, and acts as soon
        as that can have been seen."""
        if self.lost and self._order:
            self.lost, self._landed = False, time.monotonic()
            self.cursor = self._order[min(self._gap, len(self._order) - 1)]
            self._refresh_rows(self.cursor)
            self.post_message(self.Moved(self.cursor))

    def bring(self) -> None:
        """The cursor has been scrolled out of sight: it comes back, and acts when that can have been seen."""
        if self.cursor and not self._in_sight():
            self.put_cursor(self.cursor)
            self._landed = time.monotonic()

    def _in_sight(self) -> bool:
        rows = self._rows_of(self.cursor)
        top, bottom = int(self.scroll_y), int(self.scroll_y) + self.size.height
        return bool(rows) and rows.stop > top and rows.start < bottom

    def pointed(self) -> str:
        """The session that is seen under the cursor: what a key is meant for. Empty when there is none, it
        is out of sight, or it came there this moment."""
        if not self._in_sight():
            return ""
        return "" if self._landed and time.monotonic() - self._landed < SETTLED else self.cursor

    def repaint(self) -> None:
        """Paints every line again: time has passed, or the picture changed."""
        self._strips.clear()
        self.refresh()

    def _section(self, label: str, views: list[SessionView]) -> None:
        if not views:
            return
        if label:
            self._rows.append(Row("head", label=label))
        for view in views:
            self._place[view.id] = len(self._order)
            self._order.append(view.id)
            self._row_of[view.id] = len(self._rows)
            self._rows.append(Row("first", view.id))
            self._rows.append(Row("second", view.id))

    def put_open(self, session: str) -> None:
        """Marks the session that is shown in the thread."""
        before, self.open = self.open, session
        self._refresh_rows(before)
        self._refresh_rows(session)

    def put_cursor(self, session: str) -> None:
        """Moves the cursor to a session of the list and brings it on screen."""
        if session not in self._place:
            return
        self.lost, self._landed = False, 0.0
        if session != self.cursor:
            before, self.cursor = self.cursor, session
            self._refresh_rows(before)
            self.post_message(self.Moved(session))
        rows = self._rows_of(session)
        top = rows.start - (1 if rows.start and self._rows[rows.start - 1].part == "head" else 0)
        if top < self.scroll_y:
            self.scroll_to(y=top, animate=False, immediate=True, force=True)
        elif rows.stop > self.scroll_y + self.size.height:
            self.scroll_to(y=rows.stop - self.size.height, animate=False, immediate=True, force=True)
        self._refresh_rows(session)

    def _rows_of(self, session: str) -> range:
        """The lines of a session; none when it is not in the list."""
        first = self._row_of.get(session, -1)
        return range(first, first + 2) if first >= 0 else range(0)

    def _refresh_rows(self, session: str) -> None:
        """Paints only the lines of one session again."""
        rows = self._rows_of(session)
        for row in rows:
            self._strips.pop(row, None)
        if rows:
            self.refresh(Region(0, rows.start - int(self.scroll_y), self.size.width, len(rows)))

    def move(self, step: int) -> None:
        if self._order:
            place = self._place.get(self.cursor, self._gap - (1 if step > 0 else 0))
            self.put_cursor(self._order[max(0, min(len(self._order) - 1, place + step))])

    # -------------------------------------------------------------- input

    def action_step(self, step: int) -> None:
        self.move(step)

    def on_key(self, event: events.Key) -> None:
        page = max(1, self.size.height // 2)
        steps = {
            "up": -1, "down": 1, "pageup": -page, "pagedown": page,
            "home": -len(self._order), "end": len(self._order),
        }  # fmt: skip
        if event.key in steps:
            self.move(steps[event.key])
            event.stop()
            event.prevent_default()

    def on_click(self, event: events.Click) -> None:
        row = int(self.scroll_y) + event.y
        if event.chain > 1 or not 0 <= row < len(self._rows):
            return  # the second half of a double click was for what its first half has taken away
        fresh = time.monotonic() - self._resorted < SETTLED
        if fresh and self._rows_before[row : row + 1] != [self._rows[row]]:
            return  # what was aimed at has moved away from under the pointer
        if self._rows[row].session:
            self.put_cursor(self._rows[row].session)
            self.post_message(self.Opened(self._rows[row].session))

    def on_resize(self) -> None:
        self.sync()

    def focus_moved(self) -> None:
        self._refresh_rows(self.cursor)

    # -------------------------------------------------------------- painting

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()

    def _style(self, name: str, state: str = "") -> Style:
        """The whole style of a span on a line under the cursor, of the open session, or neither."""
        style = self._styles.get((name, state))
        if style is None:
            style = self.rich_style
            for part in filter(None, (state, name)):
                style += self.get_component_rich_style(f"sessions--{part}", partial=True)
            self._styles[name, state] = style
        return style

    def render_line(self, y: int) -> Strip:
        row = y + int(self.scroll_y)
        strip = self._strips.get(row)
        if strip is None:
            strip = self._strips[row] = self._strip(row)
        return strip

    def _strip(self, row: int) -> Strip:
        width, base = self.size.width, self._style("")
        if not 0 <= row < len(self._rows):
            return Strip.blank(width, base)
        item = self._rows[row]
        if item.part == "head":
            return Strip([Segment(f" {fit(item.label, width - 1)}", self._style("head"))])
        view = shell(self).picture.sessions.get(item.session)
        if view is None:
            return Strip.blank(width, base)
        edge, state = " ", "open" if item.session == self.open else ""
        if item.session == self.cursor:
            edge, state = "▌", "cursor" if self.has_focus else "open"
        spans = self._first(view, width - 1) if item.part == "first" else self._second(view, width - 1)
        segments = [Segment(edge, self._style("unread", state))]
        segments += [Segment(text, self._style(name, state)) for name, text in spans]
        return Strip(segments).adjust_cell_length(width, self._style("", state))

    def _first(self, view: SessionView, width: int) -> list[tuple[str, str]]:
        picture = shell(self).picture
        state, time = self._time(view)
        right = f"{KINDS.get(view.kind, one_line(view.kind, 8)[:2].upper())} "
        clock = f"{time:>6}"
        lead = ""
        if picture.is_offered(view):
            lead = "!!" if view.offer_until - shell(self).now() < SOON else "!"
        pin = ("^" if view.pinned else "") + ("z" if view.snoozed else "") + ("★" if view.vip else "")
        name = one_line(view.name or view.chat, 60)
        room = width - len(lead) - cell_len(pin) - cell_len(right) - cell_len(clock) - 1
        style = "offered" if lead else ("unread" if view.unread and picture.is_mine(view) else "name")
        return [
            ("offered", lead),
            ("pin", pin),
            (style, fit(name, room) + " "),
            ("kind", right),
            (state, clock),
        ]

    def _time(self, view: SessionView) -> tuple[str, str]:
        """How long the customer waits, with a mark beside the colour: ``△`` soon late, ``▲`` late. Of an
        offer how long it lasts: what marks that is ``!``, and ``!!`` near its end."""
        app = shell(self)
        picture, now = app.picture, app.now()
        if picture.is_offered(view):
            left = view.offer_until - now
            return ("late" if left < SOON else "soon"), app.words.span(left)
        since = view.waiting_since or (view.arrival if view.status == "waiting" else 0)
        if not since:
            return "calm", app.words.span(now - view.last_at) if view.last_at else ""
        promise = picture.promise(view)
        if promise and promise < now:
            return "late", "▲" + app.words.span(now - since)
        if promise and promise - now < SOON:
            return "soon", "△" + app.words.span(now - since)
        return "name", app.words.span(now - since)

    def _second(self, view: SessionView, width: int) -> list[tuple[str, str]]:
        app = shell(self)
        writers = app.picture.writers(view.id, app.now())
        draft = app.drafts.get(view.id, "reply") and view.id != self.open
        tail = f" {min(view.unread, 99)}●" if view.unread else ""
        text, kind = view.last_text, view.last_kind
        if view.last_direction == "out":
            if app.picture.is_mine(view):
                tail = tail or " " + TICKS["sent"]
            else:  # who may take it wants to know what is asked, not what the desk said to it
                text, kind = view.asked_text or text, view.asked_kind or kind
        text = one_line(text, 120) or app.words.maybe(f"kind.{kind}", "")
        if "" in writers:
            text = app.words("list.typing")
        elif draft:
            text = app.words("list.draft") + " " + one_line(app.drafts.get(view.id, "reply"), 80)
        room = width - 1 - cell_len(tail)
        return [("preview", " " + fit(text, room)), ("unread" if view.unread else "kind", tail)]
