"""The commands of an append-only file: where each ends, and where the file can be read again after damage.

Bytes only: what customers wrote is between them, and is never looked at.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from typing import NamedTuple

Bytes = bytes | mmap.mmap

LONGEST_LINE = 64
_HEAD = re.compile(rb"\*([1-9]\d{0,6})\r\n")
_LENGTH = re.compile(rb"\$(\d{1,10})\r\n")
_START = re.compile(rb"\*[1-9]\d{0,6}\r\n\$(\d{1,2})\r\n([A-Za-z]+)\r\n")
_KNOWN = frozenset(
    b"APPEND COPY DECR DECRBY DEL EXEC EXPIRE EXPIREAT FLUSHALL FLUSHDB FUNCTION GETDEL GETEX HDEL HINCRBY HMSET "
    b"HPEXPIREAT HSET HSETNX INCR INCRBY LINSERT LPOP LPUSH LREM LSET LTRIM MOVE MSET MULTI PERSIST PEXPIRE "
    b"PEXPIREAT PFADD PSETEX PUBLISH RENAME RESTORE RPOP RPUSH SADD SCRIPT SELECT SET SETEX SETNX SETRANGE SPOP "
    b"SREM UNLINK XADD XDEL XGROUP XSETID XTRIM ZADD ZINCRBY ZREM ZREMRANGEBYSCORE".split()
)
"""What changes something; a server ends when it meets a word that it does not know."""


class TornError(Exception):
    """The file ends in the middle of a command."""


class GarbageError(Exception):
    """This is no command."""


class RedisCommand(NamedTuple):
    """``start`` and ``end`` in the file; ``name`` in capitals."""

    start: int
    end: int
    name: bytes


def command_at(data: Bytes, start: int) -> RedisCommand:
    """The command that begins at ``start``. Raises ``TornError`` or ``GarbageError``."""
    start = _behind_remarks(data, start)
    if start == len(data):
        return RedisCommand(start, start, b"")
    head = _HEAD.match(data, start)
    if head is None:
        raise _short(data, start, b"*")
    position, name = head.end(), b""
    for number in range(int(head[1])):
        length = _LENGTH.match(data, position)
        if length is None:
            raise _short(data, position, b"$")
        begin = length.end()
        position = begin + int(length[1]) + 2
        if position > len(data):
            raise TornError
        if data[position - 2 : position] != b"\r\n":
            raise GarbageError
        if not number:
            name = bytes(data[begin : min(position - 2, begin + 32)]).upper()
            if name not in _KNOWN:
                raise GarbageError
    return RedisCommand(start, position, name)


def _behind_remarks(data: Bytes, start: int) -> int:
    """Newer servers write the time between commands."""
    while data[start : start + 1] == b"#":
        end = data.find(b"\r\n", start, start + LONGEST_LINE)
        if end < 0:
            raise TornError if len(data) - start < LONGEST_LINE else GarbageError
        start = end + 2
    return start


def _short(data: Bytes, position: int, sign: bytes) -> Exception:
    """A line that does not match is torn when the file ends in it, else it is none."""
    line = bytes(data[position : position + LONGEST_LINE])
    begun = re.fullmatch(re.escape(sign) + rb"\d*\r?", line) if line else True
    return TornError() if begun and len(data) - position < LONGEST_LINE else GarbageError()


class Stretch(NamedTuple):
    """What could be read from a place on: up to ``whole`` outside of any transaction; ``stopped`` is where
    it ends. ``torn``: only the end of the file is missing; ``clean``: nothing is."""

    whole: int
    stopped: int
    torn: bool = False
    clean: bool = False


def read_from(data: Bytes, start: int, known: set[int] | None = None) -> Stretch:
    """Reads as far as it goes; ``known`` collects where commands began, and stops at such a place."""
    position = whole = start
    inside = False
    while position < len(data):
        if known is not None:
            if position in known:
                return Stretch(whole, position)
            known.add(position)
        try:
            command = command_at(data, position)
        except TornError:
            return Stretch(whole, position, torn=True)
        except GarbageError:
            return Stretch(whole, position, torn=_is_empty(data, position))
        position = command.end
        inside = command.name == b"MULTI" or (inside and command.name != b"EXEC")
        if not inside:
            whole = position
    return Stretch(whole, position, torn=inside, clean=not inside)


def _is_empty(data: Bytes, position: int) -> bool:
    """Nothing but zeros up to the end: room that was made for a write which never came."""
    step = 1 << 20
    return all(not any(data[at : at + step]) for at in range(position, len(data), step))


def resumes_at(data: Bytes, after: int) -> int:
    """The first place after the damage from which all the rest can be read, the end of the file if
    there is none. Half a transaction is not read. All the rest, to its last byte: what a customer wrote may
    look like commands, and must not be taken for some."""
    known: set[int] = set()
    for found in _START.finditer(data, after):
        start = found.start()
        if start in known or len(found[2]) != int(found[1]):
            continue
        stretch = read_from(data, start, known)
        if stretch.clean and stretch.whole > start:
            return _behind_half(data, start)
    return len(data)


def _behind_half(data: Bytes, start: int) -> int:
    """SessionsBehind the EXEC of a transaction whose beginning is lost; ``start`` when there is none."""
    for command in commands(data, start):
        if command.name == b"MULTI":
            break
        if command.name == b"EXEC":
            return command.end
    return start


def commands(data: Bytes, start: int) -> Iterator[RedisCommand]:
    """As far as they can be read."""
    while start < len(data):
        try:
            command = command_at(data, start)
        except (TornError, GarbageError):
            return
        yield command
        start = command.end
