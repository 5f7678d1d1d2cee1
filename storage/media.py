"""Files of messages, named by their content: the same file is kept once, and no name that a
customer chose ever becomes a path."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from crm.kernel.errors import NavbatError

CHUNK = 1 << 16
"""Bytes read at a time."""

_KEY = re.compile(r"[0-9a-f]{64}")


class TooLarge(NavbatError):
    """A file is larger than the store takes."""


class NoSuchFile(NavbatError):
    """There is no file under this key."""


class MediaStore:
    """Files in ``folder``, by the SHA-256 of their bytes in hex. ``limit`` in bytes."""

    def __init__(self, folder: str | Path, *, limit: int = 256 << 20) -> None:
        self.folder = Path(folder)
        self.limit = limit

    async def put(self, chunks: AsyncIterator[bytes], name: str = "", mime: str = "") -> str:
        """Keeps a file and returns its key; when it returned, the file survives a power cut. ``name``
        and ``mime`` belong to the message, not to the file. Raises ``TooLarge``, ``OSError`` and
        whatever the chunks raise, and leaves nothing behind then."""
        part = await asyncio.to_thread(_Part, self.folder / "parts")
        try:
            async for chunk in chunks:
                if part.size + len(chunk) > self.limit:
                    raise TooLarge(f"a file may have {self.limit} bytes at most")
                await asyncio.to_thread(part.add, chunk)
            return await asyncio.to_thread(self._finish, part)
        finally:
            part.drop()

    async def size(self, key: str) -> int:
        """Its bytes. Raises ``NoSuchFile`` or ``OSError``."""
        return await asyncio.to_thread(self._size, key)

    async def open(self, key: str) -> AsyncIterator[bytes]:
        """The file in pieces. Raises ``NoSuchFile`` or ``OSError``."""
        file = await asyncio.to_thread(self._open, key)
        try:
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                yield chunk
        finally:
            file.close()

    async def remove(self, key: str) -> int:
        """Deletes a file that nobody needs any more. Returns its bytes; 0 where it is not there. Raises
        ``OSError``."""
        return await asyncio.to_thread(self._remove, key)

    def age(self, key: str) -> float:
        """Seconds since somebody put it here last, also who found it here; infinite where it is not."""
        try:
            return max(0.0, time.time() - self.path(key).stat().st_mtime)
        except (FileNotFoundError, NoSuchFile):
            return float("inf")

    def path(self, key: str) -> Path:
        """Where a file is. Raises ``NoSuchFile`` for what is no key."""
        if not _KEY.fullmatch(key):
            raise NoSuchFile("there is no such file")
        return self.folder / key[:2] / key

    def _finish(self, part: _Part) -> str:
        key = part.sync()
        target = self.path(key)
        target.parent.mkdir(exist_ok=True, mode=0o700)
        part.path.replace(target)
        # The rename itself lasts only when the folders are on disk too.
        for folder in (target.parent, self.folder):
            sync_folder(folder)
        return key

    def _remove(self, key: str) -> int:
        try:
            path = self.path(key)
            size = path.stat().st_size
            path.unlink()
        except (FileNotFoundError, NoSuchFile):
            return 0
        sync_folder(path.parent)
        return size

    def _open(self, key: str) -> BinaryIO:
        try:
            return self.path(key).open("rb")
        except FileNotFoundError:
            raise NoSuchFile("there is no such file") from None

    def _size(self, key: str) -> int:
        with self._open(key) as file:
            return os.fstat(file.fileno()).st_size


class _Part:
    """A file that is still arriving, under a name of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = folder / secrets.token_hex(16)
        self.size = 0
        self._digest = hashlib.sha256()
        self._file = os.fdopen(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")

    def add(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)

    def sync(self) -> str:
        """Puts all of it on disk and returns its key."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._digest.hexdigest()

    def drop(self) -> None:
        """Removes what has not become a file of the store."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Puts on disk which names are in a folder. Raises ``OSError``."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
