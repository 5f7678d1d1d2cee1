"""The state of the main screen and what all its verbs need: the parts, the session, the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace
from textual.reactive import Reactive
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from console.model import HELD
from console.shell import shell, work
from console.standing import OVER, STRANGE, Standing, standing
from console.widgets.card import CardView
from console.widgets.chrome import Divider, KeyBar, TopBar
from console.widgets.composer import Composer, NoteComposer, ReplyComposer, WhisperComposer
from console.widgets.sessions import SessionPane
from console.widgets.thread import ThreadView
from crm.kernel.errors import Refused, Unavailable
from crm.kernel.records import Media, Message
from crm.kernel.text import one_line
from router.wire import protocol as wire
from router.wire.protocol import SessionView

HOLDS = 6_000
"""ms for which a sign of writing is good."""
Level = Literal["information", "warning", "error"]


@dataclass
class Delayed:
    """A command that leaves when its time to be undone is over."""

    command: wire.SessionCommandFrame
    due: int
    text: str
    before: Standing
    """What the session was when the command was given."""


class DeskScreen(Screen[None]):
    """Parts and state. The order of classes is base < layout < holding < reading < attaching < writing <
    verbs < main: each file one concern, each using only what is below it."""

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """Textual would paint the whole screen whenever the focus moves; the parts show it themselves."""
    bar: TopBar
    sessions: SessionPane
    thread: ThreadView
    reply: ReplyComposer
    note: NoteComposer
    whisper: WhisperComposer
    card: CardView
    keys: KeyBar
    edges: tuple[Divider, ...]

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
        self.delayed: Delayed | None = None
        self.coming: set[str] = set()
        """Sessions that the desk has been asked for and has not given yet: what is typed there meanwhile is
        a reply."""
        self.told_typing: dict[str, int] = {}
        """Session -> when the desk was told last that the operator writes there."""
        self._offer = (("", 0), 0)
        """The offer that is open (session, its beginning), and when it was to end first."""
        self._last_view: SessionView | None = None
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
        """The open session; as it was known last when the desk says nothing of it any more, for nothing
        that is on screen may vanish under the hands of who works there."""
        if not self.session:
            return None
        known = shell(self).picture.sessions.get(self.session)
        if known is not None:
            self._last_view = known
        elif self._last_view is not None and self._last_view.id == self.session:
            return replace(self._last_view, status="", holder="", seen_by=[], guests=[])
        return known

    @property
    def files(self) -> list[Media]:
        """What goes with the next reply in the open session."""
        return self.attached.get(self.session, [])

    def target(self) -> SessionView | None:
        """What a verb is about: in the list the session that is seen under the cursor, else the open one;
        nothing where the focus cannot be seen."""
        area = self.area()
        if area == "list":
            return shell(self).picture.sessions.get(self.sessions.pointed())
        return self.view if area else None

    def area(self) -> str:
        """Where the focus is: ``list``, ``thread``, ``card``, ``reply``, ``note`` or ``whisper``;
        ``locked`` in a composer that takes no key, empty where it cannot be seen."""
        focused = self.focused
        if focused is None or not all(node.display for node in focused.ancestors_with_self):
            return ""
        if isinstance(focused, Composer):
            return "locked" if focused.locked else focused.kind
        return {self.sessions: "list", self.thread: "thread", self.card: "card"}.get(focused, "")

    def stand(self, session: str) -> Standing:
        """What a session is to this operator now."""
        return standing(shell(self).picture, session)

    @property
    def composer(self) -> Composer:
        """The composer on screen."""
        return self.composer_of(self.writing)

    def composer_of(self, kind: str) -> Composer:
        return {"reply": self.reply, "note": self.note, "whisper": self.whisper}[kind]

    def can_write(self, view: SessionView) -> bool:
        """Answering is accepting: an offered or waiting session can be written to as well."""
        if not view.can_write or view.status in OVER:
            return False
        return view.id in self.coming or self.stand(view.id).rank > STRANGE

    def is_holding(self, view: SessionView) -> bool:
        """Whether an offer goes on because the operator writes into it: its end has moved, and the desk has
        been told within the time that a sign of writing is good for."""
        offer = (view.id, view.offered_at)
        if self._offer[0] != offer:
            self._offer = (offer, view.offer_until)
        writes = shell(self).clock() - self.told_typing.get(view.id, -HOLDS) < HOLDS
        return writes and view.offer_until > self._offer[1]

    def quote_text(self) -> str:
        thread = self.thread.thread
        message: Message | None = thread.by_id.get(self.reply.quoting) if thread is not None else None
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
        refused: Callable[[str], None] | None = None,
    ) -> None:
        """Sends a command and says why when it is refused; ``refused`` is told why too. The answer may
        come much later: the link repeats the command after a reconnect."""
        link = shell(self).link
        words = shell(self).words
        if link is None:
            return
        try:
            future = link.send(frame)
        except Unavailable:
            why = words("refused.too_many_unsent")
            self.toast(why, "error")
            if refused is not None:
                refused(why)
            return

        async def wait() -> None:
            answer = await future
            if answer.code:
                why = self.explain(answer.code, answer.params)
                self.toast(why, "warning")
                if answer.code == "maybe_done":
                    self._doubtful(frame)
                elif refused is not None:
                    refused(why)
            elif done is not None:
                done(answer)

        work(self, wait, group="commands")

    def _doubtful(self, command: wire.CommandFrame) -> None:
        """What may have been said already does not go back to where Enter would say it again."""
        self.coming.discard(getattr(command, "session", ""))
        echo = shell(self).picture.echoes.get(command.id)
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
