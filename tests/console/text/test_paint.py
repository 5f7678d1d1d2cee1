"""Messages as lines: what is shown of each kind, in the cells there are."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from console.model import Echo
from console.text.paint import TICKS, Brush, echo_lines, message_lines, system_text
from console.text.words import Words, size
from console.text.wrap import fit, wrap
from crm.kernel.records import Button, Media, Message, Version
from tests.fakes.gateway import NOW, message


def painted(width: int = 80, **fields: Any) -> str:
    return shown(message_lines(brush(width), [message("10", 1, **fields)]))


def brush(width: int = 80, language: str = "en") -> Brush:
    return Brush(Words(language), UTC, width, "anna", "Ali Karimov")


def shown(lines: list[list[tuple[str, str]]]) -> str:
    return "\n".join("".join(text for _, text in line).rstrip() for line in lines)


def test_a_message_has_time_name_and_text() -> None:
    assert painted(text="salom") == "09:50  Ali        salom"
    assert painted(width=40, text="salom") == "09:50  Ali\n  salom"


@pytest.mark.parametrize("state", ["queued", "sent", "delivered", "read", "failed", "unknown"])
def test_every_state_has_its_own_mark(state: str) -> None:
    lines = painted(text="x", direction="out", author="anna", delivery=state)
    assert lines.rstrip().endswith(TICKS[state])
    assert len(set(TICKS.values())) == len(TICKS)


def test_kinds() -> None:
    photo = Media(kind="photo", width=1280, height=960, size=212_000)
    assert "[photo 1280×960 212 kB]" in painted(kind="photo", media=[photo])
    assert "[voice 0:12 31 kB]" in painted(
        kind="voice", media=[Media(kind="voice", duration=12, size=31_000)]
    )
    assert "[place 41.31110, 69.24000]" in painted(
        media=[Media(kind="location", latitude=41.3111, longitude=69.24)]
    )
    assert "[contact Olga +998]" in painted(media=[Media(kind="contact", name="Olga", phone="+998")])
    assert "could not be fetched" in painted(media=[Media(kind="document", name="a.pdf", error="gone")])
    assert "unsupported" in painted(kind="unsupported", raw=b"{}")
    assert "▸ Yes" in painted(kind="button", text="Yes")
    assert "⟦Yes⟧  ⟦No⟧" in painted(text="?", buttons=[Button(text="Yes"), Button(text="No")])


def test_marks() -> None:
    assert "x (edited)" in painted(text="x", edited_at=NOW)
    assert "x (deleted)" in painted(text="x", deleted_at=NOW)
    failed = Version(at=NOW, text="the other", edit="e", delivery="failed", error="too old")
    lines = painted(text="x", direction="out", versions=[failed]).splitlines()
    assert lines[0].endswith("x")
    assert "! correction not delivered (too old): the other" in lines[1]
    assert "edited" not in "".join(lines)
    assert "x (edited, ? the correction may not have arrived)" in painted(
        text="x", edited_at=NOW, edit="e", edit_delivery="unknown", direction="out"
    )
    assert "(dilnoza)" in painted(text="x", direction="note", author="dilnoza")
    assert "▏what?" in painted(text="x", reply_to="9", reply_text="what?")
    assert "👍 You" in painted(text="x", reactions={"anna": ["👍"]})
    assert "may have been delivered" in painted(text="x", direction="out", delivery="unknown")


def test_an_album_is_one_block() -> None:
    album = [message("10", n, album="a", media=[Media(kind="photo")]) for n in (1, 2, 3)]
    assert shown(message_lines(brush(), album)).count("[photo]") == 3
    assert shown(message_lines(brush(), album)).count("09:50") == 1


def test_links_carry_their_address_and_nothing_else_does() -> None:
    spans = [
        span
        for line in message_lines(brush(), [message("10", 1, "see https://a.uz/x?y=1, ok")])
        for span in line
    ]
    assert ("link https://a.uz/x?y=1", "https://a.uz/x?y=1") in spans
    spans = [
        span
        for line in message_lines(brush(), [message("10", 1, "javascript:alert(1) file:///etc")])
        for span in line
    ]
    assert not any(style.startswith("link") for style, _ in spans)


@pytest.mark.parametrize("language", ["en", "ru", "uz"])
def test_the_desks_notes_are_told_in_the_language(language: str) -> None:
    words = Words(language)
    assert "anna" in system_text(words, "taken|operator=anna")
    assert "–" in system_text(words, "returned|operator=anna")
    assert system_text(words, "new_thing|x=1") == "new_thing"
    assert system_text(words, "") == ""


def test_an_echo_is_marked_unsent() -> None:
    lines = shown(echo_lines(brush(), Echo("1", "10", "reply", "hi", NOW)))
    assert lines.endswith("⋯")


TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("аяўқ 漢字🙂 \n e\u0301")), max_size=200)


@given(TEXTS, st.integers(20, 120))
def test_no_line_is_wider_than_its_pane(text: str, width: int) -> None:
    for line in message_lines(brush(width), [message("10", 1, text, edited_at=NOW)]):
        assert sum(cell_len(part) for _, part in line) <= width


@given(st.text(st.sampled_from("ab 漢🙂\n"), max_size=120), st.integers(2, 40))
def test_wrapping_loses_no_letter(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(st.text(max_size=50), st.integers(1, 30))
def test_fit_is_exact(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width


def test_sizes() -> None:
    assert [size(n) for n in (1, 212_000, 1_400_000)] == ["1 kB", "212 kB", "1.4 MB"]


def test_spans() -> None:
    words = Words("en")
    assert [words.span(n * 1000) for n in (-5, 42, 725, 3600 * 3, 86_400 * 2)] == [
        "0:00",
        "0:42",
        "12:05",
        "3 h",
        "2 d",
    ]


def test_a_long_message_is_shown_whole() -> None:
    text = "x" * 60_000
    lines: list[Message] = [message("10", 1, text)]
    assert shown(message_lines(brush(), lines)).count("x") == 60_000
