"""What can have the focus on the desk."""

from __future__ import annotations

from textual import events


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
