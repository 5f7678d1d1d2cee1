"""What the desk is told at its start: accounts, and the lines in force."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from crm.kernel.errors import ConfigError, Refused
from crm.lines import versions
from crm.operators import accounts
from navbat.config.rulebook import Rulebook
from navbat.config.types import Config
from router.gateway.answers import line_changes

if TYPE_CHECKING:
    from crm.kernel.ports import Store
    from router.log.log import Log


async def announce(config: Config, book: Rulebook, log: Log, store: Store) -> None:
    """Tells the desk its accounts and lines as they are now, before anything new can come in. A line
    that was edited in the file since it was last read becomes a version and wins; else the newest
    version stays in force. Raises ``ConfigError`` when what is in force cannot be used."""
    known = set()
    for account in await accounts.list_accounts(store):
        known.add(account.name)
        await log.append(book.told(account))
    await versions.take_up_file(store, book.written)
    try:
        await line_changes.publish(store, log, book, config.lines_configured())
    except Refused as refused:
        raise ConfigError(
            f"the lines in force cannot be used: {refused.params.get('problems', refused)}",
            "edit the line in the file, or go back: navbat line versions LINE, navbat line rollback LINE N",
        ) from refused
    for name, found in (await versions.in_force(store)).items():
        _say(book, name, found, known)


def _say(book: Rulebook, name: str, found: versions.LineVersion, known: set[str]) -> None:
    """Talk about a line: not the file's rules, members nobody can log in as."""
    if found.source != "file" and found.settings != book.written.get(name):
        print(
            f"line {name}: version {found.version} by {found.by} is in force, not the file's "
            f"(navbat line diff {name})",
            file=sys.stderr,
        )
    for member in found.settings.get("members") or ():
        if member not in known:
            print(
                f"line {name}: {member} has no account yet; `navbat operator add {member}` makes one",
                file=sys.stderr,
            )
