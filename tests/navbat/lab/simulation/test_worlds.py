"""Random worlds: the invariants hold, the same seed gives the same run, and a planted mistake is found."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navbat.lab.simulate import Report, one, play, shrink, simulate
from navbat.lab.simulate.world import KINDS, actions
from router.desk import clocks, customers
from router.desk.floor import Floor, Outcome
from router.desk.queue import Queue, has_room
from router.desk.state import Session
from router.log.writer import Writer


@pytest.mark.parametrize("part", range(4))
def test_what_must_hold_holds(part: int) -> None:
    report = simulate(12, 600, first_seed=1000 * part, processes=1)
    assert report.first is None, report.first
    assert report.events > 12 * 400


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    chosen=st.lists(
        st.tuples(st.sampled_from([kind for kind, _ in KINDS]), st.integers(0, 2**48)), max_size=40
    ),
)
def test_what_must_hold_holds_whatever_happens(seed: int, chosen: list[tuple[Any, ...]]) -> None:
    assert play(seed, chosen)[1] == ""


def test_the_same_seed_is_the_same_world() -> None:
    assert one((7, 300)) == one((7, 300))
    assert actions(7, 50) == actions(7, 50) != actions(8, 50)


# ------------------------------------------------------------------ it can fail


def lost_closings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is closed is not taken out of what is saved."""
    real = Outcome.__init__

    def forgetful(self: Outcome) -> None:
        real(self)
        self.closed = _Nothing()

    monkeypatch.setattr(Outcome, "__init__", forgetful)


class _Nothing(dict[str, Session]):
    def __setitem__(self, key: str, value: Session) -> None:
        pass


def overtaking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever came last is put first."""
    monkeypatch.setattr("router.desk.queue.place", lambda s: (-s.priority, 0, -s.wait.arrival, -int(s.id)))


def too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for one more than there is."""
    monkeypatch.setattr("router.desk.floor.has_room", lambda a, b, c, d: has_room(a - 1, b, c, d))


def sleeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """A freed place is not looked at."""
    monkeypatch.setattr(Queue, "set_ready", lambda self, operator, ready: 0)


def no_dedup(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent again is taken again."""
    real = Writer.guard

    async def blind(self: Writer, ids: Any, at: int) -> set[str]:
        await real(self, ids, at)
        return set()

    monkeypatch.setattr(Writer, "guard", blind)


def two_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new holder, and the old one keeps it in his book."""
    monkeypatch.setattr(Floor, "unhold", lambda self, session: None)


def unsaved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that is not noted."""
    real = clocks.changed_hands

    def forgetful(floor: Floor, session: Session) -> None:
        real(floor, session)
        floor.outcome.sessions.pop(session.id, None)

    monkeypatch.setattr(clocks, "changed_hands", forgetful)


def lost_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that comes while a session is closing is dropped."""
    real = customers._wrote

    def dropping(floor: Floor, session: Session, text: str, **fields: Any) -> Any:
        return None if session.status == "closing" else real(floor, session, text, **fields)

    monkeypatch.setattr(customers, "_wrote", dropping)


PLANTED = [lost_closings, overtaking, too_many, sleeping, no_dedup, two_hands, unsaved, lost_message]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: str(plant.__name__))
def test_a_planted_mistake_is_found(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert any(one((seed, 400))[2] for seed in range(12))


def test_a_failure_is_told_by_its_seed_and_the_fewest_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    lost_message(monkeypatch)
    seed, what = next((s, w) for s, _, w in (one((seed, 300)) for seed in range(20)) if w)
    few = shrink(seed, actions(seed, 300), what)
    assert len(few) < 40
    assert play(seed, few)[1]


# ------------------------------------------------------------------ the command


def simulated(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "navbat", "simulate", *args],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_command_prints_what_it_found() -> None:
    done = simulated("--seeds", "3", "--events", "50", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["seeds"], report["violations"]) == (0, 3, 0)
    assert report.keys() == set(Report.__struct_fields__)
    assert simulated("--seeds", "3").stdout.splitlines()[1] == "0 violations"
    assert simulated().returncode == 2
