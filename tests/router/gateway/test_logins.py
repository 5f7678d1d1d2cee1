"""Logins: many at once are no attack, many wrong passwords are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crm.operators import accounts
from router.gateway.logins import (
    FIRST_WAIT,
    FREE_TRIES,
    LONGEST_WAIT,
    QUEUE,
    Logins,
    Throttle,
    Throttled,
    network_of,
)
from router.wire.protocol import Hello
from storage.sqlite import SqliteStore
from tests.conftest import until

OFFICE = 120
"""Consoles behind one address."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite")
    await store.open()
    yield store
    await store.close()


async def test_a_whole_office_comes_back_at_once_with_its_tokens(store: SqliteStore) -> None:
    names = [f"op{n}" for n in range(OFFICE)]
    for name in names:
        await accounts.add_account(store, name)
    tokens = [await accounts.new_token(store, name) for name in names]
    logins = Logins(store)
    found = await asyncio.gather(*(logins.check(Hello(token=t), "10.0.0.1", 0.0) for t in tokens))
    assert [account.name for account, _ in filter(None, found)] == names


async def test_many_tries_at_once_do_not_slip_through_together(store: SqliteStore) -> None:
    await accounts.add_account(store, "anna", password="correct horse battery")
    logins = Logins(store)
    tries = [
        logins.check(Hello(name="anna", password=f"wrong {n}"), "10.0.0.1", 0.0)
        for n in range(4 * FREE_TRIES)
    ]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert outcomes.count(None) == FREE_TRIES
    assert sum(isinstance(outcome, Throttled) for outcome in outcomes) == 3 * FREE_TRIES


async def test_others_at_the_same_address_are_let_in(store: SqliteStore) -> None:
    await accounts.add_account(store, "bek", password="correct horse battery")
    logins = Logins(store)
    for n in range(FREE_TRIES):
        assert await logins.check(Hello(name="anna", password=f"wrong {n}"), "10.0.0.1", 0.0) is None
    found = await logins.check(Hello(name="bek", password="correct horse battery"), "10.0.0.1", 0.0)
    assert found is not None


def test_the_wait_doubles_up_to_a_limit_and_ends_with_success() -> None:
    throttle = Throttle()
    for _ in range(FREE_TRIES):
        assert throttle.wait("anna", FREE_TRIES, 0.0) == 0
        throttle.failed("anna", 0.0)
    assert throttle.wait("anna", FREE_TRIES, 0.0) == FIRST_WAIT
    assert throttle.wait("anna", FREE_TRIES, FIRST_WAIT) == 0
    throttle.failed("anna", FIRST_WAIT)
    assert throttle.wait("anna", FREE_TRIES, FIRST_WAIT) == 2 * FIRST_WAIT
    for _ in range(20):
        throttle.failed("anna", FIRST_WAIT)
    assert throttle.wait("anna", FREE_TRIES, FIRST_WAIT) == LONGEST_WAIT
    throttle.succeeded("anna")
    assert throttle.wait("anna", FREE_TRIES, FIRST_WAIT) == 0


async def test_a_crowd_with_passwords_is_sent_away_before_it_is_a_queue_for_minutes(
    monkeypatch: pytest.MonkeyPatch, store: SqliteStore
) -> None:
    checking = asyncio.Event()

    async def slow(*given: object) -> None:
        await checking.wait()

    monkeypatch.setattr(accounts, "login_password", slow)
    logins = Logins(store)
    crowd = [
        asyncio.create_task(
            logins.check(Hello(name="anna", password="wrong"), f"10.0.{n // 256}.{n % 256}", 0.0)
        )
        for n in range(QUEUE + 50)
    ]
    await until(lambda: sum(one.done() for one in crowd) == 50)
    for one in crowd[QUEUE:]:
        assert isinstance(one.exception(), Throttled)
    checking.set()
    assert await asyncio.gather(*crowd[:QUEUE]) == [None] * QUEUE
    assert await logins.check(Hello(name="anna", password="wrong"), "10.1.0.1", 0.0) is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_customer_of_a_provider_is_one_address(address: str, network: str) -> None:
    assert network_of(address) == network
