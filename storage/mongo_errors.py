"""What an error of the MongoDB driver means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bson.errors import BSONError
from pymongo.errors import (
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from crm.kernel.errors import NotStored, TimedOut, Unavailable, UnsupportedQuery

DUPLICATE = 11000
UNKNOWN_COMMAND = 59
UNFIT = frozenset({2, 14, 28, 40, 54, 66, 9})
"""Errors of an update that does not fit what is there: wrong type, path through no object, …"""

_MATTER = {
    14031: ("store_full", "has no room left on its disk"),
    10107: ("store_readonly", "cannot be written to"),
    13435: ("store_readonly", "cannot be written to"),
    13: ("store_access", "does not let us do that"),
    18: ("store_access", "does not let us in"),
}

REFUSED = frozenset({22, 52, 55, 56, 57, 121, 10334, 17280, 17419, 17420})
"""Errors of a document that the server will never take: too large, refused by a validator, a name of a
field that cannot be, …"""


@asynccontextmanager
async def reaching(within: float) -> AsyncIterator[None]:
    """Raises our errors for those of the driver, and ``TimedOut`` after ``within`` seconds."""
    try:
        async with asyncio.timeout(within):
            yield
    except TimeoutError as error:
        raise TimedOut("the store does not answer in time", code="store_away") from error
    except (NetworkTimeout, ExecutionTimeout, WTimeoutError) as error:
        raise TimedOut(
            f"the store does not answer in time: {type(error).__name__}", code="store_away"
        ) from error
    except (BSONError, OverflowError) as error:
        raise NotStored(f"the store refuses a document: {type(error).__name__}") from error
    except OperationFailure as error:
        if error.code in UNFIT:
            raise UnsupportedQuery("the update does not fit what is there") from error
        if error.code in REFUSED:
            raise NotStored(f"the store refuses a document: {error.code}") from error
        code, text = _MATTER.get(error.code or 0, ("store_away", "does not answer"))
        raise Unavailable(f"the store {text}: {type(error).__name__} {error.code}", code=code) from error
    except PyMongoError as error:
        raise Unavailable(f"the store does not answer: {type(error).__name__}", code="store_away") from error


def is_taken(error: OperationFailure) -> bool:
    """Whether a unique index refused; FerretDB on SQLite says so in SQLite's words here."""
    return error.code == DUPLICATE or "UNIQUE constraint failed" in str(error)
