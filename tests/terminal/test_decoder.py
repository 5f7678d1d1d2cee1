"""Bytes to keys: what each terminal sends for each binding, and what must not be a key."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.message import Message

from console.actions import ACTIONS
from console.terminal.decoder import Decoder, Key, Paste, acting, brackets_pastes
from console.terminal.layouts import LATIN, LAYOUTS, Layout, latin
from console.widgets.composer import BREAK_KEYS
from tests.terminal.keyboards import KEYBOARDS, KEYPAD_ENTER

BOUND = sorted({key for action in ACTIONS for key in action.keys} | {"shift+enter"})


def decoded(*reads: str, brackets: bool = True) -> list[Message]:
    """Events of these reads, a lone escape at the end taken for the key."""
    decoder = Decoder(brackets=brackets)
    found = [event for read in reads for event in decoder.feed(read)]
    return [*found, *decoder.end()]


def keys(*reads: str, brackets: bool = True) -> list[str]:
    return [e.key for e in decoded(*reads, brackets=brackets) if isinstance(e, events.Key)]


@pytest.mark.parametrize("name", KEYBOARDS)
@pytest.mark.parametrize("key", BOUND)
def test_every_binding_is_what_every_terminal_sends_for_it(name: str, key: str) -> None:
    keyboard = KEYBOARDS[name]
    if key == "shift+enter" and keyboard.bytes(key) == b"\r":
        pytest.skip("this terminal sends Enter for it")
    brackets = brackets_pastes(keyboard.environment or {"TERM": "xterm"})
    assert keys(keyboard.bytes(key).decode(), brackets=brackets) == [key]


@pytest.mark.parametrize("name", KEYBOARDS)
def test_alt_enter_in_pieces_is_still_no_enter(name: str) -> None:
    sequence = KEYBOARDS[name].bytes("alt+enter").decode()
    for cut in range(1, len(sequence)):
        assert keys(sequence[:cut], sequence[cut:]) == ["alt+enter"]
    assert keys(*sequence) == ["alt+enter"]


def test_a_meta_that_is_folded_into_a_byte_or_sent_after_an_escape() -> None:
    assert keys("\x1b\n") == keys("\x8a") == ["alt+enter"]
    assert keys("\x1b\x1b\r") == ["escape", "alt+enter"]
    assert "alt+enter" in BREAK_KEYS


def test_the_keypad_has_an_enter_too() -> None:
    assert [keys(data.decode()) for data in KEYPAD_ENTER.values()] == [["enter"], ["enter"]]


@pytest.mark.parametrize(
    "sequence",
    ["\x1b[116;1:3u", "\x1b[999999999u", "\x1b[97;;999999999u", "\x1b[55296u", "\x1b[97;;55296u"],
)
def test_a_release_and_what_is_no_character_are_no_keys(sequence: str) -> None:
    assert keys(sequence + "t") == ["t"]


def test_a_letter_without_its_text_is_still_typed() -> None:
    typed = [e for e in decoded("\x1b[116u\x1b[116;2u\x1b[49:33;2u") if isinstance(e, events.Key)]
    assert [(e.key, e.character) for e in typed] == [("t", "t"), ("T", "T"), ("exclamation_mark", "!")]


# ---------------------------------------------------------------- layouts


def places(layout: Layout) -> list[tuple[str, str]]:
    """(own, Latin) of every key, without and with Shift."""
    return [
        pair
        for own_rows, latin_rows in zip(layout, LATIN, strict=True)
        for own, other in zip(own_rows, latin_rows, strict=True)
        for pair in zip(own, other, strict=True)
    ]


def letter_keys() -> set[str]:
    signs = {"slash": "/", "question_mark": "?", "left_square_bracket": "[", "right_square_bracket": "]"}
    found = {signs.get(key, key) for action in ACTIONS for key in action.keys}
    return {key for key in found if len(key) == 1}


@pytest.mark.parametrize("name", ["ru", "uz", "ua", "kz"])
def test_every_letter_that_acts_acts_in_every_layout(name: str) -> None:
    bound = letter_keys()
    names = {"/": "slash", "?": "question_mark", "[": "left_square_bracket", "]": "right_square_bracket"}
    there = [(own, key) for own, key in places(LAYOUTS[name]) if key in bound]
    if name == "kz":  # № and ? are on the key of / there: ? is one of ours, and № is Russian Shift+3
        there = [(own, key) for own, key in there if key not in "/?"]
    assert {key for _, key in there} >= bound - set("/?")
    for own, key in there:
        [event] = decoded(own)
        assert isinstance(event, events.Key)
        assert acting(event, lambda key: key in BOUND).key == names.get(key, key), (own, key)


@pytest.mark.parametrize("name", ["ru", "uz", "ua"])
def test_kitty_tells_the_place_of_a_key(name: str) -> None:
    for (own, key), (shifted, _) in zip(places(LAYOUTS[name])[:47], places(LAYOUTS[name])[47:], strict=True):
        if own.isascii():
            continue
        [ctrl] = decoded(f"\x1b[{ord(own)}::{ord(key)};5u")
        [plain] = decoded(f"\x1b[{ord(own)}::{ord(key)};;{ord(own)}u")
        [big] = decoded(f"\x1b[{ord(own)}:{ord(shifted)}:{ord(key)};2;{ord(shifted)}u")
        assert isinstance(ctrl, events.Key)
        assert isinstance(plain, Key)
        assert isinstance(big, Key)
        if key.isalpha():
            assert ctrl.key == f"ctrl+{key}"
        assert (plain.character, plain.latin) == (own, key)  # what is typed stays what it is
        assert big.character == shifted
        assert big.latin == key.upper()


def test_ctrl_and_alt_with_a_letter_of_another_layout() -> None:
    assert keys("\x1b[1079;5u") == ["ctrl+p"]  # з, no place told
    assert keys("\x1b[27;5;1079~") == ["ctrl+p"]
    assert keys("\x1b[1190::119;5u") == ["ctrl+w"]  # a layout that we do not know
    assert keys("\x1bз") == ["alt+p"]
    assert keys("\x1b[1079;1;112u") == ["p"]


def test_a_place_in_a_layout_that_we_do_not_know() -> None:
    [greek] = decoded("\x1b[964::116;;964u")  # τ
    assert isinstance(greek, events.Key)
    assert (greek.character, acting(greek, lambda _: False).key) == ("τ", "t")


def test_what_a_latin_layout_has_is_itself() -> None:
    for character in "tT[]?/c1 ":
        [event] = decoded(character)
        assert isinstance(event, events.Key)
        assert acting(event, lambda _: True) is event
    assert latin("t") == ""


def test_layouts_differ_only_where_they_say() -> None:
    for layout in LAYOUTS.values():
        own = [character for rows in layout for row in rows for character in row]
        assert len(own) == 94
    assert latin("қ") == "s"
    assert latin("ў") == "o"
    assert latin("Е") == "T"
    assert latin("і") == "s"


# ---------------------------------------------------------------- pastes


def pastes(*reads: str, brackets: bool = True) -> list[str]:
    return [e.text for e in decoded(*reads, brackets=brackets) if isinstance(e, events.Paste)]


def test_lines_in_one_read_are_a_paste() -> None:
    assert pastes("one\rtwo\r") == ["one\rtwo\r"]
    assert keys("one\rtwo\r") == []
    assert pastes("one\r\rtwo", "three", "\r") == ["one\r\rtwo", "three", "\r"]


def test_enter_after_typed_text_is_enter_where_pastes_are_marked() -> None:
    assert keys("ok\r") == ["o", "k", "enter"]


@pytest.mark.parametrize("reads", [["one\r"], ["one\n"], ["one", "\r"], ["\rone"], ["one\r\n"]])
def test_where_pastes_are_not_marked_no_line_end_beside_text_sends(reads: list[str]) -> None:
    assert not {"enter", "ctrl+j"} & set(keys(*reads, brackets=False))


def test_typing_is_typing_where_pastes_are_not_marked() -> None:
    assert keys("o", "\r", "\x1b[A", "\r", brackets=False) == ["o", "enter", "up", "enter"]
    assert keys("\r\r", brackets=False) == ["enter", "enter"]
    assert keys("o\x1b\r", brackets=False) == ["o", "alt+enter"]


@pytest.mark.parametrize("cuts", [[], [3], [8], [20], [21, 22, 23], list(range(1, 40))])
def test_a_marked_paste_is_one_however_it_comes(cuts: list[int]) -> None:
    text = "a\rb \x1b[31m\x1b\r" + "c" * 40 + "\r\n"
    whole = f"\x1b[200~{text}\x1b[201~z"
    edges = [0, *cuts, len(whole)]
    reads = [whole[start:end] for start, end in pairwise(edges)]
    assert pastes(*reads) == [text]
    assert keys(*reads) == ["z"]


def test_unmarked_pastes_can_be_read_as_keys() -> None:
    [paste] = decoded("anna\rsecret\r")
    assert isinstance(paste, Paste)
    assert [e.key for e in paste.keys if isinstance(e, events.Key)].count("enter") == 2


def test_which_terminals_mark_pastes() -> None:
    for term in ("xterm-256color", "xterm-kitty", "tmux-256color", "foot", "rxvt-unicode-256color"):
        assert brackets_pastes({"TERM": term})
    for term in ("linux", "screen", "screen-256color", "vt100", "dumb", ""):
        assert not brackets_pastes({"TERM": term})
    assert not brackets_pastes({"TERM": "xterm-256color", "STY": "1.host"})
    assert brackets_pastes({"TERM": "screen-256color", "TMUX": "/tmp/tmux"})


@given(
    st.lists(st.text(st.sampled_from("\x1b[<>?:;0123456789~uMRIOt\r\nабA\x9b\x8d\x00\ud800 "), max_size=12))
)
def test_whatever_comes_in_whatever_pieces_is_no_error(reads: list[str]) -> None:
    """A parser that raises would end the console."""
    decoded(*reads)
    decoded(*reads, brackets=False)
