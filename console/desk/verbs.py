"""What an operator does: each verb of the registry, as commands on the wire and moves on the screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from console.actions import BY_ID, WRITING, Situation, applies
from console.desk.part import Part
from console.link import new_id
from console.screens.dialogs import AskScreen, Choice, PickScreen
from console.shell import shell
from console.text.reasons import LEADS_TO_WRITING, why_not
from console.widgets.chrome import DUTY_MARKS
from crm.kernel.records import Duty
from crm.kernel.text import one_line
from router.wire import protocol as wire
from router.wire.protocol import SessionView

if TYPE_CHECKING:
    from console.desk.screen import MainScreen

REPEATED = 2_000
"""ms in which the same refusal is shown once."""
CONFIRM = 5_000
DUTIES: tuple[Duty, ...] = ("online", "break", "offline")


class Verbs(Part):
    """The verbs. ``run`` is the one way in, from keys, palette, footer and tests."""

    def __init__(self, desk: MainScreen) -> None:
        super().__init__(desk)
        self._confirming = ("", 0)
        self._told = ("", 0)

    # -------------------------------------------------------------- the way in

    def run(self, id: str) -> None:
        """Carries out an action by its id if it applies now, else says why not."""
        action, situation = BY_ID[id], self.situation()
        if not applies(action, situation):
            self._decline(id)
            return
        self.desk.verb(id)()
        self.refresh_keys()

    def _decline(self, id: str) -> None:
        """Says why an action does not apply. Where one would have begun to write after this key, and what
        it was meant for has left just now, everything stops until that is read."""
        situation, words = self.situation(), shell(self.desk).words
        if situation.focus == "locked":
            return
        if id == "take" and situation.mine and situation.session is not None:
            self.desk.reading.open_session(situation.session.id)  # as after the key: it is his already
            return
        lost = situation.focus == "list" and self.desk.sessions.lost
        unseen = (
            situation.focus == "list" and bool(self.desk.sessions.cursor) and not self.desk.sessions.pointed()
        )
        if unseen:
            self.desk.sessions.bring()
        code, name = ("list", "") if lost or unseen else why_not(id, situation)
        if not code:
            return
        why = words(f"cannot.{code}", **({"name": one_line(name, 40) or "–"} if name else {}))
        if id in LEADS_TO_WRITING and (lost or self.desk.keeper.shaken()):
            self.desk.keeper.stop(why)
        elif self._told[0] != why or shell(self.desk).clock() - self._told[1] > REPEATED:
            self._told = (why, shell(self.desk).clock())
            self.desk.toast(why)

    # -------------------------------------------------------------- writing

    # -------------------------------------------------------------- what applies now

    def situation(self) -> Situation:
        """What the actions need to know to say whether they apply."""
        app = shell(self.desk)
        focus = self.desk.area()
        view = self.desk.target()
        message = self.desk.thread.selected_message() if focus == "thread" else None
        return Situation(
            focus=focus,
            session=view,
            mine=view is not None and app.picture.is_mine(view),
            offered=view is not None and app.picture.is_offered(view),
            can_write=view is not None and self.desk.can_write(view),
            pending_undo=self.desk.undo.delayed is not None,
            failed=focus == "thread" and self.desk.thread.trouble() is not None,
            message=message is not None,
            file=focus == "thread" and bool(self.desk.thread.files()),
            own_message=message is not None
            and message.direction == "out"
            and message.author == app.picture.operator,
            earlier=message is not None and message.session != self.desk.session,
            off_duty=bool(app.picture.operator) and app.picture.me.duty == "offline",
            may=app.picture.may(view.line) if view is not None else frozenset(),
            leader="lead" in app.picture.rights,
            owed=app.picture.owes(),
        )

    def refresh_keys(self) -> None:
        self.desk.keys.put(self.situation(), self.desk.undo.text())

    def do_open(self) -> None:
        self.desk.reading.open_session(self.desk.sessions.pointed())

    def do_reply(self) -> None:
        self.desk.keeper.write_here()

    def do_note(self) -> None:
        self._write("note")

    def do_whisper(self) -> None:
        self._write("whisper")

    def _write(self, kind: str) -> None:
        view = self.desk.target()
        if view is not None:
            if view.id != self.desk.session:
                self.desk.reading.open_session(view.id, focus=False)
            self.desk.keeper.write_here(kind)

    def do_switch_note(self) -> None:
        self.desk.keeper.write_here("reply" if self.desk.writing != "reply" else "note")

    def do_leave(self) -> None:
        """Escape: from writing to reading, from reading to the list."""
        if self.desk.area() in (*WRITING, "locked"):
            self.desk.reply.plain()
            self.desk.writing = "reply"
            self.desk.keeper.release()
            self.desk.places.lay_out()
            self.desk.set_focus(self.desk.thread)
        else:
            self.desk.thread.select("")
            self.desk.places.pane = "list"
            self.desk.places.lay_out()
            self.desk.set_focus(self.desk.sessions)
            self.desk.places.keep_focus_seen()
            self.desk.sessions.land()
        self.desk.save_drafts()

    def do_send(self) -> None:
        self.desk.composer.submit()

    def do_newline(self) -> None:
        if not self.desk.composer.locked:
            self.desk.composer.insert("\n")

    # -------------------------------------------------------------- the session

    def _simple(
        self, make: Callable[[SessionView], wire.CommandFrame], done: Callable[[wire.Done], None]
    ) -> None:
        view = self.desk.target()
        if view is not None:
            self.desk.errands.command(make(view), done)

    def do_take(self) -> None:
        view = self.desk.target()
        if view is not None:
            self.desk.keeper.come_in(wire.Take(rid=0, id=new_id(), session=view.id))

    def do_skip(self) -> None:
        self._simple(lambda v: wire.Skip(rid=0, id=new_id(), session=v.id), lambda _: None)

    def do_give_back(self) -> None:
        view = self.desk.target()
        if view is None:
            return
        words, id = shell(self.desk).words, view.id

        name = one_line(view.name or view.chat, 30)

        def given(reason: str | None) -> None:
            if reason is not None:
                frame = wire.Return(rid=0, id=new_id(), session=id, reason=reason)
                self.desk.undo.delay(frame, words("undo.give_back", name=name))

        self.desk.keeper.about(AskScreen(words("action.give_back"), words("ask.reason")), id, given)

    def do_transfer(self) -> None:
        view = self.desk.target()
        if view is not None:
            self._transfer(view, lambda: None)

    def _transfer(self, view: SessionView, then: Callable[[], None]) -> None:
        words = shell(self.desk).words

        def picked(to: str | None) -> None:
            if to is not None:
                frame = wire.Transfer(rid=0, id=new_id(), session=view.id, to=to)
                text = words("undo.transfer", name=one_line(view.name or view.chat, 30), to=one_line(to, 30))
                self.desk.undo.delay(frame, text)
                then()

        self.desk.keeper.about(PickScreen(words("action.transfer"), self.receivers(view)), view.id, picked)

    def receivers(self, view: SessionView) -> list[Choice]:
        """Whom a session can go to: colleagues on duty first, each with his load, then lines, then the
        line's bot."""
        picture, words = shell(self.desk).picture, shell(self.desk).words
        others = (o for o in picture.operators.values() if o.role != "bot")
        people = [o for o in others if o.name not in (picture.operator, view.holder)]
        people.sort(key=lambda o: (DUTIES.index(o.duty), o.load, o.name))
        choices = [
            Choice(
                operator.name,
                f"{DUTY_MARKS[operator.duty]} {one_line(operator.name, 40)}",
                f"{words.maybe(f'duty.{operator.duty}', '')} · {words('pick.load', n=operator.load)}",
            )
            for operator in people
        ]
        for line in sorted(picture.lines.values(), key=lambda v: v.name):
            if line.name != view.line:
                detail = words("bar.waiting", n=line.waiting)
                choices.append(Choice(f"line:{line.name}", f"≡ {one_line(line.name, 40)}", detail))
        here = picture.lines.get(view.line)
        if here is not None and here.bot and view.status != "bot":
            choices.append(Choice("bot", f"⚙ {words('thread.bot', name=one_line(here.bot, 40))}"))
        return choices

    def do_close(self) -> None:
        view = self.desk.target()
        if view is not None:
            self._close(view, lambda: None)

    def _close(self, view: SessionView, then: Callable[[], None]) -> None:
        """Asks for the result where the line has some: the desk refuses a close without."""
        app = shell(self.desk)
        line = app.picture.lines.get(view.line)
        results = line.results if line is not None else []
        text = app.words("undo.close", name=one_line(view.name or view.chat, 30))
        if not results:
            self.desk.undo.delay(wire.Close(rid=0, id=new_id(), session=view.id), text)
            then()
            return

        def picked(number: str | None) -> None:
            if number is not None:
                frame = wire.Close(rid=0, id=new_id(), session=view.id, result=results[int(number)])
                self.desk.undo.delay(frame, text)
                then()

        choices = [Choice(str(n), one_line(result, 60)) for n, result in enumerate(results)]
        self.desk.keeper.about(PickScreen(app.words("ask.result"), choices, typing=False), view.id, picked)

    def do_pin(self) -> None:
        self._simple(lambda v: wire.Pin(rid=0, id=new_id(), session=v.id, on=not v.pinned), lambda _: None)

    def do_next(self) -> None:
        """Goes to what is owed first, and says what and until when."""
        app = shell(self.desk)
        leaving = self.desk.undo.delayed.command.session if self.desk.undo.delayed is not None else ""
        view = app.picture.next_up(leaving)
        if view is None:
            return
        left = app.picture.promise(view) - app.now()
        key = "next.offer" if app.picture.is_offered(view) else "next.answer" if left >= 0 else "next.late"
        self.desk.toast(
            app.words(key, name=one_line(view.name or view.chat, 40), span=app.words.span(abs(left)))
        )
        self.desk.reading.open_session(view.id)

    # -------------------------------------------------------------- messages

    def do_retry(self) -> None:
        """Sends a failed message again. An unknown one may have arrived: its key asks twice."""
        message, app = self.desk.thread.trouble(), shell(self.desk)
        if message is None:
            return
        sure = self._confirming[0] == message.id and app.clock() < self._confirming[1]
        if message.delivery == "unknown" and not sure:
            self._confirming = (message.id, app.clock() + CONFIRM)
            self.desk.thread.select(message.id)
            self.desk.toast(app.words("retry.confirm"), "warning")
            return
        self._confirming = ("", 0)
        self.desk.errands.command(
            wire.Resend(rid=0, id=new_id(), session=message.session, message=message.id)
        )

    def do_discard(self) -> None:
        message, app = self.desk.thread.trouble(), shell(self.desk)
        if message is not None:
            app.settings.discarded.append(message.id)
            app.shelf.save(app.settings)
            self.desk.thread.sync()

    def do_edit(self) -> None:
        message = self.desk.thread.selected_message()
        if message is not None and self.desk.view is not None and message.session == self.desk.session:
            self.desk.reply.correct(message.id, message.text)
            self.desk.keeper.write_here()

    def do_quote(self) -> None:
        message = self.desk.thread.selected_message()
        if message is not None:
            self.desk.reply.quoting = message.id
            self.desk.keeper.write_here()

    def do_copy(self) -> None:
        message = self.desk.thread.selected_message()
        if message is not None:
            self.desk.app.copy_to_clipboard(message.text)
            self.desk.toast(shell(self.desk).words("copy.done"))

    # -------------------------------------------------------------- screen and duty

    def do_card(self) -> None:
        """Goes to the card: in front of the thread where both do not fit."""
        view = self.desk.target()
        if view is not None and view.id != self.desk.session:
            self.desk.reading.open_session(view.id, focus=False)
        self.desk.places.pane = "thread" if self.desk.places.pane == "card" else "card"
        if self.desk.places.pane == "card":
            shell(self.desk).settings.show_card = True
        self.desk.places.lay_out()
        self.desk.set_focus(
            self.desk.card if self.desk.card.display and self.desk.places.pane == "card" else self.desk.thread
        )

    def do_duty(self) -> None:
        words = shell(self.desk).words
        choices = [Choice(duty, f"{DUTY_MARKS[duty]} {words(f'duty.{duty}')}") for duty in DUTIES[:2]]
        choices.append(Choice("offline", f"{DUTY_MARKS['offline']} {words('duty.end')}"))
        self.desk.app.push_screen(PickScreen(words("action.duty"), choices, typing=False), self._duty)

    def _duty(self, duty: str | None) -> None:
        if duty == "offline" and self.desk.held():
            self._walk(self.desk.held(), 0)
        elif duty is not None:
            self.set_duty(duty)

    def set_duty(self, duty: str) -> None:
        kept: Duty = "online" if duty == "online" else "break" if duty == "break" else "offline"
        self.desk.errands.command(wire.SetDuty(rid=0, id=new_id(), duty=kept))

    def _walk(self, views: list[SessionView], place: int) -> None:
        """The end of a shift: each open session is kept, returned, handed over or closed; Escape
        anywhere stays on duty. What is kept is pinned, for the desk takes back the rest. What has left
        meanwhile needs no answer."""
        picture = shell(self.desk).picture
        while place < len(views) and not picture.is_mine(picture.sessions.get(views[place].id, views[place])):
            place += 1
        if place >= len(views):
            self.desk.undo.flush()  # a close or transfer that still counts down must reach the desk first
            self.set_duty("offline")
            return
        view, words = views[place], shell(self.desk).words
        name = one_line(view.name or view.chat, 40)
        choices = [Choice(id, words(f"shift.{id}")) for id in ("keep", "give_back", "transfer", "close")]

        def chosen(what: str | None) -> None:
            if what is None:
                return
            if what == "transfer":
                self._transfer(view, lambda: self._walk(views, place + 1))
                return
            if what == "keep" and not view.pinned:
                self.desk.errands.command(wire.Pin(rid=0, id=new_id(), session=view.id))
            elif what == "give_back":
                reason = words("shift.reason")
                self.desk.errands.command(wire.Return(rid=0, id=new_id(), session=view.id, reason=reason))
            elif what == "close":
                self._close(view, lambda: self._walk(views, place + 1))
                return
            self._walk(views, place + 1)

        title = words("shift.title", n=place + 1, of=len(views), name=name)
        self.desk.keeper.about(PickScreen(title, choices, typing=False), view.id, chosen)
