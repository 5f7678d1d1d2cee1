"""The conversation: a virtual list of blocks, so that painting costs what is on screen.

Scrolling only picks lines; a line that was painted stays painted until something else changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message as Posted
from textual.strip import Strip

from console.model import Thread
from console.shell import shell
from console.text.blocks import Blocks
from console.text.paint import BAD, Brush
from console.widgets.pane import RowsPane
from crm.kernel.records import Media, Message
from crm.kernel.text import one_line
from router.wire.protocol import SessionView

STYLES = (
    "in", "out", "note", "whisper", "system", "time", "name-in", "name-out", "name-note", "name-whisper", "mark", "media", "quote",
    "deleted", "day", "tick", "read", "failed", "unknown", "link", "typing", "selected",
)  # fmt: skip

FILELESS = ("location", "contact")
"""Attachments that are all said in their line."""


class ThreadView(RowsPane, can_focus=True):
    """Shows one session's thread. Up and down move over messages once one is selected."""

    # letters are looked up last, when it is known what the keys before them have done
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "step(1)", show=False),
        Binding("k", "step(-1)", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"thread--{name}" for name in STYLES}
    DEFAULT_CSS = """
    ThreadView {
        height: 1fr; padding: 0 0; overflow-x: hidden; scrollbar-size-vertical: 1; background: $background;
        & .thread--in { color: $foreground; }
        & .thread--out { color: $soft; }
        & .thread--note { color: $note; text-style: italic; }
        & .thread--whisper { color: $whisper; text-style: italic; }
        & .thread--system { color: $faint; }
        & .thread--time { color: $faint; }
        & .thread--name-in { color: $primary; text-style: bold; }
        & .thread--name-out { color: $success; }
        & .thread--name-note { color: $note; text-style: bold; }
        & .thread--name-whisper { color: $whisper; text-style: bold; }
        & .thread--mark { color: $faint; }
        & .thread--media { color: $secondary; }
        & .thread--quote { color: $faint; text-style: italic; }
        & .thread--deleted { color: $faint; text-style: strike; }
        & .thread--day { color: $faint; }
        & .thread--tick { color: $faint; }
        & .thread--read { color: $primary; }
        & .thread--failed { color: $error; text-style: bold; }
        & .thread--unknown { color: $warning; text-style: bold; }
        & .thread--link { color: $primary; text-style: underline; }
        & .thread--typing { color: $secondary; text-style: italic; }
        & .thread--selected { background: $selection; }
    }
    """

    @dataclass
    class OlderWanted(Posted):
        """The operator came near the top."""

        session: str

    @dataclass
    class BottomReached(Posted):
        """Everything that is there has been on screen."""

        session: str

    @dataclass
    class Clicked(Posted):
        """A message was clicked."""

        message: str

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.thread: Thread | None = None
        self.view: SessionView | None = None
        self.selected = ""
        self.below = 0
        """New messages that came while the operator was reading further up."""
        self._laid = Blocks()
        self._styles: dict[tuple[str, bool], Style] = {}
        self._strips: dict[int, Strip] = {}
        """Painted lines; empty after anything but scrolling changed."""
        self._asked = -1
        self._stick = True
        self._known = 0

    # -------------------------------------------------------------- content

    def show(self, thread: Thread | None, view: SessionView | None) -> None:
        """Turns to another thread, at its newest message."""
        self.thread, self.view = thread, view
        self.selected, self.below, self._asked, self._known = "", 0, -1, 0
        self._laid.clear()
        self._stick = True
        self.sync()
        self.scroll_end(animate=False, immediate=True, force=True)

    def sync(self) -> None:
        """Paints what changed in the thread; keeps the place of who reads further up."""
        if self.thread is None or not self.size.width:
            self._laid.clear()
            self._strips.clear()
            self.put_height(0)
            self.refresh()
            return
        anchor = self._anchor()
        picture, now = shell(self).picture, shell(self).now()
        echoes, writers = picture.echoes_of(self.thread.session), picture.writers(self.thread.session, now)
        self._laid.update(self._brush(), self.thread, echoes, writers, now)
        self._strips.clear()
        self._count_below()
        self.put_height(self._laid.height)
        self._restore(anchor)
        self.refresh()

    def _brush(self) -> Brush:
        app, view = shell(self), self.view
        customer = one_line(view.name, 60) if view is not None and view.name else app.words("thread.customer")
        return Brush(
            app.words,
            app.zone,
            max(20, self.size.width - 2),
            app.picture.operator,
            customer,
            frozenset(app.settings.discarded),
        )

    def _count_below(self) -> None:
        assert self.thread is not None
        count = len(self.thread.own)
        newest = self.thread.own[-1].seq if self.thread.own else 0
        if not self._stick and self._known and newest > self._known:
            self.below += newest - self._known
        self._known = newest if count else 0

    # -------------------------------------------------------------- the place

    def _anchor(self) -> tuple[str, int] | None:
        """The first message on screen and how far it is scrolled out; None at the bottom."""
        blocks = self._laid.blocks
        if self._stick or not blocks:
            return None
        y = int(self.scroll_y)
        for index in range(max(0, self._laid.at(y)), len(blocks)):
            if blocks[index].ids:
                return blocks[index].ids[0], y - self._laid.tops[index]
        return None

    def _restore(self, anchor: tuple[str, int] | None) -> None:
        """Scrolls to where the anchor is now, or to the end."""
        index = self._laid.find(anchor[0]) if anchor is not None else -1
        y = self._laid.tops[index] + anchor[1] if anchor is not None and index >= 0 else self.max_scroll_y
        self.scroll_to(y=y, animate=False, immediate=True, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self.thread is None or not self._laid.blocks:
            return
        self._stick = new_value >= self.max_scroll_y - 1
        if self._stick:
            self.below = 0
            self.post_message(self.BottomReached(self.thread.session))
        if new_value < 8 and new_value < old_value:
            self.want_older()

    def want_older(self) -> None:
        """Asks for older messages, once until something came."""
        if self.thread is None or self._asked == len(self.thread.by_id):
            return
        if self.thread.more or self.thread.more_older:
            self._asked = len(self.thread.by_id)
            self.post_message(self.OlderWanted(self.thread.session))

    def ask_again(self) -> None:
        """The last request for older messages failed: the next scroll may ask again."""
        self._asked = -1

    @property
    def at_bottom(self) -> bool:
        return self._stick

    # -------------------------------------------------------------- selecting

    def selected_message(self) -> Message | None:
        return self.thread.by_id.get(self.selected) if self.thread is not None else None

    def trouble(self) -> Message | None:
        """The selected message if it failed, else the newest failed one that was not put aside."""
        chosen = self.selected_message()
        if chosen is not None:
            return chosen if chosen.delivery in BAD else None
        if self.thread is None:
            return None
        aside = shell(self).settings.discarded
        for message in reversed(self.thread.own[-100:]):
            if message.delivery in BAD and message.id not in aside:
                return message
        return None

    def files(self) -> list[Media]:
        """The files of the selected message (with those of its album), else of the newest message
        that has any."""
        if self.thread is None:
            return []
        if self.selected:
            index = self._laid.find(self.selected)
            ids = self._laid.blocks[index].ids if index >= 0 else ()
            messages = [self.thread.by_id[id] for id in ids if id in self.thread.by_id]
            return [media for message in messages for media in message.media if media.kind not in FILELESS]
        for message in reversed(self.thread.own[-100:]):
            found = [media for media in message.media if media.kind not in FILELESS]
            if found:
                return found
        return []

    def select(self, message: str) -> bool:
        """Marks a message and brings it on screen; False when it is not loaded. An empty one
        marks none."""
        before, self.selected = self.selected, message
        self._refresh_block(before)
        if not message:
            return True
        index = self._laid.find(message)
        if index < 0:
            self.selected = ""
            return False
        top, bottom = self._laid.tops[index], self._laid.tops[index + 1]
        if top < self.scroll_y or bottom > self.scroll_y + self.size.height:
            target = top if top < self.scroll_y else max(0, bottom - self.size.height)
            self.scroll_to(y=target, animate=False, immediate=True, force=True)
        self._refresh_block(message)
        return True

    def move(self, step: int) -> None:
        """Selects the next (1) or previous (-1) message."""
        index = self._laid.find(self.selected) if self.selected else len(self._laid.blocks)
        index += step
        while 0 <= index < len(self._laid.blocks) and not self._laid.blocks[index].ids:
            index += step
        if index < 0:
            self.want_older()
        elif index < len(self._laid.blocks):
            self.select(self._laid.blocks[index].ids[-1])
        else:
            self.select("")
            self.scroll_end(animate=False, immediate=True, force=True)

    def action_step(self, step: int) -> None:
        self.move(step)

    def on_key(self, event: events.Key) -> None:
        steps = {"up": -1, "down": 1}
        if event.key in steps:
            self.move(steps[event.key])
        elif event.key in ("pageup", "pagedown", "home", "end"):
            {
                "pageup": self.scroll_page_up,
                "pagedown": self.scroll_page_down,
                "home": self.scroll_home,
                "end": self.scroll_end,
            }[event.key](animate=False)
            if event.key in ("pageup", "home") and self.scroll_y < 1:
                self.want_older()
        else:
            return
        event.stop()
        event.prevent_default()

    def on_click(self, event: events.Click) -> None:
        index = self._laid.at(self._row(event.y))
        if 0 <= index < len(self._laid.blocks) and self._laid.blocks[index].ids:
            self.select(self._laid.blocks[index].ids[-1])
            self.post_message(self.Clicked(self.selected))

    def on_resize(self) -> None:
        self.sync()

    # -------------------------------------------------------------- painting

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()

    def _style(self, name: str, *, selected: bool) -> Style:
        """The whole style of a span. Kept, because adding styles up costs more than all the rest."""
        style = self._styles.get((name, selected))
        if style is None:
            word, _, link = name.partition(" ")
            style = self.rich_style
            if selected:
                style += self.get_component_rich_style("thread--selected", partial=True)
            if word:
                style += self.get_component_rich_style(f"thread--{word}", partial=True)
            if link:
                style += Style(link=link)
            if len(self._styles) > 2_000:
                self._styles.clear()
            self._styles[name, selected] = style
        return style

    def _row(self, y: int) -> int:
        """The line of the thread at row ``y`` of the screen; a short thread stands at the bottom,
        next to the composer, where one looks."""
        return y + int(self.scroll_y) - max(0, self.size.height - self._laid.tops[-1])

    def _refresh_block(self, message: str) -> None:
        """Paints only the lines of one message again."""
        index = self._laid.find(message)
        if index < 0:
            return
        top, bottom = self._laid.tops[index], self._laid.tops[index + 1]
        for row in range(top, bottom):
            self._strips.pop(row, None)
        self.refresh(Region(0, top - self._row(0), self.size.width, bottom - top))

    def render_line(self, y: int) -> Strip:
        row = self._row(y)
        strip = self._strips.get(row)
        if strip is None:
            if len(self._strips) > 4_000:
                self._strips.clear()
            strip = self._strips[row] = self._strip(row)
        return strip

    def _strip(self, row: int) -> Strip:
        index = self._laid.at(row)
        if not 0 <= index < len(self._laid.blocks):
            return Strip.blank(self.size.width, self._style("", selected=False))
        block = self._laid.blocks[index]
        selected = bool(self.selected) and self.selected in block.ids
        base = self._style("", selected=selected)
        spans = block.lines[row - self._laid.tops[index]]
        segments = [Segment("▌" if selected else " ", base)]
        segments += [Segment(text, self._style(name, selected=selected)) for name, text in spans]
        return Strip(segments).adjust_cell_length(self.size.width, base)
