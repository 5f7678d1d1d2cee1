"""How long operators were on duty, and on break: from what the audit says of their button."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from crm.kernel.ports import Document, Store

PAGE = 1000
COUNTED = {"online": "online", "break": "on_break"}
"""Position of the button -> figure."""


class DutyTime(NamedTuple):
    """From when to when (ms, the end not included); ``now``: what has not been yet does not count."""

    begin: int
    end: int
    now: int


async def on_duty(store: Store, names: Collection[str], when: DutyTime) -> dict[str, dict[str, int]]:
    """Operator -> figure -> ms within the stretch."""
    found: dict[str, dict[str, int]] = {}
    changes = await _changes(store, names, when)
    for name in names:
        before = await store.find(
            "audit",
            {"operator": name, "action": "duty", "at": {"$lt": when.begin}},
            sort=[("at", -1)],
            limit=1,
        )
        found[name] = _added_up([*before, *changes.get(name, ())], when)
    return found


async def _changes(store: Store, names: Collection[str], when: DutyTime) -> dict[str, list[Document]]:
    wanted = {"action": "duty", "at": {"$gte": when.begin, "$lt": when.end}}
    changes: dict[str, list[Document]] = {}
    after = ""
    while True:
        page = await store.page("audit", wanted, sort=[("at", 1)], limit=PAGE, after=after)
        for document in page.items:
            if document["operator"] in names:
                changes.setdefault(document["operator"], []).append(document)
        after = page.next
        if not after:
            return changes


def _added_up(changes: list[Document], when: DutyTime) -> dict[str, int]:
    made = dict.fromkeys(COUNTED.values(), 0)
    ends = [change["at"] for change in changes[1:]]
    for change, until in zip(changes, [*ends, when.now], strict=False):
        figure = COUNTED.get((change.get("params") or {}).get("duty", ""))
        if figure:
            made[figure] += max(0, min(until, when.end) - max(change["at"], when.begin))
    return made
