"""The desk as it was last committed, whatever has become of single states in the meantime."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from router.desk.desk import Desk
from router.desk.shifting import shift_session
from router.desk.state import Aside, OperatorState, Session, decode_operator, decode_session
from router.log.quarantine import reason_of

logger = logging.getLogger(__name__)

State = TypeVar("State", Session, OperatorState)


MANY = 10_000
"""From so many sessions on the garbage collector costs as much as taking them up."""


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """For what is made once, is large, and has no cycles: the collector does not walk it, neither while it is
    made nor ever after. It is freed as usual, by the count of what refers to it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def take_up(
    fields: dict[str, bytes],
    sessions: Mapping[str, bytes],
    operators: Mapping[str, bytes],
    now: int,
    shift: int = 0,
) -> tuple[Desk, list[Aside]]:
    """The desk, moved by ``shift`` ms, and what of the saved states cannot be read or taken up: without those the desk goes on.
    Raises when the desk's own fields cannot be used, as without its lines there is no desk."""
    aside: list[Aside] = []

    def moved(data: bytes) -> Session:
        session = decode_session(data)
        if shift:
            shift_session(session, shift)
        return session

    colleagues = _read("operator", operators, decode_operator, now, aside)
    found = _read("session", sessions, moved, now, aside)

    def restored(ids: list[str]) -> Desk:
        # A desk changes the states that it takes up: each try begins with fresh ones.
        desk = Desk()
        people = [decode_operator(operators[name]) for name in colleagues]
        taken_up = [moved(sessions[id]) for id in ids]
        desk.restore(fields, taken_up, people, resumed_at=now)
        return desk

    def senseless(ids: list[str]) -> Iterator[str]:
        """Those of them that cannot be taken up."""
        try:
            restored(ids)
        except Exception as error:  # noqa: BLE001 - read, and of no sense to the rules
            if len(ids) <= 1:
                aside.extend(_aside("session", id, sessions[id], now, reason_of(error)) for id in ids)
                yield from ids
                return
            yield from senseless(ids[: len(ids) // 2])
            yield from senseless(ids[len(ids) // 2 :])

    desk = Desk()
    try:
        desk.restore(fields, list(found.values()), list(colleagues.values()), resumed_at=now)
    except Exception as error:  # noqa: BLE001 - one of them: which one?
        logger.error("the saved sessions cannot be taken up together: %s", reason_of(error))
        without = set(senseless(list(found)))
        desk = restored([id for id in found if id not in without])
    if shift:
        desk.shifted(shift)
    return desk, aside


def _read(
    origin: str, saved: Mapping[str, bytes], decode: Callable[[bytes], State], now: int, aside: list[Aside]
) -> dict[str, State]:
    found = {}
    for name, data in saved.items():
        try:
            found[name] = decode(data)
        except Exception as error:  # noqa: BLE001 - broken, or of a newer version
            aside.append(_aside(origin, name, data, now, reason_of(error)))
    return found


def _aside(origin: str, name: str, data: bytes, now: int, reason: str) -> Aside:
    logger.error("the saved state of one %s is set aside: %s", origin, reason)
    return Aside(
        id=f"{origin}-{name}-{now}", origin=origin, place=name, at=now, reason=reason, data=data, kind=origin
    )


def readable(
    sessions: Mapping[str, bytes], operators: Mapping[str, bytes]
) -> tuple[list[Session], list[OperatorState]]:
    """What of the saved states this version can read; the desk's writer sets the rest aside."""
    aside: list[Aside] = []
    found = _read("session", sessions, decode_session, 0, aside)
    return [*found.values()], [*_read("operator", operators, decode_operator, 0, aside).values()]
