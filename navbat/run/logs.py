"""Logging of the whole program: to stderr, ids only, never a secret, and no line without end."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_SECRETS = re.compile(
    r"\d{6,12}:[A-Za-z0-9_-]{30,}"  # a Telegram bot token
    r"|nb_[A-Za-z0-9]+_[A-Za-z0-9_-]{16,}"  # one of ours
    r"|(?<=://)[^/\s@]+(?=@)"  # name and password in a URL
    r"|(?i:(?<=bearer ))[A-Za-z0-9._~+/-]{8,}"
)
_SHORTEST = 8
"""Characters a configured secret must have to be looked for: shorter ones would black out words."""

PERIOD = 60.0
"""Seconds after which a counted line is new again."""
EQUAL = 3
ALIKE = 20
REMEMBERED = 1000


class Redacting(logging.Formatter):
    """Replaces what looks like a secret, and every configured one, in the finished line. The last
    resort: nobody is meant to log them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__(_FORMAT)
        known = sorted({s for s in secrets if len(s) >= _SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        told = getattr(record, Folding.TOLD, "")
        return super().formatMessage(record) + (f" ({told})" if told else "")

    def format(self, record: logging.LogRecord) -> str:
        line = _SECRETS.sub("***", super().format(record))
        return self._known.sub("***", line) if self._known else line


class Folding(logging.Filter):
    """Lets a line through a few times and then counts it; the tenth, the hundredth and so on come through
    again and say the number. So no failure that comes back a thousand times a second fills a disk.

    Lines are counted as equal by their text (``EQUAL`` pass), and as alike by what stands in the code
    (``ALIKE`` pass), whatever the values in them. After ``PERIOD`` the count begins anew.
    """

    TOLD = "navbat_folded"

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._lock = threading.Lock()
        self._counts: OrderedDict[Hashable, _Count] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        alike = (record.name, record.levelno, _first_line(str(record.msg)))
        equal = (*alike, _first_line(_text(record)), record.exc_info[0] if record.exc_info else None)
        now = self._now()
        with self._lock:
            told = self._count(equal, EQUAL, now)
            if told is not None:
                of_alike = self._count(alike, ALIKE, now)
                told = None if of_alike is None else told or of_alike
        if told:
            setattr(record, self.TOLD, told)
        return told is not None

    def _count(self, key: Hashable, free: int, now: float) -> str | None:
        """What to add to the line, or None when it is only counted."""
        before = self._counts.pop(key, None)
        if before is None or now - before.since > PERIOD:
            self._counts[key] = _Count(now)
            if len(self._counts) > REMEMBERED:
                self._counts.popitem(last=False)
            return f"{before.hidden} more like it before" if before and before.hidden else ""
        self._counts[key] = before
        before.number += 1
        if before.number <= free:
            return ""
        if set(str(before.number)[1:]) == {"0"} and str(before.number)[0] == "1":
            before.hidden = 0
            return f"{before.number} like it in {now - before.since:.0f} s"
        before.hidden += 1
        return None


class _Count:
    """How often a line has come since a time, and how often unseen since it was last shown."""

    __slots__ = ("hidden", "number", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.number = 1
        self.hidden = 0


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)  # a defect of the one who logs: the handler will tell


def _first_line(text: str) -> str:
    return text.partition("\n")[0][:200]


def set_up(secrets: Iterable[str] = ()) -> None:
    """Logs to stderr from the level in NAVBAT_LOG (``warning`` unless it says otherwise)."""
    level = os.environ.get("NAVBAT_LOG", "warning").upper()
    handler = logging.StreamHandler()
    handler.setFormatter(Redacting(secrets))
    handler.addFilter(Folding())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level if level in logging.getLevelNamesMapping() else "WARNING")
    logging.getLogger("aiohttp.access").setLevel(logging.ERROR)
