"""Opening and reading: threads, older messages, the card, search, versions, and why."""

from __future__ import annotations

from functools import partial

from rich.text import Text

from console.decisions import decision_lines
from console.link import new_id
from console.model import Thread
from console.screens.dialogs import ShowScreen
from console.screens.help import help_lines
from console.screens.holding import Holding
from console.screens.search import Found, SearchScreen
from console.shell import shell, work
from console.words import hour
from crm.kernel.records import Message
from crm.kernel.text import clean
from router.wire import protocol as wire

PAGE = 50
RENEW_CARD = 1.5
"""Seconds after which a change of the customer's sessions is looked up."""
JUMP_PAGE = 200
JUMP_PAGES = 60
"""Pages loaded at most to reach a found message: twelve thousand messages."""


class ReadingScreen(Holding):
    """What looks at the desk and changes nothing there, except that messages count as read."""

    def open_session(self, session: str, *, focus: bool = True) -> None:
        """Shows a session. With ``focus`` it is for writing there: see ``write_here``."""
        app = shell(self)
        view = app.picture.sessions.get(session)
        if view is None:
            return
        self.moves += 1
        if session != self.session:
            self._leave(self.session)
            self.session, self.writing = session, "reply"
            thread = app.picture.thread(session)
            self.thread.show(thread, view)
            self.reply.turn_to(session)
            self.note.turn_to(session)
            self.whisper.turn_to(session)
            self.sessions.put_open(session)
            self.sessions.put_cursor(session)
            self.card.put(session, None)
            if app.link is not None:
                app.link.watch = [session]
            self.load_thread()
            self.load_card(session)
        self.pane = "thread"
        self.lay_out()
        if focus:
            self.write_here()
        else:
            self.set_focus(self.thread)
        self.refresh_keys()

    def _leave(self, session: str) -> None:
        app = shell(self)
        self.save_drafts()
        if session and app.link is not None and app.link.online:
            work(self, partial(self.ask, wire.Leave(rid=0, session=session), wire.Done), group="leave")

    def load_thread(self) -> None:
        """Fetches the newest page of the open session and looks at it from now on."""
        work(self, partial(self._load_thread, self.session), group="open", exclusive=True)

    async def _load_thread(self, session: str) -> None:
        page = await self.ask(wire.Open(rid=0, session=session, limit=PAGE), wire.Page)
        if isinstance(page, wire.Page):
            app = shell(self)
            known = app.picture.sessions.get(session)
            if page.session is not None and (known is None or page.session.rev >= known.rev):
                app.picture.sessions[session] = page.session
            app.picture.put_page(session, page.messages, page.more)
            self.watch_over()
            self._repaint(session)

    def _repaint(self, session: str) -> None:
        if session == self.session:
            self.thread.view = self.view
            self.thread.sync()
            self.lay_out()
            self.mark_read()
            if self.thread.thread is not None and self.thread.max_scroll_y < 1:
                self.thread.want_older()

    def load_older(self, session: str) -> None:
        work(self, partial(self._load_older, session, PAGE), group="older", exclusive=True)

    async def _load_older(self, session: str, limit: int) -> bool:
        """One more page: of this session, then of the customer's earlier ones."""
        thread = shell(self).picture.thread(session)
        view = shell(self).picture.sessions.get(session)
        if thread.more:
            frame = wire.GetThread(rid=0, session=session, before_seq=thread.first_seq, limit=limit)
            page = await self.ask(frame, wire.Page)
            if isinstance(page, wire.Page):
                shell(self).picture.put_page(session, page.messages, page.more and bool(page.messages))
        elif thread.more_older and view is not None:
            page = await self._history(thread, view.customer, limit)
        else:
            return False
        if page is None:
            self.thread.ask_again()
            return False
        self._repaint(session)
        return True

    async def _history(self, thread: Thread, customer: str, limit: int) -> wire.Frame | None:
        first = thread.messages()[0] if thread.by_id else None
        frame = wire.GetHistory(
            rid=0,
            customer=customer,
            before_at=first.at if first else 0,
            before_id=first.id if first else "",
            limit=limit,
        )
        page = await self.ask(frame, wire.Page)
        if isinstance(page, wire.Page):
            thread.put_history(page.messages, page.more and bool(page.messages))
        return page

    def mark_read(self) -> None:
        """Tells the desk that everything loaded was on screen, once per newest message."""
        app, view = shell(self), self.view
        if view is None or not app.picture.is_mine(view) or not view.unread or not self.thread.at_bottom:
            return
        thread = app.picture.thread(view.id)
        if not self.app.app_focus or not thread.loaded or thread.last_seq <= self._read.get(view.id, 0):
            return
        self._read[view.id] = thread.last_seq
        self.command(wire.MarkRead(rid=0, id=new_id(), session=view.id, seq=thread.last_seq))

    # -------------------------------------------------------------- the card

    def load_card(self, session: str) -> None:
        view = shell(self).picture.sessions.get(session)
        if view is not None and view.customer:
            work(self, partial(self._load_card, session, view.customer), group="card", exclusive=True)

    async def _load_card(self, session: str, customer: str) -> None:
        card = await self.ask(wire.GetCard(rid=0, customer=customer), wire.Card)
        if isinstance(card, wire.Card) and session == self.session:
            self.card.put(session, card)

    def renew_card(self) -> None:
        """Asks for the card again a moment after something changed: once for a burst."""
        if self._card_timer is None:
            self._card_timer = self.set_timer(RENEW_CARD, self._renew_card)

    def _renew_card(self) -> None:
        self._card_timer = None
        self.load_card(self.session)

    # -------------------------------------------------------------- finding

    def do_search(self) -> None:
        view = self.target()
        if view is not None:
            self.app.push_screen(SearchScreen(self.ask, session=view.id), self._found)

    def do_search_all(self) -> None:
        self.app.push_screen(SearchScreen(self.ask), self._found)

    def _found(self, found: Found | None) -> None:
        if found is not None:
            self.set_focus(self.thread if self.session else None)
            work(self, partial(self._jump, found), group="jump", exclusive=True)

    async def _jump(self, found: Found) -> None:
        """Opens the session of a found message and loads back until the message is there."""
        if not await self.show(found.session):
            return
        moves, thread = self.moves, shell(self).picture.thread(found.session)
        if not thread.loaded:
            await self._load_thread(found.session)
        for _ in range(JUMP_PAGES):
            if found.message in thread.by_id or not thread.more:
                break
            if not await self._load_older(found.session, JUMP_PAGE):
                break
        if self.moves == moves and not self.thread.select(found.message):
            self.toast(shell(self).words("search.not_loaded"), "warning")

    async def show(self, session: str) -> bool:
        """Opens a session that need not be on our lists, to read it; not when the operator has gone
        somewhere else before the desk answered."""
        picture, moves = shell(self).picture, self.moves
        if session not in picture.sessions:
            page = await self.ask(wire.Open(rid=0, session=session, limit=PAGE), wire.Page)
            if not isinstance(page, wire.Page) or page.session is None:
                return False
            picture.thread(session)
            picture.sessions[session] = page.session
        if self.moves != moves or self.app.screen is not self:
            return False
        self.open_session(session, focus=False)
        return True

    # -------------------------------------------------------------- showing

    def do_versions(self) -> None:
        message = self.thread.selected_message()
        if message is not None:
            self.app.push_screen(ShowScreen(shell(self).words("versions.title"), self._versions(message)))

    def _versions(self, message: Message) -> Text:
        app = shell(self)
        text = Text()
        for version in message.versions:
            text.append(f"{hour(version.at, app.zone)}  ", "dim")
            if version.delivery == "failed":
                text.append(app.words("thread.edit_failed") + ": ", "bold")
            elif version.delivery == "unknown":
                text.append(app.words("thread.edit_unknown") + ": ", "bold")
            text.append(clean(version.text) + "\n\n", "dim")
        text.append(f"{hour(message.edited_at or message.at, app.zone)}  ", "dim")
        text.append(clean(message.text))
        if not message.versions:
            text.append("\n\n" + app.words("versions.none"), "dim")
        return text

    def do_why(self) -> None:
        view = self.target()
        if view is not None:
            work(self, partial(self._why, view.id, self.moves), group="why", exclusive=True)

    async def _why(self, session: str, moves: int) -> None:
        answer = await self.ask(wire.GetWhy(rid=0, session=session), wire.Why)
        if not isinstance(answer, wire.Why) or self.moves != moves or self.app.screen is not self:
            return  # he has gone on, and may be writing: nothing comes in front of that
        app = shell(self)
        text = Text()
        for decision in answer.decisions[-20:]:
            because, to, *facts = decision_lines(app.words, decision, app.zone)
            text.append(hour(decision.at, app.zone) + "  ", "dim")
            text.append(because, "bold")
            text.append(f"\n       {to}\n")
            text.append("".join(f"       {fact}\n" for fact in facts), "dim")
        if not answer.decisions:
            text.append(app.words("why.none"), "dim")
        self.app.push_screen(ShowScreen(app.words("why.title"), text))

    def do_help(self) -> None:
        words = shell(self).words
        lines = help_lines(words, self.app.theme_variables, self.app.size.width - 22)
        self.app.push_screen(ShowScreen(words("action.help"), lines))
