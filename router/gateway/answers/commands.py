"""What became of the commands that this gateway has put into the log.

A command that is in the log will be carried out or refused, however long that takes and whether or not
somebody waits for it. So after the append the only answers are the desk's own and "not known yet"
(``Unavailable``), upon which the client asks again with the same id. Then nothing is appended anew: what
the desk has said meanwhile is remembered here, and what it has not said yet is waited for.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict

from crm.kernel.errors import Unavailable
from router.desk.events import Command
from router.desk.state import CommandDone
from router.log.log import Log

COMMAND_TIMEOUT = 5.0
"""Seconds that a client is kept waiting for the desk's word."""
REMEMBERED = 10_000
"""Commands without an answer, and answers that nobody has heard: so many of each at most."""


class _Attempt:
    """One command in the log. Its id is also that of its other attempts: by other gateways, or by this
    one before it was started again."""

    __slots__ = ("at", "done", "in_log", "token")

    def __init__(self) -> None:
        self.token = uuid.uuid4().hex[:12]
        self.at = 0
        self.done: asyncio.Future[CommandDone] = asyncio.get_running_loop().create_future()
        self.in_log = False
        """That it was appended is certain."""


class Answers:
    """By the id of the command."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._open: OrderedDict[str, _Attempt] = OrderedDict()
        self._told: OrderedDict[str, CommandDone] = OrderedDict()
        self._slow = False
        """Somebody has waited in vain and the desk has answered nothing since."""

    def knows(self, id: str) -> bool:
        """Whether the command is in the log for certain, or was answered while nobody waited."""
        attempt = self._open.get(id)
        return id in self._told or (attempt is not None and attempt.in_log)

    async def carry_out(self, command: Command) -> CommandDone:
        """The desk's answer. Raises ``Unavailable`` while nobody knows what becomes of the command."""
        if command.event_id not in self._told:
            attempt = self._open.get(command.event_id)
            if attempt is None:
                attempt = self._open[command.event_id] = _Attempt()
                _bound(self._open)
            if not attempt.in_log:
                await self._append(attempt, command)
        return await self.answer(command.event_id)

    async def answer(self, id: str) -> CommandDone:
        """The desk's answer to a command that ``knows`` has. Raises ``Unavailable`` as ``carry_out``."""
        told = self._told.pop(id, None)
        if told is not None:
            return told
        attempt = self._open[id]
        if self._slow and not attempt.done.done():
            raise Unavailable("the desk does not answer now")
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                answer = await asyncio.shield(attempt.done)
        except TimeoutError as late:
            self._slow = True
            raise Unavailable("the desk has not answered yet") from late
        self._told.pop(id, None)
        return answer

    async def _append(self, attempt: _Attempt, command: Command) -> None:
        """When Redis is lost on the way the command may be in the log all the same: it goes there again,
        as the same attempt."""
        command.attempt = attempt.token
        command.at = attempt.at = attempt.at or self._log.now()
        await self._log.append(command)
        attempt.in_log = True

    def done(self, told: CommandDone) -> None:
        """The desk has answered a command. A refusal of another attempt says nothing of this one, which
        comes later in the log."""
        self._slow = False
        attempt = self._open.get(told.event_id)
        if attempt is None or (told.code and told.attempt not in ("", attempt.token)):
            return
        del self._open[told.event_id]
        self._told[told.event_id] = told
        _bound(self._told)
        attempt.done.set_result(told)

    def missed(self) -> None:
        """Part of the journal was not read, or Redis was away: the answers may have been in it, and commands
        may be lost. Who asks again has his appended once more, and the desk answers what it knows."""
        self._slow = False
        for attempt in self._open.values():
            attempt.in_log = False


def _bound(kept: OrderedDict[str, _Attempt] | OrderedDict[str, CommandDone]) -> None:
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)
