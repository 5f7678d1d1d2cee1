"""From lead to deal to won: how far what was created in a period has come (cohort), and what moved in it (period).
The two are never mixed: what is won today was perhaps created in another period.

Read from the objects themselves: each carries the history of its stages.
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from crm.kernel import stages
from crm.kernel.access import Actor, within
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.ports import Document, Store
from crm.kernel.stages import StagedType
from crm.statistics.asking import Question
from crm.statistics.facts import Times

BY = ("", "source", "operator", "line")
COLLECTION: Mapping[StagedType, str] = {"lead": "leads", "deal": "deals"}
PAGE = 1000
DAY = timedelta(days=1)
ALIVE: Mapping[str, Any] = {"deleted": {"$exists": False}, "merged_into": {"$exists": False}}


class FunnelFigures(NamedTuple):
    """``rows``: stages, or sources, operators, lines. ``parts``: the other tables."""

    rows: list[dict[str, Any]]
    total: dict[str, Any]
    parts: dict[str, list[dict[str, Any]]]


class FunnelReport:
    """``times``: by what clock a day is meant: that of an object's line."""

    def __init__(self, store: Store, settings: CrmSettings, actor: Actor, times: Times) -> None:
        self._store = store
        self._settings = settings
        self._actor = actor
        self._times = times

    async def figures(self, question: Question, line: str = "") -> FunnelFigures:
        """Of objects of one line only, where it is given; the actor's rights decide about all others."""
        leads = _Staged("lead", self._settings)
        deals = _Staged("deal", self._settings)
        for staged in (leads, deals):
            async for document in self._objects(staged.type, question, line):
                staged.add(document, lambda at, of: self._is_in(question, at, of))
        won = await self._deals_of(leads.created)
        parts = {
            "period": [*leads.period(), *deals.period()],
            "lost": [*leads.lost(), *deals.lost()],
        }
        if question.by:
            rows = grouped(leads.created, won, question.by)
        else:
            rows = [*leads.cohort(), *deals.cohort()]
            parts["sources"] = grouped(leads.created, won, "source")
        return FunnelFigures(rows, group(leads.created, won), parts)

    async def _objects(self, type: StagedType, question: Question, line: str) -> AsyncIterator[Document]:
        """All that was created or moved in the period, and perhaps some more."""
        start = datetime.fromisoformat(f"{question.since}T00:00+00:00") - DAY
        end = datetime.fromisoformat(f"{question.to}T00:00+00:00") + 2 * DAY
        wanted: dict[str, Any] = {
            "changed_at": {"$gte": round(start.timestamp() * 1000)},
            "created_at": {"$lt": round(end.timestamp() * 1000)},
            **ALIVE,
        }
        if line:
            wanted["line"] = line
        if question.operator:
            wanted["responsible"] = question.operator
        allowed, after = within(self._actor, type, "read", wanted), ""
        while True:
            page = await self._store.page(
                COLLECTION[type], allowed, sort=[("_id", 1)], limit=PAGE, after=after
            )
            for document in page.items:
                yield document
            after = page.next
            if not after:
                return

    def _is_in(self, question: Question, at: int, document: Document) -> bool:
        day = self._times(document.get("line") or "").hour(at)[:10]
        return question.since <= day <= question.to

    async def _deals_of(self, leads: Sequence[Document]) -> dict[str, Document]:
        """Lead -> its deal, where he may read that too."""
        ids = [lead["converted"]["deal"] for lead in leads if (lead.get("converted") or {}).get("deal")]
        found: dict[str, Document] = {}
        for start in range(0, len(ids), 400):
            wanted = {"_id": {"$in": ids[start : start + 400]}, **ALIVE}
            for deal in await self._store.find("deals", within(self._actor, "deal", "read", wanted)):
                found[deal["_id"]] = deal
        deal_of = {lead["_id"]: (lead.get("converted") or {}).get("deal") for lead in leads}
        return {lead: found[deal] for lead, deal in deal_of.items() if deal in found}


# ------------------------------------------------------------------ stage by stage


class _Staged:
    """What a type of object has gone through."""

    def __init__(self, type: StagedType, settings: CrmSettings) -> None:
        self.type = type
        self._funnels = stages.funnels(settings, type)
        self.created: list[Document] = []
        self._entered: Counter[tuple[str, str, str]] = Counter()
        """(funnel, stage, semantics) -> moves into it within the period."""
        self._reasons: Counter[tuple[str, str]] = Counter()

    def add(self, document: Document, is_in: Any) -> None:
        if is_in(document["created_at"], document):
            self.created.append(document)
        for entry in document.get("stages", ()):
            if is_in(entry["at"], document):
                funnel, semantics = entry.get("funnel", ""), entry.get("semantics", "")
                self._entered[funnel, entry["stage"], semantics] += 1
                if semantics == "lost":
                    self._reasons[funnel, entry.get("reason", "")] += 1

    def cohort(self) -> list[dict[str, Any]]:
        rows = []
        for name, funnel in self._funnels.items():
            mine = [one for one in self.created if (one.get("funnel") or next(iter(self._funnels))) == name]
            way = [stage for stage in funnel.stages if stage.semantics != "lost"]
            furthest = Counter(_furthest(one, name, [stage.key for stage in way]) for one in mine)
            spent = _time_in_stages(mine, name)
            for number, stage in enumerate(way):
                reached = sum(times for place, times in furthest.items() if place >= number)
                rows.append(self._row(name, stage.key, stage.semantics, reached, mine, spent))
            for stage in funnel.stages:
                if stage.semantics == "lost":
                    there = sum(one.get("stage") == stage.key for one in mine)
                    rows.append(self._row(name, stage.key, "lost", there, mine, spent))
        return rows

    def _row(
        self, funnel: str, stage: str, semantics: str, reached: int, mine: Sequence[Document],
        spent: Mapping[str, list[int]],
    ) -> dict[str, Any]:  # fmt: skip
        return {
            "key": f"{self.type} {funnel} {stage}",
            "type": self.type,
            "funnel": funnel,
            "stage": stage,
            "semantics": semantics,
            "reached": reached,
            "reached_share": round(reached / len(mine), 4) if mine else None,
            "time": _durations(spent.get(stage, ())),
        }

    def period(self) -> list[dict[str, Any]]:
        return [
            {
                "key": f"{self.type} {funnel} {stage}", "type": self.type, "funnel": funnel, "stage": stage,
                "semantics": semantics, "entered": times,
            }
            for (funnel, stage, semantics), times in sorted(self._entered.items())
        ]  # fmt: skip

    def lost(self) -> list[dict[str, Any]]:
        return [
            {
                "key": f"{self.type} {funnel}",
                "type": self.type,
                "funnel": funnel,
                "reason": reason,
                "lost": times,
            }
            for (funnel, reason), times in sorted(self._reasons.items(), key=lambda one: (-one[1], one[0]))
        ]


def _furthest(document: Document, funnel: str, way: Sequence[str]) -> int:
    """How far it ever came on the way; what was created stood in the first stage at least."""
    been = [way.index(e["stage"]) for e in _visits(document, funnel) if e["stage"] in way]
    return max([0, *been])


def _visits(document: Document, funnel: str) -> list[Mapping[str, Any]]:
    return [e for e in document.get("stages", ()) if e.get("funnel", funnel) == funnel]


def _time_in_stages(documents: Iterable[Document], funnel: str) -> dict[str, list[int]]:
    """Stage -> for each object that has left it: ms it was in it, all visits together."""
    spent: dict[str, list[int]] = defaultdict(list)
    for document in documents:
        entries = document.get("stages", ())
        mine: Counter[str] = Counter()
        for entry, following in itertools.pairwise(entries):
            if entry.get("funnel", funnel) == funnel:
                mine[entry["stage"]] += max(0, following["at"] - entry["at"])
        for stage, ms in mine.items():
            spent[stage].append(ms)
    return spent


# ------------------------------------------------------------------ by source, operator, line


def grouped(leads: Iterable[Document], deals: Mapping[str, Document], by: str) -> list[dict[str, Any]]:
    groups: dict[str, list[Document]] = defaultdict(list)
    for lead in leads:
        groups[_key(lead, by)].append(lead)
    return [{"key": key, **group(groups[key], deals)} for key in sorted(groups)]


def _key(lead: Document, by: str) -> str:
    if by == "source":
        source = lead.get("source") or {}
        words = (source.get("kind", ""), source.get("channel", ""))
        return " ".join(word for word in words if word)
    return lead.get({"operator": "responsible"}.get(by, by)) or ""


def group(leads: Sequence[Document], deals: Mapping[str, Document]) -> dict[str, Any]:
    """Leads of a cohort: what has become of them up to now."""
    mine = [deals[lead["_id"]] for lead in leads if lead["_id"] in deals]
    won = [deal for deal in mine if deal.get("semantics") == "won"]
    amounts: Counter[str] = Counter()
    for deal in won:
        amount = deal.get("amount")
        if amount and amount.get("currency"):
            amounts[amount["currency"]] += amount.get("minor", 0)
    born = {deals[lead["_id"]]["_id"]: lead["created_at"] for lead in leads if lead["_id"] in deals}
    cycles = [max(0, deal.get("closed_at", 0) - born[deal["_id"]]) for deal in won]
    converted = sum(bool(lead.get("converted")) for lead in leads)
    with_amount = Counter((deal.get("amount") or {}).get("currency", "") for deal in won)
    return {
        "created": len(leads),
        "converted": converted,
        "lost": sum(lead.get("semantics") == "lost" for lead in leads),
        "deals": len(mine),
        "won": len(won),
        "converted_share": round(converted / len(leads), 4) if leads else None,
        "won_share": round(len(won) / len(leads), 4) if leads else None,
        "amount_won": [{"minor": minor, "currency": name} for name, minor in sorted(amounts.items())],
        "mean_deal": [
            {"minor": round(minor / with_amount[name]), "currency": name}
            for name, minor in sorted(amounts.items())
        ],
        "cycle": _durations(cycles),
    }


def _durations(values: Sequence[int]) -> dict[str, int] | None:
    """Exact: in ms."""
    if not values:
        return None
    ordered = sorted(values)
    return {
        "count": len(values),
        "mean": round(sum(values) / len(values)),
        "median": round(statistics.median(ordered)),
        "p90": ordered[max(0, -(-len(ordered) * 9 // 10) - 1)],
    }
