"""``navbat operator …``: accounts in the store, whether the desk runs or not. A running desk is told,
so that a change takes effect at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import msgspec

from crm.kernel.access import OBJECT_TYPES, REACHES, VERBS
from crm.kernel.errors import NavbatError, WrongUse
from crm.kernel.ports import Store
from crm.kernel.records import Absence, Account, Right
from crm.lines import versions
from crm.operators import accounts
from navbat.cli import shapes
from navbat.cli.arguments import unknown_word
from navbat.cli.printing import print_json
from navbat.cli.reach import by, opened_store, tell
from navbat.config.rulebook import Rulebook
from navbat.config.types import Config, locate

if TYPE_CHECKING:
    from router.log.log import Log


class DeskConfig(NamedTuple):
    """What the configuration says."""

    config: Config
    book: Rulebook


AccountAction = Callable[[argparse.Namespace, Store, DeskConfig], Awaitable[Sequence[str] | None]]
"""Returns the token ids that stop working (``["*"]``: every login), or None when nothing changed."""


async def operator(args: argparse.Namespace) -> int:
    """``navbat operator ACTION NAME``."""
    config, book = Rulebook.load(locate(args.config), channels=False)
    args.made = ""
    async with opened_store(config) as store:
        ended = await _ACTIONS[args.action](args, store, DeskConfig(config, book))
        if ended is not None:
            await _tell(config, book, store, args.name, ended)
        if args.json and args.action != "list":
            account = await accounts.get_account(store, args.name)
            row = _row(account, await _members(store, DeskConfig(config, book)))
            token = {"token": args.made} if args.made else {}
            print_json({"outcome": "done", **row, **token})
    return 0


def _show_token(args: argparse.Namespace, token: str) -> None:
    """The only time that it can be seen."""
    args.made = token
    if not args.json:
        print(token)


async def _add(args: argparse.Namespace, store: Store, desk: DeskConfig) -> Sequence[str]:
    lines = await _known_lines(store, desk, args.lines)
    password = args.password or ""
    await accounts.add_account(
        store, args.name, role=args.role, lines=lines, password=password,
        max_sessions=args.max_sessions, by=by(),
    )  # fmt: skip
    if args.token:
        _show_token(args, await accounts.new_token(store, args.name, by=by()))
    elif not password:
        print(f"{args.name} has no password and no token yet, and so cannot log in", file=sys.stderr)
    return []


async def _passwd(args: argparse.Namespace, store: Store, desk: DeskConfig) -> None:
    await accounts.set_password(store, args.name, args.password or "", by=by())


async def _token(args: argparse.Namespace, store: Store, desk: DeskConfig) -> None:
    _show_token(args, await accounts.new_token(store, args.name, by=by()))


async def _disable(args: argparse.Namespace, store: Store, desk: DeskConfig) -> Sequence[str]:
    await accounts.disable(store, args.name, by=by())
    return ["*"]


async def _enable(args: argparse.Namespace, store: Store, desk: DeskConfig) -> Sequence[str]:
    await accounts.enable(store, args.name, by=by())
    return []


async def _revoke(args: argparse.Namespace, store: Store, desk: DeskConfig) -> Sequence[str]:
    ids = await accounts.revoke(store, args.name, args.id, by=by())
    print(f"{len(ids)} tokens stopped working", file=sys.stderr)
    return ids if args.id else ["*"]


async def _set(args: argparse.Namespace, store: Store, desk: DeskConfig) -> Sequence[str]:
    account = await accounts.get_account(store, args.name)
    names = []
    for name in ("skills", "languages"):
        if getattr(args, name) is not None:
            names.append(name)
            setattr(account, name, [word.strip() for word in getattr(args, name).split(",") if word.strip()])
    if args.lines is not None:
        names.append("lines")
        account.lines = await _known_lines(store, desk, args.lines)
    if args.max_sessions is not None:
        names.append("max_sessions")
        account.max_sessions = args.max_sessions
    if args.absence or args.no_absence:
        names.append("absences")
        kept = [] if args.no_absence else account.absences
        account.absences = [*kept, *map(_absence, args.absence)]
    if args.rights:
        names.append("rights")
        account.rights = await _rights(store, desk, args.rights)
    if args.crm:
        names.append("crm")
        account.crm = _grants(args.crm)
    if not names:
        raise NavbatError("nothing to set", "navbat operator set --help lists what there is")
    desk.book.check_account(account)
    await accounts.set_settings(store, account, names, by=by())
    return []


def _absence(text: str) -> Absence:
    """``2026-03-05..2026-03-07[:reason]``, or a single day."""
    days, _, reason = text.partition(":")
    first, dots, last = days.partition("..")
    return Absence(from_=first, to=last if dots else first, reason=reason.strip())


async def _rights(store: Store, desk: DeskConfig, given: Sequence[str]) -> dict[str, list[Right]] | None:
    """``sales:join_open,whisper``, without a line for all lines; ``role``: those of the role."""
    if list(given) == ["role"]:
        return None
    rights: dict[str, list[Right]] = {}
    for text in given:
        line, colon, words = text.rpartition(":")
        if colon and line != "*":
            await _known_lines(store, desk, line)
        for word in words.split(","):
            if word and word not in get_args(Right):
                raise WrongUse(unknown_word("right", word, get_args(Right)))
        rights[line or "*"] = [word for word in words.split(",") if word]  # type: ignore[misc]
    return rights


def _grants(given: Sequence[str]) -> Any:
    """``deal.delete=line``, ``*`` for every type or verb; ``role``: those of the role."""
    if list(given) == ["role"]:
        return {}
    grants: dict[str, dict[str, str]] = {}
    for text in given:
        (of, dot, verb), equals, reach = (
            text.partition("=")[0].partition("."),
            "=" in text,
            text.partition("=")[2],
        )
        if not dot or not equals:
            raise WrongUse(f"{text[:80]!r} is no TYPE.VERB=REACH", "write one such as deal.delete=line")
        for what, word, known in (
            ("type", of, OBJECT_TYPES),
            ("verb", verb, VERBS),
            ("reach", reach, REACHES),
        ):
            if word not in known and (word != "*" or what == "reach"):
                raise WrongUse(unknown_word(what, word, known))
        grants.setdefault(of, {})[verb] = reach
    return grants


async def _list(args: argparse.Namespace, store: Store, desk: DeskConfig) -> None:
    found = await accounts.list_accounts(store)
    members = await _members(store, desk)
    if args.json:
        print_json([_row(account, members) for account in found])
        return
    for account in found:
        access = ["password"] * bool(account.password) + [f"token {t.id}" for t in account.tokens]
        state = "disabled" if account.disabled else ", ".join(access) or "no login"
        lines = ",".join(_lines_of(account, members)) or "-"
        print(f"{account.name:<20} {account.role:<10} {lines:<20} {state}")


def _row(account: Account, members: Members) -> dict[str, Any]:
    return {
        "name": account.name,
        "role": account.role,
        "lines": _lines_of(account, members),
        "disabled": account.disabled,
        "password": bool(account.password),
        "tokens": [{"id": t.id, "created_at": shapes.rfc3339(t.created_at)} for t in account.tokens],
        "max_sessions": account.max_sessions,
        "skills": account.skills,
        "languages": account.languages,
        "absences": [msgspec.to_builtins(absence) for absence in account.absences],
        "rights": account.rights,
        "crm": account.crm,
        "created_at": shapes.rfc3339(account.created_at),
    }


Members = Mapping[str, Sequence[str]]
"""Line -> its members."""


async def _members(store: Store, desk: DeskConfig) -> Members:
    """Of the lines in force; of the file's, where the desk has not been started yet."""
    kept = {name: found.settings for name, found in (await versions.in_force(store)).items()}
    return {name: settings.get("members") or [] for name, settings in (kept or desk.book.written).items()}


async def _known_lines(store: Store, desk: DeskConfig, given: str) -> list[str]:
    known = {**await _members(store, desk), **desk.book.written}
    lines = [line.strip() for line in given.split(",") if line.strip()]
    for line in lines:
        if line not in known:
            raise WrongUse(unknown_word("line", line, known))
    return lines


def _lines_of(account: Account, members: Members) -> list[str]:
    """Those of the account and those that name it."""
    named = {name for name, line in members.items() if account.name in line}
    return sorted(named | set(account.lines))


_ACTIONS: dict[str, AccountAction] = {
    "add": _add,
    "passwd": _passwd,
    "token": _token,
    "disable": _disable,
    "enable": _enable,
    "revoke": _revoke,
    "set": _set,
    "list": _list,
}


async def _tell(config: Config, book: Rulebook, store: Store, name: str, ended: Sequence[str]) -> None:
    """Tells a running desk what the account is now."""
    event = book.told(await accounts.get_account(store, name))
    event.revoked = list(ended)

    async def say(log: Log) -> bool:
        await log.append(event)
        return True

    await tell(config, say)
