"""Stepping into conversations and putting them to sleep: take over, join, listen, whisper, snooze, spam.

A whisper has a dialog of its own: what is written there can only become a ``Whisper``, never a reply."""

from __future__ import annotations

from console.link import new_id
from console.screens.dialogs import AskScreen, Choice, PickScreen
from console.screens.verbs import Verbs
from console.shell import shell
from crm.text import one_line
from router import protocol as wire
from router.protocol import SessionView

SNOOZES = {"15m": 15, "1h": 60, "4h": 240, "1d": 24 * 60}
"""Choices of the dialog -> minutes; the last choice is until the customer writes."""


class Leading(Verbs):
    """The verbs of supervisors and of those who may step in. The gateway checks each right."""

    def do_take_over(self) -> None:
        """Asks first, naming the one it is taken from."""
        view = self.target()
        if view is None:
            return
        words, id = shell(self).words, view.id
        holder = one_line(view.holder or view.bot or "–", 40)

        def agreed(answer: str | None) -> None:
            if answer == "yes":
                frame = wire.TakeOver(rid=0, id=new_id(), session=id)
                self.command(frame, lambda _: self.open_session(id))

        choices = [Choice("yes", words("takeover.yes", name=holder)), Choice("no", words("takeover.no"))]
        self.app.push_screen(PickScreen(words("action.take_over"), choices, typing=False), agreed)

    def do_join(self) -> None:
        """In as a participant, or out again."""
        self._join_as(silent=False)

    def do_listen(self) -> None:
        """In as a reader without a trace, or out again."""
        self._join_as(silent=True)

    def _join_as(self, *, silent: bool) -> None:
        view = self.target()
        if view is None:
            return
        id, me = view.id, shell(self).picture.operator
        there = me in (view.silent if silent else view.guests)
        frame = wire.Join(rid=0, id=new_id(), session=id, silent=silent, on=not there)
        self.command(frame, lambda _: None if there else self.open_session(id))

    def do_whisper(self) -> None:
        view = self.target()
        if view is None:
            return
        words, id = shell(self).words, view.id

        def written(text: str | None) -> None:
            if text:
                self.command(wire.Whisper(rid=0, id=new_id(), session=id, text=text))

        self.app.push_screen(AskScreen(words("action.whisper"), words("ask.whisper")), written)

    def do_snooze(self) -> None:
        view = self.target()
        if view is None:
            return
        words, id = shell(self).words, view.id
        choices = [Choice(span, words(f"snooze.{span}")) for span in SNOOZES]
        choices.append(Choice("written", words("snooze.written")))

        def picked(span: str | None) -> None:
            if span is not None:
                until = shell(self).now() + SNOOZES[span] * 60_000 if span in SNOOZES else 0
                self.command(wire.Snooze(rid=0, id=new_id(), session=id, until=until))

        self.app.push_screen(PickScreen(words("action.snooze"), choices, typing=False), picked)

    def do_spam(self) -> None:
        """Mutes the chat, which can be taken back for a moment; or lets a muted one be heard again."""
        view = self.target()
        if view is None:
            return
        if view.status == "spam":
            self.command(wire.Spam(rid=0, id=new_id(), session=view.id, on=False))
            return
        name = one_line(view.name or view.chat, 30)
        frame = wire.Spam(rid=0, id=new_id(), session=view.id)
        self.delay(frame, shell(self).words("undo.spam", name=name))

    def do_close(self) -> None:
        """Asks for the result where the line has some."""
        view = self.target()
        line = shell(self).picture.lines.get(view.line) if view is not None else None
        if view is None or line is None or not line.results:
            super().do_close()
            return
        self._close_with(view, line.results)

    def _close_with(self, view: SessionView, results: list[str]) -> None:
        words = shell(self).words
        choices = [Choice(str(n), one_line(result, 60)) for n, result in enumerate(results)]

        def picked(number: str | None) -> None:
            if number is not None:
                name = one_line(view.name or view.chat, 30)
                frame = wire.Close(rid=0, id=new_id(), session=view.id, result=results[int(number)])
                self.delay(frame, words("undo.close", name=name))

        self.app.push_screen(PickScreen(words("ask.result"), choices, typing=False), picked)
