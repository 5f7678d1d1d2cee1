"""``navbat restore DIR``: puts a backup into an empty place, the one that the configuration names.

Everything is checked before anything is written. Cut off in the middle, the place says so (a desk refuses to
run on it) and the same command begins anew.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import sys
from pathlib import Path

import msgspec

from crm.kernel.errors import NavbatError
from crm.kernel.ports import Store
from navbat.config.backends import make_store, opened, place_of
from navbat.config.types import Config, load, locate
from navbat.keeping import copying
from navbat.keeping.backup import (
    FORMAT,
    MANIFEST,
    Manifest,
    copy_media,
    read_keys,
    redis_of,
    sum_of_keys,
)
from navbat.run.embedded import RESTORING, FolderLock, belongs_to, make_private
from router.log.dump import is_empty, restore
from storage.media import sync_folder
from storage.migrations import migrating
from storage.schema import is_collection

DONE = 0


def main(args: argparse.Namespace) -> int:
    """``navbat restore DIR``. Raises ``NavbatError``."""
    config = load(locate(args.config), channels=False)
    backup = Path(args.folder)
    made = check(backup)
    if made.desk != config.desk:
        raise NavbatError(
            f"{backup} is a backup of the desk {made.desk}, and this configuration is that of {config.desk}",
            f"set `desk: {made.desk}`",
        )
    make_private(config.folder)
    mark = config.folder / RESTORING
    with FolderLock(config.folder):
        _begin(mark, backup)
        waiting = asyncio.run(_restore(config, backup, made))
        mark.unlink()
        belongs_to(config.folder, config.desk, claim=True)
    if args.json:
        print(json.dumps({"desk": made.desk, "made_at": made.made_at, "unknown": waiting}))
    print(f"restored the desk {made.desk}", file=sys.stderr)
    if waiting:
        print(
            f"{waiting} messages waited to be sent and may have been sent since: they are shown as unknown,"
            " to be sent again by hand",
            file=sys.stderr,
        )
    return DONE


def check(backup: Path) -> Manifest:
    """What is in a backup, once all of it has been read and is as it was written. Raises ``NavbatError``."""
    try:
        made = msgspec.json.decode((backup / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise NavbatError(f"{backup} is no backup: {MANIFEST} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise NavbatError(f"{backup / MANIFEST} is damaged: {error}") from error
    if made.format > FORMAT:
        raise NavbatError(
            f"{backup} was made by navbat {made.navbat}", "restore it with that version or a newer one"
        )
    for name, expected in made.store.items():
        path = backup / "store" / f"{name}.jsonl"
        if not is_collection(name) or copying.sum_of_file(path) != expected:
            raise NavbatError(f"{path} is damaged: it is not what was written", "use another backup")
    if migrating.COLLECTION in made.store:
        state = copying.documents_of(backup / "store" / f"{migrating.COLLECTION}.jsonl")
        migrating.refuse_version(
            max((migrating.version_in(one) for one in state if one["_id"] == migrating.STATE), default=0)
        )
    path = backup / "redis.dump"
    try:
        whole = sum_of_keys(path) == made.redis
    except OSError as error:
        raise NavbatError(f"{path} cannot be read: {error.strerror}") from error
    if not whole:
        raise NavbatError(f"{path} is damaged: it is not what was written", "use another backup")
    return made


def _begin(mark: Path, backup: Path) -> None:
    """Says in the folder that it is half restored, and from what."""
    sign = hashlib.sha256((backup / MANIFEST).read_bytes()).hexdigest() + "\n"
    if mark.exists():
        if mark.read_text(encoding="utf-8", errors="replace") != sign:
            raise NavbatError(
                f"{mark.parent} is half restored from another backup",
                "go on with that one, or choose an empty folder (data: in the configuration)",
            )
        return
    there = [name for name in ("navbat.sqlite", "redis", "media") if (mark.parent / name).exists()]
    if there:
        raise NavbatError(
            f"the data folder {mark.parent} is in use: it has {', '.join(there)}",
            "move it away, or choose an empty one (data: in the configuration)",
        )
    fresh = mark.with_suffix(".new")
    fresh.write_text(sign, encoding="utf-8")
    fresh.replace(mark)
    sync_folder(mark.parent)


async def _restore(config: Config, backup: Path, made: Manifest) -> int:
    """Returns how many deliveries waited to be sent."""
    store = make_store(place_of(config, ""))
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        await opened(store)
        log = await stack.enter_async_context(redis_of(config, locked=True))
        begun = config.folder / (RESTORING + ".begun")
        if not begun.exists():
            if not await is_empty(log):
                raise NavbatError(
                    f"Redis has keys of a desk {config.desk} already", "restore into an empty one"
                )
            await _refuse_full(store)
            begun.touch(mode=0o600)
        for name in made.store:
            await copying.from_file(backup / "store" / f"{name}.jsonl", store, name)
        for name, expected in made.store.items():
            if await copying.sum_of(store, name) != expected:
                raise NavbatError(f"the store has other {name} than the backup", "run the same command again")
        await asyncio.to_thread(copy_media, backup / "media", config.folder / "media")
        waiting = await restore(log, read_keys(backup / "redis.dump"))
    begun.unlink()
    return waiting


async def _refuse_full(store: Store) -> None:
    for name in await store.collections():
        if await store.find(name, {}, limit=1):
            raise NavbatError(f"the store has {name} already", "restore into an empty one")
