"""A text of many lines, for a box that scrolls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.segment import Segment
from rich.text import Text
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget


class Lines(Widget):
    """Costs what is seen of it: a line is painted when it comes on screen, and wrapped if it is too long.
    A ``Static`` would go over all of the text several times before its first line is there."""

    DEFAULT_CSS = """
    Lines { width: 1fr; height: auto; }
    """

    def __init__(self, text: Sequence[Text] | Callable[[int], Sequence[Text]]) -> None:
        """``text``, or what gives it for so many cells of width."""
        super().__init__()
        self._text = text
        self._wrapped: Sequence[Text] = ()
        self._width = -1

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def _lines(self, width: int) -> Sequence[Text]:
        """The text in lines of at most ``width`` cells."""
        if width != self._width:
            console, self._width = self.app.console, width
            self._wrapped = [
                line
                for one in (self._text(width) if callable(self._text) else self._text)
                for line in ([one] if one.cell_len <= width else one.wrap(console, max(1, width)))
            ]
        return self._wrapped

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        lines = self._lines(width)
        if y >= len(lines):
            return Strip.blank(width, base)
        console, line = self.app.console, lines[y]
        segments = Segment.apply_style(line.render(console), base + console.get_style(line.style))
        return Strip(segments).adjust_cell_length(width, base)
