"""The state of the main screen and what all its verbs need: the parts, the session, the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from textual.screen import Screen
from textual.timer import Timer

from console.model import HELD
from console.shell import shell, work
from console.widgets.card import CardView
from console.widgets.chrome import KeyBar, TopBar
from console.widgets.composer import Composer, NoteComposer, ReplyComposer, WhisperComposer
from console.widgets.sessions import SessionList
from console.widgets.thread import ThreadView
from crm.errors import Refused, Unavailable
from crm.records import Media, Message
from crm.text import one_line
from router import protocol as wire
from router.protocol import SessionView

Level = Literal["information", "warning", "error"]


@dataclass
class Delayed:
    """A command that leaves when its time to be undone is over."""

    command: wire.SessionCommandFrame
    due: int
    text: str


class DeskScreen(Screen[None]):
    """Parts and state. The order of classes is base < layout < reading < attaching < verbs < main: each
    file one concern, each using only what is below it."""

    bar: TopBar
    sessions: SessionList
    thread: ThreadView
    reply: ReplyComposer
    note: NoteComposer
    whisper: WhisperComposer
    card: CardView
    keys: KeyBar

    def __init__(self) -> None:
        super().__init__()
        self.ready = False
        """The parts are there; before that there is nothing to paint on."""
        self.session = ""
        """The open session; empty when none is."""
        self.pane = "list"
        """The pane in front where not all fit: ``list``, ``thread`` or ``card``."""
        self.writing = "reply"
        """Which composer is on screen: ``reply``, ``note`` or ``whisper``."""
        self.attached: dict[str, list[Media]] = {}
        """Session -> what was uploaded for it and goes with its next reply."""
        self.uploading: dict[str, list[str]] = {}
        """Session -> names of the files that are on their way to the desk."""
        self.editing = ""
        """The message whose text is being corrected in the composer."""
        self.quoting = ""
        self.delayed: Delayed | None = None
        self._read: dict[str, int] = {}
        """Session -> the newest message that the desk was told was read."""
        self._card_timer: Timer | None = None
        self._statuses: dict[str, str] = {}
        """Session -> its status when the card was asked for last."""
        self._widths = (0, 0, 0)
        self._writing_now: list[str] = []
        self._told_unsaved = False

    @property
    def view(self) -> SessionView | None:
        return shell(self).picture.sessions.get(self.session) if self.session else None

    @property
    def files(self) -> list[Media]:
        """What goes with the next reply in the open session."""
        return self.attached.get(self.session, [])

    def target(self) -> SessionView | None:
        """What a verb is about: in the list the session under the cursor, else the open one."""
        if self.area() == "list":
            return shell(self).picture.sessions.get(self.sessions.cursor) or self.view
        return self.view

    def area(self) -> str:
        """Where the focus is: ``list``, ``thread``, ``reply``, ``note`` or ``whisper``."""
        focused = self.focused
        if isinstance(focused, Composer):
            return focused.kind
        return "list" if focused is self.sessions or focused is None else "thread"

    @property
    def composer(self) -> Composer:
        """The composer on screen."""
        return self.composer_of(self.writing)

    def composer_of(self, kind: str) -> Composer:
        return {"reply": self.reply, "note": self.note, "whisper": self.whisper}[kind]

    def can_write(self, view: SessionView) -> bool:
        """Answering is accepting: an offered or waiting session can be written to as well."""
        picture = shell(self).picture
        if not view.can_write or view.status == "closing":
            return False
        return (
            picture.is_mine(view)
            or picture.is_offered(view)
            or picture.operator in view.guests
            or view.status == "waiting"
        )

    def quote_text(self) -> str:
        thread = self.thread.thread
        message: Message | None = thread.by_id.get(self.quoting) if thread is not None else None
        return one_line(message.text, 200) if message is not None else ""

    # -------------------------------------------------------------- talking to the desk

    def toast(self, text: str, severity: Level = "information") -> None:
        """A short message in the corner; plain text."""
        self.notify(text, severity=severity, markup=False, timeout=6)

    def explain(self, code: str, params: dict[str, str]) -> str:
        clean = {key: one_line(value, 200) for key, value in params.items()}
        return shell(self).words.coded("refused", one_line(code, 60), clean)

    def command(
        self,
        frame: wire.CommandFrame,
        done: Callable[[wire.Done], None] | None = None,
        refused: Callable[[], None] | None = None,
    ) -> None:
        """Sends a command and says why when it is refused. The answer may come much later: the
        link repeats the command after a reconnect."""
        link = shell(self).link
        words = shell(self).words
        if link is None:
            return
        try:
            future = link.send(frame)
        except Unavailable:
            self.toast(words("refused.too_many_unsent"), "error")
            if refused is not None:
                refused()
            return

        async def wait() -> None:
            answer = await future
            if answer.code:
                self.toast(self.explain(answer.code, answer.params), "warning")
                if answer.code == "maybe_done":
                    self._doubtful(frame.id)
                elif refused is not None:
                    refused()
            elif done is not None:
                done(answer)

        work(self, wait, group="commands")

    def _doubtful(self, command: str) -> None:
        """What may have been said already does not go back to where Enter would say it again."""
        echo = shell(self).picture.echoes.get(command)
        if echo is not None:
            echo.unknown = True
            self.thread.sync()

    async def ask(self, frame: wire.Request, expect: type[wire.Frame]) -> wire.Frame | None:
        """A read; None, and a message on the screen, when there is no answer."""
        link = shell(self).link
        if link is None:
            return None
        try:
            return await link.request(frame, expect)
        except Refused as error:
            self.toast(self.explain(error.code, error.params), "warning")
        except Unavailable:
            self.toast(shell(self).words("refused.unavailable"), "warning")
        return None

    def save_drafts(self) -> None:
        """Writes drafts to the disk; says once when that is impossible."""
        if not shell(self).drafts.save() and not self._told_unsaved:
            self._told_unsaved = True
            self.toast(shell(self).words("drafts.unsaved"), "error")

    def held(self) -> list[SessionView]:
        """The sessions this operator holds, in list order."""
        return [view for view in shell(self).picture.mine() if view.status in HELD]
