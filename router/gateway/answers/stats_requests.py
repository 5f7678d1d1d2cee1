"""What clients ask of the desk's figures, as far as their login may."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from crm.kernel.access import ObjectType
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.errors import Refused
from crm.kernel.ports import Store, Write
from crm.statistics import asking, funnel, load, tables
from crm.statistics.asking import Question
from crm.statistics.behind import behind
from crm.statistics.cells import ERROR, Cell
from crm.statistics.duty import DutyTime, on_duty
from router.desk.state import session_of
from router.gateway.access import Access
from router.gateway.actor import actor_of
from router.gateway.connection import Connection
from router.gateway.picture import Picture
from router.history.line_time import LineTimes
from router.history.rebuild import PLACE, REBUILD
from router.wire import protocol

BEHIND_MAX = 500
USUAL = {"sessions": "day", "operators": "operator", "csat": "operator"}
"""The rows of a kind where nothing is said."""
BY: dict[str, tuple[str, ...]] = {
    "sessions": asking.BY,
    "operators": asking.BY,
    "csat": asking.BY,
    "load": ("", "hour"),
}
EXPORTED: dict[str, ObjectType] = {"funnel": "lead"}
"""Whoever may export these may take the figures along."""


class StatisticsRequests:
    """Answers the frames of ``router.wire.stats_frames``."""

    def __init__(self, store: Store, picture: Picture, crm: CrmSettings) -> None:
        self._crm = crm
        self._store = store
        self._picture = picture

    def answers(self) -> dict[type[protocol.Frame], Callable[[Connection, Any], Awaitable[None]]]:
        return {
            protocol.GetStatistics: self._statistics,
            protocol.GetBehind: self._behind,
            protocol.RebuildStatistics: self._rebuild,
        }

    async def _statistics(self, connection: Connection, frame: protocol.GetStatistics) -> None:
        if (
            frame.export
            and actor_of(connection).may(EXPORTED.get(frame.kind, "customer"), "export") == "none"
        ):
            raise Refused("no_right", right="export")
        if frame.kind == "visits":
            connection.send(self._empty(connection, frame))
            return
        if frame.kind == "funnel":
            connection.send(await self._funnel(connection, frame))
            return
        by = frame.by or USUAL.get(frame.kind, "")
        if by not in BY[frame.kind]:
            raise Refused("bad_by", by=by[:40])
        question = self._question(connection, frame, by)
        if frame.kind == "load":
            connection.send(await self._load(frame, question))
            return
        rows, total = await tables.table(self._store, frame.kind, question)
        now = await self._now(connection.access, question) if frame.kind == "sessions" else {}
        if frame.kind == "operators" and by == "operator":
            rows = await self._with_duty(connection.access, question, rows)
        connection.send(
            protocol.Statistics(
                rid=frame.rid, kind=frame.kind, since=question.since, to=question.to, by=by, rows=rows,
                total=total, now=now, error=round(ERROR, 4),
            )
        )  # fmt: skip

    async def _with_duty(
        self, access: Access, question: Question, rows: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """With the time on duty of those whom this login leads, and his own, by the clock of the first line. Who
        did nothing else has a row if he was on duty."""
        there = {name: found for name, found in self._picture.operators.items() if found.role != "bot"}
        names = {
            name for name, found in there.items()
            if question.operator in ("", name) and (
                name == access.name or ("lead" in access.rights and self._leads(access, question, name))
            )
        }  # fmt: skip
        line = question.lines[0] if question.lines else next(iter(self._picture.configured.lines), "")
        clock = LineTimes(self._picture.configured.lines)(line)
        after = date.fromisoformat(question.to) + timedelta(days=1)
        when = DutyTime(clock.starts(question.since), clock.starts(after.isoformat()), self._picture.now())
        found = await on_duty(self._store, sorted(names), when)
        by_name = {row["key"]: row for row in rows}
        for name, times in found.items():
            if any(times.values()) or name in by_name:
                by_name[name] = by_name.get(name, {"key": name, **tables.row("operators", Cell())}) | times
        return [by_name[name] for name in sorted(by_name)]

    def _leads(self, access: Access, question: Question, name: str) -> bool:
        if access.everywhere and question.lines is None:
            return True
        lines = self._picture.configured.lines
        operator = self._picture.operators[name]
        return any(
            name in lines[line].members or line in operator.lines
            for line in question.lines or ()
            if line in lines
        )

    async def _funnel(self, connection: Connection, frame: protocol.GetStatistics) -> protocol.Statistics:
        if frame.by not in funnel.BY:
            raise Refused("bad_by", by=frame.by[:40])
        asked = actor_of(connection)
        if asked.may("lead", "read") == "none":
            raise Refused("no_right", right="read")
        question = self._question(connection, frame, frame.by)
        times = LineTimes(self._picture.configured.lines)
        found = await funnel.FunnelReport(self._store, self._crm, asked, times).figures(question, frame.line)
        return protocol.Statistics(
            rid=frame.rid, kind="funnel", since=question.since, to=question.to, by=frame.by, rows=found.rows,
            total=found.total, parts=found.parts,
        )  # fmt: skip

    def _empty(self, connection: Connection, frame: protocol.GetStatistics) -> protocol.Statistics:
        """There are no such figures yet."""
        question = self._question(connection, frame, "")
        return protocol.Statistics(
            rid=frame.rid, kind=frame.kind, since=question.since, to=question.to, by=frame.by
        )

    async def _load(self, frame: protocol.GetStatistics, question: Question) -> protocol.Statistics:
        times, now = LineTimes(self._picture.configured.lines), self._picture.now()
        found = await load.days(self._store, question, times, now)
        line = question.lines[0] if question.lines else next(iter(self._picture.configured.lines), "")
        this_hour = times(line).hour(now)
        return protocol.Statistics(
            rid=frame.rid, kind="load", since=question.since, to=question.to, by=frame.by,
            rows=load.series(found, question, this_hour) if frame.by == "hour" else [],
            heat=load.heat(found, question, this_hour),
        )  # fmt: skip

    async def _now(self, access: Access, question: Question) -> dict[str, Any]:
        """What is open, and who has had no answer yet: for how long the first of them waits."""
        lines = sorted(access.lines if question.lines is None else question.lines)
        is_open = [
            session
            for line in lines
            for session in self._picture.found(access, line=line)
            if session.status in load.OPEN and question.channel in ("", session.channel)
        ]
        unanswered = [s for s in is_open if s.waiting_since and not s.first_answer_at and not s.outgoing]
        first = min((s.waiting_since for s in unanswered), default=0)
        return {
            "open": len(is_open),
            "unanswered": len(unanswered),
            "longest_wait": max(0, self._picture.now() - first) if first else None,
        }

    async def _behind(self, connection: Connection, frame: protocol.GetBehind) -> None:
        question = self._question(connection, frame, "")
        if not is_figure(frame.figure):
            raise Refused("no_such_figure", figure=frame.figure[:40])
        limit = max(1, min(frame.limit, BEHIND_MAX))
        found, after = await behind(self._store, question, frame.figure, limit=limit, after=frame.after)
        ids = sorted({one.session for one in found})
        documents = await self._store.find("sessions", {"_id": {"$in": ids}}) if ids else []
        sessions = {document["_id"]: session_of(document) for document in documents}
        items = [
            protocol.BehindItem(
                session=self._picture.view(sessions[one.session], connection.access), hour=one.hour,
                line=one.line, operator=one.operator, value=one.value,
            )
            for one in found
            if one.session in sessions and self._picture.may_read(connection.access, sessions[one.session])
        ]  # fmt: skip
        connection.send(protocol.SessionsBehind(rid=frame.rid, items=items, next=after))

    async def _rebuild(self, connection: Connection, frame: protocol.RebuildStatistics) -> None:
        access = connection.access
        if "administer" not in access.rights or not access.everywhere:
            raise Refused("no_right", right="administer")
        id = frame.id[:100]
        if not id:
            id = uuid.uuid4().hex
            asked = {"$set": {"asked": id, "by": connection.name}}
            await self._store.write([Write.upsert(PLACE, {"_id": REBUILD}, asked)])
        state = await self._store.get(PLACE, REBUILD) or {}
        connection.send(
            protocol.Rebuilding(
                rid=frame.rid, id=id, done=state.get("done") == id, sessions=state.get("sessions", 0),
                rollups=state.get("rollups", 0),
            )
        )  # fmt: skip

    def _question(self, connection: Connection, frame: Any, by: str) -> Question:
        """Of the lines that this login may read. Raises ``Refused``."""
        access = connection.access
        lines: tuple[str, ...] | None = None if access.everywhere else tuple(sorted(access.lines))
        if frame.line:
            # Who has all lines may ask for one that there is no more.
            if not access.everywhere and not access.may("read", frame.line):
                raise Refused("no_right", right="read", line=frame.line)
            lines = (frame.line,)
        since, to = asking.checked(frame.since, frame.to, by, self._today(lines))
        return Question(since, to, by, lines, frame.channel, frame.operator)

    def _today(self, lines: tuple[str, ...] | None) -> str:
        """The latest day that it is on the clock of any of the lines."""
        configured = self._picture.configured.lines
        zones = {rules.zone for name, rules in configured.items() if lines is None or name in lines} or {
            "UTC"
        }
        at = self._picture.now() / 1000
        return max(datetime.fromtimestamp(at, ZoneInfo(zone)).date().isoformat() for zone in zones)


def is_figure(name: str) -> bool:
    known = {*asking.MADE_OF, *(one for kind in tables.COUNTS.values() for one in kind)}
    known |= {one for kind in tables.DURATIONS.values() for one in kind}
    known |= {f"{of}_{score}" for of in ("rating", "score") for score in tables.SCORES}
    return name in known
