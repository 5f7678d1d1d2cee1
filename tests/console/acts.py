"""Which actions the tests of the console cover."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])
TESTED: set[str] = set()


def acts(*ids: str) -> Callable[[Test], Test]:
    """Notes which actions a test covers, so that none is forgotten."""

    def note(test: Test) -> Test:
        TESTED.update(ids)
        return test

    return note
