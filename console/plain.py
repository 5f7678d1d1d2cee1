"""The linear mode: one line for everything that happens, commands by words. For screen readers,
braille lines, slow links and scripts. Nothing is ever painted over and no control sequence is sent.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TextIO, get_args

from console.asking import Reader, ask_login
from console.condition import Condition
from console.link import (
    Arrived,
    Beat,
    Connected,
    Credentials,
    Disconnected,
    Link,
    LinkEvent,
    TurnedAway,
    new_id,
)
from console.model import Mirror, Touched
from console.plain_crm import PlainObjects
from console.settings import Shelf
from console.shell import epoch_ms
from console.standing import Standing, has_left, how_left, standing
from console.terminal.steady import to_nowhere
from console.text.decisions import decision_lines
from console.text.paint import TICKS, author_name, media_label, system_text
from console.text.times import moment
from console.text.words import Words, hour
from crm.kernel.errors import Refused, Unavailable
from crm.kernel.records import Duty, Message
from crm.kernel.text import clean, one_line
from router.wire import protocol as wire
from router.wire.protocol import SessionView

PATIENCE = 3.0
"""Seconds that a command is waited for before the next line is read."""
LAST_PATIENCE = 20.0
"""The same when the input has ended."""

Handler = Callable[[str], Awaitable[None]]

TRIES = 4
"""Logins in one run: the saved one, and three that a person types."""


class NothingOpenError(Exception):
    """The command speaks of the open conversation and there is none."""


class LeftError(Exception):
    """The conversation that words were written for has left."""


class Plain:
    """A conversation with the desk over two streams of lines."""

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        words: Words,
        out: TextIO,
        connected: Callable[[wire.Welcome], None] = lambda _: None,
    ) -> None:
        """``connected`` hears of every login: it may keep the token."""
        self.words = words
        self.refused = ""
        """Why the desk does not want this login, as a code."""
        self._connected = connected
        self.picture = Mirror()
        self.session = ""
        """The open conversation: what is said goes there and nowhere else."""
        self.left = ""
        """Why nothing is said there any more, until one is opened anew."""
        self.status = 0
        self._trouble = ""
        self._stood: Standing | None = None
        """What the open conversation was when it was looked at last."""
        self._out = out
        self._ended = asyncio.Event()
        self._ready = asyncio.Event()
        """The picture has come; commands that were given before wait for it."""
        self._events: asyncio.Queue[LinkEvent] = asyncio.Queue()
        self.link = Link(url, credentials, self._events.put_nowait, client="console-plain")
        self._commands: dict[str, Handler] = {
            "list": self._list, "open": self._open, "say": self._say, "note": self._note, "take": self._take,
            "skip": self._skip, "back": self._back, "to": self._to, "close": self._close, "pin": self._pin,
            "whisper": self._whisper, "over": self._over, "join": self._join, "listen": self._listen_in,
            "snooze": self._snooze, "spam": self._spam, "why": self._why,
            "next": self._next, "duty": self._duty, "history": self._history, "help": self._help,
            "quit": self._quit,
            **PlainObjects(words, self.say, self.link, self.now).commands(),
        }  # fmt: skip

    def now(self) -> int:
        return epoch_ms() + self.picture.offset

    def say(self, text: str) -> None:
        """One line out; what came from outside has been cleaned by the caller."""
        try:
            self._out.write(text + "\n")
            self._out.flush()
        except OSError:  # whoever heard us is gone
            self.end(1)

    def end(self, status: int = 0) -> None:
        """Leaves, whatever is still being waited for."""
        self.status = self.status or status
        self._ended.set()

    # -------------------------------------------------------------- running

    async def run(self, lines: asyncio.Queue[str | None]) -> int:
        """Until the input ends, ``quit``, or the desk refuses the login. Gives the exit status."""
        async with asyncio.TaskGroup() as group:
            helpers = [
                group.create_task(self.link.run()),
                group.create_task(self._listen()),
                group.create_task(self._obey(lines)),
            ]
            await self._ended.wait()
            for helper in helpers:
                helper.cancel()
        return self.status

    async def _listen(self) -> None:
        while True:
            event = await self._events.get()
            if isinstance(event, Connected):
                self._connected(event.welcome)
                self.picture.welcome(event.welcome, epoch_ms())
                name, duty = (
                    one_line(event.welcome.operator),
                    self.words.maybe(f"duty.{event.welcome.duty}", ""),
                )
                self.say(self.words("plain.connected", name=name, duty=duty))
            elif isinstance(event, Disconnected):
                self.say(self.words("plain.lost"))
            elif isinstance(event, TurnedAway):
                self.say(self.words.coded("bye", one_line(event.bye.code, 60), event.bye.params))
                self.refused = event.bye.code
                self.end(1)
            elif isinstance(event, Beat):
                self._condition(event.how)
            elif isinstance(event, Arrived):
                for frame in self.link.drain():
                    self._tell(self.picture.apply(frame, self.now()), frame)
                    self._watch_over()
                    if isinstance(frame, wire.Snapshot):
                        self._ready.set()

    def _condition(self, how: Condition) -> None:
        """Trouble is said when it comes and when it goes."""
        names = how.trouble(self.words)
        if names != self._trouble:
            self._trouble = names
            self.say(self.words("plain.trouble", names=names) if names else self.words("plain.well"))

    async def _obey(self, lines: asyncio.Queue[str | None]) -> None:
        while (line := await lines.get()) is not None:
            word, _, rest = line.strip().partition(" ")
            if not word:
                continue
            if word.casefold() not in ("help", "quit"):
                await self._ready.wait()
            handler = self._commands.get(word.casefold())
            if handler is None:
                self.say(self.words("plain.what", word=one_line(word, 40)))
                continue
            try:
                await handler(rest.strip())
            except Refused as error:
                self.say(self.words.coded("refused", one_line(error.code, 60), error.params))
            except NothingOpenError:
                self.say(self.words("plain.none"))
            except LeftError:
                self.say(self.words("plain.unsent", id=self.session, why=self.left))
            except Unavailable:
                self.say(self.words("refused.unavailable"))
        await self._last_words()
        self._ended.set()

    async def _last_words(self) -> None:
        """What was given before the end is carried out, or is said not to be answered."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_PATIENCE):
                await self.link.settled()
        if self.link.unsent:
            self.say(self.words("plain.unanswered", n=self.link.unsent))
            self.status = 1

    # -------------------------------------------------------------- what happens

    def _tell(self, touched: Touched, frame: wire.Frame) -> None:
        for view in touched.offered:
            text = one_line(view.last_text, 200)
            self.say(self.words("plain.offered", id=view.id, name=one_line(view.name), text=text))
        if isinstance(frame, wire.Changes):
            for message in frame.messages:
                view_of = self.picture.sessions.get(message.session)
                mine = view_of is not None and view_of.holder == self.picture.operator
                if message.session == self.session or (mine and message.direction == "in"):
                    self.say(self.line(message))
            for gone in frame.gone:
                self.say(self.words("plain.gone", id=one_line(gone, 20)))
        for alert in touched.alerts:
            params = {"line": one_line(alert.line), "operator": one_line(alert.operator)}
            self.say(self.words.coded("alert", one_line(alert.name, 60), params))

    def line(self, message: Message) -> str:
        """A message in one line: time, who, what, and how it fared."""
        view = self.picture.sessions.get(message.session)
        if message.direction == "system":
            return f"{hour(message.at, None)} {message.session} {system_text(self.words, message.text)}"
        who = (
            one_line(view.name)
            if view is not None and message.direction == "in"
            else author_name(self.words, message)
        )
        if message.direction in ("note", "whisper"):
            who = f"{self.words(f'thread.{message.direction}')} {who}"
        parts = [media_label(self.words, media) for media in message.media]
        if message.kind == "unsupported":
            parts.append(self.words("kind.unsupported"))
        parts.append(clean(message.text, wire.MAX_TEXT).replace("\n", " / "))
        if message.delivery:
            parts.append(TICKS.get(message.delivery, ""))
        text = " ".join(filter(None, parts))
        return f"{hour(message.at, None)} " + self.words(
            "plain.wrote", id=message.session, name=who, text=text
        )

    def _watch_over(self) -> None:
        """The open conversation stays the one that it is; when it leaves, nothing is said there."""
        if self._stood is None or self.left:
            return
        now = standing(self.picture, self.session)
        if not has_left(self._stood, now, "whisper"):
            self._stood = now
            return
        left = how_left(self.picture, self._stood, self.picture.sessions.get(self.session))
        why = self.words(f"left.{left.code}", **({"name": left.name} if left.name else {}))
        self.left = self.words("left.lapsed", now=why) if left.lapsed else why
        self.say(self.words("plain.left", id=self.session, why=self.left))

    # -------------------------------------------------------------- commands

    def _words_for(self) -> str:
        """The session that words are for now. Raises LeftError when the one they were written for has left."""
        if self.left:
            raise LeftError
        return self._view().id

    def _view(self, id: str = "") -> SessionView:
        if not id and not self.session:
            raise NothingOpenError
        view = self.picture.sessions.get(id or self.session)
        if view is None:
            raise Refused("no_such_session")
        return view

    async def _do(self, frame: wire.CommandFrame) -> None:
        """Waits a little for the desk's answer; one that comes later is told when it comes."""
        sent = self.link.send(frame)
        await asyncio.wait([sent], timeout=PATIENCE)
        if not sent.done():
            self.say(self.words("plain.on_its_way"))
            sent.add_done_callback(self._told)
            return
        done = sent.result()
        if done.code:
            raise Refused(done.code, **{k: one_line(v, 200) for k, v in done.params.items()})
        self.say(self.words("plain.done"))

    def _told(self, sent: asyncio.Future[wire.Done]) -> None:
        if sent.cancelled():
            return
        done = sent.result()
        if done.code:
            params = {k: one_line(v, 200) for k, v in done.params.items()}
            self.say(self.words.coded("refused", one_line(done.code, 60), params))
        else:
            self.say(self.words("plain.done"))

    async def _list(self, _: str) -> None:
        picture = self.picture
        waiting = [view for views in picture.waiting().values() for view in views]
        listed = [*picture.mine(), *picture.offered(), *picture.joined(), *waiting]
        for view in listed:
            since = view.waiting_since or view.last_at
            age = self.words.span(self.now() - since) if since else ""
            status = self.words.maybe(f"status.{view.status}", view.status)
            self.say(
                f"{view.id} {one_line(view.name)} [{one_line(view.line)}] {status} {age} {one_line(view.last_text, 80)}"
            )
        if not listed:
            self.say(self.words("plain.empty"))

    async def _open(self, id: str) -> None:
        self._shut()
        await self._show(id)

    def _shut(self) -> None:
        """Another conversation is asked for: until it is there, words are for none."""
        self.session, self.left, self._stood = "", "", None

    async def _show(self, id: str) -> None:
        page = await self.link.request(wire.Open(rid=0, session=id, limit=20), wire.Page)
        if page.session is not None:
            self.picture.sessions[page.session.id] = page.session
        self.session = self._view(id).id
        self._stood = standing(self.picture, self.session)
        self.link.watch = [id]
        view = self._view()
        status = self.words.maybe(f"status.{view.status}", view.status)
        self.say(self.words("plain.opened", id=view.id, name=one_line(view.name), status=status))
        for message in page.messages:
            self.say(self.line(message))

    async def _say(self, text: str) -> None:
        await self._do(wire.Say(rid=0, id=new_id(), session=self._words_for(), text=text))

    async def _note(self, text: str) -> None:
        await self._do(wire.Note(rid=0, id=new_id(), session=self._words_for(), text=text))

    async def _whisper(self, text: str) -> None:
        await self._do(wire.Whisper(rid=0, id=new_id(), session=self._words_for(), text=text))

    async def _take(self, id: str) -> None:
        session = id or self._view().id
        self._shut()
        await self._do(wire.Take(rid=0, id=new_id(), session=session))
        await self._show(session)

    async def _skip(self, id: str) -> None:
        await self._do(wire.Skip(rid=0, id=new_id(), session=id or self._view().id))

    async def _back(self, reason: str) -> None:
        await self._do(wire.Return(rid=0, id=new_id(), session=self._view().id, reason=reason))

    async def _to(self, name: str) -> None:
        await self._do(wire.Transfer(rid=0, id=new_id(), session=self._view().id, to=name))

    async def _over(self, id: str) -> None:
        session = id or self._view().id
        self._shut()
        await self._do(wire.TakeOver(rid=0, id=new_id(), session=session))
        await self._show(session)

    async def _join(self, id: str) -> None:
        await self._step_in(id, silent=False)

    async def _listen_in(self, id: str) -> None:
        await self._step_in(id, silent=True)

    async def _step_in(self, id: str, *, silent: bool) -> None:
        """In, or out again. A colleague's conversation is on no list of ours: its number is enough."""
        session = id or self._view().id
        view = self.picture.sessions.get(session)
        on = view is None or self.picture.operator not in (view.silent if silent else view.guests)
        if on:
            self._shut()
        await self._do(wire.Join(rid=0, id=new_id(), session=session, silent=silent, on=on))
        if on:
            await self._show(session)

    async def _snooze(self, text: str) -> None:
        try:
            until = 0 if text == "written" else moment(text, self.now(), None)
        except ValueError:
            self.say(self.words("snooze.bad"))
            return
        await self._do(wire.Snooze(rid=0, id=new_id(), session=self._view().id, until=until))

    async def _spam(self, _: str) -> None:
        """Mutes the chat, or lets it be heard again."""
        view = self._view()
        await self._do(wire.Spam(rid=0, id=new_id(), session=view.id, on=view.status != "spam"))

    async def _why(self, _: str) -> None:
        answer = await self.link.request(wire.GetWhy(rid=0, session=self._view().id), wire.Why)
        for decision in answer.decisions[-20:]:
            told = " · ".join(decision_lines(self.words, decision, None))
            self.say(f"{hour(decision.at, None)} {told}")
        if not answer.decisions:
            self.say(self.words("why.none"))

    async def _close(self, result: str) -> None:
        await self._do(wire.Close(rid=0, id=new_id(), session=self._view().id, result=result))

    async def _pin(self, _: str) -> None:
        view = self._view()
        await self._do(wire.Pin(rid=0, id=new_id(), session=view.id, on=not view.pinned))

    async def _next(self, _: str) -> None:
        self._shut()
        view = self.picture.next_up()
        if view is None:
            self.say(self.words("plain.empty"))
        else:
            await self._show(view.id)

    async def _duty(self, duty: str) -> None:
        for kept in get_args(Duty):
            if duty == kept:
                await self._do(wire.SetDuty(rid=0, id=new_id(), duty=kept))
                return
        self.say(self.words("plain.what", word=one_line(duty, 40)))

    async def _history(self, _: str) -> None:
        view = self._view()
        page = await self.link.request(wire.GetHistory(rid=0, customer=view.customer, limit=100), wire.Page)
        for message in page.messages:
            self.say(self.line(message))

    async def _help(self, _: str) -> None:
        self.say(self.words("plain.help"))

    async def _quit(self, _: str) -> None:
        await self._last_words()
        self._ended.set()


def run_plain(url: str, credentials: Credentials | None, shelf: Shelf | None = None) -> int:
    """``navbat console --plain``: 0 when the input ended, 1 refused, 2 without a login."""
    shelf = shelf or Shelf()
    words = Words(shelf.load().language)
    try:
        status = _sign_in(url, credentials, shelf, words)
    except KeyboardInterrupt:
        return 0
    try:
        sys.stdout.flush()
    except OSError:
        to_nowhere(sys.stdout.fileno())
    return status


def _sign_in(url: str, credentials: Credentials | None, shelf: Shelf, words: Words) -> int:
    """With what is given, else what is saved, else what the person at the terminal says; he may try
    again when the desk does not know him."""
    last = shelf.logins.last()
    url = url or last.url or shelf.load().server
    given = credentials is not None
    token = shelf.token(url) if url and not given else ""
    if token:
        credentials = Credentials(token=token)
    for _ in range(TRIES):
        if credentials is None:
            asked = ask_login(url, last.name if last.url == url else "", words)
            if asked is None:
                sys.stderr.write(words("plain.no_login") + "\n")
                return 2
            url, credentials = asked
        plain = asyncio.run(_run(url, credentials, shelf, words))
        if given or plain.refused not in ("login", "revoked") or not sys.stdin.isatty():
            return plain.status
        shelf.save_token(url, "")
        credentials = None
    return 1


async def _run(url: str, credentials: Credentials, shelf: Shelf, words: Words) -> Plain:
    def keep(welcome: wire.Welcome) -> None:
        if welcome.token:
            shelf.save_token(url, welcome.token, welcome.operator)

    lines: asyncio.Queue[str | None] = asyncio.Queue()
    plain = Plain(url, credentials, words, sys.stdout, keep)
    reader = Reader(lines, plain.end, partial(plain.say, words("plain.cut")))
    try:
        await plain.run(lines)
    finally:
        reader.close()
    return plain
