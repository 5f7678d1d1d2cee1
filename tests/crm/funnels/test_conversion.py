"""A lead becomes contact, company and deal: all of it or nothing."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from crm.funnels import converting
from crm.funnels.conversion import ConversionPlan, Conversions, Wanted
from crm.funnels.converting import convert, finish, intent_of, resume
from crm.funnels.moving import Moves
from crm.kernel.access import Actor
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.errors import Conflict, Refused, Unavailable
from crm.kernel.ports import Document, Store, Write
from crm.objects.service import Objects
from crm.objects.writing import sweep
from storage.sqlite import SqliteStore
from tests.crm.objects.office import ANNA, AT, BEK, NODIRA, granted, objects

SETTINGS = CrmSettings()
PHONE = "+998901234567"


class Office:
    """Anna's leads, and what may be done with them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.objects: Objects = objects(store)
        self.conversions = Conversions(store, self.objects, SETTINGS)
        self.at = AT

    async def add(self, type: Any, actor: Actor = ANNA, **fields: Any) -> str:
        self.at += 1
        return str((await self.objects.add(actor, type, fields, at=self.at)).document["_id"])

    async def lead(self, **fields: Any) -> str:
        given: dict[str, Any] = {"title": "Chairs for a café", "name": "Anvar Karimov", "phones": [PHONE]}
        return await self.add("lead", **(given | fields))

    async def plan(self, lead: str, actor: Actor = ANNA, **wanted: Any) -> ConversionPlan:
        return await self.conversions.plan(actor, lead, Wanted(**wanted), at=self.at)

    async def intent(self, lead: str, actor: Actor = ANNA, **wanted: Any) -> Document:
        plan = await self.plan(lead, actor, **wanted)
        plan.check()
        return intent_of(SETTINGS, plan, by=actor.name, at=self.at)

    async def convert(self, lead: str, actor: Actor = ANNA, **wanted: Any) -> dict[str, Document]:
        done = await convert(self.store, await self.intent(lead, actor, **wanted))
        found = {"lead": done}
        for target in ("contact", "company", "deal"):
            if id := done["converted"].get(target):
                found[target] = await self.get(target, id)
        return found

    async def get(self, type: str, id: str) -> Document:
        collections = {"company": "companies", "activity": "activities"}
        found = await self.store.get(collections.get(type, f"{type}s"), id)
        assert found is not None
        return found


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


async def refusal(awaited: Any) -> tuple[str, dict[str, str]]:
    with pytest.raises(Refused) as refused:
        await awaited
    return refused.value.code, refused.value.params


async def test_all_three_are_made_of_what_the_lead_says(office: Office) -> None:
    await office.store.write([Write.insert("customers", {"_id": "c1", "lines": ["sales"]})])
    lead = await office.lead(
        company_name="OOO Stul", amount="120000.00:UZS", customer="c1", tags=["hot"], about="wants 20 chairs",
        emails=["a@b.uz"], post="owner",
    )  # fmt: skip
    made = await office.convert(lead)
    contact, company, deal = made["contact"], made["company"], made["deal"]
    assert (contact["name"], contact["emails"], contact["post"]) == ("Anvar Karimov", ["a@b.uz"], "owner")
    assert contact["phones"][0]["e164"] == PHONE
    assert company["name"] == "OOO Stul"
    assert "phones" not in company
    assert (deal["title"], deal["amount"]) == (
        "Chairs for a café", {"minor": 12_000_000, "currency": "UZS"}
    )  # fmt: skip
    assert (deal["tags"], deal["about"], deal["stage"], deal["funnel"]) == (
        ["hot"],
        "wants 20 chairs",
        "new",
        "sales",
    )
    assert "tags" not in contact
    assert deal["contact"] == contact["_id"]
    assert deal["company"] == contact["company"] == company["_id"]
    assert deal["customer"] == contact["customer"] == "c1"
    for one in (contact, company, deal):
        assert (one["lead"], one["line"], one["responsible"], one["version"]) == (lead, "sales", "anna", 1)
    gone = made["lead"]
    assert (gone["stage"], gone["semantics"], gone["stages"][-1]["kind"]) == ("converted", "won", 3)
    assert gone["converted"] == {
        "at": office.at, "by": "anna", "contact": contact["_id"], "company": company["_id"], "deal": deal["_id"]
    }  # fmt: skip
    card = await office.get("customer", "c1")
    assert (card["contact"], card["company"]) == (contact["_id"], company["_id"])
    assert await office.store.count("intents", {}) == 0
    actions = [r["action"] for r in await office.store.find("audit", {}, sort=[("_id", 1)])]
    assert sorted(actions) == [
        "company_added", "contact_added", "customer_bound", "deal_added", "lead_added", "lead_converted",
    ]  # fmt: skip


async def test_a_converted_lead_is_read_only(office: Office) -> None:
    lead = await office.lead()
    await office.convert(lead)
    moves = Moves(office.store, office.objects, SETTINGS)
    for change in (
        office.objects.set(ANNA, "lead", lead, {"title": "x"}, at=office.at),
        moves.move(ANNA, "lead", lead, "in_work", at=office.at),
        office.plan(lead),
    ):
        assert await refusal(change) == ("lead_converted", {"id": lead})


async def test_what_is_there_is_used_and_learns_only_what_it_does_not_know(office: Office) -> None:
    other = await office.add("company", name="Other")
    contact = await office.add("contact", name="Anvar", phones=["+998901112233"], company=other)
    lead = await office.lead(emails=["a@b.uz"])
    made = await office.convert(lead, contact=contact, company="none", deal="none")
    assert set(made) == {"lead", "contact"}
    there = made["contact"]
    assert (there["name"], there["company"], there["lead"], there["emails"]) == (
        "Anvar",
        other,
        lead,
        ["a@b.uz"],
    )
    assert [phone["e164"] for phone in there["phones"]] == ["+998901112233", PHONE]
    assert f"phone:{PHONE}" in there["keys"]
    assert made["lead"]["contact"] == contact


async def test_what_only_the_customers_card_knows_is_taken_from_there(office: Office) -> None:
    number = {"raw": PHONE, "e164": PHONE}
    card = {
        "_id": "c1",
        "lines": ["sales"],
        "phones": [number, "8 90 111 22 33", "none"],
        "emails": ["a@b.uz"],
    }
    await office.store.write([Write.insert("customers", card)])
    lead = await office.lead(phones=[], customer="c1")
    contact = (await office.convert(lead))["contact"]
    assert contact["phones"][0] == number
    assert [phone["raw"] for phone in contact["phones"]] == [PHONE, "8 90 111 22 33"]
    assert (contact["emails"], f"phone:{PHONE}" in contact["keys"]) == (["a@b.uz"], True)


async def test_activities_and_notes_move_along(office: Office) -> None:
    lead = await office.lead()
    mine = [
        await office.add("activity", kind=kind, title=kind, lead=lead) for kind in ("task", "note", "call")
    ]
    deal = await office.add("deal", title="another")
    bound = await office.add("activity", kind="task", title="bound", lead=lead, deal=deal)
    other = await office.add("activity", kind="task", title="other")
    made = await office.convert(lead, company="none")
    for id in mine:
        activity = await office.get("activity", id)
        assert (activity["deal"], activity["contact"], activity["lead"]) == (
            made["deal"]["_id"], made["contact"]["_id"], lead
        )  # fmt: skip
    assert (await office.get("activity", bound))["deal"] == deal
    assert "deal" not in await office.get("activity", other)


async def test_every_duplicate_is_told_before_anything_is_written(office: Office) -> None:
    contact = await office.add("contact", name="Somebody", phones=[PHONE])
    company = await office.add("company", name="OOO «Stul»")
    await office.store.write([Write.insert("customers", {"_id": "c1", "lines": ["sales"]})])
    deal = await office.add("deal", title="Tables", customer="c1")
    lead = await office.lead(company_name="ooo stul", customer="c1")
    code, params = await refusal(office.intent(lead))
    assert (code, params["targets"]) == ("twins_found", "contact, company, deal")
    assert all(id in params["found"] for id in (contact, company, deal))
    assert [await office.store.count(name, {}) for name in ("contacts", "companies", "deals")] == [1, 1, 1]
    # Who says so gets new ones all the same.
    made = await office.convert(lead, contact="new", company="new", deal="new")
    assert {made["contact"]["_id"], made["company"]["_id"], made["deal"]["_id"]}.isdisjoint(
        {contact, company, deal}
    )


@pytest.mark.parametrize("there", ["O'ktam Yo‘ldoshev", "Oʻktam Yoʼldoshev", "OʼKTAM YO`LDOSHEV"])
async def test_apostrophes_in_names_match(there: str, office: Office) -> None:
    contact = await office.add("contact", name=there)
    lead = await office.lead(name="O‘ktam Yo'ldoshev", phones=[])
    code, params = await refusal(office.intent(lead))
    assert (code, params["targets"], contact in params["found"]) == ("twins_found", "contact", True)


async def test_many_have_the_same_first_name(office: Office) -> None:
    await office.add("contact", name="Ali")
    lead = await office.lead(name="Ali", phones=[])
    plan = await office.plan(lead)
    assert ([twin.by for twin in plan.twins["contact"]], plan.open) == (["name"], [])


async def test_a_foreign_duplicate_is_there_and_says_nothing(office: Office) -> None:
    contact = await office.add("contact", BEK, name="Secret Name", phones=[PHONE])
    lead = await office.lead()
    code, params = await refusal(office.intent(lead))
    assert (code, params["found"]) == ("twins_found", "contact (by phone, not yours to see)")
    assert (await refusal(office.intent(lead, contact=contact)))[0] == "no_such_object"


async def test_rights_hold_for_what_is_made(office: Office) -> None:
    lead = await office.lead()
    without = granted({"deal": {"add": "none"}})
    assert (await refusal(office.intent(lead, without)))[0] == "no_right"
    assert (await refusal(office.intent(lead, BEK)))[0] == "no_such_object"
    made = await office.convert(lead, without, deal="none")
    assert "deal" not in made


async def test_what_a_screen_adds_is_checked_as_anywhere(office: Office) -> None:
    lead = await office.lead()
    for fields, code in (
        ({"deal": {"amount": "12345678901234567890:UZS"}}, "bad_amount"),
        ({"deal": {"$set": 1}}, "no_such_field"),
        ({"deal": {"title": ""}}, "needs_field"),
        ({"contact": {"name": "x" * 1_000_000}}, "field_too_long"),
    ):
        assert (await refusal(office.intent(lead, fields=fields)))[0] == code
    assert (await refusal(office.intent(lead, funnel="sails")))[0] == "no_such_funnel"
    assert (await refusal(office.intent(lead, contact="none", company="none", deal="none")))[0] == (
        "converts_into_nothing"
    )
    made = await office.convert(lead, fields={"deal": {"title": "Tables", "custom": {"color": "red"}}})
    assert (made["deal"]["title"], made["deal"]["custom"]) == ("Tables", {"color": "red"})


async def test_the_deals_of_a_line_go_into_its_funnel(office: Office) -> None:
    repair = CrmSettings(funnels={**SETTINGS.funnels, "repair": SETTINGS.funnels["sales"]})
    lead = await office.lead()
    for said, of_line, wanted in (
        ("", "repair", "repair"), ("sales", "repair", "sales"), ("", "gone", "sales"), ("", "", "sales"),
    ):  # fmt: skip
        plans = Conversions(office.store, office.objects, repair, {"sales": of_line}.__getitem__)
        plan = await plans.plan(ANNA, lead, Wanted(funnel=said), at=AT)
        assert plan.drafts["deal"]["funnel"] == wanted


async def test_whoever_edits_in_between_is_not_overwritten(office: Office) -> None:
    lead = await office.lead()
    intent = await office.intent(lead)
    await office.objects.set(NODIRA, "lead", lead, {"title": "Beds"}, at=office.at)
    with pytest.raises(Conflict) as conflict:
        await convert(office.store, intent)
    assert conflict.value.current["title"] == "Beds"
    for name in ("contacts", "companies", "deals", "intents"):
        assert await office.store.count(name, {}) == 0


async def test_two_convert_at_once_and_one_does(office: Office) -> None:
    lead = await office.lead()
    intents = [await office.intent(lead) for _ in range(4)]
    done = await asyncio.gather(*(convert(office.store, one) for one in intents), return_exceptions=True)
    assert sum(isinstance(one, dict) for one in done) == 1
    assert all(isinstance(one, dict | Refused | Conflict) for one in done), done
    assert await office.store.count("deals", {}) == await office.store.count("contacts", {}) == 1
    assert await office.store.count("intents", {}) == 0


# ------------------------------------------------------------------ cut off anywhere


class Dying:
    """A store that is gone at its n-th call, before it or after it."""

    def __init__(self, store: Store, at: int, die: Callable[[], None], *, after: bool = False) -> None:
        self._store = store
        self.left = at
        self._die = die
        self._after = after

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)

        async def counted(*args: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self._after:
                self._die()
            found = await call(*args, **named)
            if self.left == 0 and self._after:
                self._die()
            return found

        return counted


def _gone() -> None:
    raise Unavailable("gone on purpose")


async def _scene(office: Office, name: str) -> tuple[str, list[str]]:
    """A lead with everything, by a name of its own."""
    customer = f"c{name}"
    await office.store.write([Write.insert("customers", {"_id": customer, "lines": ["sales"]})])
    lead = await office.lead(
        title=name, name=f"Anvar {name}", phones=[], company_name=f"Stul {name}", customer=customer
    )
    return lead, [await office.add("activity", kind="note", title=name, lead=lead) for _ in range(2)]


async def _state(office: Office, lead: str, activities: list[str]) -> Any:
    """What there is after a conversion, by what it is and not by its id; None where nothing has happened."""
    found = await office.get("lead", lead)
    things = {
        "contact": await office.store.find("contacts", {"lead": lead}),
        "company": await office.store.find("companies", {"lead": lead}),
        "deal": await office.store.find("deals", {"lead": lead}),
    }
    ids = {target: [one["_id"] for one in many] for target, many in things.items()}
    bound = [await office.get("activity", id) for id in activities]
    card = await office.get("customer", found["customer"])
    if not found.get("converted"):
        assert ids == {"contact": [], "company": [], "deal": []}
        assert not any("deal" in activity for activity in bound)
        assert (card.get("contact"), found["semantics"]) == (None, "work")
        return None
    names = {id: target for target, many in ids.items() for id in many}
    return {
        "counts": {target: len(many) for target, many in ids.items()},
        "lead": {target: names[found["converted"][target]] for target in things},
        "stages": [entry["stage"] for entry in found["stages"]],
        "deal": {target: names[things["deal"][0][target]] for target in ("contact", "company")},
        "activities": [{target: names[one[target]] for target in things} for one in bound],
        "card": (names[card["contact"]], names[card["company"]]),
        "audit": [
            [r["action"] for r in await office.store.find("audit", {"object": id}, sort=[("version", 1)])]
            for id in (lead, *names, *activities)
        ],
        "owed": [one["_id"] for many in things.values() for one in many if one.get("owes")],
    }


@pytest.mark.parametrize("after", [False, True])
async def test_cut_off_at_any_step_it_is_finished_or_has_not_happened(office: Office, after: bool) -> None:
    lead, activities = await _scene(office, "whole")
    await office.convert(lead)
    whole = await _state(office, lead, activities)
    seen, n = set(), 0
    while True:
        n += 1
        lead, activities = await _scene(office, f"cut {n}")
        intent = await office.intent(lead)
        dying = Dying(office.store, n, _gone, after=after)
        try:
            await convert(dying, intent)
        except Unavailable:
            await resume(office.store)
            await sweep(office.store)
        state = await _state(office, lead, activities)
        assert state in (None, whole), n
        seen.add(state is None)
        assert await office.store.count("intents", {}) == 0
        if dying.left > 0:
            break
        # A server without an index for each question slows down with all that was before.
        await office.store.write([Write.delete(name, {}) for name in await office.store.collections()])
    assert seen == {True, False} if not after else False in seen
    assert n > 25


async def test_the_same_command_finishes_what_was_cut_off(office: Office) -> None:
    lead, activities = await _scene(office, "x")
    intent = await office.intent(lead)
    with pytest.raises(Unavailable):
        await convert(Dying(office.store, 8, _gone), intent)
    there = await converting.unfinished(office.store, lead)
    assert there is not None
    assert await finish(office.store, there)
    assert await _state(office, lead, activities) is not None
    assert await refusal(office.intent(lead)) == ("lead_converted", {"id": lead})


async def test_two_finish_at_once(office: Office) -> None:
    lead, activities = await _scene(office, "whole")
    await office.convert(lead)
    whole = await _state(office, lead, activities)
    lead, activities = await _scene(office, "twice")
    intent = await office.intent(lead)
    await office.store.insert("intents", intent)
    await asyncio.gather(*(finish(office.store, intent) for _ in range(4)))
    await sweep(office.store)
    assert await _state(office, lead, activities) == whole


class Meanwhile:
    """A store behind which something happens once, right after the first change of ``collection``."""

    def __init__(self, store: Store, collection: str, happens: Callable[[], Awaitable[Any]]) -> None:
        self._store = store
        self._collection = collection
        self._happens: Callable[[], Awaitable[Any]] | None = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def change(self, collection: str, *args: Any, **named: Any) -> Document | None:
        found = await self._store.change(collection, *args, **named)
        happens, self._happens = self._happens, None if collection == self._collection else self._happens
        if happens is not None and collection == self._collection:
            await happens()
        return found


async def test_who_comes_late_to_an_earlier_one_leaves_this_one_alone(office: Office) -> None:
    lead, activities = await _scene(office, "whole")
    await office.convert(lead)
    whole = await _state(office, lead, activities)
    lead, activities = await _scene(office, "again")
    stale = await office.intent(lead)
    await office.objects.set(ANNA, "lead", lead, {"about": "2"}, at=office.at)
    await office.objects.set(ANNA, "lead", lead, {"about": None}, at=office.at)
    fresh = await office.intent(lead)
    fresh["at"] += 1
    store: Any = Meanwhile(office.store, "leads", lambda: finish(office.store, stale))
    done = await convert(store, fresh)
    for target in ("contact", "company", "deal"):
        assert (await office.get(target, done["converted"][target]))["lead"] == lead
    assert await office.store.count("intents", {}) == 0
    assert whole is not None
    for activity in activities:
        assert (await office.get("activity", activity))["deal"] == done["converted"]["deal"]


async def test_of_who_is_being_erased_nothing_is_made(office: Office) -> None:
    lead = await office.lead()
    intent = await office.intent(lead)
    erasing = {"_id": "erase-c1", "kind": "erase", "customers": ["c1"], "objects": {"leads": [lead]}}
    await office.store.insert("intents", erasing)
    assert (await refusal(convert(office.store, intent)))[0] == "no_such_object"
    for name in ("contacts", "companies", "deals"):
        assert await office.store.count(name, {}) == 0
    assert [one["_id"] for one in await office.store.find("intents", {})] == ["erase-c1"]


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from crm.funnels.converting import convert
from storage.sqlite import SqliteStore
from tests.crm.funnels.test_conversion import Dying, Office

async def main(file, lead, calls):
    store = SqliteStore(Path(file))
    await store.open()
    intent = await Office(store).intent(lead)
    await convert(Dying(store, int(calls), lambda: os.kill(os.getpid(), signal.SIGKILL), after=True), intent)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_killed_in_the_middle(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    for calls in (2, 5, 9):
        store = SqliteStore(file)
        await store.open()
        lead, activities = await _scene(Office(store), f"killed {calls}")
        await store.close()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _KILLED, str(file), lead, str(calls), cwd=Path(__file__).parents[3]
        )
        assert await process.wait() == -signal.SIGKILL
        store = SqliteStore(file)
        await store.open()
        assert await store.count("intents", {}) == 1
        assert await resume(store) == 1
        await sweep(store)
        state = await _state(Office(store), lead, activities)
        assert state is not None
        assert state["counts"] == {"contact": 1, "company": 1, "deal": 1}
        await store.close()
