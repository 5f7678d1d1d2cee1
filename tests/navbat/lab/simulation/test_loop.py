"""The loop of a world: what is ready runs, no time passes, and standing still is told."""

from __future__ import annotations

import asyncio

import pytest

from navbat.lab.simulate.loop import StandsStill, TimelessLoop


async def _both() -> list[str]:
    said: list[str] = []

    async def say(word: str) -> None:
        for _ in range(2):
            said.append(word)
            await asyncio.sleep(0)

    async with asyncio.timeout(0.001):
        await asyncio.gather(say("a"), say("b"))
    return said


def test_what_is_ready_runs_in_turn_and_a_time_limit_does_not_come() -> None:
    with asyncio.Runner(loop_factory=TimelessLoop) as runner:
        assert runner.run(_both()) == ["a", "b", "a", "b"]


def test_to_wait_for_what_nobody_does_is_told_at_once() -> None:
    async def wait() -> None:
        async with asyncio.timeout(5):
            await asyncio.Event().wait()

    with pytest.raises(StandsStill), asyncio.Runner(loop_factory=TimelessLoop) as runner:
        runner.run(wait())
