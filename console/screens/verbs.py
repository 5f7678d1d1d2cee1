"""What an operator does: each verb of the registry, as commands on the wire and moves on the screen."""

from __future__ import annotations

from collections.abc import Callable

from console.actions import BY_ID, WRITING, applies
from console.link import new_id
from console.reasons import LEADS_TO_WRITING, why_not
from console.screens.base import Delayed
from console.screens.dialogs import AskScreen, Choice, PickScreen
from console.screens.writing import WritingScreen
from console.shell import shell
from console.widgets.chrome import DUTY_MARKS
from crm.kernel.records import Duty
from crm.kernel.text import one_line
from router.wire import protocol as wire
from router.wire.protocol import SessionView

UNDO = 5_000
"""ms during which a close or a transfer can be taken back: it leaves this computer only then."""
REPEATED = 2_000
"""ms in which the same refusal is shown once."""
CONFIRM = 5_000
DUTIES: tuple[Duty, ...] = ("online", "break", "offline")


class Verbs(WritingScreen):
    """The verbs. ``run_verb`` is the one way in, from keys, palette, footer and tests."""

    def __init__(self) -> None:
        super().__init__()
        self._confirming = ("", 0)
        self._told = ("", 0)

    # -------------------------------------------------------------- the way in

    def action_run(self, id: str) -> None:
        self.run_verb(id)

    def action_enter(self) -> None:
        """Enter outside a composer: opens what the list points at, or starts writing."""
        if self.area() in ("thread", "card") and self.view is not None:
            self.do_reply()  # also where nothing can be written: what is typed next is no verb
        else:
            self.run_verb("open")

    def run_verb(self, id: str) -> None:
        """Carries out an action by its id if it applies now, else says why not."""
        action, situation = BY_ID[id], self.situation()
        if not applies(action, situation):
            self._decline(id)
            return
        verb: Callable[[], None] = getattr(self, f"do_{id}", None) or getattr(self.app, f"do_{id}")
        verb()
        self.refresh_keys()

    def _decline(self, id: str) -> None:
        """Says why an action does not apply. Where one would have begun to write after this key, and what
        it was meant for has left just now, everything stops until that is read."""
        situation, words = self.situation(), shell(self).words
        if situation.focus == "locked":
            return
        if id == "take" and situation.mine and situation.session is not None:
            self.open_session(situation.session.id)  # as after the key: it is his already
            return
        lost = situation.focus == "list" and self.sessions.lost
        unseen = situation.focus == "list" and bool(self.sessions.cursor) and not self.sessions.pointed()
        if unseen:
            self.sessions.bring()
        code, name = ("list", "") if lost or unseen else why_not(id, situation)
        if not code:
            return
        why = words(f"cannot.{code}", **({"name": one_line(name, 40) or "–"} if name else {}))
        if id in LEADS_TO_WRITING and (lost or self.shaken()):
            self.stop(why)
        elif self._told[0] != why or shell(self).clock() - self._told[1] > REPEATED:
            self._told = (why, shell(self).clock())
            self.toast(why)

    # -------------------------------------------------------------- writing

    def do_open(self) -> None:
        self.open_session(self.sessions.pointed())

    def do_reply(self) -> None:
        self.write_here()

    def do_note(self) -> None:
        self._write("note")

    def do_whisper(self) -> None:
        self._write("whisper")

    def _write(self, kind: str) -> None:
        view = self.target()
        if view is not None:
            if view.id != self.session:
                self.open_session(view.id, focus=False)
            self.write_here(kind)

    def do_switch_note(self) -> None:
        self.write_here("reply" if self.writing != "reply" else "note")

    def do_leave(self) -> None:
        """Escape: from writing to reading, from reading to the list."""
        if self.area() in (*WRITING, "locked"):
            self.reply.plain()
            self.writing = "reply"
            self.release()
            self.lay_out()
            self.set_focus(self.thread)
        else:
            self.thread.select("")
            self.pane = "list"
            self.lay_out()
            self.set_focus(self.sessions)
            self._keep_focus_seen()
            self.sessions.land()
        self.save_drafts()

    def do_send(self) -> None:
        self.composer.submit()

    def do_newline(self) -> None:
        if not self.composer.locked:
            self.composer.insert("\n")

    # -------------------------------------------------------------- the session

    def _simple(
        self, make: Callable[[SessionView], wire.CommandFrame], done: Callable[[wire.Done], None]
    ) -> None:
        view = self.target()
        if view is not None:
            self.command(make(view), done)

    def do_take(self) -> None:
        view = self.target()
        if view is not None:
            self.come_in(wire.Take(rid=0, id=new_id(), session=view.id))

    def do_skip(self) -> None:
        self._simple(lambda v: wire.Skip(rid=0, id=new_id(), session=v.id), lambda _: None)

    def do_give_back(self) -> None:
        view = self.target()
        if view is None:
            return
        words, id = shell(self).words, view.id

        name = one_line(view.name or view.chat, 30)

        def given(reason: str | None) -> None:
            if reason is not None:
                frame = wire.Return(rid=0, id=new_id(), session=id, reason=reason)
                self.delay(frame, words("undo.give_back", name=name))

        self.about(AskScreen(words("action.give_back"), words("ask.reason")), id, given)

    def do_transfer(self) -> None:
        view = self.target()
        if view is not None:
            self._transfer(view, lambda: None)

    def _transfer(self, view: SessionView, then: Callable[[], None]) -> None:
        words = shell(self).words

        def picked(to: str | None) -> None:
            if to is not None:
                frame = wire.Transfer(rid=0, id=new_id(), session=view.id, to=to)
                text = words("undo.transfer", name=one_line(view.name or view.chat, 30), to=one_line(to, 30))
                self.delay(frame, text)
                then()

        self.about(PickScreen(words("action.transfer"), self.receivers(view)), view.id, picked)

    def receivers(self, view: SessionView) -> list[Choice]:
        """Whom a session can go to: colleagues on duty first, each with his load, then lines, then the
        line's bot."""
        picture, words = shell(self).picture, shell(self).words
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
        view = self.target()
        if view is not None:
            self._close(view, lambda: None)

    def _close(self, view: SessionView, then: Callable[[], None]) -> None:
        """Asks for the result where the line has some: the desk refuses a close without."""
        app = shell(self)
        line = app.picture.lines.get(view.line)
        results = line.results if line is not None else []
        text = app.words("undo.close", name=one_line(view.name or view.chat, 30))
        if not results:
            self.delay(wire.Close(rid=0, id=new_id(), session=view.id), text)
            then()
            return

        def picked(number: str | None) -> None:
            if number is not None:
                frame = wire.Close(rid=0, id=new_id(), session=view.id, result=results[int(number)])
                self.delay(frame, text)
                then()

        choices = [Choice(str(n), one_line(result, 60)) for n, result in enumerate(results)]
        self.about(PickScreen(app.words("ask.result"), choices, typing=False), view.id, picked)

    def do_pin(self) -> None:
        self._simple(lambda v: wire.Pin(rid=0, id=new_id(), session=v.id, on=not v.pinned), lambda _: None)

    def do_next(self) -> None:
        """Goes to what is owed first, and says what and until when."""
        app = shell(self)
        leaving = self.delayed.command.session if self.delayed is not None else ""
        view = app.picture.next_up(leaving)
        if view is None:
            return
        left = app.picture.promise(view) - app.now()
        key = "next.offer" if app.picture.is_offered(view) else "next.answer" if left >= 0 else "next.late"
        self.toast(app.words(key, name=one_line(view.name or view.chat, 40), span=app.words.span(abs(left))))
        self.open_session(view.id)

    # -------------------------------------------------------------- undo

    def delay(self, command: wire.SessionCommandFrame, text: str) -> None:
        """Keeps a command for a moment; one that waits already leaves now."""
        self.flush()
        before = self.stand(command.session)
        self.delayed = Delayed(command, shell(self).clock() + UNDO, text, before)
        self.refresh_keys()

    def run_due(self) -> None:
        if self.delayed is not None and self.delayed.due <= shell(self).clock():
            self.flush()

    def flush(self) -> None:
        """Sends what waits to be undone: its time is over, or something follows that needs it."""
        delayed, self.delayed = self.delayed, None
        if delayed is not None:
            self.command(delayed.command)

    def do_undo(self) -> None:
        self.delayed = None
        self.toast(shell(self).words("undo.done"))

    # -------------------------------------------------------------- messages

    def do_retry(self) -> None:
        """Sends a failed message again. An unknown one may have arrived: its key asks twice."""
        message, app = self.thread.trouble(), shell(self)
        if message is None:
            return
        sure = self._confirming[0] == message.id and app.clock() < self._confirming[1]
        if message.delivery == "unknown" and not sure:
            self._confirming = (message.id, app.clock() + CONFIRM)
            self.thread.select(message.id)
            self.toast(app.words("retry.confirm"), "warning")
            return
        self._confirming = ("", 0)
        self.command(wire.Resend(rid=0, id=new_id(), session=message.session, message=message.id))

    def do_discard(self) -> None:
        message, app = self.thread.trouble(), shell(self)
        if message is not None:
            app.settings.discarded.append(message.id)
            app.shelf.save(app.settings)
            self.thread.sync()

    def do_edit(self) -> None:
        message = self.thread.selected_message()
        if message is not None and self.view is not None and message.session == self.session:
            self.reply.correct(message.id, message.text)
            self.write_here()

    def do_quote(self) -> None:
        message = self.thread.selected_message()
        if message is not None:
            self.reply.quoting = message.id
            self.write_here()

    def do_copy(self) -> None:
        message = self.thread.selected_message()
        if message is not None:
            self.app.copy_to_clipboard(message.text)
            self.toast(shell(self).words("copy.done"))

    # -------------------------------------------------------------- screen and duty

    def do_card(self) -> None:
        """Goes to the card: in front of the thread where both do not fit."""
        view = self.target()
        if view is not None and view.id != self.session:
            self.open_session(view.id, focus=False)
        self.pane = "thread" if self.pane == "card" else "card"
        if self.pane == "card":
            shell(self).settings.show_card = True
        self.lay_out()
        self.set_focus(self.card if self.card.display and self.pane == "card" else self.thread)

    def do_duty(self) -> None:
        words = shell(self).words
        choices = [Choice(duty, f"{DUTY_MARKS[duty]} {words(f'duty.{duty}')}") for duty in DUTIES[:2]]
        choices.append(Choice("offline", f"{DUTY_MARKS['offline']} {words('duty.end')}"))
        self.app.push_screen(PickScreen(words("action.duty"), choices, typing=False), self._duty)

    def _duty(self, duty: str | None) -> None:
        if duty == "offline" and self.held():
            self._walk(self.held(), 0)
        elif duty is not None:
            self.set_duty(duty)

    def set_duty(self, duty: str) -> None:
        kept: Duty = "online" if duty == "online" else "break" if duty == "break" else "offline"
        self.command(wire.SetDuty(rid=0, id=new_id(), duty=kept))

    def _walk(self, views: list[SessionView], place: int) -> None:
        """The end of a shift: each open session is kept, returned, handed over or closed; Escape
        anywhere stays on duty. What is kept is pinned, for the desk takes back the rest. What has left
        meanwhile needs no answer."""
        picture = shell(self).picture
        while place < len(views) and not picture.is_mine(picture.sessions.get(views[place].id, views[place])):
            place += 1
        if place >= len(views):
            self.flush()  # a close or transfer that still counts down must reach the desk first
            self.set_duty("offline")
            return
        view, words = views[place], shell(self).words
        name = one_line(view.name or view.chat, 40)
        choices = [Choice(id, words(f"shift.{id}")) for id in ("keep", "give_back", "transfer", "close")]

        def chosen(what: str | None) -> None:
            if what is None:
                return
            if what == "transfer":
                self._transfer(view, lambda: self._walk(views, place + 1))
                return
            if what == "keep" and not view.pinned:
                self.command(wire.Pin(rid=0, id=new_id(), session=view.id))
            elif what == "give_back":
                reason = words("shift.reason")
                self.command(wire.Return(rid=0, id=new_id(), session=view.id, reason=reason))
            elif what == "close":
                self._close(view, lambda: self._walk(views, place + 1))
                return
            self._walk(views, place + 1)

        title = words("shift.title", n=place + 1, of=len(views), name=name)
        self.about(PickScreen(title, choices, typing=False), view.id, chosen)
