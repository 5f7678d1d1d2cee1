"""A person is erased: what the desk does, says and forgets."""

from __future__ import annotations

from crm.kernel.records import customer_of
from router.desk.events import CustomerErased
from router.desk.state import Erased, encode
from tests.router.desk.world import World

ALI = customer_of("bot:ali")


def test_his_conversations_end_without_a_word_and_others_go_on() -> None:
    world = World("anna", notices={"farewell": {"": "bye"}}, rating=True)
    world.online("anna")
    world.writes("ali")
    world.writes("vali")
    world.do("anna", "TakeOver", session="1")
    world.do("anna", "Take", session="1")
    sent = [*world.sent]
    world.happens(CustomerErased(erasure="e1", customers=[ALI], sessions=["7"]))
    assert world.sent == sent
    assert [session.chat for session in world.desk.sessions.values()] == ["bot:vali"]
    (told,) = [one for one in world.told if isinstance(one, Erased)]
    assert (told.erasure, told.customers, told.sessions, told.below) == ("e1", [ALI], ["7", "1"], 3)
    assert b"ali" not in encode(told)


def test_what_is_told_of_their_end_names_nobody() -> None:
    world = World("anna")
    world.writes("ali")
    world.desk.apply(CustomerErased(at=world.time, erasure="e1", customers=[ALI]))
    outcome = world.desk.drain()
    assert b"ali" not in encode([*outcome.closed.values()])
    assert [session.status for session in outcome.closed.values()] == ["closed"]
    assert outcome.erased == {ALI}
    assert not outcome.acquainted


def test_who_writes_again_has_a_session_of_his_own() -> None:
    world = World("anna")
    world.writes("ali")
    world.do("anna", "Spam", session="1")
    world.happens(CustomerErased(erasure="e1", customers=[ALI]))
    world.writes("ali")
    assert [session.id for session in world.desk.sessions.values()] == ["2"]
