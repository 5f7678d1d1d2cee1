"""What can have the focus on the desk."""

from __future__ import annotations

from textual import events
from textual.geometry import Size
from textual.reactive import Reactive
from textual.scroll_view import ScrollView


class Pane:
    """A widget that looks the same with the focus and without, but for what it paints itself. Textual would
    look all its styles up again and paint all of it whenever the focus comes or goes (4 ms)."""

    has_focus: bool

    def on_focus(self, event: events.Focus) -> None:
        event.prevent_default()
        self.has_focus = True
        self.focus_moved()

    def on_blur(self, event: events.Blur) -> None:
        event.prevent_default()
        self.has_focus = False
        self.focus_moved()

    def focus_moved(self) -> None:
        """The focus has come or gone: what shows it here is painted anew."""

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Looks no style up."""


class RowsPane(Pane, ScrollView):
    """A pane of as many rows as there are. Textual would lay the whole screen out anew whenever their number
    changes (8 ms, at every message that comes); only a scroll bar that comes or goes asks for that."""

    virtual_size: Reactive[Size] = Reactive(Size(0, 0), repaint=False)

    def put_height(self, rows: int) -> None:
        """So many rows there are now."""
        size = Size(self.size.width, rows)
        if size != self.virtual_size:
            self.virtual_size = size
            self._scroll_update(size)
