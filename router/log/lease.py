"""Leases: who may be the only one to do something."""

from __future__ import annotations

from typing import Protocol

from redis.asyncio import Redis

from router.log.keys import Keys
from router.log.pipe import reaching

_RENEW = (
    "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('pexpire',KEYS[1],ARGV[2]) end return 0"
)
_RELEASE = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) end return 0"
_RETAKE = "if redis.call('get',KEYS[1])==ARGV[1] then redis.call('set',KEYS[1],ARGV[2],'px',ARGV[3]) return 1 end return 0"
_CUT = """
local left = redis.call('pttl', KEYS[1])
if left > tonumber(ARGV[2]) then redis.call('pexpire', KEYS[1], ARGV[1]) return tonumber(ARGV[1]) end
return left
"""
LONGEST_MS = 60_000
"""No lease is given for longer."""


class LeaseHome(Protocol):
    """What leases are kept in: a desk's part of Redis."""

    redis: Redis
    keys: Keys


class Lease:
    """The right to be the only one who does something (``of``: ``router``, ``projector``,
    ``out:<channel>``). ``ttl`` in seconds."""

    def __init__(self, keeper: LeaseHome, of: str, token: str, ttl: float = 3.0) -> None:
        self._redis = keeper.redis
        self.key = keeper.keys.lease(of)
        self.token = token
        self._former = ""
        self._terms = 1
        self.ttl_ms = int(ttl * 1000)
        self.free_in = 0
        """Ms after which the holder's lease ends unless he renews it, when ``acquire`` was last refused."""

    async def acquire(self) -> bool:
        """True when it is ours now (it was free, or ours already)."""
        async with reaching("lease"):
            if await self._redis.set(self.key, self.token, nx=True, px=self.ttl_ms):
                return True
            if await self.renew() or await self._retake():
                return True
            # Redis' clock was set back: a lease of nobody alive would last until it has come there again.
            longest = max(LONGEST_MS, self.ttl_ms)
            left = await self._redis.eval(_CUT, 1, self.key, str(self.ttl_ms), str(longest))
            self.free_in = self.ttl_ms if int(left) == -1 else max(0, int(left))
            return False

    async def renew(self) -> bool:
        """Extends it if it is still ours; False when it is somebody else's or has run out."""
        async with reaching("lease"):
            return bool(await self._redis.eval(_RENEW, 1, self.key, self.token, str(self.ttl_ms)))

    def begin_term(self) -> None:
        """With another token: what was asked with the one before and comes late changes nothing. What that
        one still holds is ours at the next ``acquire``."""
        self._terms += 1
        self._former, self.token = self.token, f"{self.token.partition('.')[0]}.{self._terms}"

    async def _retake(self) -> bool:
        if not self._former:
            return False
        tokens = self._former, self.token
        return bool(await self._redis.eval(_RETAKE, 1, self.key, *tokens, str(self.ttl_ms)))

    async def release(self) -> None:
        async with reaching("lease"):
            await self._redis.eval(_RELEASE, 1, self.key, self.token)
