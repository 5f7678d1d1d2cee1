"""What one is in the middle of, held to the conversation that it is for.

A composer with the focus, a dialog about a conversation and a command that counts down were begun for a
conversation as it stood. When it leaves, in whatever way, the composer is locked where it is, the dialog
gives way to a notice, the command is dropped; and each says what has happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.widget import Widget

from console.desk.part import Part
from console.desk.undo import Delayed
from console.model import Touched
from console.screens.dialogs import Dialog, StopScreen, T
from console.shell import shell
from console.standing import GUEST, Standing, has_left, how_left
from console.widgets.composer import Composer
from router.wire import protocol as wire
from router.wire.protocol import SessionView

if TYPE_CHECKING:
    from console.desk.screen import MainScreen

SHAKEN = 5.0
"""Seconds after a conversation has left in which a key may still have been meant for it."""
EXPECTED = 5.0
"""Seconds in which the picture shows what a confirmed command has done."""


@dataclass(frozen=True)
class Asking:
    """An open dialog, and the conversation that it is about as it stood."""

    dialog: Dialog[str]
    before: Standing


class Keeper(Part):
    """Watches over what is begun."""

    def __init__(self, desk: MainScreen) -> None:
        super().__init__(desk)
        self.coming: set[str] = set()
        """Sessions that the desk has been asked for and has not given yet: what is typed there meanwhile is
        a reply."""
        self.in_use: Composer | None = None
        """The composer that has the focus, or has had it when another window came in front."""
        self.moves = 0
        """Counts where the operator has gone: what was begun before may no longer move the focus."""
        self._asking: Asking | None = None
        self._after_lock: Callable[[], None] | None = None
        self._ranks: dict[str, int] = {}
        self._lost_at = -SHAKEN

    # -------------------------------------------------------------- where one is

    def went_to(self, widget: Widget | None) -> None:
        composer = widget if isinstance(widget, Composer) else None
        self.moves += 1
        if widget is self.desk.sessions:
            self.desk.places.pane = "list"
        elif widget is self.desk.card:
            self.desk.places.pane = "card" if self.desk.places.form != "wide" else self.desk.places.pane
        elif widget is not None:
            self.desk.places.pane = "thread"
        if composer is not self.in_use:
            left, self.in_use = self.in_use, composer
            if composer is not None and composer.standing is None:
                composer.standing = self.desk.stand(composer.session)
            if left is not None and left.locked:
                left.release()
                self.desk.places.compose_for()
        self.desk.places.frame()
        self.desk.verbs.refresh_keys()

    def write_here(self, kind: str = "reply") -> None:
        """Goes to a composer of the open session. Where nothing can be written it is locked at once: who
        goes there begins to type, and his letters must not become verbs."""
        view = self.desk.view
        if view is None:
            return
        self.desk.writing, self.desk.places.pane = kind, "thread"
        composer = self.desk.composer
        composer.release()
        composer.standing = self.desk.stand(view.id)
        if kind == "reply" and not self.desk.can_write(view):
            composer.lock_up(self.desk.places.why_not(view))
        self.desk.places.lay_out()
        self.desk.set_focus(composer)

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
            rank = self.desk.stand(id).rank
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
        now, view = self.desk.stand(composer.session), shell(self.desk).picture.sessions.get(composer.session)
        if now.rank >= GUEST:
            self.coming.discard(composer.session)
        if composer.session in self.coming:
            return
        before = composer.standing or now
        silenced = composer.kind == "reply" and (view is None or not self.desk.can_write(view))
        if silenced or has_left(before, now, composer.kind):
            self.lock_up(self.told(before, view))
        else:
            composer.standing = now

    def _watch_dialog(self) -> None:
        asking = self._asking
        if asking is None or not has_left(asking.before, self.desk.stand(asking.before.session), "command"):
            return
        self._asking = None
        why = self.told(asking.before, shell(self.desk).picture.sessions.get(asking.before.session))
        if self.desk.app.screen is asking.dialog:
            asking.dialog.dismiss(None)
        self.stop(why)

    def _watch_delayed(self) -> None:
        delayed = self.desk.undo.delayed
        if delayed is None or not has_left(
            delayed.before, self.desk.stand(delayed.command.session), "command"
        ):
            return
        self._drop(
            delayed, self.told(delayed.before, shell(self.desk).picture.sessions.get(delayed.command.session))
        )

    def _watch_closing(self, what: Touched) -> None:
        """Who writes while his conversation is being closed wants an answer."""
        delayed = self.desk.undo.delayed
        if delayed is None or not isinstance(delayed.command, wire.Close):
            return
        if any(message.session == delayed.command.session for message in what.wrote):
            self._drop(delayed, shell(self.desk).words("left.wrote"))

    def _drop(self, delayed: Delayed, why: str) -> None:
        self.desk.undo.delayed = None
        self.desk.toast(shell(self.desk).words("undo.dropped", what=delayed.text, why=why), "warning")

    def told(self, before: Standing, view: SessionView | None) -> str:
        """What has happened to a conversation, in words."""
        left, words = how_left(shell(self.desk).picture, before, view), shell(self.desk).words
        text = words(f"left.{left.code}", **({"name": left.name} if left.name else {}))
        return words("left.lapsed", now=text) if left.lapsed else text

    # -------------------------------------------------------------- what then holds

    def lock_up(self, why: str) -> None:
        """Nothing can be written where the operator is writing; the text is kept until he has read why."""
        if self.in_use is None:
            return
        self.in_use.lock_up(why)
        self.in_use.keep_draft()
        self.desk.save_drafts()
        self.desk.places.compose_for()
        self.desk.places.frame()
        self.desk.verbs.refresh_keys()

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
        if not isinstance(self.desk.app.screen, StopScreen):
            self.desk.app.push_screen(StopScreen(why))

    def end(self, why: str, then: Callable[[], None]) -> None:
        """The login has ended: who writes reads it above his text first, who is asked something in its
        place, and ``then`` follows."""
        self._asking, asked = None, self.desk.app.screen is not self.desk
        while self.desk.app.screen is not self.desk and self.desk in self.desk.app.screen_stack:
            self.desk.app.pop_screen()
        if self.in_use is not None:
            self._after_lock = then
            self.lock_up(why)
        elif asked:
            self.desk.app.push_screen(StopScreen(why), lambda _: then())
        else:
            then()

    def about(self, dialog: Dialog[T], session: str, done: Callable[[T | None], None]) -> None:
        """Opens a dialog about a session; when the session leaves meanwhile, the answer is None."""
        self._asking = Asking(dialog, self.desk.stand(session))  # type: ignore[arg-type]

        def answered(answer: T | None) -> None:
            self._asking = None
            done(answer)

        self.desk.app.push_screen(dialog, answered)

    # -------------------------------------------------------------- coming in

    def come_in(self, frame: wire.Take | wire.TakeOver | wire.Join) -> None:
        """Asks for a session and opens it at once: what is typed while the desk decides is a reply."""
        session = frame.session
        self.coming.add(session)

        def refused(why: str) -> None:
            self.coming.discard(session)
            writes = self.in_use is not None and self.in_use.session == session and not self.in_use.locked
            view = shell(self.desk).picture.sessions.get(session)
            if writes and (view is None or not self.desk.can_write(view)):
                self.lock_up(why)

        def looked() -> None:
            self.coming.discard(session)
            self.watch_over()

        def given(_: wire.Done) -> None:
            self.desk.set_timer(EXPECTED, looked)  # the session itself may arrive after the answer

        self.desk.errands.command(frame, given, refused)
        self.desk.reading.open_session(session)
