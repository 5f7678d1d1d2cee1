"""The desk: sessions on the left, the thread in the middle, the card on the right.

This file has the widgets and keeps them in step with the picture. What else the screen does is done by the
parts that it has, each with what it alone has to remember: where everything stands (``places``), what one is
in the middle of (``keeper``), commands and reads (``errands``), opening and reading, files, what is said, what
can be undone, and the verbs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, Literal, cast

from msgspec.structs import replace
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from console.actions import ACTIONS, BY_ID
from console.desk.attaching import Attaching
from console.desk.business import Business
from console.desk.errands import Errands
from console.desk.keeper import Keeper
from console.desk.leading import Leading
from console.desk.part import Part
from console.desk.places import Places
from console.desk.reading import Reading
from console.desk.reminders import Reminders
from console.desk.saying import Saying
from console.desk.undo import Undo
from console.desk.verbs import Verbs
from console.model import HELD, Touched
from console.screens.swift import Swift
from console.shell import shell
from console.standing import OVER, STRANGE, Standing, standing
from console.widgets.card import CardView
from console.widgets.chrome import Divider, KeyBar, Prompt, ReplyRule, Rule, TopBar
from console.widgets.composer import Composer, NoteComposer, ReplyComposer, WhisperComposer
from console.widgets.sessions import SessionPane
from console.widgets.thread import ThreadView
from crm.kernel.errors import Unavailable
from crm.kernel.records import Message
from crm.kernel.text import one_line
from router.wire.protocol import SessionView

Level = Literal["information", "warning", "error"]


class MainScreen(Swift, Screen[None]):
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
        """The widgets are there; before that there is nothing to paint on."""
        self.session = ""
        """The open session; empty when none is."""
        self.writing = "reply"
        """Which composer is on screen: ``reply``, ``note`` or ``whisper``."""
        self._last_view: SessionView | None = None
        self._writing_now: list[str] = []
        self._told_unsaved = False
        self.errands = Errands(self)
        self.places = Places(self)
        self.keeper = Keeper(self)
        self.reading = Reading(self)
        self.attaching = Attaching(self)
        self.saying = Saying(self)
        self.undo = Undo(self)
        self.verbs = Verbs(self)
        self.leading = Leading(self)
        self.business = Business(self)
        self.reminders = Reminders(self)
        self._verbs_of: tuple[Part, ...] = (
            self.verbs, self.leading, self.business, self.reading, self.attaching, self.undo,
        )  # fmt: skip

    def verb(self, id: str) -> Callable[[], None]:
        """What carries an action out: a part, or the app."""
        for part in (*self._verbs_of, self.app):
            if found := getattr(part, f"do_{id}", None):
                return cast("Callable[[], None]", found)
        raise LookupError(id)

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
        self.places.lay_out()
        self.sync_all()
        self.ready = True
        self.set_focus(self.sessions)
        self.set_interval(1.0, self.tick)
        self.saying.resume()
        self.reminders.begin()

    def on_resize(self) -> None:
        self.call_after_refresh(self.places.lay_out)
        self.places.lay_out()

    # -------------------------------------------------------------- what is where

    def set_focus(
        self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False
    ) -> None:
        super().set_focus(widget, scroll_visible, from_app_focus)
        if self.ready and widget is not None:
            self.keeper.went_to(self.focused)
        elif self.ready:
            self.places.frame()

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
        return view.id in self.keeper.coming or self.stand(view.id).rank > STRANGE

    def quote_text(self) -> str:
        thread = self.thread.thread
        message: Message | None = thread.by_id.get(self.reply.quoting) if thread is not None else None
        return one_line(message.text, 200) if message is not None else ""

    def toast(self, text: str, severity: Level = "information") -> None:
        """A short message in the corner; plain text."""
        self.notify(text, severity=severity, markup=False, timeout=6)

    def explain(self, code: str, params: dict[str, str]) -> str:
        clean = {key: one_line(value, 200) for key, value in params.items()}
        return shell(self).words.coded("refused", one_line(code, 60), clean)

    def save_drafts(self) -> None:
        """Writes drafts to the disk; says once when that is impossible."""
        if not shell(self).drafts.save() and not self._told_unsaved:
            self._told_unsaved = True
            self.toast(shell(self).words("drafts.unsaved"), "error")

    def held(self) -> list[SessionView]:
        """The sessions this operator holds, in list order."""
        return [view for view in shell(self).picture.mine() if view.status in HELD]

    # -------------------------------------------------------------- keeping in step

    def sync_all(self) -> None:
        """Reads everything again: after a snapshot, or a change of language."""
        self.sessions.sync()
        self.thread.view = self.view
        self.thread.sync()
        self.card.paint()
        self.places.compose_for()
        self.places.frame()
        self.verbs.refresh_keys()
        self.bar.refresh()

    def touched(self, what: Touched) -> None:
        """Paints what an update changed, and only that."""
        self.keeper.watch_over(what)
        for message in what.said:
            self.saying.sent_elsewhere(message)
        if what.lists or what.sessions:
            self.sessions.sync()
            self.bar.refresh()
            if self.view is None:
                self.places.compose_for()
        if self.session and (self.session in what.sessions or self.session in what.threads):
            self.thread.view = self.view
            self.thread.sync()
            self.places.compose_for()
            self.places.frame()
            self.reading.mark_read()
        self.reading.touched_card(what)
        if self.session in what.threads and not shell(self).picture.thread(self.session).loaded:
            self.reading.load_thread()
        self.verbs.refresh_keys()

    def tick(self) -> None:
        """Once a second: countdowns, ages, and hints that have run out."""
        self.sessions.repaint()
        self.bar.refresh()
        if self.view is not None:
            if self.thread.at_bottom and self._writers_changed():
                self.thread.sync()
            self.places.frame()
        self.undo.run_due()
        self.verbs.refresh_keys()
        self.save_drafts()

    def _writers_changed(self) -> bool:
        now_writing = shell(self).picture.writers(self.session, shell(self).now())
        changed = now_writing != self._writing_now
        self._writing_now = now_writing
        return changed

    # -------------------------------------------------------------- events of the parts

    def action_run(self, id: str) -> None:
        self.verbs.run(id)

    def action_enter(self) -> None:
        """Enter outside a composer: opens what the list points at, or starts writing."""
        if self.area() in ("thread", "card") and self.view is not None:
            self.verbs.do_reply()  # also where nothing can be written: what is typed next is no verb
        else:
            self.verbs.run("open")

    @on(SessionPane.Opened)
    def _opened(self, event: SessionPane.Opened) -> None:
        self.reading.open_session(event.session)

    @on(SessionPane.Moved)
    def _moved(self, event: SessionPane.Moved) -> None:
        self.verbs.refresh_keys()

    @on(ThreadView.OlderWanted)
    def _older(self, event: ThreadView.OlderWanted) -> None:
        self.reading.load_older(event.session)

    @on(ThreadView.BottomReached)
    def _bottom(self, event: ThreadView.BottomReached) -> None:
        self.reading.mark_read()

    @on(ThreadView.Clicked)
    def _clicked(self, event: ThreadView.Clicked) -> None:
        self.verbs.refresh_keys()

    @on(ReplyComposer.Submitted)
    def _submitted(self, event: ReplyComposer.Submitted) -> None:
        self.saying.say(event.session, event.text, event.editing, event.quoting)

    @on(ReplyComposer.Long)
    def _long(self, event: ReplyComposer.Long) -> None:
        self.saying.ask_how_long_goes(event.session)

    @on(Composer.Overfull)
    def _overfull(self, event: Composer.Overfull) -> None:
        self.saying.ask_about_paste(event.session, event.text, event.kind)

    @on(NoteComposer.Noted)
    def _noted(self, event: NoteComposer.Noted) -> None:
        self.saying.put_note(event.session, event.text)

    @on(WhisperComposer.Whispered)
    def _whispered(self, event: WhisperComposer.Whispered) -> None:
        self.saying.put_whisper(event.session, event.text)

    @on(Composer.Changed)
    def _typed(self, event: Composer.Changed) -> None:
        if isinstance(event.text_area, Composer) and event.text_area.by_hand:
            self.saying.typed()
        if self.view is not None:
            self.places.frame()

    @on(TopBar.Pressed)
    def _pressed_above(self, event: TopBar.Pressed) -> None:
        self.verbs.run(event.action)

    @on(KeyBar.Pressed)
    def _pressed(self, event: KeyBar.Pressed) -> None:
        if event.action in ("open", "reply"):
            self.action_enter()
        elif event.action == "send":
            self.verbs.do_send()
        elif event.action in BY_ID:
            self.verbs.run(event.action)

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
        link, delayed = shell(self).link, self.undo.delayed
        self.undo.delayed = None
        if link is not None and delayed is not None:
            with suppress(Unavailable):
                link.send(delayed.command)
        self.attaching.clean_up()
