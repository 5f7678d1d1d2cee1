"""A real ``navbat run`` in a folder of its own, with operators who have tokens."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.harness import until
from benchmarks.route import caught_up as routed
from crm.kernel.records import Role
from crm.operators import accounts
from navbat.run.serving import recorded_socket, url_of
from router.log.home import connect
from router.log.log import Log
from storage.sqlite import SqliteStore

ROOT = Path(__file__).parent.parent
DESK = "bench"
START_WITHIN = 30


class RunningDesk:
    """A desk that serves, or, before ``start``, its folder and accounts."""

    def __init__(self, folder: Path, operators: Sequence[str], supervisors: Sequence[str] = ()) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.tokens: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self._operators = operators
        self._supervisors = supervisors

    async def prepare(self, channels: str = "") -> None:
        """Writes the configuration (``channels`` as YAML; they lead to the line ``sales``, in which the
        operators work, or to ``night``, in which nobody does) and makes the accounts."""
        (self.folder / "data").mkdir(mode=0o700)
        members = ", ".join(self._operators)
        (self.folder / "config.yaml").write_text(
            f'desk: {DESK}\ndata: ./data\ngateway: {{listen: "127.0.0.1:{self.port}"}}\n'
            f"lines: {{sales: {{mode: even, members: [{members}], answer_within: 12h}}, night: {{mode: even}}}}\n"
            f"channels: {channels or '{lo: {kind: loopback, line: sales, secret: bench-secret}}'}\n"
        )
        store = SqliteStore(self.folder / "data" / "navbat.sqlite")
        await store.open()
        accounts_of: list[tuple[Role, Sequence[str]]] = [
            ("operator", self._operators), ("supervisor", self._supervisors)
        ]  # fmt: skip
        for role, name in [(role, name) for role, names in accounts_of for name in names]:
            await accounts.add_account(store, name, role=role)
            self.tokens[name] = await accounts.new_token(store, name)
        await store.close()

    def start(self) -> None:
        """Returns when the desk says that it is ready."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "navbat", "--config", str(self.folder / "config.yaml"), "run"],
            stdout=subprocess.PIPE,
            stderr=(self.folder / "desk.err").open("wb"),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith(b"ready"):
            raise RuntimeError((self.folder / "desk.err").read_text())

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(15)

    def log(self) -> Log:
        """The desk's log, for a client beside it; the caller closes it."""
        found = recorded_socket(self.folder / "data")
        assert found is not None
        return Log(connect(url_of(found)), DESK)

    def processes(self) -> list[psutil.Process]:
        """All of the desk's: itself, its router process, its Redis."""
        assert self.process is not None
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    async def stored(self) -> int:
        """Customers' messages in the store."""
        store = SqliteStore(self.folder / "data" / "navbat.sqlite")
        await store.open()
        try:
            return await store.count("messages", {"direction": "in"})
        finally:
            await store.close()


@contextmanager
def desk_of(operators: Sequence[str], supervisors: Sequence[str] = ()) -> Iterator[RunningDesk]:
    """A folder for a desk; the desk is stopped and the folder removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="nb-bench-"))
    desk = RunningDesk(folder, operators, supervisors)
    try:
        yield desk
    finally:
        desk.stop()
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


async def caught_up(log: Log, within: float = 60.0) -> None:
    """Returns when the router has committed up to the end of the log, and the projector stored it."""

    async def is_up() -> bool:
        _, newest = await log.journal_bounds()
        return await routed(log) and await log.reader("projector") == newest

    await until(is_up, within)
