"""The words of `navbat crm …` and `navbat audit`. Imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from navbat.cli.arguments import whole
from navbat.cli.funnel_words import add_funnels

TYPES = ("lead", "contact", "company", "deal", "activity")
Make = Callable[..., argparse.ArgumentParser]
"""``(actions, name, call, about, json=True)``: one command."""

_FIELDS = "a field and its value, such as amount=120000.00:UZS; an empty value takes it away"
_WHERE = "a condition, such as stage=new or 'amount>=1000'; may be given again"


def add_crm(commands: Any, make: Make) -> None:
    """``navbat crm``."""
    about = "leads, contacts, companies, deals and activities"
    crm = commands.add_parser("crm", help=about, description=f"{about.capitalize()}.")
    actions = crm.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    _add_looks(actions, make)
    _add_changes(actions, make)
    add_funnels(actions, make)
    _add_files(actions, make)


def _add_looks(actions: Any, make: Make) -> None:
    listing = _of_type(make(actions, "list", "navbat.cli.crm:show_list", "list objects", json=True))
    listing.add_argument("--where", action="append", default=[], metavar="FIELD=VALUE", help=_WHERE)
    listing.add_argument("--funnel", default="", metavar="F", help="in this funnel")
    listing.add_argument("--stage", default="", metavar="S", help="in this stage")
    listing.add_argument(
        "--sort", default="-created_at", metavar="FIELD", help="in this order, backwards with - [-created_at]"
    )
    listing.add_argument("--deleted", action="store_true", help="those that were deleted")
    add_paging(listing, 50)
    _named(make(actions, "show", "navbat.cli.crm:show", "show all that an object says", json=True))
    timeline = make(
        actions, "timeline", "navbat.cli.timeline:main", "tell all that happened, the newest first", json=True
    )
    add_timeline(_named(timeline))
    fields = make(actions, "fields", "navbat.cli.crm:fields", "list the fields of objects", json=True)
    fields.add_argument("type", nargs="?", choices=TYPES, metavar="TYPE", help=", ".join(TYPES))


def _add_changes(actions: Any, make: Make) -> None:
    add = _of_type(make(actions, "add", "navbat.cli.crm:add", "make an object, and print its id", json=True))
    add.add_argument("fields", nargs="+", metavar="FIELD=VALUE", help=_FIELDS)
    add.add_argument(
        "--id", default="", metavar="ID", help="of the request: the same one again makes nothing anew"
    )
    change = _named(make(actions, "set", "navbat.cli.crm:change", "change fields of an object", json=True))
    change.add_argument("fields", nargs="+", metavar="FIELD=VALUE", help=_FIELDS)
    delete = _named(
        make(
            actions, "delete", "navbat.cli.crm:delete", "take an object out of lists and searches", json=True
        )
    )
    for made in (change, delete):
        made.add_argument(
            "--version", dest="expected", type=whole(), default=0, metavar="N",
            help="refuse when it is another version by now",
        )  # fmt: skip
    restore = _named(make(actions, "restore", "navbat.cli.crm:restore", "undo a deletion", json=True))
    attach = _named(make(actions, "attach", "navbat.cli.crm:attach", "attach a file to an object", json=True))
    attach.add_argument("file", metavar="FILE")
    detach = _named(make(actions, "detach", "navbat.cli.crm:detach", "take a file off an object", json=True))
    detach.add_argument("key", metavar="KEY", help="the file's key, as `show` prints it")
    for made in (add, change, delete, restore, attach, detach):
        made.set_defaults(acts=True)


def _add_files(actions: Any, make: Make) -> None:
    take = _of_type(
        make(
            actions,
            "import",
            "navbat.cli.transfer:take_in",
            "make objects of a CSV file or vCards",
            json=True,
        )
    )
    take.add_argument("file", metavar="FILE", help="CSV (any usual encoding and separator), or vCards (.vcf)")
    take.add_argument(
        "--map", default="", metavar="FILE", help="says which column is which field [by the titles]"
    )
    take.add_argument("--dry-run", action="store_true", help="say what would become of each row")
    take.add_argument(
        "--duplicates", choices=("skip", "make"), default="skip",
        help="rows of which a phone, an address or a tax number is there already [skip]",
    )  # fmt: skip
    take.set_defaults(acts=True)
    give = _of_type(
        make(actions, "export", "navbat.cli.transfer:give_out", "print objects as JSON lines", json=True)
    )
    give.add_argument("--where", action="append", default=[], metavar="FIELD=VALUE", help=_WHERE)
    form = give.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="as CSV, without formulas")
    form.add_argument("--vcard", choices=("3", "4"), default="", help="as vCards of this version")


def add_audit(commands: Any, make: Make) -> None:
    """``navbat audit``."""
    audit = make(commands, "audit", "navbat.cli.audit:main", "tell who did what, the newest first", json=True)
    audit.add_argument("--who", default="", metavar="NAME", help="did it")
    audit.add_argument("--what", default="", metavar="VERB", help="an action: deal_changed, changed, take, …")
    audit.add_argument("--since", default="", metavar="D", help="from then on: a date, or a date and time")
    audit.add_argument("--until", default="", metavar="D", help="before then")
    audit.add_argument("--object", default="", metavar="ID", help="of this object")
    audit.add_argument("--session", default="", metavar="ID", help="of this session")
    add_paging(audit, 100)


def add_timeline(made: argparse.ArgumentParser) -> None:
    """What `crm timeline` and `customer timeline` have in common."""
    made.add_argument(
        "--kind", action="append", default=[], choices=("message", "activity", "stage"), metavar="KIND",
        help="only of this kind (message, activity, stage); may be given again",
    )  # fmt: skip
    add_paging(made, 50)


def add_paging(parser: argparse.ArgumentParser, limit: int) -> None:
    """``--limit N --after CURSOR``."""
    parser.add_argument(
        "--limit",
        type=whole(most=200),
        default=limit,
        metavar="N",
        help=f"at most so many, 200 at the most [{limit}]",
    )
    parser.add_argument("--after", default="", metavar="CURSOR", help="go on where a list ended")


def _of_type(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
    made.add_argument("type", choices=TYPES, metavar="TYPE", help=", ".join(TYPES))
    return made


def _named(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
    _of_type(made).add_argument("id", metavar="ID")
    return made
