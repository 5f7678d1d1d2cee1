"""``navbat check``: what it finds without starting anything."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from navbat.config import check
from tests.navbat.process import CONFIG, Desk

ROOT = Path(__file__).parents[3]


def test_the_sample_is_valid(make_desk: Callable[..., Desk]) -> None:
    text = (ROOT / "config.yaml").read_text(encoding="utf-8").replace("127.0.0.1:8700", "127.0.0.1:0")
    done = make_desk(text).command("check")
    assert done.stdout.endswith("ok\n")
    assert "redis: embedded, redis-server " in done.stdout
    assert "store: embedded SQLite, " in done.stdout


def test_what_is_external_is_said_without_its_password(make_desk: Callable[..., Desk]) -> None:
    text = "redis: redis://u:hunter22@r.example:6379\nmongodb: mongodb://m:hunter23@m.example/x\n"
    done = make_desk(text + "gateway: {listen: 127.0.0.1:0}").command("check")
    assert "redis: external, redis://r.example:6379" in done.stdout
    assert "store: external MongoDB, mongodb://m.example/x" in done.stdout
    assert "warning: redis contains a password" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_members_without_account_are_problems(desk: Desk) -> None:
    refused = desk.command("check", status=1)
    assert "lines.sales.members: anna has no account; `navbat operator add anna`" in refused.stderr
    desk.add("anna")
    assert desk.command("check").stdout.endswith("ok\n")
    desk.command("operator", "disable", "anna")
    assert "the account anna is disabled" in desk.command("check", status=1).stderr


def test_checking_changes_nothing(desk: Desk) -> None:
    desk.command("check", status=1)
    assert not (desk.folder / "data").exists()


def test_literal_secrets_are_warned_about(make_desk: Callable[..., Desk]) -> None:
    text = CONFIG.replace("members: [anna]", "members: []")
    literal = make_desk(text).command("check")
    assert "warning: channels.lo.secret stands in the file as it is" in literal.stderr
    desk = make_desk(text.replace("loopback-secret", '"${LO_SECRET}"'))
    assert "stands in the file" not in desk.command("check", env={"LO_SECRET": "x"}).stderr
    assert "the environment has no LO_SECRET" in desk.command("check", status=1).stderr


def test_a_taken_port_is_a_problem_unless_the_desk_itself_has_it(make_desk: Callable[..., Desk]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        desk = make_desk(CONFIG.replace("127.0.0.1:0", address).replace("[anna]", "[]"))
        assert f"gateway.listen: {address} cannot be used" in desk.command("check", status=1).stderr
    desk.start()
    assert "(a desk runs on it now)" in desk.command("check").stdout
    desk.stop()


def test_certificates_are_read(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk("gateway: {listen: 127.0.0.1:0, tls: {cert: cert.pem, key: key.pem}}")
    assert "cert.pem and its key cannot be used" in desk.command("check", status=1).stderr
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=desk.folder, capture_output=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert "127.0.0.1:0 (TLS)" in desk.command("check").stdout


def test_a_folder_that_cannot_be_written(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk("data: ./file/data\ngateway: {listen: 127.0.0.1:0}")
    (desk.folder / "file").write_text("")
    assert "cannot be written" in desk.command("check", status=1).stderr


def test_all_problems_are_told_at_once(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk("dsk: x\ndata: ${NAVBAT_NO}\nlines: {l: {mode: odd}}")
    refused = desk.command("check", status=1)
    assert refused.stderr.count("problem: ") == 3
    assert refused.stdout == "3 problems\n"


@pytest.mark.parametrize("command", [("run",), ("operator", "list")])
def test_a_wrong_configuration_starts_nothing(
    make_desk: Callable[..., Desk], command: tuple[str, ...]
) -> None:
    desk = make_desk("dsk: x")
    assert "did you mean desk?" in desk.command(*command, status=1).stderr


def test_online_asks_what_is_external(make_desk: Callable[..., Desk], folder: Path) -> None:
    desk = make_desk(f"redis: unix://{folder}/none.sock\ngateway: {{listen: 127.0.0.1:0}}")
    desk.command("check")
    assert "problem: redis: " in desk.command("check", "--online", status=1).stderr


def test_a_data_folder_that_can_be_none(make_desk: Callable[..., Desk]) -> None:
    """Whatever is there in its place is named, and why it does not do."""
    wrong: list[tuple[str, Callable[[Path], object], str]] = [
        ("file", lambda f: (f / "file").write_text(""), "/file is a file, and no folder"),
        ("link", lambda f: (f / "link").symlink_to(f / "x"), "/link is a link to a place that is not there"),
        (
            "link/in",
            lambda f: (f / "link").symlink_to(f / "x"),
            "/link is a link to a place that is not there",
        ),
        ("x" * 300, lambda f: None, "cannot be a folder: File name too long"),
        ("d/redis", lambda f: (f / "d").write_text(""), "/d is a file, and no folder"),
        (
            "d",
            lambda f: (f / "d" / "navbat.sqlite").mkdir(parents=True),
            "navbat.sqlite is a folder, and should",
        ),
    ]
    for number, (data, prepare, said) in enumerate(wrong):
        desk = make_desk(f"data: {data}\ngateway: {{listen: 127.0.0.1:0}}", name=f"n{number}")
        prepare(desk.folder)
        problems = desk.command("check", status=1).stderr
        assert said in problems, (data, problems)
        for command in (("operator", "list"), ("run",))[: 1 if data == "d" else 2]:
            assert "Traceback" not in desk.command(*command, status=3 if data == "d" else 1).stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_data_folder_of_somebody_else(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk("data: ./mine/data\ngateway: {listen: 127.0.0.1:0}")
    (desk.folder / "mine").mkdir(mode=0o500)
    assert "mine does not let us" in desk.command("check", status=1).stderr
    (desk.folder / "mine").chmod(0o700)


def test_a_path_that_is_too_long_for_a_socket_is_no_problem(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(f"data: {'/'.join(['y' * 60] * 3)}\ngateway: {{listen: 127.0.0.1:0}}")
    assert "too long for a socket" in desk.command("check").stdout
    desk.start()


def test_a_read_only_file_system_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert check._impossible(tmp_path / "data").endswith(f"the file system of {tmp_path} is read-only")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a place where even root can make nothing")
def test_a_place_where_nothing_can_be_made(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk("data: /proc/navbat\ngateway: {listen: 127.0.0.1:0}")
    assert "problem: data: /proc/navbat cannot be written: /proc" in desk.command("check", status=1).stderr


def test_a_bot_is_a_flow_or_an_account_of_that_role(make_desk: Callable[..., Desk]) -> None:
    text = CONFIG.replace("members: [anna]", "members: [], bot: robot")
    desk = make_desk(text)
    assert "lines.sales.bot: robot is no flow and has no account" in desk.command("check", status=1).stderr
    desk.add("robot")
    assert "lines.sales.bot: the account robot is of role operator" in desk.command("check", status=1).stderr
    shipped = make_desk(text.replace("robot", "reception"), name="shipped")
    assert shipped.command("check").stdout.endswith("ok\n")
    other = make_desk(text, name="other")
    other.add("robot", "--role", "bot")
    assert other.command("check").stdout.endswith("ok\n")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("lines: {l: {language: NO}}", "lines.l.language: unknown language NO; did you mean no? Allowed: aa"),
        ("lines: {l: {language: klingon}}", "lines.l.language: unknown language klingon. Allowed: aa, "),
        ("operators: {o: {languages: [uz, NO]}}", "operators.o.languages[1]: unknown language NO; did you"),
        ("lines: {l: {mode: ''}}", 'lines.l.mode: unknown value "". Allowed: all, '),
    ],
)
def test_words_that_nobody_knows_are_told(make_desk: Callable[..., Desk], settings: str, said: str) -> None:
    desk = make_desk(f"gateway: {{listen: 127.0.0.1:0}}\n{settings}")
    assert said in desk.command("check", status=1).stderr


def test_a_line_gets_no_language_that_nobody_has(desk: Desk) -> None:
    for value in ("NO", "klingon"):
        refused = desk.command("line", "set", "sales", f"language={value}", status=1)
        assert f"language: unknown language {value}" in refused.stderr
    (desk.folder / "sales.yaml").write_text("language: NO")
    refused = desk.command("line", "edit-from", "sales", str(desk.folder / "sales.yaml"), status=1)
    assert "language: unknown language NO" in refused.stderr
    for value in ("no", "customer", "off", "pt-br", "''"):
        desk.command("line", "set", "sales", f"language={value}")


def test_parts_that_run_alone_are_no_stranger_at_the_port(make_desk: Callable[..., Desk]) -> None:
    """They hold no lock: the one at the port is asked who it is."""

    class Answers(http.server.BaseHTTPRequestHandler):
        body = b'{"live":true}'

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.body)

        def log_message(self, *given: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_address[1]}"
        desk = make_desk(f"gateway: {{listen: '{address}'}}\nredis: redis://r.example:6379")
        assert f"a navbat serves at {address} now" in desk.command("check").stderr
        Answers.body = b"hello"
        assert f"{address} cannot be used" in desk.command("check", status=1).stderr
        server.shutdown()


def test_a_damaged_store_says_what_to_do(desk: Desk) -> None:
    desk.add("anna")
    for path in (desk.folder / "data").glob("navbat.sqlite*"):
        path.unlink()
    (desk.folder / "data" / "navbat.sqlite").write_bytes(b"nothing of ours" * 1000)
    refused = desk.command("check", status=1).stderr
    assert "is damaged; `navbat repair` says what can be saved" in refused
    assert refused.count("navbat.sqlite") == 1
