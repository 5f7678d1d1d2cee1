"""The demo's scripted operators: the console's own connection, without a screen."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from console.link import Arrived, Connected, Credentials, Link, LinkEvent, TurnedAway
from crm.kernel.errors import NavbatError
from crm.kernel.records import Message
from navbat.lab.demo.conversations import ANSWERS, NAMES, SORRY, key
from router.wire import protocol as wire

HELD = ("taken", "answered", "pending")


class DemoOperator:
    """One login on duty. ``heard`` is called with every message that a frame brings, at once."""

    def __init__(
        self, url: str, name: str, token: str, heard: Callable[[Message], None] | None = None
    ) -> None:
        self.name = name
        self.sessions: dict[str, wire.SessionView] = {}
        self._heard = heard
        self._on_duty = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.link = Link(url, Credentials(token=token), self._on_event, client="demo")

    async def run(self) -> None:
        """Works until cancelled. Raises ``NavbatError`` when the desk sends him away."""
        try:
            await self.link.run()
        finally:
            for task in self._tasks:
                task.cancel()
        raise NavbatError(f"the desk sent {self.name} away")

    async def on_duty(self) -> None:
        """Returns when he is."""
        await self._on_duty.wait()

    # ---------------------------------------------------------------- what comes

    def _on_event(self, event: LinkEvent) -> None:
        match event:
            case Connected():
                self._own(self._begin())
            case Arrived():
                for frame in self.link.drain():
                    self._take_up(frame)
            case TurnedAway():
                self._on_duty.clear()
            case _:
                pass

    async def _begin(self) -> None:
        done = await self.link.send(wire.SetDuty(rid=0, id=_new_id(), duty="online"))
        if not done.code:
            self._on_duty.set()

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _take_up(self, frame: wire.Snapshot | wire.Changes | wire.Hint) -> None:
        if isinstance(frame, wire.Hint):
            return
        for view in frame.sessions:
            known = self.sessions.get(view.id)
            if known is None or known.rev < view.rev:
                self.sessions[view.id] = view
                self._seen(view)
        if isinstance(frame, wire.Changes):
            for id in frame.gone:
                self.sessions.pop(id, None)
            if self._heard is not None:
                for message in frame.messages:
                    self._heard(message)

    def _seen(self, view: wire.SessionView) -> None:
        """A session is news. Overridden by those who work by sessions."""

    # ---------------------------------------------------------------- what he does

    async def say(self, session: str, text: str) -> wire.Done:
        """Answers the customer; answering takes what is offered."""
        return await self.link.send(wire.Say(rid=0, id=_new_id(), session=session, text=text))

    async def close(self, session: str) -> wire.Done:
        """Closes a session."""
        return await self.link.send(wire.Close(rid=0, id=_new_id(), session=session))


class Colleague(DemoOperator):
    """Reads, thinks, types and answers like a person; closes when the customer has what he wanted."""

    def __init__(self, url: str, name: str, token: str) -> None:
        super().__init__(url, name, token)
        self._attended: set[str] = set()

    def _seen(self, view: wire.SessionView) -> None:
        if self._is_owed(view) and view.id not in self._attended:
            self._attended.add(view.id)
            self._own(self._attend(view.id))

    def _is_owed(self, view: wire.SessionView | None) -> bool:
        mine = view is not None and view.holder == self.name
        return mine and view is not None and view.status in ("offered", *HELD) and view.waiting_since > 0

    async def _attend(self, session: str) -> None:
        try:
            while self._is_owed(before := self.sessions.get(session)):
                assert before is not None
                await asyncio.sleep(random.uniform(1.5, 3.5))
                self.link.hint(wire.Typing(session=session))
                await asyncio.sleep(random.uniform(1.0, 3.0))
                now = self.sessions.get(session)
                if now is not None and now.last_at == before.last_at and self._is_owed(now):
                    await self._answer(now)
        finally:
            self._attended.discard(session)

    async def _answer(self, view: wire.SessionView) -> None:
        text = ANSWERS.get(key(view.last_text), SORRY[_language(view.name)])
        done = await (self.say(view.id, text) if text else self.close(view.id))
        if done.code:
            self.sessions.pop(view.id, None)  # somebody was quicker, or took it away


def _language(customer: str) -> str:
    return next((language for language, names in NAMES.items() if customer in names), "en")


def _new_id() -> str:
    return uuid.uuid4().hex
