"""How sessions end, who else may come in, and what sleeps: the queue rules, one by one."""

from __future__ import annotations

from typing import Any

import pytest

from router.desk.events import Author, ButtonPressed, OperatorChanged
from router.desk.rules import LineRules
from router.desk.state import Audit, Rated
from tests.router.desk.world import START, World
from tests.router.orders import order

FAREWELL = {"farewell": {"": "bye"}}


def held(*others: str, said: bool = True, **rules: Any) -> World:
    """Anna holds ali's session and has answered."""
    world = World("anna", *others, **rules)
    world.online("anna", *others)
    world.writes("ali")
    world.do("anna", "TakeOver", session="1")
    world.do("anna", "Take", session="1")
    if said:
        world.do("anna", "Say", session="1", text="hi")
    return world


def may(world: World, name: str, *rights: Any) -> None:
    world.happens(OperatorChanged(name=name, rights={"sales": list(rights)}))
    world.online(name)


def rated(world: World) -> list[tuple[str, str, int]]:
    return [(t.session, t.operator, t.score) for t in world.told if isinstance(t, Rated)]


def audited(world: World) -> list[str]:
    return [t.action for t in world.told if isinstance(t, Audit)]


def press(world: World, data: str, chat: str = "ali") -> None:
    world.happens(
        ButtonPressed(channel="bot", chat=chat, message_id="m", author=Author(id=chat), data=data, text="5")
    )


# ------------------------------------------------------------------ closing


def test_a_close_without_farewell_and_rating_is_closed_at_once() -> None:
    world = held()
    world.do("anna", "Close", session="1", result="sold")
    assert world.desk.sessions == {}
    closed = world.closed["bot:ali"]
    assert (closed.status, closed.result, closed.closed_by) == ("closed", "sold", "anna")
    assert world.sent == ["hi"]


def test_closing_time_after_the_farewell() -> None:
    world = held(notices=FAREWELL, closing_time=60_000)
    world.do("anna", "Close", session="1", result="sold")
    assert (world.session("ali").status, world.load("anna"), world.sent) == ("closing", 0, ["hi", "bye"])
    assert world.at(59).session("ali").status == "closing"
    world.at(60)
    closed = world.closed["bot:ali"]
    assert (closed.status, closed.result, closed.closed_by, closed.holder) == (
        "closed",
        "sold",
        "anna",
        "anna",
    )


def test_closing_time_is_ten_minutes_by_default() -> None:
    world = held(notices=FAREWELL)
    world.do("anna", "Close", session="1")
    assert world.at(599).session("ali").status == "closing"
    assert world.at(600).desk.sessions == {}


def test_a_message_while_closing_reopens_the_same_session_with_the_same_operator() -> None:
    world = held(notices=FAREWELL)
    world.do("anna", "Close", session="1", result="sold")
    session = world.writes("ali")
    assert (session.id, session.status, session.holder, session.result) == ("1", "pending", "anna", "")
    assert world.at(700).state("ali") == ("pending", "anna")


@pytest.mark.parametrize(("policy", "state"), [("keep", "pending"), ("when_customer_writes", "waiting")])
def test_a_reopened_session_whose_operator_has_left_follows_on_leave(policy: str, state: str) -> None:
    world = held("bek", notices=FAREWELL, on_leave=policy)
    world.do("anna", "Close", session="1")
    world.do("anna", "SetDuty", duty="offline")
    world.do("bek", "SetDuty", duty="break")
    assert world.writes("ali").status == state


def test_the_holders_word_reopens_and_anothers_is_refused() -> None:
    world = held("bek", notices=FAREWELL)
    world.do("anna", "Close", session="1")
    assert world.do("bek", "Say", session="1", text="hi") == "held_by"
    assert world.do("anna", "Close", session="1") == "is_closing"
    assert world.do("anna", "Say", session="1", text="by the way") == ""
    assert world.state("ali") == ("answered", "anna")


def test_a_customer_who_cannot_be_written_to_gets_no_farewell() -> None:
    from router.desk.events import ChatReachable

    world = held(notices=FAREWELL, rating=True)
    world.happens(ChatReachable(channel="bot", chat="ali", can_write=False, author=Author()))
    world.do("anna", "Close", session="1")
    assert (world.desk.sessions, world.sent) == ({}, ["hi"])


# ------------------------------------------------------------------ rating


def test_rating_is_off_by_default_and_its_text_has_a_default() -> None:
    world = held(rating=True)
    world.do("anna", "Close", session="1")
    assert len(world.sent) == 2
    assert world.session("ali").status == "closing"


@pytest.mark.parametrize(("text", "score"), [("1", 1), ("5", 5), ("👍", 5), ("👎🏽", 1), (" 3 ", 3)])
def test_a_digit_or_a_thumb_while_closing_is_a_rating(text: str, score: int) -> None:
    world = held(rating=True)
    world.do("anna", "Close", session="1")
    world.writes("ali", text)
    assert rated(world) == [("1", "anna", score)]
    assert world.desk.sessions == {}
    assert world.closed["bot:ali"].rating == score


@pytest.mark.parametrize("text", ["6", "0", "10", "five", "5 stars", "٣"])
def test_anything_else_is_an_ordinary_message(text: str) -> None:
    world = held(rating=True)
    world.do("anna", "Close", session="1")
    assert world.writes("ali", text).status == "pending"
    assert rated(world) == []


def test_a_digit_written_later_opens_a_session_and_a_button_pressed_later_opens_nothing() -> None:
    world = held(rating=True)
    world.do("anna", "Close", session="1")
    world.at(600)
    press(world, "rate:1:4")
    assert rated(world) == [("1", "", 4)]
    assert world.desk.sessions == {}
    assert world.writes("ali", "5").id == "2"


def test_a_button_while_closing_closes_at_once() -> None:
    world = held(rating=True)
    world.do("anna", "Close", session="1")
    press(world, "rate:1:2")
    assert rated(world) == [("1", "anna", 2)]
    assert world.desk.sessions == {}


def test_a_button_of_anothers_session_does_not_touch_it() -> None:
    world = held(rating=True)
    world.do("anna", "Close", session="1")
    press(world, "rate:1:1", chat="eve")
    assert world.session("ali").status == "closing"
    assert world.session("ali").rating == 0


def test_the_rating_is_of_the_operator_of_the_last_human_message() -> None:
    world = held("bek", rating=True)
    may(world, "bek", "join_open")
    world.do("bek", "Join", session="1")
    world.do("bek", "Say", session="1", text="me too")
    world.do("anna", "Close", session="1")
    world.writes("ali", "5")
    assert rated(world) == [("1", "bek", 5)]


def test_supervisors_score_open_and_closed_sessions() -> None:
    world = held()
    assert world.do("anna", "Score", session="1", score=6) == "bad_score"
    assert world.do("anna", "Score", session="1", score=4, comment="well done") == ""
    world.do("anna", "Close", session="1")
    assert world.do("anna", "Score", session="1", score=5) == ""
    scores = [(t.by, t.score, t.comment) for t in world.told if isinstance(t, Rated)]
    assert scores == [("anna", 4, "well done"), ("anna", 5, "")]


# ------------------------------------------------------------------ closed by itself while nobody has it


def closes_in_the_queue(**rules: Any) -> World:
    """Anna answered and gave it back; nobody took it until the customer had been silent for long enough."""
    world = held("bek", notices={"auto_close": {"": "still there?"}}, auto_close_after=60_000, **rules)
    may(world, "bek", "join_open")
    world.do("bek", "Join", session="1")
    world.do("anna", "Return", session="1")
    return world


def test_a_guest_who_goes_on_with_what_closed_in_the_queue_has_it() -> None:
    world = closes_in_the_queue(mode="manual")
    world.at(70)
    assert world.state("ali") == ("closing", "")
    assert world.do("bek", "Say", session="1", text="one more thing") == ""
    assert world.state("ali") == ("answered", "bek")
    assert [s.id for s in world.desk.held_by("bek")] == ["1"]
    assert world.session("ali").guests == []


def test_whom_it_was_only_offered_to_does_not_have_what_closed_meanwhile() -> None:
    world = closes_in_the_queue(mode="even", answer_within=120_000)
    assert world.state("ali") == ("offered", "bek")
    world.at(70)
    assert world.state("ali") == ("closing", "")
    world.writes("ali")
    assert world.state("ali")[0] == "offered"


def test_what_is_handed_on_is_still_the_senders_when_it_closes() -> None:
    world = held("bek", notices={"auto_close": {"": "still there?"}}, auto_close_after=60_000)
    world.do("anna", "Transfer", session="1", to="bek")
    assert world.state("ali") == ("offered", "bek")
    world.at(70)
    assert world.state("ali") == ("closing", "anna")
    world.writes("ali")
    assert world.state("ali") == ("pending", "anna")


# ------------------------------------------------------------------ joining, whispering, taking over


@pytest.mark.parametrize(
    ("right", "command", "fields"),
    [
        ("join_open", "Join", {}),
        ("join_silent", "Join", {"silent": True}),
        ("whisper", "Whisper", {"text": "psst"}),
        ("take_over", "TakeOver", {}),
    ],
)
def test_each_right_is_separate_and_per_line_and_its_use_is_audited(
    right: Any, command: str, fields: dict[str, Any]
) -> None:
    world = held("bek")
    others = {"join_open", "join_silent", "whisper", "take_over"} - {right}
    world.happens(OperatorChanged(name="bek", rights={"sales": sorted(others), "support": [right]}))  # type: ignore[arg-type]
    assert world.do("bek", command, session="1", **fields) == "no_right"
    may(world, "bek", right)
    assert world.do("bek", command, session="1", **fields) == ""
    assert audited(world)[-1] == right


def test_supervisors_have_every_right_and_operators_none() -> None:
    world = held("bek")
    assert world.do("bek", "TakeOver", session="1") == "no_right"
    world.happens(OperatorChanged(name="bek", role="supervisor"))
    assert world.do("bek", "TakeOver", session="1") == ""
    assert world.state("ali") == ("answered", "bek")


def test_joined_openly_his_words_are_an_answer_and_the_customer_is_told() -> None:
    world = held("bek", said=False, notices={"joined": {"": "joined"}}, counts_until="first_answer")
    may(world, "bek", "join_open")
    assert world.do("bek", "Say", session="1", text="hi") == "held_by"
    world.do("bek", "Join", session="1")
    world.do("bek", "Join", session="1")
    assert world.do("bek", "Say", session="1", text="hi") == ""
    assert world.sent == ["joined", "hi"]
    assert world.state("ali") == ("answered", "anna")
    assert world.load("anna") == 1, "this holder has not answered yet"
    world.do("bek", "Join", session="1", on=False)
    assert world.do("bek", "Say", session="1", text="hi") == "held_by"


@pytest.mark.parametrize(
    "change", [{"rights": {}}, {"rights": {"other": ["join_silent"]}}, {"disabled": True}]
)
def test_who_loses_the_right_is_in_no_longer(change: dict[str, Any]) -> None:
    world = held("bek", "vali")
    may(world, "bek", "join_silent")
    may(world, "vali", "join_open")
    world.do("bek", "Join", session="1", silent=True)
    world.do("vali", "Join", session="1")
    for name, right in (("bek", "join_silent"), ("vali", "join_open")):
        rights: Any = {"*": [right]}
        world.happens(OperatorChanged(name=name, rights=rights, skills=["iron"]))
    assert (world.session("ali").silent, world.session("ali").guests) == (["bek"], ["vali"])
    for name in ("bek", "vali"):
        world.happens(OperatorChanged(name=name, **change))
    assert (world.session("ali").silent, world.session("ali").guests) == ([], [])
    assert world.messages("system")[-1] == "left_session|operator=vali"
    assert world.state("ali") == ("answered", "anna")


def test_joined_silently_he_leaves_no_trace_and_cannot_speak() -> None:
    world = held("bek")
    may(world, "bek", "join_silent")
    messages = world.messages()
    world.do("bek", "Join", session="1", silent=True)
    assert (world.messages(), world.session("ali").silent) == (messages, ["bek"])
    assert world.do("bek", "Say", session="1", text="hi") == "held_by"


def test_a_whisper_never_leaves_the_desk() -> None:
    world = held("bek")
    may(world, "bek", "whisper")
    world.do("bek", "Whisper", session="1", text="psst")
    assert world.messages("whisper") == ["psst"]
    assert world.sent == ["hi"]
    assert world.state("ali") == ("answered", "anna")


def test_read_only_takes_away_what_every_operator_else_may() -> None:
    world = World("anna", "bek")
    may(world, "bek", "read_only")
    world.writes("ali")
    assert world.session("ali").status == "waiting"
    assert world.decisions()[-1].dropped["bek"] == "no_right"
    assert world.do("bek", "Take", session="1") == "no_right"


def test_take_over_from_a_bot_and_from_the_backlog() -> None:
    world = World("anna", bot="robot")
    world.happens(OperatorChanged(name="robot", role="bot"))
    may(world, "anna", "take_over")
    world.writes("ali")
    assert world.session("ali").status == "bot"
    assert world.do("anna", "Take", session="1") == "has_bot"
    assert world.do("anna", "TakeOver", session="1") == ""
    assert world.state("ali") == ("taken", "anna")


# ------------------------------------------------------------------ snooze


def test_snooze_until_a_time_counts_for_nobody_and_starts_the_clocks_anew() -> None:
    world = held(said=False, return_unanswered_after=60_000, counts_until="closed")
    assert world.do("anna", "Snooze", session="1", until=START + 3_600_000) == ""
    assert (world.state("ali"), world.load("anna")) == (("taken", "anna"), 0)
    assert world.at(3599).state("ali") == ("taken", "anna")
    assert world.at(3600).load("anna") == 1
    assert world.at(3659).state("ali") == ("taken", "anna")
    assert world.at(3660).session("ali").round.had == ["anna"] or world.state("ali")[0] == "offered"


def test_snooze_until_the_customer_writes() -> None:
    world = held(auto_close_after=60_000)
    world.do("anna", "Snooze", session="1")
    assert world.at(10_000).state("ali") == ("answered", "anna")
    session = world.writes("ali")
    assert (session.status, session.hand.snoozed, world.load("anna")) == ("pending", 0, 1)


def test_snooze_is_refused_to_others_and_into_the_past() -> None:
    world = held("bek")
    assert world.do("bek", "Snooze", session="1") == "not_yours"
    assert world.do("anna", "Snooze", session="1", until=START - 1) == "bad_time"


def test_auto_close_starts_anew_when_it_wakes() -> None:
    world = held(auto_close_after=60_000)
    world.do("anna", "Snooze", session="1", until=START + 100_000)
    assert world.at(159).state("ali") == ("answered", "anna")
    assert world.at(160).desk.sessions == {}


# ------------------------------------------------------------------ spam


def test_spam_is_closed_without_texts_and_the_chat_is_muted_until_unmuted() -> None:
    world = held(notices=FAREWELL, rating=True)
    world.do("anna", "Spam", session="1")
    session = world.session("ali")
    assert (session.status, world.load("anna"), world.sent) == ("spam", 0, ["hi"])
    world.writes("ali", "again")
    assert world.messages("in") == ["hello", "again"]
    assert list(world.desk.sessions) == ["1"]
    assert session.status == "spam"
    assert world.do("anna", "Say", session="1", text="no") == "is_spam"
    assert world.do("anna", "Spam", session="1", on=False) == ""
    assert world.closed["bot:ali"].result == "spam"
    assert world.writes("ali", "sorry").id == "2"


@pytest.mark.parametrize("result", ["", "perhaps", "Sold"])
def test_a_close_needs_one_of_the_lines_results(result: str) -> None:
    world = World("anna", results=["sold", "not sold"])
    world.online("anna")
    world.writes("a")
    assert world.do("anna", "Close", session="1", result=result) == "needs_result"
    told = world.told[-1]
    assert told.params == {"results": "sold, not sold"}
    assert world.state("a") == ("offered", "anna"), "a refused close takes nothing"
    assert world.do("anna", "Close", session="1", result="sold") == ""
    assert world.closed["bot:a"].result == "sold"


def test_a_line_without_results_takes_any_or_none() -> None:
    world = World("anna")
    world.online("anna")
    world.writes("a")
    world.writes("b")
    assert world.do("anna", "Close", session="1") == ""
    assert world.do("anna", "Close", session="2", result="whatever") == ""


def test_what_closes_by_itself_or_as_spam_needs_no_result() -> None:
    world = World("anna", results=["sold"], auto_close_after=60_000)
    world.online("anna")
    world.writes("a")
    world.do("anna", "Say", session="1", text="hi")
    world.at(61)
    assert world.closed["bot:a"].result == ""
    world.writes("b")
    assert world.do("anna", "Spam", session="2") == ""


def test_a_message_is_resent_with_its_quote() -> None:
    world = World("anna")
    world.online("anna")
    world.writes("a")
    world.do("anna", "Say", session="1", text="hi", reply_to="m2")
    world.desk.apply(
        order("Resend", operator="anna", session="1", event_id="r", message="1-3", text="hi", reply_to="m2")
    )
    assert [d.reply_to for d in world.desk.drain().deliveries] == ["m2"]


def test_unmute_is_refused_for_what_is_no_spam() -> None:
    world = held()
    assert world.do("anna", "Spam", session="1", on=False) == "not_spam"


# ------------------------------------------------------------------ the rest of the hands


def test_guests_by_transfer_keep_theirs_when_the_line_changes() -> None:
    world = World(lines={"sales": LineRules(members=["anna"]), "support": LineRules(members=["bek"])})
    world.online("anna", "bek")
    world.writes("ali")
    world.do("anna", "Take", session="1")
    world.do("anna", "Transfer", session="1", to="bek")
    world.do("bek", "Take", session="1")
    from router.desk.events import LinesConfigured

    lines = {"sales": LineRules(members=["anna"], priority=1), "support": LineRules(members=[])}
    world.happens(LinesConfigured(lines=lines, channels={"bot": "sales"}))
    assert world.state("ali") == ("taken", "bek")
