"""What commands read from stdin and write to stdout, whatever the terminal's encoding is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from crm.kernel.errors import WrongUse


def prepare_streams() -> None:
    """What the terminal's encoding has no letters for is shown by its number, and ends nothing."""
    for stream in (sys.stdout, sys.stderr):
        _with_errors(stream, "backslashreplace")
    _with_errors(sys.stdin, "strict")


def _with_errors(stream: TextIO, errors: str) -> None:
    # A test's or an embedding program's stream may be of another kind, and knows what it does.
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors=errors)


def print_json(data: Any, *, indent: int | None = 2) -> None:
    """JSON that stays JSON where the encoding has no letters for it."""
    plain = (sys.stdout.encoding or "ascii").lower().replace("-", "") not in ("utf8", "utf_8")
    print(json.dumps(data, ensure_ascii=plain, indent=indent), flush=indent is None)


def print_page(
    items: Sequence[dict[str, Any]], next: str, *, json: bool, line: Callable[[dict[str, Any]], str]
) -> None:
    """A page of a list. JSON ends with ``{"next": cursor}`` when there is more; otherwise stderr says how to
    go on."""
    if json:
        print_json([*items, {"next": next}] if next else [*items])
        return
    for item in items:
        print(line(item))
    if next:
        print(f"navbat: there is more: --after {next}", file=sys.stderr)


def given_text(given: str) -> str:
    """The text of the command line, or all of stdin for ``-``."""
    return read_stdin(sys.stdin.read).rstrip("\n") if given == "-" else given


def read_stdin(read: Any) -> str:
    """What ``read`` gives. Raises ``WrongUse`` for bytes that are no text."""
    try:
        text: str = read()
    except UnicodeDecodeError:
        raise WrongUse(f"stdin is no text in {sys.stdin.encoding}") from None
    if "\0" in text:
        raise WrongUse("stdin is no text: it holds a zero byte")
    return text
