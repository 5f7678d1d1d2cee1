"""Which events have been applied: asked before a batch, noted in the transaction that applies it.

Nothing is guessed and nothing is swept; what is old expires. All is kept in small sets of integers,
which Redis keeps as sorted arrays. An id that ends in a platform's own count (``shop:871234501``) is two
bytes in the set of its neighbours, whatever the order they come in; every other id is 64 bits of a hash
in one of many sets. Pure: it makes commands and reads replies.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from router.log.pipe import Args

PERIOD_MS = 7 * 24 * 3600 * 1000
"""Ids are known for one to two of these: the longest redelivery we know is 7 days (WhatsApp). Counted ones
are for one after the last of their set: a platform that begins to count anew does so after a week's
silence, and must not meet them."""

OWN_PERIOD_MS = 24 * 3600 * 1000
"""The same for what our own processes say: they repeat it only when a reply of Redis was lost."""

PIECE = 500
"""Neighbouring numbers in one set. With 512 it would be larger than the block that the allocator gives."""

FIRST_LEVEL, NEXT_LEVEL, LAST_LEVEL = 6, 3, 18
"""A level of hashes has 2**level sets. A full one is followed by the next, eight times as large."""

FILL = 320
"""Hashes in one set on average. Redis keeps arrays up to 512."""

_OWN = re.compile(r"out:|[^:]*:[^:]*:media:")

_ASK = """
local found, k = {}, 1
for a = 1, #ARGV, 2 do
  local hit = 0
  for _ = 1, tonumber(ARGV[a + 1]) do
    if hit == 0 then hit = redis.call('sismember', KEYS[k], ARGV[a]) end
    k = k + 1
  end
  found[#found + 1] = hit
end
return found
"""

_NOTE = """
for i = 1, #KEYS do
  if redis.call('sadd', KEYS[i], ARGV[i + 1]) == 1 and redis.call('scard', KEYS[i]) == 1 then
    redis.call('pexpire', KEYS[i], ARGV[1])
  end
end
"""


class _Generation(NamedTuple):
    """One period of one kind of id (``own`` or the others')."""

    own: bool
    number: int

    @property
    def period(self) -> int:
        return OWN_PERIOD_MS if self.own else PERIOD_MS

    @property
    def name(self) -> str:
        return f"{'o' if self.own else 'i'}{self.number}"


def _generation(own: bool, at: int) -> _Generation:
    return _Generation(own, at // (OWN_PERIOD_MS if own else PERIOD_MS))


class Seen:
    """The memory of one writer, which is the only one while its lease lasts. ``root`` begins every key."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._levels: dict[_Generation, dict[int, int]] = {}
        """Level -> how many ids it has."""
        self._sets: list[str] = []
        """Sets of whole ids, as an earlier version kept them, that have not expired yet."""
        self._asked: list[Sequence[str]] = []
        """The ids behind each reply to the last questions."""
        self._sorted_ids: Sequence[str] = []
        self._sorted_as: tuple[dict[str, dict[int, str]], list[str]] = {}, []
        self.is_open = False

    # ---------------------------------------------------------------- what the last writer left

    def opening(self, at: int) -> list[Args]:
        """The commands whose replies ``open`` reads."""
        return [
            *(("HGETALL", self._index(generation)) for generation in _relevant(at)),
            *(("EXISTS", key) for key in self._whole(at)),
        ]

    def open(self, at: int, replies: Sequence[Any]) -> None:
        """Takes up what there is at ``at``."""
        generations = _relevant(at)
        for generation, reply in zip(generations, replies, strict=False):
            pairs = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
            self._levels[generation] = {int(level): int(count) for level, count in pairs.items()}
        exist = replies[len(generations) :]
        self._sets = [key for key, there in zip(self._whole(at), exist, strict=True) if there]
        self.is_open = True

    def _whole(self, at: int) -> list[str]:
        generation = at // PERIOD_MS
        return [f"{self._root}seen:{generation}", f"{self._root}seen:{generation - 1}"]

    # ---------------------------------------------------------------- asking

    def questions(self, ids: Sequence[str], at: int) -> list[Args]:
        """The commands whose replies ``known`` reads."""
        pieces, hashed = self._sorted(ids)
        self._asked = [*(list(members.values()) for members in pieces.values())]
        self._asked += [*([hashed] if hashed else []), *(ids for _ in self._sets)]
        commands: list[Args] = [("SMISMEMBER", key, *members) for key, members in pieces.items()]
        if hashed:
            keys: list[str] = []
            values: list[int] = []
            where = {own: self._where(_generation(own, at)) for own in (False, True)}
            for id in hashed:
                digest = _digest(id)
                places = [self._set(*place, digest) for place in where[_is_own(id)]]
                keys += places
                values += (digest, len(places))
            commands.append(("EVAL", _ASK, len(keys), *keys, *values))
        return commands + [("SMISMEMBER", key, *ids) for key in self._sets]

    def known(self, replies: Sequence[Sequence[int]]) -> set[str]:
        """Which of the ids that were asked for last have been noted before."""
        return {
            id
            for ids, flags in zip(self._asked, replies, strict=True)
            if 1 in flags
            for id, flag in zip(ids, flags, strict=True)
            if flag
        }

    def _sorted(self, ids: Sequence[str]) -> tuple[dict[str, dict[int, str]], list[str]]:
        """The counted ones (key of their set -> member -> id), and the others. What is asked for is most
        often noted as it is: it is sorted once."""
        if ids == self._sorted_ids:
            return self._sorted_as
        pieces: dict[tuple[str, int], dict[int, str]] = {}
        hashed: list[str] = []
        for id in ids:
            counter, _, number = id.rpartition(":")
            if _is_count(counter, number):
                piece, member = divmod(int(number), PIECE)
                try:
                    pieces[counter, piece][member] = id
                except KeyError:
                    pieces[counter, piece] = {member: id}
            else:
                hashed.append(id)
        root = self._root
        counted = {f"{root}count:{counter}:{n}": members for (counter, n), members in pieces.items()}
        self._sorted_ids, self._sorted_as = list(ids), (counted, hashed)
        return self._sorted_as

    def _where(self, newest: _Generation) -> list[tuple[_Generation, int]]:
        """Generations and levels that may know an id: also what was noted by a clock that was ahead and
        was set back since."""
        return [
            (generation, level)
            for generation, levels in self._levels.items()
            if generation.own is newest.own and generation.number >= newest.number - 1
            for level in levels
        ]

    # ---------------------------------------------------------------- noting

    def notes(self, ids: Sequence[str], at: int) -> list[Args]:
        """The commands that note ids. If they are not carried out, this memory must not be used again."""
        pieces, hashed = self._sorted(ids)
        commands: list[Args] = []
        for key, members in pieces.items():
            commands += [("SADD", key, *members), ("PEXPIRE", key, PERIOD_MS)]
        for own in (False, True):
            if some := [id for id in hashed if _is_own(id) is own]:
                commands += self._hash_notes(_generation(own, at), some)
        return commands

    def _hash_notes(self, generation: _Generation, ids: Sequence[str]) -> list[Args]:
        levels = self._levels.setdefault(generation, {})
        level = max(levels, default=FIRST_LEVEL)
        if levels.get(level, 0) >= FILL << level and level < LAST_LEVEL:
            level += NEXT_LEVEL
        levels[level] = levels.get(level, 0) + len(ids)
        digests = [_digest(id) for id in ids]
        keys = [self._set(generation, level, digest) for digest in digests]
        index, lifetime = self._index(generation), 2 * generation.period
        return [
            ("EVAL", _NOTE, len(keys), *keys, lifetime, *digests),
            ("HSET", index, level, levels[level]),
            ("PEXPIRE", index, lifetime),
        ]

    # ---------------------------------------------------------------- keys

    def _index(self, generation: _Generation) -> str:
        return f"{self._root}ids:{generation.name}"

    def _set(self, generation: _Generation, level: int, digest: int) -> str:
        return f"{self._root}ids:{generation.name}:{level}:{digest & ((1 << level) - 1)}"


def _relevant(at: int) -> list[_Generation]:
    """The present ones, those before, and those of a clock that was ahead."""
    newest = [_generation(own, at) for own in (False, True)]
    return [one._replace(number=one.number + step) for step in (0, -1, 1) for one in newest]


def _is_count(counter: str, number: str) -> bool:
    """Whether an id of these parts is a platform's number: written in one way only, so that no two ids
    are the same number."""
    return (
        number.isdecimal()
        and number.isascii()
        and number[0] != "0"
        and len(number) < 16
        and 0 < len(counter) <= 64
        and ":" not in counter
    )


def _is_own(id: str) -> bool:
    return _OWN.match(id) is not None


def _digest(id: str) -> int:
    """64 bits of the id, as the integer that Redis keeps."""
    digest = hashlib.blake2b(id.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
