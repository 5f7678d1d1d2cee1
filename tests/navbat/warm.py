"""Commands in processes of their own that need not import everything first: they are forked from one that
has. The command, its arguments, environment, folder and streams are those of a fresh process."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_IMPORTED = [
    "aiohttp", "argon2", "navbat.cli.accounts", "navbat.cli.commands", "navbat.cli.lines", "navbat.cli.quarantine",
    "navbat.config.check", "navbat.run.embedded", "navbat.run.logs", "storage.sqlite", "tests.navbat.warm",
]  # fmt: skip
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(_IMPORTED)


def carried_out(
    words: Sequence[str], stdin: str, environment: Mapping[str, str], folder: Path, within: float = 30.0
) -> subprocess.CompletedProcess[str]:
    """``navbat WORDS`` with ``stdin``. Raises ``subprocess.TimeoutExpired``."""
    with tempfile.TemporaryDirectory(prefix="nb-std-") as streams:
        place = Path(streams)
        (place / "0").write_text(stdin, encoding="utf-8")
        process = _PROCESSES.Process(
            target=_carry_out, args=(list(words), dict(environment), str(folder), streams)
        )
        process.start()
        process.join(within)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(words), within)
        out, err = ((place / name).read_text(encoding="utf-8") for name in "12")
        return subprocess.CompletedProcess(list(words), process.exitcode, out, err)


def _carry_out(words: list[str], environment: dict[str, str], folder: str, streams: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY | os.O_CREAT), (2, os.O_WRONLY | os.O_CREAT)):
        opened = os.open(Path(streams) / str(number), flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    sys.argv = ["navbat", *words]
    from navbat.cli import main

    try:
        status = main()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            sys.stderr.write(f"{ended.code}\n")
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(status or 0))
