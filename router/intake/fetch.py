"""Attachments: fetched after their message is in the log, kept in the media store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable

import msgspec

from crm.kernel.errors import LeaseLost, NavbatError, Unavailable
from crm.kernel.records import Media
from router.backoff import Backoff
from router.desk.events import Event, MediaStored, MessageEdited, MessageReceived
from router.intake.source import MediaFiles, Rejected, Source, TryLater
from router.log.log import QUIET_MS, Log, now_ms
from router.log.quarantine import reason_of, set_aside_for_sure
from storage.media import TooLarge

logger = logging.getLogger(__name__)

CONCURRENT = 4
"""Files fetched at the same time from one channel."""

WINDOW = 256
"""Jobs held in memory for one channel."""

FIRST_WAIT = 1.0
"""Seconds before the second try; the waits double up to five minutes."""

GIVE_UP_AFTER_MS = 12 * 3600 * 1000
"""A file that cannot be fetched for so long gets an error instead."""


class FetchJob(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One attachment to fetch. ``since`` in ms."""

    event_id: str
    chat: str
    message_id: str
    index: int
    media: Media
    since: int


def jobs_for(events: Iterable[Event]) -> list[bytes]:
    """The fetch jobs of all attachments that have a handle and no file yet."""
    since = now_ms()
    return [
        msgspec.msgpack.encode(
            FetchJob(
                event_id=f"{event.event_id}:media:{index}",
                chat=event.chat,
                message_id=event.message_id,
                index=index,
                media=media,
                since=since,
            )
        )
        for event in events
        if isinstance(event, MessageReceived | MessageEdited)
        for index, media in enumerate(event.media or ())
        if media.ref and not media.key
    ]


class Fetcher:
    """Works off one channel's fetch jobs; a job that fails waits without holding up the others."""

    def __init__(self, log: Log, channel: Source, media: MediaFiles) -> None:
        self.channel = channel
        self._log = log
        self._media = media
        self._slots = asyncio.Semaphore(CONCURRENT)
        self._window = asyncio.Semaphore(WINDOW)

    async def run(self) -> None:
        """Fetches until cancelled. What is in the stream is undone, so a start begins at 0."""
        backoff = Backoff(most=5.0)
        after = "0"
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    jobs = await self._log.read_jobs(self.channel.name, after, block_ms=QUIET_MS)
                except Unavailable:
                    await asyncio.sleep(backoff.next())
                    continue
                backoff.reset()
                for entry, data in jobs:
                    await self._window.acquire()
                    group.create_task(self._work(entry, data), name=f"fetch-{self.channel.name}-{entry}")
                    after = entry

    async def _work(self, id: str, data: bytes) -> None:
        try:
            job = msgspec.msgpack.decode(data, type=FetchJob)
            media = await self._until_decided(job)
            await self._finish(id, self._outcome(job, media))
        except (LeaseLost, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - broken, or of a newer version, or we are wrong
            await set_aside_for_sure(self._log, "fetch", self.channel.name, id, data, reason_of(error))
        finally:
            self._window.release()

    async def _until_decided(self, job: FetchJob) -> Media:
        """The attachment with its key, or with the reason why there will be none."""
        backoff = Backoff(first=FIRST_WAIT, most=300.0)
        while True:
            try:
                async with self._slots:
                    key = await self._media.put(self._limited(job.media), job.media.name, job.media.mime)
                return msgspec.structs.replace(job.media, key=key)
            except (Rejected, TooLarge) as error:
                return msgspec.structs.replace(job.media, error=str(error))
            except TryLater as error:
                wait = max(error.after, backoff.next())
                reason = str(error)
            except (NavbatError, OSError) as error:
                wait = backoff.next()
                reason = type(error).__name__
            except Exception as error:  # the boundary: a channel's bug costs this one file
                logger.exception("channel %s: fetching failed", self.channel.name)
                return msgspec.structs.replace(job.media, error=f"failed: {type(error).__name__}")
            if now_ms() - job.since > GIVE_UP_AFTER_MS:
                return msgspec.structs.replace(job.media, error=reason)
            logger.info("channel %s: a file waits %.0f s: %s", self.channel.name, wait, reason)
            await asyncio.sleep(wait)

    async def _limited(self, media: Media) -> AsyncIterator[bytes]:
        limit = self.channel.file_limit
        size = media.size
        if size <= limit:
            size = 0
            async for chunk in self.channel.fetch(media):
                size += len(chunk)
                if size > limit:
                    break
                yield chunk
        if size > limit:
            raise Rejected(f"larger than {limit} bytes")

    def _outcome(self, job: FetchJob, media: Media) -> MediaStored:
        return MediaStored(
            event_id=job.event_id,
            channel=self.channel.name,
            chat=job.chat,
            message_id=job.message_id,
            index=job.index,
            media=media,
        )

    async def _finish(self, id: str, outcome: MediaStored) -> None:
        backoff = Backoff(most=5.0)
        while True:
            try:
                return await self._log.finish_job(self.channel.name, id, outcome)
            except Unavailable:
                await asyncio.sleep(backoff.next())
