"""Cohort and period, conversion by source, what was lost and why; of what one may read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crm.kernel import stages
from crm.kernel.access import Actor
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.ports import Document, Write
from crm.kernel.stages import StagedType
from crm.statistics.asking import Question
from crm.statistics.funnel import FunnelReport
from router.history.line_time import LineTimes
from storage.sqlite import SqliteStore

SETTINGS = CrmSettings()
BOSS = Actor("boss", "supervisor", frozenset({"sales", "help"}), everywhere=True)
ANNA = Actor("anna", "operator", frozenset({"sales"}))
MARCH = Question("2026-03-01", "2026-03-31")


def at(day: int, month: int = 3) -> int:
    return int(datetime(2026, month, day, 12, tzinfo=UTC).timestamp() * 1000)


class Book:
    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], Document] = {}

    def add(self, type: StagedType, id: str, created: int, **fields: Any) -> Document:
        begun = stages.begun(SETTINGS, type, at=created, by="anna")
        document = {"_id": id, "version": 1, "created_at": created, "changed_at": created, **begun, **fields}
        self.documents[f"{type}s", id] = document
        return document

    def move(self, document: Document, stage: str, when: int, reason: str = "") -> None:
        kind: StagedType = "lead" if document["_id"].startswith("l") else "deal"
        update = stages.moved(
            SETTINGS, kind, document, key=stage, at=when, by="anna", reason=reason,
            converting=stage == "converted",
        )  # fmt: skip
        document |= update["$set"]
        document["stages"].append(update["$push"]["stages"])
        document["changed_at"] = when


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Three leads of March and one of February, of which two become deals."""
    book = Book()
    telegram, form = {"kind": "channel", "channel": "tg"}, {"kind": "form"}
    one = book.add("lead", "l1", at(2), source=telegram, line="sales", responsible="anna")
    two = book.add("lead", "l2", at(3), source=form, line="help", responsible="bek")
    book.add("lead", "l3", at(4), source=telegram, line="sales", responsible="anna")
    old = book.add("lead", "l4", at(20, 2), source=telegram, line="sales", responsible="bek")
    book.move(two, "in_work", at(4))
    book.move(two, "junk", at(6), "no number")
    book.move(old, "junk", at(5), "a joke")
    book.move(one, "converted", at(3))
    one["converted"] = {"at": at(3), "by": "anna", "deal": "d1"}
    deal = book.add("deal", "d1", at(3), line="sales", responsible="anna", lead="l1")
    deal["amount"] = {"minor": 500_00, "currency": "UZS"}
    book.move(deal, "invoiced", at(5))
    book.move(deal, "new", at(7))
    book.move(deal, "won", at(12))
    book.add("deal", "d2", at(9), line="help", responsible="bek")
    made = SqliteStore(tmp_path / "store.sqlite")
    await made.open()
    await made.write([Write.replace(where, document) for (where, _), document in book.documents.items()])
    yield made
    await made.close()


def report(store: SqliteStore, actor: Actor = BOSS) -> FunnelReport:
    return FunnelReport(store, SETTINGS, actor, LineTimes())


def by_key(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return {row["key"]: row[name] for row in rows}


async def test_a_cohort_has_reached_what_comes_before_what_it_reached(store: SqliteStore) -> None:
    found = await report(store).figures(MARCH)
    assert by_key(found.rows, "reached") == {
        "lead leads new": 3, "lead leads in_work": 2, "lead leads converted": 1, "lead leads junk": 1,
        "deal sales new": 2, "deal sales agreed": 1, "deal sales invoiced": 1, "deal sales won": 1,
        "deal sales lost": 0,
    }  # fmt: skip
    spent = next(row["time"] for row in found.rows if row["key"] == "deal sales new")
    assert (spent["count"], spent["mean"]) == (1, at(5) - at(3) + at(12) - at(7))  # two visits, one deal


async def test_a_period_has_what_moved_in_it_whenever_it_was_created(store: SqliteStore) -> None:
    found = await report(store).figures(Question("2026-03-05", "2026-03-07"))
    assert by_key(found.parts["period"], "entered") == {
        "lead leads junk": 2, "deal sales invoiced": 1, "deal sales new": 1,
    }  # fmt: skip
    assert [(row["reason"], row["lost"]) for row in found.parts["lost"]] == [("a joke", 1), ("no number", 1)]
    assert found.total["created"] == 0


async def test_by_source_what_has_become_of_it(store: SqliteStore) -> None:
    found = await report(store).figures(MARCH._replace(by="source"))
    assert by_key(found.rows, "created") == {"channel tg": 2, "form": 1}
    assert by_key(found.rows, "won_share") == {"channel tg": 0.5, "form": 0.0}
    telegram = found.rows[0]
    assert telegram["amount_won"] == telegram["mean_deal"] == [{"minor": 500_00, "currency": "UZS"}]
    assert telegram["cycle"]["median"] == at(12) - at(2)
    assert (found.total["created"], found.total["won"], found.total["lost"]) == (3, 1, 1)


async def test_only_what_one_may_read_is_counted(store: SqliteStore) -> None:
    found = await report(store, ANNA).figures(MARCH)
    assert (found.total["created"], found.total["won"]) == (2, 1)
    assert {row["key"]: row["reached"] for row in found.rows}["deal sales new"] == 1
    bek = Actor("bek", "operator", frozenset())
    assert (await report(store, bek).figures(MARCH)).total["created"] == 1
    nobody = Actor("bot", "bot", frozenset({"sales"}))
    assert (await report(store, nobody).figures(MARCH)).total["created"] == 0
