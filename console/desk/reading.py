"""Opening and reading: threads, older messages, the card, search, versions, and why."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rich.text import Text
from textual.timer import Timer

from console.desk.part import Part
from console.link import new_id
from console.model import Thread, Touched
from console.screens.dialogs import ShowScreen
from console.screens.help import help_lines
from console.screens.search import Found, SearchScreen
from console.shell import shell, work
from console.text.decisions import decision_lines
from console.text.words import hour
from crm.kernel.records import Message
from crm.kernel.text import clean
from router.wire import protocol as wire

if TYPE_CHECKING:
    from console.desk.screen import MainScreen

PAGE = 50
RENEW_CARD = 1.5
"""Seconds after which a change of the customer's sessions is looked up."""
JUMP_PAGE = 200
JUMP_PAGES = 60
"""Pages loaded at most to reach a found message: twelve thousand messages."""


class Reading(Part):
    """What looks at the desk and changes nothing there, except that messages count as read."""

    def __init__(self, desk: MainScreen) -> None:
        super().__init__(desk)
        self._read: dict[str, int] = {}
        """Session -> the newest message that the desk was told was read."""
        self._card_timer: Timer | None = None
        self._statuses: dict[str, str] = {}
        """Session -> its status when the card was asked for last."""

    def open_session(self, session: str, *, focus: bool = True) -> None:
        """Shows a session. With ``focus`` it is for writing there: see ``write_here``."""
        app = shell(self.desk)
        view = app.picture.sessions.get(session)
        if view is None:
            return
        self.desk.keeper.moves += 1
        if session != self.desk.session:
            self._leave(self.desk.session)
            self.desk.session, self.desk.writing = session, "reply"
            thread = app.picture.thread(session)
            self.desk.thread.show(thread, view)
            self.desk.reply.turn_to(session)
            self.desk.note.turn_to(session)
            self.desk.whisper.turn_to(session)
            self.desk.sessions.put_open(session)
            self.desk.sessions.put_cursor(session)
            self.desk.card.put(session, None)
            if app.link is not None:
                app.link.watch = [session]
            self.load_thread()
            self.load_card(session)
        self.desk.places.pane = "thread"
        self.desk.places.lay_out()
        if focus:
            self.desk.keeper.write_here()
        else:
            self.desk.set_focus(self.desk.thread)
        self.desk.verbs.refresh_keys()

    def _leave(self, session: str) -> None:
        app = shell(self.desk)
        self.desk.save_drafts()
        if session and app.link is not None and app.link.online:
            work(
                self.desk,
                partial(self.desk.errands.ask, wire.Leave(rid=0, session=session), wire.Done),
                group="leave",
            )

    def load_thread(self) -> None:
        """Fetches the newest page of the open session and looks at it from now on."""
        work(self.desk, partial(self._load_thread, self.desk.session), group="open", exclusive=True)

    async def _load_thread(self, session: str) -> None:
        page = await self.desk.errands.ask(wire.Open(rid=0, session=session, limit=PAGE), wire.Page)
        if isinstance(page, wire.Page):
            app = shell(self.desk)
            known = app.picture.sessions.get(session)
            if page.session is not None and (known is None or page.session.rev >= known.rev):
                app.picture.sessions[session] = page.session
            app.picture.put_page(session, page.messages, page.more)
            self.desk.keeper.watch_over()
            self._repaint(session)

    def _repaint(self, session: str) -> None:
        if session == self.desk.session:
            self.desk.thread.view = self.desk.view
            self.desk.thread.sync()
            self.desk.places.lay_out()
            self.mark_read()
            if self.desk.thread.thread is not None and self.desk.thread.max_scroll_y < 1:
                self.desk.thread.want_older()

    def load_older(self, session: str) -> None:
        work(self.desk, partial(self._load_older, session, PAGE), group="older", exclusive=True)

    async def _load_older(self, session: str, limit: int) -> bool:
        """One more page: of this session, then of the customer's earlier ones."""
        thread = shell(self.desk).picture.thread(session)
        view = shell(self.desk).picture.sessions.get(session)
        if thread.more:
            frame = wire.GetThread(rid=0, session=session, before_seq=thread.first_seq, limit=limit)
            page = await self.desk.errands.ask(frame, wire.Page)
            if isinstance(page, wire.Page):
                shell(self.desk).picture.put_page(session, page.messages, page.more and bool(page.messages))
        elif thread.more_older and view is not None:
            page = await self._history(thread, view.customer, limit)
        else:
            return False
        if page is None:
            self.desk.thread.ask_again()
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
        page = await self.desk.errands.ask(frame, wire.Page)
        if isinstance(page, wire.Page):
            thread.put_history(page.messages, page.more and bool(page.messages))
        return page

    def mark_read(self) -> None:
        """Tells the desk that everything loaded was on screen, once per newest message."""
        app, view = shell(self.desk), self.desk.view
        if view is None or not app.picture.is_mine(view) or not view.unread or not self.desk.thread.at_bottom:
            return
        thread = app.picture.thread(view.id)
        if not self.desk.app.app_focus or not thread.loaded or thread.last_seq <= self._read.get(view.id, 0):
            return
        self._read[view.id] = thread.last_seq
        self.desk.errands.command(wire.MarkRead(rid=0, id=new_id(), session=view.id, seq=thread.last_seq))

    # -------------------------------------------------------------- the card

    def load_card(self, session: str) -> None:
        view = shell(self.desk).picture.sessions.get(session)
        if view is not None and view.customer:
            work(self.desk, partial(self._load_card, session, view.customer), group="card", exclusive=True)

    async def _load_card(self, session: str, customer: str) -> None:
        card = await self.desk.errands.ask(wire.GetCard(rid=0, customer=customer), wire.Card)
        if isinstance(card, wire.Card) and session == self.desk.session:
            self.desk.card.put(session, card)

    def touched_card(self, what: Touched) -> None:
        """The card follows the picture at once; what only the desk knows is asked for later."""
        sessions, view = shell(self.desk).picture.sessions, self.desk.view
        if view is None or not what.sessions:
            return
        self.desk.card.paint()
        touched = (sessions.get(id) for id in what.sessions)
        now = {v.id: v.status for v in touched if v is not None and v.customer == view.customer}
        if not now.items() <= self._statuses.items():
            self._statuses |= now
            self.renew_card()

    def renew_card(self) -> None:
        """Asks for the card again a moment after something changed: once for a burst."""
        if self._card_timer is None:
            self._card_timer = self.desk.set_timer(RENEW_CARD, self._renew_card)

    def _renew_card(self) -> None:
        self._card_timer = None
        self.load_card(self.desk.session)

    # -------------------------------------------------------------- finding

    def do_search(self) -> None:
        view = self.desk.target()
        if view is not None:
            self.desk.app.push_screen(SearchScreen(self.desk.errands.ask, session=view.id), self._found)

    def do_search_all(self) -> None:
        self.desk.app.push_screen(SearchScreen(self.desk.errands.ask), self._found)

    def _found(self, found: Found | None) -> None:
        if found is not None:
            self.desk.set_focus(self.desk.thread if self.desk.session else None)
            work(self.desk, partial(self._jump, found), group="jump", exclusive=True)

    async def _jump(self, found: Found) -> None:
        """Opens the session of a found message and loads back until the message is there."""
        if not await self.show(found.session):
            return
        moves, thread = self.desk.keeper.moves, shell(self.desk).picture.thread(found.session)
        if not thread.loaded:
            await self._load_thread(found.session)
        for _ in range(JUMP_PAGES):
            if found.message in thread.by_id or not thread.more:
                break
            if not await self._load_older(found.session, JUMP_PAGE):
                break
        if self.desk.keeper.moves == moves and not self.desk.thread.select(found.message):
            self.desk.toast(shell(self.desk).words("search.not_loaded"), "warning")

    async def show(self, session: str) -> bool:
        """Opens a session that need not be on our lists, to read it; not when the operator has gone
        somewhere else before the desk answered."""
        picture, moves = shell(self.desk).picture, self.desk.keeper.moves
        if session not in picture.sessions:
            page = await self.desk.errands.ask(wire.Open(rid=0, session=session, limit=PAGE), wire.Page)
            if not isinstance(page, wire.Page) or page.session is None:
                return False
            picture.thread(session)
            picture.sessions[session] = page.session
        if self.desk.keeper.moves != moves or self.desk.app.screen is not self.desk:
            return False
        self.open_session(session, focus=False)
        return True

    # -------------------------------------------------------------- showing

    def do_versions(self) -> None:
        message = self.desk.thread.selected_message()
        if message is not None:
            self.desk.app.push_screen(
                ShowScreen(shell(self.desk).words("versions.title"), self._versions(message))
            )

    def _versions(self, message: Message) -> Text:
        app = shell(self.desk)
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
        view = self.desk.target()
        if view is not None:
            work(self.desk, partial(self._why, view.id, self.desk.keeper.moves), group="why", exclusive=True)

    async def _why(self, session: str, moves: int) -> None:
        answer = await self.desk.errands.ask(wire.GetWhy(rid=0, session=session), wire.Why)
        if (
            not isinstance(answer, wire.Why)
            or self.desk.keeper.moves != moves
            or self.desk.app.screen is not self.desk
        ):
            return  # he has gone on, and may be writing: nothing comes in front of that
        app = shell(self.desk)
        text = Text()
        for decision in answer.decisions[-20:]:
            because, to, *facts = decision_lines(app.words, decision, app.zone)
            text.append(hour(decision.at, app.zone) + "  ", "dim")
            text.append(because, "bold")
            text.append(f"\n       {to}\n")
            text.append("".join(f"       {fact}\n" for fact in facts), "dim")
        if not answer.decisions:
            text.append(app.words("why.none"), "dim")
        self.desk.app.push_screen(ShowScreen(app.words("why.title"), text))

    def do_help(self) -> None:
        words = shell(self.desk).words
        lines = partial(help_lines, words, self.desk.app.theme_variables)
        self.desk.app.push_screen(ShowScreen(words("action.help"), lines))
