"""The words of ``navbat stats``. ``navbat --help`` reads this, so it imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from navbat.cli.arguments import whole

KINDS = {
    "sessions": "how many conversations, how fast they were answered, how they ended",
    "operators": "what each operator did",
    "csat": "how customers and supervisors rate",
    "load": "when it is busy: arrivals and open conversations by weekday and hour",
    "funnel": "leads and deals from stage to stage",
    "visits": "who came by, as cameras saw it",
}
BY = ("hour", "day", "month", "line", "channel", "operator", "source", "camera")


def add_stats(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    about = "show the desk's figures"
    stats = commands.add_parser("stats", help=about, description=f"{about.capitalize()}.")
    kinds = stats.add_subparsers(title="figures", metavar="FIGURES", dest="kind", required=True)
    for kind, what in KINDS.items():
        made = command(kinds, kind, "navbat.cli.stats:show", what, json=True)
        _add_period(made)
        made.add_argument("--by", choices=BY, default="", help="what the rows are")
        made.add_argument("--csv", action="store_true", help="print CSV (needs the right to export)")
        made.add_argument(
            "--behind",
            default="",
            metavar="FIGURE",
            help="list the conversations that a figure is made of, such as `missed`",
        )
        made.add_argument("--limit", type=whole(), default=100, metavar="N", help="of those at most [100]")
        made.add_argument(
            "--after", default="", metavar="CURSOR", help="go on with `next` of the list before"
        )
    command(
        kinds, "rebuild", "navbat.cli.stats:rebuild", "make all figures anew from the facts of conversations",
        json=True,
    )  # fmt: skip


def _add_period(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--from",
        dest="since",
        default="",
        metavar="D",
        help="the first day, such as 2026-03-05 [29 days ago]",
    )
    made.add_argument("--to", default="", metavar="D", help="the last day [today]")
    for name in ("line", "channel", "operator"):
        made.add_argument(f"--{name}", default="", metavar=name[0].upper(), help=f"of this {name} only")
