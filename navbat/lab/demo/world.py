"""The process behind a demo: the desk and everybody in it. Ends with its stdin, and clears up.

Started by ``navbat.lab.demo`` in a session of its own, so that neither a Ctrl-C at the terminal nor the
end of the terminal cuts it off: whatever happens to the parent, its stdin closes, and then the desk is
stopped and the folder removed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import shutil
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from crm.kernel.errors import NavbatError
from navbat.lab.demo.house import HUMAN, House

SESSIONS = 6
"""So many a person serves at once in one line; the headless load knows no limit."""


async def serve(folder: Path, seconds: int) -> int:
    """Runs a demo, headless for ``seconds`` or until stdin ends; returns the exit status."""
    async with House(folder, limit=0 if seconds else SESSIONS) as house:
        if seconds:
            from navbat.lab.demo.headless import drive

            return 0 if await drive(house, seconds) else 1
        from navbat.lab.demo.town import live

        print(f"ready {house.url} {house.tokens[HUMAN]}", flush=True)
        await live(house)
        return 0


async def _until_left(work: Coroutine[Any, Any, int]) -> int:
    """The work's status, or 130 when stdin ended or a signal came first."""
    loop = asyncio.get_running_loop()
    parent = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(parent), sys.stdin)
    working = asyncio.create_task(work, name="demo")
    leaving = asyncio.create_task(parent.read(), name="demo-parent")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, leaving.cancel)
    await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    if working.done():
        return working.result()
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    return 130


def main() -> int:
    """``python -m navbat.lab.demo.world FOLDER [--seconds N]``."""
    parser = argparse.ArgumentParser(prog="navbat.lab.demo.world")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=int, default=0)
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        return asyncio.run(_until_left(serve(args.folder, args.seconds)))
    except NavbatError as error:
        print(f"navbat demo: {error}", file=sys.stderr)
        if error.hint:
            print(error.hint, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(args.folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
