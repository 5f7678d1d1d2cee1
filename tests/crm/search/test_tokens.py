"""Tokens find all that is meant, and rank tells how well."""

from __future__ import annotations

import random
from typing import Any

import pytest

from crm.kernel.tokens import (
    EXACT,
    FORGIVEN,
    FORGIVING,
    MAX_WORDS,
    PREFIX,
    is_one_error,
    matches,
    rank,
    terms_of,
    tokens_of,
)

CARD: dict[str, Any] = {
    "name": "Anvar Karimov",
    "phones": [{"raw": "90 123-45-67", "e164": "+998901234567"}],
    "emails": ["a.karimov@mail.uz"],
    "tags": ["doimiy mijoz"],
    "custom": {"shahar": "Samarqand", "n": 5},
}
LETTERS = "abdeghijklmnopqrstuvxz"


def how(query: str, document: dict[str, Any] | None = None) -> int | None:
    """How the query matches, by the document and by its tokens alike."""
    document = CARD if document is None else document
    terms, tokens = terms_of(query), set(tokens_of(document))
    found = rank(terms, document)
    by_tokens = [
        bool(terms) and all(tokens & set(some) for term in terms for some in term.tokens(forgiving=forgiving))
        for forgiving in (False, True)
    ]
    if found is not None:
        assert by_tokens[found == FORGIVEN]
    return found


@pytest.mark.parametrize(
    ("query", "rank"),
    [
        ("karimov", EXACT), ("КАРИМОВ", EXACT), ("Анвар Каримов", EXACT), ("karimov anvar", EXACT),
        ("ka", PREFIX), ("k", None), ("карим", PREFIX), ("anvar kari", PREFIX),
        ("Karimof", FORGIVEN), ("krimov", FORGIVEN), ("karrimov", FORGIVEN), ("akrimov", FORGIVEN),
        ("Анвра каримов", FORGIVEN), ("karimova", FORGIVEN),
        ("4567", PREFIX), ("123-45", PREFIX), ("+998 90 123 45 67", EXACT), ("8 90 123 45 67", EXACT),
        ("+998 90", PREFIX), ("anvar 2345", PREFIX), ("901234567", EXACT),
        ("mail", EXACT), ("mijoz", EXACT), ("самарканд", None), ("Самарқанд", EXACT), ("samarkand", None),
        ("sam", PREFIX), ("karim anvarov", None), ("4568", None), ("mijos", None), ("567", None),
        ("", None), ("'\"*()", None), ("\0", None), ("\u202e\u2066", None),
    ],
)  # fmt: skip
def test_how_well_a_query_matches(query: str, rank: int | None) -> None:
    assert how(query) == rank


def test_what_was_found_is_shown_where_it_is() -> None:
    found = {
        match.field: [match.text[a:b] for a, b in match.spans] for match in matches(terms_of("каримов"), CARD)
    }
    assert found == {"name": ["Karimov"], "emails": ["karimov"]}
    (number,) = matches(terms_of("123 45"), CARD)
    assert [number.text[a:b] for a, b in number.spans] == ["12345"]
    (apostrophe,) = matches(terms_of("yoq"), {"name": "Bugun yo‘q!"})
    assert [apostrophe.text[a:b] for a, b in apostrophe.spans] == ["yo‘q"]


def test_one_error_at_random_is_forgiven() -> None:
    chance = random.Random(7)
    for _ in range(2_000):
        name = "".join(chance.choices(LETTERS, k=chance.randint(FORGIVING + 1, 14)))
        document = {"name": f"{name} bobo"}
        query = _mistyped(name, chance)
        found = how(query, document)
        # The sounds of some neighbours are one letter: then two may have changed.
        assert found is not None or not is_one_error(terms_of(query)[0].word, terms_of(name)[0].word)
        assert (found is None) <= (terms_of(query)[0].word != terms_of(name)[0].word)


def _mistyped(word: str, chance: random.Random) -> str:
    at = chance.randrange(len(word))
    letter = chance.choice(LETTERS)
    match chance.randrange(4):
        case 0:
            return word[:at] + word[at + 1 :]
        case 1:
            return word[:at] + letter + word[at:]
        case 2:
            return word[:at] + letter + word[at + 1 :]
        case _:
            return word[:at] + word[at : at + 2][::-1] + word[at + 2 :]


def _distance(one: str, other: str) -> int:
    """Of Damerau and Levenshtein, by the book."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        rows.append([i])
        for j, b in enumerate(other, 1):
            best = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, rows[i - 2][j - 2] + 1)
            rows[i].append(best)
    return rows[-1][-1]


def test_one_error_is_a_distance_of_one() -> None:
    chance = random.Random(3)
    for _ in range(3_000):
        one = "".join(chance.choices("abc", k=chance.randint(FORGIVING, 8)))
        other = (
            "".join(chance.choices("abc", k=len(one))) if chance.random() < 0.3 else _mistyped(one, chance)
        )
        if len(other) >= FORGIVING:
            assert is_one_error(one, other) == (_distance(one, other) <= 1)


def test_a_long_text_has_few_tokens() -> None:
    words = " ".join(f"so{n}z" for n in range(5_000))
    assert len(tokens_of({"title": words, "name": "x" * 1_000_000})) <= MAX_WORDS * 12


@pytest.mark.parametrize("value", [None, 5, ["a", 7, None], {"a": {"b": 1}}, b"x", [{"e164": 7}], True])
def test_anything_may_stand_in_a_document(value: Any) -> None:
    fields = ("name", "phones", "emails", "tags", "custom", "fields", "phone")
    assert tokens_of(dict.fromkeys(fields, value)) is not None
