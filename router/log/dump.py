"""All that a desk has in Redis, as it was at one instant, and put back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from crm.kernel.errors import NavbatError
from router.log.log import Log
from router.log.pipe import reaching

TIMEOUT = 60.0
"""Seconds. Redis does nothing else while it makes the copy: some milliseconds for ten megabytes."""
PART = 8 << 20
"""Bytes that are put back in one request."""


class Kept(NamedTuple):
    """One key: its name without the desk's part, the ms after which it lapses (0: never), and its value as
    Redis' own DUMP writes it."""

    name: str
    ttl: int
    value: bytes


# A script, as a key that is new between looking for keys and reading them would be missing, and with it
# what the desk had decided since. Leases are not kept: whoever held one is gone.
_DUMP = """
local kept, cursor, root = {}, '0', ARGV[1]
repeat
  local found = redis.call('scan', cursor, 'match', root .. '*', 'count', 1000)
  cursor = found[1]
  for _, key in ipairs(found[2]) do
    local name = string.sub(key, #root + 1)
    if string.sub(name, 1, 6) ~= 'lease:' and not kept[name] then
      kept[name] = {redis.call('pttl', key), redis.call('dump', key)}
    end
  end
until cursor == '0'
local all = {}
for name, one in pairs(kept) do
  if one[2] then
    all[#all + 1] = {name, one[1], one[2]}
  end
end
return all
"""

# What waits to be sent may have been sent since the copy was made: nobody knows, so nobody sends it by himself.
_UNKNOWN = """
local ids = redis.call('xrange', KEYS[1], '-', '+')
for _, entry in ipairs(ids) do redis.call('sadd', KEYS[2], entry[1]) end
return #ids
"""


async def dump(log: Log) -> list[Kept]:
    """Everything of the desk, at one instant. Raises ``Unavailable``."""
    root = log.keys.root
    async with reaching("backup", TIMEOUT):
        found = await log.redis.execute_command("EVAL", _DUMP, 1, root, root)  # type: ignore[no-untyped-call]
    return sorted(Kept(name.decode(), max(0, ttl), value) for name, ttl, value in found)


async def is_empty(log: Log) -> bool:
    """Whether Redis has nothing of this desk."""
    async with reaching("restore"):
        async for _ in log.redis.scan_iter(match=log.keys.root + "*", count=1000):
            return False
    return True


async def restore(log: Log, kept: Iterable[Kept]) -> int:
    """Puts keys back, in place of those that are there. Returns how many deliveries waited to be sent: they
    are marked as begun, so that each is told as ``unknown`` and none is sent a second time. Raises
    ``Unavailable``, and ``NavbatError`` when this Redis does not read what the other one wrote."""
    channels = []
    part: list[Kept] = []
    for one in kept:
        part.append(one)
        if one.name.startswith("out:"):
            channels.append(one.name.removeprefix("out:"))
        if sum(len(k.value) for k in part) > PART:
            await _put(log, part)
            part = []
    await _put(log, part)
    waiting = 0
    for channel in channels:
        keys = (log.keys.out(channel), log.keys.sending(channel))
        async with reaching("restore", TIMEOUT):
            waiting += await log.redis.execute_command("EVAL", _UNKNOWN, 2, *keys)  # type: ignore[no-untyped-call]
    return waiting


async def _put(log: Log, part: Sequence[Kept]) -> None:
    async with reaching("restore", TIMEOUT):
        pipe = log.redis.pipeline(transaction=False)
        for one in part:
            pipe.restore(log.keys.root + one.name, one.ttl, one.value, replace=True)
        answers = await pipe.execute(raise_on_error=False)
    for one, answer in zip(part, answers, strict=True):
        if isinstance(answer, Exception):
            raise NavbatError(
                f"Redis does not take back {one.name}: {answer}",
                "a backup is read by a Redis of the same version or a newer one",
            ) from answer
