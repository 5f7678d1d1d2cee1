"""Operators' accounts: who may log in, how passwords and tokens are kept and checked.

Passwords are kept as argon2id hashes, tokens as the SHA-256 of a random secret. Every change is
also an audit record. What the desk must know of a change, the caller tells it.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import json
import re
import secrets
import time
import typing
import unicodedata
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import argon2
import msgspec
from argon2.exceptions import InvalidHashError, VerificationError

from crm.kernel.errors import Refused
from crm.kernel.ports import Document, Store, Write
from crm.kernel.records import Account, OperatorRules, Role, Token, to_document
from crm.operators import passwords

COLLECTION = "accounts"

# RFC 9106's second recommendation: 64 MiB, three passes, about 0.1 s.
_HASHER = argon2.PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4, type=argon2.Type.ID)

# A hash with the same parameters and of nobody's password: an unknown name costs what a known one does.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$bmF2YmF0LW5vYm9keS0wMQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

# Two at a time, however many log in: each takes 64 MiB and the cores.
_hashing = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_TOKEN = re.compile(r"nb_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")

T = TypeVar("T")


async def add_account(
    store: Store,
    name: str,
    *,
    role: Role = "operator",
    lines: Sequence[str] = (),
    password: str = "",
    max_sessions: int = 1000,
    by: str = "",
) -> Account:
    """Makes an account; without a password only tokens log in. ``by`` is who did it, for the audit.
    Raises ``Refused``: ``bad_name``, ``bad_role``, ``account_exists``, and as ``passwords.check``."""
    if not _NAME.fullmatch(name):
        raise Refused("bad_name", name=name)
    if role not in typing.get_args(Role):
        raise Refused("bad_role", role=role)
    account = Account(name=name, role=role, lines=list(lines), created_at=_now(), max_sessions=max_sessions)
    if password:
        passwords.check(password, name)
        account.password = await _hash(password)
    document = {"_id": name, **to_document(account)}
    taken = await store.get(COLLECTION, name) is not None
    # The audit's id is made of the name: of two who add it at once, one writes nothing at all.
    done = not taken and await store.write(
        [
            Write.insert(COLLECTION, document),
            _audit(f"account.add:{name}", by, "account_added", name, role=role),
        ]
    )
    if not done:
        raise Refused("account_exists", name=name)
    return account


async def list_accounts(store: Store) -> list[Account]:
    """All accounts by name, the disabled ones too."""
    return [_account(d) for d in await store.find(COLLECTION, {}, sort=[("_id", 1)])]


async def get_account(store: Store, name: str) -> Account:
    """Raises ``Refused``: ``no_such_account``."""
    document = await store.get(COLLECTION, name)
    if document is None:
        raise Refused("no_such_account", name=name)
    return _account(document)


async def set_password(store: Store, name: str, password: str, *, by: str = "") -> None:
    """Raises ``Refused``: ``no_such_account``, and as ``passwords.check``."""
    await get_account(store, name)
    passwords.check(password, name)
    await _change(store, name, {"$set": {"password": await _hash(password)}}, by, "password_set")


async def new_token(store: Store, name: str, *, by: str = "") -> str:
    """Makes a token and returns it: the only time that it can be seen. Raises ``Refused``:
    ``no_such_account``."""
    id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    token = Token(id=id, hash=_digest(secret), created_at=_now())
    await _change(store, name, {"$push": {"tokens": to_document(token)}}, by, "token_made", token=id)
    return f"nb_{id}_{secret}"


SETTINGS = ("lines", *OperatorRules.__struct_fields__)
"""What ``set_settings`` may change."""


async def set_settings(store: Store, account: Account, names: Sequence[str], *, by: str = "") -> None:
    """Keeps the named settings as ``account`` has them. Raises ``Refused``: ``no_such_account``."""
    document = to_document(account)
    fields = {name: _kept(name, document[name]) for name in names if name in document}
    # What is at its default is not kept at all.
    gone = {name: "" for name in names if name not in document}
    change = {key: value for key, value in (("$set", fields), ("$unset", gone)) if value}
    if change:
        said = {name: json.dumps(document.get(name), ensure_ascii=False) for name in names}
        await _change(store, account.name, change, by, "account_changed", **said)


def _kept(name: str, value: Any) -> Any:
    # Names of lines are no keys of the document: a store might take them for paths.
    return json.dumps(value) if name == "rights" else value


async def disable(store: Store, name: str, *, by: str = "") -> None:
    """Ends the account: no login works any more, and all tokens are gone. Raises ``Refused``:
    ``no_such_account``."""
    await _change(store, name, {"$set": {"disabled": True, "tokens": []}}, by, "account_disabled")


async def enable(store: Store, name: str, *, by: str = "") -> None:
    """Lets a disabled account in again, by password. Raises ``Refused``: ``no_such_account``."""
    await _change(store, name, {"$set": {"disabled": False}}, by, "account_enabled")


async def revoke(store: Store, name: str, token_id: str = "", *, by: str = "") -> list[str]:
    """Takes back one token, or all of them. Returns the ids. Raises ``Refused``:
    ``no_such_account``, ``no_such_token``."""
    account = await get_account(store, name)
    gone = [token for token in account.tokens if token_id in ("", token.id)]
    if token_id and not gone:
        raise Refused("no_such_token", name=name)
    for token in gone:
        # With all its fields: some servers take out only what is equal.
        change = {"$pull": {"tokens": to_document(token)}}
        await _change(store, name, change, by, "token_revoked", token=token.id)
    return [token.id for token in gone]


async def login_password(store: Store, name: str, password: str) -> Account | None:
    """The account, if name and password are right and it is not disabled. A wrong name takes as
    long as a wrong password."""
    document = await store.get(COLLECTION, name) if _NAME.fullmatch(name) else None
    account = _account(document) if document is not None else None
    kept = account.password if account is not None else ""
    right = await _in_thread(_verify, kept or _NOBODY, _normal(password[: passwords.LONGEST + 1]))
    if account is None or not kept or not right or account.disabled:
        return None
    if _HASHER.check_needs_rehash(kept):
        # Made with weaker parameters: this is the one moment when the password is known.
        await store.write(
            [Write.update(COLLECTION, {"_id": name}, {"$set": {"password": await _hash(password)}})]
        )
    return account


async def login_token(store: Store, token: str) -> tuple[Account, str] | None:
    """The account and the token's id, if the token is right and the account is not disabled."""
    parsed = _TOKEN.fullmatch(token)
    if parsed is None:
        return None
    id, secret = parsed.groups()
    digest = _digest(secret)
    for document in await store.find(COLLECTION, {"tokens.id": id}):
        account = _account(document)
        right = [hmac.compare_digest(kept.hash, digest) for kept in account.tokens if kept.id == id]
        if any(right) and not account.disabled:
            return account, id
    return None


async def _change(
    store: Store, name: str, change: dict[str, Any], by: str, action: str, **params: str
) -> None:
    if await store.get(COLLECTION, name) is None:
        raise Refused("no_such_account", name=name)
    audit = _audit(uuid.uuid4().hex, by, action, name, **params)
    await store.write([Write.update(COLLECTION, {"_id": name}, change), audit])


def _audit(id: str, by: str, action: str, name: str, **params: str) -> Write:
    record = {"_id": id, "at": _now(), "operator": by, "action": action, "params": {"name": name, **params}}
    return Write.insert("audit", record)


def _account(document: Document) -> Account:
    rights = document.get("rights")
    if rights is not None:
        document = {**document, "rights": json.loads(rights)}
    return msgspec.convert(document, Account)


async def _hash(password: str) -> str:
    return await _in_thread(_HASHER.hash, _normal(password))


def _verify(kept: str, password: bytes) -> bool:
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> bytes:
    """One spelling for what keyboards type differently. ``surrogatepass``: any text can be wrong,
    none may be an error."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


async def _in_thread(work: Callable[..., T], *args: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(_hashing, functools.partial(work, *args))


def _now() -> int:
    return time.time_ns() // 1_000_000
