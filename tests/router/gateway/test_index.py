"""What is found through indexes is what a walk over all open sessions finds."""

from __future__ import annotations

import itertools
import random
from typing import get_args

import pytest

from crm.kernel.records import Account
from crm.kernel.spelling import fold
from router.desk.events import LinesConfigured
from router.desk.rules import LineRules
from router.desk.state import HELD, Entry, Session, Status
from router.desk.values import BotTurn, Hand, Offer, Wait
from router.gateway.access import Access
from router.gateway.index import is_listed, is_waiting, people
from router.gateway.picture import WAITING_SHOWN, Picture

NAMES = ["anna", "bek", "vera", "robot"]
LINES = {
    "sales": LineRules(members=["anna", "bek"]),
    "support": LineRules(members=["vera"]),
    "night": LineRules(bot="robot"),
}
STATUSES = list(get_args(Status))
TAGS = ["VIP", "vip", "Ёлка", "iron"]
LOGINS = [
    Access(Account(name="anna"), LINES),
    Access(Account(name="vera"), LINES),
    Access(Account(name="robot", role="bot"), LINES),
    Access(Account(name="lead", role="supervisor"), LINES),
    Access(Account(name="nobody"), LINES),
]


def some(random: random.Random, names: list[str], most: int = 2) -> list[str]:
    return random.sample(names, random.randint(0, most)) if random.random() < 0.2 else []


def changed(random: random.Random, id: int, rev: int) -> Session:
    status = random.choice(STATUSES)
    held = status in HELD or (status == "offered" and random.random() < 0.5)
    shown = some(random, NAMES) if status == "offered" and not held else []
    return Session(
        id=str(id),
        chat=f"tg:{random.randint(id, id + 1)}",
        channel="tg",
        kind="telegram",
        line=random.choice(list(LINES)),
        customer=f"c{random.randint(0, 30)}",
        status=status,
        holder=random.choice(NAMES) if held else "",
        priority=random.choice([0, 0, 0, 5]),
        wait=Wait(arrival=random.randint(1, 50)),
        hand=Hand(transfer_from=random.choice(["", "", "", *NAMES])),
        guests=some(random, NAMES),
        silent=some(random, [*NAMES, "lead"]),
        offer=Offer(seen_by=shown),
        tags=some(random, TAGS),
        bot_turn=BotTurn(name="robot" if random.random() < 0.1 else ""),
        rev=rev,
    )


def listed(picture: Picture, access: Access) -> list[str]:
    """Those on his own lists, and of each line those that wait in its order."""
    sessions = picture.sessions.values()
    found = sorted(s.id for s in sessions if access.name in people(s))
    for line in sorted(access.lines):
        waiting = [
            s
            for s in sessions
            if s.line == line and is_listed(s) and access.name not in people(s) and access.may("read", line)
        ]
        waiting.sort(key=lambda s: (-s.priority, s.wait.arrival, int(s.id)))
        found += [s.id for s in waiting[:WAITING_SHOWN]]
    return found


def found(picture: Picture, access: Access, wanted: dict[str, str]) -> list[str]:
    tag = wanted.get("tag", "")
    return [
        s.id
        for s in sorted(picture.sessions.values(), key=lambda s: -int(s.id))
        if picture.may_read(access, s)
        and all(getattr(s, key) == value for key, value in wanted.items() if key != "tag")
        and (not tag or fold(tag) in map(fold, s.tags))
    ]


def check(picture: Picture) -> None:
    for access in LOGINS:
        own = len([s for s in picture.sessions.values() if access.name in people(s)])
        ids = [s.id for s in picture.listed(access)]
        assert sorted(ids[:own]) + ids[own:] == listed(picture, access)
        for wanted in WANTED:
            assert [s.id for s in picture.found(access, **wanted)] == found(picture, access, wanted), wanted
    for line in LINES:
        sessions = [s for s in picture.sessions.values() if s.line == line]
        view = picture.line_view(line)
        assert view.oldest == min((s.wait.arrival for s in sessions if is_waiting(s)), default=0)
        assert view.waiting == sum(s.status == "waiting" for s in sessions)
        assert view.offered == sum(s.status == "offered" for s in sessions)
        assert view.taken == sum(s.status in HELD for s in sessions)


WANTED: list[dict[str, str]] = [
    {},
    *({"line": line} for line in LINES),
    *({"status": status} for status in STATUSES),
    *({"holder": name} for name in NAMES),
    *({"tag": tag} for tag in [*TAGS, "unknown"]),
    *({"customer": f"c{number}"} for number in (0, 7, 31)),
    {"line": "sales", "status": "waiting"},
    {"line": "night", "holder": "bek", "status": "taken"},
    {"line": "gone", "status": "waiting"},
]


@pytest.mark.parametrize("seed", range(5))
def test_what_is_found_is_what_a_walk_finds_after_any_changes(seed: int) -> None:
    chance = random.Random(seed)
    picture = Picture()
    first = [changed(chance, id, 1) for id in chance.sample(range(1, 200), 100)]
    picture.load(LinesConfigured(lines=LINES, channels={}), [s for s in first if s.status != "closed"], [])
    check(picture)
    for rev in itertools.count(2):
        picture.apply(Entry(at=1, sessions=[changed(chance, chance.randint(1, 200), rev) for _ in range(3)]))
        if rev % 40 == 0:
            check(picture)
        if rev == 400:
            break
    picture.apply(Entry(at=1, sessions=[end(s) for s in picture.sessions.values()]))
    check(picture)
    assert not picture.sessions
    index = picture.index
    for group in (index._by_chat, index._by_customer, index._by_person, index._handed_by, index._by_tag):
        assert not group
    assert not any(index._numbers.values())
    assert all(not b.places and not b._arrivals for b in index._backlogs.values())


def end(session: Session) -> Session:
    return Session(
        id=session.id, chat=session.chat, channel="tg", kind="telegram", line="sales", customer="other",
        status="closed", rev=10_000,
    )  # fmt: skip


def test_the_chats_open_session_is_the_one_that_changed_last() -> None:
    picture = Picture()
    one, two = (
        Session(id=id, chat="tg:1", channel="tg", kind="telegram", line="sales", customer="c") for id in "12"
    )
    picture.apply(Entry(at=1, sessions=[one, two]))
    assert picture.session_of_chat("tg:1") == "2"
    picture.apply(Entry(at=1, sessions=[end(one)]))
    assert picture.session_of_chat("tg:1") == "2"
    picture.apply(Entry(at=1, sessions=[end(two)]))
    assert picture.session_of_chat("tg:1") == ""
