"""A thread laid out as blocks of lines: what is painted, where each message stands, and how tall it is.

Each message (or album) is laid out once for a width and kept. What arrives at the end costs its own
lines; only messages that come in between or before make all blocks be put together again, which
takes about 10 ms for ten thousand messages.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate, groupby

from console.model import Echo, Thread
from console.text.paint import Brush, Line, echo_lines, is_missed, message_lines, separator
from console.text.words import local
from crm.kernel.records import Message
from crm.kernel.text import one_line

_QUARTER = 900_000
"""ms of a quarter of an hour: every zone's midnight is a multiple."""


@dataclass(slots=True)
class Block:
    """Lines that belong together. ``ids`` are the messages in it; none for separators."""

    ids: tuple[str, ...]
    lines: list[Line]


@dataclass(slots=True)
class _Trail:
    """Where laying out goes on: before the last group, which may still grow."""

    messages: int = 0
    blocks: int = 0
    quarter: int = -1
    label: str = ""
    session: str = ""


def _together(message: Message) -> str:
    """What follows each other with the same answer is one block: an album, offers that nobody took."""
    if message.direction == "system" and is_missed(message):
        return f"missed {message.session}"
    return message.album or message.id


class Blocks:
    """The blocks of one thread at one width, in one language, on one day."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.tops: list[int] = [0]
        """First line of each block, and the height of all."""
        self._cache: dict[tuple[str, ...], Block] = {}
        self._key_of: dict[str, tuple[str, ...]] = {}
        self._places: dict[str, int] = {}
        self._trail = _Trail()
        self._brush: Brush | None = None
        self._thread: Thread | None = None
        self._stands_for: tuple[str, date, int] | None = None

    @property
    def height(self) -> int:
        return self.tops[-1]

    def at(self, row: int) -> int:
        """The block that a line belongs to; out of range for a line outside."""
        return bisect_right(self.tops, row) - 1

    def find(self, message: str) -> int:
        """The block of a message, or -1."""
        return self._places.get(message, -1)

    def clear(self) -> None:
        """Forgets the thread."""
        self._thread = None
        self._cache.clear()
        self._key_of.clear()
        self._restart()

    def _restart(self) -> None:
        self.blocks, self.tops = [], [0]
        self._places = {}
        self._trail = _Trail()

    def update(
        self, brush: Brush, thread: Thread, echoes: Sequence[Echo], writers: Sequence[str], now: int
    ) -> None:
        """Lays out what changed in the thread since the last call."""
        if thread is not self._thread or brush != self._brush:
            self.clear()
        stands_for = (brush.words.language, local(now, brush.zone).date(), thread.shape)
        if self._stands_for is None or stands_for[0] != self._stands_for[0]:
            self.clear()
        if stands_for != self._stands_for:
            self._restart()
        self._thread, self._brush, self._stands_for = thread, brush, stands_for
        first = self._renew(brush, thread)
        self._extend(brush, thread, now)
        self.blocks.extend(Block((), echo_lines(brush, echo)) for echo in echoes)
        for who in writers:
            name = one_line(who) if who else brush.customer
            text = " " * 9 + brush.words("thread.typing", name=name)
            self.blocks.append(Block((), [[("typing", text)]]))
        lines = (len(block.lines) for block in self.blocks[first:])
        self.tops[first:] = accumulate(lines, initial=self.tops[first])

    def _renew(self, brush: Brush, thread: Thread) -> int:
        """Lays changed messages out again, each in its place. Returns the first block that is another."""
        first = self._trail.blocks
        for id in thread.dirty:
            key = self._key_of.get(id)
            if key is None:
                continue
            self._cache.pop(key, None)
            place = self._places.get(id, -1)
            if 0 <= place < self._trail.blocks:
                self.blocks[place] = self._block(brush, [thread.by_id[part] for part in key])
                first = min(first, place)
        thread.dirty.clear()
        return first

    def _extend(self, brush: Brush, thread: Thread, now: int) -> None:
        """Lays out the last group and all that came after it."""
        trail, blocks = self._trail, self.blocks
        del blocks[trail.blocks :]
        count, quarter, label, session = trail.messages, trail.quarter, trail.label, trail.session
        last = (count, trail.blocks, quarter, label, session)
        for _, group in groupby(thread.messages()[count:], key=_together):
            messages = list(group)
            first = messages[0]
            last = (count, len(blocks), quarter, label, session)
            count += len(messages)
            if first.at // _QUARTER != quarter:
                quarter = first.at // _QUARTER
                day = brush.words.day(first.at, now, brush.zone)
                if day != label:
                    blocks.append(Block((), separator(day, brush.width)))
                    label = day
            if first.session != session and session:
                text = brush.words("thread.session", id=first.session)
                blocks.append(Block((), separator(text, brush.width)))
            session = first.session
            for message in messages:
                self._places[message.id] = len(blocks)
            blocks.append(self._block(brush, messages))
        self._trail = _Trail(*last)

    def _block(self, brush: Brush, messages: list[Message]) -> Block:
        key = tuple(m.id for m in messages)
        block = self._cache.get(key)
        if block is None:
            block = self._cache[key] = Block(key, message_lines(brush, messages))
            self._key_of.update(dict.fromkeys(key, key))
        return block
