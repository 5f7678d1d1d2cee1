"""When a screen is painted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from textual import events
from textual.screen import UPDATE_PERIOD, Screen

if TYPE_CHECKING:
    Base = Screen[Any]
else:
    Base = object


class Swift(Base):
    """A screen that is painted as soon as there is something to paint, if it was not within the last sixtieth
    of a second. Textual paints at the beats of a clock, also what comes after long silence: a key that falls
    behind a beat waits for the next (14 ms)."""

    _painted = 0.0
    """When it was painted last (monotonic seconds)."""

    async def _on_idle(self, event: events.Idle) -> None:
        """What comes sooner, or while it is not in front, is left to Textual."""
        due = time.monotonic() - self._painted >= UPDATE_PERIOD
        if due and self.is_current and not self.app._batch_count and self._unpainted():
            event.prevent_default()
            self._on_timer_update()

    def _unpainted(self) -> bool:
        return bool(
            self._layout_required
            or self._scroll_required
            or self._repaint_required
            or self._recompose_required
            or self._dirty_widgets
        )

    def _on_timer_update(self) -> None:
        painting = self._unpainted()
        super()._on_timer_update()
        if painting:
            self._painted = time.monotonic()
