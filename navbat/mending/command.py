"""``navbat repair``: says what is damaged in the data folder and what would be lost, and mends with consent."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from crm.kernel.errors import NavbatError
from navbat.config.types import Config, load, locate
from navbat.mending import journal
from navbat.run.embedded import EmbeddedRedis, FolderLock, belongs_to, find_server
from navbat.run.serving import survivor
from storage.salvage import Salvaged, problems, readable, rebuild

DONE, FAILED = 0, 1


def main(args: argparse.Namespace) -> int:
    """0: nothing is damaged, or it was mended; 1: it is damaged, or cannot be mended."""
    config = load(locate(args.config), channels=False)
    if not config.folder.is_dir():
        raise NavbatError(f"there is no data folder {config.folder}")
    if config.redis and config.mongodb:
        print("nothing of this desk is kept here: Redis and MongoDB have tools of their own", file=sys.stderr)
        return DONE
    with FolderLock(config.folder):
        belongs_to(config.folder, config.desk)
        return asyncio.run(_repair(config, args))


async def _repair(config: Config, args: argparse.Namespace) -> int:
    if not config.redis and await survivor(config.folder):
        raise NavbatError(
            "a redis-server still works in the folder", "start navbat once and stop it, or end it by hand"
        )
    work = Work(config, args.backup)
    work.look()
    if args.json:
        print(json.dumps(work.shown(), ensure_ascii=False, indent=2))
    else:
        for line in work.report():
            print(line)
    if work.is_whole:
        await work.try_out()
        return DONE
    if not (args.yes or _consents()):
        print("nothing was changed; `navbat repair --yes` mends it", file=sys.stderr)
        return FAILED
    for line in work.mend():
        print(line, file=sys.stderr)
    await work.try_out()
    print("mended", file=sys.stderr)
    return DONE


def _consents() -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return input("mend it, and lose what is said above? [y/N] ").strip().casefold() in ("y", "yes")


class Work:
    """What was found, and what to do about it."""

    def __init__(self, config: Config, backup: str) -> None:
        self._folder = config.folder
        self._redis = None if config.redis else config.folder / "redis"
        self._store = None if config.mongodb else config.folder / "navbat.sqlite"
        self._backup = _backup_file(backup) if backup else None
        self._damages: list[journal.Damage] = []
        self._problems: list[str] = []
        self._saved = Salvaged()

    @property
    def is_whole(self) -> bool:
        return not self._damages and not self._problems

    def look(self) -> None:
        """Reads everything; changes nothing."""
        if self._redis and self._redis.is_dir():
            self._damages = journal.examine(self._redis, find_server()[0])
        if self._store and self._store.exists():
            self._problems = problems(self._store)
            if self._problems:
                with contextlib.suppress(sqlite3.Error):
                    self._saved = readable(self._store)

    def report(self) -> list[str]:
        """For a person."""
        if self.is_whole:
            return ["nothing is damaged"]
        lines = [damage.text for damage in self._damages]
        if self._damages:
            lines.append(
                "  lost would be what is named, and nothing else; the damaged part is kept in redis/damaged"
            )
        if not self._problems:
            return lines
        lines.append(f"{self._store}: is damaged: {self._problems[0]}")
        lines.append(f"  can be read: {_counts(self._saved.documents) or 'nothing'}")
        if self._saved.gaps:
            lines.append(f"  cannot be read: parts of {', '.join(sorted(self._saved.gaps))}")
        if self._backup:
            lines.append(f"  what is missing is taken from {self._backup}")
        else:
            lines.append("  what is missing could be taken from a backup of navbat.sqlite: --backup FILE")
        lines.append(
            "  the last hours (conversations and messages) are written anew from the journal in Redis"
        )
        if "accounts" not in self._saved.documents and not self._backup:
            lines.append("  no account can be read: make them again with `navbat operator add`")
        return lines

    def shown(self) -> dict[str, Any]:
        """For a script."""
        found: dict[str, Any] = {
            "damaged": not self.is_whole,
            "redis": [
                {
                    "file": str(d.file),
                    "from": d.start,
                    "to": d.end,
                    "size": d.size,
                    "what": d.what,
                    "lost": d.lost,
                }
                for d in self._damages
            ],
            "store": None,
        }
        if self._problems:
            found["store"] = {
                "file": str(self._store), "problem": self._problems[0],
                "readable": self._saved.documents, "unreadable": sorted(self._saved.gaps),
            }  # fmt: skip
        return found

    def mend(self) -> list[str]:
        """Returns what was done. Raises ``NavbatError``; then everything that is not named is as it was."""
        lines = []
        try:
            if self._damages:
                lines += [f"kept what was taken out: {path}" for path in journal.mend(self._damages)]
            if self._problems:
                lines += self._mend_store()
        except (OSError, sqlite3.Error) as error:
            raise NavbatError(f"cannot be mended: {error}", "is there room on the disk?") from error
        return lines

    def _mend_store(self) -> list[str]:
        assert self._store is not None
        fresh = self._store.with_name("navbat.sqlite.mending")
        _remove(fresh)
        try:
            sources = [path for path in (self._backup, self._store) if path is not None]
            saved = _rebuilt(sources, fresh)
        except BaseException:
            _remove(fresh)
            raise
        kept = self._folder / "damaged" / time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        kept.mkdir(mode=0o700, parents=True)
        for suffix in ("-wal", "-shm", ""):
            old = self._store.with_name(self._store.name + suffix)
            if old.exists():
                old.rename(kept / old.name)
        fresh.rename(self._store)
        _remove(fresh)
        counts: dict[str, int] = {}
        for part in saved:
            for name, count in part.documents.items():
                counts[name] = max(counts.get(name, 0), count)
        return [
            f"{self._store} was made anew of {_counts(counts) or 'nothing'}",
            f"kept the damaged one: {kept}",
        ]

    async def try_out(self) -> None:
        """The server must take what is there. Raises ``NavbatError``."""
        if self._redis and self._redis.is_dir():
            server = EmbeddedRedis(self._folder)
            try:
                await server.start()
            finally:
                await server.stop()


def _rebuilt(sources: list[Path], fresh: Path) -> list[Salvaged]:
    """A file of which not even the list of tables can be read is left out."""
    usable = []
    for source in sources:
        with contextlib.suppress(sqlite3.Error):
            if readable(source).documents:
                usable.append(source)
    return rebuild(usable, fresh)


def _backup_file(given: str) -> Path:
    path = Path(given)
    for found in (path, path / "navbat.sqlite", path / "data" / "navbat.sqlite"):
        if found.is_file():
            return found
    raise NavbatError(f"{path} is no backup: neither a navbat.sqlite nor a folder with one")


def _counts(documents: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(documents.items()))


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
