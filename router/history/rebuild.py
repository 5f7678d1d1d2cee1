"""All rollups made anew from the facts of the sessions, by the projector alone: nobody else writes them.

Whoever asks leaves a note, which stays until it is done: a projector that dies in the middle begins again.
"""

from __future__ import annotations

import logging

from crm.kernel.ports import Store, Write
from crm.statistics.cells import CLIENTS, Cell, RollupKey, Tally, add_to_rollups, document_of
from crm.statistics.clients import Visits, cells_of
from crm.statistics.facts import Times, case_of

logger = logging.getLogger(__name__)

PLACE, REBUILD = "cursors", "rebuild"
"""Where the note is: ``asked`` and ``done`` are the same when there is nothing to do."""
PAGE = 1000
AT_ONCE = 500
"""Documents of one write."""


async def asked(store: Store) -> str:
    """Who has asked for it and has not been answered; empty: nobody."""
    note = await store.get(PLACE, REBUILD)
    if note is None or note.get("asked") == note.get("done"):
        return ""
    id: str = note["asked"]
    return id


async def rebuild(store: Store, times: Times, id: str) -> None:
    """Broken off anywhere, it is to be done again from the beginning."""
    rollups: dict[RollupKey, Cell] = {}
    visitors: dict[str, Visits] = {}
    sessions, after = 0, ""
    while True:
        page = await store.page("facts", {}, sort=[("_id", 1)], limit=PAGE, after=after)
        tally = Tally()
        for document in page.items:
            case = case_of(document)
            tally.merge(case.contribution())
            visit = case.visit(times)
            if visit is not None:
                customer, line, day = visit
                visits = visitors.setdefault(customer, {})
                visits[line, day] = visits.get((line, day), 0) + 1
        for spot, cell in tally.cells.items():
            add_to_rollups(rollups, spot, cell)
        sessions += len(page.items)
        after = page.next
        if not after:
            break
    for visits in visitors.values():
        for (line, day), cell in cells_of(visits).items():
            rollups.setdefault(RollupKey(CLIENTS, day, line, "", ""), Cell()).merge(cell)
    made = [document_of(key, cell) for key, cell in rollups.items() if not cell.is_empty]
    await store.write([Write.delete("rollups", {}), Write.delete("visitors", {})])
    writes = [Write.replace("rollups", document, plain=True) for document in made]
    writes += [Write.replace("visitors", packed(*one), plain=True) for one in visitors.items()]
    for start in range(0, len(writes), AT_ONCE):
        await store.write(writes[start : start + AT_ONCE])
    done = {"done": id, "sessions": sessions, "rollups": len(made)}
    await store.write([Write.update(PLACE, {"_id": REBUILD, "asked": id}, {"$set": done})])
    logger.info("the figures of %d sessions were made anew", sessions)


def packed(customer: str, visits: Visits) -> dict[str, object]:
    days = [{"line": line, "day": day, "times": times} for (line, day), times in visits.items()]
    return {"_id": customer, "days": days}
