"""``navbat move-store --to URL``: the documents of one store into another, from SQLite to MongoDB or back."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys

import msgspec

from crm.kernel.errors import NavbatError, WrongUse
from crm.kernel.ports import Store, Write
from navbat.config.backends import MOVING, DeskAddress, make_store, place_of
from navbat.config.types import Config, load, locate
from navbat.keeping import copying
from navbat.run.embedded import FolderLock, belongs_to
from storage.migrations.migrating import refuse_newer

DONE = 0


def main(args: argparse.Namespace) -> int:
    """0: the other store has all that this one has. Raises ``NavbatError``."""
    config = load(locate(args.config), channels=False)
    source, target = place_of(config, ""), _target(config, args.to)
    if not config.folder.is_dir():
        raise NavbatError(f"there is no data folder {config.folder}")
    with FolderLock(config.folder):
        belongs_to(config.folder, config.desk)
        return asyncio.run(_move(source, target, as_json=args.json))


def _target(config: Config, url: str) -> DeskAddress:
    place = place_of(config, "")
    if url == "sqlite":
        other = DeskAddress(desk=place.desk, data=place.data, redis="")
    elif url.startswith(("mongodb://", "mongodb+srv://")):
        other = DeskAddress(desk=place.desk, data=place.data, redis="", mongodb=url)
    else:
        raise WrongUse(f"--to {url}: expected mongodb://…, or sqlite for the file in the data folder")
    if other.mongodb == place.mongodb:
        raise WrongUse(f"--to {url}: that is the store that the configuration names already")
    return other


async def _move(source: DeskAddress, target: DeskAddress, *, as_json: bool) -> int:
    async with contextlib.AsyncExitStack() as stack:
        old, new = make_store(source), make_store(target)
        for store in (old, new):
            stack.push_async_callback(store.close)
            await store.open()
            await refuse_newer(store)
        await _claim(new, source.store_kind)
        names = await copying.names(old)
        names += [name for name in await new.collections() if name not in (*names, MOVING)]
        for name in names:
            print(f"{name}: {await copying.bring_up(old, new, name)} written", file=sys.stderr, flush=True)
        sums = {name: await copying.sum_of(new, name) for name in names}
        if as_json:
            print(msgspec.json.encode(sums).decode())
        else:
            for name, found in sums.items():
                print(f"{name} {found.count} {found.sha256}")
        differing = [name for name, found in sums.items() if await copying.sum_of(old, name) != found]
        if differing:
            raise NavbatError(f"the stores differ in {', '.join(differing)}", "run the same command again")
        await new.write([Write.delete(MOVING, {})])
    line = "say `mongodb:` with that address" if target.mongodb else "leave `mongodb:` out"
    print(f"the same is in both stores. Now the configuration may {line}", file=sys.stderr)
    return DONE


async def _claim(store: Store, source: str) -> None:
    """A store that is no copy of ours in the making must be empty: nothing of another desk is deleted."""
    if await store.get(MOVING, source):
        return
    for name in await store.collections():
        if await store.find(name, {}, limit=1):
            raise NavbatError(f"the other store has {name} already", "move into an empty one")
    await store.write([Write.replace(MOVING, {"_id": source})])
