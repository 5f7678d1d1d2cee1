"""Writing: a reply for the customer, a note for colleagues, or a whisper to who is in the conversation.

They are three widgets of three classes that post three different messages; a note or a whisper has no
way, by any key, to become a reply. When the conversation leaves while one of them has the focus it is
locked: it stays where it is, keeps its text, and takes no key.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message as Posted
from textual.widgets import TextArea

from console.shell import shell
from console.standing import Standing
from console.widgets.pane import Pane
from crm.kernel.text import clean
from router.wire.protocol import MAX_TEXT

NEAR_LIMIT = 0.8
ONE_MESSAGE = 4_096
"""UTF-16 units that every channel takes in one message (``bots.base.Channel.text_limit``); more leaves in
parts."""
GROWTH = 8
"""Characters that one may become when it is cleaned, at most: a tab."""
INDENT = "    "
HEARD = 256
"""Keys remembered; a terminal delivers fewer between two turns of the loop."""
BREAK_KEYS = ("alt+enter", "ctrl+j", "shift+enter")


def units(text: str) -> int:
    """The length of a text as platforms count it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class Composer(Pane, TextArea):
    """The common part: growing, sending by Enter, drafts; what sending means is the subclass's."""

    DEFAULT_CSS = """
    Composer {
        height: auto; min-height: 1; max-height: 8; border: none; padding: 0 0; background: $background;
        scrollbar-size-vertical: 1;
        & .text-area--cursor-line { background: transparent; }
        & .text-area--placeholder { color: $faint; }
        &.locked { background: $error 12%; color: $faint; }
    }
    """
    # ctrl+u and ctrl+k keep their line-editing meaning; F6 and F7 are ours, not selection keys
    BINDINGS: ClassVar[list[BindingType]] = [Binding("shift+home", "cursor_line_start(True)", show=False)]
    kind: ClassVar[str] = ""
    limit: ClassVar[int] = MAX_TEXT
    """Units of one message."""

    @dataclass
    class Overfull(Posted):
        """Somebody wants to paste more than a composer takes; nothing of it is in the composer."""

        session: str
        text: str
        kind: str

    sends_empty: ClassVar[bool] = False
    """There may be something to send without a text."""

    def __init__(self, *, id: str) -> None:
        super().__init__(
            "", id=id, soft_wrap=True, show_line_numbers=False, tab_behavior="focus",
            highlight_cursor_line=False, compact=True,
        )  # fmt: skip
        self.session = ""
        self.locked = ""
        """Why nothing can be written here any more; empty when something can."""
        self.standing: Standing | None = None
        """What the session was to the operator when it was last looked at, while he writes."""
        self._heard: deque[events.Key] = deque(maxlen=HEARD)
        """The last keys that came here by way of the focus."""
        self._loaded = ""
        """The text as it was put here last, not by hand."""

    # -------------------------------------------------------------- whose text it is

    @property
    def draft_kind(self) -> str:
        """Under which name what is written is kept."""
        return self.kind

    def turn_to(self, session: str) -> None:
        """Puts this session's draft into the composer, after keeping the last one's."""
        if session != self.session:
            self.turn_away()
        self.session = session
        draft = shell(self).drafts.get(session, self.draft_kind) if session else ""
        if draft != self.text:
            self._load(draft)

    def turn_away(self) -> None:
        """Another session comes: what belongs to the last one ends here, its text is kept."""
        self.keep_draft()
        self.release()

    def _load(self, text: str) -> None:
        self._loaded = text
        self.load_text(text)
        self.move_cursor(self.document.end)

    @property
    def by_hand(self) -> bool:
        """Somebody has typed here since the text was put here."""
        return self.text != self._loaded

    def keep_draft(self) -> None:
        if self.session:
            shell(self).drafts.set(self.session, self.draft_kind, self.text)

    def on_text_area_changed(self) -> None:
        self.keep_draft()

    # -------------------------------------------------------------- the lock

    def lock_up(self, why: str) -> None:
        """Keeps the text and takes no key until ``release``."""
        self.locked, self.read_only = why, True
        self.add_class("locked")

    def release(self) -> None:
        self.locked, self.read_only, self.standing = "", False, None
        self.remove_class("locked")

    # -------------------------------------------------------------- keys

    @property
    def used(self) -> tuple[int, int] | None:
        """How much is written and how much may be, when the limit is near or behind us."""
        used = units(self.text)
        return (used, self.limit) if used > self.limit * NEAR_LIMIT else None

    async def _on_key(self, event: events.Key) -> None:
        self._heard.append(event)
        if self.locked:
            if event.key != "escape":
                event.stop()
                event.prevent_default()
            return
        enter_sends = shell(self).settings.enter_sends
        if (event.key == "enter" and enter_sends) or (event.key in BREAK_KEYS and not enter_sends):
            event.stop()
            event.prevent_default()
            self.submit()
        elif event.key in ("tab", "shift+tab"):  # nothing that is typed leaves the composer, but by Escape
            event.stop()
            event.prevent_default()
            if event.key == "tab":
                self.insert(INDENT)
        elif event.key in (*BREAK_KEYS, "enter"):
            event.stop()
            event.prevent_default()
            self.insert("\n")
        else:
            await super()._on_key(event)

    async def take_late(self, event: events.Key) -> bool:
        """A key that was read before the focus came here, by a key before it: it was typed for what is
        here now. False when it has been here."""
        if any(known is event for known in self._heard):
            return False
        await self._on_key(event)
        return True

    async def _on_paste(self, event: events.Paste) -> None:
        """A paste is text from outside: its control sequences go before it is shown."""
        event.prevent_default()
        event.stop()
        if self.locked:
            return
        text = clean(event.text, len(event.text) * GROWTH + 1)
        if len(self.text) + len(text) > MAX_TEXT:
            self.post_message(self.Overfull(self.session, text, self.kind))
        else:
            self.insert(text)

    def submit(self) -> None:
        """Posts what is written and empties the composer."""
        if self.session and not self.locked and (self.text.strip() or self.sends_empty):
            posted = self.posted(self.text.strip("\n"))
            self._load("")
            self.keep_draft()
            self.post_message(posted)

    def posted(self, text: str) -> Posted:
        """The message that says what is to be done with a text."""
        raise NotImplementedError


class ReplyComposer(Composer):
    """Writes to the customer."""

    kind = "reply"
    limit = ONE_MESSAGE
    sends_empty = True

    @dataclass
    class Submitted(Posted):
        """The operator wants this said to the customer: as an answer to the message ``quoting``, or in
        place of what the message ``editing`` says."""

        session: str
        text: str
        editing: str = ""
        quoting: str = ""

    @dataclass
    class Long(Posted):
        """What is written is more than one message, and is still in the composer: how is it to go?"""

        session: str

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.editing = ""
        """The message whose text is being corrected."""
        self.quoting = ""

    @property
    def draft_kind(self) -> str:
        """A correction has a draft of its own: left half way, it is no reply that waits to be sent."""
        return f"edit:{self.editing}" if self.editing else self.kind

    def correct(self, message: str, text: str) -> None:
        """Begins to correct a message, where the last attempt was left."""
        self.keep_draft()
        self.editing = message
        draft = shell(self).drafts.get(self.session, self.draft_kind)
        self._load(draft or text)

    def plain(self) -> None:
        """Neither corrects nor quotes any more; what was written before is there again."""
        self.quoting = ""
        if self.editing:
            self.keep_draft()
            self.editing = ""
            self.turn_to(self.session)

    def turn_away(self) -> None:
        super().turn_away()
        self.editing = self.quoting = ""

    def posted(self, text: str) -> Posted:
        return self.Submitted(self.session, text, self.editing, self.quoting)

    def submit(self, *, in_parts: bool = False) -> None:
        """Posts what is written, unless it is longer than one message and nobody has said that it may go
        ``in_parts``: one key never sends more than one message."""
        if self.session and not (self.locked or self.editing or in_parts) and units(self.text) > self.limit:
            self.post_message(self.Long(self.session))
            return
        written = bool(self.text.strip() or self.editing)
        super().submit()
        if written and not self.locked:
            self.plain()


class NoteComposer(Composer):
    """Writes to colleagues only."""

    DEFAULT_CSS = """
    NoteComposer { background: $note 12%; color: $note; }
    """
    kind = "note"

    @dataclass
    class Noted(Posted):
        """The operator wants colleagues to know this."""

        session: str
        text: str

    def posted(self, text: str) -> Posted:
        return self.Noted(self.session, text)


class WhisperComposer(Composer):
    """Writes to the operator who has the conversation, and to who joined or listens."""

    DEFAULT_CSS = """
    WhisperComposer { background: $whisper 12%; color: $whisper; }
    """
    kind = "whisper"

    @dataclass
    class Whispered(Posted):
        """A word to the colleagues in this conversation."""

        session: str
        text: str

    def posted(self, text: str) -> Posted:
        return self.Whispered(self.session, text)
