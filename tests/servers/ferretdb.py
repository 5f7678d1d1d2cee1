"""A MongoDB for the tests: the one that ``NAVBAT_TEST_MONGODB`` names, else a FerretDB of our own,
where ``.ci/install-ferretdb`` has built it."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WHY_NOT = "no MongoDB: set NAVBAT_TEST_MONGODB to its URL, or run .ci/install-ferretdb where Go is installed"

_SOURCES = Path(__file__).parent / "ferretdb_server"


def binary() -> Path | None:
    """The server that was built from the sources as they are now."""
    digest = hashlib.sha256(b"".join((_SOURCES / name).read_bytes() for name in ("go.sum", "main.go")))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = cache / "navbat" / "bin" / f"ferretdb-{digest.hexdigest()[:16]}"
    return found if found.exists() else None


@contextmanager
def mongodb() -> Iterator[str | None]:
    """The URL of a server, or nothing where there is none."""
    given = os.environ.get("NAVBAT_TEST_MONGODB")
    found = binary()
    if given or found is None:
        yield given
        return
    # A short path: a socket's has little more than a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="nb-ferret-"))
    address = folder / "mongodb-27017.sock"
    (folder / "data").mkdir()
    environment = {**os.environ, "HOME": str(folder)}
    process = subprocess.Popen([found, address, folder / "data"], env=environment)
    try:
        _wait(process, address)
        yield f"mongodb://{str(address).replace('/', '%2F')}/"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def _wait(process: subprocess.Popen[bytes], address: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(str(address)) == 0:
                return
        assert process.poll() is None, "ferretdb ended"
        assert time.monotonic() < deadline, "ferretdb did not start"
        time.sleep(0.02)
