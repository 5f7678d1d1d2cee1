"""All rollups made anew from the facts of the sessions, by the projector alone: nobody else writes them.

Whoever asks leaves a note, which stays until it is done: a projector that dies in the middle begins again.
"""

from __future__ import annotations

import logging
from typing import Any

from crm.conversations import history
from crm.kernel.ports import Document, Store, Write
from crm.statistics.cells import CLIENTS, Cell, RollupKey, Tally, add_to_rollups, document_of
from crm.statistics.clients import Visits, cells_of
from crm.statistics.facts import Case, Times, case_of
from crm.statistics.facts import document_of as document_of_case
from crm.statistics.past import relive

logger = logging.getLogger(__name__)

PLACE, REBUILD = "cursors", "rebuild"
"""Where the note is: ``asked`` and ``done`` are the same when there is nothing to do."""
PAGE = 1000
LEARNT = 100
"""Sessions whose past is looked at in one turn."""
THREAD = 10_000
"""Messages of one of them."""
AT_ONCE = 500
"""Documents of one write."""


async def asked(store: Store) -> str:
    """Who has asked for it and has not been answered; empty: nobody."""
    note = await store.get(PLACE, REBUILD)
    if note is None or note.get("asked") == note.get("done"):
        return ""
    id: str = note["asked"]
    return id


async def learn(store: Store, times: Times, id: str) -> bool:
    """Makes facts of some more sessions that have none yet, from before they were counted. False when there are
    no more. Where it is stands in the note."""
    note = await store.get(PLACE, REBUILD) or {}
    after = note.get("after", "") if note.get("learning") == id else ""
    page = await store.page("sessions", {}, sort=[("_id", 1)], limit=LEARNT, after=after)
    ids = [document["_id"] for document in page.items]
    known = {one["_id"] for one in await store.find("facts", {"_id": {"$in": ids}})} if ids else set()
    writes = []
    for session in page.items:
        if session["_id"] not in known:
            case = await relived(store, session, times)
            case.standing = case.stands(times)
            writes.append(Write.insert("facts", document_of_case(case), plain=True))
    if not page.next:
        await store.write(writes)
        return False
    on = {"$set": {"after": page.next, "learning": id}}
    await store.write([*writes, Write.update(PLACE, {"_id": REBUILD}, on)])
    return True


async def relived(store: Store, session: Document, times: Times, before: int = 0) -> Case:
    """A session by what its thread tells, up to the message of that number, if it is given; at most the first
    ``THREAD`` are looked at."""
    wanted: dict[str, Any] = {"session": session["_id"]}
    earlier = wanted | ({"seq": {"$lt": before}} if before else {})
    found = await store.find("messages", earlier, sort=[("seq", 1)], limit=THREAD)
    messages = [history.message(document) for document in found]
    alerts = await store.find("alerts", wanted, sort=[("at", 1)], limit=THREAD)
    if before:
        last = messages[-1].at if messages else 0
        alerts = [alert for alert in alerts if alert["at"] <= last]
    return relive(session, messages, alerts, times)


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
