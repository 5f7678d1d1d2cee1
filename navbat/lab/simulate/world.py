"""A random world: its actions come from a seed, and are played on the real worker and desk over a Redis
in memory. An action names people and chats by number, so that any part of a list of actions can be
played by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from crm.kernel.errors import LeaseLost, Unavailable
from crm.kernel.records import Absence
from navbat.lab.simulate import rules
from navbat.lab.simulate.invariants import Checker, Violation
from navbat.lab.simulate.redis import SimulatedClient, SimulatedRedis
from router.desk import events
from router.log.log import Log
from router.log.writer import Writer
from router.worker import Worker

START = 1_772_427_600_000
"""2026-03-02 05:00 UTC, a Monday."""
TTL = 3.0
LINES = ("sales", "support", "night")
OPERATORS = ("anna", "bek", "vali", "dina", "egor")
CHATS = tuple("abcdefgh")
CHANNELS = ("bot", "site")
DESK = "simulated"

Action = tuple[Any, ...]

COMMANDS: tuple[tuple[str, int], ...] = (
    ("Take", 8), ("Say", 14), ("Skip", 4), ("Return", 3), ("Close", 6), ("Transfer", 5), ("TakeOver", 2),
    ("Join", 2), ("Whisper", 1), ("Note", 1), ("Pin", 2), ("Snooze", 2), ("Spam", 1), ("SetPriority", 1),
    ("MarkRead", 2), ("Start", 1), ("Score", 1),
)  # fmt: skip
KINDS: tuple[tuple[str, int], ...] = (
    ("write", 30), ("command", 40), ("wait", 14), ("duty", 6), ("present", 4), ("again", 3), ("edit", 1),
    ("delete", 1), ("react", 1), ("press", 1), ("delivered", 2), ("lines", 1), ("operator", 1), ("vip", 1),
    ("jump", 1), ("lose", 2), ("stall", 1), ("other", 1), ("die", 1), ("move", 1), ("reachable", 1),
    ("keys", 8), ("poison", 1),
)  # fmt: skip
ONLY_SAID = frozenset(
    ("write", "command", "duty", "present", "again", "edit", "delete", "react", "press", "delivered")
) | {"operator", "vip", "move", "reachable", "keys"}  # fmt: skip
"""What an edge appends to the log, and nothing else: more may come before the writer has its turn."""
MORE = 0.85
"""In a busy world, how often more comes first."""
TEXTS = ("hello", "hello", "hello", "5", "👍", "operator", "1", "Buy", "x\x1b[2J", "")

TO = (*OPERATORS, *(f"line:{line}" for line in LINES), "bot", "nobody")
FIELDS: dict[str, Callable[[Random], dict[str, Any]]] = {
    "Say": lambda random: {"text": random.choice(("hi", "hi", ""))},
    "Whisper": lambda random: {"text": random.choice(("hi", "hi", ""))},
    "Note": lambda random: {"text": random.choice(("hi", "hi", ""))},
    "Transfer": lambda random: {"to": random.choice(TO)},
    "Close": lambda random: {"result": random.choice(("", "done", "done"))},
    "Pin": lambda random: {"on": random.random() < 0.7},
    "Spam": lambda random: {"on": random.random() < 0.7},
    "Join": lambda random: {"silent": random.random() < 0.5, "on": random.random() < 0.8},
    "SetPriority": lambda random: {"priority": random.randint(-5, 50)},
    "Score": lambda random: {"score": random.randint(0, 6)},
    "MarkRead": lambda random: {"seq": random.randint(0, 20)},
}
"""What a command says beside its session and operator."""


def actions(seed: int, count: int) -> list[Action]:
    """What happens in the world of this seed."""
    random = Random(seed)
    kinds, weights = zip(*KINDS, strict=True)
    return [(kind, random.getrandbits(48)) for kind in random.choices(kinds, weights, k=count)]


class World:
    """Plays actions and checks what must hold after each of them. Raises ``Violation``."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._is_busy = self._random.random() < 0.8
        """Much comes at a time, as on a large desk: the writer finds it as one batch."""
        self.passed = 0
        """Ms that have gone by, whatever the clocks say."""
        self._set_by = START
        self.server = SimulatedRedis(lambda: self.time)
        self._edge = SimulatedClient(self.server)
        self._log = Log(self._edge, DESK, self._clock)  # type: ignore[arg-type]
        self._number = 0
        self._sent: list[events.Event] = []
        self._log_key = self._log.keys.log.encode()
        self.checker = Checker(self.server, self._log.keys)
        self._made = 0
        self._worker, self._client, self._writer = self._new_worker()
        self._stalled: tuple[asyncio.Task[None], SimulatedClient] | None = None
        self.events = 0

    @property
    def time(self) -> int:
        return self._set_by + self.passed

    def _clock(self) -> int:
        return self.time

    def _new_worker(self) -> tuple[Worker, SimulatedClient, Writer | None]:
        client = SimulatedClient(self.server)
        log = Log(client, DESK, self._clock)  # type: ignore[arg-type]
        worker = Worker(log, lease_ttl=TTL, steady=lambda: self.passed)
        self._made += 1
        worker.lease.token = f"writer-{self._made}"
        return worker, client, None

    # ---------------------------------------------------------------- playing

    async def begin(self) -> None:
        """Lines, accounts, and everybody at his place."""
        await self._lines(self._random)
        for name in OPERATORS:
            await self._append(rules.operator(self._random, name))
            await self._order(name, "SetDuty", duty="online")
        await self._append(events.OperatorChanged(name="robot", role="bot"))
        await self.settle()

    async def play(self, action: Action) -> None:
        """One action, then the writer's turn, unless more comes first, then the check."""
        kind, bits = action
        random = Random(bits)
        await getattr(self, f"_{kind}")(random)
        if not (self._is_busy and kind in ONLY_SAID and random.random() < MORE):
            await self.settle()

    async def settle(self) -> None:
        """The writer goes on until it has taken all that is in the log."""
        for _ in range(100):
            if await self._turn():
                return
        raise Violation("the writer does not come to an end")

    async def _turn(self) -> bool:
        """One step of the active writer; whether there is nothing left to do."""
        worker = self._worker
        try:
            if self._writer is None:
                if not await worker.lease.acquire():
                    self.passed += int(TTL * 500)
                    return False
                await worker.load()
                self.checker.taken_up(worker.desk)
                self._writer = Writer(worker._log, worker.lease, worker._steady)
            desk = worker.desk
            await worker.step(self._writer)
        except LeaseLost:
            self._writer = None
            return False
        except Unavailable:
            self.checker.unsure()
            self._writer = None
            return False
        if worker.desk is not desk:
            self.checker.taken_up(worker.desk)
        self.checker.check(worker.desk)
        due = worker.desk.timers.next_due()
        return self._behind() == 0 and (due is None or due > self.time)

    def _behind(self) -> int:
        last = self.server.last_id.get(self._log_key)
        cursor = self._worker.cursor.partition("-")
        return int(last is not None and (int(cursor[0]), int(cursor[2] or 0)) < last)

    async def finish(self) -> None:
        """Everything that is armed may fire once more; then the whole history is checked."""
        await self._let_go()
        self.passed += 20 * rules.HOUR
        await self.settle()
        self.checker.finish(self._worker.desk)

    async def _append(self, event: events.Event) -> None:
        self._number += 1
        event.event_id = event.event_id or f"e{self._number}"
        self._sent.append(event)
        self.events += 1
        self.checker.accepted(event)
        self._put(event)
        if len(self._sent) > 50:
            del self._sent[0]

    def _put(self, event: events.Event) -> None:
        """What an edge appends is in the log, or the edge says that it is not: nothing to be looked at here."""
        event.at = event.at or self.time
        self.server.run([b"XADD", self._log_key, b"*", b"e", events.encode_event(event)])

    # ---------------------------------------------------------------- what customers and channels do

    def _chat(self, random: Random) -> dict[str, Any]:
        return {"channel": random.choice(CHANNELS), "chat": random.choice(CHATS)}

    async def _write(self, random: Random) -> None:
        where = self._chat(random)
        author = events.Author(id=where["chat"], name=where["chat"], language=random.choice(rules.LANGUAGES))
        text = random.choice(TEXTS)
        await self._append(
            events.MessageReceived(message_id=f"m{self._number}", author=author, text=text, **where)
        )

    async def _again(self, random: Random) -> None:
        """The channel, or a client, sends something once more."""
        if self._sent:
            event = random.choice(self._sent)
            self.events += 1
            self._put(event)

    async def _edit(self, random: Random) -> None:
        about = f"m{random.randrange(self._number + 5)}"
        await self._append(events.MessageEdited(message_id=about, text="edited", **self._chat(random)))

    async def _delete(self, random: Random) -> None:
        about = [f"m{random.randrange(self._number + 5)}"]
        await self._append(events.MessageDeleted(message_ids=about, **self._chat(random)))

    async def _react(self, random: Random) -> None:
        await self._append(
            events.Reacted(
                message_id="m1", author="x", emoji=random.choice(([], ["+"])), **self._chat(random)
            )
        )

    async def _press(self, random: Random) -> None:
        data = random.choice(
            (f"rate:{random.randint(1, 30)}:{random.randint(1, 5)}", "what:1", "what:2", "?")
        )
        where = self._chat(random)
        author = events.Author(id=where["chat"])
        await self._append(events.ButtonPressed(message_id="m", author=author, data=data, **where))

    async def _move(self, random: Random) -> None:
        await self._append(events.ChatMoved(new_chat=random.choice(CHATS), **self._chat(random)))

    async def _reachable(self, random: Random) -> None:
        can = random.random() < 0.7
        await self._append(events.ChatReachable(can_write=can, author=events.Author(), **self._chat(random)))

    async def _delivered(self, random: Random) -> None:
        session = str(random.randint(1, 30))
        state: Any = random.choice(("sent", "read", "failed", "unknown"))
        await self._append(
            events.Delivered(chat="bot:a", session=session, message=f"{session}-2", state=state)
        )

    # ---------------------------------------------------------------- what operators do

    async def _order(self, operator: str, word: str, **fields: Any) -> None:
        command = events.COMMANDS[word](rid=0, id="", **fields)
        await self._append(events.Ordered(operator=operator, command=command))

    def _session(self, random: Random) -> str:
        """Mostly one that is there."""
        open_ones = list(self._worker.desk.sessions)
        return random.choice(open_ones) if open_ones and random.random() < 0.97 else "404"

    async def _command(self, random: Random) -> None:
        words, weights = zip(*COMMANDS, strict=True)
        word = random.choices(words, weights)[0]
        fields: dict[str, Any] = {"session": self._session(random)}
        session = self._worker.desk.sessions.get(fields["session"])
        operator = random.choice(OPERATORS)
        if session is not None and session.holder and random.random() < 0.7:
            operator = session.holder
        fields |= self._fields(word, random)
        if word == "Start":
            del fields["session"]
        await self._order(operator, word, **fields)

    async def _keys(self, random: Random) -> None:
        """Somebody types into what is offered to him, or to nobody any more."""
        id = self._session(random)
        session = self._worker.desk.sessions.get(id)
        writers = [session.holder, *session.offer.seen_by] if session is not None else []
        operator = random.choice([*filter(None, writers), random.choice(OPERATORS)])
        await self._append(events.Writing(session=id, operator=operator, draft=random.random() < 0.3))

    def _fields(self, word: str, random: Random) -> dict[str, Any]:
        if word == "Start":
            return {**self._chat(random), "line": random.choice(LINES), "text": random.choice(("", "hello"))}
        if word == "Snooze":
            return {"until": random.choice((0, self.time + 5 * rules.MINUTE, self.time - 1))}
        make = FIELDS.get(word)
        return make(random) if make is not None else {}

    async def _duty(self, random: Random) -> None:
        duty: Any = random.choice(("online", "online", "online", "break", "offline"))
        await self._order(random.choice(OPERATORS), "SetDuty", duty=duty)

    async def _present(self, random: Random) -> None:
        await self._append(events.Present(gateway="g", operators=rules.some(random, OPERATORS, 0.9)))

    # ---------------------------------------------------------------- what administrators do

    async def _lines(self, random: Random) -> None:
        lines = {}
        presence_timeout = random.choice((45_000, 10 * rules.HOUR))
        for number, name in enumerate(LINES):
            # Only into later lines: no circle.
            later = list(LINES[number + 1 :])
            lines[name] = rules.line_rules(random, list(OPERATORS), later, presence_timeout)
        if random.random() < 0.1:
            del lines["night"]
            for line in lines.values():
                line.overflow = [entry for entry in line.overflow if entry.line != "night"]
        await self._append(
            events.LinesConfigured(
                lines=lines,
                channels={"bot": "sales", "site": "support"},
                presence_timeout=presence_timeout,
                flows={"greeter": rules.FLOW},
            )
        )

    async def _operator(self, random: Random) -> None:
        await self._append(rules.operator(random, random.choice(OPERATORS)))

    async def _vip(self, random: Random) -> None:
        desk = self._worker.desk
        customers = [session.customer for session in desk.sessions.values()]
        if customers:
            await self._append(
                events.CustomerChanged(
                    customer=random.choice(customers),
                    vip=random.choice((True, False, None)),
                    responsible=random.choice((*OPERATORS, None)),
                )
            )

    # ---------------------------------------------------------------- time and faults

    async def _wait(self, random: Random) -> None:
        self.passed += random.choice((100, 5_000, 20_000, 61_000, 130_000, 601_000))

    async def _jump(self, random: Random) -> None:
        """Long nothing happens, over a change of summer time too; or the clock is set, and set right again."""
        await self.settle()
        hours = random.choice((5, 30, 27 * 24)) * rules.HOUR
        if random.random() < 0.5:
            self.passed += hours
        else:
            self._set_by += random.choice((hours, -hours, START - self._set_by, -10_000))
        # What is repeated after weeks is not known any more (docs/decisions/0006).
        self._sent.clear()

    async def _poison(self, random: Random) -> None:
        """What no rule can work on: bytes of nothing, and events that make one raise when half of it is
        done."""
        lines = {name: rules.line_rules(random, list(OPERATORS), []) for name in LINES}
        lines[random.choice(LINES)].zone = "Nowhere/At all"
        absent = rules.operator(random, random.choice(OPERATORS))
        absent.absences = [Absence(from_="no day", to="")]
        nonsense = [
            b"\xc1",
            events.encode_event(events.LinesConfigured(lines=lines, channels={"bot": LINES[0]})),
            events.encode_event(absent),
        ]
        self.checker.poisoned += 1
        await self._edge.execute_command("XADD", self._log.keys.log, "*", "e", random.choice(nonsense))
        if random.random() < 0.5:
            await self._write(random)  # in the same batch

    async def _lose(self, random: Random) -> None:
        """The writer's connection breaks somewhere in its next commits."""
        self._client.faults.lose_after = random.randrange(30)
        await self._write(random)

    async def _die(self, random: Random) -> None:
        """The writer's process dies; another takes over when the lease has run out."""
        self._client.faults.lose_after = random.randrange(12)
        await self._write(random)
        await self._turn()
        self._worker, self._client, self._writer = self._new_worker()
        self.passed += int(TTL * 1000) + 1

    async def _other(self, random: Random) -> None:
        """Somebody else holds the lease for a while."""
        self.server.run([b"SET", self._worker.lease.key.encode(), b"somebody", b"PX", b"2000"])
        await self._write(random)

    async def _stall(self, random: Random) -> None:
        """The writer stands still in the middle of a step, outlives its lease, and wakes up when another
        has written on."""
        await self._let_go()
        if self._writer is None:
            return
        await self._write(random)
        worker, client, writer = self._worker, self._client, self._writer
        client.faults.stall_after = random.randrange(3)
        task = asyncio.create_task(worker.step(writer))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        for _ in range(10):
            await asyncio.sleep(0)
        client.faults.stall_after = None
        self._worker, self._client, self._writer = self._new_worker()
        self.passed += int(TTL * 1000) + 1
        self._stalled = task, client

    async def _let_go(self) -> None:
        """The writer that stood still goes on: it must not be able to do harm."""
        if self._stalled is None:
            return
        task, client = self._stalled
        self._stalled = None
        if client.faults.stalled is not None:
            client.faults.stalled.set()
        try:
            await task
        except (LeaseLost, Unavailable):
            return
