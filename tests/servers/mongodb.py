"""A MongoDB for the tests: the one that ``NAVBAT_TEST_MONGODB_URL`` names, else a ``mongod`` on PATH, else what
``.ci/run`` has made (FerretDB where there is Go, mongo-java-server where there is Java). With
``NAVBAT_REQUIRE_MONGODB=1`` none at all is a failure."""

from __future__ import annotations

import contextlib
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

import pytest

WHY_NOT = (
    "no MongoDB: set NAVBAT_TEST_MONGODB_URL, or have mongod on PATH, or run .ci/install-ferretdb (Go)"
    " or .ci/install-mongo-java-server (Java)"
)

_SERVERS = Path(__file__).parent


def there(url: str | None) -> str:
    """The URL; without one the test does not run, or fails where it must run."""
    if url is not None:
        return url
    if os.environ.get("NAVBAT_REQUIRE_MONGODB") == "1":
        pytest.fail(WHY_NOT, pytrace=False)
    pytest.skip(WHY_NOT)


def fold_skips(skipped: list[pytest.TestReport]) -> None:
    """Makes one line of all that did not run for want of a server."""
    for report in skipped:
        if isinstance(report.longrepr, tuple) and str(report.longrepr[2]).endswith(WHY_NOT):
            report.longrepr = (str(_SERVERS / "mongodb.py"), 0, f"Skipped: {WHY_NOT}")


@contextmanager
def mongodb(*, fast: bool = False) -> Iterator[str | None]:
    """The URL of a server, or nothing where there is none. ``fast``: rather one that finds a document to be
    changed by its id, which FerretDB on SQLite does not."""
    given = os.environ.get("NAVBAT_TEST_MONGODB_URL")
    if given:
        yield given
    elif mongod := shutil.which("mongod"):
        with _mongod(mongod) as url:
            yield url
    else:
        made = [
            (_ferretdb, _built("bin/ferretdb", "ferretdb_server", "go.sum", "main.go")),
            (_java_server, _built("mongo-java-server", "java_server", "pom.xml", "Server.java")),
        ]
        for start, place in reversed(made) if fast else made:
            if place.exists():
                with start(place) as url:
                    yield url
                return
        yield None


def _built(name: str, folder: str, *sources: str) -> Path:
    """Where the server is that was built from the sources as they are now."""
    digest = hashlib.sha256(b"".join((_SERVERS / folder / source).read_bytes() for source in sources))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "navbat" / f"{name}-{digest.hexdigest()[:16]}"


@contextmanager
def _mongod(program: str) -> Iterator[str]:
    with _folder() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        words: list[str | Path] = [
            program,
            "--dbpath",
            folder,
            "--bind_ip",
            "127.0.0.1",
            "--port",
            str(port),
            "--nounixsocket",
        ]
        with _running(words, stdout=subprocess.DEVNULL) as process:
            _wait(process, ("127.0.0.1", port))
            yield f"mongodb://127.0.0.1:{port}/"


@contextmanager
def _ferretdb(program: Path) -> Iterator[str]:
    with _folder() as folder:
        address = folder / "mongodb-27017.sock"
        (folder / "data").mkdir()
        with _running(
            [program, address, folder / "data"], env={**os.environ, "HOME": str(folder)}
        ) as process:
            _wait(process, str(address))
            yield f"mongodb://{str(address).replace('/', '%2F')}/"


@contextmanager
def _java_server(classes: Path) -> Iterator[str]:
    words: list[str | Path] = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{classes}:{classes}/*", "Server"]
    pipe = subprocess.PIPE
    with _running(words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        yield f"mongodb://127.0.0.1:{int(process.stdout.readline())}/"


@contextmanager
def _folder() -> Iterator[Path]:
    # A short path: a socket's has little more than a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="nb-mongo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(
    words: list[str | Path],
    *,
    env: dict[str, str] | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(words, env=env, stdin=stdin, stdout=stdout, stderr=stderr) as process:
        try:
            yield process
        finally:
            process.terminate()


def _wait(process: subprocess.Popen[bytes], address: str | tuple[str, int]) -> None:
    deadline = time.monotonic() + 20
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    while True:
        with contextlib.suppress(OSError), socket.socket(family) as client:
            client.connect(address)
            return
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)
