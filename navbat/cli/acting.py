"""Carrying out what ``navbat.cli.verbs`` lists: what the console's keys do, through the same wire."""

from __future__ import annotations

import argparse
import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from console.text.times import moment
from crm.kernel.errors import Refused, Unavailable, WrongUse
from navbat.cli.arguments import unknown_word
from navbat.cli.client import ASK_AGAIN, DeskClient, Unanswered, saved_login
from navbat.cli.printing import given_text, print_json
from navbat.cli.verbs import VERBS
from router.wire import protocol

ANSWER_WITHIN = 20.0
"""Seconds during which the desk is asked what became of a command."""

Fields = dict[str, Any]
Prepare = Callable[[DeskClient], Awaitable[Fields]]
"""Makes what a command needs of the desk before it leaves."""


async def act(args: argparse.Namespace) -> int:
    """One of ``VERBS``; prints the id of the message that it made."""
    verb = VERBS[args.verb]
    kind = getattr(protocol, verb.frame)
    fields = {name: getattr(args, name) for name in kind.__struct_fields__ if hasattr(args, name)}
    fields = {**fields, **verb.fixed}
    del fields["id"]
    if verb.message:
        fields["session"] = _session_of(args.message)
    if "text" in fields:
        fields["text"] = given_text(fields["text"])
    if "until" in fields:
        fields["until"] = _until(fields["until"])

    async def prepare(client: DeskClient) -> Fields:
        if kind is protocol.Say:
            return {"media": [await client.upload(Path(name)) for name in args.file]}
        return {"seq": args.seq or await _newest(client, args.session)} if kind is protocol.MarkRead else {}

    done = await command(kind, fields, args.id, prepare)
    told(args, done, session=fields["session"])
    return 0


async def start(args: argparse.Namespace) -> int:
    """``navbat start``; prints the new session's id."""
    fields = {"chat": args.chat, "line": args.line, "text": given_text(args.text)}

    async def prepare(client: DeskClient) -> Fields:
        known_line(client, args.line)
        return {}

    done = await command(protocol.Start, fields, args.id, prepare)
    told(args, done, shown=done.session)
    return 0


async def command(
    kind: type[protocol.CommandFrame], fields: Mapping[str, Any], id: str = "", prepare: Prepare | None = None
) -> protocol.Done:
    """Carries a command out. Once it may have left us it is asked about with the same id, over a new
    connection if need be, until the desk has said what became of it."""
    given, id = bool(id), id or uuid.uuid4().hex
    until = time.monotonic() + ANSWER_WITHIN
    unanswered: Unanswered | None = None
    while True:
        try:
            async with DeskClient(saved_login()) as client:
                more = await prepare(client) if prepare is not None else {}
                again = given or unanswered is not None
                return await client.command(kind, id, again=again, **{**fields, **more})
        except Unanswered as error:
            unanswered = error
        except Unavailable:
            if unanswered is None:
                raise  # nothing has left us
        if time.monotonic() > until:
            raise unanswered
        await asyncio.sleep(ASK_AGAIN)


def told(args: argparse.Namespace, done: protocol.Done, *, session: str = "", shown: str = "") -> None:
    """Prints what became of a command: the message it made, or the ids as JSON."""
    session = done.session or session
    if args.json:
        print_json({"outcome": "done", "session": session or None, "message": done.message or None})
    elif shown or done.message:
        print(shown or done.message)


def known_line(client: DeskClient, line: str) -> None:
    """Raises ``WrongUse`` for a line that this login does not see."""
    known = client.welcome.rights.get("read", [])
    if line and line not in known:
        raise WrongUse(unknown_word("line", line, known))


def _session_of(message: str) -> str:
    session, dash, seq = message.rpartition("-")
    if not dash or not session or not seq.isdecimal():
        raise WrongUse(f"{message!r} is no message's id", "`navbat history SESSION --json` shows them")
    return session


async def _newest(client: DeskClient, session: str) -> int:
    page = await client.ask(
        protocol.GetThread(rid=client.next_rid(), session=session, limit=1), protocol.Page
    )
    if not page.messages:
        raise Refused("no_such_message")
    return page.messages[-1].seq


def _until(text: str) -> int:
    if not text:
        return 0
    try:
        return moment(text, int(time.time() * 1000), None)
    except (ValueError, OverflowError):
        raise WrongUse(
            f"{text!r} is no time to come", "write 30m, 2h, 1d 4h, 14:30 or '2026-03-02 09:00'"
        ) from None
