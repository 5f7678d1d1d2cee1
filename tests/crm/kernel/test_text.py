"""What comes out of ``clean`` can be shown anywhere."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.kernel.text import ELLIPSIS, LIMIT, MAX_JOINERS, MAX_MARKS, clean, is_visible, one_line
from tests.data.hostile import HARMLESS, HOSTILE

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

# Dense in what matters, so that Hypothesis finds combinations.
NASTY = st.text(
    st.sampled_from(
        "\x1b\x9b\x9d\x90\x9c\x07\\[]PX^_0;1m \n\r\t\x85\u2028a\u0301\u200d\u200b\ufe0f\u202e\ud800\U000e0041ё👍"
    )
)
ANY = st.text(st.characters(codec=None, exclude_categories=()))


def harmless(text: str) -> None:
    for character in text:
        assert character == "\n" or unicodedata.category(character) not in ("Cc", "Cs"), ascii(character)
        assert character not in BIDI, ascii(character)
        assert not 0xE0000 <= ord(character) < 0xE1000, ascii(character)
        assert character not in "\u200b\u2060\ufeff\u2028\u2029", ascii(character)
    run = 0
    for character in text:
        run = run + 1 if unicodedata.category(character) in ("Mn", "Me", "Cf") else 0
        assert run <= MAX_MARKS + MAX_JOINERS + 1, ascii(text)


@given(NASTY | ANY, st.integers(1, 60))
def test_nothing_forbidden_is_left(text: str, limit: int) -> None:
    result = clean(text, limit)
    harmless(result)
    assert len(result) <= limit
    assert clean(result, limit) == result


@given(NASTY | ANY, st.integers(1, 60))
def test_one_line_is_one_line(text: str, limit: int) -> None:
    result = one_line(text, limit)
    harmless(result)
    assert "\n" not in result
    assert "  " not in result
    assert result == result.lstrip()
    assert len(result) <= limit
    assert one_line(result, limit) == result


@given(st.text(st.characters(categories=("Lu", "Ll", "Nd", "Po", "Zs"), exclude_characters="\u115f\u1160")))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_every_script_keeps_its_spelling(text: str) -> None:
    assert clean(text) == text
    assert clean(text + "\x1b") == text


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts(text: str) -> None:
    started = time.process_time()
    result = clean(text)
    assert time.process_time() - started < 0.5
    harmless(result)
    assert len(result) <= LIMIT
    harmless(one_line(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;owned\x07 text", " text"),
        ("\x1b]8;;http://evil.example\x1b\\bank\x1b]8;;\x1b\\", "bank"),
        ("\x1b]0;never ends", "0;never ends"),
        ("\x1bP1$r0m\x1b\\left", "left"),
        ("\x9b31mred", "red"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\tb", "a    b"),
        ("a\r\nb\rc\u2028d\x85e", "a\nb\nc\nd\ne"),
        ("a\ud800b", "ab"),
        ("[b]x[/b]", "[b]x[/b]"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * MAX_MARKS),
        ("a" + "\u200d" * 50 + "b", "a" + "\u200d" * MAX_JOINERS + "b"),
        ("a" * 20, "a" * 9 + ELLIPSIS),
    ],
)
def test_what_becomes_of_it(text: str, expected: str) -> None:
    assert clean(text, 10 if text == "a" * 20 else LIMIT) == expected


def test_a_cut_never_leaves_half_a_letter() -> None:
    assert clean("abcde\u0301\u0301" + "x" * 20, 7) == "abcde" + ELLIPSIS
    assert re.fullmatch(r"a+…", clean("a" * 1_000_000))


def test_names() -> None:
    assert one_line("  Ali \n\t Valiyev\u202e ") == "Ali Valiyev"
    assert one_line("x" * 500, 10) == "x" * 9 + ELLIPSIS
    assert one_line("Ali") == "Ali"


INVISIBLE = (
    "", " ", "\t\n\x0b", "\u00a0", "\u2003\u3000", "\u1680", "\u2028", "\x00\x1b\x7f", "\u0085",
    "\u00ad", "\u034f", "\u061c", "\u115f", "\u1160", "\u17b4", "\u180b", "\u180e", "\u200b", "\u200d\u200c",
    "\u200e\u202e\u2066", "\u2060", "\u2063", "\u2065", "\u206f", "\u2800", "\u3164", "\ufe0f", "\ufeff", "\uffa0",
    "\ufff3", "\ufff9", "\ufffc", "\uffff", "\ud800", "\u0301\u0308", "\u20e3", "\U0001d159", "\U0001d173",
    "\U0001bca0", "\U00013441", "\U000e0001\U000e0041\U000e007f", "\U000e0100", "\U000e0fff", "\U0010ffff",
)  # fmt: skip


@pytest.mark.parametrize("text", INVISIBLE, ids=ascii)
def test_what_nobody_sees(text: str) -> None:
    assert not is_visible(text)
    assert not is_visible(text * 3 + " \u200b")
    assert is_visible(text + "a" + text)


@pytest.mark.parametrize(
    "text",
    [*"a1.-_?,!\"$", "я", "ʻ", "漢", "한", "ا", "क", "👍", "👨\u200d👩", "❤\ufe0f", "1\ufe0f\u20e3", "🇺🇿", "⠁", "␢",
     "\ufffd", "\ue000", "\U0001fae8", "\U0001fadf", "…", "≈", "€", "\u0640"],
    ids=ascii,
)  # fmt: skip
def test_what_is_seen(text: str) -> None:
    assert is_visible(text)
    assert is_visible("\u200b" + text)


def test_everything_that_is_taken_out_of_texts_is_also_not_seen() -> None:
    seen = [chr(code) for code in range(0x110000) if is_visible(chr(code)) and not clean(chr(code))]
    assert seen == []


def test_whole_categories_are_not_seen() -> None:
    for code in range(0x110000):
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn", "Me"):
            assert not is_visible(chr(code)), hex(code)
