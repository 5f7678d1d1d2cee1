"""How the files beside this one were made, and what a desk that takes them up has to do again.

``python -m tests.data.sessions.record FOLDER`` writes them as the version that runs it writes sessions, the
journal and a saved desk. ``kept.msgpack`` and ``expected.json`` were written at b162164, when a session was some
sixty fields side by side, ``in_values.msgpack`` (then ``kept.msgpack`` of its folder) by the first version with
values. They are not to be written anew, as they stand for what is found after an upgrade.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from router.desk.bots.flow import Flow, Node, Option
from router.desk.desk import Desk, Known
from router.desk.events import LinesConfigured, OperatorChanged, Writing
from router.desk.rules import LineRules, Overflow, Ring, Sla
from router.desk.state import Entry, Session, Stood, decode_session, encode
from router.gateway.picture import Picture
from router.history.projection import _session_write
from router.wire.protocol import SessionList, encode_frame
from tests.router.desk.world import FIELDS, START, World

FOLDER = Path(__file__).parent
STATUSES = ("bot", "waiting", "offered", "taken", "answered", "pending", "closing", "closed", "spam")
SAVED_AT = 405
"""s from the world's start."""
GREETER = Flow(
    name="greeter", start="hello",
    nodes={
        "hello": Node(kind="menu", say={"": "What is it about?"}, options=[Option(label={"": "money"}, then="who")]),
        "who": Node(kind="ask", say={"": "Who are you?"}, field="name", then="out"),
        "out": Node(kind="hand_over", priority=7),
    },
)  # fmt: skip
EVERY_FIELD: dict[str, Any] = {
    "id": "1", "chat": "bot:ali", "channel": "bot", "kind": "loopback", "line": "sales", "customer": "c1",
    "name": "Ali", "username": "ali_77", "status": "taken", "holder": "anna", "priority": 3,
    "opened_at": 1_001, "arrival": 1_002, "first_answer_at": 1_003, "closed_at": 1_004, "closed_by": "bek",
    "result": "sold", "seq": 9, "rev": 12, "read_seq": 8, "unread": 2, "waiting_since": 1_005,
    "last_at": 1_006, "last_text": "thanks", "last_direction": "out", "last_kind": "text",
    "asked_text": "how much?", "asked_kind": "button", "last_external_in": "m7", "language": "uz",
    "outgoing": True, "notified": True, "pinned": True, "can_write": False, "answered_by_holder": True,
    "offer_until": 1_020, "offered_at": 1_007, "offer_most": 1_030, "transfer_from": "carl",
    "had": ["dora", "carl"], "pause_until": 1_021, "guests": ["emma"], "seen_by": ["anna", "bek"],
    "hidden_from": ["fred"], "return_reason": "not mine", "return_when_written": True, "renewed": True,
    "resending": ["1-4"], "vip": True, "responsible": "gina", "last_operator": "hans", "asked": 2,
    "offer_kind": "last_operator", "entered_at": 1_008, "ring": 2, "priority_set": True,
    "flow": {"at": "hello", "tries": 1}, "bot": "greeter", "off_hours_told": True, "last_author": "anna",
    "silent": ["boss"], "pinned_at": 1_009, "snoozed": 1_500, "tags": ["vip", "refund"], "rating": 4,
    "rating_asked": True, "sla": {"first_response": 1_100}, "timers": {"offer": [1_020, 5], "return": [1_040, 6]},
}  # fmt: skip


def every_field() -> list[Session]:
    """A session in each status with nothing at its default, however little sense it makes."""
    given = [EVERY_FIELD | {"id": str(n), "chat": f"bot:{n}", "status": s} for n, s in enumerate(STATUSES, 1)]
    return [decode_session(msgspec.msgpack.encode(fields)) for fields in given]


def a_day() -> World:
    """A desk in whose chats each state of a session is found; the chats are named by it."""
    anna_bek = ["anna", "bek"]
    lines = {
        "sales": LineRules(
            members=anna_bek, answer_within=60_000, transfer_wait=90_000, hold_at_most=30_000, max_sessions=40,
            responsible_first=True, responsible_wait=400_000, last_operator_first=True,
            return_unanswered_after=500_000, auto_close_after=900_000, closing_time=600_000, rating=True,
            sla=Sla(first_response=300_000, next_response=300_000), bot="greeter", bot_first="off",
            bot_time=400_000, on_leave="when_customer_writes",
        ),
        "night": LineRules(
            members=["carl"], mode="strict", answer_within=60_000, language="customer",
            skills=[Ring(need=["iron", "gold"]), Ring(need=["iron"], after=100_000), Ring(after=600_000)],
            overflow=[Overflow(after=700_000, line="sales")], priority=5,
        ),
        "floor": LineRules(members=["dora", "emma"], mode="all", answer_within=450_000),
        "desk": LineRules(members=["fred"], mode="manual", results=["sold", "lost"]),
        "first": LineRules(members=["anna"], bot="greeter", bot_first="always", bot_time=1_000_000),
    }  # fmt: skip
    world = World(lines=lines)
    told = LinesConfigured(lines=lines, channels={"bot": "sales"}, flows={"greeter": GREETER})
    world.happens(told)
    for name, languages in (
        ("anna", ["uz"]),
        ("bek", []),
        ("carl", ["uz"]),
        ("dora", []),
        ("emma", []),
        ("fred", []),
    ):
        world.happens(
            OperatorChanged(name=name, languages=languages, skills=["iron"] if name == "carl" else [])
        )
    world.happens(OperatorChanged(name="boss", role="supervisor"))
    world.online("boss")
    _backlogs(world, told)
    _hands(world, told)
    _offers(world, told)
    return world.at(SAVED_AT)


def _into(world: World, told: LinesConfigured, line: str, chat: str, **known: Any) -> None:
    """The chat's first message comes into the line."""
    told = msgspec.structs.replace(told, at=0, channels={"bot": line})
    world.happens(told)
    world.writes(chat, language="uz", known=Known(customer=f"c-{chat}", **known) if known else None)


def _backlogs(world: World, told: LinesConfigured) -> None:
    _into(world, told, "sales", "first of all")
    _into(world, told, "night", "waiting for a ring")
    _into(world, told, "desk", "in nobody's mode")
    _into(world, told, "first", "bot")
    _into(world, told, "first", "bot, further")
    world.at(5).writes("bot, further", "money")
    world.do("boss", "SetPriority", session=world.session("first of all").id, priority=2)
    world.do("boss", "Tag", session=world.session("first of all").id, tags=["refund", "iron"])


def _hands(world: World, told: LinesConfigured) -> None:
    names = ("taken", "answered", "pending", "pinned", "snoozed", "asleep until written", "closing", "spam",
             "joined", "returned", "to the bot", "left")  # fmt: skip
    for chat in names:
        _into(world, told, "sales", chat)
        world.do("boss", "TakeOver", session=world.session(chat).id)
    boss = {chat: {"operator": "boss", "session": world.session(chat).id} for chat in names}
    for chat in names[1:]:
        world.at(10)
        world.do(**boss[chat], command="Say", text="good day")
    world.at(20).writes("pending")
    world.do(**boss["pinned"], command="Pin")
    world.do(**boss["snoozed"], command="Snooze", until=START + 800_000)
    world.do(**boss["asleep until written"], command="Snooze")
    world.do(**boss["closing"], command="Close", result="sold")
    world.do(**boss["spam"], command="Spam")
    world.online("anna")
    world.do("boss", "Join", session=world.session("taken").id, on=True, silent=True)
    world.do("anna", "Join", session=world.session("joined").id, on=True)
    world.do(**boss["returned"], command="Return", reason="not mine")
    world.do(**boss["to the bot"], command="Transfer", to="bot")
    world.at(30)
    _into(world, told, "desk", "closed")
    for command, fields in (("Take", {}), ("Say", {"text": "bye"}), ("Close", {"result": "lost"})):
        world.do("fred", command, session=world.session("closed").id, **fields)
    world.at(60)


def _offers(world: World, told: LinesConfigured) -> None:
    world.at(100)
    world.online("bek", "dora", "emma", "fred")
    _into(world, told, "sales", "offered to the responsible", responsible="bek")
    _into(world, told, "floor", "offered to all")
    world.do("emma", "Skip", session=world.session("offered to all").id)
    for chat in ("transferred", "transferred and pinned"):
        _into(world, told, "desk", chat)
        world.do("fred", "Take", session=world.session(chat).id)
    world.do("fred", "Pin", session=world.session("transferred and pinned").id)
    world.at(350)
    world.do("fred", "Transfer", session=world.session("transferred").id, to="bek", comment="yours")
    world.do("fred", "Transfer", session=world.session("transferred and pinned").id, to="anna")
    _into(world, told, "sales", "offered")
    _into(world, told, "sales", "offered, skipped by one")
    one = world.session("offered, skipped by one")
    world.do(one.holder, "Skip", session=one.id)
    written = world.session("offered")
    world.at(SAVED_AT - 5).happens(Writing(operator=written.holder, session=written.id))
    world.at(SAVED_AT).happens(Writing(operator=written.holder, session=written.id))


def go_on(desk: Desk) -> list[Any]:
    """What the desk says from there on: everybody writes, some act, and all the timers fire."""
    world = World()
    world.desk, world.time, world.told, world._number = desk, desk.now, [], 1_000
    chats = [session.chat.partition(":")[2] for session in desk.sessions.values()]
    for step, chat in enumerate(chats):
        world.at(SAVED_AT + step / 10)
        if chat not in ("offered", "first of all"):
            world.writes(chat, "I wrote again")
    for chat, command, fields in DONE:
        session = world.session(chat)
        world.do(session.holder or "boss", command, session=session.id, **fields)
    for until in (420, 470, 560, 700, 1_100):
        world.at(until)
    # What of it the version that it is compared with had words for.
    told = [msgspec.to_builtins(told) for told in world.told if not isinstance(told, Stood)]
    return told + views(list(desk.sessions.values()))


DONE: list[tuple[str, str, dict[str, Any]]] = [
    ("transferred", "Take", {}),
    ("transferred and pinned", "Skip", {}),
    ("offered to the responsible", "Skip", {}),
    ("answered", "Say", {"text": "and so on"}),
    ("taken", "Close", {}),
    ("pinned", "Transfer", {"to": "line:desk"}),
    ("snoozed", "Transfer", {"to": "anna"}),
    ("spam", "Spam", {"on": False}),
    ("joined", "Return", {"reason": "busy"}),
    ("to the bot", "TakeOver", {}),
]


def views(sessions: list[Session]) -> list[Any]:
    """The frame with which consoles are told of each, word for word."""
    picture = Picture()
    shown = [picture.view_for(session, silent=True) for session in sessions]
    return [encode_frame(SessionList(rid=1, sessions=[view])).decode() for view in shown]


def documents(sessions: list[Session]) -> list[Any]:
    """What the store keeps of each."""
    return [_session_write(session, {}).document for session in sessions]


def main(folder: Path) -> None:
    every, world = every_field(), a_day()
    desk = world.desk
    sessions = list(desk.sessions.values())
    operators = list(desk.operators.values())
    entries = [
        Entry(at=desk.now, told=world.told, sessions=sessions, operators=operators, lines_changed=True),
        Entry(at=desk.now, sessions=[*every, *world.closed.values()]),
    ]
    kept = {
        "every": [encode(session) for session in every],
        "journal": [encode(entry) for entry in entries],
        "fields": {name: desk.field(name) for name in FIELDS},
        "sessions": {session.id: encode(session) for session in sessions},
        "operators": {operator.name: encode(operator) for operator in operators},
        "now": desk.now,
    }
    (folder / "kept.msgpack").write_bytes(msgspec.msgpack.encode(kept))
    told = [session for entry in entries for session in entry.sessions]
    expected = {"views": views(told), "documents": documents(told), "later": go_on(desk)}
    (folder / "expected.json").write_text(_lines(expected), encoding="utf-8")


def _lines(expected: dict[str, list[Any]]) -> str:
    """As JSON with one item a line, so that a difference is seen."""
    parts = []
    for name, items in expected.items():
        lines = ",\n".join(json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in items)
        parts.append(f'"{name}": [\n{lines}\n]')
    return "{" + ",\n".join(parts) + "}\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
