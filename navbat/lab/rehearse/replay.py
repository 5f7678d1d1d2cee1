"""Recorded days on the desk under given rules, with a virtual clock. The model of what people do is told
in ``docs/rehearsal.md``. Deterministic; pure."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from statistics import median_low
from typing import Any

import msgspec

from navbat.lab.rehearse.recording import Act, Reaction, Recording, Talk, Wrote
from router.desk import events
from router.desk.desk import Desk
from router.desk.events import LinesConfigured, OperatorChanged
from router.desk.state import HELD, AnyTold, Decided, Session
from router.wire import commands
from router.wire.frame import CommandFrame, SessionCommandFrame

FOREVER = 10**15
"""Every console answers in a replay: whoever lost the connection is recorded as offline."""
LOOK_AGAIN = 60_000
"""Who pulls by hand looks again after so long, when nobody could take it before."""
UNSENT: Mapping[str, Any] = {"rid": 0, "id": ""}
"""What only a client has to say of a command."""
ANSWER = 60_000
"""Where nothing was recorded to learn from, everything takes so long."""


class Usual(msgspec.Struct, kw_only=True):
    """How long people took in most cases, for sessions in which nobody did anything."""

    take: int
    answer: int
    close: int


def usual(talks: Sequence[Talk]) -> Usual:
    takes = [r.delay for t in talks for r in t.takes]
    acts = [(a, a.at - max(a.before, a.heard, *a.holds[-1:], 0)) for t in talks for a in t.acts]
    answers = [delay for act, delay in acts if act.kind == "say" and act.holds]
    closes = [delay for act, delay in acts if act.kind == "close" and act.holds]
    take, answer, close = (median_low(found) if found else ANSWER for found in (takes, answers, closes))
    return Usual(take=take, answer=answer, close=close)


class _Play:
    """How far a talk has come."""

    __slots__ = (
        "act",
        "acts",
        "done",
        "got",
        "hold",
        "holder",
        "left",
        "offers",
        "session",
        "shown",
        "talk",
        "waits",
    )

    def __init__(self, talk: Talk, acts: list[Act]) -> None:
        self.talk = talk
        self.acts = acts
        self.act = 0
        self.done = 0
        self.got = 0
        self.hold = 0
        self.left: list[Reaction] = []
        """What an offer was too short for."""
        self.holder = ""
        self.offers = 0
        self.waits = 0
        self.shown = 0
        self.session = ""


def replay(
    recording: Recording, configured: LinesConfigured, operators: Sequence[OperatorChanged]
) -> list[AnyTold]:
    """All that the desk tells between the recording's start and its end."""
    return _Replay(recording, configured, operators).run()


class _Replay:
    def __init__(
        self, recording: Recording, configured: LinesConfigured, operators: Sequence[OperatorChanged]
    ) -> None:
        self.recording = recording
        self.desk = Desk()
        self.told: list[AnyTold] = []
        self.now = recording.start
        self.usual = usual(recording.talks)
        self.of_session: dict[str, _Play] = {}
        self.agenda: list[tuple[int, int, str, Any]] = []
        self.number = 0
        self._begin(configured, operators)

    def _begin(self, configured: LinesConfigured, operators: Sequence[OperatorChanged]) -> None:
        channels = dict(configured.channels)
        for talk in self.recording.talks:
            if talk.line in configured.lines:
                channels.setdefault(talk.channel, talk.line)
        self._apply(msgspec.structs.replace(configured, channels=channels, presence_timeout=FOREVER))
        for operator in operators:
            self._apply(msgspec.structs.replace(operator, revoked=[]))
        for change in self.recording.duty:
            if change.reason != "missed_offers":
                self._plan(max(change.at, self.now), "duty", change)
        for talk in self.recording.talks:
            play = _Play(talk, talk.acts if talk.takes or talk.starter else self._invented(talk))
            if talk.starter:
                self._plan(talk.opened_at, "start", play)
            for wrote in talk.wrote:
                self._plan(wrote.at, "wrote", (play, wrote))

    def _invented(self, talk: Talk) -> list[Act]:
        """In the record nobody took it: one answer and a close, as long as these usually take."""
        heard = max((wrote.at for wrote in talk.wrote), default=talk.opened_at)
        answered = heard + self.usual.answer
        say = Act(at=answered, kind="say", operator="", heard=heard)
        return [say, Act(at=answered + self.usual.close, kind="close", operator="", before=answered)]

    # ---------------------------------------------------------------- time

    def run(self) -> list[AnyTold]:
        end = self.recording.end
        while True:
            due = self.desk.timers.next_due()
            at = self.agenda[0][0] if self.agenda else end
            if due is not None and due <= at and due < end:
                self.now = max(self.now, due)
                self.desk.advance(self.now)
                self._look()
            elif at >= end:
                return self.told
            else:
                self.now, _, kind, what = heapq.heappop(self.agenda)
                getattr(self, f"_on_{kind}")(what)

    def _plan(self, at: int, kind: str, what: Any) -> None:
        self.number += 1
        heapq.heappush(self.agenda, (at, self.number, kind, what))

    def _order(self, operator: str, command: CommandFrame) -> None:
        self._apply(events.Ordered(operator=operator, command=command))

    def _apply(self, event: events.Event) -> None:
        """What the desk refuses here was done to another state of things: it is left out."""
        event.at = self.now
        self.desk.apply(event)
        self._look()

    # ---------------------------------------------------------------- what the record says

    def _on_duty(self, change: Any) -> None:
        duty = events.SetDutyInFull(duty=change.duty, reason=change.reason, **UNSENT)
        self._order(change.operator, duty)

    def _on_start(self, play: _Play) -> None:
        talk = play.talk
        start = events.StartInFull(
            channel=talk.channel, chat=talk.chat, line=talk.line, customer=talk.customer, **UNSENT
        )
        self._order(talk.starter, start)
        self._belongs(play)

    def _on_wrote(self, what: tuple[_Play, Wrote]) -> None:
        play, wrote = what
        talk = play.talk
        author = events.Author(id=talk.chat, language=talk.language)
        self._belongs(play)
        if wrote.rating:
            data = f"rate:{play.session or 0}:{wrote.rating}"
            self._apply(
                events.ButtonPressed(
                    channel=talk.channel, chat=talk.chat, message_id="", author=author, data=data
                )
            )
            return
        message = events.MessageReceived(channel=talk.channel, chat=talk.chat, author=author, text=wrote.text)
        message.at = self.now
        self.desk.apply(message, talk.known)
        self._belongs(play)
        self._look()

    def _belongs(self, play: _Play) -> None:
        """The chat's open session is this talk's from now on."""
        id = self.desk.by_chat.get(f"{play.talk.channel}:{play.talk.chat}", "")
        if not id or self.of_session.get(id) is play:
            return
        self.of_session[id] = play
        play.session = id
        session = self.desk.sessions[id]
        if session.status in HELD:
            self._got(play, session)
        elif session.status == "bot" and session.bot_turn.flow is None and play.talk.bot_time >= 0:
            self._plan(self.now + play.talk.bot_time, "bot", play)

    def _on_bot(self, play: _Play) -> None:
        session = self.desk.sessions.get(play.session)
        if session is not None and session.status == "bot":
            self._order(session.bot_turn.name, commands.Return(session=session.id, **UNSENT))

    # ---------------------------------------------------------------- what becomes of it here

    def _look(self) -> None:
        """Takes in what the desk told, and lets those react whom it concerns."""
        outcome = self.desk.drain()
        self.told += outcome.told
        for session in [*outcome.sessions.values(), *outcome.closed.values()]:
            play = self.of_session.get(session.id)
            if play is not None:
                self._changed(play, session)
        for told in outcome.told:
            if isinstance(told, Decided) and not told.chosen and told.why != "all":
                play = self.of_session.get(told.session)
                if play is not None:
                    self._waits(play, told)

    def _changed(self, play: _Play, session: Session) -> None:
        if session.status not in HELD:
            play.holder = ""
        elif session.holder != play.holder:
            self._got(play, session)
        if session.status == "offered" and session.offer.until != play.shown:
            play.shown = session.offer.until
            self._offered(play, session)
        elif session.status != "offered":
            play.shown = 0

    def _got(self, play: _Play, session: Session) -> None:
        play.holder, play.got = session.holder, self.now
        play.hold += 1
        self._plan_act(play)

    def _offered(self, play: _Play, session: Session) -> None:
        """A reaction that would outlast this offer goes on with the next one: whoever gets that has so
        much less to wait. So shorter offers are missed more often, but not for ever."""
        reactions = play.left
        if not reactions:
            index, play.offers = play.offers, play.offers + 1
            known = index < len(play.talk.offers)
            reactions = play.talk.offers[index] if known else self._beyond(play.talk)
        lasts = session.offer.until - self.now
        play.left = []
        for reaction in reactions:
            if reaction.delay < lasts:
                self._plan(self.now + reaction.delay, "offer", (session.id, session.offer.until, reaction))
            else:
                play.left.append(msgspec.structs.replace(reaction, delay=reaction.delay - lasts))

    def _beyond(self, talk: Talk) -> list[Reaction]:
        """One more offer than there were: it is taken, as the last one was."""
        return talk.takes[-1:] or [Reaction(kind="take", delay=self.usual.take)]

    def _waits(self, play: _Play, told: Decided) -> None:
        index, play.waits = play.waits, play.waits + 1
        waits = play.talk.waits
        reactions = waits[index] if index < len(waits) else []
        if told.why == "manual" and not reactions and (index >= len(waits) or play.talk.offers):
            # Recorded in another mode, where waiting ended with an offer.
            reactions = self._beyond(play.talk)
        for reaction in reactions:
            if reaction.kind == "take":
                self._plan(self.now + reaction.delay, "pull", (told.session, reaction))

    def _on_offer(self, what: tuple[str, int, Reaction]) -> None:
        id, until, reaction = what
        session = self.desk.sessions.get(id)
        if session is None or session.status != "offered" or session.offer.until != until:
            return
        who = session.holder
        if not who:
            able = (*session.offer.seen_by, *session.round.hidden_from)
            who = reaction.operator if reaction.operator in able else session.offer.seen_by[0]
        kind = commands.Take if reaction.kind == "take" else commands.Skip
        self._order(who, kind(session=id, **UNSENT))

    def _on_pull(self, what: tuple[str, Reaction]) -> None:
        """Who pulled it then pulls it again; else who is on duty and has least to do."""
        id, reaction = what
        session = self.desk.sessions.get(id)
        if session is None or session.status != "waiting":
            return
        queue, operators = self.desk.queue(session), self.desk.operators
        if reaction.pulled and reaction.operator in queue.members:
            self._order(reaction.operator, commands.Take(session=id, **UNSENT))
            return
        able = [name for name in queue.members if not self.desk.dropped_by(operators.get(name), queue)]
        if able:
            who = min(able, key=lambda name: operators[name].load)
            self._order(who, commands.Take(session=id, **UNSENT))
        elif queue.rules.mode == "manual":
            self._plan(self.now + LOOK_AGAIN, "pull", what)

    # ---------------------------------------------------------------- work

    def _plan_act(self, play: _Play) -> None:
        if play.act < len(play.acts):
            act = play.acts[play.act]
            due = act.due(play.done, play.got, play.hold)
            self._plan(max(due, self.now), "act", (play, play.act, play.hold))

    def _on_act(self, what: tuple[_Play, int, int]) -> None:
        play, index, hold = what
        session = self.desk.sessions.get(play.session)
        if index != play.act or hold != play.hold or session is None:
            return
        if self.of_session.get(session.id) is not play or session.status not in (*HELD, "closing"):
            return
        command = _command(play.acts[index], session, self.now)
        play.act += 1
        play.done = self.now
        if command is not None:
            # Only a session that is taken over is so by whom it was.
            taken = isinstance(command, commands.TakeOver)
            self._order(play.acts[index].operator if taken else session.holder, command)
        if play.hold == hold:
            self._plan_act(play)


def _command(act: Act, session: Session, now: int) -> CommandFrame | None:
    """What is done to it."""
    made: Mapping[str, Any] = {"session": session.id, **UNSENT}
    params = act.params
    if act.kind == "say":
        return events.SayInFull(text="-", **made)
    if act.kind in ("pin", "unpin"):
        return commands.Pin(on=act.kind == "pin", **made)
    if act.kind == "snooze":
        until = params.get("until", "")
        return commands.Snooze(until=now + int(until) - act.at if until.isdigit() else 0, **made)
    if act.kind == "priority":
        return commands.SetPriority(priority=int(params.get("priority", "0")), **made)
    if act.kind == "transfer":
        return commands.Transfer(to=params.get("to", ""), **made)
    if act.kind == "take_over":
        return commands.TakeOver(**made)
    plain: dict[str, type[SessionCommandFrame]] = {
        "close": commands.Close,
        "return": commands.Return,
        "spam": commands.Spam,
    }
    return plain[act.kind](**made)
