"""No secret is ever logged."""

from __future__ import annotations

import logging

import pytest

from navbat.logs import Redacting

SECRETS = [
    "bot 123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw is new",
    "nb_419b8514_faNcLPo1WuKZHmI9fPP5sVO58OmFFw8P0l6-ZEB2WgM came",
    "cannot reach redis://user:hunter22@host:6379/0",
    "Authorization: Bearer abcdefgh12345678",
    "the configured one: very-own-secret!",
]


@pytest.mark.parametrize("text", SECRETS)
def test_what_looks_like_a_secret_is_blacked_out(text: str) -> None:
    formatter = Redacting(["very-own-secret!"])
    for record in (
        logging.LogRecord("a", logging.INFO, "f", 1, text, (), None),
        logging.LogRecord("a", logging.INFO, "f", 1, "%s", (text,), None),
    ):
        line = formatter.format(record)
        assert "***" in line
        for word in ("AAHdqT", "faNcLP", "hunter22", "abcdefgh", "very-own"):
            assert word not in line


def test_in_tracebacks_too() -> None:
    try:
        raise RuntimeError(SECRETS[0])
    except RuntimeError as error:
        info = (type(error), error, error.__traceback__)
    line = Redacting().format(logging.LogRecord("a", logging.ERROR, "f", 1, "failed", (), info))
    assert "RuntimeError" in line
    assert "AAHdqT" not in line


def test_ordinary_lines_stay_as_they_are() -> None:
    text = "router writes from 1795473125047-0 with 12 open sessions of line sales:support"
    assert Redacting(["short"]).format(logging.LogRecord("a", 20, "f", 1, text, (), None)).endswith(text)
