"""The desk tells where each session stands, once for each time that it stands elsewhere."""

from __future__ import annotations

from router.desk.rules import LineRules
from router.desk.state import Stood
from tests.router.desk.world import START, World


def stood(world: World) -> list[tuple[str, str, str, int]]:
    return [(t.line, t.phase, t.holder, t.offered_at) for t in world.told if isinstance(t, Stood)]


def test_from_the_queue_to_an_operator_and_to_its_end() -> None:
    world = World("anna", "bek", answer_within=60_000, transfer_wait=60_000)
    world.online("anna", "bek")
    session = world.at(1).writes("ali")
    world.at(70)  # anna let it pass, which changes nothing of where it stands
    assert stood(world) == [("sales", "queue", "", 0)]
    assert session.holder == "bek"
    world.at(75).do("bek", "Say", session=session.id, text="hello")
    world.do("bek", "Transfer", session=session.id, to="anna")
    assert session.status == "offered"
    world.at(80).do("anna", "Take", session=session.id)
    world.do("anna", "Close", session=session.id)
    assert stood(world)[1:] == [
        ("sales", "hand", "bek", START + 61_000),
        ("sales", "hand", "anna", START + 75_000),
        ("sales", "closed", "", 0),
    ]


def test_who_lets_pass_what_all_were_offered_and_what_is_returned() -> None:
    world = World("anna", "bek", mode="all", answer_within=60_000)
    world.online("anna", "bek")
    session = world.at(0).writes("ali")
    world.at(61)
    (missed,) = [t.missed for t in world.told if isinstance(t, Stood) and t.missed]
    assert sorted(missed) == ["anna", "bek"]
    world.do("anna", "Take", session=session.id)
    world.do("anna", "Return", session=session.id, reason="busy")
    assert [phase for _, phase, _, _ in stood(world)][-2:] == ["hand", "queue"]


def test_another_line_spam_and_spam_taken_back() -> None:
    lines = {"sales": LineRules(members=["anna"]), "help": LineRules(members=["bek"])}
    world = World(lines=lines)
    world.online("anna", "bek")
    session = world.writes("ali")
    world.do("anna", "Transfer", session=session.id, to="line:help")
    assert stood(world)[-1][:3] == ("help", "queue", "")
    world.do("bek", "Spam", session=session.id)
    world.do("bek", "Spam", session=session.id, on=False)
    assert [told[:2] for told in stood(world)[-2:]] == [("help", "spam"), ("help", "closed")]
