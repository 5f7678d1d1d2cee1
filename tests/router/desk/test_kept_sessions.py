"""Sessions as earlier versions kept and told them: what is written down in ``tests/data/sessions`` is read
with nothing lost, shown and stored word for word as it was, and a desk goes on with it as before."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from router.desk import moves
from router.desk.again import session_restored
from router.desk.desk import Desk
from router.desk.events import SessionRestored
from router.desk.rules import LineRules
from router.desk.state import (
    Entry,
    Session,
    decode_entry,
    decode_operator,
    decode_session,
    encode,
    read_entry,
)
from router.desk.values import NEW_HAND, NEW_ROUND, NO_BOT, NO_OFFER, NO_WAIT
from router.taking_up import take_up
from tests.data.sessions import record
from tests.router.desk.world import World

KEPT: dict[str, Any] = msgspec.msgpack.decode(record.FOLDER.joinpath("kept.msgpack").read_bytes())
EXPECTED: dict[str, list[Any]] = json.loads(
    record.FOLDER.joinpath("expected.json").read_text(encoding="utf-8")
)
IN_VALUES: dict[str, Any] = msgspec.msgpack.decode(record.FOLDER.joinpath("in_values.msgpack").read_bytes())
SAVED: list[bytes] = [*KEPT["sessions"].values(), *KEPT["every"]]


def plain(session: Session) -> dict[str, Any]:
    """What is known of it, as the store would keep it."""
    document: dict[str, Any] = json.loads(json.dumps(record.documents([session])[0]))
    return document


def told(data: list[bytes], read: Any) -> list[Session]:
    entries: list[Entry] = [read(one) for one in data]
    assert not any(entry.unread for entry in entries)
    return [session for entry in entries for session in entry.sessions]


@pytest.mark.parametrize("data", SAVED)
def test_nothing_of_a_saved_session_is_lost(data: bytes) -> None:
    kept = msgspec.msgpack.decode(data)
    read = plain(decode_session(data))
    assert {name: read[name] for name in kept} == json.loads(json.dumps(kept))


@pytest.mark.parametrize("data", SAVED)
def test_what_is_read_is_read_again_as_it_was_written(data: bytes) -> None:
    read = decode_session(data)
    assert decode_session(encode(read)) == read


def test_every_field_is_kept_that_a_session_has() -> None:
    session = decode_session(KEPT["every"][0])
    known = plain(session)
    empty = plain(Session(id="1", chat="", channel="", kind="", line="", customer=""))
    assert known.keys() == record.EVERY_FIELD.keys() | {"_id"}
    assert [name for name in known if known[name] == empty[name] and name not in ("_id", "id")] == []


def strangely(data: bytes) -> Entry:
    """Part by part, as an entry of which something is not understood is read."""
    entry = msgspec.msgpack.decode(data)
    entry.setdefault("told", []).append({"t": "Hologram"})
    return read_entry(msgspec.msgpack.encode(entry))


@pytest.mark.parametrize("read", [decode_entry, read_entry, strangely])
def test_consoles_are_shown_word_for_word_what_they_were_shown(read: Any) -> None:
    assert record.views(told(KEPT["journal"], read)) == EXPECTED["views"]


@pytest.mark.parametrize("read", [decode_entry, read_entry, strangely])
def test_the_store_keeps_what_it_kept(read: Any) -> None:
    assert [plain(session) for session in told(KEPT["journal"], read)] == EXPECTED["documents"]


def test_a_session_that_was_set_aside_is_taken_up_whole() -> None:
    for data in SAVED:
        world = World(lines={name: LineRules() for name in ("sales", "night", "floor", "desk", "first")})
        before = plain(decode_session(data))
        session_restored(world.desk, SessionRestored(state=data))
        after = plain(world.desk.sessions[before["id"]])
        changed = {name for name in after if after[name] != before[name]}
        assert changed <= {"rev", "timers"}


def in_hands(world: World, data: bytes) -> Session:
    """A session with nothing at its default on a floor."""
    session_restored(world.desk, SessionRestored(state=data))
    return next(iter(world.desk.sessions.values()))


@pytest.mark.parametrize("data", KEPT["every"])
def test_of_what_was_before_nothing_is_left_in_the_hand_of_who_takes_it(data: bytes) -> None:
    world = World("anna", "bek")
    session = in_hands(world, data)
    moves.take(world.desk, session, "bek")
    assert (session.offer, session.bot_turn, session.hand) == (NO_OFFER, NO_BOT, NEW_HAND)
    assert (session.wait, session.round) == (NO_WAIT, NEW_ROUND)


@pytest.mark.parametrize("data", KEPT["every"])
def test_of_an_offer_a_bot_and_a_hand_nothing_is_left_in_the_queue(data: bytes) -> None:
    world = World("anna", "bek")
    session = in_hands(world, data)
    before = session.round
    moves.enqueue(world.desk, session)
    assert (session.offer, session.bot_turn, session.hand) == (NO_OFFER, NO_BOT, NEW_HAND)
    assert session.round == before
    moves.new_round(world.desk, session)
    assert session.round == NEW_ROUND


@pytest.mark.parametrize("data", KEPT["every"])
def test_what_is_closed_is_offered_to_nobody_and_no_bot_has_it(data: bytes) -> None:
    world = World("anna", "bek")
    session = in_hands(world, data)
    hand = session.hand
    world.desk.retire(session, "closing")
    assert (session.offer, session.bot_turn) == (NO_OFFER, NO_BOT)
    assert session.hand == replace(hand, snoozed=0)


def test_what_is_kept_in_values_is_written_byte_for_byte_as_it_was_read() -> None:
    for data in (*IN_VALUES["sessions"].values(), *IN_VALUES["every"]):
        assert encode(decode_session(data)) == data
    for data in IN_VALUES["journal"]:
        assert encode(decode_entry(data)) == data


def test_consoles_are_shown_the_same_of_both_forms() -> None:
    assert record.views(told(IN_VALUES["journal"], decode_entry)) == EXPECTED["views"]


@pytest.mark.parametrize("kept", [KEPT, IN_VALUES], ids=["side by side", "in values"])
def test_a_desk_that_is_taken_up_goes_on_as_the_one_that_was_saved(kept: dict[str, Any]) -> None:
    desk = Desk()
    sessions = [decode_session(data) for data in kept["sessions"].values()]
    desk.restore(kept["fields"], sessions, [decode_operator(data) for data in kept["operators"].values()])
    desk.now = kept["now"]
    assert json.loads(json.dumps(record.go_on(desk))) == EXPECTED["later"]


def test_a_standby_takes_all_of_it_up() -> None:
    desk, aside = take_up(KEPT["fields"], KEPT["sessions"], KEPT["operators"], KEPT["now"])
    assert aside == []
    kept = {id: plain(decode_session(data)) for id, data in KEPT["sessions"].items()}
    assert {id: plain(session) for id, session in desk.sessions.items()} == kept
