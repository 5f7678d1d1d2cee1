"""What one is in the middle of, held to the conversation that it is for.

A composer with the focus, a dialog about a conversation and a command that counts down were begun for a
conversation as it stood. When it leaves, in whatever way, the composer is locked where it is, the dialog
gives way to a notice, the command is dropped; and each says what has happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from textual.widget import Widget

from console.model import Touched
from console.screens.base import Delayed
from console.screens.dialogs import Dialog, StopScreen, T
from console.screens.layout import LayoutScreen
from console.shell import shell
from console.standing import GUEST, Standing, has_left, how_left
from console.widgets.composer import Composer
from router.wire import protocol as wire
from router.wire.protocol import SessionView

SHAKEN = 5.0
"""Seconds after a conversation has left in which a key may still have been meant for it."""
EXPECTED = 5.0
"""Seconds in which the picture shows what a confirmed command has done."""


@dataclass(frozen=True)
class Asking:
    """An open dialog, and the conversation that it is about as it stood."""

    dialog: Dialog[str]
    before: Standing


class Holding(LayoutScreen):
    """Watches over what is begun."""

    def __init__(self) -> None:
        super().__init__()
        self.in_use: Composer | None = None
        """The composer that has the focus, or has had it when another window came in front."""
        self.moves = 0
        """Counts where the operator has gone: what was begun before may no longer move the focus."""
        self._asking: Asking | None = None
        self._after_lock: Callable[[], None] | None = None
        self._ranks: dict[str, int] = {}
        self._lost_at = -SHAKEN

    # -------------------------------------------------------------- where one is

    def set_focus(
        self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False
    ) -> None:
        super().set_focus(widget, scroll_visible, from_app_focus)
        if self.ready and widget is not None:
            self._went_to(self.focused)
        elif self.ready:
            self.frame()

    def _went_to(self, widget: Widget | None) -> None:
        composer = widget if isinstance(widget, Composer) else None
        self.moves += 1
        if widget is self.sessions:
            self.pane = "list"
        elif widget is self.card:
            self.pane = "card" if self.form != "wide" else self.pane
        elif widget is not None:
            self.pane = "thread"
        if composer is not self.in_use:
            left, self.in_use = self.in_use, composer
            if composer is not None and composer.standing is None:
                composer.standing = self.stand(composer.session)
            if left is not None and left.locked:
                left.release()
                self._compose_for()
        self.frame()
        self.refresh_keys()

    def write_here(self, kind: str = "reply") -> None:
        """Goes to a composer of the open session. Where nothing can be written it is locked at once: who
        goes there begins to type, and his letters must not become verbs."""
        view = self.view
        if view is None:
            return
        self.writing, self.pane = kind, "thread"
        composer = self.composer
        composer.release()
        composer.standing = self.stand(view.id)
        if kind == "reply" and not self.can_write(view):
            composer.lock_up(self.why_not(view))
        self.lay_out()
        self.set_focus(composer)

    # -------------------------------------------------------------- when a conversation leaves

    def watch_over(self, what: Touched | None = None) -> None:
        """Compares what is begun with the picture; before anything of a change is painted."""
        if what is not None:
            self._note_losses(what)
        self._watch_composer()
        self._watch_dialog()
        self._watch_delayed()
        if what is not None:
            self._watch_closing(what)

    def _note_losses(self, what: Touched) -> None:
        for id in what.sessions:
            rank = self.stand(id).rank
            if rank < self._ranks.pop(id, 0):
                self._lost_at = time.monotonic()
            if rank:
                self._ranks[id] = rank

    def shaken(self) -> bool:
        """A conversation has left just now, so that a key may have been meant for it."""
        return time.monotonic() - self._lost_at < SHAKEN

    def _watch_composer(self) -> None:
        composer = self.in_use
        if composer is None or composer.locked or not composer.session:
            return
        now, view = self.stand(composer.session), shell(self).picture.sessions.get(composer.session)
        if now.rank >= GUEST:
            self.coming.discard(composer.session)
        if composer.session in self.coming:
            return
        before = composer.standing or now
        silenced = composer.kind == "reply" and (view is None or not self.can_write(view))
        if silenced or has_left(before, now, composer.kind):
            self.lock_up(self.told(before, view))
        else:
            composer.standing = now

    def _watch_dialog(self) -> None:
        asking = self._asking
        if asking is None or not has_left(asking.before, self.stand(asking.before.session), "command"):
            return
        self._asking = None
        why = self.told(asking.before, shell(self).picture.sessions.get(asking.before.session))
        if self.app.screen is asking.dialog:
            asking.dialog.dismiss(None)
        self.stop(why)

    def _watch_delayed(self) -> None:
        delayed = self.delayed
        if delayed is None or not has_left(delayed.before, self.stand(delayed.command.session), "command"):
            return
        self._drop(
            delayed, self.told(delayed.before, shell(self).picture.sessions.get(delayed.command.session))
        )

    def _watch_closing(self, what: Touched) -> None:
        """Who writes while his conversation is being closed wants an answer."""
        delayed = self.delayed
        if delayed is None or not isinstance(delayed.command, wire.Close):
            return
        if any(message.session == delayed.command.session for message in what.wrote):
            self._drop(delayed, shell(self).words("left.wrote"))

    def _drop(self, delayed: Delayed, why: str) -> None:
        self.delayed = None
        self.toast(shell(self).words("undo.dropped", what=delayed.text, why=why), "warning")

    def told(self, before: Standing, view: SessionView | None) -> str:
        """What has happened to a conversation, in words."""
        left, words = how_left(shell(self).picture, before, view), shell(self).words
        text = words(f"left.{left.code}", **({"name": left.name} if left.name else {}))
        return words("left.lapsed", now=text) if left.lapsed else text

    # -------------------------------------------------------------- what then holds

    def lock_up(self, why: str) -> None:
        """Nothing can be written where the operator is writing; the text is kept until he has read why."""
        if self.in_use is None:
            return
        self.in_use.lock_up(why)
        self.in_use.keep_draft()
        self.save_drafts()
        self._compose_for()
        self.frame()
        self.refresh_keys()

    def release(self) -> None:
        """He has read it."""
        if self.in_use is not None:
            self.in_use.release()
        after, self._after_lock = self._after_lock, None
        if after is not None:
            after()

    def stop(self, why: str) -> None:
        """A notice that takes every key until Escape: keys may be on their way that were meant for what
        is no longer there."""
        if not isinstance(self.app.screen, StopScreen):
            self.app.push_screen(StopScreen(why))

    def end(self, why: str, then: Callable[[], None]) -> None:
        """The login has ended: who writes reads it above his text first, who is asked something in its
        place, and ``then`` follows."""
        self._asking, asked = None, self.app.screen is not self
        while self.app.screen is not self and self in self.app.screen_stack:
            self.app.pop_screen()
        if self.in_use is not None:
            self._after_lock = then
            self.lock_up(why)
        elif asked:
            self.app.push_screen(StopScreen(why), lambda _: then())
        else:
            then()

    def about(self, dialog: Dialog[T], session: str, done: Callable[[T | None], None]) -> None:
        """Opens a dialog about a session; when the session leaves meanwhile, the answer is None."""
        self._asking = Asking(dialog, self.stand(session))  # type: ignore[arg-type]

        def answered(answer: T | None) -> None:
            self._asking = None
            done(answer)

        self.app.push_screen(dialog, answered)

    # -------------------------------------------------------------- coming in

    def come_in(self, frame: wire.Take | wire.TakeOver | wire.Join) -> None:
        """Asks for a session and opens it at once: what is typed while the desk decides is a reply."""
        session = frame.session
        self.coming.add(session)

        def refused(why: str) -> None:
            self.coming.discard(session)
            writes = self.in_use is not None and self.in_use.session == session and not self.in_use.locked
            view = shell(self).picture.sessions.get(session)
            if writes and (view is None or not self.can_write(view)):
                self.lock_up(why)

        def looked() -> None:
            self.coming.discard(session)
            self.watch_over()

        def given(_: wire.Done) -> None:
            self.set_timer(EXPECTED, looked)  # the session itself may arrive after the answer

        self.command(frame, given, refused)
        self.open_session(session)

    def open_session(self, session: str, *, focus: bool = True) -> None:
        raise NotImplementedError
