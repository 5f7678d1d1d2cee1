"""What is too old goes in the night, by itself, and by command."""

from __future__ import annotations

from pathlib import Path

import pytest

from crm.kernel.crm_settings import Retention
from crm.kernel.ports import Write
from router.consent.keeper import ConsentKeeper
from router.log.log import Log
from storage.media import MediaStore
from storage.sqlite import SqliteStore
from tests.router.consent.test_erasing import put
from tests.storage.conftest import sqlite

__all__ = ["sqlite"]
DAY = 24 * 3600 * 1000


async def old_and_young(store: SqliteStore, media: MediaStore, now: int) -> tuple[str, str]:
    files = await put(media, "zqxold"), await put(media, "shared")
    for session, at in (("1", now - 40 * DAY), ("2", now - DAY)):
        state = {"_id": session, "customer": "c1", "status": "closed", "opened_at": at, "closed_at": at}
        photos = [{"kind": "photo", "key": key} for key in (files if session == "1" else files[1:])]
        message = {
            "_id": f"{session}-1",
            "session": session,
            "seq": 1,
            "source": session,
            "text": "",
            "at": at,
        }
        await store.write(
            [Write.insert("sessions", state), Write.insert("messages", {**message, "media": photos})]
        )
    return files


@pytest.mark.parametrize("hour", [4, 14])
async def test_each_night_what_is_too_old_goes(
    log: Log, sqlite: SqliteStore, tmp_path: Path, hour: int
) -> None:
    media = MediaStore(tmp_path / "media")
    own, shared = await old_and_young(sqlite, media, log.now())
    keeper = ConsentKeeper(log, sqlite, media, Retention(messages=30 * DAY), hour=lambda: hour)
    await keeper.once()
    sessions = {one["_id"] for one in await sqlite.find("sessions", {})}
    if hour == 14:
        assert sessions == {"1", "2"}
        assert await sqlite.find("receipts", {}) == []
        return
    assert sessions == {"2"}
    assert [media.path(key).exists() for key in (own, shared)] == [False, True]
    (receipt,) = await sqlite.find("receipts", {})
    assert receipt["counts"] == {"sessions": 1, "messages": 1, "files": 1}
    await keeper.once()
    assert len(await sqlite.find("receipts", {})) == 1, "once a night"


async def test_a_desk_that_keeps_everything_does_nothing(
    log: Log, sqlite: SqliteStore, tmp_path: Path
) -> None:
    media = MediaStore(tmp_path / "media")
    await old_and_young(sqlite, media, log.now())
    await ConsentKeeper(log, sqlite, media, hour=lambda: 4).once()
    assert len(await sqlite.find("sessions", {})) == 2
    assert await sqlite.find("cursors", {}) == []
