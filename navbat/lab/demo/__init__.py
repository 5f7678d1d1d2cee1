"""``navbat demo``: a real desk in a temporary folder, with simulated customers and colleagues.

This process shows the console or waits for the summary. Everything else lives in a process of its own
(``navbat.lab.demo.world``), which ends and clears up when this one does, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from crm.kernel.errors import NavbatError

END_TIMEOUT = 20.0
"""Seconds for the desk to end: it promises ten."""


def main(*, headless: bool = False, seconds: int = 20) -> int:
    """Without a terminal it is headless in any case. Returns the exit status: 0, in a headless demo
    only if nothing was lost or duplicated. Raises ``NavbatError`` when the desk does not start."""
    signal.signal(signal.SIGTERM, _leave)
    if headless or not (sys.stdin.isatty() and sys.stdout.isatty()):
        with _world("--seconds", str(seconds)) as (world, _):
            return world.wait()
    from console.app import unfit
    from console.text.words import Words

    if trouble := unfit(Words()):
        raise NavbatError(trouble)
    return _show()


def _show() -> int:
    """The console, on a desk that is already busy. What the others have to complain of is told after
    it, not across it."""
    print("A desk is being set up in a temporary folder …", flush=True)
    with (
        tempfile.TemporaryFile() as complaints,
        _world(stdout=subprocess.PIPE, stderr=complaints) as (world, folder),
    ):
        assert world.stdout is not None
        words = world.stdout.readline().decode().split()
        status = 1
        if len(words) == 3:
            from navbat.lab.demo.screen import show

            status = show(url=words[1], token=words[2], folder=folder)
        if len(words) != 3 or world.poll() is not None:
            world.wait()
            complaints.seek(0)
            print(complaints.read().decode(errors="replace"), end="", file=sys.stderr)
            status = status or 1
        return status


def _leave(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _world(
    *arguments: str, stdout: int | None = None, stderr: IO[bytes] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The process with everything in it, and its folder; both are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="navbat-demo-"))
    process = subprocess.Popen(
        [sys.executable, "-m", "navbat.lab.demo.world", str(folder), *arguments],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    try:
        yield process, folder
    finally:
        _end(process)
        shutil.rmtree(folder, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Closing stdin asks it to end. What still runs of its group then (it was killed itself) is ended
    too, before the folder goes."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(END_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
    deadline = time.monotonic() + END_TIMEOUT
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
