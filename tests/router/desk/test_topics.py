"""Topics of a chat are chats; what is told of the whole chat is meant for all of them."""

from __future__ import annotations

from crm.kernel.records import customer_of
from router.desk.events import Author, ButtonPressed, ChatMoved, ChatReachable, Reacted
from tests.router.desk.world import World, saved


def opened() -> World:
    world = World("anna")
    world.online("anna")
    for chat in ("-100/5", "-100/6", "-200"):
        world.writes(chat)
    return world


def test_each_topic_has_a_session_of_its_own_and_all_are_one_customer() -> None:
    world = opened()
    assert len(world.desk.sessions) == 3
    customers = [world.session(chat).customer for chat in ("-100/5", "-100/6")]
    assert customers == [customer_of("bot:-100")] * 2
    world.writes("-300/d7")
    assert world.session("-300/d7").customer == customer_of("bot:-300/d7")


def test_a_reaction_reaches_the_message_in_whatever_topic_it_is() -> None:
    world = opened()
    world.happens(
        Reacted(channel="bot", chat="-100", message_id="m1", author="ali", emoji=["👍"], event_id="r1")
    )
    found = [(c.chat, c.session) for c in world.changes() if c.reactions]
    assert found == [("bot:-100/5", "1"), ("bot:-100/6", "2")]
    world.happens(
        Reacted(channel="bot", chat="-9", message_id="m1", author="ali", emoji=["👍"], event_id="r2")
    )
    assert [(c.chat, c.session) for c in world.changes() if c.reactions][2:] == [("bot:-9", "")]


def test_who_blocks_us_blocks_us_in_all_topics() -> None:
    world = opened()
    blocked = ChatReachable(channel="bot", chat="-100", can_write=False, author=Author(), event_id="b1")
    world.happens(blocked)
    assert [s.can_write for s in world.desk.sessions.values()] == [False, False, True]


def test_a_press_on_an_old_button_is_in_the_topic_that_was_used_last() -> None:
    world = opened().at(5)
    world.writes("-100/5")
    world.happens(
        ButtonPressed(channel="bot", chat="-100", message_id="1", author=Author(), data="x", event_id="p")
    )
    assert len(world.desk.sessions) == 3
    assert (world.session("-100/5").last_kind, world.session("-100/6").last_kind) == ("button", "text")


def test_a_rating_by_an_old_button_counts() -> None:
    world = World("anna", rating=True)
    world.online("anna")
    world.writes("-100/5")
    world.do("anna", "Take", session="1")
    world.do("anna", "Close", session="1")
    world.happens(
        ButtonPressed(
            channel="bot", chat="-100", message_id="1", author=Author(), data="rate:1:5", event_id="p"
        )
    )
    assert world.closed["bot:-100/5"].rating == 5


def test_topics_survive_a_restart_and_end_with_their_sessions() -> None:
    world = opened()
    assert [s.chat for s in saved(world.desk).open_in("bot:-100")] == ["bot:-100/5", "bot:-100/6"]
    for session in ("1", "2"):
        world.do("anna", "Take", session=session)
        world.do("anna", "Close", session=session)
    assert world.desk.topics == {}
    world.happens(ChatMoved(channel="bot", chat="-200", new_chat="-201", event_id="m"))
    assert [s.chat for s in world.desk.open_in("bot:-201")] == ["bot:-201"]
