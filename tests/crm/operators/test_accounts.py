"""Logins: what is right gets in, what is wrong does not, and what is kept is no secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crm.kernel.errors import Refused
from crm.kernel.ports import Store, Write
from crm.operators import accounts
from storage.sqlite import SqliteStore

PASSWORD = "correct horse"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite")
    await store.open()
    yield store
    await store.close()


async def test_an_account_logs_in_by_password(store: SqliteStore) -> None:
    made = await accounts.add_account(store, "anna", role="supervisor", lines=["sales"], password=PASSWORD)
    found = await accounts.login_password(store, "anna", PASSWORD)
    assert found == made
    assert (found.role, found.lines) == ("supervisor", ["sales"])
    for name, password in (
        ("anna", "wrong"), ("anna", ""), ("anna", PASSWORD + " "), ("Anna", PASSWORD), ("nobody", PASSWORD),
        ("", ""), ("anna", "\ud800"), ("an\0na", "x"), ("anna", "x" * 100_000),
    ):  # fmt: skip
        assert await accounts.login_password(store, name, password) is None


async def test_only_hashes_are_kept(store: SqliteStore) -> None:
    await accounts.add_account(store, "anna", password=PASSWORD)
    token = await accounts.new_token(store, "anna")
    assert token.startswith("nb_")
    document = str(await store.get("accounts", "anna"))
    assert PASSWORD not in document
    assert token.split("_", 2)[2] not in document
    assert "$argon2id$" in document


async def test_the_password_of_an_unknown_name_is_checked_too(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    verify = accounts._verify

    def spy(kept: str, password: bytes) -> bool:
        checked.append(kept)
        return verify(kept, password)

    monkeypatch.setattr(accounts, "_verify", spy)
    await accounts.add_account(store, "bot")
    await accounts.add_account(store, "anna", password=PASSWORD)
    for name in ("nobody", "bot", "anna"):
        assert await accounts.login_password(store, name, "wrong") is None
    assert [kept.split("$")[1:4] for kept in checked] == [["argon2id", "v=19", "m=65536,t=3,p=4"]] * 3
    # Without a password there is none that is right.
    assert await accounts.login_password(store, "bot", "") is None


async def test_tokens(store: SqliteStore) -> None:
    await accounts.add_account(store, "anna")
    await accounts.add_account(store, "bek")
    first, second = await accounts.new_token(store, "anna"), await accounts.new_token(store, "anna")
    found = await accounts.login_token(store, first)
    assert found is not None
    assert found[0].name == "anna"
    for wrong in (
        "",
        "nb_",
        first[:-1],
        first + "x",
        first[:12] + second[12:],
        first.upper(),
        "nb_00000000_" + "a" * 43,
    ):
        assert await accounts.login_token(store, wrong) is None
    assert await accounts.revoke(store, "anna", found[1]) == [found[1]]
    assert await accounts.login_token(store, first) is None
    assert await accounts.login_token(store, second) is not None
    with pytest.raises(Refused, match="no_such_token"):
        await accounts.revoke(store, "anna", found[1])
    assert len(await accounts.revoke(store, "anna")) == 1
    assert await accounts.login_token(store, second) is None


async def test_a_disabled_account_is_out(store: SqliteStore) -> None:
    await accounts.add_account(store, "anna", password=PASSWORD)
    token = await accounts.new_token(store, "anna")
    await accounts.disable(store, "anna")
    assert await accounts.login_password(store, "anna", PASSWORD) is None
    assert await accounts.login_token(store, token) is None
    (account,) = await accounts.list_accounts(store)
    assert account.disabled
    await accounts.enable(store, "anna")
    assert await accounts.login_password(store, "anna", PASSWORD) is not None
    assert await accounts.login_token(store, token) is None


async def test_a_new_password_replaces_the_old_one(store: SqliteStore) -> None:
    await accounts.add_account(store, "anna", password=PASSWORD)
    await accounts.set_password(store, "anna", "Ünïcode\u0301 пароль")
    assert await accounts.login_password(store, "anna", PASSWORD) is None
    # The same letters, composed differently by another keyboard.
    assert await accounts.login_password(store, "anna", "U\u0308nïcode\u0301 пароль") is not None


async def test_a_weaker_hash_is_made_anew_at_login(store: SqliteStore) -> None:
    import argon2

    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await accounts.add_account(store, "anna")
    await store.write([Write.update("accounts", {"_id": "anna"}, {"$set": {"password": weak}})])
    assert await accounts.login_password(store, "anna", PASSWORD) is not None
    (account,) = await accounts.list_accounts(store)
    assert account.password != weak
    assert await accounts.login_password(store, "anna", PASSWORD) is not None


async def test_refusals(store: SqliteStore) -> None:
    for name in ("", "-anna", "anna!", "a" * 33, "an na", "line:x", "анна", "anna\n", "*"):
        with pytest.raises(Refused, match="bad_name"):
            await accounts.add_account(store, name)
    with pytest.raises(Refused, match="bad_role"):
        await accounts.add_account(store, "anna", role="root")  # type: ignore[arg-type]
    with pytest.raises(Refused, match="bad_password"):
        await accounts.add_account(store, "anna", password="x" * 1025)
    for missing in (accounts.disable, accounts.new_token, accounts.revoke, accounts.get_account):
        with pytest.raises(Refused, match="no_such_account"):
            await missing(store, "nobody")
    assert await accounts.list_accounts(store) == []


async def test_of_two_who_add_the_same_name_one_wins(store: SqliteStore) -> None:
    results = await asyncio.gather(
        *(accounts.add_account(store, "anna", lines=[str(n)]) for n in range(5)), return_exceptions=True
    )
    assert sum(isinstance(r, Refused) for r in results) == 4
    assert await store.count("audit", {}) == 1


async def test_every_change_is_in_the_audit(store: SqliteStore) -> None:
    await accounts.add_account(store, "anna", by="root")
    await accounts.new_token(store, "anna", by="root")
    await accounts.set_password(store, "anna", PASSWORD, by="anna")
    await accounts.revoke(store, "anna", by="root")
    await accounts.disable(store, "anna", by="root")
    found = await store.find("audit", {"params.name": "anna"}, sort=[("at", 1)])
    assert {d["action"] for d in found} == {
        "account_added", "token_made", "password_set", "token_revoked", "account_disabled",
    }  # fmt: skip
    assert PASSWORD not in str(found)


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", "bad_password"), ("short77", "bad_password"), ("x" * 1025, "bad_password"),
        ("12345678", "common_password"), ("87654321", "common_password"), ("20242024", "common_password"),
        ("password", "common_password"), ("Password1", "common_password"), ("!!Password2024!!", "common_password"),
        ("qwertyuiop", "common_password"), ("ЙЦУКЕНГШ", "common_password"), ("пароль123", "common_password"),
        ("1q2w3e4r", "common_password"), ("aaaaaaaa", "common_password"), ("abababab", "common_password"),
        ("--------", "common_password"), ("Passw0rd", "common_password"), ("admin123", "common_password"),
        ("dilnoza.k", "name_as_password"), ("Dilnoza.K", "name_as_password"), ("dilnoza.k2024", "name_as_password"),
    ],
)  # fmt: skip
async def test_a_password_that_is_easily_guessed_is_refused(store: Store, password: str, code: str) -> None:
    await accounts.add_account(store, "dilnoza.k")
    with pytest.raises(Refused) as refused:
        await accounts.set_password(store, "dilnoza.k", password)
    assert refused.value.code == code
    assert await accounts.login_password(store, "dilnoza.k", password) is None


@pytest.mark.parametrize(
    "password", ["correct horse", "narxi-qancha", "Зелёный чай", "83915027", "дильноза-к", "xK9#pQ2m"]
)
async def test_any_other_is_taken(store: Store, password: str) -> None:
    await accounts.add_account(store, "anna", password=password)
    assert await accounts.login_password(store, "anna", password) is not None
