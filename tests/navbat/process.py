"""A desk as its users have it: the real command in a process of its own, in a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.navbat import warm

ROOT = Path(__file__).parent.parent.parent
READY = re.compile(
    r"ready gateway=(http://127\.0\.0\.1:\d+) redis=(embedded|external) store=(sqlite|mongodb)\n"
)
SECRET = "loopback-secret"
CONFIG = f"""
desk: shop
data: ./data
gateway: {{listen: "127.0.0.1:0"}}
lines:
  sales: {{mode: even, members: [anna], answer_within: 1m}}
  support: {{mode: manual}}
channels:
  lo: {{kind: loopback, line: sales, secret: {SECRET}, sent_to: sent.jsonl}}
"""


def wait_for(condition: Callable[[], Any], within: float = 15.0) -> Any:
    """What the condition returns as soon as it is true; fails when that takes too long."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"did not happen within {within} s"
        time.sleep(0.02)
    return found


class Desk:
    """A folder with a configuration, and the commands run on it."""

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        self.folder = folder
        self.file = folder / "config.yaml"
        self.file.write_text(config, encoding="utf-8")
        self.url = ""
        self.ready = ""
        self.process: subprocess.Popen[str] | None = None
        self.others: list[subprocess.Popen[str]] = []
        self.within: list[str] = []
        """What the commands are run by, such as a sandbox."""

    # ---------------------------------------------------------------- commands

    def environment(self, more: Mapping[str, str] = {}) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("NAVBAT_")}
        home = {"HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder / "home"), "LANG": "C.UTF-8"}
        url = {"NAVBAT_URL": self.url} if self.url else {}
        return kept | home | url | {"PYTHONPATH": str(ROOT)} | dict(more)

    def start_command(
        self, *words: str, env: Mapping[str, str] = {}, files: int = 0, log: Path | None = None
    ) -> subprocess.Popen[str]:
        """Starts a command that lasts; it is ended with the test. ``files`` is how many descriptors it may
        have, ``log`` where its stderr goes."""
        limited = ["sh", "-c", 'ulimit -n "$0" && exec "$@"', str(files)] if files else []
        with contextlib.ExitStack() as stack:
            errors = stack.enter_context(log.open("w")) if log else subprocess.PIPE
            process = subprocess.Popen(
                [*limited, *self.within, sys.executable, "-m", "navbat", "--config", str(self.file), *words],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                text=True, cwd=self.folder, env=self.environment(env),
            )  # fmt: skip
        self.others.append(process)
        return process

    def command(
        self, *words: str, status: int = 0, stdin: str = "", env: Mapping[str, str] = {}
    ) -> subprocess.CompletedProcess[str]:
        """Carries out a command and expects its exit status."""
        if self.within:
            process = self.start_command(*words, env=env)
            out, err = process.communicate(stdin, timeout=30)
            done = subprocess.CompletedProcess(list(words), process.returncode, out, err)
        else:
            given = ("--config", str(self.file), *words)
            done = warm.carried_out(given, stdin, self.environment(env), self.folder)
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def as_operator(self, name: str, token: str) -> Operator:
        return Operator(self, name, token)

    def add(self, name: str, *more: str) -> Operator:
        """An account with a token."""
        return Operator(self, name, self.command("operator", "add", name, "--token", *more).stdout.strip())

    # ---------------------------------------------------------------- the desk itself

    def start(self, *, files: int = 0, log: Path | None = None) -> None:
        self.process = self.start_command("run", files=files, log=log)
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()
        found = READY.fullmatch(self.ready)
        assert found, f"no ready line: {self.ready!r}, {self._errors()}"
        self.url = found.group(1)

    def _errors(self) -> str:
        assert self.process is not None
        self.process.kill()
        return self.process.stderr.read() if self.process.stderr is not None else "see its log"

    def stop(self) -> float:
        """SIGTERM; returns the seconds it took. The exit status must be 0."""
        assert self.process is not None
        since = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=15)
        assert self.process.returncode == 0, errors
        return time.monotonic() - since

    def child(self, word: str) -> psutil.Process:
        """The process of the desk whose command line contains the word."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)

        def find() -> psutil.Process | None:
            for child in parent.children(recursive=True):
                try:
                    if any(word in part for part in child.cmdline()):
                        return child
                except psutil.NoSuchProcess:
                    continue
            return None

        found: psutil.Process = wait_for(find)
        return found

    def clean_up(self) -> None:
        """Ends whatever the test left running."""
        for process in self.others:
            if process.poll() is None:
                process.terminate()
                try:
                    process.communicate(timeout=12)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

    # ---------------------------------------------------------------- customers

    def write(self, chat: str, id: str, text: str, name: str = "Ali") -> None:
        """A customer writes; returns when the desk has acknowledged it."""
        body = json.dumps({"chat": chat, "id": id, "author": {"name": name}, "text": text}).encode()
        request = urllib.request.Request(
            f"{self.url}/hooks/loopback/lo", body, {"Authorization": f"Bearer {SECRET}"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            assert response.status == 200

    def sent(self) -> list[dict[str, Any]]:
        """What customers have been sent."""
        file = self.folder / "sent.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


class Operator:
    """Somebody with a token at the command line."""

    def __init__(self, desk: Desk, name: str, token: str) -> None:
        self.desk = desk
        self.name = name
        self.env = {"NAVBAT_TOKEN": token}

    def command(self, *words: str, status: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return self.desk.command(*words, status=status, stdin=stdin, env=self.env)

    def json(self, *words: str) -> Any:
        return json.loads(self.command(*words, "--json").stdout)

    def online(self) -> subprocess.Popen[str]:
        """Comes on duty, for as long as the process runs."""
        process = self.desk.start_command("duty", "online", env=self.env)
        assert process.stdout is not None
        assert process.stdout.readline() == "online\n"
        return process

    def until_sessions(self, count: int, *words: str) -> list[dict[str, Any]]:
        """The sessions, as soon as there are so many."""

        def find() -> list[dict[str, Any]] | None:
            found: list[dict[str, Any]] = self.json("sessions", *words)
            return found if len(found) == count else None

        found: list[dict[str, Any]] = wait_for(find)
        return found
