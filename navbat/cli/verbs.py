"""The commands that act on conversations, each one command of the wire: their words on the command line.

``python -m navbat`` reads this for every help and completion, so it imports nothing heavy;
``navbat.cli.acting`` carries them out."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from navbat.cli.arguments import whole

Options = tuple[tuple[str, Mapping[str, Any]], ...]
"""Names and ``add_argument``'s words for them. An argument fills the field of its name."""


class Verb(NamedTuple):
    """``frame`` is a class of ``router.wire.protocol``, ``fixed`` what this word means beside it."""

    frame: str
    about: str
    options: Options = ()
    fixed: Mapping[str, Any] = {}
    message: bool = False
    """It is about one message, named by its id, and not about a whole session."""


_TEXT = ("text", {"metavar": "TEXT", "help": "`-` reads it from stdin"})
_OFF = "--off"

VERBS: dict[str, Verb] = {
    "take": Verb("Take", "take a session"),
    "skip": Verb("Skip", "let a session go to the next one"),
    "return": Verb(
        "Return",
        "give a session back to the queue",
        (("--reason", {"default": "", "help": "told to whom it goes next"}),),
    ),
    "say": Verb(
        "Say",
        "answer the customer",
        (
            _TEXT,
            ("--file", {"action": "append", "default": [], "metavar": "F", "help": "attach a file"}),
            ("--reply-to", {"default": "", "metavar": "MESSAGE", "help": "quote this message"}),
        ),
    ),
    "note": Verb("Note", "write a note that only colleagues see", (_TEXT,)),
    "whisper": Verb("Whisper", "tell the colleagues in a session what the customer never sees", (_TEXT,)),
    "transfer": Verb(
        "Transfer",
        "hand a session on",
        (
            (
                "--to",
                {
                    "required": True,
                    "metavar": "NAME|line:L|bot",
                    "help": "a colleague, a line, or the line's bot",
                },
            ),
            ("--comment", {"default": "", "help": "told to the new holder"}),
        ),
    ),
    "close": Verb("Close", "close a session", (("--result", {"default": "", "help": "how it ended"}),)),
    "pin": Verb(
        "Pin",
        "keep a session from leaving by itself",
        ((_OFF, {"dest": "on", "action": "store_false", "help": "unpin it"}),),
    ),
    "unpin": Verb("Pin", "let a pinned session leave by itself again", fixed={"on": False}),
    "take-over": Verb("TakeOver", "take a session from whoever has it, or from the backlog"),
    "join": Verb("Join", "join a session openly, as a participant"),
    "listen": Verb("Join", "read along silently", fixed={"silent": True}),
    "leave": Verb("Join", "leave a session that was joined", fixed={"on": False}),
    "snooze": Verb(
        "Snooze",
        "put a session to sleep until a time, or until the customer writes",
        (
            (
                "--until",
                {
                    "default": "",
                    "metavar": "WHEN",
                    "help": "30m, 2h, 14:30 or '2026-03-02 09:00' on this computer's clock [the customer writes]",
                },
            ),
        ),
    ),
    "priority": Verb(
        "SetPriority",
        "set a session's priority: a larger number goes before all smaller ones",
        (("priority", {"type": whole(-(10**6), 10**6), "metavar": "N"}),),
    ),
    "tag": Verb(
        "Tag",
        "put words on a session by which it is found again",
        (
            ("tags", {"nargs": "+", "metavar": "TAG"}),
            (_OFF, {"dest": "on", "action": "store_false", "help": "take them off"}),
        ),
    ),
    "score": Verb(
        "Score",
        "judge how a conversation was led, 1 to 5",
        (
            ("score", {"type": whole(1, 5), "metavar": "1..5"}),
            ("--comment", {"default": "", "help": "what to say about it"}),
        ),
    ),
    "spam": Verb("Spam", "close a session without a word and mute its chat"),
    "unspam": Verb("Spam", "let a muted chat be heard again", fixed={"on": False}),
    "read": Verb(
        "MarkRead",
        "mark a session as read",
        (("--seq", {"type": whole(), "metavar": "N", "help": "up to this message's number [the newest]"}),),
    ),
    "edit": Verb("EditMessage", "correct a message that was sent", (_TEXT,), message=True),
    "resend": Verb(
        "Resend",
        "send a message once more that failed, or of which nobody knows whether it arrived",
        message=True,
    ),
}

ADMITTED = "of your choosing: the same command with the same id is done once, however often it is given"


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Makes their parsers; ``add(name, call, about)`` makes an empty one."""
    for name, verb in VERBS.items():
        made = add(name, "navbat.cli.acting:act", verb.about)
        made.set_defaults(verb=name, acts=True)
        if verb.message:
            made.add_argument("message", metavar="MESSAGE", help="its id, as `history` and `say` print it")
        else:
            made.add_argument("session", metavar="SESSION")
        made.add_argument("--id", default="", metavar="ID", help=ADMITTED)
        for option, words in verb.options:
            made.add_argument(option, **words)
    start = add(
        "start", "navbat.cli.acting:start", "open a conversation with a customer who has written before"
    )
    start.add_argument("chat", metavar="CHAT", help="as `sessions --json` shows it, such as shop_bot:4711")
    start.add_argument("--line", required=True, metavar="L", help="in this line")
    start.add_argument("--text", default="", help="the first words to him; `-` reads them from stdin")
    start.add_argument("--id", default="", metavar="ID", help=ADMITTED)
    duty = add("duty", "navbat.cli.commands:duty", "say whether you are on duty")
    duty.add_argument(
        "duty", choices=("online", "break", "offline"), help="`online` holds the connection until it is ended"
    )
    for made in (start, duty):
        made.set_defaults(acts=True)
