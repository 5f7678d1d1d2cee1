"""The words of `navbat crm move|funnels|convert`. Imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def add_funnels(actions: Any, make: Callable[..., argparse.ArgumentParser]) -> None:
    """What is done with stages."""
    move = make(actions, "move", "navbat.cli.funnels:move", "move a lead or a deal into a stage", json=True)
    move.add_argument("type", choices=("lead", "deal"), metavar="TYPE", help="lead, deal")
    move.add_argument("id", metavar="ID")
    move.add_argument("stage", metavar="STAGE", help="its key, as `funnels` prints it")
    move.add_argument("--reason", default="", metavar="R", help="why it is lost")
    move.add_argument("--funnel", default="", metavar="F", help="into this funnel [the one it is in]")
    move.set_defaults(acts=True)
    make(
        actions, "funnels", "navbat.cli.funnels:funnels",
        "list funnels and their stages, with how many stand in each", json=True,
    )  # fmt: skip
    convert = make(
        actions, "convert", "navbat.cli.funnels:convert",
        "make contact, company and deal of a lead, and print their ids", json=True,
    )  # fmt: skip
    convert.add_argument("lead", metavar="LEAD")
    for target, about in (
        ("contact", "a new contact, one that is there, or none [new]"),
        ("company", "the same for a company [new where the lead names one, else none]"),
        ("deal", "the same for a deal [new]"),
    ):
        convert.add_argument(f"--{target}", default="", metavar="new|ID|none", help=about)
    convert.add_argument(
        "--funnel", default="", metavar="F", help="of the new deal [the line's, else the first]"
    )
    convert.set_defaults(acts=True)
