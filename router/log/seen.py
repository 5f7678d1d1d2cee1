"""Which events have been applied: asked before a batch, noted in the transaction that applies it.

Nothing is guessed and nothing is swept; what is old expires. All is kept in small sets of integers,
which Redis keeps as sorted arrays. An id that ends in a platform's own count (``shop:871234501``) is two
bytes in the set of its neighbours, whatever the order they come in; every other id is 64 bits of a hash
in one of many sets. Pure: it makes commands and reads replies.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
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

MOST_HELD = 320
"""Sets whose members are held in memory, of up to 500 each."""

MOST_FETCHED = 32
"""Sets of hashes that are fetched at once to be held. When more would be needed the ids are asked for."""

FOLLOWING = 8
"""Sets of counted ids that are fetched at once: the next numbers come next."""

HELD_MS = 3600 * 1000
"""After that a set is fetched anew, because it may have expired meanwhile."""

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


class _Held(NamedTuple):
    """A set of Redis in memory, as fetched at ``since`` and noted in after that."""

    since: int
    members: set[int]


class Seen:
    """The memory of one writer, which is the only one while its lease lasts. ``root`` begins every key."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._levels: dict[_Generation, dict[int, int]] = {}
        """Level -> how many ids it has."""
        self._sets: list[str] = []
        """Sets of whole ids, as an earlier version kept them, that have not expired yet."""
        self._held: OrderedDict[str, _Held] = OrderedDict()
        """Sets as they are in Redis, those used last at the end: nobody else changes them."""
        self._fetched: list[tuple[str, int]] = []
        self._one_by_one: list[str] = []
        """Of the last questions: the sets that are to be held, and the ids whose sets would be too many."""
        self._question: tuple[Sequence[str], dict[str, dict[int, str]], dict[str, list[str]]] = (), {}, {}
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
        """The commands whose replies ``known`` reads; none where all that matters is held."""
        pieces, hashed = self._sorted(ids)
        places = self._places(hashed, at)
        counted = {key for piece in pieces if not self._holds(piece, at) for key in _following(piece)}
        unheld = {key for keys in places.values() for key in keys if not self._holds(key, at)}
        self._one_by_one = list(places) if len(unheld) > MOST_FETCHED else []
        self._fetched = [(key, at) for key in sorted(counted if self._one_by_one else counted | unheld)]
        self._question = ids, pieces, places
        commands: list[Args] = [("SMEMBERS", key) for key, _ in self._fetched]
        if self._one_by_one:
            keys = [key for id in self._one_by_one for key in places[id]]
            values = [part for id in self._one_by_one for part in (_digest(id), len(places[id]))]
            commands.append(("EVAL", _ASK, len(keys), *keys, *values))
        return commands + [("SMISMEMBER", key, *ids) for key in self._sets if ids]

    def known(self, replies: Sequence[Any]) -> set[str]:
        """Which of the ids that were asked for last have been noted before."""
        ids, pieces, places = self._question
        for (key, at), members in zip(self._fetched, replies, strict=False):
            self._hold(key, at, members)
        found = {
            id
            for piece, members in pieces.items()
            for member, id in members.items()
            if member in self._held[piece].members
        }
        flags = [*replies[len(self._fetched) :]]
        if self._one_by_one:
            found |= {id for id, flag in zip(self._one_by_one, flags.pop(0), strict=True) if flag}
        else:
            found |= {
                id
                for id, keys in places.items()
                if any(_digest(id) in self._held[key].members for key in keys)
            }
        return found.union(*({id for id, flag in zip(ids, some, strict=True) if flag} for some in flags))

    def _places(self, hashed: Sequence[str], at: int) -> dict[str, list[str]]:
        """The sets that may have each of these ids."""
        if not hashed:
            return {}
        where = {own: self._where(_generation(own, at)) for own in (False, True)}
        return {id: [self._set(*place, _digest(id)) for place in where[_is_own(id)]] for id in hashed}

    # ---------------------------------------------------------------- what is held

    def _holds(self, key: str, at: int) -> bool:
        held = self._held.get(key)
        if held is None or not held.since <= at < held.since + HELD_MS:
            return False
        self._held.move_to_end(key)
        return True

    def _hold(self, key: str, at: int, members: Iterable[bytes]) -> None:
        self._held[key] = _Held(at, set(map(int, members)))
        self._held.move_to_end(key)

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
            self._note_held(key, members)
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
        for key, digest in zip(keys, digests, strict=True):
            self._note_held(key, [digest])
        index, lifetime = self._index(generation), 2 * generation.period
        return [
            ("EVAL", _NOTE, len(keys), *keys, lifetime, *digests),
            ("HSET", index, level, levels[level]),
            ("PEXPIRE", index, lifetime),
        ]

    def _note_held(self, key: str, members: Iterable[int]) -> None:
        held = self._held.get(key)
        if held is not None:
            held.members.update(members)
        while len(self._held) > MOST_HELD:
            self._held.popitem(last=False)

    # ---------------------------------------------------------------- keys

    def _index(self, generation: _Generation) -> str:
        return f"{self._root}ids:{generation.name}"

    def _set(self, generation: _Generation, level: int, digest: int) -> str:
        return f"{self._root}ids:{generation.name}:{level}:{digest & ((1 << level) - 1)}"


def _following(piece: str) -> list[str]:
    """The set of counted ids and those of the numbers after it."""
    counter, _, number = piece.rpartition(":")
    return [f"{counter}:{int(number) + step}" for step in range(FOLLOWING)]


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
