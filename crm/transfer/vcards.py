"""vCards (3.0 and 4.0) in and out, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import vobject
from vobject.base import VObjectError

from crm.kernel.text import one_line
from crm.transfer.tables import encoding_of

CARD_MAX = 1_000_000
"""Characters of a card; photos may be in it, and are passed over."""
VALUE_MAX = 100_000

Version = Literal["3", "4"]


class FileCard(NamedTuple):
    """``line``: where it begins in the file, from 1. ``values``: field -> text. ``problem``: a code, when it
    cannot be read."""

    line: int
    values: dict[str, str]
    problem: str = ""


def read_cards(path: Path) -> Iterator[FileCard]:
    """The cards of a file. What stands between them is passed over. Raises ``OSError``."""
    with path.open(encoding=encoding_of(path), errors="replace", newline=None) as file:
        lines: list[str] = []
        size = start = number = 0
        inside = False
        # `readline` with a limit: a line that never ends is read in pieces.
        while line := file.readline(CARD_MAX):
            number += 1
            word = line.strip().upper()
            if word == "BEGIN:VCARD":
                if inside:
                    yield FileCard(start, {}, "bad_card")
                lines, size, start, inside = [], 0, number, True
            if inside:
                size += len(line)
                if size <= CARD_MAX:
                    lines.append(line)
            if inside and word == "END:VCARD":
                inside = False
                yield (
                    FileCard(start, {}, "card_too_long") if size > CARD_MAX else _card(start, "".join(lines))
                )
        if inside:
            yield FileCard(start, {}, "bad_card")


def _card(line: int, text: str) -> FileCard:
    try:
        values = _values(vobject.readOne(text))
    # Whatever its parts raise for what is written wrongly: a card is somebody else's text.
    except (VObjectError, ValueError, TypeError, AttributeError, LookupError, RecursionError):
        return FileCard(line, {}, "bad_card")
    return FileCard(line, values) if values else FileCard(line, {}, "empty_row")


def _values(card: Any) -> dict[str, str]:
    found = {
        "name": _first(card, "fn") or _name(card),
        "phones": "; ".join(text.removeprefix("tel:") for text in _all(card, "tel")),
        "emails": "; ".join(text.removeprefix("mailto:") for text in _all(card, "email")),
        "post": _first(card, "title"),
        "birthday": _day(_first(card, "bday")),
        "about": _first(card, "note"),
        "address": _address(card),
        "tags": ", ".join(_all(card, "categories")),
    }
    return {name: text for name, text in found.items() if text}


def _all(card: Any, name: str) -> list[str]:
    texts = []
    for line in card.contents.get(name, ()):
        value = line.value
        parts = value if isinstance(value, list) else [value]
        texts += [text for part in parts if (text := str(part).strip()[:VALUE_MAX])]
    return texts


def _first(card: Any, name: str) -> str:
    return next(iter(_all(card, name)), "")


def _name(card: Any) -> str:
    for line in card.contents.get("n", ()):
        name = line.value
        parts = (getattr(name, part, "") for part in ("family", "given", "additional"))
        return " ".join(filter(None, (part if isinstance(part, str) else " ".join(part) for part in parts)))
    return ""


def _address(card: Any) -> str:
    for line in card.contents.get("adr", ()):
        parts = (getattr(line.value, part, "") for part in ("code", "country", "region", "city", "street"))
        texts = (part if isinstance(part, str) else " ".join(part) for part in parts)
        return ", ".join(text.strip() for text in texts if text.strip())
    return ""


def _day(text: str) -> str:
    digits = text.replace("-", "")[:8]
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if len(digits) == 8 and digits.isdecimal() else ""


def write_card(item: Mapping[str, Any], version: Version) -> str:
    """An object as a card; empty lines are left out."""
    name = one_line(str(item.get("name") or item.get("title") or ""), 500)
    n = ";".join(_escaped(str(item.get(part) or "")) for part in ("last_name", "first_name", "middle_name"))
    lines = ["BEGIN:VCARD", f"VERSION:{version}.0", f"FN:{_escaped(name)}"]
    lines.append(f"N:{n if n != ';;' else _escaped(name) + ';;'};;")
    for phone in item.get("phones") or ():
        number = str(phone.get("e164") or phone.get("raw") or "")
        extension = f";ext={phone['ext']}" if phone.get("ext") else ""
        whole = version == "4" and phone.get("e164")
        lines.append(f"TEL;VALUE=uri:tel:{number}{extension}" if whole else f"TEL:{_escaped(number)}")
    lines += [f"EMAIL:{_escaped(address)}" for address in item.get("emails") or ()]
    if item.get("post"):
        lines.append(f"TITLE:{_escaped(item['post'])}")
    if item.get("birthday"):
        day = str(item["birthday"])
        lines.append(f"BDAY:{day.replace('-', '') if version == '4' else day}")
    if item.get("address"):
        lines.append(f"ADR:;;{_escaped(item['address'])};;;;")
    if item.get("about"):
        lines.append(f"NOTE:{_escaped(item['about'])}")
    if item.get("tags"):
        lines.append("CATEGORIES:" + ",".join(map(_escaped, item["tags"])))
    lines.append("END:VCARD")
    return "".join(_folded(line) for line in lines)


def _escaped(text: str) -> str:
    for sign in ("\\", ";", ","):
        text = text.replace(sign, "\\" + sign)
    return text.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\n")


def _folded(line: str) -> str:
    """In lines of at most 75 bytes, none of which ends within a letter."""
    folded, size = [], 0
    for letter in line:
        length = len(letter.encode("utf-8", "replace"))
        if size + length > 74:
            folded.append("\r\n ")
            size = 1
        folded.append(letter)
        size += length
    return "".join(folded) + "\r\n"
