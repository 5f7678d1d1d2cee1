"""The words of `navbat customer …`. Imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from navbat.cli.arguments import whole
from navbat.cli.crm_words import add_paging

Make = Callable[..., argparse.ArgumentParser]

_FIELDS = "a field and its value, such as vip=yes or phones=+998901234567; an empty value takes it away"


def add_customers(actions: Any, command: Make) -> None:
    """``navbat customer …``, but for what `navbat.cli.consent_words` adds."""

    def make(name: str, about: str) -> argparse.ArgumentParser:
        call = {"list": "show_list", "set": "change"}.get(name, name)
        return command(actions, name, f"navbat.cli.customers:{call}", about, json=True)

    listing = make("list", "list customers, those who wrote last first")
    listing.add_argument(
        "--query", default="", metavar="TEXT", help="with this number, address, or words in the name"
    )
    add_paging(listing, 50)
    _whose(make("show", "show what is known of a customer"))
    duplicates = make("duplicates", "list cards that may be one person's")
    duplicates.add_argument("customer", nargs="?", default="", metavar="ID", help="only those of this one")
    add_paging(duplicates, 50)
    change = _whose(make("set", "change fields of a customer"))
    change.add_argument("fields", nargs="+", metavar="FIELD=VALUE", help=_FIELDS)
    change.add_argument(
        "--version", dest="expected", type=whole(), default=0, metavar="N",
        help="only if nobody has changed it since this version",
    )  # fmt: skip
    for name, about in (
        ("accept", "put what was suggested onto a customer's card"),
        ("refuse", "never suggest this again"),
    ):
        answer = _whose(make(name, about))
        answer.add_argument("key", metavar="KEY", help="as `show` prints it, such as phone:+998901234567")
        answer.set_defaults(acts=True)
    _add_merges(make)
    change.set_defaults(acts=True)


def _add_merges(make: Callable[[str, str], argparse.ArgumentParser]) -> None:
    link = make("link", "say that whoever writes in a session is this customer")
    link.add_argument("session", metavar="SESSION")
    link.add_argument("customer", metavar="ID")
    merge = make("merge", "make one card of two")
    merge.add_argument("master", metavar="MASTER", help="the card that stays")
    merge.add_argument("other", metavar="OTHER", help="the card that goes into it")
    merge.add_argument(
        "--prefer", action="append", default=[], metavar="[FIELD=]master|other",
        help="whose value wins where both say something else; may be given again",
    )  # fmt: skip
    unmerge = make("unmerge", "take a card out of the one that it was merged into")
    unmerge.add_argument("other", metavar="OTHER")
    for made in (link, merge, unmerge):
        made.set_defaults(acts=True)


def _whose(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
    made.add_argument("customer", metavar="ID")
    return made
