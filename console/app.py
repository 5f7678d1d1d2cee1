"""The console's composition: settings, texts, picture and link around the screens, and its entries."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.message import Message as Posted
from textual.widgets import Input, TextArea

from console.actions import ACTIONS, BY_ID, applies, is_about_one, shown_key
from console.desk.screen import MainScreen
from console.link import (
    Arrived,
    Beat,
    Connected,
    Credentials,
    Disconnected,
    Link,
    LinkEvent,
    TurnedAway,
    UnsentChanged,
    normal_url,
)
from console.model import Mirror, Touched
from console.notify import desktop
from console.screens.dialogs import Choice, Modal, PickScreen, ShowScreen
from console.screens.login import LoginScreen
from console.settings import Shelf
from console.shell import Shell, work
from console.terminal.decoder import acting
from console.terminal.driver import TerminalGone, ours
from console.text.words import LANGUAGES, Words
from console.themes import NAMES, THEMES
from crm.kernel.errors import NavbatError
from crm.kernel.text import one_line


@dataclass
class Heard(Posted):
    """Something happened on the link."""

    event: LinkEvent


class Console(Shell):
    """The operator's console."""

    TITLE = "navbat"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    ToastRack { dock: top; align: right top; margin: 1 1 0 0; }
    Toast { width: 50; padding: 0 1; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+q", "quit", show=False, priority=True)]

    def __init__(
        self,
        url: str = "",
        credentials: Credentials | None = None,
        *,
        shelf: Shelf | None = None,
        zone: tzinfo | None = None,
        clock: Callable[[], int] | None = None,
        greet: bool = False,
    ) -> None:
        super().__init__()
        self.shelf = shelf or Shelf()
        self.settings = self.shelf.load()
        self.words = Words(self.settings.language)
        self.picture = Mirror()
        self.drafts = self.shelf.drafts("", "")
        self._drafts_of = ("", "")
        self.zone = zone
        last = self.shelf.logins.last()
        self.url = url or last.url or self.settings.server
        if last.url == self.url:
            self.settings.name = last.name or self.settings.name
        self._credentials = credentials
        self._clock = clock
        self._greet = greet
        """Shows what a newcomer needs as soon as the desk is there."""
        self._leaving = False
        self.desk: MainScreen | None = None
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.settings.theme if self.settings.theme in NAMES else NAMES[0]

    def get_driver_class(self) -> type[Driver]:
        return ours(super().get_driver_class())

    def clock(self) -> int:
        return self._clock() if self._clock is not None else super().clock()

    # -------------------------------------------------------------- keys

    async def on_event(self, event: events.Event) -> None:
        """Before Textual gives a key to a widget's queue: what is typed into the login is in its place
        before the next key is looked at, and keys that act are those of a Latin layout."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            if isinstance(self.screen, LoginScreen) and self.screen.take(event):
                return
            if isinstance(self.screen, Modal) and self.screen.keep(event):
                return
            event = self._aimed(event)
        await super().on_event(event)

    def _aimed(self, event: events.Key | events.Paste) -> events.Key | events.Paste:
        """A key as it acts now. It remembers what was typed, should it turn out to be text after all, and at
        what screen."""
        acts = event
        if isinstance(event, events.Key) and not isinstance(self.focused, Input | TextArea):
            acts = acting(event, lambda key: key in self.screen.active_bindings)
        acts.typed, acts.aim = event, self.screen  # type: ignore[union-attr]
        return acts

    async def _late(self, event: events.Key | events.Paste) -> bool:
        return isinstance(self.screen, Modal) and await self.screen.claims(event)

    async def on_key(self, event: events.Key) -> None:
        """A key that nothing has used is looked up among the bindings, unless it was typed ahead."""
        if await self._late(event) or (self._at_desk and await self._at_desk.typed_ahead(event)):
            event.prevent_default()

    async def on_paste(self, event: events.Paste) -> None:
        """A paste that nothing has used."""
        if not await self._late(event) and self._at_desk:
            await self._at_desk.pasted_elsewhere(event)

    @property
    def _at_desk(self) -> MainScreen | None:
        """The desk, when nothing is in front of it."""
        return self.desk if self.desk is not None and self.screen is self.desk else None

    # -------------------------------------------------------------- coming and going

    def on_mount(self) -> None:
        token = self.shelf.token(self.url) if self.url and self._credentials is None else ""
        credentials = self._credentials or (Credentials(token=token) if token else None)
        if self.url and credentials is not None:
            self._connect(self.url, credentials)
            self._enter()
        else:
            self.push_screen(LoginScreen(self.url))

    def _connect(self, url: str, credentials: Credentials) -> None:
        self.link = Link(url, credentials, self._on_link)
        work(self, self.link.run, group="link", exclusive=True)

    def _on_link(self, event: LinkEvent) -> None:
        self.post_message(Heard(event))

    def _enter(self) -> None:
        """The desk takes the screen; its lists fill when the snapshot comes."""
        if self.desk is None:
            self.desk = MainScreen()
            if isinstance(self.screen, LoginScreen):
                self.switch_screen(self.desk)
            else:
                self.push_screen(self.desk)

    def _to_login(self, trouble: str) -> None:
        if self.desk is not None:
            while len(self.screen_stack) > 2:
                self.pop_screen()
            self.desk = None
            self.picture = Mirror()
            self.switch_screen(LoginScreen(self.url, trouble))
        elif isinstance(self.screen, LoginScreen):
            self.screen.say(trouble)

    @on(LoginScreen.Submitted)
    def _sign_in(self, event: LoginScreen.Submitted) -> None:
        try:
            url = normal_url(event.server)
        except NavbatError:
            self._to_login(self.words("login.bad_server"))
            return
        self.url = url
        self._connect(url, Credentials(name=event.name, password=event.password))

    def do_sign_out(self) -> None:
        work(self, self._sign_out, group="quit", exclusive=True)

    async def _sign_out(self) -> None:
        """Forgets the saved token and asks again who sits here."""
        await self._wind_up()
        self.workers.cancel_group(self, "link")
        self.shelf.save_token(self.url, "")
        self.link, self.latency = None, -1.0
        self.picture = Mirror()
        self._to_login("")

    def do_quit(self) -> None:
        work(self, self.action_quit, group="quit")

    async def action_quit(self) -> None:
        await self._leave(0)

    async def _leave(self, status: int) -> None:
        await self._wind_up()
        self.exit(status)

    async def _wind_up(self) -> None:
        if self.desk is not None:
            self.desk.undo.flush()
        self.drafts.save()
        await self._last_words()

    @on(TerminalGone)
    def _terminal_gone(self) -> None:
        """Nobody is there: saves and ends, and so leaves duty."""
        work(self, partial(self._leave, 1), group="quit", exclusive=True)

    async def _last_words(self) -> None:
        """A close or transfer that could still be undone leaves with us; two seconds at most."""
        if self.link is not None and self.link.unsent and self.link.online:
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await self.link.settled()

    # -------------------------------------------------------------- the link

    @on(Heard)
    def _heard(self, heard: Heard) -> None:
        match heard.event:
            case Connected():
                self._connected(heard.event)
            case Disconnected():
                self._disconnected(heard.event)
            case TurnedAway(bye=bye):
                self.shelf.save_token(self.url, "")
                self.latency = -1.0
                clean = {key: one_line(value, 100) for key, value in bye.params.items()}
                why = self.words.coded("bye", one_line(bye.code, 60), clean)
                if self.desk is not None and self.desk.ready:
                    self.desk.keeper.end(why, lambda: self._to_login(why))
                else:
                    self._to_login(why)
            case Arrived():
                self._arrived()
            case Beat(latency=latency, how=how):
                self.latency, self.how = latency, how
                self._refresh_bar()
            case UnsentChanged(count=count):
                self.unsent = count
                self._refresh_bar()

    def _connected(self, event: Connected) -> None:
        welcome = event.welcome
        self.picture.welcome(welcome, self.clock())
        self.latency, self.retry_at = 0.0, 0
        self.settings.server, self.settings.name = self.url, welcome.operator
        self.shelf.save(self.settings)
        if welcome.token:
            self.shelf.save_token(self.url, welcome.token, welcome.operator)
        if (self.url, welcome.operator) != self._drafts_of:
            self._drafts_of = (self.url, welcome.operator)
            self.drafts = self.shelf.drafts(*self._drafts_of)
            if self.desk is not None and self.desk.ready:
                self.desk.saying.resume()
        self._enter()
        if self._greet:
            self._greet = False
            self.do_hint()
        self._refresh_bar()

    def _disconnected(self, event: Disconnected) -> None:
        self.latency = -1.0
        self.retry_at = self.clock() + int(event.retry_in * 1000)
        self._refresh_bar()
        if self.desk is None and isinstance(self.screen, LoginScreen):
            self.screen.say(self.words("login.unreachable", reason=one_line(event.reason, 60)))

    def _arrived(self) -> None:
        """Applies everything that has come as one update: a burst is painted once."""
        link = self.link
        if link is None:
            return
        every = Touched()
        for frame in link.drain():
            touched = self.picture.apply(frame, self.now())
            every.lists |= touched.lists
            every.sessions |= touched.sessions
            every.threads |= touched.threads
            every.alerts += touched.alerts
            every.offered += touched.offered
            every.wrote += touched.wrote
            every.said += touched.said
        if self.desk is not None and self.desk.ready:
            self.desk.touched(every)
        self._announce(every)

    def _announce(self, touched: Touched) -> None:
        for alert in touched.alerts[-3:]:
            params = {
                **alert.params,
                "line": alert.line,
                "operator": alert.operator,
                "session": alert.session,
            }
            clean = {key: one_line(value, 60) for key, value in params.items()}
            text = self.words.coded("alert", one_line(alert.name, 60), clean)
            self.notify(text, severity="warning", markup=False)
        if not touched.offered and not (touched.wrote and not self.app_focus):
            return
        if touched.offered:
            view = touched.offered[0]
            text = self.words("notify.offered", name=one_line(view.name or view.chat, 40))
        else:
            known = self.picture.sessions.get(touched.wrote[-1].session)
            text = self.words("notify.wrote", name=one_line(known.name if known else "", 40))
        if self.settings.sound:
            self.bell()
        if not self.app_focus:
            self.write_terminal(desktop("navbat", text))

    def _refresh_bar(self) -> None:
        if self.desk is not None and self.desk.ready:
            self.desk.bar.refresh()

    # -------------------------------------------------------------- settings

    def _changed(self) -> None:
        self.shelf.save(self.settings)
        if self.desk is not None:
            self.desk.places.lay_out()
            self.desk.sync_all()

    @on(LoginScreen.LanguageWanted)
    def do_language(self) -> None:
        codes = list(LANGUAGES)
        self.settings.language = codes[(codes.index(self.words.language) + 1) % len(codes)]
        self.words.use(self.settings.language)
        self._changed()
        if isinstance(self.screen, LoginScreen):
            self.screen.translate()
        self.notify(LANGUAGES[self.words.language], markup=False, timeout=2)

    def do_theme(self) -> None:
        self.settings.theme = NAMES[(NAMES.index(self.theme) + 1) % len(NAMES)]
        self.theme = self.settings.theme
        self._changed()
        self.notify(self.words(f"theme.{self.theme}"), markup=False, timeout=2)

    def do_sound(self) -> None:
        self.settings.sound = not self.settings.sound
        self._changed()
        self.notify(self.words("sound.on" if self.settings.sound else "sound.off"), markup=False, timeout=3)

    def do_enter_sends(self) -> None:
        self.settings.enter_sends = not self.settings.enter_sends
        self._changed()
        key = "enter.sends" if self.settings.enter_sends else "enter.breaks"
        self.notify(self.words(key), markup=False, timeout=3)

    def do_hide_list(self) -> None:
        self.settings.show_list = not self.settings.show_list
        self._changed()
        if self.desk is not None and self.settings.show_list and self.desk.view is None:
            self.desk.sessions.focus()  # hiding it has put the focus where nothing is

    def do_hide_card(self) -> None:
        self.settings.show_card = not self.settings.show_card
        self._changed()

    def start_hint(self) -> str:
        """The keys that a newcomer needs first."""
        return self.words("hint.start")

    def do_hint(self) -> None:
        self.notify(self.start_hint(), markup=False, timeout=20)

    def action_ask_quit(self) -> None:
        """Asks first: the key may have been meant for something else. Pressed again it is the answer."""
        if self._leaving:
            self.do_quit()
            return
        self._leaving = True
        choices = [Choice("no", self.words("quit.no")), Choice("yes", self.words("quit.yes"))]

        def answered(answer: str | None) -> None:
            self._leaving = False
            if answer == "yes":
                self.do_quit()

        self.push_screen(PickScreen(self.words("quit.ask"), choices, typing=False), answered)

    def do_state(self) -> None:
        """How the desk and the connection do, in full."""
        told = self.how.told_in_full(self.words, self.latency, self.unsent)
        self.push_screen(ShowScreen(self.words("action.state"), Text("\n".join(told))))

    def do_reconnect(self) -> None:
        if self.link is not None:
            self.link.retry_now()

    def do_palette(self) -> None:
        """Every action that applies now, by name."""
        desk = self.desk
        if desk is None or self.screen is not desk:
            return
        situation = desk.verbs.situation()
        choices = [
            Choice(
                action.id,
                self.words(f"action.{action.id}"),
                " ".join(map(shown_key, action.keys)) + "  " + self.words(f"help.{action.id}"),
            )
            for action in ACTIONS
            if applies(action, situation) and action.id != "palette"
        ]

        before = situation.session.id if situation.session is not None else ""

        def chosen(id: str | None) -> None:
            now = desk.target()
            if id is None:
                return
            if (now.id if now is not None else "") != before and is_about_one(BY_ID[id], situation):
                desk.keeper.stop(self.words("cannot.list"))
            else:
                desk.verbs.run(id)

        self.push_screen(PickScreen(self.words("action.palette"), choices), chosen)


def collect_rarely() -> None:
    """A collection over ten thousand loaded messages stops the screen for 100 ms; little here is cyclic, so
    it is done rarely. One over what is new takes half a millisecond for 5 000 objects; for 50 000, which a
    few dialogs make, it took 16, and a key had to wait for it."""
    gc.set_threshold(5_000, 200, 1_000)


def unfit(words: Words) -> str:
    """Why the screen cannot be shown here: no terminal, or one whose encoding has no letters for it."""
    if "TEXTUAL_DRIVER" in os.environ:
        return ""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return words("terminal.none")
    encoding = sys.stderr.encoding or "ascii"
    if encoding.lower().replace("-", "") != "utf8":
        return words("terminal.encoding", encoding=encoding)
    return ""


def main(
    url: str | None = None,
    plain: bool = False,
    web: bool = False,
    token: str | None = None,
    name: str | None = None,
    password: str | None = None,
) -> int:
    """``navbat console``. Returns the exit status: 0 done, 1 refused, 2 wrong use, 3 no desk."""
    url = url or os.environ.get("NAVBAT_URL", "")
    token = token or os.environ.get("NAVBAT_TOKEN", "")
    credentials = None
    if token:
        credentials = Credentials(token=token)
    elif name and password:
        credentials = Credentials(name=name, password=password)
    if web:
        from console.web import serve

        return serve(url, token)
    try:
        url = normal_url(url) if url else ""
    except NavbatError as error:
        sys.stderr.write(f"{error} {error.hint}\n")
        return 2
    if plain:
        from console.plain import run_plain

        return run_plain(url, credentials)
    if trouble := unfit(Words(Shelf().load().language)):
        sys.stderr.write(trouble + "\n")
        return 2
    collect_rarely()
    return Console(url, credentials).run() or 0
