"""What can have the focus on the desk."""

from __future__ import annotations


class Pane:
    """A widget none of whose styles depend on the focus: what shows it is painted, here and around it.
    Textual would look them all up again, components included, whenever the focus comes or goes (2 ms)."""

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Nothing."""
