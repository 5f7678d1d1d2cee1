"""The router and the projector of a desk, each in a process of its own: neither waits for the other's
turn at the interpreter, nor for that of the edges.

Their parent starts a child, tells it by a line on stdin where the data is, and starts it again when it
ends. The child ends when stdin does: so it never outlives its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import msgspec

from navbat.config.backends import DeskAddress, make_log, make_store, opened
from navbat.run import logs
from navbat.run.waiting import StartupWait
from router.backoff import Backoff

if TYPE_CHECKING:
    from crm.kernel.ports import Store
    from router.log.log import Log

logger = logging.getLogger(__name__)

STOP_TIMEOUT = 2.5
BESIDE_THE_WAY = {"projector": 10}
"""Niceness of parts that no message waits for, where the cores are fewer than the parts."""
READY = b"ready\n"


class Child:
    """The parent's side. ``part`` is ``router`` or ``projector``."""

    def __init__(self, place: DeskAddress, part: str) -> None:
        self.part = part
        self._place = place
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self.restarts = 0
        self.trouble = ""
        """Why it does not run now."""

    async def run(self) -> None:
        """Keeps the child running until cancelled."""
        backoff = Backoff(0.05, 10.0)
        loop = asyncio.get_running_loop()
        while True:
            since = loop.time()
            try:
                status = await self._run_once()
                self.trouble = f"ended with status {status}"
            except Exception as error:  # noqa: BLE001 - no process, no memory, no thread: all of it may pass
                self.trouble = f"cannot be run: {type(error).__name__}"
            if loop.time() - since > 60:
                backoff.reset()
            self.restarts += 1
            logger.error("the %s's process %s and is started again", self.part, self.trouble)
            await asyncio.sleep(backoff.next())

    async def _run_once(self) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "navbat.run.child", self.part,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(self._place) + b"\n")
            said = b""
            while data := await process.stdout.read(4096):
                said = said[-len(READY) :] + data
                if READY in said:
                    self._ready.set()
                    self.trouble = ""
            return await process.wait()
        finally:
            if process.returncode is None:
                await self._stop(process)

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.wait()
        except TimeoutError:
            logger.error("the %s's process did not stop in time", self.part)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def until_ready(self) -> None:
        """Returns when the part has run once."""
        await self._ready.wait()

    @property
    def pid(self) -> int:
        """The child's process id; 0 before it is started."""
        return self._process.pid if self._process else 0


async def _serve(part: str) -> None:
    """The child's side: works until stdin ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    place = msgspec.json.decode(await reader.readline(), type=DeskAddress)
    working = asyncio.create_task(_work(place, part), name="work")
    parent = asyncio.create_task(reader.read(), name="parent")
    loop.add_signal_handler(signal.SIGTERM, working.cancel)
    await asyncio.wait({working, parent}, return_when=asyncio.FIRST_COMPLETED)
    working.cancel()
    parent.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working


async def _work(place: DeskAddress, part: str) -> None:
    log, store = make_log(place), make_store(place)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(log.close)
        stack.push_async_callback(store.close)
        async with StartupWait(None) as waiting:
            await waiting.until("store", lambda: opened(store))
        await _work_with(log, store, place, part, stack)


async def _work_with(
    log: Log, store: Store, place: DeskAddress, part: str, stack: contextlib.AsyncExitStack
) -> None:
    from navbat.run import parts
    from router.log.log import now_ms

    runs = {
        "router": lambda: parts.run_router(log, store, place),
        "projector": lambda: parts.run_projector(log, store, place),
    }
    supervisor = parts.Supervisor()
    started_at = now_ms()
    tasks = [supervisor.start(part, runs[part])]
    report = parts.report(log, part, lambda: parts.process_report(started_at, supervisor.parts))
    tasks.append(asyncio.create_task(report, name="report"))
    stack.push_async_callback(parts.cancel, *tasks)
    # Whoever waited for the desk to be ready finds each of its processes in its status.
    await parts.tell(log, part, parts.process_report(started_at, supervisor.parts))
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    await parts.until_one_ends(tasks)


def collect_rarely() -> None:
    """For every process of a desk: a full collection walks all open sessions, each time they grow by a
    quarter, and nothing is answered meanwhile. What is cyclic among our objects is small and rare."""
    gc.set_threshold(50_000, 20, 100)


def main() -> None:
    """Runs the child's side."""
    collect_rarely()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(BESIDE_THE_WAY.get(sys.argv[1], 0))
    logs.set_up()
    asyncio.run(_serve(sys.argv[1]))


if __name__ == "__main__":
    main()
