"""The settings of a line, each declared once.

A field says what the desk uses: its name, its type, its default. ``Setting`` beside it says what people
are told of it and how they write it. What ``config.yaml`` may hold, the console's form and the reference
are made of both (``navbat.config.declared``).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from crm.kernel.settings import Setting

Texts = dict[str, str]
"""Language ("" = any) -> text."""
Week = dict[str, list[str]]
"""Weekday (``mon`` … ``sun``), or date -> intervals such as ``09:00-13:00``."""


class Notices(msgspec.Struct, kw_only=True):
    """Declares the names in ``LineRules.notices``: texts that customers get, each a text or a map by
    language (`{uz: …, ru: …}`); without a text nothing is sent."""

    waiting: Annotated[
        Texts,
        Setting(
            "once, when nobody is free; with `show_position`, `{position}` and `{minutes}` stand for both",
            "text",
        ),
    ] = {}
    off_hours: Annotated[
        Texts, Setting("to a message outside the hours, once until an operator writes in hours", "text")
    ] = {}
    no_answer: Annotated[Texts, Setting("when no operator has written for `no_answer_after`", "text")] = {}
    auto_close: Annotated[Texts, Setting("in place of the farewell when it is closed by itself", "text")] = {}
    farewell: Annotated[Texts, Setting("when it is closed", "text")] = {}
    joined: Annotated[Texts, Setting("when somebody joins openly", "text")] = {}
    closed_line: Annotated[Texts, Setting("to a new conversation in a line that has no members", "text")] = {}
    rating: Annotated[
        Texts, Setting("the request for a rating; has a text of its own if none is given", "text")
    ] = {}


class Ring(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Skills that are needed from ``after`` ms in the line's queue on."""

    need: Annotated[list[str], Setting("skills that an operator must have, all of them", required=True)] = []
    after: Annotated[int, Setting("counted from entering the line's queue", "duration")] = 0


class Overflow(msgspec.Struct, omit_defaults=True, kw_only=True):
    """After so many ms in the line's queue a session moves to ``line``, if ``when`` holds."""

    after: Annotated[int, Setting("counted from entering the line's queue", "duration")]
    line: Annotated[str, Setting("where it goes; that line's rules then apply")]
    when: Annotated[Literal["always", "off_hours", "nobody_on_duty"], Setting("what must hold besides")] = (
        "always"
    )


class Sla(msgspec.Struct, omit_defaults=True, kw_only=True, frozen=True):
    """Service levels in working time, ms, 0 = off; supervisors are told at 80 % and at 100 %."""

    first_response: Annotated[
        int, Setting("from the first message to the first answer", "duration_or_off")
    ] = 0
    next_response: Annotated[
        int, Setting("from a message to its answer, after the first", "duration_or_off")
    ] = 0
    resolution: Annotated[int, Setting("from the start of the session to its close", "duration_or_off")] = 0


class LineRules(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The settings of one line as the desk uses them, in the order in which people see them; durations
    in ms, 0 = off. ``hours``: None is always open. ``days`` go before the weekday. ``shifts``: member ->
    week. ``notices``: name -> texts."""

    mode: Annotated[
        Literal["even", "strict", "all", "manual", "least_loaded"],
        Setting(
            "who is offered a waiting session: the member not given one for longest (`even`), the first "
            "in the order of `members` (`strict`), everybody at once (`all`), nobody (`manual`), who has "
            "fewest (`least_loaded`)"
        ),
    ] = "even"
    members: Annotated[
        list[str],
        Setting("operators of this line, in order; those added with `--lines` come after them", "members"),
    ] = []
    max_sessions: Annotated[int, Setting("sessions one member may hold here; 0 is no limit", least=0)] = 0
    counts_until: Annotated[
        Literal["first_answer", "answered", "closed"],
        Setting("how long a session takes up one of these places"),
    ] = "answered"
    answer_within: Annotated[int, Setting("an offer not taken in this time goes to the next one", "wait")] = (
        60_000
    )
    transfer_wait: Annotated[
        int, Setting("a transfer not taken in this time goes back to its sender", "wait")
    ] = 120_000
    while_writing: Annotated[
        Literal["hold", "take", "off"],
        Setting(
            "writing into an offer: it does not lapse while keys come (`hold`), it is taken (`take`), or "
            "nothing (`off`)"
        ),
    ] = "hold"
    hold_at_most: Annotated[int, Setting("so long after its end an offer is held by writing", "duration")] = (
        120_000
    )
    on_leave: Annotated[
        Literal["keep", "when_customer_writes", "at_once"],
        Setting("what happens to the taken sessions of an operator who goes offline"),
    ] = "when_customer_writes"
    check_duty: Annotated[bool, Setting("`off`: online, break and offline do not matter here")] = True
    away_after_missed: Annotated[
        int, Setting("so many offers missed in a row put the operator on break", "number_or_off")
    ] = 0
    priority: Annotated[
        int, Setting("larger comes first among all waiting sessions", least=-(10**6), most=10**6)
    ] = 0
    skills: Annotated[
        list[Ring],
        Setting(
            "what an operator must have: `[iron, uz]`, or rings `[{need: [iron], after: 1m}, …]`", "rings"
        ),
    ] = []
    language: Annotated[
        str,
        Setting(
            "`customer`: the operator must know the customer's language; or a code; or `off`", "language"
        ),
    ] = ""
    responsible_first: Annotated[
        bool, Setting("a known customer's responsible operator is offered it first")
    ] = True
    responsible_wait: Annotated[int, Setting("how long the responsible is waited for", "wait")] = 120_000
    last_operator_first: Annotated[
        bool, Setting("the same, after him, with whoever handled the customer last")
    ] = False
    no_answer_after: Annotated[
        int,
        Setting(
            "in working hours, no operator has written: `notices.no_answer`, and supervisors are told",
            "duration_or_off",
        ),
    ] = 300_000
    return_unanswered_after: Annotated[
        int,
        Setting("a holder who does not answer for so long gives the session back", "duration_or_off"),
    ] = 0
    overflow: Annotated[
        list[Overflow], Setting("where it goes when nobody takes it; the first due wins")
    ] = []
    auto_close_after: Annotated[
        int,
        Setting("so long after the operator's last word it is closed by itself", "duration_or_off"),
    ] = 4 * 3_600_000
    closing_time: Annotated[
        int,
        Setting("so long after the farewell or the rating request the customer may come back", "wait"),
    ] = 600_000
    sla: Annotated[Sla, Setting("service levels")] = Sla()
    rating: Annotated[bool, Setting("asks the customer for a rating when it is closed")] = False
    results: Annotated[list[str], Setting("closing asks for one of these", "sentences")] = []
    crm_leads: Annotated[
        bool, Setting("the first message of a new customer makes a lead, of a known one as `crm.leads` says")
    ] = True
    crm_follow_transfer: Annotated[
        bool,
        Setting("whoever takes a transferred session becomes responsible for its lead and its customer"),
    ] = True
    crm_funnel: Annotated[
        str, Setting("into which funnel of `crm.funnels` its leads become deals; absent: the first")
    ] = ""
    bot: Annotated[
        str,
        Setting("who gets new sessions first: a flow, or an account of role `bot`; or `off`", "name_or_off"),
    ] = ""
    bot_first: Annotated[
        Literal["always", "first_contact", "off"], Setting("which new sessions the bot gets")
    ] = "always"
    bot_time: Annotated[int, Setting("so long at most the bot holds it", "wait")] = 600_000
    zone: Annotated[str, Setting("time zone of the line, such as `Asia/Tashkent`", "zone")] = "UTC"
    hours: Annotated[
        Week | None,
        Setting(
            'working hours by weekday: `{mon: ["09:00-13:00", "14:00-18:00"]}`; none: always open', "week"
        ),
    ] = None
    days: Annotated[Week, Setting("the same for single dates: `{2026-03-21: []}`", "dates")] = {}
    holidays: Annotated[str, Setting("country (`UZ`) whose public holidays are closed", "country")] = ""
    off_hours: Annotated[
        Literal["queue", "offer", "bot"],
        Setting("outside the hours: keep in the backlog, offer to who is on duty, or leave it to the bot"),
    ] = "queue"
    shifts: Annotated[
        dict[str, Week],
        Setting("working hours of single members: `{anna: {mon: […]}}`", "shifts"),
    ] = {}
    show_position: Annotated[
        bool, Setting("the waiting notice says the place in the queue and an estimate")
    ] = False
    notices: Annotated[dict[str, Texts], Setting("texts for customers", "texts", parts=Notices)] = {}
