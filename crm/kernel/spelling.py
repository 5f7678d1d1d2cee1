"""One spelling for what people and keyboards spell differently: for search, and wherever words are compared."""

from __future__ import annotations

import re
import unicodedata

# What stands in place of the signs of oʻ, gʻ and the tutuq belgisi ʼ: Latin and Cyrillic layouts, phones,
# old code pages and copied print give each another one.
APOSTROPHES = "'`´ʹʻʼʽʾʿˈˊˋ΄᾽᾿‘’‛′‵Ꞌꞌ＇｀"

_GONE = dict.fromkeys(map(ord, APOSTROPHES))
_GONE_BEFORE = dict.fromkeys(map(ord, "'`´‘’ʻʼʹ′"))
_NEW = re.compile("[" + "".join(sorted(set(APOSTROPHES) - set("'`´‘’ʻʼʹ′"))) + "]")


def fold(text: str) -> str:
    """The text with every spelling of a word made one: without case, accents (``Café`` = ``cafe``,
    ``ёлка`` = ``елка``) and apostrophes (``oʻzbek`` = ``o'zbek`` = ``ozbek``)."""
    return _folded(text, _GONE)


def fold_before(text: str) -> str:
    """As ``fold`` did it when it knew nine apostrophes only: what indexes of that time hold."""
    return _folded(text, _GONE_BEFORE)


def folds_anew(text: str) -> bool:
    """Whether the two may differ."""
    return _NEW.search(text) is not None


def _folded(text: str, gone: dict[int, None]) -> str:
    text = text.translate(gone)
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in decomposed if not unicodedata.combining(c))
