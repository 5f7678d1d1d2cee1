"""Text from outside becomes text: whatever could mislead a terminal or a reader is taken out.

Used at one place before text is stored for display, and again before it is painted. Out go control
characters and terminal sequences, bidi controls, tags, lone surrogates, invisible fillers and
floods of marks. In stay the letters of every script, emoji with their joiners and variation
selectors, and the joiners that Persian and Indic scripts are spelled with.
"""

from __future__ import annotations

import re
import unicodedata

LIMIT = 16_384
"""Characters of a message that are kept for display."""

NAME_LIMIT = 128
"""Characters of a name or of another text of one line."""

MAX_MARKS = 4
"""Combining marks on one letter: vocalised Hebrew has up to four, Vietnamese two."""

MAX_JOINERS = 2
"""Joiners and variation selectors after one character: an emoji needs one of each."""

FILE_NAME_LIMIT = 200
"""Bytes of a file's name; file systems take 255."""

_NOT_IN_NAMES = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\.|$)", re.IGNORECASE)
"""What Windows takes for a device, whatever ending it has."""

ELLIPSIS = "…"
"""Ends a text that has been cut."""

TAB = "    "

# A control string (OSC, DCS, SOS, PM, APC) goes as a whole when it is complete. Of an incomplete one
# only the introducer goes: one stray byte must not swallow a message. No body runs over another
# introducer, which keeps the search linear.
_INTRODUCERS = r"\x07\x1b\x90\x98\x9b-\x9f"
_SEQUENCE = re.compile(
    rf"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^{_INTRODUCERS}]*(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)

_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")

_FORBIDDEN = re.compile(
    "["
    "\x00-\x09\x0b-\x1f\x7f-\x9f"  # C0 and C1 controls
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidi marks, embeddings, overrides, isolates
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"  # invisible
    "\ud800-\udfff\ufff0-\ufffb\ufffe\uffff"  # lone surrogates, annotations, no characters
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # format controls, tags
    "]"
)

_JOINERS = "\u200c\u200d\ufe00-\ufe0f"
_JOINER = re.compile(f"[{_JOINERS}]")

# Letters, signs and emoji in which nothing above can hide: one look, and the text is done.
_ORDINARY = re.compile(
    "["
    "\n\x20-\x7e\u00a0-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u058f"
    "\u2010-\u2027\u2030-\u205e\u2070-\u20cf\u2100-\u2bff"
    "\u3000-\u3029\u3030-\u3096\u309b-\u3163\u3165-\u9fff\uac00-\ud7a3\uff01-\uff9f"
    "\U0001f000-\U0001faff"
    "]*"
)


def clean(text: str, limit: int = LIMIT) -> str:
    """The text, safe to show, of at most ``limit`` characters. Line ends become ``\\n``, tabs
    spaces. Doing it twice changes nothing more."""
    if len(text) <= limit and _is_ordinary(text):
        return text
    # A bound on the work for a hostile megabyte; what takes the place of one character is short.
    cut = len(text) > 4 * limit
    if cut:
        text = text[: 4 * limit]
    text = _SEQUENCE.sub("", text)
    text = _LINE_END.sub("\n", text).replace("\t", TAB)
    text = _FORBIDDEN.sub("", text)
    if not text.isascii():
        text = _calm(text)
    return _shortened(text, limit, cut=cut)


def one_line(text: str, limit: int = NAME_LIMIT) -> str:
    """The same on one line, for names and previews: every run of white space is one space."""
    if not text:
        return text
    # In what is printable the only white space is the space.
    plain = len(text) <= limit and text.isprintable() and "  " not in text and _is_ordinary(text)
    if plain and text[0] != " " and text[-1] != " ":
        return text
    return _shortened(" ".join((text if plain else clean(text, 4 * limit)).split()), limit)


# Letters and signs by category, which nevertheless draw nothing.
_BLANK = re.compile("HANGUL .*FILLER|PATTERN BLANK|(FULL|HALF) BLANK|NULL NOTEHEAD|OBJECT REPLACEMENT")
# What Unicode reserves for the invisible. Other unassigned characters are newer emoji and letters.
_RESERVED = re.compile("[\u2065\ufdd0-\ufdef\ufff0-\ufff8\U00013439-\U00013455\U000e0000-\U000e0fff]")


def is_visible(text: str) -> bool:
    """Whether anything of the text would be seen: a letter, a number, a sign, an emoji. White space,
    controls, joiners, marks on nothing, fillers and blanks would be an empty bubble."""
    return any(_draws(character) for character in text)


def _draws(character: str) -> bool:
    if character.isascii():
        return character.isprintable() and character != " "
    category = unicodedata.category(character)
    if category == "Cn":
        return ord(character) & 0xFFFE != 0xFFFE and not _RESERVED.match(character)
    if category == "Co":
        return True
    return category[0] in "LNPS" and not _BLANK.search(unicodedata.name(character, ""))


def file_name(text: str) -> str:
    """A name that a file may have on every system: no path, no control, nothing that hides or misleads, no
    device, of at most ``FILE_NAME_LIMIT`` bytes; ``file`` when nothing else is left."""
    if len(text) > 2_000:
        text = text[:1_000] + text[-1_000:]  # the ending is at the end
    name = one_line(text, 4_000).replace("\\", "/").rstrip("/. ").rpartition("/")[2]
    name = _NOT_IN_NAMES.sub("_", _JOINER.sub("", name))
    name = "".join(c if c.isprintable() else "_" for c in name).rstrip(" .").lstrip(" .~-")
    if _DEVICE.match(name):
        name = f"_{name}"
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > 16:
        stem, dot, ending = name, "", ""
    room = FILE_NAME_LIMIT - len((dot + ending).encode())
    stem = stem.encode()[:room].decode(errors="ignore").rstrip(" .")
    return f"{stem}{dot}{ending}" or "file"


def _is_ordinary(text: str) -> bool:
    """Nothing that could mislead is in it. Printable ASCII is so most often, and seen at once."""
    return (text.isascii() and text.isprintable()) or _ORDINARY.fullmatch(text) is not None


def _shortened(text: str, limit: int, *, cut: bool = False) -> str:
    if len(text) <= limit and not cut:
        return text
    # The marks of a letter that is cut away must not move over to the ellipsis.
    text = text[: limit - 1]
    while text and (_JOINER.match(text[-1]) or unicodedata.combining(text[-1])):
        text = text[:-1]
    return text + ELLIPSIS


def _calm(text: str) -> str:
    """Leaves each character the marks and joiners that a script can need, and no more."""
    result = []
    marks = joiners = 0
    for character in text:
        if character.isalnum() or character.isascii():
            marks = joiners = 0
        elif _JOINER.match(character):
            joiners += 1
            if joiners > MAX_JOINERS:
                continue
        elif unicodedata.category(character) in ("Mn", "Me"):
            marks += 1
            if marks > MAX_MARKS:
                continue
        else:
            marks = joiners = 0
        result.append(character)
    return "".join(result)


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def formula_free(text: str) -> str:
    """For a cell of a CSV file: what a spreadsheet would take for a formula begins with an apostrophe."""
    return f"'{text}" if is_formula(text) else text


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would calculate it."""
    return text.startswith(_FORMULA)
