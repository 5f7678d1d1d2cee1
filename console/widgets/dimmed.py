"""What is behind a dialog, dimmed."""

from __future__ import annotations

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.css.styles import RulesMap
from textual.renderables.background_screen import BackgroundScreen
from textual.strip import Strip
from textual.style import Style as VisualStyle
from textual.visual import RenderOptions, Visual


@lru_cache(4096)
def dimmed(style: Style | None, color: Color, base: Style) -> Style:
    """A style on ``base`` and under a veil of ``color``, without its links. Kept: a screen has a thousand
    segments in thirty styles, and mixing the colours of each anew took 10 ms of every paint of a dialog."""
    (veiled,) = BackgroundScreen.process_segments([Segment("", style)], color)
    return base + (veiled.style or Style())


class Behind(Visual):
    """The screen behind a dialog, from its lines as they are painted: what Textual has for it goes by way of
    a rich renderable, which costs as much again."""

    def __init__(self, veil: BackgroundScreen) -> None:
        self._veil = veil

    def render_strips(
        self, width: int, height: int | None, style: VisualStyle, options: RenderOptions
    ) -> list[Strip]:
        base, color = style.rich_style, self._veil.color
        lines = self._veil.screen._compositor.render_strips()
        return [
            Strip(
                [Segment(text, dimmed(of, color, base)) for text, of, control in line if not control],
                line.cell_length,
            ).crop(0, width)
            for line in lines[:height]
        ]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        return container_width

    def get_height(self, rules: RulesMap, width: int) -> int:
        return self._veil.screen.size.height
