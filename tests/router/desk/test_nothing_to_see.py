"""An answer of which the customer would see nothing does not leave, whoever writes it."""

from __future__ import annotations

import pytest

from crm.kernel.records import Button, Media
from router.desk.bots.flow import Flow, Node
from tests.router.desk.world import World

BLANK = "\u200b\u2060\u3164\u2800\u00ad \n"


def held() -> World:
    world = World("anna")
    world.online("anna")
    world.writes("ali")
    assert world.do("anna", "Take", session="1") == ""
    world.sent.clear()
    return world


@pytest.mark.parametrize(("text", "code"), [("", "empty"), (" \n\u00a0", "empty"), (BLANK, "invisible")])
@pytest.mark.parametrize("command", ["Say", "Note", "Resend", "EditMessage"])
def test_nothing_leaves_of_which_nothing_is_seen(command: str, text: str, code: str) -> None:
    world = held()
    more = {"Resend": {"message": "1-1"}, "EditMessage": {"message": "1-1", "external_id": "5"}}
    before = len(world.told)
    assert world.do("anna", command, session="1", text=text, **more.get(command, {})) == code
    assert (world.sent, len(world.told)) == ([], before + 1)


def test_a_session_is_not_started_with_nothing() -> None:
    world = held()
    assert world.do("anna", "Start", channel="bot", chat="olga", line="sales", text=BLANK) == "invisible"
    assert list(world.desk.by_chat) == ["bot:ali"]
    assert world.do("anna", "Start", channel="bot", chat="olga", line="sales") == ""


def test_a_file_needs_no_words_and_a_button_does() -> None:
    world = held()
    photo = Media(kind="photo", key="k")
    assert world.do("anna", "Say", session="1", media=[photo]) == ""
    assert world.do("anna", "Say", session="1", media=[photo], text=BLANK) == "invisible"
    assert world.do("anna", "Say", session="1", text="so?", buttons=[Button(text=BLANK)]) == "invisible"
    assert world.do("anna", "Say", session="1", text="so?", buttons=[Button(text="yes")]) == ""
    assert world.sent == ["", "so?"]


def test_a_notice_of_which_nothing_is_seen_is_none() -> None:
    world = World("anna", notices={"farewell": {"": BLANK, "uz": "Xayr"}, "rating": {"": BLANK}}, rating=True)
    world.online("anna")
    world.writes("ali")
    world.do("anna", "Take", session="1")
    world.do("anna", "Close", session="1")
    assert world.sent == ["Xayr", "Please rate our help from 1 to 5."]


def test_a_flow_says_nothing_of_which_nothing_is_seen() -> None:
    world = World("anna", bot="greeter")
    world.desk.flows["greeter"] = Flow(
        name="greeter",
        start="a",
        nodes={
            "a": Node(kind="say", say={"": BLANK}, then="b"),
            "b": Node(kind="ask", say={"": "name?"}, field="name"),
        },
    )
    world.writes("ali")
    assert world.sent == ["name?"]
