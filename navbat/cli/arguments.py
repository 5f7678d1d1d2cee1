"""The command line's words: what each may be, said with what is known when it is not. Imports nothing
heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

STATUSES = ("bot", "waiting", "offered", "taken", "answered", "pending", "closing", "closed", "spam")
MOST = 10**9
"""No number that somebody means is larger."""

# ISO 639-1.
LANGUAGES = frozenset(
    [
        "aa",
        "ab",
        "ae",
        "af",
        "ak",
        "am",
        "an",
        "ar",
        "as",
        "av",
        "ay",
        "az",
        "ba",
        "be",
        "bg",
        "bh",
        "bi",
        "bm",
        "bn",
        "bo",
        "br",
        "bs",
        "ca",
        "ce",
        "ch",
        "co",
        "cr",
        "cs",
        "cu",
        "cv",
        "cy",
        "da",
        "de",
        "dv",
        "dz",
        "ee",
        "el",
        "en",
        "eo",
        "es",
        "et",
        "eu",
        "fa",
        "ff",
        "fi",
        "fj",
        "fo",
        "fr",
        "fy",
        "ga",
        "gd",
        "gl",
        "gn",
        "gu",
        "gv",
        "ha",
        "he",
        "hi",
        "ho",
        "hr",
        "ht",
        "hu",
        "hy",
        "hz",
        "ia",
        "id",
        "ie",
        "ig",
        "ii",
        "ik",
        "io",
        "is",
        "it",
        "iu",
        "ja",
        "jv",
        "ka",
        "kg",
        "ki",
        "kj",
        "kk",
        "kl",
        "km",
        "kn",
        "ko",
        "kr",
        "ks",
        "ku",
        "kv",
        "kw",
        "ky",
        "la",
        "lb",
        "lg",
        "li",
        "ln",
        "lo",
        "lt",
        "lu",
        "lv",
        "mg",
        "mh",
        "mi",
        "mk",
        "ml",
        "mn",
        "mr",
        "ms",
        "mt",
        "my",
        "na",
        "nb",
        "nd",
        "ne",
        "ng",
        "nl",
        "nn",
        "no",
        "nr",
        "nv",
        "ny",
        "oc",
        "oj",
        "om",
        "or",
        "os",
        "pa",
        "pi",
        "pl",
        "ps",
        "pt",
        "qu",
        "rm",
        "rn",
        "ro",
        "ru",
        "rw",
        "sa",
        "sc",
        "sd",
        "se",
        "sg",
        "si",
        "sk",
        "sl",
        "sm",
        "sn",
        "so",
        "sq",
        "sr",
        "ss",
        "st",
        "su",
        "sv",
        "sw",
        "ta",
        "te",
        "tg",
        "th",
        "ti",
        "tk",
        "tl",
        "tn",
        "to",
        "tr",
        "ts",
        "tt",
        "tw",
        "ty",
        "ug",
        "uk",
        "ur",
        "uz",
        "ve",
        "vi",
        "vo",
        "wa",
        "wo",
        "xh",
        "yi",
        "yo",
        "za",
        "zh",
        "zu",
    ]
)


class Parser(argparse.ArgumentParser):
    """Of an unknown word it says what is known, and what was probably meant."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, unknown_word("value", str(value), map(str, action.choices)))


def unknown_word(what: str, word: str, allowed: Iterable[str]) -> str:
    """``unknown key answer_withn; did you mean answer_within? Allowed: …``"""
    import difflib

    known = sorted(filter(None, allowed))
    same = [name for name in known if name.casefold() == word.casefold()]
    close = same or difflib.get_close_matches(word, known, 1)
    hint = f"; did you mean {close[0]}?" if close else "."
    shown = word or '""'
    return f"unknown {what} {shown}{hint} Allowed: {', '.join(known) or 'none'}"


def whole(least: int = 1, most: int = MOST) -> Callable[[str], int]:
    """The type of a whole number."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}")
        return value

    return number


def languages(text: str) -> str:
    """The type of a list of languages' codes."""
    for code in filter(None, (part.strip() for part in text.split(","))):
        if wrong := language_problem(code):
            raise argparse.ArgumentTypeError(wrong)
    return text


def language_problem(code: str) -> str:
    """Why this is no language that a customer's app or an operator's account names; empty when it is one."""
    return "" if code.partition("-")[0] in LANGUAGES else unknown_word("language", code, LANGUAGES)


def backwards_joined(words: Sequence[str]) -> list[str]:
    """``--sort -title`` as ``--sort=-title``: argparse would take the order for another option."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "--sort" and word.startswith("-") and len(word) > 2 and word[1] != "-":
            joined[-1] = f"--sort={word}"
        else:
            joined.append(word)
    return joined


def check_text(parser: argparse.ArgumentParser, words: Collection[str]) -> None:
    """Ends the program with 2 when a word has bytes that are no text, or a zero byte."""
    for number, word in enumerate(words, 1):
        if word.startswith("--") and word.endswith("=--"):
            parser.error(f"{word[:-3]} needs a value")  # argparse would make an empty list of it
        if "\0" in word or any("\ud800" <= letter <= "\udfff" for letter in word):
            parser.error(f"argument {number} is no text: it holds a zero byte, or bytes that are not UTF-8")
