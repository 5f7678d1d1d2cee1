"""The projector: copies the journal into the store, so that history and search know it.

Its place in the journal is written together with what it read there. An entry may come twice and
is never left out: while the store or Redis is away it waits and tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec

from crm.kernel.crm_settings import CrmSettings
from crm.kernel.errors import LeaseLost, Unavailable
from crm.kernel.ports import Store, Write
from crm.kernel.records import MessageChange
from crm.people.attesting import attest
from router.backoff import Backoff
from router.desk.state import Alert, AnyTold, Aside, Audit, Entry, Strange, encode
from router.history import rebuild, redo
from router.history.cards import spell
from router.history.claims import teller
from router.history.counting import Counting
from router.history.erased import ErasedPeople, remembered
from router.history.line_time import LineTimes
from router.history.projection import Batch, Early, Memory
from router.log.leading import Leader
from router.log.lease import Lease
from router.log.log import QUIET_MS, Log, now_ms
from router.log.quarantine import journal_part, kind_of, reason_of, set_aside

logger = logging.getLogger(__name__)

NAME = "projector"
CURSOR = "journal"

READ = 32
"""Journal entries of one read."""
BATCH = 3000
"""Told things of one write to the store, or one entry if it tells more."""
SWEEP_EVERY = 3600.0
"""Seconds."""
GATHER = 0.1
"""Seconds between two reads while there is little to read: a transaction costs more than a message,
and pages are brought up to date from the journal anyway."""

LOOK_EVERY = 1.0
"""Seconds."""

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0


class Projector:
    """Reads one desk's journal. Any number may run, the lease lets one work. ``lease_ttl`` and
    ``block`` (how long one read waits for news) in seconds; ``crm``: when a message makes a lead."""

    def __init__(
        self, log: Log, store: Store, *, lease_ttl: float = 3.0, block: float = QUIET_MS / 1000,
        crm: CrmSettings | None = None,
    ) -> None:  # fmt: skip
        self._log = log
        self._store = store
        self._crm = crm or CrmSettings()
        self._token = uuid.uuid4().hex
        self._leader = Leader(log, NAME, self._token, lease_ttl)
        self._block_ms = max(1, int(block * 1000))
        self._position = "0"
        self._memory = Memory(self._crm)
        self._times = LineTimes()
        self._counting = Counting(store, self._times)
        self._is_sure = True
        """The memory is what the store has: no write has failed since it was read."""
        self._ahead: asyncio.Task[list[tuple[str, Entry]]] | None = None
        """The next read, while what the last one found is written and is not all there is."""
        self._rebuilding = ""
        """Who wants figures made anew."""
        self._looked = 0.0
        """When it was last looked whether figures are to be made anew (monotonic)."""
        self._swept = -SWEEP_EVERY
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            try:
                await self._leader.run(self._serve)
            except Unavailable as error:
                logger.warning("the projector waits: %s", error)
                await self._complain(error)
                await asyncio.sleep(self._backoff.next())

    async def _complain(self, error: Unavailable) -> None:
        """Tells why the history does not grow; forgotten when it was not said for a while."""
        if error.code.startswith("store"):
            report = {"trouble": error.code, "text": str(error)}
            with contextlib.suppress(Unavailable):
                await self._log.report(NAME, msgspec.json.encode(report), ttl=2 * LONGEST_PAUSE)

    async def _serve(self, lease: Lease) -> None:
        await self.claim()
        while True:
            await self._sweep()
            await self._rebuild()
            if 0 < await self.step(self._block_ms) < READ:
                await asyncio.sleep(GATHER)

    async def _sweep(self) -> None:
        """Deletes what is past its time, now and then."""
        if time.monotonic() - self._swept >= SWEEP_EVERY:
            await self._store.expire(now_ms())
            self._swept = time.monotonic()

    async def _rebuild(self) -> None:
        """A part of it, if somebody has asked for it."""
        if not self._rebuilding and time.monotonic() - self._looked < LOOK_EVERY:
            return
        self._looked = time.monotonic()
        self._rebuilding = await rebuild.asked(self._store)
        if self._rebuilding and not await rebuild.learn(self._store, self._times, self._rebuilding):
            self._counting.forget()
            await rebuild.rebuild(self._store, self._times, self._rebuilding)
            self._rebuilding = ""

    async def claim(self) -> None:
        """Shuts out whoever wrote before, and starts from where the store says it was."""
        await self._stop_reading_ahead()
        await self._store.write(
            [
                Write.upsert(
                    "cursors",
                    {"_id": CURSOR},
                    {"$set": {"writer": self._token}, "$setOnInsert": {"position": "0"}},
                )
            ]
        )
        cursor = await self._store.get("cursors", CURSOR)
        self._position = cursor["position"] if cursor else "0"
        await self._take_up()
        await self._log.set_reader(NAME, self._position)

    async def step(self, block_ms: int = 0) -> int:
        """Reads on and writes what it read. Returns how many entries that were. Raises ``LeaseLost``
        or ``Unavailable``; after that, ``claim`` again."""
        entries = await self._read(block_ms)
        if len(entries) == READ:
            self._ahead = asyncio.create_task(
                self._log.read_journal(entries[-1][0], READ, reader=NAME), name="projector-ahead"
            )
        try:
            for part in _parts(entries):
                await self._write(part)
                self._backoff.reset()
        except BaseException:
            await self._stop_reading_ahead()
            raise
        return len(entries)

    async def _read(self, block_ms: int) -> list[tuple[str, Entry]]:
        ahead, self._ahead = self._ahead, None
        found = await ahead if ahead is not None else []
        return found or await self._log.read_journal(self._position, READ, block_ms, reader=NAME)

    async def _stop_reading_ahead(self) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.cancel()
            await asyncio.wait([ahead])
            ahead.cancelled() or ahead.exception()

    async def _write(self, entries: Sequence[tuple[str, Entry]]) -> None:
        for id, entry in entries:
            await self._set_strangers_aside(id, entry)
        try:
            await self._project(entries)
        except (LeaseLost, Unavailable, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - the store refuses something, or we cannot make it
            logger.error("journal entries are written one by one: %s", reason_of(error))
            for id, entry in entries:
                await self._write_carefully(id, entry)
        # Told only now: who reads the journal's rest must not miss what the store has not got yet.
        await self._log.set_reader(NAME, self._position)

    async def _project(
        self, entries: Sequence[tuple[str, Entry]], only: Collection[int | str] | None = None
    ) -> None:
        """Into the store, and our place in the journal with it unless it is a part of an entry ``only``."""
        if not self._is_sure:
            await self._take_up()
        try:
            if any(entry.lines_changed for _, entry in entries):
                self._times.configure(await self._log.load_fields())
            batch = Batch(self._store, self._memory, entries, only)
            await batch.load()
            writes = batch.writes()
            counted = await self._counting.writes(*batch.counted())
            await self._commit(writes, entries[-1][0] if only is None else self._position, counted)
            if batch.has_cards:
                await spell(self._store)
            if batch.attests:
                await attest(self._store, teller(self._log))
        except BaseException:
            self._is_sure = False
            raise

    async def _commit(self, writes: Sequence[Write], position: str, counted: Sequence[Write] = ()) -> None:
        moved = Write.update("cursors", {"_id": CURSOR}, {"$set": {"position": position}})
        expect: dict[str, Any] = {"_id": CURSOR, "writer": self._token, "position": self._position}
        writes = [*writes, *counted, moved]
        if counted and not self._store.all_or_nothing:
            writes = redo.guarded(writes, counted)
        await self._store.write(writes, expect=("cursors", expect))
        self._position = position

    async def _take_up(self) -> None:
        """What the store has is what is gone on from."""
        self._counting.forget()
        await redo.carry_out(self._store)
        await spell(self._store)
        self._times.configure(await self._log.load_fields())
        self._memory, self._is_sure = await self._remember(), True

    # ---------------------------------------------------------------- what cannot be written

    async def _write_carefully(self, id: str, entry: Entry) -> None:
        """One entry, and of it what can be written. What cannot is set aside before our place in the
        journal moves on: whoever dies in between does both again, and neither twice."""
        parts: list[int | str] = [*range(len(entry.told)), *(session.id for session in entry.sessions)]
        for part, reason in await self._refused(id, entry, parts):
            if isinstance(part, int):
                told = entry.told[part]
                data = journal_part(entry.at, told=[encode(told)])
                await self._set_aside(
                    id, part, data, reason, type(told).__name__, quietly=_tells_of_aside(told)
                )
            else:
                data = journal_part(entry.at, sessions=[encode(s) for s in entry.sessions if s.id == part])
                await self._set_aside(id, part, data, reason, "Session")
        await self._commit([], id)

    async def _refused(self, id: str, entry: Entry, parts: list[int | str]) -> list[tuple[int | str, str]]:
        """Writes what can be written, in order; returns the parts that cannot, each with its reason."""
        if not parts:
            return []
        try:
            await self._project([(id, entry)], frozenset(parts))
        except (LeaseLost, Unavailable, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is: everything behind it goes on
            if len(parts) == 1:
                return [(parts[0], reason_of(error.__cause__ or error))]
        else:
            return []
        half = len(parts) // 2
        return [
            *await self._refused(id, entry, parts[:half]),
            *await self._refused(id, entry, parts[half:]),
        ]

    async def _set_strangers_aside(self, id: str, entry: Entry) -> None:
        """What an entry tells in words of another version."""
        for number, told in enumerate(entry.told):
            if isinstance(told, Strange):
                data = told.data if told.whole else journal_part(entry.at, told=[told.data])
                await self._set_aside(id, number, data, told.reason, kind_of(told.data))
        for number, state in enumerate(entry.unread):
            data = journal_part(entry.at, sessions=[state.data])
            await self._set_aside(id, f"x{number}", data, state.reason, "Session")

    async def _set_aside(
        self, id: str, part: int | str, data: bytes, reason: str, kind: str, *, quietly: bool = False
    ) -> None:
        """``data``: a journal entry of its own, for us alone."""
        item = Aside(
            id=f"journal-{id}-{part}", origin="journal", place=id, at=self._log.now(), reason=reason,
            data=data, kind=kind,
        )  # fmt: skip
        logger.error("a part of journal entry %s (%s) is set aside: %s", id, kind, reason)
        await set_aside(self._log, item, quietly=quietly)

    async def _remember(self) -> Memory:
        memory = Memory(self._crm)
        memory.erased = ErasedPeople(
            [one for where in remembered(now_ms()) for one in await self._store.find(*where)]
        )
        found = await self._store.find("early", {}, sort=[("_id", -1)], limit=Memory.MAX_EARLY)
        for document in reversed(found):
            change = msgspec.msgpack.decode(document["change"], type=MessageChange)
            memory.keep(document["key"], Early(document["_id"], change))
        return memory


def _tells_of_aside(told: AnyTold) -> bool:
    """Whether it is itself told because something was set aside: to tell of that again would never end."""
    return (isinstance(told, Audit) and told.action == "set_aside") or (
        isinstance(told, Alert) and told.name == "set_aside"
    )


def _parts(entries: Sequence[tuple[str, Entry]]) -> Iterator[list[tuple[str, Entry]]]:
    """The entries in pieces that a store can write well within its time limit."""
    part: list[tuple[str, Entry]] = []
    size = 0
    for id, entry in entries:
        weight = len(entry.told) + len(entry.sessions)
        if part and size + weight > BATCH:
            yield part
            part, size = [], 0
        part.append((id, entry))
        size += weight
    if part:
        yield part
