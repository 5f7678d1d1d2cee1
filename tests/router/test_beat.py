"""What is done again and again is done together."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.beat import until_beat


@given(st.floats(0, 1e7), st.sampled_from([0.1, 1.0, 2.0, 5.0]))
def test_whoever_has_the_same_period_wakes_at_the_same_moment(now: float, period: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now)
        wait = until_beat(period)
    assert period / 10 <= wait <= 1.1 * period
    beats = (now + wait) / period
    assert beats == pytest.approx(round(beats), abs=1e-3)
