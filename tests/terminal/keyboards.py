"""What terminals really send for a key: bytes by terminal and name of the key.

From the documents of xterm (ctlseqs), kitty (keyboard protocol), tmux, screen, console_codes(4) and the
sources of xterm.js; ``Keyboard.bytes`` knows every key that the console binds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SIGNS = {"question_mark": "?", "slash": "/", "left_square_bracket": "[", "right_square_bracket": "]"}
FUNCTIONS = {
    "xterm": [
        "\x1bOP",
        "\x1bOQ",
        "\x1bOR",
        "\x1bOS",
        "\x1b[15~",
        "\x1b[17~",
        "\x1b[18~",
        "\x1b[19~",
        "\x1b[20~",
        "\x1b[21~",
    ],
    "linux": [
        "\x1b[[A",
        "\x1b[[B",
        "\x1b[[C",
        "\x1b[[D",
        "\x1b[[E",
        "\x1b[17~",
        "\x1b[18~",
        "\x1b[19~",
        "\x1b[20~",
        "\x1b[21~",
    ],
    "rxvt": [f"\x1b[{n}~" for n in (11, 12, 13, 14, 15, 17, 18, 19, 20, 21)],
    "kitty": [
        "\x1b[P",
        "\x1b[Q",
        "\x1b[13~",
        "\x1b[S",
        "\x1b[15~",
        "\x1b[17~",
        "\x1b[18~",
        "\x1b[19~",
        "\x1b[20~",
        "\x1b[21~",
    ],
}
UNSHIFTED = dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./", strict=True))


@dataclass(frozen=True)
class Keyboard:
    """One terminal. ``environment``: how the console knows it."""

    functions: str = "xterm"
    alt_enter: str = "\x1b\r"
    shift_enter: str = "\r"
    environment: dict[str, str] = field(default_factory=dict)

    def bytes(self, key: str) -> bytes:
        return self._sequence(key).encode()

    def _sequence(self, key: str) -> str:
        if key == "alt+enter":
            return self.alt_enter
        if key == "shift+enter":
            return self.shift_enter
        if key in ("enter", "escape"):
            return {"enter": "\r", "escape": "\x1b"}[key]
        if key[0] == "f" and key[1:].isdigit():
            return FUNCTIONS[self.functions][int(key[1:]) - 1]
        if key.startswith("ctrl+"):
            return self.ctrl(key[5:])
        return self.typed(SIGNS.get(key, key))

    def ctrl(self, letter: str) -> str:
        return chr(ord(letter) & 0x1F)

    def typed(self, character: str) -> str:
        return character


@dataclass(frozen=True)
class Kitty(Keyboard):
    """All keys as escape codes, with alternate keys and text, as we ask for. ``locks``: Caps Lock 64,
    Num Lock 128, which are in every modifier."""

    functions: str = "kitty"
    alternates: bool = True
    locks: int = 0

    def _sequence(self, key: str) -> str:
        codes = {"enter": (13, 0), "escape": (27, 0), "alt+enter": (13, 2), "shift+enter": (13, 1)}
        if key in codes:
            code, bits = codes[key]
            return f"\x1b[{code}{self._held(bits)}u"
        return super()._sequence(key)

    def _held(self, bits: int) -> str:
        return f";{1 + (bits | self.locks)}" if bits | self.locks else ""

    def ctrl(self, letter: str) -> str:
        return f"\x1b[{ord(letter)}{self._held(4)}u"

    def typed(self, character: str) -> str:
        shifted = character.isupper() or character in UNSHIFTED
        plain = UNSHIFTED.get(character, character.lower())
        code = f"{ord(plain)}:{ord(character)}" if shifted and self.alternates else f"{ord(plain)}"
        return f"\x1b[{code}{self._held(int(shifted)) or ';'};{ord(character)}u"


@dataclass(frozen=True)
class OtherKeys(Keyboard):
    """xterm with ``modifyOtherKeys: 2``."""

    alt_enter: str = "\x1b[27;3;13~"
    shift_enter: str = "\x1b[27;2;13~"

    def ctrl(self, letter: str) -> str:
        return f"\x1b[27;5;{ord(letter)}~"


KEYBOARDS: dict[str, Keyboard] = {
    "xterm": Keyboard(),
    "xterm, eight-bit Meta": Keyboard(alt_enter="\x8d"),
    "rxvt": Keyboard("rxvt", environment={"TERM": "rxvt-unicode-256color"}),
    "linux": Keyboard("linux", environment={"TERM": "linux"}),
    "screen": Keyboard(environment={"TERM": "screen-256color", "STY": "1.pts-0.host"}),
    "tmux": Keyboard(environment={"TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0"}),
    "tmux, extended keys": Keyboard(
        alt_enter="\x1b[13;3u",
        shift_enter="\x1b[13;2u",
        environment={"TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0"},
    ),
    "modifyOtherKeys": OtherKeys(),
    "kitty": Kitty(environment={"TERM": "xterm-kitty"}),
    "kitty, Num Lock": Kitty(locks=128, environment={"TERM": "xterm-kitty"}),
    "kitty without alternate keys": Kitty(alternates=False, environment={"TERM": "foot"}),
    "xterm.js": Keyboard(environment={"TERM": "xterm-256color"}),
}
KEYPAD_ENTER = {"kitty": b"\x1b[57414u", "xterm": b"\x1bOM"}
