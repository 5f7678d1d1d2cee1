"""``navbat operator …``: accounts in the store, whether the desk runs or not. A running desk is told,
so that a change takes effect at once."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from crm import accounts
from crm.errors import NavbatError, Refused, Unavailable
from crm.ports import Store
from crm.records import Account
from navbat import shapes
from navbat.backends import make_log, make_store, place_of
from navbat.config import Config, load, locate
from navbat.embedded import make_private, socket_of, url_of
from router.events import OperatorChanged

Action = Callable[[argparse.Namespace, Store, Config], Awaitable[Sequence[str] | None]]
"""Returns the token ids that stop working (``["*"]``: every login), or None when nothing changed."""

TELL_TIMEOUT = 3.0

_REFUSALS = {
    "bad_name": "a name is 1 to 32 letters, digits, dots, underscores and hyphens",
    "bad_password": "a password has 1 to 1024 characters",
    "account_exists": "there is an account {name} already",
    "no_such_account": "there is no account {name}",
    "no_such_token": "{name} has no such token",
}


async def operator(args: argparse.Namespace) -> int:
    """``navbat operator ACTION NAME``."""
    config = load(locate(args.config), channels=False)
    if not config.mongodb:
        make_private(config.folder)
    store = make_store(place_of(config, ""))
    await store.open()
    try:
        ended = await _ACTIONS[args.action](args, store, config)
        if ended is not None:
            await _tell(config, store, args.name, ended)
    except Refused as refused:
        text = _REFUSALS.get(refused.code)
        raise NavbatError(text.format_map(refused.params) if text else str(refused)) from refused
    finally:
        await store.close()
    return 0


async def _add(args: argparse.Namespace, store: Store, config: Config) -> Sequence[str]:
    lines = [line for line in args.lines.split(",") if line]
    for line in lines:
        if line not in config.lines:
            raise NavbatError(f"there is no line {line}", f"lines: {', '.join(config.lines) or 'none'}")
    password = args.password or ""
    await accounts.add_account(
        store, args.name, role=args.role, lines=lines, password=password,
        max_sessions=args.max_sessions, by=_by(),
    )  # fmt: skip
    if args.token:
        print(await accounts.new_token(store, args.name, by=_by()))
    elif not password:
        print(f"{args.name} has no password and no token yet, and so cannot log in", file=sys.stderr)
    return []


async def _passwd(args: argparse.Namespace, store: Store, config: Config) -> None:
    await accounts.set_password(store, args.name, args.password or "", by=_by())


async def _token(args: argparse.Namespace, store: Store, config: Config) -> None:
    print(await accounts.new_token(store, args.name, by=_by()))


async def _disable(args: argparse.Namespace, store: Store, config: Config) -> Sequence[str]:
    await accounts.disable(store, args.name, by=_by())
    return ["*"]


async def _enable(args: argparse.Namespace, store: Store, config: Config) -> Sequence[str]:
    await accounts.enable(store, args.name, by=_by())
    return []


async def _revoke(args: argparse.Namespace, store: Store, config: Config) -> Sequence[str]:
    ids = await accounts.revoke(store, args.name, args.id, by=_by())
    print(f"{len(ids)} tokens stopped working", file=sys.stderr)
    return ids if args.id else ["*"]


async def _list(args: argparse.Namespace, store: Store, config: Config) -> None:
    found = await accounts.list_accounts(store)
    if args.json:
        print(json.dumps([_row(account, config) for account in found], ensure_ascii=False, indent=2))
        return
    for account in found:
        access = ["password"] * bool(account.password) + [f"token {t.id}" for t in account.tokens]
        state = "disabled" if account.disabled else ", ".join(access) or "no login"
        lines = ",".join(_lines_of(account, config)) or "-"
        print(f"{account.name:<20} {account.role:<10} {lines:<20} {state}")


def _row(account: Account, config: Config) -> dict[str, Any]:
    return {
        "name": account.name,
        "role": account.role,
        "lines": _lines_of(account, config),
        "disabled": account.disabled,
        "password": bool(account.password),
        "tokens": [{"id": t.id, "created_at": shapes.rfc3339(t.created_at)} for t in account.tokens],
        "max_sessions": account.max_sessions,
        "created_at": shapes.rfc3339(account.created_at),
    }


def _lines_of(account: Account, config: Config) -> list[str]:
    """Those of the account and those whose configuration names it."""
    named = {name for name, line in config.lines.items() if account.name in line.members}
    return sorted(named | set(account.lines))


_ACTIONS: dict[str, Action] = {
    "add": _add,
    "passwd": _passwd,
    "token": _token,
    "disable": _disable,
    "enable": _enable,
    "revoke": _revoke,
    "list": _list,
}


def _by() -> str:
    """Who the audit says it was: the system's user."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


async def _tell(config: Config, store: Store, name: str, ended: Sequence[str]) -> None:
    """Tells a running desk what the account is now."""
    socket = socket_of(config.folder)
    url = config.redis or (url_of(socket) if socket else "")
    account = await accounts.get_account(store, name)
    event = OperatorChanged(
        name=account.name,
        role=account.role,
        lines=account.lines,
        disabled=account.disabled,
        max_sessions=account.max_sessions,
        revoked=list(ended),
    )
    try:
        if not url:
            raise Unavailable("no desk has run here yet")
        log = make_log(place_of(config, url))
        try:
            async with asyncio.timeout(TELL_TIMEOUT):
                await log.append(event)
        finally:
            await log.close()
    except (Unavailable, TimeoutError):
        print("the desk is not running: it will know when it starts", file=sys.stderr)
