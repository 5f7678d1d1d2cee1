"""``python -m navbat.run.alive``: whether the parts of this host report and work, as an exit status. For the
health checks of containers whose part serves no HTTP, such as the router's."""

from __future__ import annotations

import asyncio
import socket
import sys

import msgspec

from crm.kernel.errors import NavbatError
from navbat.config.backends import make_log, place_of
from navbat.config.types import load, locate
from navbat.run.parts import ProcessReport

TIMEOUT = 4.0


def verdict(reports: dict[str, bytes], host: str) -> str:
    """What is wrong with the processes of a host, or ""."""
    own = [
        msgspec.json.decode(raw, type=ProcessReport)
        for name, raw in reports.items()
        if name.startswith("process:")
    ]
    own = [report for report in own if report.host == host]
    if not own:
        return "no process of this host reports"
    return "; ".join(
        f"{name}: {part.trouble}" for report in own for name, part in report.parts.items() if part.trouble
    )


async def _ask() -> str:
    config = load(locate(), channels=False)
    if not config.redis:
        return "only a desk with an external Redis is asked this way"
    log = make_log(place_of(config, config.redis))
    try:
        async with asyncio.timeout(TIMEOUT):
            return verdict(await log.reports(), socket.gethostname())
    finally:
        await log.close()


def main() -> int:
    """Prints what is wrong; 0 when nothing is."""
    try:
        wrong = asyncio.run(_ask())
    except (NavbatError, TimeoutError) as error:
        wrong = str(error) or "Redis does not answer in time"
    print(wrong or "ok")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
