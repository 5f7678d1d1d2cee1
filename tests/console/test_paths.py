"""Which file is meant by what a person types, pastes or drops behind the folder that stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.files import is_file, meant
from console.screens.dialogs import completions
from tests.console.conftest import seated
from tests.fakes.gateway import FakeGateway


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with files of every awkward name in it; also the present folder."""
    home = tmp_path / "my home"
    (home / "work").mkdir(parents=True)
    for name in (
        "a.txt",
        "with space.txt",
        "it's.txt",
        "back\\slash.txt",
        "~tilde.txt",
        "'quoted'",
        "нарх.txt",
    ):
        (home / name).write_text(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / "work")
    return home


def test_what_a_person_means(home: Path, tmp_path: Path) -> None:
    prefix = f"{home}/work/"
    for typed, path in {
        "~/a.txt": home / "a.txt",
        f"{prefix}~/a.txt": home / "a.txt",
        f"~/work/{home}/a.txt": home / "a.txt",
        f"{prefix}/etc/hosts": Path("/etc/hosts"),
        "//etc/hosts": Path("/etc/hosts"),
        f"{prefix}../a.txt": home / "work" / ".." / "a.txt",
        f"{prefix}{home}/with space.txt": home / "with space.txt",
        f"{prefix}'{home}/with space.txt'": home / "with space.txt",
        f'{prefix}"{home}/with space.txt" ': home / "with space.txt",
        str(home / "with space.txt").replace(" ", "\\ "): home / "with space.txt",
        f"{prefix}" + str(home / "it's.txt").replace(" ", "\\ ").replace("'", "\\'"): home / "it's.txt",
        f"file://{home}/with%20space.txt".replace("my home", "my%20home"): home / "with space.txt",
        f"{prefix}file://localhost{home}/a.txt": home / "a.txt",
        f"{prefix}'file://{home}/a.txt'": home / "a.txt",
        f"file://{home}/%D0%BD%D0%B0%D1%80%D1%85.txt": home / "нарх.txt",
        str(home / "back\\slash.txt"): home / "back\\slash.txt",  # what exists as it stands
        str(home / "~tilde.txt"): home / "~tilde.txt",
        str(home / "'quoted'"): home / "'quoted'",
        "work": Path("work"),
    }.items():
        assert meant(typed) == path, typed


def test_what_can_be_no_file_is_none(home: Path) -> None:
    for typed in ("~nobody-of-that-name/x", "a\0b", "x" * 5_000, "", "file://", "'", "//"):
        assert not is_file(meant(typed)), typed
        assert isinstance(completions(typed), list)


def test_an_absolute_path_is_completed_behind_the_folder(home: Path) -> None:
    assert f"{home}/with space.txt" in completions(f"{home}/work/{home}/with")
    assert f"{home}/with space.txt" in completions("~/work/~/with")


async def test_attaching_by_an_absolute_path_behind_the_folder(home: Path, gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.open("10")
        seat.desk.reply.focus()
        await seat.press("ctrl+o")
        await seat.write(f"{home}/with space.txt")
        await seat.press("enter")
        await seat.until(lambda: gateway.uploads)
        assert gateway.uploads == [("with space.txt", b"with space.txt")]
        await seat.press("ctrl+o")
        await seat.write("/no/such/file")
        await seat.press("enter")
        await seat.until(lambda: "There is no such file." in seat.text())
