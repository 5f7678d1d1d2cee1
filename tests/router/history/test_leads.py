"""Leads make themselves from what the journal tells, each once, however it is read."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from crm.kernel.crm_settings import CrmSettings, LeadRules, Repeat
from crm.kernel.errors import Unavailable
from crm.kernel.ports import Document, Store, Write
from crm.kernel.records import Customer, Message
from crm.lines import versions
from router.desk.state import AnyTold, Audit, CustomerSeen, Entry, MessageAdded, Session, Stood, encode
from router.history.leads import TOGETHER, lead_id
from router.history.projector import Projector
from router.log.log import Log
from storage.sqlite import SqliteStore
from tests.router.history.test_projector import Broken

START = 1_000_000
MINUTE = 60_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite")
    await store.open()
    yield store
    await store.close()


class ToldDesk:
    """Tells the journal of conversations as a desk does."""

    def __init__(self, log: Log, repeat: Repeat = "open_only") -> None:
        self.log = log
        self.settings = CrmSettings(leads=LeadRules(repeat=repeat))
        self.now = START
        self.sessions: dict[str, Session] = {}
        self._pending: list[tuple[list[AnyTold], list[Session]]] = []

    def open(self, id: str, customer: str = "c1", **fields: Any) -> Session:
        made = Session(
            id=id, chat=f"shop:{customer}.{id}", channel="shop", kind="telegram", customer=customer,
            line=fields.pop("line", "sales"), name=fields.pop("name", "Ali"), opened_at=self.now,
            status=fields.pop("status", "waiting"), **fields,
        )  # fmt: skip
        self.sessions[id] = made
        card = Customer(id=customer, name=made.name, created_at=self.now, seen_at=self.now)
        self.told(id, CustomerSeen(customer=card, chat=made.chat, at=self.now), self._stood(made, "queue"))
        return made

    def take(self, id: str, who: str) -> None:
        session = self.sessions[id]
        session.holder, session.status = who, "taken"
        self.told(id, self._stood(session, "hand", who))

    def _stood(self, session: Session, phase: Any, who: str = "") -> Stood:
        return Stood(at=self.now, session=session.id, line=session.line, phase=phase, holder=who)

    def say(self, id: str, who: str) -> None:
        session = self.sessions[id]
        if session.holder != who:
            self.take(id, who)
        session.seq += 1
        session.first_answer_at = session.first_answer_at or self.now
        session.last_author, session.status = who, "answered"
        message = Message(
            id=f"{id}-{session.seq}", session=id, chat=session.chat, seq=session.seq, direction="out",
            at=self.now, author=who, text="hello",
        )  # fmt: skip
        self.told(id, MessageAdded(message=message))

    def transfer(self, id: str, who: str, line: str = "") -> None:
        session = self.sessions[id]
        self.told(id, Audit(at=self.now, operator=who, action="transfer", session=id))
        if line:
            session.line, session.holder, session.status = line, "", "waiting"
            self.told(id, self._stood(session, "queue"))

    def end(self, id: str, status: Any = "closed") -> None:
        self.sessions[id].status = status
        self.sessions[id].closed_at = self.now
        self.told(id)

    def told(self, id: str, *told: AnyTold) -> None:
        session = self.sessions[id]
        session.rev += 1
        session.last_at = self.now
        copy = Session(**{name: getattr(session, name) for name in Session.__struct_fields__})
        self._pending.append((list(told), [copy]))

    async def write(self, *, together: bool = False) -> None:
        """Into the journal: each by itself, or all in one entry."""
        entries = [Entry(at=self.now, told=told, sessions=sessions) for told, sessions in self._pending]
        if together:
            whole = Entry(at=self.now)
            for entry in entries:
                whole.told += entry.told
                whole.sessions = [s for s in whole.sessions if s.id != entry.sessions[0].id]
                whole.sessions += entry.sessions
            entries = [whole]
        for entry in entries:
            await self.log.redis.xadd(self.log.keys.journal, {"e": encode(entry)})
        self._pending.clear()

    async def project(self, store: Any, *, together: bool = False) -> None:
        await self.write(together=together)
        projector = Projector(self.log, store, crm=self.settings)
        await projector.claim()
        while await projector.step():
            pass


async def leads(store: Store, *, all: bool = False) -> list[Document]:
    found = await store.find("leads", {}, sort=[("created_at", 1), ("_id", 1)])
    return found if all else [lead for lead in found if not lead.get("deleted")]


async def test_the_first_contact_makes_a_lead(log: Log, store: SqliteStore) -> None:
    desk = ToldDesk(log)
    desk.open("7", name="Ali \x1b[31mo‘g‘li")
    await desk.project(store)
    (lead,) = await leads(store)
    assert lead["_id"] == lead_id("7")
    wanted = {
        "source": {"kind": "channel", "channel": "shop", "line": "sales"}, "customer": "c1", "line": "sales",
        "funnel": "leads", "stage": "new", "semantics": "work", "responsible": "", "version": 1,
        "created_at": START, "created_by": "", "session": "7", "repeat": False,
    }  # fmt: skip
    assert {name: lead[name] for name in wanted} == wanted
    assert [(one["stage"], one["at"], one["kind"]) for one in lead["stages"]] == [("new", START, 1)]
    card = await store.get("customers", "c1")
    session = await store.get("sessions", "7")
    assert card is not None
    assert session is not None
    assert card["lead"] == session["lead"] == lead["_id"]
    (record,) = await store.find("audit", {"object": lead["_id"]})
    assert (record["action"], record["operator"], record["after"]["stage"]) == ("lead_added", "", "new")


@pytest.mark.parametrize(
    ("repeat", "known", "while_open", "after_the_end"),
    [("never", 0, 1, 1), ("open_only", 1, 1, 2), ("always", 1, 2, 2)],
)
async def test_who_is_known_gets_a_lead_by_the_rule(
    repeat: Repeat, known: int, while_open: int, after_the_end: int, log: Log, store: SqliteStore
) -> None:
    desk = ToldDesk(log, repeat)
    # He has written before there were leads.
    await store.write([Write.insert("customers", {"_id": "c9", "id": "c9", "created_at": 5})])
    desk.open("1", "c9")
    await desk.project(store)
    assert len(await leads(store)) == known

    desk.open("2", "c1")
    desk.now += MINUTE
    desk.end("2")
    desk.open("3", "c1")
    await desk.project(store)
    his = [lead for lead in await leads(store) if lead["customer"] == "c1"]
    assert len(his) == while_open
    assert [lead["repeat"] for lead in his] == [False, True][:while_open]

    for lead in his:
        await store.write([Write.update("leads", {"_id": lead["_id"]}, {"$set": {"semantics": "lost"}})])
    desk.now += MINUTE
    desk.open("4", "c1")
    await desk.project(store)
    assert len(his) + (repeat != "never") == len(
        [lead for lead in await leads(store) if lead["customer"] == "c1"]
    )
    assert after_the_end <= len(his) + 1


async def test_an_open_deal_keeps_repeat_leads_away(log: Log, store: SqliteStore) -> None:
    desk = ToldDesk(log)
    await store.write([Write.insert("deals", {"_id": "d1", "customer": "c1", "semantics": "work"})])
    desk.open("1", "c1")
    await desk.project(store)
    assert await leads(store) == []
    await store.write([Write.update("deals", {"_id": "d1"}, {"$set": {"semantics": "won"}})])
    desk.open("2", "c1")
    await desk.project(store)
    assert [lead["session"] for lead in await leads(store)] == ["2"]


@pytest.mark.parametrize("repeat", ["never", "open_only", "always"])
@pytest.mark.parametrize("together", [True, False])
async def test_two_chats_opened_in_the_same_second_are_one_lead(
    repeat: Repeat, together: bool, log: Log, store: SqliteStore
) -> None:
    desk = ToldDesk(log, repeat)
    desk.open("1", "c1")
    desk.now += 400
    desk.open("2", "c1")
    await desk.project(store, together=together)
    (lead,) = await leads(store)
    assert (lead["session"], lead["alone"]) == ("1", False)
    assert [d["lead"] for d in await store.find("sessions", {})] == [lead["_id"]] * 2
    desk.now += TOGETHER
    desk.open("3", "c1")
    await desk.project(store)
    assert len(await leads(store)) == (2 if repeat == "always" else 1)


async def test_of_cards_that_were_merged_the_one_that_is_left_counts(log: Log, store: SqliteStore) -> None:
    await store.write(
        [
            Write.insert("customers", {"_id": "c1", "merged_into": "c2"}),
            Write.insert("customers", {"_id": "c2", "merged_into": "c3"}),
            Write.insert("customers", {"_id": "c3", "name": "Vali"}),
            Write.insert("customers", {"_id": "c4", "merged_into": "c4"}),
        ]
    )
    desk = ToldDesk(log)
    desk.open("1", "c1")
    desk.open("2", "c3")
    desk.open("3", "c4")
    desk.say("1", "anna")
    await desk.project(store)
    made, other = sorted(await leads(store), key=lambda lead: str(lead["session"]))
    assert (made["customer"], made["name"], other["session"]) == ("c3", "Vali", "3")
    card = await store.get("customers", "c3")
    assert card is not None
    assert card["responsible"] == "anna"


async def _responsible(store: SqliteStore) -> tuple[str, str]:
    (lead,) = await leads(store)
    card = await store.get("customers", lead["customer"])
    assert card is not None
    return lead["responsible"], card.get("responsible", "")


@pytest.mark.parametrize("together", [True, False])
async def test_who_answers_first_is_responsible(together: bool, log: Log, store: SqliteStore) -> None:
    desk = ToldDesk(log)
    desk.open("1")
    desk.take("1", "bek")
    desk.take("1", "anna")
    desk.now += 10
    desk.say("1", "anna")
    desk.now += 10
    desk.say("1", "cara")
    await desk.project(store, together=together)
    assert await _responsible(store) == ("anna", "anna")
    (lead,) = await leads(store)
    (record,) = lead["unaudited"]
    assert (record["before"], record["after"]) == ({}, {"responsible": "anna"})
    assert (lead["owes"], lead["version"]) == (1, 2)


async def test_whoever_is_responsible_already_stays(log: Log, store: SqliteStore) -> None:
    desk = ToldDesk(log)
    desk.open("1")
    await desk.project(store)
    await store.write([Write.update("leads", {}, {"$set": {"responsible": "karim"}})])
    desk.say("1", "anna")
    desk.transfer("1", "anna")
    desk.take("1", "bek")
    await desk.project(store)
    assert await _responsible(store) == ("karim", "bek")


@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize("together", [True, False])
async def test_a_transfer_is_followed_if_the_line_says_so(
    follows: bool, together: bool, log: Log, store: SqliteStore
) -> None:
    settings = {} if follows else {"crm_follow_transfer": False}
    await versions.put(store, "sales", settings, expected=0, by="", source="file")
    desk = ToldDesk(log)
    desk.open("1")
    desk.say("1", "anna")
    desk.transfer("1", "anna")
    desk.take("1", "bek")
    desk.say("1", "bek")
    await desk.project(store, together=together)
    wanted = "bek" if follows else "anna"
    assert await _responsible(store) == (wanted, wanted)
    # What he gives back is no transfer: who comes next is not responsible for that.
    desk.told("1", Audit(at=desk.now, operator="bek", action="return", session="1"))
    desk.take("1", "cara")
    await desk.project(store)
    assert await _responsible(store) == (wanted, wanted)


async def test_a_transfer_before_the_first_answer(log: Log, store: SqliteStore) -> None:
    desk = ToldDesk(log)
    desk.open("1")
    desk.take("1", "anna")
    desk.transfer("1", "anna", line="support")
    desk.say("1", "bek")
    await desk.project(store)
    assert await _responsible(store) == ("bek", "bek")
    (lead,) = await leads(store)
    assert (lead["line"], lead["source"]["line"]) == ("support", "sales")


async def test_a_session_that_turns_out_to_be_of_another_takes_its_lead_along(
    log: Log, store: SqliteStore
) -> None:
    desk = ToldDesk(log)
    desk.open("1", "c1")
    await desk.project(store)
    desk.sessions["1"].customer = "c2"
    desk.told("1")
    await desk.project(store)
    assert [lead["customer"] for lead in await leads(store)] == ["c2"]


async def test_a_line_without_leads(log: Log, store: SqliteStore) -> None:
    await versions.put(store, "support", {"crm_leads": False}, expected=0, by="", source="file")
    desk = ToldDesk(log)
    desk.open("1", "c1", line="support")
    desk.open("2", "c2", outgoing=True)
    await store.write([Write.insert("customers", {"_id": "c3", "blocked": True})])
    desk.open("3", "c3")
    desk.say("1", "anna")
    await desk.project(store)
    assert await leads(store, all=True) == []
    assert [card.get("responsible") for card in await store.find("customers", {"_id": "c1"})] == ["anna"]
    await versions.put(store, "support", {}, expected=1, by="", source="console")
    await log.redis.xadd(log.keys.journal, {"e": encode(Entry(at=1, lines_changed=True))})
    desk.open("4", "c4", line="support")
    await desk.project(store)
    assert [lead["session"] for lead in await leads(store)] == ["4"]


@pytest.mark.parametrize("together", [True, False])
async def test_spam_takes_back_the_lead_that_it_alone_made(
    together: bool, log: Log, store: SqliteStore
) -> None:
    desk = ToldDesk(log)
    desk.open("1")
    desk.say("1", "anna")
    desk.end("1", "spam")
    await desk.project(store, together=together)
    assert await leads(store) == []
    card = await store.get("customers", "c1")
    assert card is not None
    assert "lead" not in card
    # It was no spam after all: what he writes then makes a lead.
    desk.end("1")
    desk.now += MINUTE
    desk.open("2")
    await desk.project(store)
    assert [lead["session"] for lead in await leads(store)] == ["2"]


async def test_spam_leaves_a_lead_that_others_have_come_to_or_worked_on(log: Log, store: SqliteStore) -> None:
    desk = ToldDesk(log)
    desk.open("1", "c1")
    desk.open("2", "c1")
    desk.open("3", "c3")
    await desk.project(store)
    moved = {"$set": {"stage": "in_work"}}
    await store.write([Write.update("leads", {"_id": lead_id("3")}, moved)])
    for id in ("1", "2", "3"):
        desk.end(id, "spam")
    await desk.project(store)
    assert {lead["session"] for lead in await leads(store)} == {"1", "3"}


async def test_a_lead_without_a_name_is_called_by_its_chat(log: Log, store: SqliteStore) -> None:
    desk = ToldDesk(log)
    desk.open("1", name="")
    await desk.project(store)
    (lead,) = await leads(store)
    assert lead["title"] == "shop:c1.1"
    assert "name" not in lead


# ------------------------------------------------------------------ however it is read


def random_day(desk: ToldDesk, chance: random.Random) -> None:
    """A random day of three customers and three operators."""
    operators, customers = ["anna", "bek", "cara"], ["c1", "c2", "c3"]
    numbers = iter(range(1, 1000))

    def open_ones() -> list[str]:
        return [id for id, session in desk.sessions.items() if session.status not in ("closed", "spam")]

    deeds: Sequence[tuple[int, Callable[[str], None]]] = (
        (4, lambda id: desk.say(id, chance.choice(operators))),
        (3, lambda id: desk.take(id, chance.choice(operators))),
        (3, lambda id: desk.transfer(id, chance.choice(operators))),
        (1, lambda id: desk.transfer(id, chance.choice(operators), line=chance.choice(["sales", "support"]))),
        (3, desk.end),
    )
    for _ in range(60):
        desk.now += chance.choice([0, 1, 500, MINUTE])
        there = open_ones()
        if not there or chance.random() < 0.25:
            desk.open(str(next(numbers)), chance.choice(customers))
            continue
        weights = [weight for weight, _ in deeds]
        chance.choices([deed for _, deed in deeds], weights)[0](chance.choice(there))


async def outcome(store: Store) -> list[Any]:
    """All that must be the same: neither versions nor the records of what was between."""
    fields = ("_id", "customer", "line", "responsible", "alone", "session", "repeat", "stage", "created_at")
    return [
        [{name: lead[name] for name in fields} | lead["source"] for lead in await leads(store, all=True)],
        [(d["_id"], d.get("lead"), d.get("owner")) for d in await store.find("sessions", {}, sort=[("_id", 1)])],
        [(d["_id"], d.get("lead"), d.get("responsible")) for d in await store.find("customers", {}, sort=[("_id", 1)])],
        [d["_id"] for d in await store.find("audit", {"verb": "added"}, sort=[("_id", 1)])],
    ]  # fmt: skip


async def come_through(log: Log, flaky: Broken, desk: ToldDesk) -> None:
    """Projects the journal into a store that breaks off, again and again until all is there."""
    for _ in range(400):
        projector = Projector(log, flaky, crm=desk.settings)  # type: ignore[arg-type]
        try:
            await projector.claim()
            while await projector.step():
                pass
        except Unavailable:
            continue
        return
    pytest.fail("never came through")


@pytest.mark.parametrize("repeat", ["never", "open_only", "always"])
@pytest.mark.parametrize("seed", range(8))
async def test_broken_off_anywhere_in_pieces_or_at_once_it_is_the_same(
    repeat: Repeat, seed: int, log: Log, tmp_path: Path
) -> None:
    chance = random.Random(f"{seed} {repeat}")
    desk = ToldDesk(log, repeat)
    random_day(desk, chance)
    stores = [SqliteStore(tmp_path / f"{name}.sqlite") for name in ("whole", "single", "broken")]
    for store in stores:
        await store.open()
    whole, single, broken = stores
    await desk.write()
    for store, size in ((whole, 32), (single, 1)):
        projector = Projector(log, store, crm=desk.settings)
        await projector.claim()
        rows = await log.read_journal("0", 1000)
        for start in range(0, len(rows), size):
            await projector._write(rows[start : start + size])
    await come_through(log, Broken(broken, chance), desk)
    wanted = await outcome(whole)
    assert wanted[0]
    assert await outcome(single) == wanted
    assert await outcome(broken) == wanted
    for store in stores:
        unsettled = [record["_id"] for lead in await leads(store) for record in lead.get("unaudited", [])]
        assert len(unsettled) == len(set(unsettled))
        await store.close()


async def test_the_whole_journal_again_makes_nothing_new(log: Log, store: SqliteStore) -> None:
    desk = ToldDesk(log)
    random_day(desk, random.Random(5))
    await desk.project(store)
    before = await outcome(store)
    versions_before = [lead["version"] for lead in await leads(store, all=True)]
    await store.write([Write.update("cursors", {"_id": "journal"}, {"$set": {"position": "0"}})])
    await desk.project(store)
    assert await outcome(store) == before
    assert [lead["version"] for lead in await leads(store, all=True)] == versions_before
