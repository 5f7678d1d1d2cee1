"""No secret is ever logged."""

from __future__ import annotations

import logging

import pytest

from navbat.run.logs import REMEMBERED, Folding, Redacting

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


class Written:
    """A log as it would be written, at times of our choice."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self._handler = logging.Handler()
        self._handler.emit = lambda record: self.lines.append(Redacting().format(record))  # type: ignore[method-assign]
        self._handler.addFilter(Folding(lambda: self.now))

    def log(self, text: str, *args: object, name: str = "a", level: int = logging.ERROR) -> None:
        self._handler.handle(logging.LogRecord(name, level, "f", 1, text, args, None))


def test_a_line_without_end_is_counted() -> None:
    log = Written()
    for _ in range(123_456):
        log.now += 0.0001
        log.log("cannot accept: EMFILE")
    assert len(log.lines) == 3 + 5
    assert log.lines[-1].endswith("cannot accept: EMFILE (100000 like it in 10 s)")
    log.now += 60
    log.log("cannot accept: EMFILE")
    assert log.lines[-1].endswith("(23456 more like it before)")


def test_lines_that_differ_only_in_their_values_are_counted_together() -> None:
    log = Written()
    for number in range(10_000):
        log.log("connection %d is gone", number)
    assert len(log.lines) == 20 + 3
    assert log.lines[-1].endswith("connection 9999 is gone (10000 like it in 0 s)")


def test_a_line_of_another_kind_comes_through_a_flood() -> None:
    log = Written()
    for number in range(10_000):
        log.log("gone %d", number)
        if number == 5_000:
            log.log("channel %s is down", "shop")
            log.log("gone %d", 1, name="b")
            log.log("gone %d", 1, level=logging.WARNING)
    assert sum("channel shop is down" in line for line in log.lines) == 1
    assert len(log.lines) == 20 + 3 + 3


def test_only_so_many_lines_are_remembered() -> None:
    log = Written()
    for number in range(3 * REMEMBERED):
        log.log(f"text {number}")
    assert len(log.lines) == 3 * REMEMBERED
    assert len(log._handler.filters[0]._counts) == REMEMBERED  # type: ignore[union-attr]


def test_the_lines_of_a_broken_call_are_left_to_the_handler() -> None:
    record = logging.LogRecord("a", logging.ERROR, "f", 1, "%d things", ("x",), None)
    assert Folding().filter(record)
