"""Words of a text for search: letters and digits of any script, as people look for them
(``crm.kernel.spelling.sound``)."""

from __future__ import annotations

import re
from collections.abc import Callable

from crm.kernel.spelling import sound

MAX_QUERY = 2_000
"""Characters of a query that are looked at."""
MAX_WORDS = 32
"""Words of one query that are looked at; more say nothing new."""

SPELLING = 2
"""Counts up when ``sound`` changes. A store whose index was made by another one brings it up to date when
it is opened."""

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words of a text, each once."""
    return list(dict.fromkeys(_WORD.findall(sound(text))))


def query_words(text: str) -> list[str]:
    """The words of a query. The last one is still being typed: it stands for all that
    begins with it."""
    found = _WORD.findall(sound(text[:MAX_QUERY]))
    return [*list(dict.fromkeys(found[:-1]))[: MAX_WORDS - 1], *found[-1:]]


def holds(query: str, *, whole: bool) -> Callable[[str], bool]:
    """Whether a text holds the words of a query, the last of them perhaps only begun."""
    *before, last = query_words(query) or [""]

    def check(text: str) -> bool:
        said = words(text)
        ends = last in said if whole else any(word.startswith(last) for word in said)
        return bool(last) and ends and all(word in said for word in before)

    return check


def line_word(line: str) -> str:
    """The name of a line as one word of the index, whatever is in it."""
    return "l" + line.encode().hex()
