"""Two cards become one and two again, whoever dies in between."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import pytest

from crm.kernel.errors import Conflict, Refused, Unavailable
from crm.kernel.ports import Document, Filter, Store, Update, Write
from crm.people import merging
from crm.people.merging import Claim, Disputed, carry_out, merge_intent, merge_of, resume, unmerge_intent

AT = 1_000_000


class Dying:
    """A store whose writes end with the ``after``-th, before it (or ``late``: after it)."""

    def __init__(self, store: Store, after: int, *, late: bool = False) -> None:
        self._store, self._left, self._late = store, after, late
        self.died = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def _through(self, write: Any) -> Any:
        self._left -= 1
        if self._left > 0:
            return await write
        self.died = True
        if self._left == 0 and self._late:
            await write
        else:
            write.close()
        raise Unavailable("dead")

    async def insert(self, collection: str, document: Document) -> None:
        await self._through(self._store.insert(collection, document))

    async def change(
        self, collection: str, filter: Filter, update: Update, *, upsert: bool = False, sort: Any = ()
    ) -> Document | None:
        found: Document | None = await self._through(
            self._store.change(collection, filter, update, upsert=upsert, sort=sort)
        )
        return found

    async def write(self, writes: Sequence[Write], **more: Any) -> int:
        return int(await self._through(self._store.write(writes, **more)))


class Told:
    def __init__(self) -> None:
        self.claims: list[Claim] = []

    async def __call__(self, claim: Claim) -> None:
        self.claims.append(claim)


async def prepare(store: Store) -> None:
    """``c1`` with a chat and what belongs to him, and ``c2`` with another."""
    one = {"_id": "c1", "id": "c1", "version": 1, "name": "Anvar", "chats": ["tg:1"], "lines": ["sales"]}
    one |= {"phones": [{"raw": "1", "e164": "+998901234567"}], "keys": ["phone:+998901234567"], "vip": True}
    two = {"_id": "c2", "id": "c2", "version": 3, "name": "anvar", "chats": ["web:2"], "responsible": "anna"}
    two |= {"emails": ["a@b.uz"], "keys": ["email:a@b.uz", "phone:+998901234567"], "lines": ["support"]}
    two |= {"phones": [{"raw": "1", "e164": "+998901234567"}], "about": "likes tea"}
    writes = [Write.insert("customers", one), Write.insert("customers", two)]
    for session, customer, chat in (("1", "c1", "tg:1"), ("2", "c2", "web:2"), ("3", "c2", "web:2/7")):
        of = {"customer": customer, "chat": chat, "line": "sales", "channel": "x", "opened_at": int(session)}
        writes.append(Write.insert("sessions", {"_id": session, "rev": 1, **of}))
        for seq in range(3):
            message = {"_id": f"{session}-{seq}", "session": session, "seq": seq, "at": seq, **of}
            writes.append(Write.insert("messages", {**message, "source": message["_id"]}))
    for collection in merging.OBJECTS:
        for customer in ("c1", "c2"):
            id = f"{collection}-{customer}"
            writes.append(Write.insert(collection, {"_id": id, "customer": customer, "version": 1}))
    await store.write(writes)


async def merge(store: Store, told: Told, at: int = AT) -> None:
    master, other = await store.get("customers", "c1"), await store.get("customers", "c2")
    assert master is not None
    assert other is not None
    await carry_out(store, told, merge_intent(master, other, {}, by="boss", at=at))


async def unmerge(store: Store, told: Told, at: int = AT + 5) -> None:
    found, card = await merge_of(store, "c2"), await store.get("customers", "c2")
    assert found is not None
    assert card is not None
    await carry_out(store, told, unmerge_intent(found, card, by="boss", at=at))


async def picture(store: Store) -> dict[str, Any]:
    """All that people see."""
    found: dict[str, Any] = {}
    for collection in ("sessions", "messages", *merging.OBJECTS):
        for document in await store.find(collection, {}):
            found[document["_id"]] = document["customer"]
    inside = {"version", "changed_at", "hinged", "tokens", "unaudited", "owes"}
    for card in await store.find("customers", {}):
        kept = {name: value for name, value in card.items() if name not in inside and value not in ([], None)}
        lists = {name: sorted(map(str, value)) for name, value in kept.items() if isinstance(value, list)}
        found[card["_id"]] = kept | lists
    return found


async def test_everything_is_the_one_persons(store: Store) -> None:
    await prepare(store)
    told = Told()
    await merge(store, told)
    seen = await picture(store)
    assert {owner for id, owner in seen.items() if id not in ("c1", "c2")} == {"c1"}
    card = seen["c1"]
    assert (card["name"], card["responsible"], card["about"]) == ("Anvar", "anna", "likes tea")
    assert card["vip"] is True
    assert card["chats"] == ["tg:1", "web:2"]
    assert card["lines"] == ["sales", "support"]
    assert card["keys"] == ["email:a@b.uz", "phone:+998901234567"]
    assert len(card["phones"]) == 1
    assert seen["c2"]["merged_into"] == "c1"
    assert "chats" not in seen["c2"]
    found = await merging.resolve(store, "c2")
    assert found is not None
    assert found["_id"] == "c1"
    (claim,) = told.claims
    assert (claim.customer, claim.was, claim.chats) == ("c1", "c2", ["web:2"])
    assert claim.card["responsible"] == "anna"
    assert {(r["object"], r["verb"]) for r in await store.find("audit", {})} == {
        ("c1", "absorbed"), ("c2", "merged")
    }  # fmt: skip
    assert await store.find("intents", {}) == []


async def test_a_merge_is_undone_exactly(store: Store) -> None:
    await prepare(store)
    before = await picture(store)
    told = Told()
    await merge(store, told)
    await unmerge(store, told)
    assert await picture(store) == before
    assert (told.claims[-1].customer, told.claims[-1].chats) == ("c2", ["web:2", "web:2/7"])
    assert await merge_of(store, "c2") is None
    # And once more.
    await merge(store, told, AT + 10)
    assert (await picture(store))["2"] == "c1"


async def test_what_was_changed_since_stays(store: Store) -> None:
    await prepare(store)
    await merge(store, Told())
    await store.write([Write.update("customers", {"_id": "c1"}, {"$set": {"responsible": "bek"}})])
    await unmerge(store, Told())
    seen = await picture(store)
    assert seen["c1"]["responsible"] == "bek"
    assert seen["c2"]["responsible"] == "anna"


@pytest.mark.parametrize("late", [False, True])
async def test_whoever_dies_in_between_is_followed_by_whoever_comes_next(store: Store, late: bool) -> None:
    for step, wanted in ((merge, "merge"), (unmerge, "unmerge")):
        for after in range(1, 100):
            for collection in await store.collections():
                await store.write([Write.delete(collection, {})])
            await prepare(store)
            before = await picture(store)
            if step is unmerge:
                await merge(store, Told())
            start = await picture(store)
            dying, told = Dying(store, after, late=late), Told()
            with contextlib.suppress(Unavailable):
                await step(dying, told)
            if not dying.died:
                break
            intents = await store.find("intents", {})
            await resume(store, told, AT + merging.UNREADY_MS * 2)
            assert await store.find("intents", {}) == []
            seen = await picture(store)
            if seen == start:  # it had not begun
                assert not intents or "ready" not in intents[0]
                await step(store, told)
                seen = await picture(store)
            assert told.claims, (wanted, after)
            if step is unmerge:
                assert seen == before, (wanted, after)
            else:
                assert {seen[id] for id in seen if id not in ("c1", "c2")} == {"c1"}, (wanted, after)
                assert seen["c1"]["about"] == "likes tea"
        assert after > 8


async def test_two_values_are_a_conflict_unless_it_is_said_which_wins(store: Store) -> None:
    one = {"_id": "c1", "name": "Anvar", "responsible": "bek", "language": "ru"}
    two = {"_id": "c2", "name": "Olga", "responsible": "anna", "language": "uz"}
    with pytest.raises(Disputed) as refused:
        merge_intent(one, two, {"name": "other"}, by="", at=AT)
    assert refused.value.both == {"responsible": {"master": "bek", "other": "anna"}}
    intent = merge_intent(one, two, {"name": "other", "responsible": "master"}, by="", at=AT)
    assert intent["filled"] == {"name": "Olga"}
    assert merge_intent(one, two, {"*": "other"}, by="", at=AT)["filled"] == {
        "name": "Olga",
        "responsible": "anna",
    }
    with pytest.raises(Refused, match="same_customer"):
        merge_intent(one, one, {}, by="", at=AT)


async def test_a_card_that_was_changed_meanwhile_is_not_merged(store: Store) -> None:
    await prepare(store)
    master, other = await store.get("customers", "c1"), await store.get("customers", "c2")
    assert master is not None
    assert other is not None
    await store.change("customers", {"_id": "c2"}, {"$inc": {"version": 1}})
    before = await picture(store)
    with pytest.raises(Conflict):
        await carry_out(store, Told(), merge_intent(master, other, {}, by="", at=AT))
    assert await picture(store) == before
    assert await store.find("intents", {}) == []


async def test_two_at_one_card_wait_for_each_other(store: Store) -> None:
    await prepare(store)
    one, two = await store.get("customers", "c1"), await store.get("customers", "c2")
    assert one is not None
    assert two is not None
    await store.insert("intents", merge_intent(two, one, {}, by="", at=AT))
    with pytest.raises(Refused, match="merge_busy"):
        await carry_out(store, Told(), merge_intent(one, two, {}, by="", at=AT))
    # Whoever began it and died before anything was written is forgotten.
    await resume(store, Told(), AT + merging.UNREADY_MS + 1)
    await merge(store, Told())


async def test_what_the_history_writes_late_follows(store: Store) -> None:
    await prepare(store)
    await merge(store, Told())
    late = {"_id": "9", "customer": "c2", "chat": "web:3", "rev": 1, "opened_at": 9}
    await store.write(
        [Write.insert("sessions", late), Write.insert("cursors", {"_id": "journal", "position": "5-0"})]
    )
    await resume(store, Told(), AT)
    assert (await picture(store))["9"] == "c1"
    settled = f"{AT + merging.SETTLED_MS + 1}-0"
    await store.write([Write.update("cursors", {"_id": "journal"}, {"$set": {"position": settled}})])
    await resume(store, Told(), AT)
    assert await store.find("merges", {"watched": 1}) == []
    await unmerge(store, Told())
    assert (await picture(store))["9"] == "c2"


async def test_a_chat_that_comes_in_this_moment_is_not_lost(store: Store) -> None:
    await prepare(store)
    master, other = await store.get("customers", "c1"), await store.get("customers", "c2")
    assert master is not None
    assert other is not None
    intent = merge_intent(master, other, {}, by="", at=AT)
    # The history tells it, which is no edit of the card.
    await store.write([Write.update("customers", {"_id": "c2"}, {"$addToSet": {"chats": "web:9"}})])
    await carry_out(store, Told(), intent)
    await resume(store, Told(), AT)
    cards = [await store.get("customers", id) for id in ("c1", "c2")]
    assert [sorted((card or {})["chats"]) for card in cards] == [["tg:1", "web:2", "web:9"], []]
    await unmerge(store, Told())
    assert sorted((await store.get("customers", "c2") or {})["chats"]) == ["web:2", "web:9"]


class Meanwhile:
    """A store behind which somebody else finishes ``intent``, right after the first change of a card."""

    def __init__(self, store: Store, intent: Document) -> None:
        self._store, self._intent = store, intent
        self._happened = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def change(self, collection: str, *args: Any, **named: Any) -> Document | None:
        found = await self._store.change(collection, *args, **named)
        if collection == "customers" and not self._happened:
            self._happened = True
            await merging.finish(self._store, Told(), self._intent)
        return found


async def test_who_comes_late_to_an_earlier_one_leaves_this_one_alone(store: Store) -> None:
    await prepare(store)
    master, other = await store.get("customers", "c1"), await store.get("customers", "c2")
    assert master is not None
    assert other is not None
    stale = merge_intent(master, other, {}, by="", at=AT - 1)
    changed = await store.change("customers", {"_id": "c2"}, {"$inc": {"version": 1}})
    assert changed is not None
    watched: Any = Meanwhile(store, stale)
    await carry_out(watched, Told(), merge_intent(master, changed, {}, by="", at=AT))
    found = await picture(store)
    assert {found[session] for session in ("1", "2", "3")} == {"c1"}
    assert await merge_of(store, "c2") is not None
    assert await store.find("intents", {}) == []


async def test_who_is_being_erased_is_merged_with_nobody(store: Store) -> None:
    await prepare(store)
    await store.insert("intents", {"_id": "erase-c2", "kind": "erase", "customers": ["c0", "c2"]})
    before = await picture(store)
    with pytest.raises(Refused, match="merge_busy"):
        await merge(store, Told())
    assert await picture(store) == before
    assert [one["_id"] for one in await store.find("intents", {})] == ["erase-c2"]
