"""A bot that is a program of its own: it tells the opening hours and leaves the rest to a human.

    NAVBAT_TOKEN=… python hours_bot.py http://127.0.0.1:8700

It needs nothing but aiohttp. Killed at any point and started again it answers what is still unanswered,
and nothing twice: what it says has an id made of the message that it answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
import uuid
from typing import Any

import aiohttp

HOURS = "We are open from nine to six, Monday to Saturday."
WORDS = ("hours", "open", "время", "работаете", "soat", "ochiq")
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before the next attempt after a lost connection; a connection that lasted longer than the
longest begins anew."""
Json = dict[str, Any]


def reply(text: str) -> str:
    """The answer to a customer's words; empty where a human has to answer."""
    return HOURS if any(word in text.lower() for word in WORDS) else ""


class HoursBot:
    """One connection to the desk."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, me: str) -> None:
        self._socket = socket
        self._me = me
        self._mine: set[str] = set()
        """Sessions that this bot has."""
        self._rid = 0

    async def _send(self, kind: str, **fields: object) -> None:
        self._rid += 1
        await self._socket.send_json({"t": kind, "rid": self._rid, **fields})

    async def beat(self, every: float) -> None:
        """The desk hangs up on who says nothing for ten minutes; pings of WebSocket do not count."""
        while True:
            await asyncio.sleep(every)
            await self._socket.send_json({"t": "Ping"})

    async def run(self) -> None:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                return
            frame: Json = json.loads(message.data)
            for view in frame.get("sessions", ()):
                await self._see(view)
            for id in frame.get("gone", ()):
                self._mine.discard(id)
            for said in frame.get("messages", ()):
                if frame["t"] == "Changes":
                    await self._hear(said)
            if frame["t"] == "Page":
                await self._catch_up(frame.get("messages", []))
            if frame.get("code"):
                print(f"refused: {frame['code']} {frame.get('params', '')}", file=sys.stderr)
            if frame.get("code") == "unavailable":
                return  # what was not carried out is found unanswered by the next connection

    async def _see(self, view: Json) -> None:
        """A session as it is now. One that is new to us is read first: something may be unanswered."""
        if view["status"] != "bot" or view.get("bot") != self._me:
            self._mine.discard(view["id"])
        elif view["id"] not in self._mine:
            self._mine.add(view["id"])
            await self._send("Open", session=view["id"])

    async def _catch_up(self, messages: list[Json]) -> None:
        """Everything that the customer has said since he was last answered."""
        spoken = [m for m in messages if m["direction"] in ("in", "out")]
        answered = max((n for n, m in enumerate(spoken, 1) if m["direction"] == "out"), default=0)
        for said in spoken[answered:]:
            await self._hear(said)

    async def _hear(self, said: Json) -> None:
        session, id = said["session"], said["id"]
        if session not in self._mine or said["direction"] != "in":
            return
        text = reply(said.get("text", ""))
        if text:
            await self._send("Say", id=f"{id}-answer", session=session, text=text)
            return
        self._mine.discard(session)
        await self._send("Note", id=f"{id}-note", session=session, text="The bot had no answer to this.")
        # Not made of the message: a colleague may hand the same conversation back, unanswered.
        await self._send("Return", id=uuid.uuid4().hex, session=session)


async def converse(http: aiohttp.ClientSession, url: str, token: str) -> str:
    """One connection from login to its end. Returns why it ended when trying again is useless."""
    async with http.ws_connect(f"{url}/ws", heartbeat=15) as socket:
        await socket.send_json({"t": "Hello", "token": token, "client": "hours-bot"})
        welcome = await socket.receive_json(timeout=10)
        if welcome["t"] == "Bye":
            return str(welcome["code"]) if welcome["code"] in ("login", "revoked", "version") else ""
        print(f"connected as {welcome['operator']}", flush=True)
        bot = HoursBot(socket, welcome["operator"])
        beating = asyncio.create_task(bot.beat(welcome.get("heartbeat", 15)))
        try:
            await bot.run()
        finally:
            beating.cancel()
            await asyncio.wait([beating])
    return ""


async def run(url: str, token: str) -> int:
    """Until it is told to stop (0) or the login is refused (1)."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    wait = FIRST_WAIT
    async with aiohttp.ClientSession() as http:
        while not stop.is_set():
            since = time.monotonic()
            talking = asyncio.create_task(converse(http, url, token))
            await asyncio.wait([talking, stopping], return_when=asyncio.FIRST_COMPLETED)
            talking.cancel()
            try:
                if refused := await talking:
                    print(f"the desk refuses the login: {refused}", file=sys.stderr)
                    return 1
            except (aiohttp.ClientError, OSError, TimeoutError, TypeError, ValueError) as error:
                print(f"no connection: {error}", file=sys.stderr)
            except asyncio.CancelledError:
                break
            if time.monotonic() - since > LONGEST_WAIT:
                wait = FIRST_WAIT
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait * (0.5 + random.random())):
                    await stop.wait()
            wait = min(wait * 2, LONGEST_WAIT)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(run(sys.argv[1].rstrip("/"), os.environ["NAVBAT_TOKEN"])))
