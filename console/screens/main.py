"""The desk: sessions on the left, the thread in the middle, the card on the right.

This file lays the parts out and keeps them in step with the picture; what the operator does is in
``screens.verbs``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from console.actions import ACTIONS, BY_ID
from console.model import Touched
from console.screens.leading import Leading
from console.shell import shell
from console.widgets.card import CardView
from console.widgets.chrome import Divider, KeyBar, Prompt, ReplyRule, Rule, TopBar
from console.widgets.composer import Composer, NoteComposer, ReplyComposer, WhisperComposer
from console.widgets.sessions import SessionPane
from console.widgets.thread import ThreadView
from crm.kernel.errors import Unavailable


class MainScreen(Leading):
    """The screen an operator lives in."""

    DEFAULT_CSS = """
    MainScreen {
        background: $background; layers: base;
        & #panes { height: 1fr; }
        & #middle { width: 1fr; height: 1fr; }
        & #writing { height: auto; max-height: 9; }
        & #files { height: auto; color: $secondary; padding: 0 1; display: none; }
        & #blank { height: 1fr; content-align: center middle; text-align: center; color: $faint; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", show=False),
        *(
            Binding(
                ",".join(action.keys),
                f"run('{action.id}')",
                action.id,
                show=False,
                id=action.id,
                # before the composer's own editing keys; Escape first belongs to what has the focus
                priority=action.anywhere and action.id != "leave",
            )
            for action in ACTIONS
            if action.keys and action.id not in ("send", "newline", "open", "reply")
        ),
    ]

    def compose(self) -> ComposeResult:
        yield TopBar(id="bar")
        yield Rule("┌┬┐", id="top")
        with Horizontal(id="panes"):
            yield Divider("├", id="edge-left")
            yield SessionPane(id="sessions")
            yield Divider("├", id="edge-list")
            with Vertical(id="middle"):
                yield Static("", id="blank", markup=False)
                yield ThreadView(id="thread")
                yield ReplyRule("├┼┤", id="reply-rule")
                yield Static("", id="files", markup=False)
                with Horizontal(id="writing"):
                    yield Prompt(id="prompt")
                    yield ReplyComposer(id="reply")
                    yield NoteComposer(id="note")
                    yield WhisperComposer(id="whisper")
            yield Divider("┤", id="edge-card")
            yield CardView(id="card")
            yield Divider("┤", id="edge-right")
        yield Rule("└┴┘", id="bottom")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self.bar = self.query_one(TopBar)
        self.sessions = self.query_one(SessionPane)
        self.thread = self.query_one(ThreadView)
        self.reply = self.query_one(ReplyComposer)
        self.note = self.query_one(NoteComposer)
        self.whisper = self.query_one(WhisperComposer)
        self.card = self.query_one(CardView)
        self.keys = self.query_one(KeyBar)
        self.edges = tuple(self.query(Divider))
        self.lay_out()
        self.sync_all()
        self.ready = True
        self.set_focus(self.sessions)
        self.set_interval(1.0, self.tick)
        self.resume()

    def on_resize(self) -> None:
        self.call_after_refresh(self.lay_out)
        self.lay_out()

    # -------------------------------------------------------------- keeping in step

    def sync_all(self) -> None:
        """Reads everything again: after a snapshot, or a change of language."""
        self.sessions.sync()
        self.thread.view = self.view
        self.thread.sync()
        self.card.paint()
        self._compose_for()
        self.frame()
        self.refresh_keys()
        self.bar.refresh()

    def touched(self, what: Touched) -> None:
        """Paints what an update changed, and only that."""
        self.watch_over(what)
        for message in what.said:
            self.sent_elsewhere(message)
        if what.lists or what.sessions:
            self.sessions.sync()
            self.bar.refresh()
            if self.view is None:
                self._compose_for()
        if self.session and (self.session in what.sessions or self.session in what.threads):
            self.thread.view = self.view
            self.thread.sync()
            self._compose_for()
            self.frame()
            self.mark_read()
        self._touched_card(what)
        if self.session in what.threads and not shell(self).picture.thread(self.session).loaded:
            self.load_thread()
        self.refresh_keys()

    def _touched_card(self, what: Touched) -> None:
        """The card follows the picture at once; what only the desk knows is asked for later."""
        sessions, view = shell(self).picture.sessions, self.view
        if view is None or not what.sessions:
            return
        self.card.paint()
        touched = (sessions.get(id) for id in what.sessions)
        now = {v.id: v.status for v in touched if v is not None and v.customer == view.customer}
        if not now.items() <= self._statuses.items():
            self._statuses |= now
            self.renew_card()

    def tick(self) -> None:
        """Once a second: countdowns, ages, and hints that have run out."""
        self.sessions.repaint()
        self.bar.refresh()
        if self.view is not None:
            if self.thread.at_bottom and self._writers_changed():
                self.thread.sync()
            self.frame()
        self.run_due()
        self.refresh_keys()
        self.save_drafts()

    def _writers_changed(self) -> bool:
        now_writing = shell(self).picture.writers(self.session, shell(self).now())
        changed = now_writing != self._writing_now
        self._writing_now = now_writing
        return changed

    # -------------------------------------------------------------- events of the parts

    @on(SessionPane.Opened)
    def _opened(self, event: SessionPane.Opened) -> None:
        self.open_session(event.session)

    @on(SessionPane.Moved)
    def _moved(self, event: SessionPane.Moved) -> None:
        self.refresh_keys()

    @on(ThreadView.OlderWanted)
    def _older(self, event: ThreadView.OlderWanted) -> None:
        self.load_older(event.session)

    @on(ThreadView.BottomReached)
    def _bottom(self, event: ThreadView.BottomReached) -> None:
        self.mark_read()

    @on(ThreadView.Clicked)
    def _clicked(self, event: ThreadView.Clicked) -> None:
        self.refresh_keys()

    @on(ReplyComposer.Submitted)
    def _submitted(self, event: ReplyComposer.Submitted) -> None:
        self.say(event.session, event.text, event.editing, event.quoting)

    @on(ReplyComposer.Long)
    def _long(self, event: ReplyComposer.Long) -> None:
        self.ask_how_long_goes(event.session)

    @on(Composer.Overfull)
    def _overfull(self, event: Composer.Overfull) -> None:
        self.ask_about_paste(event.session, event.text, event.kind)

    @on(NoteComposer.Noted)
    def _noted(self, event: NoteComposer.Noted) -> None:
        self.put_note(event.session, event.text)

    @on(WhisperComposer.Whispered)
    def _whispered(self, event: WhisperComposer.Whispered) -> None:
        self.put_whisper(event.session, event.text)

    @on(Composer.Changed)
    def _typed(self, event: Composer.Changed) -> None:
        if isinstance(event.text_area, Composer) and event.text_area.by_hand:
            self.typed()
        if self.view is not None:
            self.frame()

    @on(TopBar.Pressed)
    def _pressed_above(self, event: TopBar.Pressed) -> None:
        self.run_verb(event.action)

    @on(KeyBar.Pressed)
    def _pressed(self, event: KeyBar.Pressed) -> None:
        if event.action in ("open", "reply"):
            self.action_enter()
        elif event.action == "send":
            self.do_send()
        elif event.action in BY_ID:
            self.run_verb(event.action)

    async def typed_ahead(self, event: events.Key) -> bool:
        """Whether a key that comes up from the pane that had the focus was meant for the composer that has
        it now: it was read together with the key that led there."""
        composer = self.focused
        if not isinstance(composer, Composer) or event.key == "escape":
            return False
        return await composer.take_late(getattr(event, "typed", event))

    async def pasted_elsewhere(self, event: events.Paste) -> None:
        """What the pane that had the focus has no use for: pasted ahead of the composer that has it now, or
        for nobody."""
        if isinstance(self.focused, Composer):
            await self.focused._on_paste(event)
        else:
            self.toast(shell(self).words("cannot.paste"), "warning")

    def on_unmount(self) -> None:
        """What waited to be undone leaves; nobody is here any more to hear the answer."""
        link, delayed = shell(self).link, self.delayed
        self.delayed = None
        if link is not None and delayed is not None:
            with suppress(Unavailable):
                link.send(delayed.command)
