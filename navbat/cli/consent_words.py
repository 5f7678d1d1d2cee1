"""The words of ``navbat.cli.consent`` on the command line. Imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from navbat.cli.arguments import whole

Make = Callable[..., argparse.ArgumentParser]


def add_consent(customers: Any, command: Make) -> None:
    """``navbat customer export|erase|receipts``."""

    def make(name: str, about: str) -> argparse.ArgumentParser:
        return command(customers, name, f"navbat.cli.consent:{name}", about, json=True)

    made = make("export", "print everything about one person as JSON")
    made.add_argument("customer", metavar="ID")
    made = make("erase", "erase all of a person, for good, and print the receipt")
    made.set_defaults(acts=True)
    made.add_argument("customer", metavar="ID")
    made.add_argument("--yes", action="store_true", help="do it: nothing brings him back but a backup")
    made = make("receipts", "list what was erased, or show one receipt")
    made.add_argument("receipt", nargs="?", metavar="RECEIPT", help="this one, with all that stays")
    made.add_argument("--limit", type=whole(), default=50, metavar="N", help="at most so many [50]")
    made.add_argument("--after", default="", metavar="CURSOR", help="go on where a list ended")


def add_retention(commands: Any, command: Make) -> None:
    """``navbat retention``."""
    about = "remove what is older than `crm.retention` lets it be, as each night does"
    made = command(commands, "retention", "navbat.cli.consent:retention", about, json=True)
    made.set_defaults(acts=True)
    made.add_argument("--dry-run", action="store_true", help="only say what would go")
