"""Documents as the JSON that SQLite keeps. Bytes become ``{"$binary": <base64>}``."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import msgspec

from crm.kernel.ports import Document

_BINARY = "$binary"

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def _default(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {_BINARY: base64.b64encode(value).decode()}
    raise TypeError(f"a {type(value).__name__} cannot be stored")


_encode_plain = msgspec.json.Encoder().encode
# The standard library's for any document, because it asks about bytes, and refuses what is no number.
_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), default=_default
).encode


_canonical = json.JSONEncoder(
    ensure_ascii=True,
    allow_nan=False,
    check_circular=False,
    separators=(",", ":"),
    sort_keys=True,
    default=_default,
).encode


def canonical(document: Document) -> bytes:
    """One line, the same for documents that say the same, whichever store they are in."""
    return _canonical(document).encode() + b"\n"


def encode(document: Document, *, plain: bool = False) -> str:
    """Raises ``TypeError`` or ``ValueError`` for what JSON cannot say. ``plain``: see the port's ``Write``."""
    if plain:
        # Half a character, and a number of more than 64 bits, are the other's affair.
        with contextlib.suppress(ValueError, OverflowError):
            return _encode_plain(document).decode()
    return _encode(document)


def decode(text: str) -> Document:
    document = _decode(text)
    if _BINARY in text:
        restored: Document = _restore(document)
        return restored
    return document


def _restore(value: Any) -> Any:
    if isinstance(value, list):
        return [_restore(one) for one in value]
    if isinstance(value, dict):
        inner = value.get(_BINARY)
        if len(value) == 1 and isinstance(inner, str):
            return base64.b64decode(inner)
        return {key: _restore(one) for key, one in value.items()}
    return value
