"""Words of a text for search: letters and digits of any script, as people look for them
(``crm.kernel.spelling.fold``)."""

from __future__ import annotations

import re

from crm.kernel.spelling import fold

MAX_WORDS = 32
"""Words of one query that are looked at; more say nothing new."""

SPELLING = 1
"""Counts up when ``fold`` changes. A store whose index was made by another one brings it up to date when
it is opened."""

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The folded words of a text, each once."""
    return list(dict.fromkeys(_WORD.findall(fold(text))))


def query_words(text: str) -> list[str]:
    """The folded words of a query. The last one is still being typed: it stands for all that
    begins with it."""
    found = _WORD.findall(fold(text))
    return [*list(dict.fromkeys(found[:-1]))[: MAX_WORDS - 1], *found[-1:]]
