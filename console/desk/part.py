"""What a part of the desk is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.desk.screen import MainScreen


class Part:
    """Something that the desk has: it keeps what is its own, sees the desk's widgets and the open session
    through ``desk``, and asks other parts by name. A method ``do_<action>`` is a verb (``actions``)."""

    def __init__(self, desk: MainScreen) -> None:
        self.desk = desk
