"""The commands that are clients of a running desk: what the console's keys do, through the same wire.

Each takes the parsed arguments and returns the exit status; refusals and failures are raised.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from console.logins import SavedLogins
from console.model import Mirror
from crm.kernel.errors import NavbatError, Unavailable, WrongUse
from crm.kernel.records import Message
from crm.kernel.text import clean, one_line
from navbat.cli import shapes
from navbat.cli.acting import command, known_line, told
from navbat.cli.client import DeskClient, Login, NotLoggedIn, http_url, reasons, saved_login, saved_token
from navbat.cli.printing import print_json
from router.backoff import Backoff
from router.wire import protocol

PAGE = 200
DONE, FAILED, UNREACHABLE = 0, 1, 3


async def status(args: argparse.Namespace) -> int:
    """``navbat status``."""
    try:
        async with _client() as client:
            report = await client.ask(protocol.GetStatus(rid=client.next_rid()), protocol.StatusReport)
    except Unavailable:
        for text in await reasons(saved_login().url):
            print(f"the desk is there, but: {one_line(text, 400)}", file=sys.stderr)
        raise
    shown = shapes.status(report)
    if args.json:
        print_json(shown)
    else:
        _print_status(shown, report)
    return _how_bad(report)


def _how_bad(report: protocol.StatusReport) -> int:
    """The exit status: 3 when the desk is there and Redis does not answer it, 1 when something else keeps
    it from its work."""
    if any(t.part == "redis" and t.code in ("redis_away", "redis_loading") for t in report.troubles):
        return UNREACHABLE
    return FAILED if report.troubles else DONE


def _print_status(shown: dict[str, Any], report: protocol.StatusReport) -> None:
    print(f"desk {shown['desk']}, navbat {shown['version']}, redis {shown['redis']}, store {shown['store']}")
    for trouble in report.troubles:
        print(f"TROUBLE: {trouble.part}: {one_line(trouble.text or trouble.code, 400)}")
    if any(trouble.part == "redis" for trouble in report.troubles):
        print(f"what follows was last heard at {shown['known_at'] or 'no time'}")
    for risk in report.risks:
        print(f"RISK: redis: {one_line(risk, 200)}")
    print(f"log: {shown['log_lag']} entries wait")
    print(f"store: {shown['store_lag']} entries wait")
    if report.quarantine or report.quarantine_fell_out:
        fell_out = f", {report.quarantine_fell_out} dropped for want of room" * bool(
            report.quarantine_fell_out
        )
        print(f"SET ASIDE: {report.quarantine}{fell_out}: see `navbat quarantine list`")
    for name, process in sorted(shown["processes"].items()):
        print(f"process {name}: pid {process.get('pid')}, {process.get('rss', 0) >> 20} MiB")
        for part, health in sorted(process.get("parts", {}).items()):
            print(f"  {part}: {_health(health)}")
    for name, channel in shown["channels"].items():
        print(
            f"channel {name}: {_health(channel)}; {channel['inbox']} to be read, {channel['outbox']} to be sent"
        )
    for line in report.lines:
        print(f"line {line.name}: waiting {line.waiting}, offered {line.offered}, taken {line.taken}")
    for operator in report.operators:
        print(f"operator {operator.name}: {operator.duty}, {operator.load} sessions")


def _health(part: dict[str, Any]) -> str:
    text = f"TROUBLE: {one_line(str(part['trouble']), 200)}" if part.get("trouble") else "ok"
    return f"{text}, {part['restarts']} restarts" if part.get("restarts") else text


async def sessions(args: argparse.Namespace) -> int:
    """``navbat sessions``."""
    async with _client() as client:
        known_line(client, args.line)
        request = protocol.GetSessions(
            rid=client.next_rid(), line=args.line, status=args.status, tag=args.tag, limit=args.limit
        )
        found = (await client.ask(request, protocol.SessionList)).sessions
    if args.json:
        print_json([shapes.session(view) for view in found])
        return 0
    for view in found:
        holder = view.holder or "-"
        name = one_line(view.name, 24) or view.customer
        print(
            f"{view.id:>6} {view.status:<9} {view.line:<12} {holder:<12} {name:<24} {one_line(view.last_text, 60)}"
        )
    return 0


async def history(args: argparse.Namespace) -> int:
    """``navbat history``."""
    async with _client() as client:
        pages = _thread(client, args.session) if args.session else _life(client, args.customer)
        found = [message async for page in pages for message in reversed(page)]
    found.reverse()
    if args.json:
        print_json([shapes.message(message) for message in found])
        return 0
    print_messages(found)
    return 0


def print_messages(found: list[Message], *, sessions: bool = False) -> None:
    for message in found:
        media = " ".join(f"[{m.kind} {one_line(m.name, 60)}]" for m in message.media)
        unknown = "[unsupported]" if message.kind == "unsupported" else ""
        text = " ".join(filter(None, (unknown, media, clean(message.text)))).replace("\n", "\n    ")
        who = one_line(message.author, 32) or message.direction
        ticks = f" ({message.delivery})" if message.delivery else ""
        if message.edit_delivery == "unknown":
            ticks += " (the correction may not have arrived)"
        if message.versions and message.versions[-1].delivery == "failed":
            ticks += f" (correction failed: {one_line(message.versions[-1].text, 200)})"
        where = f"{message.id:>8} " if sessions else ""
        print(f"{where}{shapes.rfc3339(message.at)} {message.direction:<6} {who}: {text}{ticks}")


async def _thread(client: DeskClient, session: str) -> AsyncIterator[list[Message]]:
    """A session's messages, the newest page first."""
    before = 0
    while True:
        request = protocol.GetThread(rid=client.next_rid(), session=session, before_seq=before, limit=PAGE)
        page = await client.ask(request, protocol.Page)
        yield page.messages
        if not page.more or not page.messages:
            return
        before = page.messages[0].seq


async def _life(client: DeskClient, customer: str) -> AsyncIterator[list[Message]]:
    """A customer's messages over all sessions, the newest page first."""
    at, id = 0, ""
    while True:
        request = protocol.GetHistory(
            rid=client.next_rid(), customer=customer, before_at=at, before_id=id, limit=PAGE
        )
        page = await client.ask(request, protocol.Page)
        yield page.messages
        if not page.more or not page.messages:
            return
        at, id = page.messages[0].at, page.messages[0].id


async def why(args: argparse.Namespace) -> int:
    """``navbat why``."""
    async with _client() as client:
        answer = await client.ask(protocol.GetWhy(rid=client.next_rid(), session=args.session), protocol.Why)
    assert answer.session is not None
    view = answer.session
    if args.json:
        decisions = [shapes.decision(decision) for decision in answer.decisions]
        print_json({"session": shapes.session(view), "decisions": decisions})
        return 0
    until = f" until {shapes.rfc3339(view.offer_until)}" if view.offer_until else ""
    print(f"session {view.id} of line {view.line}: {view.status} {view.holder or '-'}{until}")
    for decision in answer.decisions:
        dropped = ", ".join(f"{name} {reason}" for name, reason in decision.dropped.items())
        among = ", ".join(decision.candidates) or "nobody"
        chosen = decision.chosen or ("everybody" if decision.why == "all" else "nobody")
        timers = ", ".join(f"{kind} {shapes.rfc3339(due)}" for kind, due in decision.timers.items())
        print(
            f"{shapes.rfc3339(decision.at)} {decision.why}: {chosen} among {among}"
            + (f"; not {dropped}" if dropped else "")
            + (f"; timers {timers}" if timers else "")
        )
    return 0


async def upcoming(args: argparse.Namespace) -> int:
    """``navbat next``: fails when nothing is owed."""
    picture = Mirror()
    async with _client() as client:
        picture.welcome(client.welcome, client.welcome.now)
        picture.apply(await client.snapshot(), client.welcome.now)
    view = picture.next_up()
    if view is None:
        raise NavbatError("no session of yours has a promise that runs out")
    due = shapes.rfc3339(picture.promise(view))
    if args.json:
        print_json({"session": shapes.session(view), "due": due})
    else:
        print(f"{view.id} {view.status} {due} {one_line(view.name, 40)}")
    return 0


async def fetch(args: argparse.Namespace) -> int:
    """``navbat file``: prints where it is kept."""
    session, _, seq = args.message.rpartition("-")
    if not session or not seq.isdecimal():
        raise WrongUse(f"{args.message!r} is no message's id", "`navbat history SESSION --json` shows them")
    async with _client() as client:
        request = protocol.GetThread(
            rid=client.next_rid(), session=session, before_seq=int(seq[:15]) + 1, limit=1
        )
        page = await client.ask(request, protocol.Page)
        media = page.messages[-1].media if page.messages and page.messages[-1].id == args.message else []
        if len(media) < args.number:
            raise NavbatError(f"message {args.message} has {len(media)} files")
        path = await client.download(media[args.number - 1], Path(args.output))
    if args.json:
        print_json(
            {"path": str(path), "media": shapes.with_times(msgspec.to_builtins(media[args.number - 1]))}
        )
    else:
        print(path)
    return 0


# ------------------------------------------------------------------ what lasts


async def duty(args: argparse.Namespace) -> int:
    """``navbat duty``: ``online`` keeps its connection, and so the presence, until it is ended."""
    if args.duty != "online":
        told(args, await command(protocol.SetDuty, {"duty": args.duty}))
        return 0
    ended = _until_ended()
    backoff = Backoff(0.2, 5.0)
    first = True
    done = protocol.Done(rid=0)
    while True:
        try:
            async with _client(presence=True) as client:
                if first or client.welcome.duty == "offline":
                    done = await client.command(protocol.SetDuty, duty="online")
                if first:
                    told(args, done, shown="online")
                    sys.stdout.flush()
                    first = False
                backoff.reset()
                if await _stay(client, ended):
                    return 0
        except Unavailable:
            if first:
                raise
            print("the connection is lost; trying again", file=sys.stderr)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(backoff.next()):
                await ended.wait()
                return 0


async def _stay(client: DeskClient, ended: asyncio.Event) -> bool:
    """Beats until we are ended (True) or the connection is (False). Raises when we are sent away."""
    closing = asyncio.ensure_future(client.until_closed())
    ending = asyncio.ensure_future(ended.wait())
    try:
        while True:
            done, _ = await asyncio.wait(
                {closing, ending}, timeout=client.welcome.heartbeat, return_when=asyncio.FIRST_COMPLETED
            )
            if ending in done:
                return True
            if closing in done:
                why = closing.result()
                if isinstance(why, NotLoggedIn):
                    raise why
                return False
            await client.ping()
    finally:
        closing.cancel()
        ending.cancel()


async def events(args: argparse.Namespace) -> int:
    """``navbat events``: goes on after a lost connection where it was."""
    ended = _until_ended()
    following = asyncio.ensure_future(_follow(args.since, as_json=args.json))
    ending = asyncio.ensure_future(ended.wait())
    await asyncio.wait({following, ending}, return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if following.done():
        return following.result()
    following.cancel()
    return 0


async def _follow(since: str, *, as_json: bool) -> int:
    backoff = Backoff(0.2, 5.0)
    first = True
    while True:
        try:
            async with _client() as client:
                if first:
                    print(f"following as {client.welcome.operator}", file=sys.stderr, flush=True)
                first = False
                backoff.reset()
                beating = asyncio.create_task(_beat(client), name="beat")
                try:
                    async for event in client.follow(since):
                        since = event.id
                        _print_event(event, as_json=as_json)
                finally:
                    beating.cancel()
        except Unavailable as error:
            if first:
                raise
            print(f"{error}; trying again", file=sys.stderr)
        await asyncio.sleep(backoff.next())


async def _beat(client: DeskClient) -> None:
    """Keeps the connection alive; that it broke is noticed where it is read."""
    with contextlib.suppress(Unavailable):
        while True:
            await asyncio.sleep(client.welcome.heartbeat)
            await client.ping()


def _print_event(event: protocol.DeskEvent, *, as_json: bool) -> None:
    shown = shapes.event(event)
    if as_json:
        print_json(shown, indent=None)
    else:
        what = shown.get(event.type, {})
        facts = " ".join(f"{k}={v}" for k, v in what.items() if isinstance(v, str | int) and v and k != "raw")
        print(f"{shown['at']} {event.type}: {one_line(facts, 300)}", flush=True)


def _until_ended() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    return ended


# ------------------------------------------------------------------ logging in


async def login(args: argparse.Namespace) -> int:
    """``navbat login``: saves server and token. The command line has asked for what was missing."""
    given = Login(url=args.url or saved_login().url, name=args.name, password=args.password)
    async with DeskClient(given, remember=True) as client:
        if not client.welcome.token:
            raise NavbatError("the gateway gave no token")
        path = SavedLogins().keep(client.url, client.welcome.operator, client.welcome.token)
    print(f"logged in at {client.url} as {args.name}; kept in {path}", file=sys.stderr)
    if args.json:
        print_json({"outcome": "done", "url": client.url, "name": args.name, "path": str(path)})
    return 0


async def logout(args: argparse.Namespace) -> int:
    """``navbat logout``: forgets the saved token, which stays valid until it is revoked."""
    url = http_url(saved_login().url)
    if not saved_token(url):
        raise NavbatError(f"there is no saved login at {url}")
    SavedLogins().forget(url)
    print(f"forgotten: the login at {url}", file=sys.stderr)
    if args.json:
        print_json({"outcome": "done", "url": url})
    return 0


def _client(*, presence: bool = False) -> DeskClient:
    return DeskClient(saved_login(), presence=presence)
