"""Which Latin key is under a letter of another layout.

A key that acts is a place on the keyboard: who writes Russian presses the key of ``t`` and gets ``е``.
Each layout is written down as its rows, and the map is made from them.
"""

from __future__ import annotations

from typing import NamedTuple


class Layout(NamedTuple):
    """The four rows of a keyboard, the digits' first, each from the left: without and with Shift."""

    plain: tuple[str, str, str, str]
    shifted: tuple[str, str, str, str]


LATIN = Layout(
    ("`1234567890-=", "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./"),
    ("~!@#$%^&*()_+", "QWERTYUIOP{}|", 'ASDFGHJKL:"', "ZXCVBNM<>?"),
)
LAYOUTS: dict[str, Layout] = {
    "ru": Layout(
        ("ё1234567890-=", "йцукенгшщзхъ\\", "фывапролджэ", "ячсмитьбю."),
        ('Ё!"№;%:?*()_+', "ЙЦУКЕНГШЩЗХЪ/", "ФЫВАПРОЛДЖЭ", "ЯЧСМИТЬБЮ,"),
    ),
    "uz": Layout(
        ("ё1234567890ғҳ", "йцукенгшўзхъ\\", "фқвапролджэ", "ячсмитьбю."),
        ('Ё!"№;%:?*()ҒҲ', "ЙЦУКЕНГШЎЗХЪ|", "ФҚВАПРОЛДЖЭ", "ЯЧСМИТЬБЮ,"),
    ),
    "ua": Layout(
        ("'1234567890-=", "йцукенгшщзхїґ", "фівапролджє", "ячсмитьбю."),
        ('ʼ!"№;%:?*()_+', "ЙЦУКЕНГШЩЗХЇҐ", "ФІВАПРОЛДЖЄ", "ЯЧСМИТЬБЮ,"),
    ),
    "kz": Layout(
        ('("әіңғ,.үұқөһ', "йцукенгшщзхъ\\", "фывапролджэ", "ячсмитьбю№"),
        (")!ӘІҢҒ;:ҮҰҚӨҺ", "ЙЦУКЕНГШЩЗХЪ/", "ФЫВАПРОЛДЖЭ", "ЯЧСМИТЬБЮ?"),
    ),
}
"""By country, in order of precedence: where two layouts have one letter in two places, the earlier
one's place counts."""


def _places(layout: Layout) -> dict[str, str]:
    """Character -> the Latin one in the same place, wherever they differ."""
    places: dict[str, str] = {}
    for rows, latin in zip(layout, LATIN, strict=True):
        for row, keys in zip(rows, latin, strict=True):
            for own, key in zip(row, keys, strict=True):
                if own != key:
                    places.setdefault(own, key)
    return places


_LATIN_OF: dict[str, str] = {}
for _layout in LAYOUTS.values():
    _LATIN_OF = _places(_layout) | _LATIN_OF


def latin(character: str) -> str:
    """The character that a Latin layout has in the place of this one; empty when no layout of ours
    has it, or all have it where the Latin one has it. ``.`` is ``/`` and ``,`` is ``?``: whether that
    is meant depends on the layout, which only some terminals tell."""
    return _LATIN_OF.get(character, "")
