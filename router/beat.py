"""The common beat of everything that is done again and again."""

from __future__ import annotations

import time


def until_beat(period: float) -> float:
    """Seconds to sleep for something that is done every ``period`` seconds: until the steady clock of this
    machine is at a multiple of it. So all leases and reports of all processes come at one moment: one
    wake-up of each and one fsync, where each for itself would cost an idle desk most of its processor time."""
    left = period - time.monotonic() % period
    # A loop may wake a little before its time; that was this beat.
    return left if left > period / 10 else left + period
