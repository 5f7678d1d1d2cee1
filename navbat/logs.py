"""Logging of the whole program: to stderr, ids only, and never a secret."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_SECRETS = re.compile(
    r"\d{6,12}:[A-Za-z0-9_-]{30,}"  # a Telegram bot token
    r"|nb_[A-Za-z0-9]+_[A-Za-z0-9_-]{16,}"  # one of ours
    r"|(?<=://)[^/\s@]+(?=@)"  # name and password in a URL
    r"|(?i:(?<=bearer ))[A-Za-z0-9._~+/-]{8,}"
)
_SHORTEST = 8
"""Characters a configured secret must have to be looked for: shorter ones would black out words."""


class Redacting(logging.Formatter):
    """Replaces what looks like a secret, and every configured one, in the finished line. The last
    resort: nobody is meant to log them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__(_FORMAT)
        known = sorted({s for s in secrets if len(s) >= _SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def format(self, record: logging.LogRecord) -> str:
        line = _SECRETS.sub("***", super().format(record))
        return self._known.sub("***", line) if self._known else line


def set_up(secrets: Iterable[str] = ()) -> None:
    """Logs to stderr from the level in NAVBAT_LOG (``warning`` unless it says otherwise)."""
    level = os.environ.get("NAVBAT_LOG", "warning").upper()
    handler = logging.StreamHandler()
    handler.setFormatter(Redacting(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level if level in logging.getLevelNamesMapping() else "WARNING")
    logging.getLogger("aiohttp.access").setLevel(logging.ERROR)
