"""The console's picture of the desk: sessions, lines, colleagues, and the threads that are loaded.

Pure: it applies what the gateway sends (twice is harmless) and answers in which order things are
shown. Times are ms UTC; ``now`` is always given by the caller.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from crm.kernel.records import Message, MessageChange, apply_change, edits_told
from router.wire.protocol import (
    AlertView,
    Changes,
    Hint,
    LineView,
    OperatorView,
    SessionView,
    Snapshot,
    Welcome,
)

HELD = ("taken", "answered", "pending", "closing")
OPEN = (*HELD, "bot", "waiting", "offered")
EARLY_CHANGES = 500
"""Changes kept for messages that are not loaded; the page that brings them later is newer anyway."""
LOADED_THREADS = 30
HINT_LIVES = 6_000
"""ms after which somebody who said he is writing is taken to have stopped."""


@dataclass
class Touched:
    """What an update changed, so that only that is painted again."""

    lists: bool = False
    sessions: set[str] = field(default_factory=set)
    threads: set[str] = field(default_factory=set)
    alerts: list[AlertView] = field(default_factory=list)
    offered: list[SessionView] = field(default_factory=list)
    """Sessions newly offered to this operator."""
    wrote: list[Message] = field(default_factory=list)
    """New messages of customers in sessions this operator holds."""
    said: list[Message] = field(default_factory=list)
    """New messages of this operator that were not written here."""


@dataclass
class Echo:
    """A reply or note on its way to the desk: shown until its message comes back."""

    id: str
    session: str
    kind: str
    text: str
    at: int
    files: tuple[str, ...] = ()
    message: str = ""
    unknown: bool = False
    """Nobody can say any more what became of it."""


class Thread:
    """The loaded messages of one session, and of the same customer's earlier ones before it."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.older: list[Message] = []
        self.own: list[Message] = []
        self.by_id: dict[str, Message] = {}
        self.loaded = False
        self.more = True
        """There are older messages of this session in the store."""
        self.more_older = True
        """There are earlier sessions of this customer to load."""
        self.dirty: set[str] = set()
        """Messages that changed since they were last painted."""
        self.shape = 0
        """Counts every change but messages added at the end."""

    @property
    def first_seq(self) -> int:
        return self.own[0].seq if self.own else 0

    @property
    def last_seq(self) -> int:
        return self.own[-1].seq if self.own else 0

    def messages(self) -> list[Message]:
        return [*self.older, *self.own]

    def add(self, message: Message) -> bool:
        """A message as it was added; one that is known already keeps what changed since."""
        if message.id in self.by_id:
            return False
        self.by_id[message.id] = message
        if not self.own or message.seq > self.own[-1].seq:
            self.own.append(message)
        else:
            insort(self.own, message, key=lambda m: m.seq)
            self.shape += 1
        return True

    def put_page(self, messages: Iterable[Message], more: bool) -> None:
        """A page of this session. A page that does not touch what is loaded replaces it: showing
        a gap as if nothing were missing is worse than loading again."""
        page = sorted(messages, key=lambda m: m.seq)
        if page and self.own and page[0].seq > self.last_seq + 1:
            self.forget_own()
        reaches = not self.own or not page or page[0].seq <= self.first_seq
        for message in page:
            known = self.by_id.get(message.id)
            if known is None:
                self.add(message)
            else:
                take_edits(known, message)
                apply_change(known, difference(message))
                self.dirty.add(message.id)
        if reaches:
            self.more = more
        self.loaded = True

    def put_history(self, messages: Iterable[Message], more: bool) -> None:
        """Earlier messages of this customer, from other sessions."""
        for message in messages:
            if message.id not in self.by_id and message.session != self.session:
                self.by_id[message.id] = message
                self.older.append(message)
        self.older.sort(key=order_of)
        self.shape += 1
        self.more_older = more

    def forget_own(self) -> None:
        for message in self.own:
            del self.by_id[message.id]
        self.own.clear()
        self.shape += 1


def order_of(message: Message) -> tuple[int, int, int]:
    """Where a message stands among those of several sessions."""
    session = int(message.session) if message.session.isdecimal() else 0
    return message.at, session, message.seq


def take_edits(known: Message, stored: Message) -> None:
    """What the stored copy says, and has said, if it has heard more than ours."""
    if edits_told(stored) > edits_told(known):
        for name in ("text", "media", "versions", "edited_at", "edit", "edit_delivery", "edit_error"):
            setattr(known, name, getattr(stored, name))


def difference(message: Message) -> MessageChange:
    """What a stored copy of a message knows that ours may not; it may also be older than ours."""
    return MessageChange(
        at=message.at,
        chat=message.chat,
        id=message.id,
        set_external_id=message.external_id,
        deleted_at=message.deleted_at,
        delivery="" if message.delivery == "queued" else message.delivery,
        error=message.error,
        reactions=message.reactions,
    )


def _offer(view: SessionView) -> int:
    """Which offer it is: its end may move while somebody writes into it."""
    return view.offered_at or view.offer_until


class Mirror:
    """Everything this login sees."""

    def __init__(self) -> None:
        self.operator = ""
        self.role = "operator"
        self.desk = ""
        self.rights: dict[str, list[str]] = {}
        self.offset = 0
        """Server clock minus ours, ms."""
        self.sessions: dict[str, SessionView] = {}
        self.operators: dict[str, OperatorView] = {}
        self.lines: dict[str, LineView] = {}
        self.threads: OrderedDict[str, Thread] = OrderedDict()
        self.echoes: dict[str, Echo] = {}
        self.typing: dict[tuple[str, str], int] = {}
        self.looking: dict[str, set[str]] = {}
        self._early: OrderedDict[str, list[MessageChange]] = OrderedDict()

    # -------------------------------------------------------------- applying

    def welcome(self, frame: Welcome, now: int) -> None:
        self.operator, self.role, self.desk = frame.operator, frame.role, frame.desk
        self.rights = frame.rights
        self.offset = frame.now - now
        me = self.operators.setdefault(frame.operator, OperatorView(name=frame.operator, role=frame.role))
        me.duty = frame.duty

    def apply(self, frame: Snapshot | Changes | Hint, now: int) -> Touched:
        """Brings the picture up to date. ``now`` is the server's time."""
        touched = Touched()
        if isinstance(frame, Hint):
            self._hint(frame, now, touched)
        elif isinstance(frame, Snapshot):
            self._snapshot(frame, touched)
        else:
            self._changes(frame, touched)
        return touched

    def _snapshot(self, frame: Snapshot, touched: Touched) -> None:
        fresh = {view.id: view for view in frame.sessions}
        for view in frame.sessions:
            self._session(view, touched)
        for gone in [id for id in self.sessions if id not in fresh]:
            self._leave_lists(gone, touched)
        self.operators = {view.name: view for view in frame.operators}
        self.lines = {view.name: view for view in frame.lines}
        for thread in self.threads.values():
            thread.loaded = False
        touched.lists = True
        touched.threads.update(self.threads)

    def _changes(self, frame: Changes, touched: Touched) -> None:
        for view in frame.sessions:
            self._session(view, touched)
        for message in frame.messages:
            self._message(message, touched)
        for change in frame.changes:
            self._change(change, touched)
        for gone in frame.gone:
            self._leave_lists(gone, touched)
        for operator in frame.operators:
            self.operators[operator.name] = operator
            touched.lists = True
        for line in frame.lines:
            self.lines[line.name] = line
            touched.lists = True
        touched.alerts.extend(frame.alerts)

    def _session(self, view: SessionView, touched: Touched) -> None:
        known = self.sessions.get(view.id)
        if known is not None and known.rev > view.rev:
            return
        self.sessions[view.id] = view
        touched.lists = True
        touched.sessions.add(view.id)
        before = known is not None and self.is_offered(known) and _offer(known) == _offer(view)
        if self.is_offered(view) and not before:
            touched.offered.append(view)

    def _leave_lists(self, id: str, touched: Touched) -> None:
        """A session that is not ours to list any more. One that is loaded keeps its last state, so
        that who reads it sees it end instead of vanish."""
        view = self.sessions.get(id)
        if view is None:
            return
        if id in self.threads and view.status in OPEN:
            self.sessions[id] = msgspec.structs.replace(view, status="", holder="", seen_by=[], guests=[])
        elif id not in self.threads:
            del self.sessions[id]
        touched.lists = True
        touched.sessions.add(id)

    def _message(self, message: Message, touched: Touched) -> None:
        view = self.sessions.get(message.session)
        mine = view is not None and view.holder == self.operator
        thread = self.threads.get(message.session)
        new = thread.add(message) if thread is not None else True
        if thread is not None and new:
            self._catch_up(message)
            touched.threads.add(message.session)
        if new and message.author == self.operator and not self._is_echo(message):
            touched.said.append(message)
        for echo in [e for e in self.echoes.values() if e.message == message.id]:
            del self.echoes[echo.id]
        self.typing.pop((message.session, "" if message.direction == "in" else message.author), None)
        if new and mine and message.direction == "in":
            touched.wrote.append(message)

    def _is_echo(self, message: Message) -> bool:
        """Whether it is on its way from here; its id is known only once the desk has answered."""
        known = [e for e in self.echoes.values() if e.session == message.session]
        return any(e.message == message.id or (not e.message and e.text == message.text) for e in known)

    def _change(self, change: MessageChange, touched: Touched) -> None:
        found = False
        for thread in self.threads.values():
            for message in self._named(thread, change):
                found = True
                apply_change(message, change)
                thread.dirty.add(message.id)
                touched.threads.add(thread.session)
        if not found and not change.up_to:
            key = change.id or f"{change.chat}\0{change.external_id}"
            self._early.setdefault(key, []).append(change)
            self._early.move_to_end(key)
            while len(self._early) > EARLY_CHANGES:
                self._early.popitem(last=False)

    def _named(self, thread: Thread, change: MessageChange) -> list[Message]:
        """The loaded messages a change speaks of: one, or all up to it for a read mark."""
        if change.id and not change.up_to:
            found = thread.by_id.get(change.id)
            return [found] if found is not None else []
        if change.session and change.session != thread.session and not thread.older:
            return []
        named = [m for m in thread.by_id.values() if is_named(m, change)]
        if not change.up_to or not named:
            return named
        last = max(order_of(m) for m in named)
        return [
            m
            for m in thread.by_id.values()
            if m.chat == change.chat and m.direction == "out" and order_of(m) <= last
            and m.delivery not in ("failed", "unknown")
        ]  # fmt: skip

    def _catch_up(self, message: Message) -> None:
        """Applies changes that came before their message."""
        for key in (message.id, *(f"{message.chat}\0{part}" for part in message.external_id.split())):
            for change in self._early.pop(key, ()):
                apply_change(message, change)

    def _hint(self, frame: Hint, now: int, touched: Touched) -> None:
        if frame.kind == "looking":
            people = self.looking.setdefault(frame.session, set())
            people.add(frame.who) if frame.on else people.discard(frame.who)
        elif frame.on:
            self.typing[frame.session, frame.who] = now + HINT_LIVES
        else:
            self.typing.pop((frame.session, frame.who), None)
        touched.sessions.add(frame.session)

    # -------------------------------------------------------------- threads

    def thread(self, session: str) -> Thread:
        """The thread of a session; only the newest few stay loaded."""
        thread = self.threads.setdefault(session, Thread(session))
        self.threads.move_to_end(session)
        while len(self.threads) > LOADED_THREADS:
            gone, _ = self.threads.popitem(last=False)
            if self.sessions.get(gone) is not None and self.sessions[gone].status not in OPEN:
                del self.sessions[gone]
        return thread

    def put_page(self, session: str, messages: list[Message], more: bool) -> None:
        thread = self.thread(session)
        thread.put_page(messages, more)
        for message in messages:
            self._catch_up(thread.by_id[message.id])

    def echoes_of(self, session: str) -> list[Echo]:
        return [echo for echo in self.echoes.values() if echo.session == session]

    def writers(self, session: str, now: int) -> list[str]:
        """Who is writing in a session; an empty name is the customer."""
        self.typing = {key: until for key, until in self.typing.items() if until > now}
        return [who for (where, who) in self.typing if where == session and who != self.operator]

    # -------------------------------------------------------------- lists

    @property
    def me(self) -> OperatorView:
        return self.operators.get(self.operator) or OperatorView(name=self.operator)

    def is_mine(self, view: SessionView) -> bool:
        return view.status in HELD and view.holder == self.operator

    def is_offered(self, view: SessionView) -> bool:
        return view.status == "offered" and (view.holder == self.operator or self.operator in view.seen_by)

    def mine(self) -> list[SessionView]:
        """Those in which a customer waits first, the longest waiting on top; then the newest."""
        held = [view for view in self.sessions.values() if self.is_mine(view)]
        return sorted(held, key=lambda v: (v.waiting_since == 0, v.waiting_since or -v.last_at, int(v.id)))

    def offered(self) -> list[SessionView]:
        found = [view for view in self.sessions.values() if self.is_offered(view)]
        return sorted(found, key=lambda v: (v.offer_until, int(v.id)))

    def joined(self) -> list[SessionView]:
        found = [v for v in self.sessions.values() if self.operator in v.guests and v.status in OPEN]
        return sorted((v for v in found if not self.is_mine(v)), key=lambda v: (-v.last_at, int(v.id)))

    def waiting(self) -> dict[str, list[SessionView]]:
        """Line -> its waiting sessions in the order in which they will be given."""
        result: dict[str, list[SessionView]] = {}
        for view in self.sessions.values():
            if view.status == "waiting":
                result.setdefault(view.line, []).append(view)
        for views in result.values():
            views.sort(key=lambda v: (-v.priority, v.arrival, int(v.id)))
        return dict(sorted(result.items()))

    def my_lines(self) -> list[LineView]:
        named = [v for v in self.lines.values() if self.operator in v.members or v.name in self.me.lines]
        return sorted(named or self.lines.values(), key=lambda v: v.name)

    def may(self, line: str) -> frozenset[str]:
        """The rights of this login in a line."""
        return frozenset(right for right, lines in self.rights.items() if line in lines)

    # -------------------------------------------------------------- promises

    def promise(self, view: SessionView) -> int:
        """When this operator owes something there: the end of an offer, or the customer's first
        unanswered word plus the line's time to answer; 0 = nothing is owed."""
        if self.is_offered(view):
            return view.offer_until
        if not view.waiting_since:
            return 0
        line = self.lines.get(view.line)
        return view.waiting_since + (line.answer_within if line is not None else 0)

    def owes(self) -> bool:
        """Whether ``next_up`` has an answer."""
        return any(self.promise(v) for v in self.sessions.values() if self.is_mine(v) or self.is_offered(v))

    def next_up(self, but: str = "") -> SessionView | None:
        """The session of this operator whose promise runs out first, leaving one out."""
        owed = [v for v in [*self.offered(), *self.mine()] if v.id != but and self.promise(v)]
        return min(owed, key=lambda v: (self.promise(v), int(v.id)), default=None)

    def backlog(self, now: int) -> tuple[int, int, int]:
        """Waiting sessions of my lines, ms the oldest has waited, and how many are late."""
        lines = self.my_lines()
        waiting = sum(line.waiting for line in lines)
        oldest = min((line.oldest for line in lines if line.waiting and line.oldest), default=now)
        late = sum(
            1 for v in self.sessions.values()
            if v.waiting_since and (v.status == "waiting" or self.is_mine(v)) and self.promise(v) < now
        )  # fmt: skip
        return waiting, max(0, now - oldest), late


def is_named(message: Message, change: MessageChange) -> bool:
    if change.id:
        return message.id == change.id
    return message.chat == change.chat and change.external_id in message.external_id.split()
