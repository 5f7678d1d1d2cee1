"""Writing: a reply for the customer, a note for colleagues, or a whisper to who is in the conversation.

They are three widgets of three classes that post three different messages; a note or a whisper has no
way, by any key, to become a reply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message as Posted
from textual.widgets import TextArea

from console.shell import shell
from crm.text import clean
from router.protocol import MAX_TEXT

NEAR_LIMIT = 0.8
BREAK_KEYS = ("alt+enter", "ctrl+j", "shift+enter")


class Composer(TextArea):
    """The common part: growing, sending by Enter, drafts; what sending means is the subclass's."""

    DEFAULT_CSS = """
    Composer {
        height: auto; min-height: 1; max-height: 8; border: none; padding: 0 0; background: $background;
        scrollbar-size-vertical: 1;
        & .text-area--cursor-line { background: transparent; }
        & .text-area--placeholder { color: $faint; }
        &:focus { border: none; }
    }
    """
    # ctrl+u and ctrl+k keep their line-editing meaning; F6 and F7 are ours, not selection keys
    BINDINGS: ClassVar[list[BindingType]] = [Binding("shift+home", "cursor_line_start(True)", show=False)]
    kind: ClassVar[str] = ""

    def __init__(self, *, id: str, posted: Callable[[str, str], Posted], sends_empty: bool) -> None:
        """``posted`` makes the message of a session and a text; ``sends_empty``: there may be
        something to send without a text."""
        super().__init__(
            "", id=id, soft_wrap=True, show_line_numbers=False, tab_behavior="focus",
            highlight_cursor_line=False, compact=True,
        )  # fmt: skip
        self.session = ""
        self._posted = posted
        self._sends_empty = sends_empty

    def turn_to(self, session: str) -> None:
        """Puts this session's draft into the composer; the last one's is already kept."""
        self.session = session
        draft = shell(self).drafts.get(session, self.kind) if session else ""
        if draft != self.text:
            self.load_text(draft)
            self.move_cursor(self.document.end)

    def put_text(self, text: str) -> None:
        """Replaces what is written, as if it had been typed."""
        self.load_text(text)
        self.move_cursor(self.document.end)
        self.keep_draft()

    def keep_draft(self) -> None:
        if self.session:
            shell(self).drafts.set(self.session, self.kind, self.text)

    def on_text_area_changed(self) -> None:
        self.keep_draft()

    @property
    def room(self) -> int:
        """Characters left when the limit is near, else -1."""
        used = len(self.text)
        return MAX_TEXT - used if used > MAX_TEXT * NEAR_LIMIT else -1

    async def _on_key(self, event: events.Key) -> None:
        enter_sends = shell(self).settings.enter_sends
        if (event.key == "enter" and enter_sends) or (event.key in BREAK_KEYS and not enter_sends):
            event.stop()
            event.prevent_default()
            self.submit()
        elif event.key in (*BREAK_KEYS, "enter"):
            event.stop()
            event.prevent_default()
            self.insert("\n")
        else:
            await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        """A paste is text from outside: its control sequences go before it is shown."""
        event.prevent_default()
        event.stop()
        self.insert(clean(event.text, MAX_TEXT))

    def submit(self) -> None:
        """Posts what is written and empties the composer."""
        if self.session and (self.text.strip() or self._sends_empty):
            text = self.text.strip("\n")
            self.load_text("")
            self.keep_draft()
            self.post_message(self._posted(self.session, text))


class ReplyComposer(Composer):
    """Writes to the customer."""

    kind = "reply"

    @dataclass
    class Submitted(Posted):
        """The operator wants this said to the customer."""

        session: str
        text: str

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, posted=self.Submitted, sends_empty=True)


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

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, posted=self.Noted, sends_empty=False)


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

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, posted=self.Whispered, sends_empty=False)
