"""One line's queue: the waiting sessions in order, and the members ready for an offer in the order
in which the line's mode would choose them. Both orders are kept, never computed, so a decision costs
the logarithm of their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sortedcontainers import SortedDict, SortedKeyList

from router.events import LineRules
from router.state import OperatorState, Session

Place = tuple[int, int, int]


def place(session: Session) -> Place:
    """Where a session stands in the backlog: priority (larger first), arrival, id."""
    return -session.priority, session.arrival, int(session.id)


class Queue:
    """The state of one line beside its sessions. Pure."""

    def __init__(self, name: str, rules: LineRules) -> None:
        self.name = name
        self.rules = rules
        self.members: dict[str, int] = {}
        self.load: dict[str, int] = {}
        self._backlog: SortedDict[Place, Session] = SortedDict()
        self._places: dict[str, Place] = {}
        self._ready: SortedKeyList[tuple[tuple[int, ...], str], tuple[int, ...]] = SortedKeyList(
            key=lambda item: item[0]
        )
        self._ready_keys: dict[str, tuple[int, ...]] = {}

    # ---------------------------------------------------------------- the waiting

    def put(self, session: Session) -> None:
        """Puts the session where it belongs, or moves it there."""
        self.remove(session.id)
        at = place(session)
        self._places[session.id] = at
        self._backlog[at] = session

    def remove(self, session_id: str) -> None:
        at = self._places.pop(session_id, None)
        if at is not None:
            del self._backlog[at]

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._places

    def at(self, index: int) -> tuple[Place, Session]:
        """The waiting session number ``index`` in order."""
        found: tuple[Place, Session] = self._backlog.peekitem(index)
        return found

    def waiting(self) -> Iterator[Session]:
        """All waiting sessions in order."""
        return iter(self._backlog.values())

    # ---------------------------------------------------------------- the ready

    def rank(self, operator: OperatorState) -> tuple[int, ...]:
        """What the mode orders the eligible by; ties go by line order."""
        order = self.members[operator.name]
        if self.rules.mode == "even":
            return operator.given_at, order
        return (order,)

    def set_ready(self, operator: OperatorState, ready: bool) -> int:
        """Notes whether a member may get an offer now: 1 when he has just become ready, -1 when he
        has just ceased to be, else 0."""
        name = operator.name
        old = self._ready_keys.get(name)
        new = self.rank(operator) if ready and name in self.members else None
        if old == new:
            return 0
        if old is not None:
            self._ready.remove((old, name))
            del self._ready_keys[name]
        if new is not None:
            self._ready.add((new, name))
            self._ready_keys[name] = new
        return (old is None) - (new is None)

    @property
    def has_ready(self) -> bool:
        return bool(self._ready)

    def ready(self) -> Iterator[str]:
        """The ready members in the order of the mode."""
        return (name for _, name in self._ready)

    def choose(self, session: Session, now: int) -> tuple[str, bool] | None:
        """(whom the session goes to, whether that begins a new round), or nobody."""
        had = session.had
        first = ""
        for name in self.ready():
            if name not in had:
                return name, False
            first = first or name
        if first and session.pause_until <= now:
            return first, True
        return None

    def set_members(self, names: Iterable[str]) -> None:
        """The members in line order. Who is ready is to be told anew after this."""
        self.members = {name: i for i, name in enumerate(dict.fromkeys(names))}
        self._ready.clear()
        self._ready_keys.clear()
