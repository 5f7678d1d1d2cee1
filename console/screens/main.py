"""The desk: sessions on the left, the thread in the middle, the card on the right.

This file lays the parts out and keeps them in step with the picture; what the operator does is in
``screens.verbs``.
"""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from console.actions import ACTIONS, BY_ID, Situation
from console.model import HELD, OPEN, Touched
from console.paint import media_label
from console.screens.verbs import Verbs
from console.shell import shell
from console.widgets.card import CardView
from console.widgets.chrome import Divider, KeyBar, Part, Rule, TopBar, stretch
from console.widgets.composer import Composer, NoteComposer, ReplyComposer
from console.widgets.sessions import KINDS, SessionList
from console.widgets.thread import ThreadView
from console.wrap import fit
from crm.text import one_line

WIDE, MEDIUM = 100, 70


class ReplyRule(Rule):
    """The line above the composer, inside the middle pane: what is written, and to whom."""

    def spans(self, y: int) -> list[tuple[str, str]]:
        return stretch(self._parts[0]) if self._parts else []


class MainScreen(Verbs):
    """The screen an operator lives in."""

    DEFAULT_CSS = """
    MainScreen {
        background: $background; layers: base;
        & #panes { height: 1fr; }
        & #middle { width: 1fr; height: 1fr; }
        & #writing { height: auto; max-height: 9; }
        & #prompt { width: 3; color: $primary; text-style: bold; padding: 0 1; }
        & #prompt.note { color: $note; }
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
            yield SessionList(id="sessions")
            yield Divider("├", id="edge-list")
            with Vertical(id="middle"):
                yield Static("", id="blank", markup=False)
                yield ThreadView(id="thread")
                yield ReplyRule("├┼┤", id="reply-rule")
                yield Static("", id="files", markup=False)
                with Horizontal(id="writing"):
                    yield Static(">", id="prompt", markup=False)
                    yield ReplyComposer(id="reply")
                    yield NoteComposer(id="note")
            yield Divider("┤", id="edge-card")
            yield CardView(id="card")
            yield Divider("┤", id="edge-right")
        yield Rule("└┴┘", id="bottom")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self.bar = self.query_one(TopBar)
        self.sessions = self.query_one(SessionList)
        self.thread = self.query_one(ThreadView)
        self.reply = self.query_one(ReplyComposer)
        self.note = self.query_one(NoteComposer)
        self.card = self.query_one(CardView)
        self.keys = self.query_one(KeyBar)
        self.lay_out()
        self.sync_all()
        self.sessions.focus()
        self.set_interval(1.0, self.tick)
        self.ready = True

    # -------------------------------------------------------------- layout

    def on_resize(self) -> None:
        self.call_after_refresh(self.lay_out)
        self.lay_out()

    @property
    def form(self) -> str:
        width = self.app.size.width
        return "wide" if width >= WIDE else "medium" if width >= MEDIUM else "narrow"

    def shown(self) -> tuple[bool, bool, bool]:
        """Which of list, middle and card are on screen."""
        settings = shell(self).settings
        if self.form == "narrow":
            return self.pane == "list", self.pane == "thread", self.pane == "card"
        if self.form == "medium":
            return settings.show_list, self.pane != "card", self.pane == "card"
        return settings.show_list, True, settings.show_card

    def lay_out(self) -> None:
        """Gives each pane its place; called when size, pane or session changed."""
        width = self.app.size.width
        has_list, has_middle, has_card = self.shown()
        list_width = width - 2 if self.form == "narrow" else max(24, min(36, width * 23 // 100))
        card_width = max(22, min(32, width * 20 // 100)) if self.form == "wide" else 0
        middle = width - 2
        if has_list and self.form != "narrow":
            middle -= list_width + 1
        if has_card and self.form == "wide":
            middle -= card_width + 1
        if not has_middle and has_card:
            card_width = middle
        self.sessions.display = has_list
        self.sessions.styles.width = list_width
        self.query_one("#middle").display = has_middle
        self.query_one("#edge-list").display = has_list and self.form != "narrow"
        self.query_one("#edge-card").display = has_card and has_middle
        self.card.display = has_card
        self.card.styles.width = card_width
        self._widths = (
            list_width if has_list else 0,
            middle if has_middle else 0,
            card_width if has_card else 0,
        )
        self._compose_for()
        self.frame()

    def _compose_for(self) -> None:
        """Shows the composer that fits: none for a session that cannot be written to."""
        view = self.view
        self.query_one("#blank").display = view is None
        self.thread.display = view is not None
        writable = view is not None and (self.can_write(view) or self.writing == "note")
        self.query_one("#reply-rule").display = view is not None
        self.query_one("#writing").display = writable
        noting = self.writing == "note"
        self.reply.display = not noting
        self.note.display = noting
        self.query_one("#prompt", Static).update("✎" if noting else ">")
        self.query_one("#prompt").set_class(noting, "note")
        files = self.query_one("#files", Static)
        files.display = bool(self.files) and not noting
        words = shell(self).words
        files.update("  ".join(media_label(words, media) for media in self.files))
        if view is None:
            self.query_one("#blank", Static).update(words("main.blank"))

    def frame(self) -> None:
        """Writes the titles into the rules and joins the borders."""
        words = shell(self).words
        view = self.view
        parts: list[Part] = []
        lists, middle, card = self._widths
        if lists:
            parts.append(Part(lists, words("list.mine")))
        if middle:
            parts.append(Part(middle, *self._thread_title()))
        if card:
            parts.append(Part(card, words("card.title")))
        self.query_one("#top", Rule).put(parts)
        self.query_one("#bottom", Rule).put([Part(part.width) for part in parts])
        if view is not None:
            self.query_one(ReplyRule).put([self._reply_title(middle)])
        self.call_after_refresh(self._join)

    def _join(self) -> None:
        """The dividers meet the reply rule where it is now."""
        rule = self.query_one("#reply-rule")
        for edge in self.query(Divider):
            visible = rule.display and self._widths[1] > 0
            near = edge.id in self._neighbours()
            edge.put_joint(rule.region.y - edge.region.y if visible and near else -1)

    def _neighbours(self) -> tuple[str, str]:
        lists, _, card = self._widths
        return "edge-list" if lists else "edge-left", "edge-card" if card else "edge-right"

    def _thread_title(self) -> tuple[str, str]:
        view, app = self.view, shell(self)
        if view is None:
            return "", ""
        kind = app.words.maybe(f"channel.{view.kind}", KINDS.get(view.kind, view.kind))
        title = f"{one_line(view.name or view.chat, 60)} · {one_line(kind, 20)} · {one_line(view.line, 30)}"
        return title, self._promise_text()

    def _promise_text(self) -> str:
        """The right end of the thread's title: what is owed, or what the session is."""
        view, app = self.view, shell(self)
        assert view is not None
        picture, words, now = app.picture, app.words, app.now()
        if picture.is_offered(view):
            return words("main.offer_ends", span=words.span(view.offer_until - now))
        if self.thread.below:
            return words("main.below", n=self.thread.below)
        promise = picture.promise(view)
        if picture.is_mine(view) and promise:
            key = "main.answer_in" if promise >= now else "main.answer_late"
            if not view.first_answer_at:
                key = "main.first_in" if promise >= now else "main.first_late"
            return words(key, span=words.span(abs(promise - now)))
        if view.status in HELD and view.holder and not picture.is_mine(view):
            return words("main.held_by", name=one_line(view.holder, 40))
        others = sorted(picture.looking.get(view.id, set()) - {picture.operator})
        if others:
            return words("main.looking", names=", ".join(one_line(n, 30) for n in others[:3]))
        return words.maybe(f"status.{view.status}", words("status.gone"))

    def _reply_title(self, width: int) -> Part:
        view, words = self.view, shell(self).words
        assert view is not None
        composer: Composer = self.note if self.writing == "note" else self.reply
        right = words("main.room", n=composer.room) if composer.room >= 0 else ""
        if self.writing == "note":
            return Part(width, words("main.note"), right, "note")
        if self.editing:
            return Part(width, words("main.editing"), right, "note")
        if self.quoting:
            return Part(width, words("main.quoting", text=fit(self.quote_text(), 40).strip()), right)
        if not self.can_write(view):
            return Part(width, self._why_not(), "", "faint")
        return Part(width, words("main.reply"), right)

    def _why_not(self) -> str:
        view, app = self.view, shell(self)
        assert view is not None
        if not view.can_write:
            return app.words("main.blocked")
        if view.status in OPEN:
            return app.words("main.not_yours")
        return app.words("main.ended")

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
        if what.lists or what.sessions:
            self.sessions.sync()
            self.bar.refresh()
        if self.session and (self.session in what.sessions or self.session in what.threads):
            self.thread.view = self.view
            self.thread.sync()
            self._compose_for()
            self.frame()
            self.mark_read()
            if self.session in what.sessions:
                self.card.paint()
        if self.session in what.threads and not shell(self).picture.thread(self.session).loaded:
            self.load_thread()
        self.refresh_keys()

    def tick(self) -> None:
        """Once a second: countdowns, ages, and hints that have run out."""
        self.sessions.refresh()
        self.bar.refresh()
        if self.view is not None:
            if self.thread.at_bottom and self._writers_changed():
                self.thread.sync()
            self.frame()
        self.run_due()
        self.refresh_keys()

    def _writers_changed(self) -> bool:
        now_writing = shell(self).picture.writers(self.session, shell(self).now())
        changed = now_writing != self._writing_now
        self._writing_now = now_writing
        return changed

    def situation(self) -> Situation:
        """What the actions need to know to say whether they apply."""
        app = shell(self)
        focus = self.area()
        view = self.target()
        message = self.thread.selected_message() if focus == "thread" else None
        return Situation(
            focus=focus,
            session=view,
            mine=view is not None and app.picture.is_mine(view),
            offered=view is not None and app.picture.is_offered(view),
            can_write=view is not None and self.can_write(view),
            pending_undo=self.delayed is not None,
            failed=focus == "thread" and self.thread.trouble() is not None,
            message=message is not None,
            own_message=message is not None
            and message.direction == "out"
            and message.author == app.picture.operator,
            owed=app.picture.next_up() is not None,
        )

    def refresh_keys(self) -> None:
        self.keys.put(self.situation(), self.undo_text())

    # -------------------------------------------------------------- events of the parts

    @on(SessionList.Opened)
    def _opened(self, event: SessionList.Opened) -> None:
        self.open_session(event.session)

    @on(SessionList.Moved)
    def _moved(self, event: SessionList.Moved) -> None:
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
        self.say(event.session, event.text)

    @on(NoteComposer.Noted)
    def _noted(self, event: NoteComposer.Noted) -> None:
        self.put_note(event.session, event.text)

    @on(Composer.Changed)
    def _typed(self, event: Composer.Changed) -> None:
        self.typed()
        if self.view is not None:
            self.frame()

    @on(KeyBar.Pressed)
    def _pressed(self, event: KeyBar.Pressed) -> None:
        if event.action in ("open", "reply"):
            self.action_enter()
        elif event.action == "send":
            (self.note if self.writing == "note" else self.reply).submit()
        elif event.action in BY_ID:
            self.run_verb(event.action)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self.refresh_keys()

    def on_unmount(self) -> None:
        self.flush()
