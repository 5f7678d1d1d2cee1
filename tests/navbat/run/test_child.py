"""The desk outlives every trouble with starting the processes that it is made of."""

from __future__ import annotations

import asyncio
import errno
import logging
import sys
from typing import Any

import pytest

from crm.kernel.errors import Unavailable
from navbat.config.backends import DeskAddress
from navbat.run import child
from navbat.run.child import Child
from router.backoff import Backoff
from router.log.lease import Lease
from router.log.log import Log
from router.worker import Worker
from tests.conftest import until

PLACE = DeskAddress(desk="d", data="", redis="")


def failing_at_first(monkeypatch: pytest.MonkeyPatch, *failures: Exception) -> list[Exception]:
    """Forks fail so, one after the other; after that a process that says it is ready, and lasts."""
    left = list(failures)
    real = asyncio.create_subprocess_exec

    async def fork(*_: Any, **options: Any) -> asyncio.subprocess.Process:
        if left:
            raise left.pop(0)
        program = "import sys; print('ready', flush=True); sys.stdin.read(); sys.stdin.read()"
        return await real(sys.executable, "-c", program, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", fork)
    monkeypatch.setattr(child, "Backoff", lambda *_: Backoff(0.001, 0.001))
    return left


async def test_a_fork_that_fails_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left = failing_at_first(
        monkeypatch,
        BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        OSError(errno.EMFILE, "Too many open files"),
        MemoryError(),
        RuntimeError("can't start new thread"),
    )
    part = Child(PLACE, "router")
    with caplog.at_level(logging.CRITICAL):
        running = asyncio.create_task(part.run())
        await until(lambda: part.trouble.startswith("cannot be run"))
        await until(lambda: part.pid)
        async with asyncio.timeout(10):
            await part.until_ready()
    assert not left
    assert (part.restarts, part.trouble) == (5, "")
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()


async def test_a_child_may_say_whatever_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.create_subprocess_exec

    async def fork(*_: Any, **options: Any) -> asyncio.subprocess.Process:
        program = "print('x' * 200_000 + '\\nready', flush=True); import sys; sys.stdin.read()"
        return await real(sys.executable, "-c", program, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", fork)
    part = Child(PLACE, "router")
    running = asyncio.create_task(part.run())
    async with asyncio.timeout(10):
        await part.until_ready()
    assert part.restarts == 0
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()


async def test_a_router_that_waited_for_days_still_waits(
    monkeypatch: pytest.MonkeyPatch, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    """The wait doubles, up to a most, however often it was tried."""
    backoff = Backoff(0.1, 2.0)
    waits = [backoff.next() for _ in range(5000)]
    assert max(waits) <= 2.0
    monkeypatch.setattr("router.log.leading.Backoff", lambda *_: Backoff(0.0, 0.0))
    tries = 0

    async def away(self: Lease) -> None:
        nonlocal tries
        tries += 1
        raise Unavailable("away")

    monkeypatch.setattr(Lease, "acquire", away)
    working = asyncio.create_task(Worker(log).run())
    with caplog.at_level(logging.CRITICAL):
        await until(lambda: tries > 1100)
    assert not working.done()
    working.cancel()
    await asyncio.wait([working])
