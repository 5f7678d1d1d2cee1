"""``navbat line …``: the lines' rules, versioned, whether the desk runs or not."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from crm.kernel.errors import ConfigError, NavbatError, Refused
from crm.kernel.ports import Store
from crm.kernel.records import Absence
from crm.kernel.text import one_line
from crm.lines import versions
from crm.lines.versions import LineVersion, VersionSource, WrittenSettings
from crm.operators import accounts
from navbat.cli import shapes
from navbat.cli.arguments import unknown_word
from navbat.cli.printing import print_json
from navbat.cli.reach import by, opened_store, tell
from navbat.config.file import YamlFile, show_path
from navbat.config.lines import member_problem, problems_now
from navbat.config.rulebook import Rulebook, as_kept
from navbat.config.types import Config, locate
from router.gateway.answers import line_changes

if TYPE_CHECKING:
    from router.log.log import Log


class LineCommands:
    """The lines of one desk at the command line."""

    def __init__(self, config: Config, book: Rulebook, store: Store, args: argparse.Namespace) -> None:
        self.config, self.book, self.store, self.args = config, book, store, args

    # ---------------------------------------------------------------- reading

    async def list(self) -> None:
        found = await versions.in_force(self.store)
        if self.args.json:
            print_json([_row(version) for version in found.values()])
            return
        for name, version in found.items():
            mode = version.settings.get("mode", "even")
            members = ",".join(version.settings.get("members") or ()) or "-"
            print(f"{name:<20} {mode:<13} {members:<30} {_made(version)}")

    async def show(self) -> None:
        version = await self.current()
        if self.args.json:
            print_json(_row(version))
            return
        print(f"# {version.line}: {_made(version)}")
        for name, text in self.book.texts(version.settings).items():
            print(f"{name}: {text}")

    async def versions(self) -> None:
        found = await versions.versions(self.store, self.args.line)
        if not found:
            raise Refused("no_such_line", line=self.args.line)
        if self.args.json:
            print_json([_row(version) for version in found])
            return
        for version, before in zip(found, [*found[1:], None], strict=True):
            keys = ", ".join(_changed(self.book, before.settings if before else {}, version.settings))
            print(f"{_made(version)}  {'removed' if version.removed else keys or 'nothing changed'}")

    async def diff(self) -> None:
        """Against what is in force; without a number, the file against it."""
        if self.args.first is None:
            before, name = dict(self.book.written.get(self.args.line, {})), "the file"
        else:
            before = (await versions.version(self.store, self.args.line, self.args.first)).settings
            name = f"version {self.args.first}"
        if self.args.second is None:
            after = await self.current()
        else:
            after = await versions.version(self.store, self.args.line, self.args.second)
        changed = _changed(self.book, before, after.settings)
        if self.args.json:
            print_json(
                {key: {"before": old or None, "after": new or None} for key, (old, new) in changed.items()}
            )
            return
        print(f"--- {name}\n+++ version {after.version}")
        for key, (old, new) in changed.items():
            print(*([f"-{key}: {old}"] if old else []), *([f"+{key}: {new}"] if new else []), sep="\n")

    # ---------------------------------------------------------------- changing

    async def set(self) -> None:
        await self._change(_pairs(self.args.changes))

    async def add(self) -> None:
        if self.args.line in await versions.in_force(self.store):
            raise NavbatError(f"there is a line {self.args.line} already", "navbat line set changes it")
        newest = await versions.newest(self.store, self.args.line)
        settings = self.book.edited({}, _pairs(self.args.changes))
        await self._keep(settings, newest.version if newest else 0)

    async def remove(self) -> None:
        if self.args.line in self.book.written:
            raise NavbatError(
                f"line {self.args.line} stands in the configuration",
                "take it out there; the next start sees it",
            )
        version = await self.current()
        there = await versions.in_force(self.store)
        self.book.compile({name: v.settings for name, v in there.items() if name != version.line})
        made = await versions.put(
            self.store, version.line, {}, expected=version.version, by=by(), source="cli", removed=True,
            comment=self.args.comment,
        )  # fmt: skip
        await self._publish()
        self._told(made)

    async def edit_from(self) -> None:
        """All settings of the line, from a file that holds its mapping alone."""
        version = await self.current()
        file = YamlFile(Path(self.args.file), env={})
        if not isinstance(file.tree, dict):
            raise ConfigError(f"{self.args.file}: expected a mapping such as `mode: even`")
        try:
            settings = as_kept(file.tree)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{self.args.file}: {error}") from error
        for path, wrong in problems_now(settings):
            raise ConfigError(f"{self.args.file}: {show_path(path)}: {wrong}")
        await self._keep(settings, version.version)

    async def rollback(self) -> None:
        version = await versions.version(self.store, self.args.line, self.args.version)
        if version.removed:
            raise NavbatError(f"version {version.version} took the line away: there is nothing to go back to")
        newest = await versions.newest(self.store, self.args.line)
        comment = self.args.comment or f"back to version {version.version}"
        await self._keep(
            version.settings, newest.version if newest else 0, source="rollback", comment=comment
        )

    async def shift(self) -> None:
        """One member's shifts, whole: the days that are given, or none."""
        name = self.args.name
        days = {} if self.args.none else _pairs(self.args.days)
        version = await self.current()
        shifts = dict(version.settings.get("shifts") or {})
        week = self.book.edited({}, {f"shifts.{_plain_name(name)}.{day}": text for day, text in days.items()})
        shifts.pop(name, None)
        if days:
            shifts[name] = next(iter(week["shifts"].values()))
        await self._keep({**version.settings, "shifts": shifts}, version.version)

    async def absence(self) -> None:
        account = await accounts.get_account(self.store, self.args.name)
        absence = Absence(from_=self.args.first, to=self.args.last, reason=self.args.reason)
        days = (absence.from_, absence.to)
        kept = [a for a in account.absences if (a.from_, a.to) != days]
        if self.args.what == "remove" and len(kept) == len(account.absences):
            raise NavbatError(f"{account.name} has no absence from {days[0]} to {days[1]}")
        account.absences = [*kept, absence] if self.args.what == "add" else kept
        self.book.check_account(account)
        await accounts.set_settings(self.store, account, ["absences"], by=by())
        event = self.book.told(account)

        async def say(log: Log) -> bool:
            await log.append(event)
            return True

        await tell(self.config, say)
        if self.args.json:
            absences = [msgspec.to_builtins(absence) for absence in account.absences]
            print_json({"outcome": "done", "name": account.name, "absences": absences})

    async def current(self) -> LineVersion:
        """Raises ``NavbatError`` with the lines that there are."""
        if self.args.line not in (found := await versions.in_force(self.store)):
            raise NavbatError(
                f"there is no line {self.args.line}", unknown_word("line", self.args.line, found)
            )
        return found[self.args.line]

    async def _change(self, changes: Mapping[str, str]) -> None:
        version = await self.current()
        await self._keep(self.book.edited(version.settings, changes), version.version)

    async def _keep(
        self, settings: WrittenSettings, expected: int, *, source: VersionSource = "cli", comment: str = ""
    ) -> None:
        before = (await versions.in_force(self.store)).get(self.args.line)
        made = await line_changes.change(
            self.store, self.book, self.args.line, settings,
            expected=expected if self.args.expected is None else self.args.expected,
            by=by(), source=source, comment=comment or self.args.comment,
        )  # fmt: skip
        print(f"line {made.line}: version {made.version} is in force", file=sys.stderr)
        await self._name_absent(made, before)
        await self._publish()
        self._told(made)

    async def _name_absent(self, made: LineVersion, before: LineVersion | None) -> None:
        """New members whom nobody can log in as. They stay: a line may be set up before its accounts."""
        there = (before.settings.get("members") or ()) if before else ()
        known = {account.name: account for account in await accounts.list_accounts(self.store)}
        for member in made.settings.get("members") or ():
            if member not in there and (wrong := member_problem(member, known)):
                print(f"{made.line}.members: {one_line(wrong, 200)}", file=sys.stderr)

    def _told(self, version: LineVersion) -> None:
        if self.args.json:
            print_json({"outcome": "done", **_row(version)})

    async def _publish(self) -> None:
        await tell(self.config, lambda log: line_changes.publish(self.store, log, self.book))


_ACTIONS: dict[str, Callable[[LineCommands], Awaitable[None]]] = {
    "list": LineCommands.list,
    "show": LineCommands.show,
    "set": LineCommands.set,
    "add": LineCommands.add,
    "remove": LineCommands.remove,
    "edit-from": LineCommands.edit_from,
    "versions": LineCommands.versions,
    "diff": LineCommands.diff,
    "rollback": LineCommands.rollback,
    "shift": LineCommands.shift,
    "absence": LineCommands.absence,
}


async def main(args: argparse.Namespace) -> int:
    """``navbat line ACTION …``."""
    config, book = Rulebook.load(locate(args.config), channels=False)
    async with opened_store(config) as store:
        if not await versions.in_force(store):
            # Before the first start the file is what there is.
            await versions.take_up_file(store, book.written)
        await _ACTIONS[args.action](LineCommands(config, book, store, args))
    return 0


def _pairs(given: Sequence[str]) -> dict[str, str]:
    """``key=value …``; an empty value is the default."""
    pairs = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise NavbatError(f"{text!r} is no setting", "write key=value, such as answer_within=2m")
        pairs[key] = value
    return pairs


def _plain_name(name: str) -> str:
    # A dot would lead deeper: the name itself is put in afterwards.
    return name.replace(".", "_")


def _changed(book: Rulebook, before: WrittenSettings, after: WrittenSettings) -> dict[str, tuple[str, str]]:
    """Key -> (text before, text now), where they differ."""
    old, new = book.texts(before), book.texts(after)
    keys = dict.fromkeys((*old, *new))
    return {key: (old.get(key, ""), new.get(key, "")) for key in keys if old.get(key) != new.get(key)}


def _made(version: LineVersion) -> str:
    comment = f" ({version.comment})" if version.comment else ""
    who = f" by {version.by}" if version.by else ""
    return f"version {version.version}  {shapes.rfc3339(version.at)}  {version.source}{who}{comment}"


def _row(version: LineVersion) -> dict[str, Any]:
    return {
        "line": version.line,
        "version": version.version,
        "at": shapes.rfc3339(version.at),
        "by": version.by or None,
        "source": version.source,
        "comment": version.comment,
        "removed": version.removed,
        "settings": msgspec.to_builtins(version.settings),
    }
