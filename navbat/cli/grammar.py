"""The words of every command: what may be written at the command line, and what carries it out.

Nothing of that is imported here: ``navbat --help`` is quick.
"""

from __future__ import annotations

import argparse
from typing import Any

from navbat.cli.arguments import STATUSES, Parser, languages, whole
from navbat.cli.consent_words import add_consent, add_retention
from navbat.cli.crm_words import add_audit, add_crm, add_timeline
from navbat.cli.customer_words import add_customers
from navbat.cli.stats_words import add_stats
from navbat.cli.verbs import add_verbs


def parser() -> argparse.ArgumentParser:
    """All commands. ``args.call`` names what carries one out."""
    from navbat import __version__

    top = Parser(
        prog="navbat",
        description="A chat-centric omnichannel operator desk for the terminal.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"navbat {__version__}")
    top.add_argument(
        "--config", metavar="FILE", help="the configuration (else NAVBAT_CONFIG, else ./config.yaml)"
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_desk(commands)
    _add_operator(commands)
    _add_line(commands)
    _add_reads(commands)
    add_crm(commands, _command)
    add_audit(commands, _command)
    add_retention(commands, _command)
    add_verbs(lambda name, call, about: _command(commands, name, call, about, json=True))
    scenario = _command(
        commands, "scenario", "navbat.lab.scenario:main", "play stories about a line's rules", json=True
    )
    scenario.add_argument("files", nargs="+", metavar="FILE")
    _add_flow(commands)
    _add_rehearse(commands)
    _add_simulate(commands)
    _add_quarantine(commands)
    add_stats(commands, _command)
    _add_completion(commands)
    return top


def _command(
    commands: Any, name: str, call: str, help: str, *, json: bool = False
) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=help[:1].upper() + help[1:] + ".", allow_abbrev=False
    )
    made.set_defaults(call=call)
    if call.startswith("navbat.cli.program:"):
        made.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    if json:
        made.add_argument("--json", action="store_true", help="print JSON")
    return made


def _add_rehearse(commands: Any) -> None:
    made = _command(
        commands,
        "rehearse",
        "navbat.lab.rehearse.command:main",
        "play recorded days under other rules",
        json=True,
    )
    made.add_argument("--line", required=True, metavar="L", help="whose rules are tried, and whose figures")
    made.add_argument(
        "--rules", required=True, metavar="FILE", help="settings of the line that differ from those now"
    )
    made.add_argument(
        "--from", dest="start", required=True, metavar="D", help="a date, or a local date and time"
    )
    made.add_argument("--to", dest="end", required=True, metavar="D", help="the same; itself not included")
    made.add_argument("--csv", default="", metavar="FILE", help="write the figures as CSV; `-`: to stdout")


def _add_simulate(commands: Any) -> None:
    simulate = _command(
        commands, "simulate", "navbat.lab.simulate:main", "play random worlds against the invariants of the queue",
        json=True,
    )  # fmt: skip
    simulate.add_argument("--seeds", type=whole(), required=True, metavar="N", help="how many worlds")
    simulate.add_argument("--events", type=whole(), default=1000, metavar="N", help="actions in each [1000]")
    simulate.add_argument(
        "--first-seed", type=whole(0), default=0, metavar="N", help="the seed to begin with [0]"
    )


def _add_flow(commands: Any) -> None:
    flow = _command(
        commands, "flow", "navbat.lab.flow:main", "check a scripted bot, or try it in the terminal"
    )
    actions = flow.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, about in (("check", "say everything that is wrong with a flow"), ("try", "talk to a flow")):
        made = _command(actions, name, "navbat.lab.flow:main", about)
        made.add_argument("files", nargs="+" if name == "check" else 1, metavar="FILE")
        if name == "try":
            made.add_argument(
                "--language", type=languages, default="", metavar="CODE", help="the customer's language"
            )
            made.add_argument("--off-hours", action="store_true", help="outside the working hours")


def _add_keeping(commands: Any) -> None:
    backup = _command(
        commands,
        "backup",
        "navbat.keeping.backup:main",
        "copy all of the desk into a folder, while it runs",
        json=True,
    )
    backup.add_argument("folder", metavar="DIR", help="where to; must not exist yet")
    restore = _command(
        commands, "restore", "navbat.keeping.restore:main", "put a backup into an empty place", json=True
    )
    restore.add_argument("folder", metavar="DIR", help="a folder that `navbat backup` made")
    _command(
        commands,
        "migrate",
        "navbat.keeping.migrating:main",
        "bring the store up to this version, as `navbat run` does",
        json=True,
    )
    move = _command(
        commands,
        "move-store",
        "navbat.keeping.moving:main",
        "copy the store of a stopped desk into another one, or go on with it",
        json=True,
    )
    move.add_argument("--to", required=True, metavar="URL", help="mongodb://…, or sqlite")


def _add_desk(commands: Any) -> None:
    run = _command(commands, "run", "navbat.cli.program:run_desk", "run the desk in the foreground")
    run.add_argument(
        "--role", action="append", default=[], metavar="ROLE",
        help="run this part only (receiver, router, gateway, sender, projector); may be given again",
    )  # fmt: skip
    check = _command(
        commands, "check", "navbat.cli.program:check", "validate the configuration without starting"
    )
    check.add_argument("--online", action="store_true", help="also ask each channel's platform who we are")
    repair = _command(
        commands,
        "repair",
        "navbat.cli.program:repair",
        "say what is damaged in the data folder, and mend it",
        json=True,
    )
    repair.add_argument("--yes", action="store_true", help="mend it, and lose what is said to be lost")
    repair.add_argument(
        "--backup",
        default="",
        metavar="PATH",
        help="take what cannot be read from this navbat.sqlite, or folder",
    )
    _add_keeping(commands)
    console = _command(commands, "console", "navbat.cli.program:console", "open the operator's screen")
    console.add_argument("--url", help="the gateway (else NAVBAT_URL, else the saved one)")
    console.add_argument("--plain", action="store_true", help="linear text: for screen readers and scripts")
    console.add_argument("--web", action="store_true", help="serve the screen to a browser")
    demo = _command(commands, "demo", "navbat.cli.program:demo", "show a desk with simulated customers")
    demo.add_argument("--headless", action="store_true", help="no screen: scripted operators and a summary")
    demo.add_argument(
        "--seconds", type=whole(), default=20, metavar="N", help="how long a headless demo lasts [20]"
    )
    logout = _command(commands, "logout", "navbat.cli.commands:logout", "forget the saved login", json=True)
    login = _command(
        commands,
        "login",
        "navbat.cli.program:login",
        "save server and token for the commands below",
        json=True,
    )
    for made in (login, logout):
        made.set_defaults(acts=True)
    login.add_argument("--url", help="the gateway")
    login.add_argument("--name", help="who you are there")
    login.add_argument("--password-stdin", action="store_true", help="read the password from stdin")


def _add_operator(commands: Any) -> None:
    operator = commands.add_parser("operator", help="manage accounts", description="Manage accounts.")
    actions = operator.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    made = {}
    for action, about in (
        ("add", "make an account"),
        ("passwd", "set a password"),
        ("token", "print a new token, once"),
        ("disable", "end an account: no login works any more"),
        ("enable", "let a disabled account in again"),
        ("revoke", "take tokens back and end their logins"),
        ("set", "change what an operator can and may"),
        ("list", "list the accounts"),
    ):
        made[action] = _command(actions, action, "navbat.cli.program:operator", about, json=True)
        made[action].set_defaults(acts=action != "list")
        if action != "list":
            made[action].add_argument("name", metavar="NAME")
    add = made["add"]
    add.add_argument(
        "--role", choices=("operator", "supervisor", "admin", "bot"), default="operator", help="[operator]"
    )
    add.add_argument("--lines", default="", metavar="A,B", help="lines to work in, beside those that name it")
    add.add_argument("--max-sessions", type=whole(0), default=1000, metavar="N", help="over all lines [1000]")
    add.add_argument("--token", action="store_true", help="print a token, once")
    for action in ("add", "passwd"):
        made[action].add_argument(
            "--password-stdin", action="store_true", help="read the password from stdin"
        )
    change = made["set"]
    change.add_argument("--lines", metavar="A,B", help="lines to work in")
    change.add_argument("--skills", metavar="A,B", help="for the `skills` of lines; empty for none")
    change.add_argument("--languages", type=languages, metavar="A,B", help="codes such as uz; empty for none")
    change.add_argument("--max-sessions", type=whole(0), metavar="N", help="over all lines")
    change.add_argument(
        "--absence", action="append", default=[], metavar="FROM..TO[:REASON]",
        help="one more absence, such as 2026-03-05..2026-03-07:holiday; may be given again",
    )  # fmt: skip
    change.add_argument("--no-absence", action="store_true", help="forget the absences there are")
    change.add_argument(
        "--rights", action="append", default=[], metavar="[LINE:]A,B",
        help="separate rights there (join_open, join_silent, whisper, take_over, read_only), in all lines "
        "without LINE; `role`: those of the role; may be given again",
    )  # fmt: skip
    change.add_argument(
        "--crm", action="append", default=[], metavar="TYPE.VERB=REACH",
        help="how far a verb (read, add, edit, delete, export; `*`) reaches (none, own, line, all) among deals, "
        "leads, … or `*`, such as deal.delete=line; `role`: as the role has it; may be given again",
    )  # fmt: skip
    made["revoke"].add_argument("--id", default="", help="only this token, as `list` shows it")


def _add_line(commands: Any) -> None:
    line = commands.add_parser(
        "line", help="show and change the lines' rules", description="Show and change the lines' rules."
    )
    actions = line.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    made = {}
    for action, about in (
        ("list", "list the lines in force"),
        ("show", "show a line's settings"),
        ("set", "change settings of a line, at once"),
        ("add", "make a new line"),
        ("remove", "take away a line that the configuration does not have"),
        ("edit-from", "take all settings of a line from a file"),
        ("versions", "list a line's versions, the newest first"),
        ("diff", "compare versions; without a number, the configuration with what is in force"),
        ("rollback", "put an earlier version in force again"),
        ("shift", "set a member's shifts"),
        ("absence", "add or remove an operator's absence"),
    ):
        made[action] = _command(actions, action, "navbat.cli.lines:main", about, json=True)
        made[action].set_defaults(acts=action not in ("list", "show", "versions", "diff"))
        made[action].add_argument(
            "--config", metavar="FILE", default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )
        if action not in ("list", "absence"):
            made[action].add_argument("line", metavar="LINE")
        if action not in ("list", "show", "versions", "diff", "absence"):
            made[action].add_argument("--comment", default="", metavar="TEXT", help="kept with the version")
            made[action].add_argument(
                "--expected", type=whole(0), metavar="N", help="refuse when another version is in force"
            )
    for action in ("set", "add"):
        made[action].add_argument(
            "changes", nargs="+" if action == "set" else "*", metavar="KEY=VALUE",
            help="a setting in YAML, such as answer_within=2m or 'members=[anna, bek]' or "
            "hours.mon=09:00-18:00; an empty value is the default",
        )  # fmt: skip
    made["edit-from"].add_argument("file", metavar="FILE", help="YAML: the line's mapping alone")
    made["diff"].add_argument("first", nargs="?", type=whole(), metavar="N")
    made["diff"].add_argument("second", nargs="?", type=whole(), metavar="M", help="[what is in force]")
    made["rollback"].add_argument("version", type=whole(), metavar="N")
    made["shift"].add_argument("name", metavar="NAME")
    days = made["shift"].add_mutually_exclusive_group(required=True)
    days.add_argument("--none", action="store_true", help="whenever online")
    days.add_argument("days", nargs="*", default=[], metavar="DAY=HOURS", help="such as mon=09:00-13:00")
    absence = made["absence"]
    absence.add_argument("name", metavar="NAME")
    absence.add_argument("what", choices=("add", "remove"))
    absence.add_argument("first", metavar="FROM", help="first day, such as 2026-03-05")
    absence.add_argument("last", metavar="TO", help="last day")
    absence.add_argument("--reason", default="", help="shown to colleagues")


def _add_reads(commands: Any) -> None:
    _command(commands, "status", "navbat.cli.commands:status", "show how the desk does", json=True)
    sessions = _command(
        commands,
        "sessions",
        "navbat.cli.commands:sessions",
        "list the sessions you may see, newest first",
        json=True,
    )
    sessions.add_argument("--line", default="", metavar="L", help="of this line")
    sessions.add_argument("--status", default="", choices=STATUSES, help="in this status")
    sessions.add_argument("--tag", default="", metavar="T", help="that carry this tag")
    sessions.add_argument("--limit", type=whole(), default=1000, metavar="N", help="at most so many [1000]")
    history = _command(
        commands, "history", "navbat.cli.commands:history", "print messages in order", json=True
    )
    which = history.add_mutually_exclusive_group(required=True)
    which.add_argument("session", nargs="?", default="", metavar="SESSION")
    which.add_argument("--customer", default="", metavar="ID", help="over all sessions of a customer")
    why = _command(commands, "why", "navbat.cli.commands:why", "tell why a session is where it is", json=True)
    why.add_argument("session", metavar="SESSION")
    _add_looks(commands)
    events = _command(commands, "events", "navbat.cli.commands:events", "follow what happens", json=True)
    events.add_argument("--since", default="", metavar="ID", help="go on after this event")


def _add_looks(commands: Any) -> None:
    search = _command(
        commands,
        "search",
        "navbat.cli.search:main",
        "find messages, customers, leads, contacts, companies and deals",
        json=True,
    )
    search.add_argument("text", metavar="TEXT", help="words, perhaps only begun, or digits of a number")
    search.add_argument(
        "--in",
        dest="within",
        type=lambda text: [name.strip() for name in text.split(",") if name.strip()],
        default=[],
        metavar="PLACES",
        help="only there: messages, customers, leads, contacts, companies, deals, with commas [all]",
    )
    search.add_argument("--session", default="", metavar="ID", help="messages of this session")
    search.add_argument("--customer", default="", metavar="ID", help="messages with this customer")
    search.add_argument(
        "--limit", type=whole(), default=50, metavar="N", help="of each at most so many, 100 at the most [50]"
    )
    _command(
        commands,
        "next",
        "navbat.cli.commands:upcoming",
        "name your session whose promise runs out first",
        json=True,
    )
    customer = commands.add_parser("customer", help="show customers", description="Show customers.")
    actions = customer.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    add_customers(actions, _command)
    timeline = _command(
        actions,
        "timeline",
        "navbat.cli.timeline:of_customer",
        "tell all that happened, the newest first",
        json=True,
    )
    timeline.add_argument("customer", metavar="ID")
    add_timeline(timeline)
    add_consent(actions, _command)
    file = _command(commands, "file", "navbat.cli.commands:fetch", "fetch a file of a message", json=True)
    file.add_argument("message", metavar="MESSAGE", help="its id, as `history --json` prints it")
    file.add_argument("--number", type=whole(), default=1, metavar="N", help="which of its files [1]")
    file.add_argument("--output", default=".", metavar="PATH", help="a new file, or a folder [.]")


def _add_quarantine(commands: Any) -> None:
    about = "show what could not be worked on, try it again, or drop it"
    quarantine = commands.add_parser("quarantine", help=about, description=f"{about.capitalize()}.")
    actions = quarantine.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    for action, what in (
        ("list", "list what is set aside, the oldest first"),
        ("show", "show one thing with its bytes"),
        ("retry", "put things back at the end of where they came from"),
        ("drop", "forget things"),
    ):
        made = _command(actions, action, f"navbat.cli.quarantine:{action}", what, json=True)
        if action == "show":
            made.add_argument("id", metavar="ID")
        elif action != "list":
            made.add_argument("ids", nargs="+", metavar="ID", help="as `list` shows it; `all` for everything")


def _add_completion(commands: Any) -> None:
    made = _command(
        commands, "completion", "navbat.cli.program:completion", "print a script that completes commands"
    )
    made.add_argument("shell", choices=("bash", "zsh", "fish"))
