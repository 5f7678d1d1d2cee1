"""``navbat backup DIR``: all of a desk in one folder, while it runs.

The store is copied first, then Redis as it is at one instant, then the files. So the store is never ahead of
the journal in Redis, from which the projector writes once more what came in between; and whatever message is
in either, its files are there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from crm.kernel.errors import NavbatError, Unavailable
from crm.kernel.ports import Store
from navbat import __version__
from navbat.cli.shapes import rfc3339
from navbat.config.backends import make_log, make_store, opened, place_of
from navbat.config.types import Config, load, locate
from navbat.keeping import copying
from navbat.keeping.copying import Sum
from navbat.run.embedded import EmbeddedRedis, FolderLock, belongs_to, make_private
from navbat.run.serving import attach
from router.log.dump import Kept, dump
from router.log.log import Log, now_ms
from storage.media import CHUNK, sync_folder
from storage.sqlite import SqliteStore

DONE = 0
MANIFEST = "manifest.json"
FORMAT = 1


class Manifest(msgspec.Struct, kw_only=True):
    """What is in a backup. ``made_at`` in RFC 3339; ``redis`` counts keys, ``media`` files."""

    format: int
    navbat: str
    desk: str
    made_at: str
    store: dict[str, Sum]
    redis: Sum
    media: int
    media_bytes: int


def main(args: argparse.Namespace) -> int:
    """``navbat backup DIR``. Raises ``NavbatError``; nothing of the folder is there then."""
    config = load(locate(args.config), channels=False)
    if not config.folder.is_dir():
        raise NavbatError(f"there is no data folder {config.folder}")
    belongs_to(config.folder, config.desk)
    target = Path(args.folder).absolute()
    if os.path.lexists(target):
        raise NavbatError(f"{target} is there already", "give each backup a folder of its own")
    part = target.with_name(target.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        make_private(part)
        made = asyncio.run(_back_up(config, part))
        part.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise NavbatError(f"the backup cannot be written to {part}: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    print(msgspec.json.encode(made).decode() if args.json else target)
    documents = sum(one.count for one in made.store.values())
    print(
        f"{documents} documents, {made.redis.count} keys of Redis, {made.media} files ({made.media_bytes} bytes)",
        file=sys.stderr,
    )
    return DONE


async def _back_up(config: Config, part: Path) -> Manifest:
    (part / "store").mkdir()
    async with redis_of(config) as log:
        at = rfc3339(now_ms()) or ""
        async with _still(config, part) as store:
            sums = {
                name: await copying.to_file(store, name, part / "store" / f"{name}.jsonl")
                for name in await copying.names(store)
            }
        redis = await asyncio.to_thread(write_keys, part / "redis.dump", await dump(log))
        files, size = await asyncio.to_thread(copy_media, config.folder / "media", part / "media")
    made = Manifest(
        format=FORMAT, navbat=__version__, desk=config.desk, made_at=at, store=sums, redis=redis,
        media=files, media_bytes=size,
    )  # fmt: skip
    with (part / MANIFEST).open("xb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
        os.fsync(file.fileno())
    return made


@contextlib.asynccontextmanager
async def redis_of(config: Config, *, locked: bool = False) -> AsyncIterator[Log]:
    """The desk's Redis: the configured one, that of the desk that runs here, or that of a desk that does not,
    which is started for the time being; ``locked``: the caller has its folder. Raises ``NavbatError``."""
    async with contextlib.AsyncExitStack() as stack:
        url = config.redis
        if not url:
            try:
                url = await attach(config.folder)
            except Unavailable:
                if not locked:
                    stack.enter_context(FolderLock(config.folder))
                server = EmbeddedRedis(config.folder)
                stack.push_async_callback(server.stop)
                await server.start()
                url = server.url
        log = make_log(place_of(config, url))
        stack.push_async_callback(log.close)
        yield log


@contextlib.asynccontextmanager
async def _still(config: Config, part: Path) -> AsyncIterator[Store]:
    """The store as it is at one instant, where it is a file; else as it is while it is read."""
    if config.mongodb:
        store = make_store(place_of(config, ""))
        await opened(store)
        try:
            yield store
        finally:
            await store.close()
        return
    copy = part / "navbat.sqlite"
    await asyncio.to_thread(_copy_sqlite, config.folder / "navbat.sqlite", copy)
    store = SqliteStore(copy)
    await opened(store)
    try:
        yield store
    finally:
        await store.close()
        for name in ("navbat.sqlite", "navbat.sqlite-wal", "navbat.sqlite-shm"):
            (part / name).unlink(missing_ok=True)


def _copy_sqlite(source: Path, target: Path) -> None:
    """In one step, which is one reading transaction: nobody is held up, and nothing is half written in it."""
    if not source.exists():
        return
    try:
        with (
            contextlib.closing(
                sqlite3.connect(f"file:{_quoted(source)}?mode=ro", uri=True, timeout=5)
            ) as old,
            contextlib.closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new, pages=-1)
    except sqlite3.Error as error:
        raise NavbatError(
            f"{source} cannot be copied: {error}", "`navbat repair` says what can be saved"
        ) from error


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path.absolute()))


def write_keys(path: Path, kept: list[Kept]) -> Sum:
    """Keys of Redis one after the other, each as its length (4 bytes, big end first) and MessagePack."""
    digest = hashlib.sha256()
    with path.open("xb") as file:
        for one in kept:
            data = msgspec.msgpack.encode(tuple(one))
            for piece in (len(data).to_bytes(4, "big"), data):
                digest.update(piece)
                file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return Sum(len(kept), digest.hexdigest())


def sum_of_keys(path: Path) -> Sum:
    """The same of a file that ``write_keys`` wrote. Raises ``OSError``."""
    digest = hashlib.sha256()
    count = 0
    for data in _pieces(path):
        digest.update(len(data).to_bytes(4, "big") + data)
        count += 1
    return Sum(count, digest.hexdigest())


def read_keys(path: Path) -> Iterator[Kept]:
    """The keys of a file whose sum is right."""
    for data in _pieces(path):
        yield Kept(*msgspec.msgpack.decode(data, type=tuple[str, int, bytes]))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while head := file.read(4):
            yield file.read(int.from_bytes(head, "big"))


def copy_media(source: Path, target: Path) -> tuple[int, int]:
    """Files never change once they are there, so that copying them one by one is copying them at once. Those
    that are damaged are named on stderr and left out. Returns how many it copied, and their bytes."""
    count = size = 0
    for path in media_of(source):
        place = target / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError):  # erased meanwhile
            copied = copy_file(path, place)
            if copied is None:
                print(f"warning: {path} is damaged, and left out", file=sys.stderr)
                continue
            size += copied
            count += 1
    return count, size


def media_of(folder: Path) -> Iterator[Path]:
    """The files in a folder of media."""
    for inner in sorted(folder.glob("[0-9a-f][0-9a-f]")):
        yield from sorted(path for path in inner.iterdir() if len(path.name) == 64)


def copy_file(source: Path, target: Path) -> int | None:
    """Copies a file of media to disk and returns its bytes; None, and no copy, when its content is not what
    its name says. Raises ``OSError``."""
    digest = hashlib.sha256()
    size = 0
    with (
        source.open("rb") as old,
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new,
    ):
        while chunk := old.read(CHUNK):
            digest.update(chunk)
            size += new.write(chunk)
        new.flush()
        os.fsync(new.fileno())
    if digest.hexdigest() != source.name:
        target.unlink()
        return None
    return size
