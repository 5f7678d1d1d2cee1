"""By what an object is found: tokens that lie in its document, and whether it is really meant.

A store looks arrays up by equality only. So an object carries the beginnings of its words (``^kari``), its names
whole and with one letter left out (``~krimo``, the usual way to forgive one typing error: two words that are one error
apart have such a remainder in common), and four digits at a time of its numbers (``#4567``). Tokens find all that
is meant, and more; ``rank`` looks at the document itself. So tokens that are left of an older name do no harm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from crm.kernel.spelling import APOSTROPHES, sound

EXACT, PREFIX, FORGIVEN = 0, 1, 2
"""How well something matches; less is better."""

LENGTHS = (2, 3, 4, 6, 9)
"""Letters of the beginnings that are kept: one letter says nothing."""
DELETED_FROM = 6
"""Letters at the beginning of a name of which one is left out."""
FORGIVING = 4
"""Letters that a word needs for an error in it to be forgiven."""
GRAM = 4
"""Digits of a number that are looked up at a time: fewer say nothing."""
NUMBER = 12
"""The last digits of a number that are kept."""
NATIONAL = 10
"""Digits at the end of a number that are asked for: what stands before them is written in several ways."""
WHOLE = 9
"""Digits with which a number is given, whatever stands before them."""
MAX_WORDS = 40
"""Words of one document; what follows is not found."""
MAX_WORD = 40
MAX_TEXT = 2_000
"""Characters of a field that are looked at."""
MAX_TERMS = 6
"""Words of one query that are looked at; more say nothing new."""
MAX_QUERY = 500

_NAMES = ("name", "title", "company_name", "official_name", "last_name", "first_name", "middle_name")
SEARCHED_FIELDS = frozenset((*_NAMES, "username", "post", "industry", "address", "site", "email", "emails", "tags",
    "inn", "phone", "phones", "custom", "fields"))  # fmt: skip
"""The fields of a document on which its tokens hang."""
_TEXTS = ("username", "post", "industry", "address", "site", "email")
_NUMBERS = ("inn", "phone")
_WORD = re.compile(r"[^\W_]+")
_WRITTEN = re.compile(rf"[^\W_]+(?:[{re.escape(APOSTROPHES)}]+[^\W_]+)*")
"""A word as it is written, with the apostrophes in it."""
_NUMBER = re.compile(r"[+\d][\d\s().-]*")

Kind = Literal["name", "text", "number"]


class SearchedField(NamedTuple):
    """A text of an object that is searched."""

    name: str
    kind: Kind
    text: str


class Match(NamedTuple):
    """Where a query was found: ``spans`` are (start, end) in the text of the field."""

    field: str
    text: str
    spans: list[tuple[int, int]]


def fields_of(document: Mapping[str, Any]) -> Iterator[SearchedField]:
    """What of an object is searched. Anything may stand there, and what is no text is passed over."""
    for name in _NAMES:
        yield from _texts(name, "name", document.get(name))
    for name in _TEXTS:
        yield from _texts(name, "text", document.get(name))
    for name in ("emails", "tags"):
        for one in _list(document.get(name)):
            yield from _texts(name, "text", one)
    for name in _NUMBERS:
        yield from _texts(name, "number", document.get(name))
    for phone in _list(document.get("phones")):
        number = (phone.get("e164") or phone.get("raw")) if isinstance(phone, Mapping) else phone
        yield from _texts("phones", "number", number)
    for inside in ("custom", "fields"):
        if isinstance(more := document.get(inside), Mapping):
            for name, value in more.items():
                yield from _texts(f"{inside}.{name}", "text", value)


def _texts(name: str, kind: Kind, value: Any) -> Iterator[SearchedField]:
    if isinstance(value, str) and value:
        yield SearchedField(name, kind, value[:MAX_TEXT])


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def tokens_of(document: Mapping[str, Any]) -> list[str]:
    """All tokens of an object, each once and in a fixed order."""
    found: dict[str, None] = {}
    seen: set[tuple[Kind, str]] = set()
    for field in fields_of(document):
        if field.kind == "number":
            found |= dict.fromkeys("#" + gram for gram in _grams(_digits(field.text)[-NUMBER:]))
            continue
        for word in _WORD.findall(sound(field.text)):
            word = word[:MAX_WORD]
            if (field.kind, word) in seen or len(seen) >= MAX_WORDS:
                continue
            seen.add((field.kind, word))
            found |= dict.fromkeys(_beginnings(word))
            if field.kind == "name" and len(word) >= FORGIVING:
                start = word[:DELETED_FROM]
                found |= dict.fromkeys("~" + rest for rest in (start, *_without_one(start)))
    return list(found)


def _beginnings(word: str) -> Iterator[str]:
    yield "^" + word[:DELETED_FROM]
    for length in LENGTHS:
        if len(word) >= length:
            yield "^" + word[:length]


def _without_one(word: str) -> list[str]:
    return [word[:n] + word[n + 1 :] for n in range(len(word))]


def _grams(digits: str) -> list[str]:
    return [digits[n : n + GRAM] for n in range(len(digits) - GRAM + 1)]


def _digits(text: str) -> str:
    return "".join(c for c in text if c in "0123456789")


# ------------------------------------------------------------------ queries


class Term(NamedTuple):
    """One word of a query as it sounds, or the digits of a number; some words may be either."""

    word: str
    digits: str

    def tokens(self, *, forgiving: bool) -> list[list[str]]:
        """All of these lists have a token in common with what is meant."""
        if self.digits and not self.word:
            return [["#" + gram] for gram in _grams(self.digits)]
        length = max((n for n in LENGTHS if n <= len(self.word)), default=len(self.word))
        found = ["^" + self.word[:length]]
        if len(self.digits) >= GRAM:
            found.append("#" + self.digits[:GRAM])
        if forgiving and len(self.word) >= FORGIVING:
            start = self.word[:DELETED_FROM]
            found += ["~" + rest for rest in (start, *_without_one(start))]
        return [list(dict.fromkeys(found))]


def terms_of(query: str) -> list[Term]:
    """What a query asks for. Any text is one; empty where it asks for nothing."""
    query = query[:MAX_QUERY].strip()
    if _NUMBER.fullmatch(query) and len(digits := _digits(query)) >= GRAM:
        return [Term("", digits[-NATIONAL:])]
    unique = _words(query)[:MAX_TERMS]
    return [Term(word, word if word.isdecimal() and word.isascii() else "") for word in unique]


def words_of(query: str) -> list[Term]:
    """The words of a query, also where it looks like a number."""
    return [Term(word, "") for word in _words(query[:MAX_QUERY])]


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(word[:MAX_WORD] for word in _WORD.findall(sound(text))))


def asked(terms: Sequence[Term], *, forgiving: bool) -> list[dict[str, Any]]:
    """The same as conditions of a store's filter, all of which hold."""
    return [
        {"tokens": {"$in": tokens} if len(tokens) > 1 else tokens[0]}
        for term in terms
        for tokens in term.tokens(forgiving=forgiving)
    ]


def rank(terms: Sequence[Term], document: Mapping[str, Any]) -> int | None:
    """How well the worst of the terms matches the object; None where one does not."""
    return ranked(terms, fields_of(document))


def ranked(terms: Sequence[Term], fields: Iterator[SearchedField]) -> int | None:
    """The same of some fields."""
    words: dict[Kind, set[str]] = {"name": set(), "text": set(), "number": set()}
    for kind, text in ((field.kind, field.text) for field in fields):
        words[kind] |= {_digits(text)} if kind == "number" else set(_WORD.findall(sound(text)))
    worst = EXACT
    for term in terms:
        best = _rank(term, words)
        if best is None:
            return None
        worst = max(worst, best)
    return worst if terms else None


def _rank(term: Term, words: Mapping[Kind, set[str]]) -> int | None:
    if len(term.digits) >= GRAM and any(term.digits in number for number in words["number"]):
        whole = len(term.digits) >= WHOLE and any(n.endswith(term.digits) for n in words["number"])
        return EXACT if whole else PREFIX
    if not term.word:
        return None
    for word in (*words["name"], *words["text"]):
        if word[:MAX_WORD] == term.word:
            return EXACT
    begun = (word for kind in ("name", "text") for word in words[kind] if word.startswith(term.word))
    if len(term.word) >= LENGTHS[0] and any(begun):
        return PREFIX
    return FORGIVEN if any(is_one_error(term.word, word) for word in words["name"]) else None


def is_one_error(one: str, other: str) -> bool:
    """Whether the words are the same but for one letter that is missing, too many or another, or two
    neighbours that have changed places; and long enough for that to mean something."""
    if min(len(one), len(other)) < FORGIVING or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


# ------------------------------------------------------------------ what is to be shown of it


def matches(terms: Sequence[Term], document: Mapping[str, Any]) -> list[Match]:
    """The fields in which the terms were found."""
    found = ((field, spans_of(terms, field)) for field in fields_of(document))
    return [Match(field.name, field.text, spans) for field, spans in found if spans]


def spans_of(terms: Sequence[Term], field: SearchedField) -> list[tuple[int, int]]:
    """Where in the text of a field the terms are."""
    if field.kind == "number":
        return [span for term in terms if (span := _span_of_digits(term.digits, field.text))]
    spans = []
    for written in _WRITTEN.finditer(field.text):
        words = set(_WORD.findall(sound(written[0])))
        of: dict[Kind, set[str]] = {"name": set(), "text": set(), "number": set()}
        of[field.kind] = words
        if any(term.word and _rank(term, of) is not None for term in terms):
            spans.append(written.span())
    return spans


def _span_of_digits(digits: str, text: str) -> tuple[int, int] | None:
    if len(digits) < GRAM:
        return None
    found = re.search(r"[^0-9]*".join(digits), text)
    return found.span() if found else None
