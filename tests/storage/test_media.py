"""Files are kept whole or not at all, and no name from outside becomes a path."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.media import CHUNK, MediaStore, NoSuchFile, TooLarge


async def pieces(*parts: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if then is not None:
        raise then


async def whole(media: MediaStore, key: str) -> bytes:
    data = b"".join([chunk async for chunk in media.open(key)])
    assert await media.size(key) == len(data)
    return data


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_file_comes_back(tmp_path: Path) -> None:
    media = MediaStore(tmp_path / "media")
    data = b"x" * (2 * CHUNK + 1)
    key = await media.put(pieces(data[:10], b"", data[10:]), "../../evil\0.png", "image/png")
    assert key == hashlib.sha256(data).hexdigest()
    assert await whole(media, key) == data
    assert await media.put(pieces(data)) == key
    assert files(tmp_path) == [media.path(key)]
    assert media.path(key).stat().st_mode & 0o077 == 0


async def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    media = MediaStore(tmp_path)
    assert await whole(media, await media.put(pieces())) == b""


async def test_too_large_leaves_nothing(tmp_path: Path) -> None:
    media = MediaStore(tmp_path, limit=10)
    with pytest.raises(TooLarge):
        await media.put(pieces(b"x" * 6, b"x" * 5))
    assert files(tmp_path) == []
    assert await media.put(pieces(b"x" * 10))


async def test_a_broken_source_leaves_nothing(tmp_path: Path) -> None:
    media = MediaStore(tmp_path)
    with pytest.raises(ConnectionError):
        await media.put(pieces(b"half", then=ConnectionError()))
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "key", ["", ".", "..", "../../etc/passwd", "/etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "0" * 64]
)
async def test_what_is_no_key_is_no_file(tmp_path: Path, key: str) -> None:
    media = MediaStore(tmp_path)
    with pytest.raises(NoSuchFile):
        await media.size(key)
    with pytest.raises(NoSuchFile):
        await anext(aiter(media.open(key)))
