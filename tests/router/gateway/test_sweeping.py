"""What was cut off is finished, whatever else is in its way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from router.gateway import sweeping


async def test_what_cannot_be_finished_does_not_end_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = asyncio.Event()
    attempts = 0

    async def broken(store: Any) -> int:
        nonlocal attempts
        attempts += 1
        if attempts == 2:
            tried.set()
        raise KeyError("version")

    monkeypatch.setattr(sweeping, "resume", broken)
    monkeypatch.setattr(sweeping, "SWEEP_EVERY", 0)
    store: Any = None
    task = asyncio.create_task(sweeping.keep_swept(store, store))
    waits = asyncio.create_task(tried.wait())
    done, _ = await asyncio.wait([task, waits], timeout=5, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    waits.cancel()
    assert done == {waits}
