"""What a row of a list says of a conversation: its last words, and what the customer asked."""

from __future__ import annotations

from router.desk import events
from router.desk.state import Session
from router.gateway.picture import Picture
from tests.router.desk.world import CHANNEL, World


def test_the_customers_words_stay_when_the_desk_answers_for_us() -> None:
    world = World("anna", notices={"waiting": {"": "Everybody is busy"}})
    world.writes("ali", "narxi qancha?")
    session = world.session("ali")
    assert (session.last_text, session.asked_text) == ("Everybody is busy", "narxi qancha?")
    world.happens(
        events.MessageEdited(
            channel=CHANNEL, chat="ali", event_id="e", message_id=session.last_external_in, text="narxi?"
        )
    )
    assert (world.session("ali").last_text, world.session("ali").asked_text) == (
        "Everybody is busy",
        "narxi?",
    )
    world.writes("ali", "alo")
    assert world.session("ali").last_text == "alo"


def test_it_is_told_only_where_our_words_are_the_last() -> None:
    picture = Picture.__new__(Picture)
    picture.can = {}
    session = Session(id="1", chat="bot:a", channel="bot", kind="x", line="sales", status="waiting", customer="c",
                      last_text="hi", last_direction="in", asked_text="before", asked_kind="text")  # fmt: skip
    assert picture.view_for(session, silent=False).asked_text == ""
    session.last_direction = "out"
    assert picture.view_for(session, silent=False).asked_text == "before"
