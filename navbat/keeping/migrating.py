"""``navbat migrate``: a store of an earlier version becomes one of this version. ``navbat run`` does the same."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys

from crm.kernel.errors import NavbatError
from crm.kernel.ports import Store
from navbat.config.backends import make_store, opened, place_of
from navbat.config.types import Config, load, locate
from navbat.run.embedded import belongs_to
from storage.migrations.migrating import Taken, migrate, version_of

DONE = 0


def main(args: argparse.Namespace) -> int:
    """0: the store is of this version now. Raises ``NavbatError``."""
    config = load(locate(args.config), channels=False)
    if not config.mongodb and not (config.folder / "navbat.sqlite").exists():
        raise NavbatError(f"there is no store in {config.folder} yet", "`navbat run` makes one")
    if not config.mongodb:
        belongs_to(config.folder, config.desk)
    version, taken = asyncio.run(_migrate(config))
    if args.json:
        print(json.dumps({"version": version, "steps": [step._asdict() for step in taken]}))
    else:
        for step in taken:
            print(_line(step))
    print(f"the store is at version {version}" + ("" if taken else " already"), file=sys.stderr)
    return DONE


async def migrated(store: Store) -> None:
    """Brings an opened store up to this version, and says so on stderr."""
    for step in await migrate(store):
        print(f"the store has changed: {_line(step)}", file=sys.stderr, flush=True)


async def _migrate(config: Config) -> tuple[int, list[Taken]]:
    async with contextlib.AsyncExitStack() as stack:
        store = make_store(place_of(config, ""))
        stack.push_async_callback(store.close)
        await opened(store)
        taken = await migrate(store)
        return await version_of(store), taken


def _line(step: Taken) -> str:
    return f"{step.number} {step.name}: {step.documents} documents"
