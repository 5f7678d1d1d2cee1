"""A desk is copied while it works, and put back elsewhere: what was acknowledged before is there, once."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.migrations.steps import STEPS
from tests.navbat.keeping.test_migrating import at_version
from tests.navbat.process import CONFIG, Desk, Operator, wait_for
from tests.storage.test_migrations import STORES

MakeDesk = Callable[..., Desk]


@pytest.fixture
def first(make_desk: MakeDesk) -> Desk:
    return make_desk(name="first")


def texts(operator: Operator, session: str) -> list[str]:
    return [m["text"] for m in operator.json("history", session) if m["direction"] == "in"]


def kept(folder: Path) -> Path:
    """A backup of a desk that was used and stopped."""
    return folder / "kept"


@pytest.fixture(scope="module")
def used() -> Iterator[tuple[Path, str]]:
    """A desk with three conversations, a file and a backup, stopped; and anna's token."""
    folder = Path(tempfile.mkdtemp(prefix="nb-"))
    (folder / "first").mkdir()
    desk = Desk(folder / "first")
    try:
        anna = desk.add("anna", "--role", "admin")
        desk.start()
        for number in range(3):
            desk.write(f"chat-{number}", "1", f"hello {number}")
        anna.until_sessions(3)
        anna.command("take", "1")
        (folder / "price.txt").write_text("120")
        anna.command("say", "1", "the price", "--file", str(folder / "price.txt"))
        wait_for(lambda: [m for m in anna.json("history", "1") if m["delivery"] == "sent"])
        desk.command("backup", str(kept(folder)))
        desk.stop()
        yield folder, anna.env["NAVBAT_TOKEN"]
    finally:
        desk.clean_up()
        shutil.rmtree(folder)


@pytest.fixture
def lived(used: tuple[Path, str], first: Desk, folder: Path) -> Operator:
    """The same for each test: a copy of a folder is a desk of its own."""
    place, token = used
    shutil.copytree(place / "first" / "data", first.folder / "data")
    shutil.copytree(place / "kept", kept(folder))
    return first.as_operator("anna", token)


def restored(lived: Operator, make_desk: MakeDesk, folder: Path) -> tuple[Desk, Operator]:
    desk = make_desk(name="second")
    told = json.loads(desk.command("restore", str(kept(folder)), "--json").stdout)
    assert told["desk"] == "shop"
    assert told["unknown"] == 0
    return desk, desk.as_operator("anna", lived.env["NAVBAT_TOKEN"])


def test_a_desk_is_copied_while_it_works(first: Desk, make_desk: MakeDesk, folder: Path) -> None:
    anna = first.add("anna", "--role", "admin")
    first.start()
    first.write("chat", "0", "0")
    anna.until_sessions(1)
    written, ended = itertools.count(1), threading.Event()
    acknowledged = 0

    def customer() -> None:
        nonlocal acknowledged
        while not ended.is_set():
            number = next(written)
            first.write("chat", str(number), str(number))
            acknowledged = number

    thread = threading.Thread(target=customer)
    thread.start()
    try:
        wait_for(lambda: acknowledged > 20)
        before = acknowledged
        first.command("backup", str(kept(folder)))
        after = acknowledged
        wait_for(lambda: acknowledged > after + 5)
    finally:
        ended.set()
        thread.join()
    first.stop()
    second = make_desk(name="second")
    second.command("restore", str(kept(folder)))
    again = second.as_operator("anna", anna.env["NAVBAT_TOKEN"])
    second.start()
    second.write("chat", "x", "x")
    wait_for(lambda: texts(again, "1")[-1] == "x")
    *found, _ = texts(again, "1")
    assert found == [str(number) for number in range(len(found))]
    assert before < len(found) <= after + 2
    assert after > before, "nobody wrote meanwhile"


def test_all_of_a_desk_comes_back(lived: Operator, make_desk: MakeDesk, folder: Path) -> None:
    desk, anna = restored(lived, make_desk, folder)
    desk.start()
    assert [s["holder"] for s in anna.json("sessions")].count("anna") >= 1
    assert len(anna.json("sessions")) == 3
    said = next(m for m in anna.json("history", "1") if m["direction"] == "out")
    assert said["delivery"] == "sent"
    anna.command("file", said["id"], "--output", str(folder / "back.txt"))
    assert (folder / "back.txt").read_text() == "120"
    assert desk.sent() == [], "nothing leaves a second time"
    desk.write("chat-0", "2", "and on it goes")
    wait_for(lambda: texts(anna, "1") == ["hello 0", "and on it goes"])


def test_a_backup_is_for_the_owner_alone(lived: Operator, folder: Path) -> None:
    assert kept(folder).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("part", ["store/messages.jsonl", "redis.dump", "manifest.json"])
@pytest.mark.parametrize("how", ["changed", "cut", "missing"])
def test_a_damaged_backup_changes_nothing(
    lived: Operator, make_desk: MakeDesk, folder: Path, part: str, how: str
) -> None:
    path = kept(folder) / part
    data = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data[: len(data) // 2] if how == "cut" else data)
    desk = make_desk(name="second")
    refused = desk.command("restore", str(kept(folder)), status=1)
    assert "damaged" in refused.stderr or "cannot be read" in refused.stderr
    assert str(kept(folder)) in refused.stderr
    assert not (desk.folder / "data").exists()


def test_a_restore_goes_only_into_an_empty_place_of_the_same_desk(
    lived: Operator, first: Desk, make_desk: MakeDesk, folder: Path
) -> None:
    assert "move it away" in first.command("restore", str(kept(folder)), status=1).stderr
    other = make_desk(CONFIG.replace("desk: shop", "desk: other"), name="other")
    assert "set `desk: shop`" in other.command("restore", str(kept(folder)), status=1).stderr
    assert "is no backup" in other.command("restore", str(folder), status=1).stderr
    assert "is there already" in first.command("backup", str(kept(folder)), status=1).stderr
    first.start()
    assert len(lived.json("sessions")) == 3


def test_a_backup_of_a_desk_that_stands_still(lived: Operator, first: Desk, folder: Path) -> None:
    told = json.loads(first.command("backup", str(folder / "later"), "--json").stdout)
    assert told == json.loads((folder / "later" / "manifest.json").read_text())
    made = [json.loads((folder / name / "manifest.json").read_text()) for name in ("kept", "later")]
    assert made[0]["store"]["messages"]["count"] <= made[1]["store"]["messages"]["count"]
    assert made[1]["media"] == 1
    first.start()  # the server that was started for it is gone
    assert len(lived.json("sessions")) == 3


def test_a_restore_that_is_killed_is_said_and_goes_on(
    lived: Operator, make_desk: MakeDesk, folder: Path
) -> None:
    desk = make_desk(name="second")
    place = desk.folder / "data"
    for pause in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.5, 60.0):
        process = desk.start_command("restore", str(kept(folder)))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(pause)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if place.exists() and any(place.glob("navbat.sqlite")) and not (place / "restoring").exists():
            break  # it was done, however it ended
        if (place / "restoring").exists():
            assert "run it again" in desk.command("run", status=1).stderr
    desk.start()
    anna = desk.as_operator("anna", lived.env["NAVBAT_TOKEN"])
    assert [texts(anna, str(n)) for n in (1, 2, 3)] == [[f"hello {n}"] for n in range(3)]


def test_a_half_restored_place_takes_no_other_backup(
    lived: Operator, make_desk: MakeDesk, folder: Path
) -> None:
    desk = make_desk(name="second")
    (desk.folder / "data").mkdir(mode=0o700)
    (desk.folder / "data" / "restoring").write_text("another one\n")
    assert "from another backup" in desk.command("restore", str(kept(folder)), status=1).stderr


def test_a_file_that_is_damaged_is_named_and_the_rest_is_kept(
    lived: Operator, first: Desk, folder: Path
) -> None:
    [path] = (first.folder / "data" / "media").glob("[0-9a-f][0-9a-f]/*")
    path.write_text("not what it was")
    told = first.command("backup", str(folder / "later")).stderr
    assert f"{path} is damaged" in told
    assert json.loads((folder / "later" / "manifest.json").read_text())["media"] == 0


def test_a_damaged_store_is_not_kept_as_if_it_were_whole(lived: Operator, first: Desk, folder: Path) -> None:
    path = first.folder / "data" / "navbat.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[:16] = b"not a database!!"
    path.write_bytes(data)
    told = first.command("backup", str(folder / "later"), status=1).stderr
    assert "navbat repair" in told
    assert not (folder / "later").exists()
    assert not (folder / "later.part").exists()


def test_a_backup_that_is_killed_leaves_nothing_and_is_made_again(
    lived: Operator, first: Desk, folder: Path
) -> None:
    later = folder / "later"
    process = first.start_command("backup", str(later))
    wait_for(lambda: (folder / "later.part" / "store").exists() or later.exists())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert later.exists() or first.command("backup", str(later), "--json").stdout
    assert (later / "manifest.json").exists()
    assert not (folder / "later.part").exists()


def test_the_backup_of_an_earlier_version_is_restored_and_brought_up(
    first: Desk, make_desk: MakeDesk, folder: Path
) -> None:
    (first.folder / "data").mkdir(mode=0o700)
    shutil.copy(STORES[0], first.folder / "data" / "navbat.sqlite")
    first.command("backup", str(folder / "early"))
    desk = make_desk(name="second")
    desk.command("restore", str(folder / "early"))
    assert "3 documents" in desk.command("migrate").stdout


def test_the_backup_of_a_newer_version_is_refused_before_anything_is_written(
    lived: Operator, first: Desk, make_desk: MakeDesk, folder: Path
) -> None:
    at_version(first.folder / "data" / "navbat.sqlite", 99)
    with pytest.raises(AssertionError, match="of a newer navbat"):
        first.command("backup", str(folder / "newer"))
    at_version(first.folder / "data" / "navbat.sqlite", len(STEPS))
    newer = kept(folder)
    path = newer / "store" / "migrations.jsonl"
    path.write_text(path.read_text().replace(f'"version":{len(STEPS)}', '"version":99'))
    manifest = json.loads((newer / "manifest.json").read_text())
    manifest["store"]["migrations"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (newer / "manifest.json").write_text(json.dumps(manifest))
    desk = make_desk(name="second")
    assert "at version 99" in desk.command("restore", str(newer), status=1).stderr
    assert not (desk.folder / "data" / "restoring").exists()
