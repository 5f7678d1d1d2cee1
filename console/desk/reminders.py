"""Tasks whose time has come are told where one works."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from console.desk.part import Part
from console.notify import desktop
from console.shell import shell, work
from crm.kernel.errors import Refused, Unavailable
from crm.kernel.text import one_line
from router.wire import protocol as wire

if TYPE_CHECKING:
    from console.desk.screen import MainScreen

EVERY = 30.0
"""Seconds between two looks: a reminder is late by no more."""
MOST = 20
"""Tasks of one look."""


class Reminders(Part):
    """Each task is told once: when its reminder is due, and where it has none, when it is due itself."""

    def __init__(self, desk: MainScreen) -> None:
        super().__init__(desk)
        self._told: set[str] = set()

    def begin(self) -> None:
        """Looks soon, and then again and again."""
        self.desk.set_timer(1.0, self.look)
        self.desk.set_interval(EVERY, self.look)

    def look(self) -> None:
        work(self.desk, self.check, group="reminders", exclusive=True)

    async def check(self) -> None:
        """Tells what has come due since the last look."""
        found = [*await self._due("remind_at"), *await self._due("due_at")]
        new = [task for task in found if task["id"] not in self._told and self._is_time(task)]
        self._told |= {task["id"] for task in new}
        if not new:
            return
        words = shell(self.desk).words
        names = ", ".join(one_line(str(task.get("title", "")), 60) for task in new[:3])
        more = f" +{len(new) - 3}" if len(new) > 3 else ""
        text = words("reminder.due", names=names + more)
        self.desk.notify(text, markup=False, timeout=15)
        if shell(self.desk).settings.sound:
            shell(self.desk).bell()
        if not shell(self.desk).app_focus:
            shell(self.desk).write_terminal(desktop("navbat", words("reminder.title")))

    def _is_time(self, task: dict[str, Any]) -> bool:
        """A task with a reminder is told by that, not by when it is due."""
        return int(task.get("remind_at") or task.get("due_at") or 0) <= shell(self.desk).now()

    async def _due(self, field: str) -> list[dict[str, Any]]:
        """One's own that are not done. Quietly nothing where there is no answer: it is asked again soon."""
        link, picture = shell(self.desk).link, shell(self.desk).picture
        if link is None or not link.online or not picture.operator:
            return []
        now = datetime.fromtimestamp(shell(self.desk).now() / 1000, UTC).isoformat(timespec="seconds")
        where = [f"responsible={picture.operator}", "done=no", f"{field}<={now}"]
        try:
            frame = wire.GetObjects(rid=0, type="activity", where=where, sort=f"-{field}", limit=MOST)
            return (await link.request(frame, wire.ObjectList)).items
        except (Refused, Unavailable):
            return []
