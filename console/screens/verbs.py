"""What an operator does: each verb of the registry, as commands on the wire and moves on the screen."""

from __future__ import annotations

from collections.abc import Callable

from console.actions import BY_ID, WRITING
from console.link import new_id
from console.model import Echo
from console.screens.attaching import Attaching
from console.screens.base import Delayed
from console.screens.dialogs import AskScreen, Choice, PickScreen
from console.shell import shell
from console.widgets.chrome import DUTY_MARKS
from crm.records import Duty
from crm.text import one_line
from router import protocol as wire
from router.protocol import MAX_TEXT, SessionView

UNDO = 5_000
"""ms during which a close or a transfer can be taken back: it leaves this computer only then."""
TYPING_EVERY = 3_000
CONFIRM = 5_000
DUTIES: tuple[Duty, ...] = ("online", "break", "offline")


class Verbs(Attaching):
    """The verbs. ``run_verb`` is the one way in, from keys, palette, footer and tests."""

    def __init__(self) -> None:
        super().__init__()
        self._typing_sent = ("", 0)
        """In which session the desk was told last that the operator writes, and when."""
        self._confirming = ("", 0)

    # -------------------------------------------------------------- the way in

    def action_run(self, id: str) -> None:
        self.run_verb(id)

    def action_enter(self) -> None:
        """Enter outside a composer: opens what the list points at, or starts writing."""
        if self.area() == "list" and self.sessions.cursor:
            self.open_session(self.sessions.cursor)
        elif self.view is not None:
            self.do_reply()

    def run_verb(self, id: str) -> None:
        """Carries out an action by its id if it applies now, else does nothing."""
        action = BY_ID[id]
        if not action.applies(self.situation()):
            return
        verb: Callable[[], None] = getattr(self, f"do_{id}", None) or getattr(self.app, f"do_{id}")
        verb()
        self.refresh_keys()

    # -------------------------------------------------------------- writing

    def do_open(self) -> None:
        self.action_enter()

    def do_reply(self) -> None:
        view = self.view
        if view is not None and self.can_write(view):
            self.writing = "reply"
            self.lay_out()
            self.reply.focus()

    def do_note(self) -> None:
        self._write("note")

    def do_whisper(self) -> None:
        self._write("whisper")

    def _write(self, kind: str) -> None:
        view = self.target()
        if view is not None:
            if view.id != self.session:
                self.open_session(view.id, focus=False)
            self.writing = kind
            self.lay_out()
            self.composer.focus()

    def do_switch_note(self) -> None:
        if self.writing != "reply":
            view = self.view
            if view is not None and self.can_write(view):
                self.do_reply()
        else:
            self.do_note()

    def do_leave(self) -> None:
        """Escape: from writing to reading, from reading to the list."""
        if self.area() in WRITING:
            self.editing = self.quoting = ""
            self.writing = "reply"
            self.lay_out()
            self.thread.focus()
        else:
            self.thread.select("")
            self.pane = "list"
            self.lay_out()
            self.sessions.focus()
        self.save_drafts()

    def do_send(self) -> None:
        self.composer.submit()

    def do_newline(self) -> None:
        self.composer.insert("\n")

    def say(self, session: str, text: str) -> None:
        """Sends a reply with the attached files, or the correction of an earlier one."""
        app = shell(self)
        if len(text) > MAX_TEXT:
            self.reply.put_text(text)
            self.toast(self.explain("too_long", {"limit": str(MAX_TEXT)}), "warning")
            return
        if self.editing:
            self._correct(session, text)
            return
        coming = self.uploading.get(session)
        if coming:
            self.reply.put_text(text)
            self.toast(app.words("files.wait", name=coming[0]), "warning")
            return
        files = self.attached.get(session, [])
        if not text.strip() and not files:
            return
        frame = wire.Say(rid=0, id=new_id(), session=session, text=text, media=files, reply_to=self.quoting)
        names = tuple(media.name for media in files)
        app.picture.echoes[frame.id] = Echo(frame.id, session, "reply", text, app.now(), names)
        app.drafts.sent(session, "reply", frame.id, text)
        self.quoting = ""
        self.attached.pop(session, None)

        def refused() -> None:
            self.attached[session] = [*files, *self.attached.get(session, [])]
            self._take_back(frame.id, "reply")

        self.command(frame, lambda done: self._said(frame, "reply", done), refused)
        self._stop_typing(session)
        self._wrote()

    def put_note(self, session: str, text: str) -> None:
        self._put(wire.Note(rid=0, id=new_id(), session=session, text=text), "note")

    def put_whisper(self, session: str, text: str) -> None:
        self._put(wire.Whisper(rid=0, id=new_id(), session=session, text=text), "whisper")

    def _put(self, frame: wire.Note | wire.Whisper, kind: str) -> None:
        """What only colleagues see; refused, it returns to its own composer."""
        app, session = shell(self), frame.session
        app.picture.echoes[frame.id] = Echo(frame.id, session, kind, frame.text, app.now())
        app.drafts.sent(session, kind, frame.id, frame.text)
        self.command(
            frame, lambda done: self._said(frame, kind, done), lambda: self._take_back(frame.id, kind)
        )
        self._stop_typing(session)
        self._wrote()

    def _wrote(self) -> None:
        self.thread.sync()
        self.thread.scroll_end(animate=False, immediate=True, force=True)
        self.lay_out()

    def _said(self, frame: wire.SessionCommandFrame, kind: str, done: wire.Done) -> None:
        """The desk has it. The echo stays until the message itself arrives."""
        picture, echo = shell(self).picture, frame.id
        shell(self).drafts.confirmed(frame.session, kind, echo)
        known = picture.echoes.get(echo)
        if known is None:
            return
        known.message = done.message
        thread = picture.threads.get(known.session)
        if not done.message or thread is None or done.message in thread.by_id:
            del picture.echoes[echo]
            self.thread.sync()

    def _take_back(self, echo: str, kind: str) -> None:
        """Refused: what was written returns to its composer, before what is there by now."""
        app = shell(self)
        known = app.picture.echoes.pop(echo, None)
        if known is None:
            return
        app.drafts.confirmed(known.session, kind, echo)
        later = app.drafts.get(known.session, kind)
        app.drafts.set(known.session, kind, known.text + ("\n" + later if later else ""))
        if known.session == self.session:
            self.composer_of(kind).turn_to(self.session)
        self.thread.sync()

    def _correct(self, session: str, text: str) -> None:
        message, self.editing = self.editing, ""
        if text.strip():
            frame = wire.EditMessage(rid=0, id=new_id(), session=session, message=message, text=text)
            self.command(frame, refused=lambda: self.reply.put_text(text))
        self.lay_out()

    def typed(self) -> None:
        """The operator is writing: colleagues and, where the channel can, the customer see it. What is
        offered to him does not lapse meanwhile: the first key in a session is told at once."""
        app, area = shell(self), self.area()
        if app.link is None or not self.session or area not in WRITING:
            return
        told_in, told_at = self._typing_sent
        if told_in == self.session and app.clock() - told_at < TYPING_EVERY:
            return
        if self.composer_of(area).text:
            self._typing_sent = (self.session, app.clock())
            app.link.hint(wire.Typing(session=self.session, draft=area != "reply"))

    def _stop_typing(self, session: str) -> None:
        link = shell(self).link
        if link is not None and self._typing_sent[0]:
            self._typing_sent = ("", 0)
            link.hint(wire.Typing(session=session, on=False))

    # -------------------------------------------------------------- the session

    def _simple(
        self, make: Callable[[SessionView], wire.CommandFrame], done: Callable[[wire.Done], None]
    ) -> None:
        view = self.target()
        if view is not None:
            self.command(make(view), done)

    def do_take(self) -> None:
        """Opens it at once: what is typed while the desk decides must not be taken for single keys."""
        view = self.target()
        if view is not None:
            self.command(wire.Take(rid=0, id=new_id(), session=view.id))
            self.open_session(view.id)

    def do_skip(self) -> None:
        self._simple(lambda v: wire.Skip(rid=0, id=new_id(), session=v.id), lambda _: None)

    def do_give_back(self) -> None:
        view = self.target()
        if view is None:
            return
        words, id = shell(self).words, view.id

        def given(reason: str | None) -> None:
            if reason is not None:
                self.command(wire.Return(rid=0, id=new_id(), session=id, reason=reason))

        self.app.push_screen(AskScreen(words("action.give_back"), words("ask.reason")), given)

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

        self.app.push_screen(PickScreen(words("action.transfer"), self.receivers(view)), picked)

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
        self.app.push_screen(PickScreen(app.words("ask.result"), choices, typing=False), picked)

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
        self.delayed = Delayed(command, shell(self).clock() + UNDO, text)
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
            self.do_reply()
            self.editing = message.id
            self.reply.put_text(message.text)
            self.lay_out()

    def do_quote(self) -> None:
        message = self.thread.selected_message()
        if message is not None:
            self.quoting = message.id
            self.do_reply()

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
        (self.card if self.pane == "card" else self.thread).focus()

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
        anywhere stays on duty. What is kept is pinned, for the desk takes back the rest."""
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
        self.app.push_screen(PickScreen(title, choices, typing=False), chosen)
