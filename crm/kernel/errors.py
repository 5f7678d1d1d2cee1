"""Every error navbat raises on purpose.

NavbatError                 shown to a person: what is wrong and what to do
├── ConfigError             the configuration cannot be used; names file and key
├── Refused                 a command that the rules or rights do not allow (code + params)
├── Unavailable             something we depend on does not answer now; trying again later is right
│   └── TimedOut            it did not answer in time: what was asked may have happened, or happen yet
├── NotStored               the store refuses this document, now and whenever it is tried again
├── Duplicate               a unique index has another document there already
├── Conflict                somebody else changed it meanwhile
├── NotFound                there is no such document
├── WrongUse                a command line that names what is not there, or is nothing at all
├── LeaseLost               another process writes this desk now
└── UnsupportedQuery        a filter or update outside the store port's documented subset
"""

from __future__ import annotations

from typing import Any


class NavbatError(Exception):
    """The root. ``str(error)`` is a sentence for a person; ``hint`` says what to do about it."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


class ConfigError(NavbatError):
    """The configuration cannot be used."""


class Refused(NavbatError):
    """A command that changes nothing, with a ``code`` of the message catalogue and its ``params``."""

    def __init__(self, code: str, **params: str) -> None:
        super().__init__(code + "".join(f" {k}={v}" for k, v in params.items()))
        self.code = code
        self.params = params


class WrongUse(NavbatError):
    """A word of the command line is wrong. Ends with 2."""


class Unavailable(NavbatError):
    """Redis, the store or a channel does not answer now, or takes no writes. ``code`` says what is the
    matter where it is known: an entry of the catalogue (``trouble.<code>``)."""

    def __init__(self, text: str, hint: str = "", *, code: str = "") -> None:
        super().__init__(text, hint)
        self.code = code


class TimedOut(Unavailable):
    """No answer in time. A write may have been carried out all the same."""


class NotStored(NavbatError):
    """The store answers, and will never take this document."""


class Duplicate(NavbatError):
    """Another document has what must be unique. ``index`` is the name of the index that says so
    (``storage.schema``); ``_id`` where it is the id."""

    def __init__(self, index: str) -> None:
        super().__init__(f"there is one like this already ({index})")
        self.index = index


class Conflict(NavbatError):
    """A change was made on a version that is not the present one any more; nothing has changed.
    ``current`` is the document as it is now."""

    def __init__(self, text: str, current: dict[str, Any], hint: str = "") -> None:
        super().__init__(text, hint)
        self.current = current


class NotFound(NavbatError):
    """There is no such document, or none that may be seen."""


class LeaseLost(NavbatError):
    """Another process took over; whoever gets this must drop its state and stand by."""


class UnsupportedQuery(NavbatError):
    """The store's port does not speak this operator."""
