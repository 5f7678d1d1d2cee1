"""Phone numbers and mail addresses in what people write. Pure.

A number is compared by its E.164 form, an address in lower case; what has no country and no area (``7-digit`` city
numbers, short ones) is kept as it was written and compared with nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

import phonenumbers
from phonenumbers import Leniency, PhoneNumber, PhoneNumberFormat, PhoneNumberMatcher

from crm.kernel.text import one_line

MAX_RAW = 60
"""Characters of a number as it was written."""
MAX_TEXT = 4_000
"""Characters of a text that are looked through."""
MAX_FOUND = 10
"""Numbers, and addresses, of one text."""
MAX_EMAIL = 254
MAX_EXTENSION = 10

Phone = dict[str, str]
"""``raw`` as written; ``e164`` where it is a number, and ``ext`` where it has an extension."""

_BETWEEN = re.compile(r"[;\n]|,(?!\s*(?:доб|ext|вн|x))", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_EMAIL = re.compile(r"[^\s@<>,;:\"'()\[\]\\{}|]{1,64}@[^\s@<>,;:\"'()\[\]\\{}|/]{1,190}\.[^\W\d_]{2,63}")
_LOCAL = re.compile(r"[\s@<>,;:\"()\[\]\\]")
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


def phone(text: str, region: str) -> Phone | None:
    """One number, as somebody wrote it into a field. ``region``: two letters of ISO 3166, whose numbers are
    written without a country. None where nothing in it could be dialled."""
    raw = one_line(text, MAX_RAW)
    if not _DIGIT.search(raw):
        return None
    number = _parsed(raw, region)
    return {"raw": raw} if number is None else _phone(raw, number)


def phones(text: str, region: str) -> list[Phone]:
    """The numbers of a field that may hold several (``+7 495 … (secretary), 916 …``), in order. Raises
    ``ValueError`` where a part of it is no number at all."""
    found: list[Phone] = []
    for part in filter(str.strip, _BETWEEN.split(text)):
        number = phone(part, region)
        if number is None:
            raise ValueError(one_line(part, MAX_RAW))
        found += [number] if "e164" in number else phones_in(part, region) or [number]
    return found


def phones_of(region: str) -> Callable[[str], list[Phone]]:
    """``phones`` for one country."""
    return lambda text: phones(text, region)


def phones_in(text: str, region: str) -> list[Phone]:
    """Every whole number in a text, each once; none that could as well be a sum, a date or an account."""
    if not _DIGIT.search(text) or sum(character.isdigit() for character in text[:MAX_TEXT]) < 7:
        return []
    matcher = PhoneNumberMatcher(text[:MAX_TEXT], region, leniency=Leniency.VALID, max_tries=200)
    found: dict[str, Phone] = {}
    for match in matcher:
        number = _phone(one_line(match.raw_string, MAX_RAW), match.number)
        found.setdefault(number["e164"], number)
        if len(found) == MAX_FOUND:
            break
    return [*found.values()]


def _parsed(raw: str, region: str) -> PhoneNumber | None:
    for text in _ways(raw, region):
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return number
    return None


def _ways(raw: str, region: str) -> Iterator[str]:
    """How a number may be meant: ``998…`` and ``7…`` are often written without their ``+``."""
    yield raw
    code = phonenumbers.country_code_for_region(region)
    if code and raw.lstrip().startswith(str(code)):
        yield f"+{raw.lstrip()}"
    elif re.match(r"\s*(998|996|992|993|7)", raw):
        yield f"+{raw.strip()}"
    if match := re.match(r"\s*(?:810|00)[\s-]*(\d.*)", raw):
        yield f"+{match[1]}"


def _phone(raw: str, number: PhoneNumber) -> Phone:
    found = {"raw": raw, "e164": phonenumbers.format_number(number, PhoneNumberFormat.E164)}
    extension = (number.extension or "")[:MAX_EXTENSION]
    return found | ({"ext": extension} if extension else {})


def email(text: str) -> str:
    """An address as it is compared: NFC, lower case, its domain as IDNA; dots and plus signs stay, they are
    different mailboxes. Empty for what is none."""
    address = unicodedata.normalize("NFC", text.strip()).lower()
    local, at, domain = address.rpartition("@")
    try:
        domain = domain.encode("idna").decode() if not domain.isascii() else domain
    except UnicodeError:
        return ""
    if not (at and local and len(address) <= MAX_EMAIL and _DOMAIN.fullmatch(domain)):
        return ""
    whole = f"{local}@{domain}"
    return "" if _LOCAL.search(local) or one_line(local) != local or len(whole) > MAX_EMAIL else whole


def emails_in(text: str) -> list[str]:
    """Every address in a text, each once."""
    text = text[:MAX_TEXT]
    if "@" not in text:
        return []
    found = (email(match[0].strip(".")) for match in _EMAIL.finditer(text))
    return [*dict.fromkeys(address for address in found if address)][:MAX_FOUND]
