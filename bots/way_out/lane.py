"""One channel's deliveries, for as long as this process holds its lease.

One scheduler starts what may go now: the head of each chat's queue, when the chat's and the
channel's token buckets and waits allow it. Marks are set for all that start together in one step,
outcomes are told for all that ended together in one step, so that the cost of an fsync is shared.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence

import msgspec

from bots.base import Can, Channel, MediaFiles, OutFile, Rejected, Sent, TryLater, Uncertain
from bots.way_out.fallback import degrade
from bots.way_out.rates import Bucket
from crm.kernel import records
from crm.kernel.errors import NavbatError, Unavailable
from crm.kernel.records import Media
from router.backoff import Backoff
from router.desk.events import Author, ChatMoved, ChatReachable, Delivered, Event
from router.desk.state import Delivery, decode_delivery
from router.log.lease import Lease
from router.log.log import QUIET_MS, Log, id_key, now_ms
from router.log.quarantine import reason_of, set_aside_for_sure

logger = logging.getLogger(__name__)

CONCURRENT = 64
"""Sends under way at the same time."""

CONCURRENT_FILES = 4
"""Of these, how many may carry attachments, so that texts of other chats need not wait for their bytes."""

WINDOW = 4096
"""Deliveries held in memory; the rest waits in Redis."""

SEND_TIMEOUT = 120.0
"""Seconds after which a send that says nothing is ``unknown``."""

DRAIN = 5.0
"""Seconds that sends under way get to end when the lane closes."""

GIVE_UP_AFTER_MS = 24 * 3600 * 1000
"""A delivery that could not be tried successfully for so long has failed."""

CLOCKS_AGREE_MS = 60_000


class _Item:
    """One delivery on its way."""

    __slots__ = ("backoff", "delivery", "id")

    def __init__(self, id: str, delivery: Delivery) -> None:
        self.id = id
        self.delivery = delivery
        self.backoff: Backoff | None = None


class _Chat:
    """One chat's queue. It is either resting (empty), in the heap, or ``busy`` with its head.
    ``target`` is the chat's id on the platform now, which differs from ``name`` once it moved."""

    __slots__ = ("bucket", "busy", "name", "queue", "target")

    def __init__(self, name: str, bucket: Bucket) -> None:
        self.name = name
        self.target = name
        self.queue: deque[_Item] = deque()
        self.bucket = bucket
        self.busy = False


class Lane:
    """Sends one channel's deliveries; ``run`` ends by cancellation or by an error such as
    ``LeaseLost``, and what is in memory is then forgotten: Redis has it all. ``ended`` counts by outcome."""

    def __init__(
        self,
        log: Log,
        channel: Channel,
        media: MediaFiles,
        lease: Lease,
        ended: Counter[str] | None = None,
    ) -> None:
        self._log = log
        self._channel = channel
        self._media = media
        self._lease = lease
        self._counts = ended if ended is not None else Counter()
        self._chats: dict[str, _Chat] = {}
        self._due: list[tuple[float, int, _Chat]] = []
        self._order = itertools.count()
        self._bucket = Bucket(*channel.rate)
        self._paused_until = 0.0
        self._held = 0
        self._running: set[asyncio.Task[None]] = set()
        self._free = CONCURRENT
        self._done: list[tuple[str, list[Event]]] = []
        self._sweep_at = WINDOW
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = asyncio.Event()
        self._file_slots = asyncio.Semaphore(CONCURRENT_FILES)

    def __len__(self) -> int:
        return self._held

    async def run(self) -> None:
        """Takes over and sends."""
        stale = await self._log.sending(self._channel.name)
        if stale:
            logger.warning("outbox of %s: %d deliveries were interrupted", self._channel.name, len(stale))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(stale), name=f"read-{self._channel.name}")
                group.create_task(self._schedule(), name=f"schedule-{self._channel.name}")
                group.create_task(self._tell_for_ever(), name=f"tell-{self._channel.name}")
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            await self._drain()

    # ---------------------------------------------------------------- reading

    async def _read(self, stale: set[str]) -> None:
        backoff = Backoff(most=5.0)
        after = "0"
        while True:
            while self._held >= WINDOW:
                self._room.clear()
                await self._room.wait()
            try:
                count = min(512, WINDOW - self._held)
                rows = await self._log.read_outbox(self._channel.name, after, count, QUIET_MS)
            except Unavailable:
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            for entry, data in rows:
                after = entry
                try:
                    delivery = understand(data)
                except Exception as error:  # noqa: BLE001 - broken, or of a newer version
                    # A person decides whether to try it again: he must know that it may have left.
                    reason = "interrupted while sending; " * (entry in stale) + reason_of(error)
                    await set_aside_for_sure(self._log, "out", self._channel.name, entry, data, reason)
                    continue
                self._held += 1
                if entry in stale and Can.IDEMPOTENT not in self._channel.can:
                    self._end(entry, [_outcome(delivery, "unknown", error="interrupted while sending")])
                else:
                    self._queue(_Item(entry, delivery))

    def _queue(self, item: _Item) -> None:
        name = item.delivery.chat
        chat = self._chats.get(name)
        if chat is None:
            chat = self._chats[name] = _Chat(name, Bucket(*self._channel.per_chat_rate))
        chat.queue.append(item)
        if len(chat.queue) == 1 and not chat.busy:
            self._plan(chat, 0.0)

    def _plan(self, chat: _Chat, at: float) -> None:
        heapq.heappush(self._due, (at, next(self._order), chat))
        self._wake.set()

    # ---------------------------------------------------------------- scheduling

    async def _schedule(self) -> None:
        backoff = Backoff(most=5.0)
        clock = asyncio.get_running_loop().time
        while True:
            starting, wait = self._take(clock())
            if starting:
                try:
                    gone = await self._log.begin_sending(
                        self._channel.name, [chat.queue[0].id for chat in starting], self._lease
                    )
                except Unavailable:
                    # Nothing has left, so setting the same marks again later is right.
                    for chat in starting:
                        chat.busy = False
                        self._plan(chat, 0.0)
                    await asyncio.sleep(backoff.next())
                    continue
                backoff.reset()
                for chat in starting:
                    if chat.queue[0].id in gone:
                        self._drop(chat)
                    else:
                        self._start(chat)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            self._wake.clear()

    def _take(self, now: float) -> tuple[list[_Chat], float | None]:
        """The chats whose head goes now, and else how long to sleep (None: until woken)."""
        starting: list[_Chat] = []
        while self._due and len(starting) < self._free:
            at, _, chat = self._due[0]
            at = max(at, self._paused_until, self._bucket.ready_at(now))
            if at > now:
                return starting, at - now
            heapq.heappop(self._due)
            if (ready := chat.bucket.ready_at(now)) > now:
                heapq.heappush(self._due, (ready, next(self._order), chat))
                continue
            self._bucket.take(now)
            chat.bucket.take(now)
            chat.busy = True
            starting.append(chat)
        return starting, None

    def _drop(self, chat: _Chat) -> None:
        """The head of a chat's queue is in the outbox no more."""
        chat.queue.popleft()
        chat.busy = False
        self._held -= 1
        self._room.set()
        if chat.queue:
            self._plan(chat, 0.0)

    def _start(self, chat: _Chat) -> None:
        self._free -= 1
        task = asyncio.get_running_loop().create_task(self._send(chat), name="send")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    # ---------------------------------------------------------------- sending

    async def _send(self, chat: _Chat) -> None:
        """Carries out the head of a chat's queue and lets the next one come."""
        item = chat.queue[0]
        again_in: float | None = None
        try:
            again_in = await self._attempt(chat, item)
        finally:
            self._free += 1
            chat.busy = False
            if again_in is None:
                chat.queue.popleft()
            now = asyncio.get_running_loop().time()
            if chat.queue:
                self._plan(chat, now + (again_in or 0.0))
            else:
                self._forget_idle(now)
            self._wake.set()

    async def _attempt(self, chat: _Chat, item: _Item) -> float | None:
        """One attempt. Returns the seconds to wait before the next, None when it is over."""
        delivery = item.delivery
        try:
            sent = await self._carry_out(delivery, chat.target)
        except TryLater as error:
            return await self._try_later(item, error)
        except Rejected as error:
            if error.moved_to and error.moved_to != chat.target:
                return await self._move(chat, item, error.moved_to)
            self._end(item.id, _refusal(delivery, error))
        except Uncertain as error:
            self._end(
                item.id,
                [_outcome(delivery, "unknown", external_ids=error.external_ids, error=str(error))],
            )
        except TimeoutError:
            self._end(item.id, [_outcome(delivery, "unknown", error="no answer in time")])
        except Exception as error:  # the boundary: whatever a channel does, it may have sent
            logger.exception("channel %s failed while sending", self._channel.name)
            self._end(item.id, [_outcome(delivery, "unknown", error=f"failed: {type(error).__name__}")])
        else:
            self._end(item.id, [_outcome(delivery, "sent", external_ids=sent.external_ids)])
        return None

    async def _carry_out(self, delivery: Delivery, chat: str) -> Sent:
        delivery = degrade(delivery, self._channel.can)
        if chat != delivery.chat:
            delivery = msgspec.structs.replace(delivery, chat=chat)
        if not delivery.media:
            async with asyncio.timeout(SEND_TIMEOUT):
                return await self._channel.send(delivery, ())
        async with self._file_slots:
            files = await self._files(delivery.media)
            async with asyncio.timeout(SEND_TIMEOUT):
                return await self._channel.send(delivery, files)

    async def _files(self, media: Sequence[Media]) -> list[tuple[Media, OutFile]]:
        try:
            return [(one, await _stored(self._media, one.key)) for one in media if one.key]
        except (NavbatError, OSError) as error:
            raise Rejected("the attachment is not in the media store") from error

    async def _try_later(self, item: _Item, error: TryLater) -> float | None:
        if now_ms() - item.delivery.at > GIVE_UP_AFTER_MS and await self._is_old(item):
            self._end(item.id, [_outcome(item.delivery, "failed", error=str(error))])
            return None
        item.backoff = item.backoff or Backoff(first=0.5, most=60.0)
        wait = max(error.after, item.backoff.next())
        if error.whole_channel:
            self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + error.after)
        logger.info("channel %s: delivery %s waits %.1f s", self._channel.name, item.delivery.id, wait)
        await self._release(item)
        return wait

    async def _is_old(self, item: _Item) -> bool:
        """Whether Redis thinks so too, where its clock and ours are far apart: one that is a day fast must
        not fail everything."""
        try:
            server = await self._log.server_ms()
        except Unavailable:
            return False
        if abs(now_ms() - server) < CLOCKS_AGREE_MS:
            return True
        return server - id_key(item.id)[0] > GIVE_UP_AFTER_MS

    async def _release(self, item: _Item) -> None:
        """Takes the mark back. Where Redis does not answer it stays: the next attempt needs it
        again, and a crash before that calls the delivery unknown, which is the safe side."""
        with contextlib.suppress(Unavailable):
            await self._log.release_sending(self._channel.name, item.id)

    async def _move(self, chat: _Chat, item: _Item, new: str) -> float:
        """The platform gave the chat another id: what waits goes there, in order."""
        name = self._channel.name
        logger.info("channel %s: a chat has another id now", name)
        with contextlib.suppress(Unavailable):
            moved = ChatMoved(
                channel=name,
                chat=chat.target,
                new_chat=new,
                event_id=f"out:{name}:moved:{chat.target}:{new}",
            )
            await self._log.append(moved)
        chat.target = new
        self._chats.setdefault(new, chat)
        await self._release(item)
        return 0.0

    def _forget_idle(self, now: float) -> None:
        """Drops chats that wait for nothing, so that memory does not grow with all chats ever."""
        if len(self._chats) < self._sweep_at:
            return
        self._chats = {
            name: chat
            for name, chat in self._chats.items()
            if chat.queue or chat.busy or not chat.bucket.idle(now)
        }
        self._sweep_at = max(WINDOW, 2 * len(self._chats))

    # ---------------------------------------------------------------- telling

    def _end(self, id: str, outcomes: list[Event]) -> None:
        self._counts.update(o.state for o in outcomes if isinstance(o, Delivered))
        self._done.append((id, outcomes))
        self._ended.set()

    async def _tell_for_ever(self) -> None:
        backoff = Backoff(most=5.0)
        while True:
            await self._ended.wait()
            try:
                await self._tell()
                backoff.reset()
            except Unavailable:
                await asyncio.sleep(backoff.next())

    async def _tell(self) -> None:
        self._ended.clear()
        done = self._done[:512]
        try:
            await self._log.finish_sending(self._channel.name, done)
        except Unavailable:
            self._ended.set()
            raise
        del self._done[: len(done)]
        self._held -= len(done)
        self._room.set()
        if self._done:
            self._ended.set()

    async def _drain(self) -> None:
        """Lets sends under way end and tells what is known; the rest keeps its mark."""
        with contextlib.suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(DRAIN):
                if self._running:
                    await asyncio.wait(self._running)
                while self._done:
                    await self._tell()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


def understand(data: bytes) -> Delivery:
    """Raises for what is no delivery of this version: what it asks for must not be done halfway."""
    delivery = decode_delivery(data)
    if delivery.action not in ("send", "edit", "delete"):
        raise ValueError("an action that this version does not know")
    return delivery


class _Stored:
    """A file of the media store."""

    def __init__(self, media: MediaFiles, key: str, size: int) -> None:
        self._media = media
        self._key = key
        self.size = size

    def chunks(self) -> AsyncIterator[bytes]:
        return self._media.open(self._key)


async def _stored(media: MediaFiles, key: str) -> OutFile:
    return _Stored(media, key, await media.size(key))


def _outcome(
    delivery: Delivery, state: records.DeliveryStatus, *, external_ids: Sequence[str] = (), error: str = ""
) -> Delivered:
    return Delivered(
        event_id=f"out:{delivery.id}:{state}",
        chat=f"{delivery.channel}:{delivery.chat}",
        session=delivery.session,
        message=delivery.message,
        state=state,
        external_id=" ".join(external_ids),
        error=error,
        edit=delivery.id if delivery.action == "edit" else "",
    )


def _refusal(delivery: Delivery, error: Rejected) -> list[Event]:
    outcomes: list[Event] = [_outcome(delivery, "failed", error=str(error))]
    if error.blocked:
        outcomes.append(
            ChatReachable(
                event_id=f"out:{delivery.id}:blocked",
                channel=delivery.channel,
                chat=delivery.chat,
                can_write=False,
                author=Author(),
            )
        )
    return outcomes
