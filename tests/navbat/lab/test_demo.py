"""The demo as its users start it: with and without a terminal, ended politely and not."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from crm.kernel.records import Message
from navbat.lab.demo import headless
from navbat.lab.demo.conversations import ANSWERS, LEAVE, NAMES, NUDGE, STORIES, React, key
from navbat.lab.demo.headless import Ledger, Verdict
from navbat.lab.demo.house import CHANNELS
from navbat.lab.demo.past import PEOPLE
from navbat.lab.demo.town import png
from tests.navbat.process import ROOT, wait_for

Headless = Callable[[int], subprocess.Popen[str]]


@pytest.fixture
def tmp(folder: Path) -> Iterator[Path]:
    """Where the demo makes its folder. Afterwards nothing of it may be left, whatever happened."""
    yield folder
    wait_for(lambda: not left_behind(folder), within=30)
    assert not list(folder.glob("navbat-demo-*"))


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "navbat", "demo", *words]


def environment(tmp: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NAVBAT_")}
    return kept | {"TMPDIR": str(tmp), "HOME": str(tmp), "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}


@pytest.fixture
def headless_demo(tmp: Path) -> Iterator[Headless]:
    made: list[subprocess.Popen[str]] = []
    # a suite that was started under nohup, or in the background, ignores one, and so would its children
    before = {one: signal.signal(one, signal.SIG_DFL) for one in (signal.SIGHUP, signal.SIGINT)}

    def make(seconds: int) -> subprocess.Popen[str]:
        made.append(
            subprocess.Popen(
                command("--headless", "--seconds", str(seconds)),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp, env=environment(tmp),
            )
        )  # fmt: skip
        return made[-1]

    yield make
    for one, handler in before.items():
        signal.signal(one, handler)
    for process in made:
        process.kill()
        process.communicate()


def left_behind(tmp: Path) -> list[psutil.Process]:
    """Processes of a demo in this folder: the desk, its parts and its redis-server."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            told = " ".join(process.cmdline()) + str(process.cwd())
            if str(tmp) in told and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(process)
    return found


def part(tmp: Path, word: str) -> psutil.Process:
    """The demo's process whose command line has the word, as soon as there is one."""

    def find() -> psutil.Process | None:
        for process in left_behind(tmp):
            with contextlib.suppress(psutil.Error):
                if any(word in argument for argument in process.cmdline()):
                    return process
        return None

    found: psutil.Process = wait_for(find)
    return found


def until_busy(tmp: Path) -> None:
    """Returns when the desk has delivered answers."""
    wait_for(lambda: any(file.stat().st_size for file in tmp.glob("navbat-demo-*/*.sent")), within=30)


# ------------------------------------------------------------------ without a terminal


@pytest.mark.slow
def test_headless_loses_nothing_and_says_so(tmp: Path, headless_demo: Headless) -> None:
    process = headless_demo(2)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    rows = dict(re.findall(r"^  (\S.*?) {2,}(\S.*)$", out, re.MULTILINE))
    assert rows["messages in"] == rows["routed to a console"] == rows["answered"] == str(2 * headless.RATE)
    assert rows["in the store, in + out"] == f"{2 * headless.RATE} + {2 * headless.RATE}"
    assert rows["lost"] == rows["duplicated"] == rows["out of order"] == "0"
    assert rows["write to console, p99"].endswith(" ms")
    assert int(rows["returning customers"]) == len(headless.RETURN)
    leads, made = map(int, rows["leads, of this run"].split(","))
    assert leads == len(PEOPLE) + made
    # Who has written before is a new lead only if the one he was is at its end.
    assert int(rows["customers"]) - len(headless.RETURN) <= made <= int(rows["customers"])
    assert int(rows["deals"]) > 0


def test_headless_lasts_a_second_at_least(tmp: Path, headless_demo: Headless) -> None:
    process = headless_demo(0)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "--seconds: expected a whole number from 1" in err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_ended_demo_leaves_nothing(tmp: Path, headless_demo: Headless, number: signal.Signals) -> None:
    process = headless_demo(600)
    until_busy(tmp)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode != 0


@pytest.mark.slow
def test_a_demo_without_its_world_ends_and_leaves_nothing(tmp: Path, headless_demo: Headless) -> None:
    process = headless_demo(600)
    until_busy(tmp)
    part(tmp, "navbat.lab.demo.world").kill()
    process.communicate(timeout=30)
    assert process.returncode != 0


@pytest.mark.slow
def test_a_desk_that_dies_in_the_middle_costs_nothing_that_was_acknowledged(
    tmp: Path, headless_demo: Headless
) -> None:
    process = headless_demo(3)
    until_busy(tmp)
    part(tmp, "navbat.run.child").kill()
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, out + err


# ------------------------------------------------------------------ at a terminal


class Terminal:
    """The demo on a pseudo-terminal of 120 × 36."""

    def __init__(self, tmp: Path, **more: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(tmp)
            os.execve(sys.executable, command(), environment(tmp) | more)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        self._seen = b""

    def until(self, pattern: str, within: float = 30.0) -> None:
        """Returns when what was painted since the last key has the pattern."""
        deadline = time.monotonic() + within
        while not re.search(pattern.encode(), self._seen):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self._seen[-2000:]!r}"
            assert self._read(), f"ended without {pattern!r}: {self._seen[-2000:]!r}"

    def _read(self) -> bool:
        """False at the end."""
        ready, _, _ = select.select([self._fd], [], [], 0.2)
        if ready:
            try:
                more = os.read(self._fd, 1 << 16)
            except OSError:
                return False
            self._seen += re.sub(rb"\x1b\[[0-9;?<>=$]*[A-Za-z]", b"", more)
            return bool(more)
        return True

    def press(self, keys: str) -> None:
        self._seen = b""
        os.write(self._fd, keys.encode())

    def ended(self, within: float = 30.0) -> int:
        """The exit status, once the program has ended."""
        deadline = time.monotonic() + within
        while self._read():
            assert time.monotonic() < deadline, f"it goes on: {self._seen[-2000:]!r}"
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def clean_up(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)


Open = Callable[..., Terminal]


@pytest.fixture
def open_terminal(tmp: Path) -> Iterator[Open]:
    made: list[Terminal] = []

    def make(**more: str) -> Terminal:
        made.append(Terminal(tmp, **more))
        return made[-1]

    yield make
    for terminal in made:
        terminal.clean_up()


@pytest.mark.slow
def test_a_person_takes_and_answers_within_ten_seconds_of_the_start(tmp: Path, open_terminal: Open) -> None:
    since = time.monotonic()
    terminal = open_terminal()
    terminal.until("OFFERED")
    assert time.monotonic() - since < 10
    terminal.until(r"take what is offered")
    terminal.press("t")
    terminal.until("reply")
    terminal.press("One moment please\r")
    wait_for(lambda: any("One moment please" in f.read_text() for f in tmp.glob("navbat-demo-*/*.sent")))
    terminal.press("\x03")
    terminal.until("Leave")
    terminal.press("\x03")
    assert terminal.ended() == 0
    assert not list(tmp.glob("navbat-demo-*"))
    assert not (tmp / ".local" / "state" / "navbat").exists()


@pytest.mark.slow
def test_a_desk_that_cannot_start_is_told_and_leaves_nothing(tmp: Path, open_terminal: Open) -> None:
    terminal = open_terminal(PYTHONPATH=f"{broken(tmp)}:{ROOT}")
    terminal.until("the demo's desk did not start")
    terminal.until("no room in the house")
    assert terminal.ended() == 1
    assert not list(tmp.glob("navbat-demo-*"))


def broken(tmp: Path) -> Path:
    """A folder of modules that keeps `navbat run` from starting."""
    folder = tmp / "modules"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys\nif 'run' in sys.orig_argv: sys.exit('no room in the house')\n"
    )
    return folder


# ------------------------------------------------------------------ the books


def message(chat: str, external_id: str, id: str) -> Message:
    return Message(
        id=id, session="1", chat=chat, seq=1, direction="in", at=1, external_id=external_id, text="hi"
    )


def test_the_ledger_notices_a_message_that_became_two() -> None:
    ledger = Ledger()
    assert ledger.message_seen(message("shop:c1", "m1", "1-1"))
    assert ledger.message_seen(message("shop:c1", "m1", "1-1"))
    assert not ledger.doubled
    assert not ledger.message_seen(message("shop:c1", "m1", "1-2"))
    assert ledger.doubled == {("shop:c1", "m1")}


class Stored:
    """A store that holds these messages."""

    def __init__(self, *found: tuple[str, str, str]) -> None:
        self._found = [{"_id": id, "chat": "shop:c1", "direction": d, "external_id": x} for id, d, x in found]

    async def find(self, *_: object, **__: object) -> list[dict[str, str]]:
        return self._found


def ledger_of(*ids: str) -> Ledger:
    ledger = Ledger()
    for number, id in enumerate(ids, 1):
        ledger.acknowledged.add(("shop:c1", id))
        ledger.seen["shop:c1", id] = f"1-{number}"
    return ledger


async def verdict(ledger: Ledger, store: Stored) -> Verdict:
    return await headless.verdict(ledger, store)  # type: ignore[arg-type]


async def test_balanced_books_are_good() -> None:
    ledger = ledger_of("m1")
    ledger.replies["1-2"] = ("shop:c1", "m1")
    ledger.reached["1-2"] = 1
    found = await verdict(ledger, Stored(("1-1", "in", "m1"), ("1-2", "out", "lb-1-2")))
    assert found.good
    assert found.answered == 1


async def test_a_message_missing_in_the_store_is_lost() -> None:
    found = await verdict(ledger_of("m1", "m2"), Stored(("1-1", "in", "m1")))
    assert (found.lost, found.good) == (1, False)


async def test_a_message_that_no_console_got_is_lost() -> None:
    ledger = ledger_of("m1")
    ledger.seen.clear()
    assert (await verdict(ledger, Stored(("1-1", "in", "m1")))).lost == 1


async def test_a_reply_that_reached_nobody_is_lost() -> None:
    ledger = ledger_of()
    ledger.replies["1-2"] = ("shop:c1", "m1")
    assert (await verdict(ledger, Stored(("1-2", "out", "")))).lost == 1


async def test_a_reply_delivered_twice_is_duplicated() -> None:
    ledger = ledger_of()
    ledger.reached["1-2"] = 2
    found = await verdict(ledger, Stored(("1-2", "out", "")))
    assert (found.duplicated, found.good) == (1, False)


async def test_a_message_stored_twice_is_duplicated() -> None:
    assert (await verdict(ledger_of("m1"), Stored(("1-1", "in", "m1"), ("1-2", "in", "m1")))).duplicated == 1


async def test_messages_out_of_order_are_counted() -> None:
    found = await verdict(ledger_of("m1", "m2"), Stored(("1-1", "in", "m2"), ("1-2", "in", "m1")))
    assert (found.disordered, found.good) == (1, False)


# ------------------------------------------------------------------ the conversations


def test_the_conversations_are_in_three_languages_on_every_channel() -> None:
    assert {s.language for s in STORIES} == set(NAMES) == set(NUDGE) == set(LEAVE) == {"en", "ru", "uz"}
    assert {s.channel for s in STORIES} == set(CHANNELS)


def test_every_text_is_recognised_by_its_beginning() -> None:
    texts = [act[0] for s in STORIES for t in s.turns for act in t.acts if not isinstance(act, React)]
    assert [key for key, n in Counter(map(key, texts)).items() if n > 1] == []
    assert all(key(text[:80]) in ANSWERS for text in texts)


def test_every_conversation_ends_with_a_satisfied_customer_and_no_other_turn_does() -> None:
    for story in STORIES:
        assert [bool(turn.answer) for turn in story.turns] == [True] * (len(story.turns) - 1) + [False]


def test_the_picture_is_one() -> None:
    assert png(8, 8).startswith(b"\x89PNG\r\n\x1a\n")
