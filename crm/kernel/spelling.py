"""One spelling for what people and keyboards spell differently: for search, and wherever words are compared."""

from __future__ import annotations

import re
import unicodedata

# What stands in place of the signs of oʻ, gʻ and the tutuq belgisi ʼ: Latin and Cyrillic layouts, phones,
# old code pages and copied print give each another one.
APOSTROPHES = "'`´ʹʻʼʽʾʿˈˊˋ΄᾽᾿‘’‛′‵Ꞌꞌ＇｀"

_GONE = dict.fromkeys(map(ord, APOSTROPHES))


def fold(text: str) -> str:
    """The text with every spelling of a word made one: without case, accents (``Café`` = ``cafe``,
    ``ёлка`` = ``елка``) and apostrophes (``oʻzbek`` = ``o'zbek`` = ``ozbek``)."""
    text = text.translate(_GONE)
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def sound(text: str) -> str:
    """The folded text as it sounds, in Latin letters: what is written in Cyrillic and in Latin, Uzbek or Russian,
    is one (``Ўктам`` = ``Oʻktam``, ``Шаҳноза`` = ``Shahnoza``, ``Дмитрий`` = ``Dmitriy`` = ``Dmitry``). It is for
    comparing and never for reading."""
    text = text.translate(_GONE)
    if not text.isascii():
        # Before the accents go: й and ў would be и and у without them.
        text = unicodedata.normalize("NFC", text).lower().translate(_LATIN)
    return _SAME.sub(_same, fold(text).replace("y", "i"))


_LATIN = str.maketrans(
    {
        "а": "a",
        "б": "b",
        "в": "v",
        "г": "g",
        "ғ": "g",
        "ґ": "g",
        "д": "d",
        "е": "ye",
        "ё": "yo",
        "є": "ye",
        "э": "e",
        "ж": "j",
        "з": "z",
        "и": "i",
        "і": "i",
        "ї": "yi",
        "й": "y",
        "к": "k",
        "қ": "q",
        "л": "l",
        "м": "m",
        "н": "n",
        "ң": "n",
        "о": "o",
        "ө": "o",
        "ў": "o",
        "п": "p",
        "р": "r",
        "с": "s",
        "т": "t",
        "у": "u",
        "ү": "u",
        "ұ": "u",
        "ф": "f",
        "х": "x",
        "ҳ": "h",
        "һ": "h",
        "ц": "ts",
        "ч": "ch",
        "ш": "sh",
        "щ": "sh",
        "ъ": "",
        "ы": "y",
        "ь": "",
        "ю": "yu",
        "я": "ya",
        "ә": "a",
        "ѓ": "g",
        "ќ": "k",
    }
)  # fmt: skip
_ONE = {
    # й, и and ы are one letter here; е after it, and ё, are what people write as е, э, e, ye and yo.
    "ie": "e", "io": "e", "ii": "i", "ts": "s", "shch": "sh", "kh": "h", "zh": "j", "dj": "j", "dzh": "j",
    "x": "h", "w": "v",
}  # fmt: skip
_SAME = re.compile("i(?=i)|" + "|".join(sorted(_ONE, key=len, reverse=True)))


def _same(match: re.Match[str]) -> str:
    return "" if match[0] == "i" else _ONE[match[0]]
