"""Stepping into conversations, putting them to sleep or aside, judging them, and the lines' board."""

from __future__ import annotations

import re
from functools import partial

from console.desk.part import Part
from console.link import new_id
from console.screens.board import Board
from console.screens.dialogs import AskScreen, Choice, PickScreen
from console.shell import shell, work
from console.text.times import moment
from crm.kernel.records import MAX_TAG
from crm.kernel.text import one_line
from router.wire import protocol as wire

SNOOZES = {"15m": 15, "1h": 60, "4h": 240, "1d": 24 * 60}
"""Choices of the dialog -> minutes; the last choice is until the customer writes."""


class Leading(Part):
    """The verbs of supervisors and of those who may step in. The gateway checks each right."""

    def do_take_over(self) -> None:
        """Asks first, naming the one it is taken from."""
        view = self.desk.target()
        if view is None:
            return
        words, id = shell(self.desk).words, view.id
        holder = one_line(view.holder or view.bot or "–", 40)

        def agreed(answer: str | None) -> None:
            if answer == "yes":
                self.desk.keeper.come_in(wire.TakeOver(rid=0, id=new_id(), session=id))

        choices = [Choice("yes", words("takeover.yes", name=holder)), Choice("no", words("takeover.no"))]
        self.desk.keeper.about(PickScreen(words("action.take_over"), choices, typing=False), id, agreed)

    def do_join(self) -> None:
        """In as a participant, or out again."""
        self._join_as(silent=False)

    def do_listen(self) -> None:
        """In as a reader without a trace, or out again."""
        self._join_as(silent=True)

    def _join_as(self, *, silent: bool) -> None:
        view = self.desk.target()
        if view is None:
            return
        id, me = view.id, shell(self.desk).picture.operator
        there = me in (view.silent if silent else view.guests)
        frame = wire.Join(rid=0, id=new_id(), session=id, silent=silent, on=not there)
        if there or silent:
            self.desk.errands.command(frame)
            if silent and not there:
                self.desk.reading.open_session(id, focus=False)
        else:
            self.desk.keeper.come_in(frame)

    def do_snooze(self) -> None:
        view = self.desk.target()
        if view is None:
            return
        words, id = shell(self.desk).words, view.id
        choices = [Choice(span, words(f"snooze.{span}")) for span in SNOOZES]
        choices.append(Choice("written", words("snooze.written")))
        choices.append(Choice("other", words("snooze.other")))

        def picked(span: str | None) -> None:
            if span == "other":
                self.desk.keeper.about(AskScreen(words("action.snooze"), words("snooze.hint")), id, written)
            elif span is not None:
                sleep(shell(self.desk).now() + SNOOZES[span] * 60_000 if span in SNOOZES else 0)

        def written(text: str | None) -> None:
            if text is None:
                return
            try:
                sleep(moment(text, shell(self.desk).now(), shell(self.desk).zone))
            except ValueError:
                self.desk.toast(words("snooze.bad"), "warning")

        def sleep(until: int) -> None:
            self.desk.errands.command(wire.Snooze(rid=0, id=new_id(), session=id, until=until))

        self.desk.keeper.about(PickScreen(words("action.snooze"), choices, typing=False), id, picked)

    def do_spam(self) -> None:
        """Mutes the chat, which can be taken back for a moment; or lets a muted one be heard again."""
        view = self.desk.target()
        if view is None:
            return
        if view.status == "spam":
            self.desk.errands.command(wire.Spam(rid=0, id=new_id(), session=view.id, on=False))
            return
        name = one_line(view.name or view.chat, 30)
        frame = wire.Spam(rid=0, id=new_id(), session=view.id)
        self.desk.undo.delay(frame, shell(self.desk).words("undo.spam", name=name))

    def do_priority(self) -> None:
        """A larger number goes before all smaller ones, in every line."""
        view = self.desk.target()
        if view is None:
            return
        words, id = shell(self.desk).words, view.id

        def given(text: str | None) -> None:
            if text is None:
                return
            if not re.fullmatch(r"[+-]?[0-9]{1,7}", text):
                self.desk.toast(words("priority.number"), "warning")
                return
            self.desk.errands.command(wire.SetPriority(rid=0, id=new_id(), session=id, priority=int(text)))

        self.desk.keeper.about(AskScreen(words("action.priority"), "0", str(view.priority)), id, given)

    def do_tag(self) -> None:
        """The tags that are there, to be changed: what is new is put on, what is gone taken off."""
        view = self.desk.target()
        if view is None:
            return
        words, id = shell(self.desk).words, view.id
        before = list(view.tags)

        def given(text: str | None) -> None:
            if text is None:
                return
            now = [word for word in (one_line(part, MAX_TAG + 1) for part in text.split(",")) if word]
            for tags, on in (
                ([t for t in before if t not in now], False),
                ([t for t in now if t not in before], True),
            ):
                if tags:
                    self.desk.errands.command(wire.Tag(rid=0, id=new_id(), session=id, tags=tags, on=on))

        self.desk.keeper.about(
            AskScreen(words("action.tag"), words("tag.hint"), ", ".join(before)), id, given
        )

    def do_score(self) -> None:
        """One to five, and what to say about it."""
        view = self.desk.target()
        if view is None:
            return
        words, id = shell(self.desk).words, view.id
        choices = [Choice(str(n), words(f"score.{n}")) for n in range(1, 6)]

        def picked(score: str | None) -> None:
            if score is None:
                return

            def told(comment: str | None) -> None:
                if comment is not None:
                    frame = wire.Score(rid=0, id=new_id(), session=id, score=int(score), comment=comment)
                    self.desk.errands.command(frame, lambda _: self.desk.toast(words("score.done")))

            self.desk.app.push_screen(AskScreen(words("action.score"), words("score.comment")), told)

        self.desk.app.push_screen(PickScreen(words("action.score"), choices, typing=False), picked)

    def do_to_waiting(self) -> None:
        """The cursor on the conversation that has waited longest, or what is offered."""
        picture = shell(self.desk).picture
        waiting = [view for views in picture.waiting().values() for view in views]
        found = min(waiting, key=lambda v: v.arrival or v.waiting_since, default=None)
        for view in [found] if found is not None else picture.offered()[:1]:
            self.desk.places.pane = "list"
            self.desk.places.lay_out()
            self.desk.sessions.focus()
            self.desk.sessions.put_cursor(view.id)

    def do_lines(self) -> None:
        """The board of the lines, and from there conversations, rules and the colleagues' settings."""

        def chosen(session: str | None) -> None:
            if session:
                work(self.desk, partial(self.desk.reading.show, session), group="jump", exclusive=True)

        self.desk.app.push_screen(
            Board(shell(self.desk).words("action.lines"), self.desk.errands.ask), chosen
        )
