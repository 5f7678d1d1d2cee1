"""Parts of a desk under supervision: each is restarted alone when it fails, and says how it does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from crm.kernel.errors import Unavailable
from navbat import __version__
from navbat.config.backends import DeskAddress
from router.backoff import Backoff
from router.beat import until_beat

if TYPE_CHECKING:
    from crm.kernel.ports import Store
    from router.log.log import Log

logger = logging.getLogger(__name__)

REPORT_EVERY = 2.0
STEADY = 60.0
"""Seconds after which a part that runs again counts as recovered."""
STOP_TIMEOUT = 3.0


class PartState(msgspec.Struct, omit_defaults=True):
    """How one part does. ``trouble`` is empty while it runs."""

    trouble: str = ""
    restarts: int = 0


class ProcessReport(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a process tells about itself. ``rss`` in bytes, ``started_at`` in ms."""

    pid: int
    host: str
    version: str
    started_at: int
    rss: int = 0
    cpu: float = 0.0
    """Seconds of processor time since it started."""
    redis: str = ""
    redis_restarts: int = 0
    store: str = ""
    parts: dict[str, PartState] = {}


class Supervisor:
    """The parts of this process."""

    def __init__(self) -> None:
        self.parts: dict[str, PartState] = {}

    async def keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Runs a part until cancelled, again and again."""
        part = self.parts[name] = PartState()
        backoff = Backoff(0.1, 15.0)
        loop = asyncio.get_running_loop()
        while True:
            since = loop.time()
            recovered = loop.call_later(STEADY, _recovered, part, backoff)
            try:
                await run()
                part.trouble = "ended by itself"
            except Exception as error:  # the one place where a failure ends
                part.trouble = type(error).__name__
                logger.error("%s failed after %.1f s", name, loop.time() - since, exc_info=True)  # noqa: G201
            finally:
                recovered.cancel()
            part.restarts += 1
            await asyncio.sleep(backoff.next())

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """``keep`` as a task; the caller owns it."""
        return asyncio.create_task(self.keep(name, run), name=name)


def _recovered(part: PartState, backoff: Backoff) -> None:
    part.trouble = ""
    backoff.reset()


async def until_one_ends(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Waits while all tasks run, which is for ever unless one has a defect; that is raised. Being
    cancelled here leaves them alone: each is stopped in its turn, once."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
        raise RuntimeError(f"{task.get_name()} ended by itself")


async def cancel(*tasks: asyncio.Task[None]) -> None:
    """Cancels the tasks and waits for their end, though not for ever."""
    for task in tasks:
        task.cancel()
    if tasks:
        _, left = await asyncio.wait(tasks, timeout=STOP_TIMEOUT)
        for task in left:
            logger.error("%s did not stop in time", task.get_name())


async def run_router(log: Log, store: Store, place: DeskAddress) -> None:
    """The desk's writer, until cancelled; a standby takes over at once then."""
    from router.worker import Worker

    await Worker(log, store, lease_ttl=place.lease_ttl).run()


async def run_projector(log: Log, store: Store, place: DeskAddress) -> None:
    """The journal into the store, until cancelled."""
    from router.history.projector import Projector

    await Projector(log, store, crm=place.crm).run()


async def report(log: Log, name: str, fill: Callable[[], ProcessReport]) -> None:
    """Tells how a process does, until cancelled."""
    while True:
        await tell(log, name, fill())
        await asyncio.sleep(until_beat(REPORT_EVERY))


async def tell(log: Log, name: str, report: ProcessReport) -> None:
    """Tells it once; a Redis that is away is told the next time."""
    with contextlib.suppress(Unavailable):
        await log.report(f"process:{name}", msgspec.json.encode(report), ttl=5 * REPORT_EVERY)


def process_report(started_at: int, parts: dict[str, PartState]) -> ProcessReport:
    """What is known without asking anybody."""
    return ProcessReport(
        pid=os.getpid(),
        host=socket.gethostname(),
        version=__version__,
        started_at=started_at,
        rss=resident_bytes(),
        cpu=round(time.process_time(), 3),
        parts=parts,
    )


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
