"""The worker: reads the log in batches, lets the Desk decide, commits. One is active for each desk, by
a lease; any number stand by. Whatever goes wrong, the next round starts from what was committed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import ChainMap, deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from crm.kernel.errors import LeaseLost, Refused, Unavailable
from crm.kernel.ports import Store
from crm.kernel.records import person_chat
from router.backoff import Backoff
from router.desk.again import tell_aside
from router.desk.desk import Desk, Known
from router.desk.events import Command, Event, FromChat, decode_event
from router.desk.floor import Outcome
from router.desk.state import Aside, Entry, Stray
from router.figures import RouterCounters
from router.history.recent import Recent, by_chat
from router.log.ahead import Ahead
from router.log.clock import Clock, ClockWarnings, steady_ms
from router.log.leading import Leader
from router.log.lease import Lease
from router.log.log import Log, id_key, now_ms
from router.log.quarantine import kind_of, reason_of
from router.log.writer import Writer
from router.suspects import Suspects
from router.taking_up import MANY, take_up, uncollected

logger = logging.getLogger(__name__)

BATCH = 512
WHO_TIMEOUT = 0.3
"""Seconds the store gets to say who is writing; routing goes on without it."""
WHO_PAUSE_MS = 3_000
"""A store that did not answer is not asked again for so long: no batch waits for it."""
LOG_AGE_MS = 3_600_000
JOURNAL_AGE_MS = 6 * 3_600_000
TRIM_EVERY_MS = 60_000
REPORT_EVERY_MS = 2_000
APART_MS = 10_000
"""Two writers' clocks may differ by so much without anything being moved along."""
LATE_MS = 5_000
"""So long an event may take from its edge's clock into the log, and is believed."""
PIECE = 500
"""Sessions of one journal entry: who reads it has a time limit."""


class _Batch(NamedTuple):
    """What of the log a commit carries: log ids, and how many events were applied or had been before."""

    ids: Sequence[str] = ()
    applied: int = 0
    duplicates: int = 0


class _Sent(NamedTuple):
    """A commit on its way, sent ``at`` the desk's time and at ``since`` by the counter of seconds."""

    task: asyncio.Task[None]
    outcome: Outcome
    batch: _Batch
    at: int
    since: float


class Worker:
    """``run`` ends only by cancellation: it waits for the ``lease``, then ``load`` and ``step`` again and
    again; then a standby takes over at once. ``lease_ttl`` in seconds; ``steady`` goes with the log's clock
    where that is not this machine's."""

    def __init__(
        self,
        log: Log,
        store: Store | None = None,
        *,
        lease_ttl: float = 3.0,
        steady: Callable[[], int] | None = None,
    ) -> None:
        self._log = log
        self._store = store
        self._leader = Leader(log, "router", ttl=lease_ttl, standing_by=self._report_idle)
        self.lease = self._leader.lease
        self._ttl = lease_ttl
        self.desk = Desk()
        self.cursor = "0"
        """Up to where the log has been committed."""
        self._read_to = "0"
        """Up to where it has been applied."""
        self._sent: deque[_Sent] = deque()
        """Commits on their way, and what is to be done when each has been carried out."""
        self._is_held = False
        self.applied = 0
        self.duplicates = 0
        self.figures = RouterCounters()
        self._steady = steady or steady_ms
        """For everything that is only waited for: no clock that is set stops it."""
        self._clock = Clock(self._wall, self._steady, lambda: steady is not None or log.now is now_ms)
        self._warnings = ClockWarnings(self._steady)
        self._written: tuple[int, int] | None = None
        self._moved = 0
        """By how much our clock was set since the desk was written."""
        self._trimmed = 0
        self._reported = 0
        self._ask_again = 0
        self._recent = Recent()
        self._suspects = Suspects()
        self._applying = ""
        """Log id of the event that the rules work on."""
        self._fired: list[tuple[str, str]] = []

    def _wall(self) -> int:
        return self._log.now()

    async def run(self) -> None:
        backoff = Backoff(0.1, 2.0)

        async def work(lease: Lease) -> None:
            backoff.reset()
            await self._write(lease)

        while True:
            try:
                await self._leader.run(work)
            except Unavailable as error:
                logger.warning("router waits: %s", error)
                await asyncio.sleep(backoff.next())

    async def _write(self, lease: Lease) -> None:
        writer = Writer(self._log, lease, self._steady)
        log = self._log.log_ahead()
        try:
            await writer.open()
            await self.load()
            while True:
                await self.step(writer, log)
        finally:
            await log.stop()
            await writer.close()
            self._sent.clear()
            self._let_renew()

    async def load(self) -> None:
        """Takes up what was last committed. Only the holder of the lease calls it."""
        cursor, fields, sessions, operators = await self._log.load()
        shift = await self._parted()
        now = self._clock.now()
        told = self.desk.aside_told if self.desk.aside_told <= now else 0
        # Only the first time: what has become garbage since then would be kept for ever, too.
        large = len(sessions) >= MANY and not self.desk.sessions
        with uncollected() if large else contextlib.nullcontext():
            self.desk, unreadable = take_up(fields, sessions, operators, now, shift)
        self.desk.aside_told = told
        if shift:
            self._warnings.was_set(shift)
        self.desk.failing = dict(self._suspects.timers)
        for item in unreadable:
            key = self._log.keys.operators if item.origin == "operator" else self._log.keys.sessions
            self.desk.outcome.unreadable.append((key, item.place))
            self.desk.outcome.aside.append(item)
        if "next_session" not in fields and self._store is not None:
            self.desk.next_session = await _first_free_session(self._store)
        self.cursor = self._read_to = cursor
        self._sent.clear()
        logger.info("router writes from %s with %d open sessions", cursor, len(sessions))

    async def _parted(self) -> int:
        """By how much the clock differs from that by which the desk was written last: ours was set, or
        another's was, as far as Redis' clock tells."""
        written = await self._log.written()
        if written != self._written:
            self._moved = 0
        # Until something is written the desk is as it was, however often it is taken up.
        self._written, self._moved = written, self._moved + self._clock.step()
        if self._moved or written is None:
            return self._moved
        ours, server = written
        # Redis' clock may have been set back itself: then nobody knows how much time has passed.
        passed = max(0, await self._log.server_ms() - server)
        parted = self._clock.real((self._clock.now() - ours) - passed)
        return parted if abs(parted) > APART_MS else 0

    async def step(self, writer: Writer, log: Ahead | None = None) -> None:
        """Waits for events or the next timer, applies, commits. ``log``: to read it ahead."""
        now = self._clock.now()
        due = self.desk.timers.next_due()
        # What a desk that was taken up anew has to say (its clock was set) is not kept back for news.
        longest = int(self._ttl * 500) if self.desk.outcome.is_empty else 0
        block = longest if due is None else max(0, min(due - now, longest))
        rows = await self._read(log, block)
        now = self._clock.now()
        if self._clock.has_stepped:
            # Before anything is written by it: what waits is moved along, what was read is read again.
            await self._settle()
            await self.load()
            return
        self._applying, self._fired = "", []
        try:
            if rows:
                await self._hold_lease()
                await self._apply(writer, rows, now)
            elif (due is not None and due <= now) or not self.desk.outcome.is_empty:
                await self._hold_lease()
                await writer.guard((), now)
                self.desk.advance(now)
                await self._commit(writer, now, [], _Batch())
            if log is None:
                await self._settle()
            self._let_renew()
        except (LeaseLost, Unavailable, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a rule raises: everything behind it goes on
            await self._settle()
            await writer.begin_anew()
            await self._start_over(error, [id for id, _ in rows])
            self._let_renew()
        steady = self._steady()
        if steady - self._reported > REPORT_EVERY_MS:
            self._reported = steady
            await self._report(active=True)
        if steady - self._trimmed > TRIM_EVERY_MS:
            self._trimmed = steady
            await self._log.trim(LOG_AGE_MS, JOURNAL_AGE_MS, self.cursor, await self._log.reader("projector"))

    async def _read(self, log: Ahead | None, block: int) -> Sequence[tuple[str, bytes]]:
        """What has come into the log, waiting up to ``block`` ms, and what has become of the commits that were
        on their way."""
        count = self._suspects.batch(self._read_to, BATCH)
        if log is None:
            return await self._log.read_log(self._read_to, count, block)
        rows = await log.read(self._read_to, count, block, [sent.task for sent in [*self._sent][:1]])
        while self._sent and self._sent[0].task.done():
            await self._settle(len(self._sent) - 1)
        return rows

    async def _hold_lease(self) -> None:
        """A commit watches the lease, and a renewal is a change of it: until none is on its way."""
        if not self._is_held:
            await self._leader.untouched.acquire()
            self._is_held = True

    def _let_renew(self) -> None:
        if self._is_held and not self._sent:
            self._leader.untouched.release()
            self._is_held = False

    async def _settle(self, most: int = 0) -> None:
        """Waits until so few commits are on their way, and does what is to be done after each. Raises what the
        first that failed raises; those after it fail, too."""
        while len(self._sent) > most:
            await self._sent[0].task
            self._carried_out(self._sent.popleft())

    def _carried_out(self, sent: _Sent) -> None:
        batch, outcome = sent.batch, sent.outcome
        self._leader.renewed()
        self._recent.note(outcome.acquainted, sent.at)
        self._recent.forget(outcome.erased)
        self.figures.committed(time.perf_counter() - sent.since)
        self.figures.told(outcome.told)
        for item in outcome.aside:
            logger.error("%s %s (%s) is set aside: %s", item.origin, item.place, item.kind, item.reason)
        self.cursor = batch.ids[-1] if batch.ids else self.cursor
        self.applied += batch.applied
        self.duplicates += batch.duplicates
        self._suspects.committed(batch.ids)

    async def _start_over(self, error: Exception, ids: Sequence[str]) -> None:
        """The desk as it was before this batch; who is to blame will be left out of it. What was changed in
        memory is thrown away: no rule has to be able to undo itself."""
        fired = self._fired or self.desk.outcome.fired
        self._suspects.blame(error, self._applying, ids, fired)
        logger.error("the rules raised, the batch is begun again: %s", reason_of(error.__cause__ or error))
        await self.load()

    async def _apply(self, writer: Writer, rows: Sequence[tuple[str, bytes]], now: int) -> None:
        events = [self._decode(id, data, now) for id, data in rows]
        ids = [event.event_id for event in events if event is not None and event.event_id]
        seen = await writer.guard(ids, now)
        self._date(rows, events, now, writer.server_ms)
        known = await self._who(events)
        fresh: list[str] = []
        applied = duplicates = 0
        for (id, data), event in zip(rows, events, strict=True):
            if event is None:
                continue
            if event.event_id and event.event_id in seen:
                duplicates += 1
                self.desk.repeated(event)
                continue
            if id in self._suspects.events:
                self._set_aside(id, data, now, self._suspects.events[id], event)
                continue
            if event.event_id:
                seen.add(event.event_id)
                fresh.append(event.event_id)
            self._applying = id
            self.desk.apply(event, self._known(event, known, now))
            if event.event_id in self.desk.outcome.refused:
                seen.discard(event.event_id)
            applied += 1
        self._applying = ""
        self.desk.advance(now)
        await self._commit(writer, now, fresh, _Batch([id for id, _ in rows], applied, duplicates))
        self._read_to = rows[-1][0]

    def _date(
        self, rows: Sequence[tuple[str, bytes]], events: Sequence[Event | None], now: int, server: int
    ) -> None:
        """The desk's time is its writer's. Where an edge says of an event what cannot be by when it came
        into the log, as Redis tells, its clock is wrong and is not believed."""
        for (id, _), event in zip(rows, events, strict=True):
            if event is not None and not now - LATE_MS <= event.at <= now:
                came = now - max(0, server - id_key(id)[0])
                self._warnings.edge(event.at - came)
                # When a command was given tells an attempt that was held up from one that came after its
                # refusal, and nothing else hangs on it.
                since = event.at if isinstance(event, Command) else came - LATE_MS
                event.at = min(now, max(event.at, since))

    def _decode(self, id: str, data: bytes, now: int) -> Event | None:
        try:
            return decode_event(data)
        except Exception as error:  # noqa: BLE001 - broken, or of a newer version
            self._set_aside(id, data, now, reason_of(error))
            self.desk.tell(Stray(at=now, event=data, reason=f"not an event of this version: {error}"))
            return None

    def _set_aside(self, id: str, data: bytes, now: int, reason: str, event: Event | None = None) -> None:
        """The event leaves the log, and its event id stays unknown: it may come again. Who gave it as a
        command is told that it was not carried out."""
        item = Aside(
            id=f"log-{id}", origin="log", place=id, at=now, reason=reason, data=data, kind=kind_of(data)
        )
        if isinstance(event, Command):
            item.operator = event.operator
            self.desk.refuse(event, Refused("set_aside"))
        self.desk.outcome.aside.append(item)

    def _known(self, event: Event, found: Mapping[str, Known], now: int) -> Known | None:
        """Who has written, if he is to be looked at anew."""
        if not isinstance(event, FromChat) or event.key in self.desk.by_chat:
            return None
        chat = event.key
        uncommitted = ChainMap(
            self.desk.outcome.acquainted, *(s.outcome.acquainted for s in reversed(self._sent))
        )
        known = self._recent.known(person_chat(chat), found.get(chat), uncommitted, now)
        outcomes = (self.desk.outcome, *(sent.outcome for sent in self._sent))
        erased = known is not None and any(known.customer in outcome.erased for outcome in outcomes)
        return None if erased else known

    async def _who(self, events: Sequence[Event | None]) -> dict[str, Known]:
        """What the store knows of those who write in chats without an open session."""
        chats = {e.key for e in events if isinstance(e, FromChat) and e.key not in self.desk.by_chat}
        if not chats or self._store is None or self._steady() < self._ask_again:
            return {}
        try:
            async with asyncio.timeout(WHO_TIMEOUT):
                asked = sorted(chats | set(map(person_chat, chats)))
                found = await self._store.find("customers", {"chats": {"$in": asked}})
            return by_chat(found, chats)
        except (Unavailable, TimeoutError):
            logger.warning("the store did not say in time who writes in %d chats", len(chats))
            self._ask_again = self._steady() + WHO_PAUSE_MS
        except Exception as error:  # noqa: BLE001 - routing goes on without it, whatever is wrong with a card
            logger.error("who writes in %d chats is unknown: %s", len(chats), reason_of(error))
        return {}

    async def _commit(self, writer: Writer, now: int, event_ids: Sequence[str], batch: _Batch) -> None:
        if self.desk.outcome.aside:
            tell_aside(self.desk)
        outcome = self.desk.drain()
        self._fired = outcome.fired
        if outcome.is_empty and not batch.ids:
            self._suspects.committed(())
            return
        await self._settle(writer.most_sent - 1)
        since = time.perf_counter()
        entry, more = in_pieces(journal_entry(outcome, now))
        task = await writer.send(
            at=now,
            cursor=batch.ids[-1] if batch.ids else "",
            event_ids=[id for id in event_ids if id not in outcome.refused],
            sessions=list(outcome.sessions.values()),
            closed=list(outcome.closed),
            unreadable=outcome.unreadable,
            aside=outcome.aside,
            operators=list(outcome.operators.values()),
            fields={name: self.desk.field(name) for name in sorted(outcome.fields)},
            entry=entry,
            more=more,
            deliveries=outcome.deliveries,
        )
        self._sent.append(_Sent(task, outcome, batch, now, since))

    async def _report_idle(self) -> None:
        await self._report(active=False)

    async def _report(self, *, active: bool) -> None:
        fields = {
            "active": active, "cursor": self.cursor, "sessions": len(self.desk.sessions),
            "applied": self.applied, "duplicates": self.duplicates, "at": self._log.now(),
            **self.figures.report(), **self._warnings.report(),
        }  # fmt: skip
        await self._log.report(f"router:{self.lease.token[:8]}", msgspec.json.encode(fields))


async def _first_free_session(store: Store) -> int:
    """A session number that the store has never seen: Redis was begun anew, the history was not."""
    latest = await store.find("sessions", {}, sort=[("opened_at", -1)], limit=20)
    return max((int(document["_id"]) for document in latest if document["_id"].isdecimal()), default=0) + 1


def journal_entry(outcome: Outcome, now: int) -> Entry | None:
    """What the batch tells, or nothing when nobody has to know."""
    if not (outcome.told or outcome.sessions or outcome.closed or outcome.operators or outcome.fields):
        return None
    return Entry(
        at=now,
        told=outcome.told,
        sessions=[*outcome.sessions.values(), *outcome.closed.values()],
        operators=list(outcome.operators.values()),
        lines_changed="configured" in outcome.fields,
    )


def in_pieces(entry: Entry | None) -> tuple[Entry | None, list[Entry]]:
    """The entry with no more sessions than its readers take at once, and entries with the rest."""
    if entry is None or len(entry.sessions) <= 2 * PIECE:
        return entry, []
    left = entry.sessions[PIECE:]
    entry.sessions = entry.sessions[:PIECE]
    return entry, [
        Entry(at=entry.at, sessions=left[start : start + PIECE]) for start in range(0, len(left), PIECE)
    ]
