"""Words of a text for search: letters and digits of any script, as people look for them.

Without case and accents (``Café`` = ``cafe``, ``ёлка`` = ``елка``) and without apostrophes, which
Uzbek keyboards spell in six ways (``oʻzbek`` = ``o'zbek`` = ``ozbek``).
"""

from __future__ import annotations

import re
import unicodedata

MAX_WORDS = 32
"""Words of one query that are looked at; more say nothing new."""

_WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = dict.fromkeys(map(ord, "'`´‘’ʻʼʹ′"))


def fold(text: str) -> str:
    """The text with every spelling of a word made one."""
    text = text.translate(_APOSTROPHES)
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def words(text: str) -> list[str]:
    """The folded words of a text, each once."""
    return list(dict.fromkeys(_WORD.findall(fold(text))))


def query_words(text: str) -> list[str]:
    """The folded words of a query. The last one is still being typed: it stands for all that
    begins with it."""
    found = _WORD.findall(fold(text))
    return [*list(dict.fromkeys(found[:-1]))[: MAX_WORDS - 1], *found[-1:]]
