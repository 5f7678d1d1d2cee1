"""Files between this computer and the desk: sent by path, fetched into a private folder, opened outside.

A file that a customer sent is a stranger's. It gets a name made of plain characters, is readable by
this user only, and only kinds that are looked at, not run, are handed to another program.
"""

from __future__ import annotations

import asyncio
import mimetypes
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote

import aiohttp
import msgspec

from console.link import Link
from crm.kernel.errors import Refused, Unavailable
from crm.kernel.records import Media
from crm.kernel.text import one_line

LIMIT = 50 * 1024 * 1024
"""Bytes of one upload; the desk refuses more."""
STALLED = 60.0
"""Seconds without a byte after which a transfer is given up."""
CHUNK = 1 << 18
LOOKED_AT = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".png",
        ".gif",
        ".webp",
        ".bmp",
        ".heic",
        ".mp4",
        ".m4v",
        ".mov",
        ".webm",
        ".mkv",
        ".avi",
        ".mp3",
        ".ogg",
        ".oga",
        ".opus",
        ".m4a",
        ".wav",
        ".aac",
        ".flac",
        ".pdf",
        ".txt",
        ".csv",
        ".rtf",
        ".odt",
        ".ods",
        ".odp",
        ".docx",
        ".xlsx",
        ".pptx",
    ]
)
"""What may be opened. Not in it: programs, shortcuts, pages and pictures with scripts, and documents
with macros."""
_ENDINGS = {"photo": ".jpg", "video": ".mp4", "voice": ".ogg", "audio": ".mp3", "sticker": ".webp"}
_STRANGE = re.compile(r"[^\w .()+-]+")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}")
_QUOTED = re.compile(r"""(?:^|/)(['"])(.+)\1$""")
_BEHIND = re.compile(r".*/(/.*|~(?:/.*)?)$")
_ESCAPED = re.compile(r"\\(.)")
_TIMES = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=STALLED)


def meant(typed: str) -> Path:
    """The file that a person means by what stands in a field that began with a folder in it: an absolute
    path typed or dropped behind the folder counts alone, as do ``~``, a ``file://`` address, and what a
    terminal puts in quotes or escapes. What exists as it stands is taken as it stands."""
    text = typed.strip()
    as_it_stands = Path(os.path.expanduser(text))  # noqa: PTH111 - Path's own raises on ~nobody
    if _exists(as_it_stands) and "//" not in text:
        return as_it_stands
    if (address := text.rfind("file://")) >= 0:
        host_and_path = text[address + len("file://") :].strip("'\"")
        return Path("/" + unquote(host_and_path.partition("/")[2]))
    if quoted := _QUOTED.search(text):
        text = quoted[2]
    if behind := _BEHIND.search(text):
        text = behind[1]
    path = Path(os.path.expanduser(text))  # noqa: PTH111
    plain = Path(os.path.expanduser(_ESCAPED.sub(r"\1", text)))  # noqa: PTH111
    return plain if not _exists(path) and _exists(plain) else path


def is_file(path: Path) -> bool:
    """There is such a file; False for what can be no file's name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or no name
        return False


async def upload(link: Link, path: Path) -> Media:
    """Puts a file into the desk's media store. Raises Refused (``file_too_large``), Unavailable, or
    OSError for the file itself."""
    http, headers = await link.http()
    file = await asyncio.to_thread(path.open, "rb")
    try:
        size = os.fstat(file.fileno()).st_size
        if size > LIMIT:
            raise Refused("file_too_large", limit=str(LIMIT >> 20))
        headers |= {
            "X-File-Name": quote(one_line(path.name, 200)),
            "Content-Type": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        }
        async with http.post(f"{link.url}/media", data=file, headers=headers, timeout=_TIMES) as answer:
            if answer.status == 413:
                raise Refused("file_too_large", limit=str(LIMIT >> 20))
            if answer.status != 200:
                raise Unavailable(f"The desk refused the file ({answer.status}).")
            media = msgspec.json.decode(await answer.read(), type=Media)
    except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError):
        raise Unavailable("The file could not be sent.") from None
    finally:
        file.close()
    return media


async def download(link: Link, media: Media, folder: Path) -> Path:
    """Fetches an attachment into a new file of ``folder``. Raises Refused (``no_such_file``),
    Unavailable, or OSError for the folder."""
    http, headers = await link.http()
    path = folder / safe_name(media)
    if await asyncio.to_thread(path.exists):
        path = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=folder)) / path.name
    whole = False
    try:
        async with http.get(
            f"{link.url}/media/{quote(media.key, safe='')}", headers=headers, timeout=_TIMES
        ) as answer:
            if answer.status == 404:
                raise Refused("no_such_file")
            if answer.status != 200:
                raise Unavailable(f"The desk refused the file ({answer.status}).")
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                async for chunk in answer.content.iter_chunked(CHUNK):
                    await asyncio.to_thread(file.write, chunk)
        whole = True
    except (aiohttp.ClientError, TimeoutError):
        raise Unavailable("The file could not be fetched.") from None
    finally:
        if not whole:
            path.unlink(missing_ok=True)
    return path


def safe_name(media: Media) -> str:
    """A file name for an attachment: no path, no control or hidden name, an ending that says what
    it is."""
    given = one_line(media.name, 2_000).replace("\\", "/").rpartition("/")[2]
    stem, dot, ending = given.rpartition(".")
    ending = dot + ending
    if not stem or not _ENDING.fullmatch(ending):
        stem, ending = given, ""
    stem = _STRANGE.sub("_", stem).strip(" ._-")[:80]
    ending = ending or mimetypes.guess_extension(media.mime) or _ENDINGS.get(media.kind, "")
    return (stem or media.kind) + ending.lower()


def opener(environment: Mapping[str, str]) -> str:
    """The program that opens a file on the screen this person sits at; empty when there is none,
    as over ssh."""
    if sys.platform == "darwin":
        return "" if "SSH_CONNECTION" in environment else "/usr/bin/open"
    has_screen = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    return (shutil.which("xdg-open", path=environment.get("PATH")) or "") if has_screen else ""


async def open_outside(path: Path) -> bool:
    """Hands a file to the program that shows its kind. False when it is of a kind that is not
    opened, or when there is nothing to open it with."""
    program = opener(os.environ)
    if not program or path.suffix not in LOOKED_AT:
        return False
    # the shell ends at once and leaves the viewer to the system: it may outlive the console
    shell = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", '"$0" "$1" >/dev/null 2>&1 &', program, str(path),
        stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    return await shell.wait() == 0
