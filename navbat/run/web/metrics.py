"""``GET /metrics`` in Prometheus' text format.

What the parts of a desk report through Redis is told by every gateway alike; only what concerns the
connections of a gateway itself differs. Nothing here is asked of Redis unless somebody scrapes.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
from aiohttp import web

from crm.kernel.errors import Unavailable
from crm.operators import accounts
from navbat import __version__
from router.figures import COMMIT_BOUNDS
from router.log.log import id_key, now_ms
from router.log.quarantine import Quarantine

if TYPE_CHECKING:
    from crm.kernel.ports import Store
    from navbat.run.web.door import Door
    from router.gateway.health import Health
    from router.gateway.picture import Picture
    from router.log.log import Log

READERS = frozenset({"supervisor", "admin"})
"""Whose tokens open the page from elsewhere than this machine."""
TEXT = "text/plain; version=0.0.4; charset=utf-8"

Reports = Mapping[str, dict[str, Any]]


class Family(NamedTuple):
    """One metric: its type, its labels, and what it says."""

    kind: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    about: str


FAMILIES: dict[str, Family] = {
    "navbat_info": Family("gauge", ("desk", "version"), "1, with the desk's name and the gateway's version"),
    "navbat_ready": Family("gauge", (), "1 while messages can be accepted and committed, as `/health/ready`"),
    "navbat_trouble": Family("gauge", ("part", "code"), "1 for each thing that is wrong now"),
    "navbat_redis_up": Family("gauge", (), "1 while Redis answers and takes writes"),
    "navbat_store_up": Family("gauge", (), "1 while the store answers"),
    "navbat_routers": Family("gauge", ("state",), "router processes, `active` or `standby`"),
    "navbat_log_entries": Family("gauge", (), "events that no router has applied; counted up to 10000"),
    "navbat_log_lag_seconds": Family("gauge", (), "age of the oldest event that no router has applied"),
    "navbat_history_entries": Family("gauge", (), "journal entries that the store has not got"),
    "navbat_history_lag_seconds": Family("gauge", (), "how far the store is behind the journal"),
    "navbat_gateway_lag_seconds": Family("gauge", ("gateway",), "how far a gateway is behind the journal"),
    "navbat_events_total": Family("counter", ("result",), "events of the log, `applied` or `duplicate`"),
    "navbat_commit_seconds": Family("histogram", (), "time of a router's commit, the fsync included"),
    "navbat_messages_total": Family("counter", ("direction",), "messages in conversations: in, out, note …"),
    "navbat_decisions_total": Family("counter", ("result",), "routing decisions: `offered`, `all`, `nobody`"),
    "navbat_session_events_total": Family(
        "counter", ("event",), "what the desk notes in conversations: taken, missed, closed, transferred …"
    ),
    "navbat_alerts_total": Family(
        "counter", ("name",), "what supervisors were told: sla_breach, no_answer …"
    ),
    "navbat_sessions": Family("gauge", ("line", "status"), "open conversations"),
    "navbat_oldest_waiting_seconds": Family("gauge", ("line",), "how long the first in the queue has waited"),
    "navbat_line_open": Family("gauge", ("line",), "1 in the line's working hours"),
    "navbat_operators": Family("gauge", ("duty",), "operators by duty"),
    "navbat_consoles": Family("gauge", ("gateway",), "clients that are logged in"),
    "navbat_connections": Family("gauge", ("kind",), "open at this gateway: `member` or `stranger`"),
    "navbat_connections_cut_total": Family("counter", ("reason",), "connections that this gateway ended"),
    "navbat_channel_up": Family("gauge", ("channel",), "1 while a channel works, both ways"),
    "navbat_inbox_entries": Family("gauge", ("channel",), "bodies that wait to be understood"),
    "navbat_outbox_entries": Family("gauge", ("channel",), "deliveries that wait to be sent"),
    "navbat_sends_total": Family("counter", ("channel", "outcome"), "deliveries: sent, failed, unknown"),
    "navbat_quarantine_entries": Family("gauge", (), "what was set aside because it could not be worked on"),
    "navbat_quarantine_bytes": Family("gauge", (), "its size"),
    "navbat_process_resident_bytes": Family("gauge", ("process",), "memory"),
    "navbat_process_cpu_seconds_total": Family("counter", ("process",), "processor time"),
    "navbat_process_start_seconds": Family("gauge", ("process",), "when it started, in seconds since 1970"),
    "navbat_part_up": Family("gauge", ("process", "part"), "1 while a part of a process works"),
    "navbat_part_restarts_total": Family("counter", ("process", "part"), "how often it was started again"),
}
"""Everything on the page, by the name that a query uses."""


class Sheet:
    """One answer, filled value by value; a family without a value is left out."""

    def __init__(self) -> None:
        self._families: dict[str, Any] = {}

    def put(self, name: str, value: float, *labels: str) -> None:
        self._family(name).add_metric(labels, value)

    def put_all(self, name: str, values: Mapping[str, float], *labels: str) -> None:
        """One value for each of the last label."""
        for key, value in sorted(values.items()):
            self.put(name, value, *labels, key)

    def histogram(self, name: str, bounds: Sequence[float], counts: Sequence[int], total: float) -> None:
        names = [*(f"{bound:g}" for bound in bounds), "+Inf"]
        buckets = list(zip(names, itertools.accumulate(counts), strict=True))
        self._family(name).add_metric((), buckets, total)

    def _family(self, name: str) -> Any:
        from prometheus_client import core

        if name not in self._families:
            kinds: dict[str, Any] = {
                "gauge": core.GaugeMetricFamily,
                "counter": core.CounterMetricFamily,
                "histogram": core.HistogramMetricFamily,
            }
            kind, labels, about = FAMILIES[name]
            self._families[name] = kinds[kind](name, about, labels=labels)
        return self._families[name]

    def collect(self) -> Iterator[Any]:
        yield from self._families.values()

    def text(self) -> bytes:
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)


class Metrics:
    """The page of one gateway."""

    def __init__(self, log: Log, store: Store, picture: Picture, health: Health, door: Door) -> None:
        self._log = log
        self._store = store
        self._quarantine = Quarantine(log)
        self._picture = picture
        self._health = health
        self._door = door

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/metrics", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        if not (self._door.is_of_this_machine(request) or await self._may_read(request)):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
        headers = {"Content-Type": TEXT, "Cache-Control": "no-store"}
        return web.Response(body=(await self._sheet()).text(), headers=headers)

    async def _may_read(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        try:
            found = await accounts.login_token(self._store, token.strip())
        except Unavailable:
            raise web.HTTPServiceUnavailable from None
        return found is not None and found[0].role in READERS

    async def _sheet(self) -> Sheet:
        """What Redis does not tell is left out; that it does not is told."""
        sheet = Sheet()
        sheet.put("navbat_info", 1, self._log.desk, __version__)
        await self._tell_health(sheet)
        self._tell_picture(sheet)
        sheet.put("navbat_connections", self._door.members, "member")
        sheet.put("navbat_connections", self._door.strangers, "stranger")
        sheet.put_all("navbat_connections_cut_total", self._door.refused)
        try:
            reports = {k: msgspec.json.decode(v) for k, v in (await self._log.reports()).items()}
            await self._tell_lags(sheet, reports)
            aside = await self._quarantine.amount()
        except Unavailable:
            return sheet
        sheet.put("navbat_quarantine_entries", aside.items)
        sheet.put("navbat_quarantine_bytes", aside.bytes)
        _tell_routers(sheet, _of(reports, "router"))
        _tell_channels(sheet, reports)
        _tell_processes(sheet, _of(reports, "process"))
        return sheet

    async def _tell_health(self, sheet: Sheet) -> None:
        troubles = await self._health.look()
        parts = {trouble.part for trouble in troubles}
        sheet.put("navbat_ready", not any(trouble.stops for trouble in troubles))
        sheet.put("navbat_redis_up", "redis" not in parts)
        sheet.put("navbat_store_up", "store" not in parts)
        for part, code in sorted({(trouble.part, trouble.code) for trouble in troubles}):
            sheet.put("navbat_trouble", 1, part, code)

    def _tell_picture(self, sheet: Sheet) -> None:
        now = now_ms()
        for name in sorted(self._picture.configured.lines):
            line = self._picture.line_view(name)
            for status, count in (
                ("waiting", line.waiting),
                ("offered", line.offered),
                ("taken", line.taken),
            ):
                sheet.put("navbat_sessions", count, name, status)
            sheet.put(
                "navbat_oldest_waiting_seconds", _seconds(now - line.oldest if line.oldest else 0), name
            )
            sheet.put("navbat_line_open", line.open, name)
        duties = Counter(o.duty for o in self._picture.operators.values() if not o.disabled)
        sheet.put_all("navbat_operators", {duty: duties[duty] for duty in ("online", "break", "offline")})

    async def _tell_lags(self, sheet: Sheet, reports: Reports) -> None:
        lags = await self._log.lags(sorted(self._picture.configured.channels))
        sheet.put("navbat_log_entries", lags["log"])
        sheet.put("navbat_history_entries", lags["store"])
        sheet.put("navbat_log_lag_seconds", _seconds(await self._log.behind()))
        for key, count in sorted(lags.items()):
            kind, colon, channel = key.partition(":")
            if colon:
                name = "navbat_inbox_entries" if kind == "in" else "navbat_outbox_entries"
                sheet.put(name, count, channel)
        oldest, newest = await self._log.journal_bounds()
        read = await self._log.reader("projector")
        sheet.put("navbat_history_lag_seconds", _behind(read, oldest, newest))
        for gateway, report in _of(reports, "gateway").items():
            sheet.put("navbat_consoles", report.get("connections", 0), gateway)
            sheet.put(
                "navbat_gateway_lag_seconds", _behind(report.get("position", "0"), oldest, newest), gateway
            )


def _tell_routers(sheet: Sheet, routers: Reports) -> None:
    """Counts of all together: another one may have written a minute ago."""
    active = sum(bool(report.get("active")) for report in routers.values())
    sheet.put("navbat_routers", active, "active")
    sheet.put("navbat_routers", len(routers) - active, "standby")
    for result, key in (("applied", "applied"), ("duplicate", "duplicates")):
        sheet.put("navbat_events_total", sum(r.get(key, 0) for r in routers.values()), result)
    for name, key in (
        ("navbat_messages_total", "messages"),
        ("navbat_decisions_total", "decisions"),
        ("navbat_session_events_total", "events"),
        ("navbat_alerts_total", "alerts"),
    ):
        sheet.put_all(name, _sums(report.get(key, {}) for report in routers.values()))
    told = [report for report in routers.values() if len(report.get("commits", ())) == len(COMMIT_BOUNDS) + 1]
    counts = [sum(column) for column in zip(*(report["commits"] for report in told), strict=True)]
    if counts:
        spent = sum(report.get("commit_seconds", 0.0) for report in told)
        sheet.histogram("navbat_commit_seconds", COMMIT_BOUNDS, counts, spent)


def _tell_channels(sheet: Sheet, reports: Reports) -> None:
    ways_in, ways_out = _of(reports, "channel"), _of(reports, "out")
    for name in sorted({*ways_in, *ways_out}):
        trouble = ways_in.get(name, {}).get("trouble") or ways_out.get(name, {}).get("trouble")
        sheet.put("navbat_channel_up", not trouble, name)
    for name, report in sorted(ways_out.items()):
        sheet.put_all("navbat_sends_total", report.get("ended", {}), name)


def _tell_processes(sheet: Sheet, processes: Reports) -> None:
    for name, report in sorted(processes.items()):
        sheet.put("navbat_process_resident_bytes", report.get("rss", 0), name)
        sheet.put("navbat_process_cpu_seconds_total", report.get("cpu", 0.0), name)
        sheet.put("navbat_process_start_seconds", _seconds(report.get("started_at", 0)), name)
        for part, state in sorted(report.get("parts", {}).items()):
            sheet.put("navbat_part_up", not state.get("trouble"), name, part)
            sheet.put("navbat_part_restarts_total", state.get("restarts", 0), name, part)


def _of(reports: Reports, kind: str) -> dict[str, dict[str, Any]]:
    """The reports of one kind, by the rest of their names."""
    return {name.partition(":")[2]: report for name, report in reports.items() if name.startswith(f"{kind}:")}


def _sums(many: Iterable[Mapping[str, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in many:
        found.update(one)
    return found


def _seconds(ms: int) -> float:
    return max(0, ms) / 1000


def _behind(read: str, oldest: str, newest: str) -> float:
    """Seconds from where somebody has come to in the journal to its end."""
    at = max(id_key(read), id_key(oldest))
    return _seconds(id_key(newest)[0] - at[0])
