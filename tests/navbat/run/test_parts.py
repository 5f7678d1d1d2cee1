"""Supervision: a part that fails is restarted alone, and seen to be in trouble meanwhile."""

from __future__ import annotations

import asyncio
import logging

import pytest

from navbat.run.parts import Supervisor, cancel, until_one_ends
from tests.conftest import until


async def test_a_failing_part_is_started_again_and_leaves_the_others_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    supervisor = Supervisor()
    runs = 0

    async def fragile() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise OSError("gone")
        await asyncio.Event().wait()

    async def steady() -> None:
        await asyncio.Event().wait()

    with caplog.at_level(logging.CRITICAL):
        tasks = [supervisor.start("fragile", fragile), supervisor.start("steady", steady)]
        await until(lambda: runs == 3)
    assert supervisor.parts["fragile"].restarts == 2
    assert supervisor.parts["fragile"].trouble == "OSError"
    assert supervisor.parts["steady"].restarts == 0
    assert supervisor.parts["steady"].trouble == ""
    await cancel(*tasks)
    assert all(task.cancelled() for task in tasks)


async def test_a_part_that_ends_by_itself_is_a_failure() -> None:
    supervisor = Supervisor()
    runs = 0

    async def short() -> None:
        nonlocal runs
        runs += 1

    task = supervisor.start("short", short)
    await until(lambda: runs == 2)
    assert supervisor.parts["short"].trouble == "ended by itself"
    await cancel(task)


async def test_being_cancelled_leaves_the_tasks_to_be_stopped_in_their_turn() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    waiting = asyncio.create_task(until_one_ends([task]))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not task.done()
    assert task.cancelling() == 0
    await cancel(task)


async def test_a_defect_is_raised() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await until_one_ends([asyncio.create_task(broken())])
