"""Changing lines and operators while the desk runs: first the version is kept, then the desk is told.

Whoever is cut off in between has kept it: the next change, and every start of the desk, tells it what
is in force. Knows no configuration file: a ``LineCompiler`` reads and writes settings.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

import msgspec

from crm.kernel.errors import Refused
from crm.kernel.ports import Store
from crm.kernel.records import Account
from crm.lines import versions
from crm.lines.versions import LineVersion, VersionSource, WrittenSettings
from router.desk.bots.flow import Flow
from router.desk.events import LinesConfigured, OperatorChanged
from router.desk.rules import LineRules
from router.log.log import Log
from router.wire.admin_frames import SettingView

logger = logging.getLogger(__name__)


class LineCompiler(Protocol):
    """How settings are written. Methods raise ``Refused("bad_settings", problems=…)``, one problem a
    line, when they cannot be."""

    def compile(self, given: Mapping[str, WrittenSettings]) -> dict[str, LineRules]:
        """All lines as the desk uses them; what is wrong between lines is a problem too."""

    def edited(self, settings: WrittenSettings, changes: Mapping[str, str]) -> WrittenSettings:
        """The settings with some of them changed: key -> YAML text, empty for the default."""

    def texts(self, settings: WrittenSettings) -> dict[str, str]:
        """Each setting as one line of YAML."""

    def views(self, settings: WrittenSettings) -> list[SettingView]:
        """Every setting that there is, for a form."""

    def flows(self, rules: Mapping[str, LineRules]) -> dict[str, Flow]:
        """The scripted bots that the lines name."""

    def told(self, account: Account) -> OperatorChanged:
        """What the desk is told of an account, with what the configuration says of the operator."""

    def check_account(self, account: Account) -> None:
        """Raises when its settings cannot be."""


async def change(
    store: Store, book: LineCompiler, line: str, settings: WrittenSettings, *, expected: int, by: str, source: VersionSource,
    comment: str = "",
) -> LineVersion:  # fmt: skip
    """Keeps new settings of a line as the version after ``expected``. Settings that are in force
    already make no version. Somebody may have changed another line at the same moment, and both together
    be impossible: then this change is taken back. Raises ``Refused``: ``bad_settings``, ``line_changed``."""
    there = await versions.in_force(store)
    if line in there and there[line].settings == versions.plain(settings):
        return there[line]
    book.compile({**{name: found.settings for name, found in there.items()}, line: settings})
    made = await versions.put(store, line, settings, expected=expected, by=by, source=source, comment=comment)
    try:
        book.compile({name: found.settings for name, found in (await versions.in_force(store)).items()})
    except Refused:
        await _take_back(store, made, there.get(line))
        raise
    return made


async def _take_back(store: Store, made: LineVersion, before: LineVersion | None) -> None:
    with suppress(Refused):  # who has changed it again already has seen both
        await versions.put(
            store, made.line, before.settings if before else {}, expected=made.version, by=made.by,
            source="rollback", comment="impossible together with another change", removed=before is None,
        )  # fmt: skip


async def publish(store: Store, log: Log, book: LineCompiler, base: LinesConfigured | None = None) -> bool:
    """Tells the desk the lines in force, with the channels of ``base`` or those it has. False: there is
    no desk that has them. Whoever tells last has looked at the versions after all others had kept
    theirs: it is repeated until nothing has changed meanwhile."""
    told: dict[str, LineVersion] | None = None
    while (now := await versions.in_force(store)) != told:
        known = base or configured(await log.load_fields())
        if not known.channels and not known.lines and base is None:
            return False
        rules = book.compile({name: now[name].settings for name in _order(known, now)})
        flows = {**known.flows, **book.flows(rules)}
        await log.append(msgspec.structs.replace(known, at=0, event_id="", lines=rules, flows=flows))
        told = now
    return True


def _order(known: LinesConfigured, now: Mapping[str, LineVersion]) -> list[str]:
    """As the desk has them, new ones at the end: what loses its line goes on in the first one."""
    return [
        *(name for name in known.lines if name in now),
        *(name for name in now if name not in known.lines),
    ]


def configured(fields: Mapping[str, bytes]) -> LinesConfigured:
    """The lines as the desk's own fields hold them."""
    if "configured" not in fields:
        return LinesConfigured(lines={}, channels={})
    return msgspec.msgpack.decode(fields["configured"], type=LinesConfigured)


def understood(fields: Mapping[str, bytes]) -> LinesConfigured:
    """The same as far as this version knows the words: lines that a newer one has set up otherwise are left
    out. Never raises."""
    try:
        return configured(fields)
    except Exception as error:  # noqa: BLE001 - of a newer version, or broken
        logger.warning("the lines cannot be read as they are: %s", type(error).__name__)
    lines: dict[str, LineRules] = {}
    channels: dict[str, str] = {}
    with suppress(Exception):
        found = msgspec.msgpack.decode(fields["configured"])
        channels = msgspec.convert(found.get("channels", {}), dict[str, str])
        for name, rules in found.get("lines", {}).items():
            with suppress(msgspec.ValidationError):
                lines[name] = msgspec.convert(rules, LineRules)
    return LinesConfigured(lines=lines, channels=channels)
