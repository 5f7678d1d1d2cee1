"""What the terminal's bytes mean: Textual's parser, and what it does not know.

- ``ESC CR`` is Alt+Enter wherever the kitty protocol is not spoken (xterm, VTE, tmux, screen, the Linux
  console, xterm.js). Textual takes the escape away and would say Enter, which sends.
- xterm's ``modifyOtherKeys`` form ``CSI 27;3;13~``.
- the kitty protocol's alternate keys (``CSI 1089::99;5u``), which Textual does not ask for and cannot
  read. They tell the place of a key in every layout.
- Ctrl and Alt with a letter of another layout: the Latin letter of that key.
- a paste in a terminal that does not bracket it: text and line ends in one read are no typing.

Textual has no hook for any of these, so its parser (of version 8, as ``pyproject.toml`` says) is subclassed
at its two lowest methods.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Final

from textual import events
from textual._keyboard_protocol import FUNCTIONAL_KEYS
from textual._xterm_parser import XTermParser
from textual.keys import Keys, _character_to_key
from textual.message import Message

from console.terminal.layouts import latin

ALT_ENTER: Final = frozenset(["\x1b\r", "\x1b\n", "\x8d", "\x8a"])
"""With the escape in front, or (terminals with an eight-bit Meta) folded into one C1 character."""
TOGETHER: Final = 0.03
"""Seconds after a paste within which more of it comes: nobody presses Enter so soon."""
CONTROLLED: Final = 0b111110
"""Every modifier but Shift; Caps and Num Lock are states and no modifiers of ours."""
SHIFT: Final = 1
RELEASED: Final = "3"
PASTE_START: Final = "\x1b[200~"
PASTE_END: Final = "\x1b[201~"

_EXTENDED = re.compile(r"\x1b\[(\d+)(?::(\d*))?(?::(\d*))?(?:;(\d*)(?::(\d*))?)?(?:;([\d:]*))?([u~])")
_RUN = re.compile(r"(?:\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?)|[^\x1b]+", re.DOTALL)
"""An escape sequence, or what stands between two."""
_UNBRACKETED = re.compile(r"linux|screen|vt\d|ansi|cons|sun|dumb|rxvt$|unknown")
_PRIVATE_USE = range(0xE000, 0xF900)
_SURROGATES = range(0xD800, 0xE000)


class Key(events.Key):
    """A key whose place on the keyboard is known: ``latin`` is what a Latin layout has there."""

    def __init__(self, key: str, character: str | None, latin: str) -> None:
        super().__init__(key, character)
        self.latin = latin


class Paste(events.Paste):
    """A paste that the terminal did not bracket. ``keys``: what it is if it was typing after all."""

    def __init__(self, text: str, keys: list[Message]) -> None:
        super().__init__(text)
        self.keys = keys


def acting(event: events.Key, bound: Callable[[str], bool]) -> events.Key:
    """The key as it acts where nothing is written: the one that a Latin layout has in its place. A
    character that both have, such as ``.``, is itself where it is ``bound``."""
    character = event.character or ""
    if len(character) != 1 or not character.isprintable() or (len(event.key) > 1 and "+" in event.key):
        return event
    place = "" if character.isascii() else getattr(event, "latin", "")
    place = place or latin(character)
    if not place or (character.isascii() and bound(event.key)):
        return event
    return events.Key(_character_to_key(place), place)


def brackets_pastes(environment: Mapping[str, str]) -> bool:
    """Whether this terminal can be trusted to bracket what is pasted (mode 2004)."""
    if "TMUX" in environment:
        return True
    return "STY" not in environment and not _UNBRACKETED.match(environment.get("TERM") or "unknown")


class Decoder(XTermParser):
    """``feed`` the terminal's text as it is read, each read at once; gives events."""

    def __init__(self, debug: bool = False, *, brackets: bool = True) -> None:
        """``brackets``: the terminal marks pastes, so a text with Enter at its end was typed."""
        super().__init__(debug)
        self._brackets = brackets
        self._paste: str | None = None
        """What has come of a bracketed paste."""
        self._tail = ""
        self._pasted_until = 0.0

    def feed(self, data: str) -> Iterable[Message]:
        """Events of one read. An empty ``data`` changes nothing."""
        while data:
            if self._paste is not None:
                data = yield from self._collect(data)
                continue
            run = data[0] if self._in_sequence else _RUN.match(data)[0]  # type: ignore[index]
            data = data[len(run) :]
            if run[0] != "\x1b" and not self._in_sequence and self._is_paste(run):
                self._pasted_until = time.monotonic() + TOGETHER
                yield Paste(run.replace("\x00", ""), list(super().feed(run)))
                continue
            yield from super().feed(run)
            self._tail = (self._tail + run)[-len(PASTE_START) :]
            if self._tail == PASTE_START:
                self._paste = ""

    def end(self) -> Iterable[Message]:
        """Nothing more comes: gives what was begun."""
        yield from super().feed("")

    @property
    def _in_sequence(self) -> bool:
        return self._timeout_time is not None

    # -------------------------------------------------------------- pastes

    def _collect(self, data: str) -> Generator[Message, None, str]:
        """Textual's parser sees the marks and not what is between them: it would take an escape in
        a paste, and up to 31 characters after it, for keys. Gives what follows the paste."""
        assert self._paste is not None
        pasted, ended, rest = (self._paste + data).partition(PASTE_END)
        if not ended:
            self._paste = pasted
            return ""
        self._paste, self._tail = None, ""
        list(super().feed(PASTE_END))
        yield events.Paste(pasted.replace("\x00", ""))
        return rest

    def _is_paste(self, run: str) -> bool:
        """Whether text between two sequences, from one read, is an unmarked paste."""
        if time.monotonic() < self._pasted_until:
            return True
        letters = sum(character.isprintable() for character in run)
        body = run.rstrip("\r\n")
        if letters and ("\r" in body or "\n" in body):
            return True
        if self._brackets or not letters:
            return False
        if body == run and letters > 1:  # its line end may come with the next read
            self._pasted_until = time.monotonic() + TOGETHER
        return body != run

    # -------------------------------------------------------------- keys

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        if sequence in ALT_ENTER or (alt and sequence in ("\r", "\n")):
            yield events.Key("alt+enter", None)
            return
        known = _extended(sequence)
        if known is not None:
            yield from known
            return
        for event in super()._sequence_to_key_events(sequence, alt):
            yield _controlled(event)


def _controlled(event: events.Key) -> events.Key:
    """Ctrl or Alt with a letter of another layout is that of the Latin letter in its place."""
    modifiers, _, key = event.key.rpartition("+")
    place = latin(key) if modifiers and len(key) == 1 and not key.isascii() else ""
    return events.Key(f"{modifiers}+{_character_to_key(place)}", None) if place else event


def _extended(sequence: str) -> list[events.Key] | None:
    """A key in the kitty protocol's form or xterm's. None: Textual's own tables know it better."""
    match = _EXTENDED.fullmatch(sequence)
    if match is None:
        return None
    code, shifted, base, modifiers, kind, text, end = match.groups(default="")
    if end == "~":
        if code != "27" or not text:
            return None
        code, text = text, ""  # CSI 27;modifiers;code~
    numbers = [int(part) for part in (code, shifted, base, *text.split(":")) if part]
    if kind == RELEASED or any(number > 0x10FFFF or number in _SURROGATES for number in numbers):
        return [events.Key(Keys.Ignore, sequence)]
    bits = max(int(modifiers or "1") - 1, 0)
    typed = "" if bits & CONTROLLED else "".join(chr(int(part)) for part in text.split(":") if part)
    return _keys(int(code), chr(int(shifted or "0")), chr(int(base or "0")), bits, typed)


def _keys(code: int, shifted: str, base: str, bits: int, typed: str) -> list[events.Key]:
    """``shifted`` and ``base``: the key with Shift, and in a Latin layout; NUL where untold."""
    name = FUNCTIONAL_KEYS.get(f"{code}u", "")
    character = chr(code)
    if name or code in _PRIVATE_USE or not character.isprintable():
        return _functional(name or _character_to_key(character), bits, typed)
    if bits & CONTROLLED:
        if not character.isascii():
            character = base if base != "\0" else latin(character) or character
        return [events.Key(_with(bits, _character_to_key(character)), None)]
    if not typed:
        typed = (shifted if shifted != "\0" else character.upper()) if bits & SHIFT else character
    place = base if base != "\0" else ""
    if place and typed.isupper():
        place = place.upper()
    return [Key(_character_to_key(letter), letter, place) for letter in typed]


def _functional(name: str, bits: int, typed: str) -> list[events.Key]:
    """A key without a letter (Enter, an arrow), or one of the keypad that types one."""
    if typed.isprintable() and typed:
        return [events.Key(_character_to_key(letter), letter) for letter in typed]
    plain = {"enter": "\r", "tab": "\t", "backspace": "\x7f", "escape": "\x1b"}.get(name)
    return [events.Key(_with(bits, name), None if bits & (CONTROLLED | SHIFT) else plain)]


def _with(bits: int, name: str) -> str:
    held = [m for n, m in enumerate(("shift", "alt", "ctrl", "super", "hyper", "meta")) if bits & (1 << n)]
    return "+".join([*sorted(held), name])
