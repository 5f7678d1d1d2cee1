"""No command shows a traceback, whatever it is given: it does it, or says what is wrong."""

from __future__ import annotations

import argparse
import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from navbat.cli import grammar, program
from navbat.cli.reference import _subparsers
from tests.navbat.process import CONFIG, ROOT, Desk

ODD = (
    "", " ", "-1", "0", "-0", "99999999999999999999", "9" * 5000, "1e9", "NaN", "null", "true", "[", "{}", "a=b",
    "=", "a=[", "*", "&a", "../../etc/passwd", "/", "/dev/null", ".", "line:", "line:x", ":", "a:b:c",
    "٣", "1-1", "1-", "-1-1", "я", "日本語", "😀", "\u202e", "\x1b[2J", "a\nb", "x" * 70_000, "\ud800", "a\0b", "%s{}",
    "2026-13-45", "2026-03-05..2026-03-01", "0001-01-01", "9999-12-31", "9999-12-31 23:59", "http://", "http://[", "--",
)  # fmt: skip
LASTS = {"run", "demo", "console", "duty", "events", "simulate", "completion"}
"""What runs on and on, or does not read its words."""


def leaves(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    inner = list(_subparsers(parser))
    for name, child in inner:
        yield from leaves(child, (*path, name))
    if not inner:
        yield path, parser


def given(path: tuple[str, ...], parser: argparse.ArgumentParser, odd: str) -> Iterator[list[str]]:
    """The command with the odd value in each of its places in turn, and with it in all of them."""
    actions = [
        a
        for a in parser._actions
        if not isinstance(a, argparse._HelpAction) and a.nargs != 0 and a.dest != "config"
    ]
    positional = [a for a in actions if not a.option_strings]
    needed = [
        word for a in actions if a.required and a.option_strings for word in (a.option_strings[0], usual(a))
    ]
    plain = [usual(a) for a in positional]
    for place in range(len(positional)):
        yield [*path, *needed, *plain[:place], odd, *plain[place + 1 :]]
    for action in actions:
        if action.option_strings:
            yield [*path, *needed, f"{action.option_strings[0]}={odd}", *plain]


def usual(action: argparse.Action) -> str:
    if action.choices:
        return str(next(iter(action.choices)))
    return {"first": "2026-03-05", "last": "2026-03-07", "changes": "mode=all", "rules": "rules.yaml"}.get(
        action.dest, "1"
    )


PARSER = grammar.parser()
COMMANDS = {" ".join(path): (path, parser) for path, parser in leaves(PARSER) if path[0] not in LASTS}


@pytest.fixture(scope="module")
def odd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "rules.yaml").write_text("mode: all\n")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_breaks(
    command: str, odd_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "parser", lambda: PARSER)  # making it costs more than all the rest
    monkeypatch.chdir(odd_folder)
    monkeypatch.setenv("HOME", str(odd_folder))
    monkeypatch.setenv("NAVBAT_STATE", str(odd_folder / "state"))
    monkeypatch.setenv("NAVBAT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NAVBAT_TOKEN", "nb_00000000_x")
    path, parser = COMMANDS[command]
    for odd in ODD:
        for words in given(path, parser, odd):
            monkeypatch.setattr(sys, "stdin", io.StringIO("some text\n"))
            try:
                status = program.main(["--config", "config.yaml", *words])
            except SystemExit as ended:
                status = int(ended.code or 0)
            out, err = capsys.readouterr()
            assert status in (0, 1, 2, 3), words
            assert status == 0 or err, words
            assert "Traceback" not in out + err


@pytest.mark.parametrize(
    "command",
    [
        "say",
        "sessions",
        "search",
        "transfer",
        "tag",
        "start",
        "history",
        "file",
        "snooze",
        "edit",
        "customer show",
    ],
)
def test_nothing_breaks_with_a_desk(
    command: str,
    make_desk: Callable[..., Desk],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    desk = make_desk()
    anna = desk.add("anna", "--role", "supervisor")
    desk.start()
    desk.write("c1", "1", "hello")
    anna.until_sessions(1)
    for name, value in {**anna.env, "NAVBAT_URL": desk.url, "HOME": str(desk.folder)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(program, "parser", lambda: PARSER)
    monkeypatch.chdir(desk.folder)
    path, parser = COMMANDS[command]
    for odd in ODD:
        for words in given(path, parser, odd):
            monkeypatch.setattr(sys, "stdin", io.StringIO("some text\n"))
            try:
                status = program.main(words)
            except SystemExit as ended:
                status = int(ended.code or 0)
            assert status in (0, 1, 2), (words, capsys.readouterr())
    assert anna.json("sessions")


def run(*words: str, stdin: bytes = b"", env: Mapping[str, str] = {}) -> subprocess.CompletedProcess[bytes]:
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("NAVBAT_", "LC_", "LANG", "PYTHON"))
    }
    return subprocess.run(
        [sys.executable, "-m", "navbat", *words], input=stdin, capture_output=True, cwd=ROOT, timeout=60, check=False,
        env={**environment, **env, "NAVBAT_URL": "http://127.0.0.1:9"},
    )  # fmt: skip


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1251"}, {"PYTHONIOENCODING": "ascii:strict"},
        {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "utf-8:strict"},
    ],
)  # fmt: skip
def test_a_terminal_without_our_letters_ends_nothing(env: dict[str, str], tmp_path: Path) -> None:
    story = tmp_path / "story.yaml"
    story.write_text(
        "name: навбат – oʻyin 😀\nlines: {sales: {members: [anna]}}\nsteps:\n"
        "  - {at: 0s, customer: ali, writes: narxi}\n  - {at: 0s, expect: {session: ali, status: taken}}\n",
        encoding="utf-8",
    )
    plain = run("scenario", str(story), env=env)
    assert (plain.returncode, b"Traceback" in plain.stderr) == (1, False)
    assert b"FAILED" in plain.stdout
    import json

    told = run("scenario", str(story), "--json", env=env)
    encoding = env.get("PYTHONIOENCODING", "utf-8").partition(":")[0]
    assert json.loads(told.stdout.decode(encoding))[0]["name"] == "навбат – oʻyin 😀"


def test_bytes_that_are_no_text_are_wrong_use() -> None:
    for words in (("say", "1", b"\xff\xfe"), (b"\xff",), ("--config", b"\xff", "check")):
        done = subprocess.run(
            [sys.executable, "-m", "navbat", *words], capture_output=True, cwd=ROOT, timeout=60, check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert done.returncode == 2
        assert b"is no text" in done.stderr
    for stdin in (b"\xff\xfe", b"a\0b"):
        assert b"is no text" in run("say", "1", "-", stdin=stdin, env={"PYTHONUTF8": "1"}).stderr


def test_who_has_read_enough_hears_no_complaint() -> None:
    for words in ("--help", "completion bash"):
        command = f"{sys.executable} -m navbat {words} | head -1"
        done = subprocess.run(
            ["/bin/bash", "-c", command], capture_output=True, cwd=ROOT, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.count(b"\n") == 1
    full = subprocess.run(
        ["/bin/bash", "-c", f"{sys.executable} -m navbat completion bash > /dev/full"],
        capture_output=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert (full.returncode, full.stderr) == (1, b"navbat: No space left on device\n")


def test_an_interrupt_ends_quietly(desk: Desk) -> None:
    import signal

    desk.start()
    anna = desk.add("anna")
    for words in (("events",), ("duty", "online")):
        process = desk.start_command(*words, env=anna.env)
        stream = process.stderr if words == ("events",) else process.stdout
        assert stream is not None
        stream.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert (process.returncode, "Traceback" in err) == (0, False)


@pytest.mark.parametrize("command", ["console", "demo"])
@pytest.mark.parametrize("encoding", ["ascii", "cp1251"])
def test_a_screen_in_another_encoding_says_what_to_do(command: str, encoding: str, tmp_path: Path) -> None:
    """On a real terminal: nothing is painted that nobody could read."""
    here, there = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "navbat", command], stdin=there, stdout=there, stderr=there, cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding, "HOME": str(tmp_path), "LANG": "en_US.UTF-8"},
    )  # fmt: skip
    os.close(there)
    told = b""
    while b"--plain" not in told:
        told += os.read(here, 4096)
    assert process.wait(timeout=20) in (1, 2)
    os.close(here)
    assert f"encoding is {encoding}".encode() in told
    assert b"\\u250c" not in told
