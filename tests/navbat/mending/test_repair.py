"""Damaged files: named, with what would be lost; mended with consent; nothing else is touched."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from crm.kernel.errors import NavbatError
from navbat.mending.commands import command_at, read_from, resumes_at
from navbat.mending.journal import Damage, examine, mend
from navbat.run.embedded import find_server
from storage.salvage import problems
from tests.navbat.process import Desk, Operator, wait_for

MakeDesk = Callable[..., Desk]
SERVER = find_server()[0]


def resp(*words: str | bytes) -> bytes:
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def commit(number: int) -> bytes:
    """As the desk's writer leaves it."""
    return b"".join(
        (
            resp("MULTI"),
            resp("HSET", "nb:{shop}:sessions", str(number), b"\x81\xa1\r\n" * 20),
            resp("XADD", "nb:{shop}:journal", f"1772442{number:06}-0", "e", "x" * 50),
            resp("SET", "nb:{shop}:cursor", f"{number}-0"),
            resp("EXEC"),
        )
    )


def log_entry(number: int) -> bytes:
    return resp("XADD", "nb:{shop}:log", f"1772442{number:06}-1", "e", "what was said")


def file_of(parts: list[bytes], folder: Path) -> Path:
    (folder / "redis").mkdir(exist_ok=True)
    path = folder / "redis" / "appendonly.aof"
    path.write_bytes(b"".join(parts))
    return path


PARTS = [resp("SELECT", "0"), *(part for n in range(10) for part in (log_entry(n), commit(n)))]


def found_in(folder: Path) -> list[Damage]:
    return examine(folder / "redis", SERVER)


def test_a_whole_file_is_whole(folder: Path) -> None:
    file_of(PARTS, folder)
    assert found_in(folder) == []
    file_of([], folder)
    assert found_in(folder) == []


def test_every_cut_is_harmless_and_loses_no_whole_commit(folder: Path) -> None:
    """Wherever a write stopped."""
    whole = b"".join(PARTS)
    ends = [len(b"".join(PARTS[: number + 1])) for number in range(len(PARTS))]
    for cut in [*range(ends[-3], len(whole)), *random.Random(1).sample(range(1, len(whole)), 200)]:
        if cut in ends:
            continue
        path = file_of([whole[:cut]], folder)
        (damage,) = found_in(folder)
        assert damage.harmless
        assert damage.end == damage.size == cut
        assert damage.start == max((end for end in ends if end <= cut), default=0)
        (kept,) = mend([damage])
        assert path.read_bytes() == whole[: damage.start]
        assert kept.read_bytes() == whole[damage.start : cut]
        kept.unlink()


def test_room_that_was_never_written_is_harmless(folder: Path) -> None:
    file_of([*PARTS, bytes(4096)], folder)
    (damage,) = found_in(folder)
    assert (damage.harmless, damage.end - damage.start) == (True, 4096)


@pytest.mark.parametrize(
    "junk", [b"garbage", b"\xff" * 3000, b"*3\r\nnonsense", b"*1\r\n$4\r\nXXXX\r\n", b"\0\0*"]
)
def test_rubbish_at_the_end_is_not(junk: bytes, folder: Path) -> None:
    path = file_of([*PARTS, junk], folder)
    (damage,) = found_in(folder)
    assert not damage.harmless
    assert (damage.start, damage.end) == (len(b"".join(PARTS)), path.stat().st_size)


def test_damage_in_the_middle_costs_what_it_hit(folder: Path) -> None:
    """A flipped byte of the framing: the transaction it is in, or the command; never half of one."""
    whole = bytearray(b"".join(PARTS))
    ends = [0, *(len(b"".join(PARTS[: number + 1])) for number in range(len(PARTS)))]
    framing = [found.start() for found in re.finditer(rb"[*$]\d+\r\n", whole)]
    for place in framing:
        broken = whole.copy()
        broken[place] = 0x21
        path = file_of([bytes(broken)], folder)
        damages = found_in(folder)
        assert [damage.harmless for damage in damages] == [False]
        begin = max(end for end in ends if end <= place)
        stop = min(end for end in ends if end > place)
        assert (damages[0].start, damages[0].end) == (begin, stop)
        mend(damages)
        assert path.read_bytes() == bytes(whole[:begin] + whole[stop:])


def test_what_would_be_lost_is_said_by_kind_and_time(folder: Path) -> None:
    broken = [PARTS[0], b"!!", *PARTS[3:5], b"??", *PARTS[7:]]
    file_of(broken, folder)
    (damage,) = found_in(folder)
    assert damage.lost == (
        "in it: 1 entries of the log, 1 commits, from 2026-03-02T09:00:00Z to 2026-03-02T09:00:00Z"
    )
    assert "what was said" not in damage.text


def test_a_customer_s_words_are_no_commands(folder: Path) -> None:
    """Torn in the middle of a message that looks like commands: they are never carried out."""
    evil = (
        resp("FLUSHALL") + resp("HSET", "nb:{shop}:operators", "mallory", "admin") + b"*1\r\n$999999999\r\n"
    )
    said = resp("XADD", "nb:{shop}:in:web", "1772442000000-9", "e", evil + b" and so on" * 50)
    path = file_of([*PARTS, said, *PARTS[1:]], folder)
    data = bytearray(path.read_bytes())
    start = len(b"".join(PARTS))
    data[start + 1 : start + 2] = b"x"
    path.write_bytes(data)
    (damage,) = found_in(folder)
    assert (damage.start, damage.end) == (start, start + len(said))


def test_remarks_of_newer_servers_are_read() -> None:
    data = b"#TS:1772442000\r\n" + commit(1) + b"#TS:1772442001\r\n"
    assert read_from(data, 0).clean
    assert command_at(data, 0).name == b"MULTI"
    assert resumes_at(b"junk" + data, 1) == 4 + len(b"#TS:1772442000\r\n")


def newer(folder: Path) -> Path:
    """The files of a Redis 7."""
    parts = folder / "redis" / "appendonlydir"
    parts.mkdir(parents=True)
    (parts / "appendonly.aof.2.base.aof").write_bytes(b"".join(PARTS[:5]))
    (parts / "appendonly.aof.2.incr.aof").write_bytes(b"".join(PARTS[5:9]))
    (parts / "appendonly.aof.3.incr.aof").write_bytes(resp("SELECT", "0") + b"".join(PARTS[9:]))
    (parts / "appendonly.aof.manifest").write_text(
        "file appendonly.aof.2.base.aof seq 2 type b\n"
        "file appendonly.aof.1.incr.aof seq 1 type h\n"
        "file appendonly.aof.2.incr.aof seq 2 type i\n"
        "file appendonly.aof.3.incr.aof seq 3 type i startoffset 1\n"
    )
    return parts


def test_the_files_of_a_newer_redis(folder: Path) -> None:
    parts = newer(folder)
    assert found_in(folder) == []
    with (parts / "appendonly.aof.3.incr.aof").open("ab") as file:
        file.write(commit(99)[:-4])
    (torn,) = found_in(folder)
    assert (torn.file.name, torn.harmless) == ("appendonly.aof.3.incr.aof", True)
    middle = parts / "appendonly.aof.2.incr.aof"
    middle.write_bytes(middle.read_bytes()[:-3])
    (cut, _) = found_in(folder)
    assert (cut.file.name, cut.harmless) == ("appendonly.aof.2.incr.aof", False)
    mend(found_in(folder))
    assert found_in(folder) == []


@pytest.mark.parametrize("manifest", [b"", b"\xff\xfe", b"file ../x seq 1 type b\n", b"nonsense\n", None])
def test_a_damaged_manifest_is_made_anew(manifest: bytes | None, folder: Path) -> None:
    parts = newer(folder)
    path = parts / "appendonly.aof.manifest"
    if manifest is None:
        path.unlink()
    else:
        path.write_bytes(manifest)
    (damage,) = found_in(folder)
    assert damage.file == path
    mend([damage])
    assert found_in(folder) == []
    assert [line.split()[1] for line in path.read_text().splitlines()] == [
        "appendonly.aof.2.base.aof", "appendonly.aof.2.incr.aof", "appendonly.aof.3.incr.aof",
    ]  # fmt: skip


def test_a_missing_file_is_named(folder: Path) -> None:
    (newer(folder) / "appendonly.aof.2.base.aof").unlink()
    (damage,) = found_in(folder)
    assert "appendonly.aof.2.base.aof: is missing" in damage.text
    mend([damage])
    assert found_in(folder) == []


def test_a_server_that_cannot_judge_condemns_nothing(folder: Path) -> None:
    """Some other program by that name: a snapshot that was not checked is not called damaged."""
    path = file_of([b"REDIS0009 and so on"], folder)
    with pytest.raises(NavbatError, match="cannot be judged"):
        examine(folder / "redis", Path("/bin/echo"))
    with pytest.raises(NavbatError, match="cannot check"):
        examine(folder / "redis", folder / "no-such-program")
    assert path.read_bytes() == b"REDIS0009 and so on"


# ------------------------------------------------------------------ a desk


@pytest.fixture
def lived(desk: Desk) -> tuple[Desk, Operator]:
    """A desk that was used, and was stopped."""
    boss = desk.add("anna", "--role", "admin")
    desk.start()
    for number in range(5):  # each in a commit of its own
        desk.write(f"chat-{number}", "1", "hello")
        boss.until_sessions(number + 1)
    desk.stop()
    return desk, boss


def start_again(desk: Desk) -> None:
    desk.url = ""
    desk.start()


def journal_file(desk: Desk) -> Path:
    return desk.folder / "data" / "redis" / "appendonly.aof"


def test_a_power_cut_s_torn_end_is_mended_by_itself_and_said(lived: tuple[Desk, Operator]) -> None:
    desk, boss = lived
    with journal_file(desk).open("ab") as file:
        file.write(commit(7)[:-20])
    assert "ends in the middle of a write" in desk.command("repair", status=1).stdout
    start_again(desk)
    assert len(boss.json("sessions")) == 5
    desk.stop()
    assert desk.process is not None
    assert len(list((desk.folder / "data" / "redis" / "damaged").iterdir())) == 1
    assert "nothing is damaged" in desk.command("repair").stdout


def test_a_damaged_journal_is_named_and_mended_with_consent(lived: tuple[Desk, Operator]) -> None:
    desk, boss = lived
    path = journal_file(desk)
    data = bytearray(path.read_bytes())
    place = data.index(b"XADD", len(data) // 2)
    data[place : place + 4] = b"\xde\xad\xbe\xef"
    path.write_bytes(data)
    refused = desk.command("run", status=1)
    assert f"{path}: is damaged from byte" in refused.stderr
    assert "navbat repair --yes" in refused.stderr
    told = desk.command("repair", status=1)
    assert f"{path}: is damaged from byte" in told.stdout
    assert "nothing was changed" in told.stderr
    assert path.read_bytes() == data
    shown = json.loads(desk.command("repair", "--json", status=1).stdout)
    assert shown["redis"][0]["file"] == str(path)
    assert "mended" in desk.command("repair", "--yes").stderr
    (kept,) = (desk.folder / "data" / "redis" / "damaged").iterdir()
    assert b"\xde\xad\xbe\xef" in kept.read_bytes()
    start_again(desk)
    assert len(boss.json("sessions")) >= 4
    desk.write("chat-9", "1", "after")


def test_a_damaged_snapshot_is_left_out(lived: tuple[Desk, Operator]) -> None:
    desk, _ = lived
    start_again(desk)
    socket = desk.folder / "data" / "redis" / "redis.sock"
    with redis.Redis(unix_socket_path=str(socket)) as client:
        client.bgrewriteaof()
        wait_for(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
    desk.write("chat-late", "1", "behind the snapshot")
    desk.stop()
    path = journal_file(desk)
    data = bytearray(path.read_bytes())
    assert data[:5] == b"REDIS"
    data[200] ^= 0xFF
    path.write_bytes(data)
    assert "its snapshot is damaged" in desk.command("run", status=1).stderr
    desk.command("repair", "--yes")
    start_again(desk)
    desk.write("chat-new", "1", "works")


def test_a_desk_that_runs_is_left_alone(lived: tuple[Desk, Operator]) -> None:
    desk, _ = lived
    start_again(desk)
    assert "is in use by another navbat" in desk.command("repair", "--yes", status=1).stderr


def damage_pages(path: Path, first: int) -> None:
    data = bytearray(path.read_bytes())
    for page in range(first, len(data) // 4096, 3):
        data[page * 4096 : page * 4096 + 64] = b"\xaa" * 64
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["pages", "head", "cut"])
def test_a_damaged_store_is_named_and_made_anew(how: str, lived: tuple[Desk, Operator]) -> None:
    desk, boss = lived
    store = desk.folder / "data" / "navbat.sqlite"
    backup = desk.folder / "backup.sqlite"
    subprocess.run(["cp", store, backup], check=True)
    if how == "pages":
        damage_pages(store, 2)
    elif how == "head":
        store.write_bytes(b"\0" * 4096 + store.read_bytes()[4096:])
    else:
        store.write_bytes(store.read_bytes()[: store.stat().st_size // 2])
    done = desk.start_command("run")
    _, err = done.communicate(timeout=20) if how == "head" else ("", "")
    if how == "head":
        assert f"the store {store} is damaged" in err
        assert "navbat repair" in err
        assert "Traceback" not in err
    else:
        done.kill()
        done.communicate()
        desk.command("repair", status=1)
    told = desk.command("repair", "--backup", str(backup), status=1)
    assert f"{store}: is damaged" in told.stdout
    desk.command("repair", "--yes", "--backup", str(backup))
    assert problems(store) == []
    start_again(desk)
    assert len(boss.json("sessions")) == 5
    assert boss.json("history", "1")[0]["text"] == "hello"


def test_without_a_backup_the_journal_brings_back_what_it_has(lived: tuple[Desk, Operator]) -> None:
    desk, _ = lived
    store = desk.folder / "data" / "navbat.sqlite"
    store.write_bytes(b"this is no database" * 1000)
    told = desk.command("repair", status=1)
    assert "no account can be read" in told.stdout
    desk.command("repair", "--yes")
    assert len(list((desk.folder / "data" / "damaged").glob("*/navbat.sqlite"))) == 1
    boss = desk.add("boss", "--role", "admin")
    start_again(desk)
    assert len(boss.until_sessions(5)) == 5

    def told_again() -> bool:
        return [m["text"] for m in boss.json("history", "3")] == ["hello"]

    wait_for(told_again)
