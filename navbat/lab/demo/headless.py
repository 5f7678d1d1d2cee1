"""The demo without a screen: a steady load, scripted operators, and a summary that can say no."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import Iterator

import msgspec

from bots.loopback import Item, SentItem
from crm.kernel.ports import Filter, Store
from crm.kernel.records import Message
from navbat.lab.demo.conversations import ANSWERS, NAMES, STORIES, React, Story, key
from navbat.lab.demo.house import CHANNELS, House
from navbat.lab.demo.operators import DemoOperator
from navbat.lab.demo.past import PEOPLE
from navbat.lab.demo.street import Street
from router.desk.events import Author

RATE = 50
"""Messages a second."""
AT_ONCE = 25
"""Customers who are in the middle of their conversation."""
SETTLE = 20.0
"""Seconds without any progress after which what is missing counts as lost."""
DUTY_TIMEOUT = 10.0

RETURN = {number: PEOPLE[number] for number in range(1, len(PEOPLE), 3)}
"""Which customers of a run have written before: number -> who that is."""

ChatMessage = tuple[str, str]
"""(chat key, the customer's message id)."""


class Ledger:
    """What was written, seen and answered. Times in seconds of the performance counter."""

    def __init__(self) -> None:
        self.written: dict[ChatMessage, float] = {}
        self.acknowledged: set[ChatMessage] = set()
        self.seen: dict[ChatMessage, str] = {}
        """Customer's message -> our message id, as a console got it."""
        self.latencies: list[float] = []
        self.doubled: set[ChatMessage] = set()
        self.replies: dict[str, ChatMessage] = {}
        """Our message id -> the message that it answers."""
        self.reached: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def message_seen(self, message: Message) -> bool:
        """True when a console gets a customer's message for the first time."""
        written = (message.chat, message.external_id)
        known = self.seen.setdefault(written, message.id)
        if known != message.id:
            self.doubled.add(written)
        return known == message.id

    def arrived(self, item: SentItem) -> None:
        """A reply reached a customer."""
        if item.action == "send":
            self.reached[item.message] += 1


class Clerk(DemoOperator):
    """Answers every message of a customer at once, and closes after the last."""

    def __init__(self, url: str, name: str, token: str, ledger: Ledger) -> None:
        super().__init__(url, name, token, self._hear)
        self._ledger = ledger

    def _hear(self, message: Message) -> None:
        written = (message.chat, message.external_id)
        if message.direction != "in" or written not in self._ledger.written:
            return
        new = written not in self._ledger.seen
        if new:
            self._ledger.latencies.append(time.perf_counter() - self._ledger.written[written])
        if self._ledger.message_seen(message) and new:
            self._own(self._serve(message, written))

    async def _serve(self, message: Message, written: ChatMessage) -> None:
        answer = ANSWERS[key(message.text)]
        done = await self.say(message.session, answer or "🙂")
        if done.code:
            self._ledger.refused[done.code] += 1
            return
        self._ledger.replies[done.message] = written
        if not answer:
            await self.close(message.session)


class Conversation:
    """One conversation, message by message."""

    def __init__(self, number: int, story: Story) -> None:
        names = NAMES[story.language]
        known = RETURN.get(number)
        self.channel = story.channel
        self.chat = known.chat if known else f"c{number}"
        name = known.name if known else names[number % len(names)]
        self.author = Author(id=self.chat, name=name, language=story.language)
        self._texts = iter(
            [act[0] for turn in story.turns for act in turn.acts if not isinstance(act, React)]
        )
        self._ids = itertools.count(1)
        self.turn = asyncio.Lock()
        """Held while a message is on its way: a customer's messages leave in order."""

    def next(self) -> Item | None:
        """His next message; None when he has said everything."""
        text = next(self._texts, None)
        if text is None:
            return None
        return Item(chat=self.chat, id=f"m{next(self._ids)}", author=self.author, text=text)


async def drive(house: House, seconds: int) -> bool:
    """Runs the load, prints the summary; True when nothing was lost, doubled or out of order."""
    ledger = Ledger()
    street = Street(house.url, house.secret, [house.sent(channel) for channel in CHANNELS])
    street.hear(ledger.arrived)
    clerks = [Clerk(house.url, name, token, ledger) for name, token in house.tokens.items()]
    store = house.open_store()
    await store.open()
    await street.open()
    work = [asyncio.create_task(street.listen(), name="demo-deliveries")]
    work += [asyncio.create_task(clerk.run(), name=f"demo-{clerk.name}") for clerk in clerks]
    try:
        async with asyncio.timeout(DUTY_TIMEOUT):
            await asyncio.gather(*(clerk.on_duty() for clerk in clerks))
        since = time.perf_counter()
        customers = await _write_all(street, ledger, seconds)
        took = time.perf_counter() - since
        await _settle(ledger, store, house.since)
        balance = await verdict(ledger, store, house.since)
        print(_summary(ledger, balance, customers, took), flush=True)
        print(await _books(store, house.since), flush=True)
        return balance.good
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        await street.close()
        await store.close()


async def _write_all(street: Street, ledger: Ledger, seconds: int) -> int:
    """Customers write in turn, ``RATE`` messages a second; returns how many customers there were."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    numbers = itertools.count(1)
    talking = deque(_arrive(numbers) for _ in range(AT_ONCE))
    async with asyncio.TaskGroup() as group:
        for index in range(seconds * RATE):
            await asyncio.sleep(start + index / RATE - loop.time())
            customer = talking.popleft()
            item = customer.next()
            if item is None:
                customer = _arrive(numbers)
                item = customer.next()
                assert item is not None
            talking.append(customer)
            group.create_task(_write(street, ledger, customer, item))
    return next(numbers) - 1


def _arrive(numbers: Iterator[int]) -> Conversation:
    number = next(numbers)
    return Conversation(number, STORIES[number % len(STORIES)])


async def _write(street: Street, ledger: Ledger, customer: Conversation, item: Item) -> None:
    written = (f"{customer.channel}:{customer.chat}", item.id)
    async with customer.turn:
        ledger.written[written] = time.perf_counter()
        await street.write(customer.channel, item)
        ledger.acknowledged.add(written)


async def _settle(ledger: Ledger, store: Store, since: int) -> None:
    """Returns when everything has arrived everywhere, or nothing has moved for a while."""
    loop = asyncio.get_running_loop()
    before: tuple[int, ...] = ()
    moved = loop.time()
    while loop.time() - moved < SETTLE:
        stored = await store.count("messages", _said(since))
        now = (len(ledger.seen), len(ledger.replies), len(ledger.reached), stored)
        wanted = len(ledger.written)
        if now == (wanted, wanted, wanted, 2 * wanted):
            return
        if now != before:
            before, moved = now, loop.time()
        await asyncio.sleep(0.1)


def _said(since: int) -> Filter:
    """What was said on both sides from a moment (ms) on."""
    return {"direction": {"$in": ["in", "out"]}, "at": {"$gte": since}}


class Verdict(msgspec.Struct):
    """The books balanced: what the store holds beside what was written."""

    stored_in: int = 0
    stored_out: int = 0
    answered: int = 0
    lost: int = 0
    duplicated: int = 0
    disordered: int = 0

    @property
    def good(self) -> bool:
        return not (self.lost or self.duplicated or self.disordered)


async def verdict(ledger: Ledger, store: Store, since: int = 0) -> Verdict:
    """What was acknowledged, shown, accepted and delivered, against what the store holds from ``since`` (ms)."""
    documents = await store.find(
        "messages", _said(since), sort=[("chat", 1), ("at", 1), ("session", 1), ("seq", 1)]
    )
    incoming = [(d["chat"], d["external_id"]) for d in documents if d["direction"] == "in"]
    outgoing = [d["_id"] for d in documents if d["direction"] == "out"]
    held, sent = Counter(incoming), Counter(outgoing)
    lost_in = sum(w not in held or w not in ledger.seen for w in ledger.acknowledged)
    lost_out = sum(id not in sent or id not in ledger.reached for id in ledger.replies)
    twice = sum(n - 1 for counter in (held, sent, ledger.reached) for n in counter.values())
    return Verdict(
        stored_in=len(incoming),
        stored_out=len(outgoing),
        answered=len({ledger.replies[id] for id in ledger.reached if id in ledger.replies}),
        lost=lost_in + lost_out,
        duplicated=twice + len(ledger.doubled),
        disordered=_disordered(incoming),
    )


def _disordered(incoming: list[ChatMessage]) -> int:
    """How many messages stand before one that their customer wrote earlier."""
    wrong = 0
    last: dict[str, int] = {}
    for chat, id in incoming:
        number = int(id[1:])
        wrong += number < last.get(chat, 0)
        last[chat] = max(number, last.get(chat, 0))
    return wrong


def _summary(ledger: Ledger, verdict: Verdict, customers: int, took: float) -> str:
    ordered = sorted(ledger.latencies)
    rows = [
        ("customers", f"{customers}"),
        ("messages in", f"{len(ledger.acknowledged)}"),
        ("routed to a console", f"{len(ledger.seen)}"),
        ("answered", f"{verdict.answered}"),
        ("in the store, in + out", f"{verdict.stored_in} + {verdict.stored_out}"),
        ("lost", f"{verdict.lost}"),
        ("duplicated", f"{verdict.duplicated}"),
        ("out of order", f"{verdict.disordered}"),
        ("write to console, p50", _milliseconds(ordered, 0.50)),
        ("write to console, p99", _milliseconds(ordered, 0.99)),
    ]
    if ledger.refused:
        rows.append(("answers refused", ", ".join(f"{code} {n}" for code, n in ledger.refused.items())))
    rate = len(ledger.acknowledged) / took if took else 0.0
    return "\n".join([f"{took:.1f} s at {rate:.0f} messages a second", *map(_row, rows)])


def _row(row: tuple[str, str]) -> str:
    name, value = row
    return f"  {name:<24}{value:>14}"


async def _books(store: Store, since: int) -> str:
    """What the desk knows of its customers beside what they said."""
    returned = await store.count("customers", {"created_at": {"$lt": since}, "seen_at": {"$gte": since}})
    made = await store.count("leads", {"created_at": {"$gte": since}})
    rows = [
        ("returning customers", f"{returned}"),
        ("leads, of this run", f"{await store.count('leads', {})}, {made}"),
        ("deals", f"{await store.count('deals', {})}"),
    ]
    return "\n".join(map(_row, rows))


def _milliseconds(ordered: list[float], part: float) -> str:
    if not ordered:
        return "-"
    return f"{ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000:.1f} ms"
