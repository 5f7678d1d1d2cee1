"""Files on their way to the desk and back: against the real server, and under what may go wrong."""

from __future__ import annotations

import asyncio
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from console import files
from console.files import download, open_outside, opener, safe_name, upload
from console.link import Credentials, Link
from crm.kernel.errors import Refused, Unavailable
from crm.kernel.records import Media
from tests.data.hostile import HOSTILE
from tests.fakes.gateway import FakeGateway
from tests.navbat.process import Desk

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4096


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@asynccontextmanager
async def linked(url: str, credentials: Credentials) -> AsyncIterator[Link]:
    link = Link(url, credentials, lambda _: None)
    task = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A desk that runs, in a short folder: the embedded Redis keeps its socket there."""
    folder = Path(tempfile.mkdtemp(prefix="nb-"))
    desk = Desk(folder)
    yield desk
    desk.clean_up()
    shutil.rmtree(folder)


async def test_a_file_goes_to_the_real_desk_and_comes_back(desk: Desk, tmp_path: Path) -> None:
    """Signed in by password: what authorises is the ticket of the live connection."""
    desk.command("operator", "add", "anna", "--password-stdin", stdin="right-horse\n")
    await asyncio.to_thread(desk.start)
    (tmp_path / "narx 1.png").write_bytes(PICTURE)
    async with linked(desk.url, Credentials(name="anna", password="right-horse")) as link:
        media = await upload(link, tmp_path / "narx 1.png")
        assert (media.kind, media.name, media.mime, media.size) == (
            "photo", "narx 1.png", "image/png", len(PICTURE),
        )  # fmt: skip
        path = await download(link, media, tmp_path)
        assert path.name == "narx 1.png"
        assert path.parent.parent == tmp_path
        assert path.read_bytes() == PICTURE
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(Refused, match="no_such_file"):
            await download(link, Media(kind="photo", key="x" * 32), tmp_path)
        big = tmp_path / "big"
        with big.open("wb") as file:
            file.truncate(files.LIMIT + 1)
        with pytest.raises(Refused, match="file_too_large"):
            await upload(link, big)
        assert "photo.jpg" not in names(tmp_path)


async def test_what_is_cut_off_leaves_no_half_a_file(gateway: FakeGateway, tmp_path: Path) -> None:
    gateway.files["m1"] = PICTURE
    gateway.cut_after = 1000
    async with linked(gateway.url, Credentials(token="token-1")) as link:
        with pytest.raises(Unavailable):
            await download(link, Media(kind="photo", key="m1"), tmp_path)
    assert names(tmp_path) == []


async def test_without_a_connection_it_says_so(gateway: FakeGateway) -> None:
    link = Link(gateway.url, Credentials(token="token-1"), lambda _: None)
    with pytest.raises(Unavailable):
        await link.http(within=0)


@pytest.mark.parametrize(
    ("media", "name"),
    [
        (Media(kind="document", name="Price list (2).pdf"), "Price list (2).pdf"),
        (Media(kind="photo"), "photo.jpg"),
        (Media(kind="voice", mime="audio/ogg"), "voice.oga"),
        (Media(kind="document", name="../../.ssh/authorized_keys"), "authorized_keys"),
        (Media(kind="document", name="C:\\autoexec.bat"), "autoexec.bat"),
        (Media(kind="document", name=".bashrc"), "bashrc"),
        (Media(kind="document", name="-rf *"), "rf"),
        (Media(kind="document", name="…", mime="application/pdf"), "document.pdf"),
        (Media(kind="photo", name="x.jpg; rm -rf"), "x.jpg_ rm -rf.jpg"),
        (Media(kind="document", name="нарх.XLSX"), "нарх.xlsx"),
        (Media(kind="document", name="a" * 300 + ".pdf"), "a" * 80 + ".pdf"),
    ],
)
def test_names_from_outside_become_plain_names(media: Media, name: str) -> None:
    assert safe_name(media) == name


@pytest.mark.parametrize("evil", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_name_leaves_the_folder_or_controls_anything(evil: str, tmp_path: Path) -> None:
    name = safe_name(Media(kind="document", name=evil))
    assert (tmp_path / name).parent == tmp_path
    assert not name.startswith((".", "-"))
    assert name.isprintable()
    assert len(name) < 120


def test_there_is_nothing_to_open_with_over_ssh(tmp_path: Path) -> None:
    program = tmp_path / "xdg-open"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    path = {"PATH": str(tmp_path)}
    assert opener(path) == ""
    assert opener({**path, "DISPLAY": ""}) == ""
    assert opener({**path, "DISPLAY": ":0"}) == str(program)
    assert opener({**path, "WAYLAND_DISPLAY": "wayland-0"}) == str(program)
    assert opener({"DISPLAY": ":0", "PATH": "/nowhere"}) == ""


@pytest.mark.parametrize("name", ["run.desktop", "setup.exe", "page.html", "drawing.svg", "x.sh", "noending"])
async def test_what_could_run_is_never_opened(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "opener", lambda _: "/bin/true")
    assert not await open_outside(tmp_path / name)
    assert await open_outside(tmp_path / "picture.png")
