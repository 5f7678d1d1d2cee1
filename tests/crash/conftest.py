"""Folders and a Bot API server for desks that are killed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fakes.telegram import FakeTelegram


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, so that sockets fit."""
    path = Path(tempfile.mkdtemp(prefix="nb-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    server = FakeTelegram()
    await server.start()
    yield server
    await server.stop()
