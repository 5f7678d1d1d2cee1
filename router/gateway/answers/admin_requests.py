"""Lines and operators over the wire: what the console's forms show and change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from crm.kernel.access import Reach
from crm.kernel.errors import Refused
from crm.kernel.ports import Store
from crm.kernel.records import Account
from crm.lines import versions
from crm.lines.versions import LineVersion, WrittenSettings
from crm.operators import accounts
from router.gateway.access import Access
from router.gateway.answers import line_changes
from router.gateway.answers.line_changes import LineCompiler
from router.gateway.connection import Connection
from router.log.log import Log
from router.wire import protocol

BY_LEADERS = frozenset({"members", "shifts"})
"""Settings of a line that whoever leads it may change; the others are the administrators'."""
VERSIONS_MAX = 200
COMMENT_MAX = 1000


class Administration:
    """Answers the frames of ``router.wire.admin_frames``."""

    def __init__(self, log: Log, store: Store, book: LineCompiler) -> None:
        self._log = log
        self._store = store
        self._book = book

    def answers(self) -> dict[type[protocol.Frame], Callable[[Connection, Any], Awaitable[None]]]:
        return {
            protocol.GetLine: self._line,
            protocol.GetLineVersions: self._versions,
            protocol.SetLine: self._set_line,
            protocol.RollbackLine: self._rollback,
            protocol.GetOperator: self._operator,
            protocol.SetOperator: self._set_operator,
        }

    # ---------------------------------------------------------------- lines

    async def _line(self, connection: Connection, frame: protocol.GetLine) -> None:
        found = await self._in_force(connection.access, frame.line)
        views = self._book.views(found.settings)
        for view in views:
            view.yours = _may_change(connection.access, frame.line, {view.name})
        connection.send(
            protocol.LineSettings(
                rid=frame.rid, line=found.line, version=found.version, at=found.at, by=found.by,
                source=found.source, comment=found.comment, settings=views,
            )
        )  # fmt: skip

    async def _versions(self, connection: Connection, frame: protocol.GetLineVersions) -> None:
        _needs(connection.access, "lead", frame.line)
        limit = max(1, min(frame.limit, VERSIONS_MAX))
        found = await versions.versions(self._store, frame.line, limit=limit + 1)
        if not found:
            raise Refused("no_such_line", line=frame.line)
        befores = [*(version.settings for version in found[1:]), {}]
        pairs = list(zip(found, befores, strict=True))[:limit]
        connection.send(
            protocol.LineVersions(
                rid=frame.rid, line=frame.line, versions=[self._version_view(*pair) for pair in pairs]
            )
        )

    def _version_view(self, version: LineVersion, before: WrittenSettings) -> protocol.LineVersionView:
        old, new = self._book.texts(before), self._book.texts(version.settings)
        return protocol.LineVersionView(
            version=version.version, at=version.at, by=version.by, source=version.source,
            comment=version.comment, settings=new, removed=version.removed,
            changed={
                key: (old.get(key, ""), new.get(key, ""))
                for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)
            },
        )  # fmt: skip

    async def _set_line(self, connection: Connection, frame: protocol.SetLine) -> None:
        there = await versions.in_force(self._store)
        if frame.line in there:
            _needs(connection.access, "lead", frame.line)
            before = there[frame.line].settings
        elif frame.expected == 0:
            _needs(connection.access, "administer", "")
            before = {}
        else:
            _needs(connection.access, "lead", frame.line)
            raise Refused("no_such_line", line=frame.line)
        settings = self._book.edited(before, frame.changes)
        await self._change(connection, frame, before, settings)

    async def _rollback(self, connection: Connection, frame: protocol.RollbackLine) -> None:
        _needs(connection.access, "lead", frame.line)
        to = await versions.version(self._store, frame.line, frame.to)
        if to.removed:
            raise Refused("no_such_version", line=frame.line, version=str(frame.to))
        there = await versions.in_force(self._store)
        before = there[frame.line].settings if frame.line in there else {}
        await self._change(connection, frame, before, to.settings)

    async def _change(
        self, connection: Connection, frame: protocol.SetLine | protocol.RollbackLine, before: WrittenSettings,
        settings: WrittenSettings,
    ) -> None:  # fmt: skip
        if len(frame.comment) > COMMENT_MAX:
            raise Refused("too_long", limit=str(COMMENT_MAX))
        keys = {key for key in (*before, *settings) if before.get(key) != settings.get(key)}
        if not _may_change(connection.access, frame.line, keys):
            raise Refused("no_right", right="administer", line=frame.line)
        back = f"back to version {frame.to}" if isinstance(frame, protocol.RollbackLine) else ""
        made = await line_changes.change(
            self._store, self._book, frame.line, settings, expected=frame.expected, by=connection.name,
            source="rollback" if back else "console",
            comment=frame.comment or back,
        )  # fmt: skip
        await line_changes.publish(self._store, self._log, self._book)
        connection.send(protocol.Done(rid=frame.rid, params={"version": str(made.version)}))

    async def _in_force(self, access: Access, line: str) -> LineVersion:
        _needs(access, "lead", line)
        there = await versions.in_force(self._store)
        if line not in there:
            raise Refused("no_such_line", line=line)
        return there[line]

    # ---------------------------------------------------------------- operators

    async def _operator(self, connection: Connection, frame: protocol.GetOperator) -> None:
        account = await self._account(connection.access, frame.operator)
        may = await self._may_set(connection.access, account)
        if not may:
            raise Refused("no_right", right="lead")
        told = self._book.told(account)
        connection.send(
            protocol.OperatorSettings(
                rid=frame.rid, operator=account.name, role=account.role, disabled=account.disabled,
                lines=told.lines, max_sessions=told.max_sessions, skills=told.skills,
                languages=told.languages, absences=told.absences, rights=told.rights, crm=msgspec.convert(told.crm, dict[str, dict[str, Reach]]), may=may,
            )
        )  # fmt: skip

    async def _set_operator(self, connection: Connection, frame: protocol.SetOperator) -> None:
        account = await self._account(connection.access, frame.operator)
        before = msgspec.structs.replace(account)
        names = [name for name in accounts.SETTINGS if getattr(frame, name) is not None]
        for name in names:
            setattr(account, name, getattr(frame, name))
        if frame.by_role:
            names.append("rights")
            account.rights = None
        may = await self._may_set(connection.access, before)
        if not set(names) <= set(may):
            raise Refused("no_right", right="administer")
        _may_give(connection.access, account, names)
        self._book.check_account(account)
        await self._known_lines(account, names)
        await accounts.set_settings(self._store, account, names, by=connection.name)
        await self._log.append(self._book.told(account))
        connection.send(protocol.Done(rid=frame.rid))

    async def _account(self, access: Access, name: str) -> Account:
        if "lead" not in access.rights:
            raise Refused("no_right", right="lead")
        return await accounts.get_account(self._store, name)

    async def _may_set(self, access: Access, account: Account) -> list[str]:
        """The settings of an account that this login may change. An administrator of some lines has those
        accounts that are of nothing but his lines; what he may do himself is not his to say."""
        there = await versions.in_force(self._store)
        his = {name for name, found in there.items() if account.name in (found.settings.get("members") or ())}
        if "administer" in access.rights:
            if access.everywhere and (account.name != access.name or access.unlimited):
                return list(accounts.SETTINGS)
            own = [name for name in accounts.SETTINGS if name not in ("lines", "rights", "crm")]
            if account.name == access.name:
                return own
            leads = account.role in ("supervisor", "admin")
            if {*his, *account.lines} <= access.lines and (account.lines or not leads):
                return list(accounts.SETTINGS)
        led = any(access.may("lead", line) for line in {*his, *account.lines})
        return ["absences"] if led else []

    async def _known_lines(self, account: Account, names: list[str]) -> None:
        there = await versions.in_force(self._store)
        given = [
            *(account.lines if "lines" in names else ()),
            *(account.rights or () if "rights" in names else ()),
        ]
        for line in given:
            if line != "*" and line not in there:
                raise Refused("no_such_line", line=line)


def _needs(access: Access, right: str, line: str) -> None:
    # Who may act everywhere hears that a line is not there; the others only that it is not theirs.
    allowed = (access.everywhere and right in access.rights) or access.may(right, line)
    if not allowed:
        raise Refused("no_right", right=right, **({"line": line} if line else {}))


def _may_give(access: Access, account: Account, names: list[str]) -> None:
    """Raises unless what the account shall have is within what the giver has."""
    if access.everywhere:
        return
    leads = account.role in ("supervisor", "admin")
    if "lines" in names and not (set(account.lines) <= access.lines and (account.lines or not leads)):
        raise Refused("no_right", right="administer")
    if "rights" in names and not set(account.rights or ()) <= {*access.lines, "*"}:
        raise Refused("no_right", right="administer")


def _may_change(access: Access, line: str, keys: set[str]) -> bool:
    if "administer" in access.rights and (access.everywhere or line in access.lines):
        return True
    return keys <= BY_LEADERS and access.may("lead", line)
