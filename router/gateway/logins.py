"""Logins: who is at the other end, and how often somebody may be wrong about it."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from crm.kernel.ports import Store
from crm.kernel.records import Account
from crm.operators import accounts
from router.desk.state import LoginsRevoked, OperatorState
from router.wire.protocol import Hello

FREE_TRIES = 5
"""Wrong passwords in a row before the wait begins; then it doubles from ``FIRST_WAIT`` on."""
FIRST_WAIT = 2.0
LONGEST_WAIT = 300.0
REMEMBERED = 10_000
QUEUE = 200
"""Passwords that wait to be checked; beyond it a client is sent away for ``QUEUE_WAIT`` seconds."""
QUEUE_WAIT = 3.0


class Throttle:
    """Failures by key (address and name, and address alone). ``now`` in seconds."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, key: str, free: int, now: float) -> float:
        """Seconds until the key may try again."""
        count, at = self._failures.get(key, (0, 0.0))
        if count < free:
            return 0.0
        pause: float = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(count - free, 16))
        return max(0.0, at + pause - now)

    def failed(self, key: str, now: float) -> None:
        count, at = self._failures.pop(key, (0, 0.0))
        if now - at > 2 * LONGEST_WAIT:
            count = 0
        self._failures[key] = (count + 1, now)
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        self._failures.pop(key, None)


class Throttled(Exception):
    """Too many wrong tries: come again after ``after`` seconds."""

    def __init__(self, after: float) -> None:
        super().__init__(f"come again after {after:.0f} s")
        self.after = after


class Arrival:
    """A login that is being checked. Nobody finds its connection yet: what ends or changes it meanwhile is
    noted here."""

    def __init__(self) -> None:
        self.revoked: list[LoginsRevoked] = []
        self.changed: dict[str, OperatorState] = {}
        self.missed = False
        """Part of the journal was not read: nobody knows what was revoked."""

    def is_ended(self, name: str, token_id: str) -> bool:
        state = self.changed.get(name)
        return (state is not None and state.disabled) or any(
            ends(told, name, token_id) for told in self.revoked
        )


class Arrivals:
    """All logins that are being checked now."""

    def __init__(self) -> None:
        self._open: set[Arrival] = set()

    @contextmanager
    def one(self) -> Iterator[Arrival]:
        """From before the account is read until the connection is among those that are told."""
        arrival = Arrival()
        self._open.add(arrival)
        try:
            yield arrival
        finally:
            self._open.discard(arrival)

    def revoked(self, told: LoginsRevoked) -> None:
        for arrival in self._open:
            arrival.revoked.append(told)

    def changed(self, operator: OperatorState) -> None:
        for arrival in self._open:
            arrival.changed[operator.name] = operator

    def missed(self) -> None:
        for arrival in self._open:
            arrival.missed = True


def ends(told: LoginsRevoked, name: str, token_id: str) -> bool:
    """Whether this login is one of those that were revoked."""
    return name == told.operator and ("*" in told.tokens or token_id in told.tokens)


def network_of(address: str) -> str:
    """What counts as one address: of IPv6 the network that one customer of a provider gets."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), 64), strict=False))


class Logins:
    """Checks a ``Hello``. At most two passwords are hashed at a time: it is made to be slow. Only
    passwords are throttled."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._throttle = Throttle()
        self._hashing = asyncio.Semaphore(2)
        self._queued = 0

    async def check(self, hello: Hello, address: str, now: float) -> tuple[Account, str] | None:
        """The account and the id of the token used, or nothing. Raises ``Throttled``,
        ``Unavailable``."""
        if hello.token:
            # Nobody guesses 256 random bits, and after a restart a whole office comes back at once.
            return await accounts.login_token(self._store, hello.token)
        # No account's name is as long: what is remembered of a failure stays small.
        address = network_of(address)
        keys = ((f"{address} {hello.name[:64]}", FREE_TRIES), (address, 10 * FREE_TRIES))
        self._refuse_early(keys, now)
        if self._queued >= QUEUE:
            raise Throttled(QUEUE_WAIT)
        self._queued += 1
        try:
            async with self._hashing:
                # Counted before it is checked: many tries at once must not slip through together.
                self._refuse_early(keys, now)
                for key, _ in keys:
                    self._throttle.failed(key, now)
                account = await accounts.login_password(self._store, hello.name, hello.password)
        finally:
            self._queued -= 1
        if account is None:
            return None
        for key, _ in keys:
            self._throttle.succeeded(key)
        return account, ""

    def _refuse_early(self, keys: Sequence[tuple[str, int]], now: float) -> None:
        wait = max(self._throttle.wait(key, free, now) for key, free in keys)
        if wait > 0:
            raise Throttled(wait)
