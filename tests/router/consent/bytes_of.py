"""Looking for words in every file of a folder, however they may be written there."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path


def spellings(word: str) -> list[bytes]:
    """UTF-8, both UTF-16, and JSON's escapes, in small and in capital letters too."""
    words = {word, word.lower(), word.upper()}
    return [
        data
        for one in words
        for data in (
            one.encode(),
            one.encode("utf-16-le"),
            one.encode("utf-16-be"),
            json.dumps(one).strip('"').encode(),
        )
    ]


def found_in(folder: Path, words: Iterable[str]) -> dict[str, set[str]]:
    """File (relative) -> the words that are in its bytes, in the parts that Redis has packed with LZF, or in
    those that are deflated."""
    wanted = {word: re.compile(b"|".join(map(re.escape, spellings(word)))) for word in words}
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        whole = [path.read_bytes()]
        whole += [*_lzf_parts(whole[0]), *_deflated_parts(whole[0])]
        name = str(path.relative_to(folder))
        for word, pattern in wanted.items():
            if any(pattern.search(data) for data in whole):
                found.setdefault(name, set()).add(word)
    return found


def _deflated_parts(data: bytes) -> Iterator[bytes]:
    for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08", data):
        unpacker = zlib.decompressobj(47)
        try:
            yield unpacker.decompress(data[match.start() :], 1 << 20)
        except zlib.error:
            continue


def _lzf_parts(data: bytes) -> Iterator[bytes]:
    """Every place that may be a packed string of Redis' own format (0xC3, packed and whole length, bytes)."""
    for match in re.finditer(b"\xc3", data):
        packed, start = _length(data, match.end())
        size, start = _length(data, start)
        if 4 < packed < size < 1 << 24 and start + packed <= len(data):
            unpacked = _lzf(data[start : start + packed], size)
            if unpacked is not None:
                yield unpacked


def _length(data: bytes, at: int) -> tuple[int, int]:
    if at >= len(data):
        return 0, at
    kind = data[at] >> 6
    if kind == 0:
        return data[at] & 63, at + 1
    if kind == 1 and at + 1 < len(data):
        return (data[at] & 63) << 8 | data[at + 1], at + 2
    if data[at] == 0x80:
        return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
    return 0, at


def _lzf(data: bytes, size: int) -> bytes | None:
    out = bytearray()
    at = 0
    while at < len(data):
        control = data[at]
        at += 1
        if control < 32:
            out += data[at : at + control + 1]
            at += control + 1
            continue
        length, at = _copied(data, control >> 5, at)
        if at >= len(data):
            return None
        back = ((control & 31) << 8 | data[at]) + 1
        at += 1
        if back > len(out):
            return None
        for _ in range(length + 2):
            out.append(out[-back])
        if len(out) > size:
            return None
    return bytes(out) if len(out) == size else None


def _copied(data: bytes, length: int, at: int) -> tuple[int, int]:
    if length == 7 and at < len(data):
        return length + data[at], at + 1
    return length, at
