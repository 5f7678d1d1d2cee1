"""What the demo's people have written down of their customers: contacts, companies, deals and what is to be done
today. Made and moved through the desk's own services, so that each has its history and its records in the audit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from crm.funnels.conversion import NONE, Conversions, Wanted
from crm.funnels.converting import convert, intent_of
from crm.funnels.moving import Moves
from crm.kernel.access import Actor, ObjectType
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.ports import Store
from crm.kernel.reach import phones_of
from crm.kernel.records import customer_of
from crm.objects.checking import Checks
from crm.objects.service import Objects
from crm.objects.types import Types
from crm.objects.values import Habits
from navbat.lab.demo.past import PEOPLE, Regular

HOUR = 3_600_000
DAY = 24 * HOUR

COMPANIES: tuple[Mapping[str, Any], ...] = (
    {"name": "Registon Mehmonxonasi", "industry": "hotel", "inn": "301234567", "phones": "+998 66 233 11 22"},
    {"name": "ООО «Шёлковый путь»", "industry": "retail", "inn": "305551122", "emails": "zakaz@silkway.example"},
    {"name": "Blue Dome Café", "industry": "restaurant", "phones": "+998 71 205 40 40", "site": "bluedome.example"},
)  # fmt: skip

DEALS: tuple[tuple[str, str, str, int, tuple[tuple[int, str, str], ...]], ...] = (
    ("20 irons for the hotel", "9600000:UZS", "nodira", 0, ((4, "agreed", ""), (2, "invoiced", ""))),
    ("Бойлеры, 55 л, 12 шт.", "25200000:UZS", "timur", 1, ((3, "agreed", ""),)),
    ("Kitchen for the café", "4150:USD", "demo", 2, ((5, "agreed", ""), (3, "invoiced", ""), (1, "won", ""))),
    ("Dazmollar, ulgurji", "6200000:UZS", "demo", -1, ((2, "agreed", ""),)),
    ("Чайники для офиса", "1840000:UZS", "demo", -1, ()),
    ("Air conditioners, 3", "1290:USD", "nodira", -1, ()),
    ("Стиральные машины", "14800000:UZS", "timur", 1, ((4, "agreed", ""), (2, "lost", "дорого"))),
)
"""Title, amount, who is responsible, which company (-1: none), and when (days ago) it was moved where and why."""

TASKS: tuple[tuple[str, str, float, str], ...] = (
    ("call", "Call about the delivery to Samarkand", -2.0, "demo"),
    ("task", "Send the invoice for the kettles", 0.1, "demo"),
    ("meeting", "Show the irons at the hotel", 1.0, "nodira"),
    ("task", "Narxlarni yangilash", 2.0, "demo"),
    ("call", "Перезвонить насчёт бойлеров", 3.0, "timur"),
)
"""Kind, title, due in so many hours, and whose it is."""


class DemoStaff:
    """Everybody and every line are there."""

    async def operator(self, name: str) -> bool:
        return True

    def line(self, name: str) -> bool:
        return True


class Books:
    """Written on a store in which the past of ``navbat.lab.demo.past`` is. ``now`` in ms."""

    def __init__(self, store: Store, settings: CrmSettings, *, now: int, zone: str) -> None:
        self._store = store
        self._settings = settings
        self._now = now
        self._zone = ZoneInfo(zone)
        habits = Habits(settings.currency, phones=phones_of(settings.country))
        self._objects = Objects(store, Checks(store, Types(), habits, settings, DemoStaff()))
        self._moves = Moves(store, self._objects, settings)
        self._conversions = Conversions(store, self._objects, settings)

    async def write(self) -> None:
        """All of it, once."""
        companies = [await self._add("demo", "company", one, 6) for one in COMPANIES]
        contacts = await self._convert(companies)
        deals = []
        for title, amount, who, company, moves in DEALS:
            given: dict[str, Any] = {"title": title, "amount": amount, "line": "sales"}
            if company >= 0:
                given["company"] = companies[company]
                given["contact"] = contacts[company]
            given["close_date"] = (datetime.now(self._zone) + timedelta(days=9)).date().isoformat()
            deals.append(await self._add(who, "deal", given, 6 if moves else 1))
            for ago, stage, reason in moves:
                await self._moves.move(
                    _actor(who), "deal", deals[-1], stage, at=self._now - ago * DAY, reason=reason
                )
        await self._leads_go_on()
        for (kind, title, hours, who), deal in zip(TASKS, deals, strict=False):
            due = self._today(hours)
            task = {"kind": kind, "title": title, "due_at": due, "remind_at": due - HOUR // 4, "deal": deal}
            await self._add(who, "activity", task, 1)
        note = {
            "kind": "note",
            "about": "Pays on time, asks for delivery before noon.",
            "company": companies[0],
        }
        await self._add("nodira", "activity", note, 2)

    def _today(self, hours: float) -> int:
        """So many hours from now, but not after the end of the day nor before it."""
        begin = datetime.fromtimestamp(self._now / 1000, self._zone).replace(hour=0, minute=0, second=0)
        first, last = (int((begin + timedelta(hours=hour)).timestamp() * 1000) for hour in (0.5, 23.75))
        return max(first, min(last, self._now + int(hours * HOUR)))

    async def _add(self, who: str, type: ObjectType, given: Mapping[str, Any], ago: int) -> str:
        """The id of an object that was made so many days ago."""
        added = await self._objects.add(_actor(who), type, given, at=self._now - ago * DAY)
        return str(added.document["_id"])

    async def _convert(self, companies: list[str]) -> list[str]:
        """The first customers of the shop have become contacts of the companies, one with a deal."""
        contacts = []
        for number, (person, company) in enumerate(zip(_of("shop"), companies, strict=False)):
            lead = await self._lead(person)
            at, who = self._now - 2 * DAY + number * HOUR, _actor(lead["responsible"] or "demo")
            reached = {"phones": f"+998 90 123 4{number} 67", "emails": f"buyer{number}@example.com"}
            wanted = Wanted(
                contact="new",
                company=company,
                deal="new" if number == 0 else NONE,
                fields={"contact": reached},
            )
            plan = await self._conversions.plan(who, lead["_id"], wanted, at=at)
            await convert(self._store, intent_of(self._settings, plan, by=who.name, at=at))
            contacts.append(plan.ids["contact"])
        return contacts

    async def _leads_go_on(self) -> None:
        """Some are being worked on, and one is no good."""
        for person, stage, reason in zip(
            _of("help"), ("in_work", "junk", "in_work"), ("", "spare parts", ""), strict=False
        ):
            lead = await self._lead(person)
            who = _actor(lead["responsible"] or "demo")
            await self._moves.move(who, "lead", lead["_id"], stage, at=self._now - DAY, reason=reason)

    async def _lead(self, person: Regular) -> dict[str, Any]:
        found = await self._store.find("leads", {"customer": customer_of(f"{person.channel}:{person.chat}")})
        return found[0]


def _actor(name: str) -> Actor:
    return Actor(name=name, role="admin", everywhere=True)


def _of(channel: str) -> list[Regular]:
    return [person for person in PEOPLE if person.channel == channel]
