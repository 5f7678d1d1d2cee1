"""The picture: the same whatever arrives twice, early, late or not at all."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from console.model import EARLY_CHANGES, Mirror
from crm.kernel.records import MessageChange
from router.wire import protocol as wire
from tests.fakes.gateway import NOW, message, session


def picture(*views: wire.SessionView, line: dict[str, Any] | None = None) -> Mirror:
    made = Mirror()
    made.welcome(wire.Welcome(operator="anna", role="operator", desk="shop", server="x", now=NOW), NOW)
    lines = [wire.LineView(name="sales", members=["anna"], answer_within=60_000, **(line or {}))]
    made.apply(wire.Snapshot(id="1", sessions=list(views), lines=lines), NOW)
    return made


def change(**fields: Any) -> MessageChange:
    return MessageChange(**{"at": NOW, "chat": "shop_bot:10", **fields})


def test_older_revisions_change_nothing() -> None:
    world = picture(session("10", rev=5, status="pending", holder="anna"))
    world.apply(wire.Changes(sessions=[session("10", rev=4, status="waiting")]), NOW)
    assert world.sessions["10"].status == "pending"
    world.apply(wire.Changes(sessions=[session("10", rev=6, status="closed")]), NOW)
    assert world.mine() == []


@given(st.permutations([1, 2, 3, 4, 5]), st.lists(st.integers(1, 5)))
def test_messages_come_in_any_order_and_again(order: list[int], again: list[int]) -> None:
    world = picture(session("10"))
    thread = world.thread("10")
    for seq in [*order, *again]:
        world.apply(wire.Changes(messages=[message("10", seq, str(seq))]), NOW)
    assert [m.seq for m in thread.own] == [1, 2, 3, 4, 5]


def test_a_repeated_message_does_not_undo_its_changes() -> None:
    world = picture(session("10"))
    world.thread("10")
    new = wire.Changes(messages=[message("10", 1, "a")])
    world.apply(new, NOW)
    world.apply(wire.Changes(changes=[change(id="10-1", text="b", edited_at=NOW)]), NOW)
    world.apply(wire.Changes(messages=[message("10", 1, "a")]), NOW)
    assert world.threads["10"].own[0].text == "b"


def test_a_change_before_its_message_waits_for_it() -> None:
    world = picture(session("10"))
    world.thread("10")
    world.apply(wire.Changes(changes=[change(external_id="1001", text="new", edited_at=NOW)]), NOW)
    world.put_page("10", [message("10", 1, "old")], more=False)
    assert world.threads["10"].own[0].text == "new"


def test_early_changes_are_bounded() -> None:
    world = picture(session("10"))
    for n in range(EARLY_CHANGES * 2):
        world.apply(wire.Changes(changes=[change(id=f"x-{n}", delivery="sent")]), NOW)
    assert len(world._early) == EARLY_CHANGES


def test_a_read_mark_holds_for_all_before_it_and_not_for_failures() -> None:
    world = picture(session("10"))
    world.put_page(
        "10",
        [
            message("10", 1, direction="out", delivery="sent"),
            message("10", 2, direction="out", delivery="failed"),
            message("10", 3, direction="out", delivery="delivered"),
            message("10", 4, direction="out", delivery="sent"),
        ],
        more=False,
    )
    world.apply(wire.Changes(changes=[change(id="10-3", delivery="read", up_to=True)]), NOW)
    assert [m.delivery for m in world.threads["10"].own] == ["read", "failed", "read", "sent"]


def test_a_stale_page_does_not_step_back() -> None:
    world = picture(session("10"))
    thread = world.thread("10")
    world.apply(wire.Changes(messages=[message("10", 2, "b", direction="out", delivery="delivered")]), NOW)
    world.put_page(
        "10", [message("10", 1, "a"), message("10", 2, "b", direction="out", delivery="queued")], more=True
    )
    assert [(m.seq, m.delivery) for m in thread.own] == [(1, ""), (2, "delivered")]
    assert thread.more


def test_a_page_after_a_gap_replaces_what_is_loaded() -> None:
    world = picture(session("10"))
    world.put_page("10", [message("10", n) for n in (1, 2)], more=False)
    world.put_page("10", [message("10", n) for n in (8, 9)], more=True)
    thread = world.threads["10"]
    assert [m.seq for m in thread.own] == [8, 9]
    assert thread.more
    world.put_page("10", [message("10", n) for n in range(1, 8)], more=False)
    assert [m.seq for m in thread.own] == list(range(1, 10))
    assert not thread.more


def test_history_stands_before_the_session() -> None:
    world = picture(session("10"))
    world.put_page("10", [message("10", 1)], more=False)
    thread = world.threads["10"]
    thread.put_history([message("7", 1, at=5), message("6", 1, at=3), message("10", 1)], more=False)
    assert [m.id for m in thread.messages()] == ["6-1", "7-1", "10-1"]


def test_lists_and_their_order() -> None:
    world = picture(
        session("1", status="answered", holder="anna", waiting_since=0, last_at=NOW - 5),
        session("2", status="pending", holder="anna", waiting_since=NOW - 10_000),
        session("3", status="pending", holder="anna", waiting_since=NOW - 90_000),
        session("4", status="offered", holder="anna", offer_until=NOW + 9_000),
        session("5", status="offered", holder="bek", offer_until=NOW + 9_000),
        session("6", status="offered", seen_by=["anna", "bek"], offer_until=NOW + 5_000),
        session("7", arrival=NOW - 5),
        session("8", arrival=NOW - 9),
        session("9", arrival=NOW - 1, priority=10),
        session("20", status="pending", holder="bek", guests=["anna"]),
    )
    assert [v.id for v in world.mine()] == ["3", "2", "1"]
    assert [v.id for v in world.offered()] == ["6", "4"]
    assert [v.id for v in world.waiting()["sales"]] == ["9", "8", "7"]
    assert [v.id for v in world.joined()] == ["20"]
    following = world.next_up()
    assert following is not None
    assert following.id == "3"


def test_the_backlog_counts_my_lines() -> None:
    world = picture(
        session("1", status="pending", holder="anna", waiting_since=NOW - 61_000),
        line={"waiting": 3, "oldest": NOW - 90_000},
    )
    assert world.backlog(NOW) == (3, 90_000, 1)


def test_a_new_offer_is_told_once() -> None:
    world = picture(session("1"))
    offer = session("1", rev=2, status="offered", holder="anna", offer_until=NOW + 1)
    assert [v.id for v in world.apply(wire.Changes(sessions=[offer]), NOW).offered] == ["1"]
    again = session("1", rev=3, status="offered", holder="anna", offer_until=NOW + 1)
    assert world.apply(wire.Changes(sessions=[again]), NOW).offered == []
    renewed = session("1", rev=4, status="offered", holder="anna", offer_until=NOW + 9)
    assert len(world.apply(wire.Changes(sessions=[renewed]), NOW).offered) == 1


def test_what_is_gone_leaves_the_lists_and_stays_where_it_is_read() -> None:
    world = picture(session("1", status="pending", holder="anna"), session("2"))
    world.thread("1")
    world.apply(wire.Changes(gone=["1", "2"]), NOW)
    assert (world.mine(), world.waiting()) == ([], {})
    assert "1" in world.sessions
    assert "2" not in world.sessions


def test_who_writes_stops_by_himself() -> None:
    world = picture(session("1"))
    world.apply(wire.Hint(session="1", who=""), NOW)
    world.apply(wire.Hint(session="1", who="anna"), NOW)
    assert world.writers("1", NOW + 1_000) == [""]
    assert world.writers("1", NOW + 7_000) == []


def test_an_offer_that_is_held_by_writing_is_no_new_offer() -> None:
    world = picture(session("1"))
    offer = session("1", rev=2, status="offered", holder="anna", offer_until=NOW + 1, offered_at=NOW)
    assert len(world.apply(wire.Changes(sessions=[offer]), NOW).offered) == 1
    held = session("1", rev=3, status="offered", holder="anna", offer_until=NOW + 9, offered_at=NOW)
    assert world.apply(wire.Changes(sessions=[held]), NOW).offered == []
    assert world.sessions["1"].offer_until == NOW + 9
    again = session("1", rev=4, status="offered", holder="anna", offer_until=NOW + 9, offered_at=NOW + 5)
    assert len(world.apply(wire.Changes(sessions=[again]), NOW).offered) == 1
