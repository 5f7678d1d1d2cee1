"""The command line. Only what a command needs is imported when it runs: help is quick.

Exit status: 0 done, 1 refused or failed, 2 wrong use, 3 cannot reach the desk. Data goes to stdout,
everything else to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from navbat.cli.arguments import backwards_joined, check_text
from navbat.cli.grammar import parser

if TYPE_CHECKING:
    from crm.kernel.errors import NavbatError

DONE, FAILED, WRONG_USE, UNREACHABLE = 0, 1, 2, 3


# ------------------------------------------------------------------ what needs more than the wire


def run_desk(args: argparse.Namespace) -> int:
    """``navbat run``."""
    from navbat.config.rulebook import Rulebook
    from navbat.config.types import locate
    from navbat.run.composition import EMPTY_ROLES, ROLES, run

    roles = [role for given in args.role for role in given.split(",") if role]
    for role in roles:
        if role not in (*ROLES, *EMPTY_ROLES):
            print(f"navbat run: there is no role {role}; roles: {', '.join(ROLES)}", file=sys.stderr)
            return WRONG_USE
    return run(*Rulebook.load(locate(args.config)), roles)


def completion(args: argparse.Namespace) -> int:
    """``navbat completion``."""
    import shtab

    print(shtab.complete(parser(), args.shell))
    return DONE


def check(args: argparse.Namespace) -> int:
    """``navbat check``."""
    from navbat.config.check import check as run_check
    from navbat.config.types import locate

    return asyncio.run(run_check(locate(args.config), online=args.online))


def repair(args: argparse.Namespace) -> int:
    """``navbat repair``."""
    from navbat.mending.command import main as mend

    return mend(args)


def console(args: argparse.Namespace) -> int:
    """``navbat console``."""
    from console.app import main as open_console

    return open_console(args.url, plain=args.plain, web=args.web)


def demo(args: argparse.Namespace) -> int:
    """``navbat demo``."""
    from navbat.lab.demo import main as show

    return show(headless=args.headless, seconds=args.seconds)


def login(args: argparse.Namespace) -> int:
    """``navbat login``."""
    from navbat.cli.commands import login as log_in

    args.name = args.name or _asked(lambda: input("name: "))
    args.password = _password(args, repeat=False)
    return asyncio.run(log_in(args))


def operator(args: argparse.Namespace) -> int:
    """``navbat operator …``."""
    from navbat.cli.accounts import operator as manage

    if args.action == "passwd" or (args.action == "add" and (args.password_stdin or _may_ask(args))):
        args.password = _password(args, repeat=True)
    else:
        args.password = ""
    return asyncio.run(manage(args))


def _may_ask(args: argparse.Namespace) -> bool:
    return not args.token and sys.stdin.isatty()


def _password(args: argparse.Namespace, *, repeat: bool) -> str:
    """From stdin as told, else asked for (twice where it is being chosen)."""
    import getpass

    from crm.kernel.errors import NavbatError
    from navbat.cli.printing import read_stdin

    if args.password_stdin or not sys.stdin.isatty():
        return read_stdin(sys.stdin.readline).rstrip("\r\n")
    first = _asked(lambda: getpass.getpass("password: "))
    if repeat and _asked(lambda: getpass.getpass("once more: ")) != first:
        raise NavbatError("the two passwords differ")
    return first


def _asked(ask: Callable[[], str]) -> str:
    from crm.kernel.errors import WrongUse
    from navbat.cli.printing import read_stdin

    try:
        return read_stdin(ask)
    except EOFError:
        raise WrongUse("nothing was entered") from None


# ------------------------------------------------------------------ main


def main(argv: Sequence[str] | None = None) -> int:
    """Carries out one command and returns its exit status."""
    from navbat.cli.printing import prepare_streams

    prepare_streams()
    try:
        status = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        print(f"navbat: {_sentence(error)}", file=sys.stderr)  # a full disk behind stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    else:
        return status


def _sentence(error: OSError) -> str:
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{error.strerror or error}"


def _run(argv: Sequence[str]) -> int:
    top = parser()
    check_text(top, argv)
    try:
        args = top.parse_args(backwards_joined(argv))
    finally:
        sys.stdout.flush()  # help that nobody reads to its end is no error at exit
    module, _, name = args.call.partition(":")
    from crm.kernel.errors import NavbatError, Unavailable, WrongUse

    try:
        carried_out = getattr(import_module(module), name)(args)
        status: int = asyncio.run(carried_out) if asyncio.iscoroutine(carried_out) else carried_out
    except Unavailable as error:
        return _complain(args, error, UNREACHABLE)
    except WrongUse as error:
        return _complain(args, error, WRONG_USE)
    except NavbatError as error:
        return _complain(args, error, FAILED)
    except BrokenPipeError:
        raise
    except OSError as error:
        # A full disk, a file that may not be read: said in a sentence, wherever it was met.
        return _complain(args, NavbatError(_sentence(error)), FAILED)
    else:
        return status


_OUTCOMES = {FAILED: "failed", WRONG_USE: "wrong use", UNREACHABLE: "unreachable"}


def _complain(args: argparse.Namespace, error: NavbatError, status: int) -> int:
    from crm.kernel.errors import Refused

    text, outcome = str(error), _OUTCOMES[status]
    if isinstance(error, Refused):
        from console.text.words import Words

        text, outcome = Words().coded("refused", error.code, error.params), "refused"
    for line in text.splitlines():
        print(f"navbat: {line}", file=sys.stderr)
    if error.hint:
        print(f"        {error.hint}", file=sys.stderr)
    if getattr(args, "json", False) and getattr(args, "acts", False):
        from navbat.cli.printing import print_json

        code = {"code": error.code, "params": error.params} if isinstance(error, Refused) else {}
        print_json({"outcome": outcome, **code, "error": text})
    return status
