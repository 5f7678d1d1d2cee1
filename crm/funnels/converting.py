"""A conversion carried out: all of it or nothing, whoever dies in between.

What is to be done is decided and kept (``intents``) before the first write. The lead is the hinge: one
conditional update of it makes the conversion certain; before that nothing has happened, after it everything
will. Each step may be done twice and by two at once, and whoever comes next finishes: the same command, or a
gateway when it starts and now and then.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from crm.funnels.conversion import TARGETS, ConversionPlan, Target
from crm.kernel import stages
from crm.kernel.access import ObjectType
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.errors import Conflict, Duplicate, NotFound, Refused, Unavailable
from crm.kernel.ports import Document, Filter, Store, Write
from crm.objects import writing
from crm.objects.checking import changed_only
from crm.objects.twins import keys_of
from crm.objects.types import COLLECTION
from crm.objects.values import phone_key
from crm.objects.writing import Edit, born

logger = logging.getLogger(__name__)

INTENTS = "intents"
KIND = "convert"
TRIES = 20
_ONE = ("version", "by", "at")
"""What makes it this attempt, of all that there are to convert a lead."""
PAGE = 200
"""Activities that are looked at together."""


def intent_of(settings: CrmSettings, plan: ConversionPlan, *, by: str, at: int) -> Document:
    """All that the conversion will write."""
    lead = plan.lead
    won = stages.won(settings, "lead", stages.LEADS)
    moved = stages.moved(settings, "lead", lead, key=won.key, at=at, by=by, converting=True)
    ids = {target: plan.ids.get(target, "") for target in TARGETS}
    return {
        "_id": f"{KIND}-{lead['_id']}", "kind": KIND, "lead": lead["_id"], "version": lead["version"],
        "customer": lead.get("customer", ""), "line": lead.get("line", ""), "by": by, "at": at, "ids": ids,
        "documents": {target: born(target, draft, by=by, at=at) for target, draft in plan.drafts.items()},
        "reached": plan.reached if plan.fills else {},
        "standing": moved["$set"], "entry": moved["$push"]["stages"],
    }  # fmt: skip


async def convert(store: Store, intent: Document) -> Document:
    """Carries out a conversion; gives the lead as it is then. Raises ``Conflict`` when the lead has been
    changed since it was planned: then nothing has happened; ``Refused`` (``lead_converted``) when somebody
    else was first. ``Unavailable``: it will be finished later, if it is certain by then."""
    while True:
        try:
            await store.insert(INTENTS, intent)
            break
        except Duplicate:
            there = await unfinished(store, intent["lead"])
        if there is not None and await finish(store, there):
            raise Refused("lead_converted", id=intent["lead"])
    # What is made of who is being erased would outlive him.
    erased = {"$or": [{"customers": intent["customer"]}, {"objects.leads": intent["lead"]}]}
    if await store.find(INTENTS, {"$and": [{"kind": "erase"}, erased]}, limit=1):
        await _forget(store, intent)
        raise Refused("no_such_object", type="lead", id=intent["lead"])
    if not await finish(store, intent):
        raise Conflict("the lead has been changed meanwhile", await _lead(store, intent))
    return await _lead(store, intent)


async def finish(store: Store, intent: Document) -> bool:
    """Does what is left of a conversion. False when it has come to nothing."""
    if not await _certain(store, intent):
        await _forget(store, intent)
        return False
    steps: list[Callable[[], Awaitable[None]]] = []
    for target in TARGETS:
        if target in intent["documents"]:
            steps.append(_made(store, intent, target))
        elif intent["ids"][target]:
            steps.append(_linked(store, intent, target))
    steps += [lambda: _bind_activities(store, intent), lambda: _bind_card(store, intent)]
    for step in steps:
        there = await store.get(INTENTS, intent["_id"])
        if there is None or not _is_same(there, intent):
            return True  # another one has finished it: what has been deleted since stays so
        await step()
    await _forget(store, intent)
    return True


async def resume(store: Store) -> int:
    """Finishes what was cut off, and returns how much that was. Raises ``Unavailable``."""
    found = await store.find(INTENTS, {"kind": KIND})
    for intent in found:
        try:
            done = await finish(store, intent)
        except Unavailable:
            raise
        except Exception:  # one that cannot be finished keeps nobody else's waiting
            logger.exception("a conversion cannot be finished")
        else:
            logger.warning("a conversion that was cut off is %s", "finished" if done else "dropped")
    return len(found)


async def unfinished(store: Store, lead: str) -> Document | None:
    """The conversion of a lead that was cut off."""
    return await store.get(INTENTS, f"{KIND}-{lead}")


# ------------------------------------------------------------------ the steps


async def _certain(store: Store, intent: Document) -> bool:
    """The lead becomes a converted one, unless it is already, or is not what it was."""
    lead = await store.get("leads", intent["lead"])
    if lead is None:
        return False
    if not _is_ours(lead, intent):
        if lead["version"] != intent["version"] or lead.get("converted") or lead.get("deleted"):
            return False
        links = {target: id for target, id in intent["ids"].items() if id}
        values = {
            **changed_only(lead, intent["standing"]),
            "converted": {"at": intent["at"], "by": intent["by"], **links},
            **{target: links[target] for target in ("contact", "company") if target in links},
        }
        edit = Edit("converted", values, push={"stages": intent["entry"]})
        try:
            lead = await writing.change(store, "lead", lead, edit, by=intent["by"], at=intent["at"])
        except Conflict as conflict:  # two finish it at once, or it was edited in this moment
            return _is_ours(conflict.current, intent)
        except NotFound:
            return False
    return True


def _is_ours(lead: Document, intent: Document) -> bool:
    converted: Mapping[str, Any] = lead.get("converted") or {}
    ids = {target: id for target, id in intent["ids"].items() if id}
    return bool(converted) and {target: converted[target] for target in TARGETS if target in converted} == ids


def _made(store: Store, intent: Document, target: Target) -> Callable[[], Awaitable[None]]:
    async def step() -> None:
        try:
            await writing.insert(store, target, intent["documents"][target])
        except Duplicate:
            there = await store.get(COLLECTION[target], intent["ids"][target])
            if there is not None and there.get("unaudited"):
                await writing.settle(store, target, there)

    return step


def _linked(store: Store, intent: Document, target: Target) -> Callable[[], Awaitable[None]]:
    """One that was there: what it does not know yet it learns from the lead."""

    def learnt(there: Document) -> dict[str, Any]:
        facts: dict[str, Any] = {"lead": intent["lead"]}
        if target != "company":
            facts["customer"] = intent["customer"]
            facts["company"] = intent["ids"]["company"]
        if target == "deal":
            facts["contact"] = intent["ids"]["contact"]
        values = {name: value for name, value in facts.items() if value and not there.get(name)}
        if target == "contact":
            values |= _reached(there, intent["reached"])
            if keys := keys_of(target, {**there, **values}):
                values |= {"keys": keys} if keys != there.get("keys") else {}
        return values

    return lambda: _edit(store, target, intent["ids"][target], intent, learnt)


def _reached(there: Document, reached: Mapping[str, Any]) -> dict[str, Any]:
    """Phones and addresses together, each once."""
    known = {phone_key(phone) for phone in there.get("phones", [])}
    phones = [phone for phone in reached.get("phones", []) if phone_key(phone) not in known]
    emails = [one for one in reached.get("emails", []) if one not in there.get("emails", [])]
    values: dict[str, Any] = {"phones": [*there.get("phones", []), *phones]} if phones else {}
    return values | ({"emails": [*there.get("emails", []), *emails]} if emails else {})


async def _bind_activities(store: Store, intent: Document) -> None:
    """Tasks, calls and notes of the lead belong to what has become of it too."""
    ids = {target: id for target, id in intent["ids"].items() if id}
    first = next((target for target in ("deal", "contact", "company") if target in ids), "")
    unbound: Filter = {"lead": intent["lead"], first: None}

    def missing(there: Document) -> dict[str, Any]:
        return {target: id for target, id in ids.items() if not there.get(target)}

    after = ""
    while first:
        page = await store.page("activities", unbound, sort=[("_id", 1)], limit=PAGE, after=after)
        for activity in page.items:
            await _edit(store, "activity", activity["_id"], intent, missing)
        after = page.next
        if not after:
            return


async def _bind_card(store: Store, intent: Document) -> None:
    """The customer's card names the contact and the company that he is now."""
    if not intent["customer"]:
        return
    links = {target: intent["ids"][target] for target in ("contact", "company") if intent["ids"][target]}
    await _edit(
        store, "customer", intent["customer"], intent,
        lambda there: {name: id for name, id in links.items() if not there.get(name)},
    )  # fmt: skip


async def _edit(
    store: Store, type: ObjectType, id: str, intent: Document, values: Callable[[Document], dict[str, Any]]
) -> None:
    """Changes an object as long as there is something to change; one that is gone is left alone."""
    for _ in range(TRIES):
        there = await store.get(COLLECTION[type], id)
        if there is None or not (wanted := values(there)):
            return
        edit = Edit("bound", wanted, params={"lead": intent["lead"]})
        try:
            await writing.change(store, type, there, edit, by=intent["by"], at=intent["at"])
        except Conflict:
            continue
        return


async def _lead(store: Store, intent: Document) -> Document:
    return await store.get("leads", intent["lead"]) or {"_id": intent["lead"]}


async def _forget(store: Store, intent: Document) -> None:
    """This one: there may be a later one of the same lead."""
    mine = {name: intent[name] for name in _ONE}
    await store.write([Write.delete(INTENTS, {"_id": intent["_id"], **mine})])


def _is_same(one: Document, other: Document) -> bool:
    return all(one[name] == other[name] for name in _ONE)
