"""The append-only file of the embedded redis-server: which of its files is damaged, and mending that."""

from __future__ import annotations

import mmap
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from crm.kernel.errors import NavbatError
from navbat.mending.commands import Bytes, read_from, resumes_at

CHECK_TIMEOUT = 600.0
MANIFEST = "appendonly.aof.manifest"
_ROW = re.compile(r"file ([^\s/]+) seq \d+ type ([bih])(?: .*)?")
_PART = re.compile(r"appendonly\.aof\.(?P<seq>\d+)\.(?P<kind>base|incr)\.(?:aof|rdb)")
_ENTRY = re.compile(rb"\$4\r\n[Xx][Aa][Dd][Dd]\r\n\$\d+\r\nnb:\{[^}\r\n]*\}:([a-z]+)")
_WHEN = re.compile(rb"\$1[5-9]\r\n(\d{13})-\d+\r\n")
_OK_AT = re.compile(rb"\[offset (\d+)\] \\o/ RDB looks OK")
_STREAMS = {
    b"log": "entries of the log", b"journal": "commits", b"in": "messages that were not read yet",
    b"out": "answers that were not sent yet",
}  # fmt: skip


class Damage(msgspec.Struct):
    """A part of a file that cannot be read, in bytes. ``harmless``: nothing was ever acknowledged that
    was in it, for the file only ends in the middle of a write."""

    file: Path
    start: int
    end: int
    size: int
    what: str
    harmless: bool = False
    lost: str = ""

    @property
    def text(self) -> str:
        """For a person."""
        place = f"from byte {self.start} to {self.end} of {self.size} ({self.end - self.start} bytes)"
        return f"{self.file}: {self.what} {place}" + (f"; {self.lost}" if self.lost else "")


def examine(folder: Path, server: Path) -> list[Damage]:
    """Everything that is damaged in ``<data>/redis``. ``server``: the redis-server, which knows the form of
    what it writes when it rewrites its file. Raises ``NavbatError`` when something cannot be judged."""
    found: list[Damage] = []
    files = _files(folder)
    parts = folder / "appendonlydir"
    if files and parts.is_dir() and not _listed(parts):
        size = (parts / MANIFEST).stat().st_size if (parts / MANIFEST).exists() else 0
        found.append(
            Damage(
                parts / MANIFEST, 0, size, size, "is damaged", lost="it is made anew from the files' names"
            )
        )
    for number, (file, snapshot_only) in enumerate(files):
        if not file.exists():
            found.append(Damage(file, 0, 0, 0, "is missing", lost="all that was in it"))
        elif file.stat().st_size:
            found += _examine(file, server, last=number == len(files) - 1, snapshot_only=snapshot_only)
    return found


def _files(folder: Path) -> list[tuple[Path, bool]]:
    """The files in the order in which they are read, and whether one is a snapshot and nothing else."""
    parts = folder / "appendonlydir"
    if not parts.is_dir():
        single = folder / "appendonly.aof"
        return [(single, False)] if single.is_file() else []
    return [(parts / name, name.endswith(".rdb")) for name in _listed(parts) or _rebuilt(parts)]


def _listed(parts: Path) -> list[str]:
    """The files that the manifest of a newer Redis lists, in order; none when it is damaged."""
    try:
        lines = (parts / MANIFEST).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    rows = [_ROW.fullmatch(line) for line in lines if line.strip()]
    return [row[1] for row in rows if row and row[2] != "h"] if all(rows) else []


def _rebuilt(parts: Path) -> list[str]:
    """The same as the names of the files say: the newest base and what was written after it."""
    found = sorted(
        (row["kind"] != "base", int(row["seq"]), row[0])
        for row in map(_PART.fullmatch, (path.name for path in parts.iterdir()))
        if row
    )
    bases = [(seq, name) for increment, seq, name in found if not increment]
    first, base = bases[-1] if bases else (0, "")
    return [base] * bool(base) + [name for increment, seq, name in found if increment and seq >= first]


def _write_manifest(parts: Path) -> None:
    rows = []
    for name in _rebuilt(parts):
        found = _PART.fullmatch(name)
        assert found is not None
        rows.append(f"file {name} seq {found['seq']} type {found['kind'][0]}\n")
    fresh = parts / f"temp-{MANIFEST}"
    fresh.write_text("".join(rows), encoding="utf-8")
    fresh.replace(parts / MANIFEST)


def _examine(file: Path, server: Path, *, last: bool, snapshot_only: bool) -> Iterator[Damage]:
    with _mapped(file) as data:
        start = 0
        if data[:5] == b"REDIS":
            start = _snapshot_end(file, server)
            if not start:
                end = len(data) if snapshot_only else resumes_at(data, 1)
                yield _damage(file, data, 0, end, "its snapshot is damaged")
                start = end
        while start < len(data):
            stretch = read_from(data, start)
            if stretch.clean:
                return
            resumed = resumes_at(data, stretch.stopped + 1)
            torn = stretch.torn and resumed == len(data)
            what = "ends in the middle of a write" if torn else "is damaged"
            yield _damage(file, data, stretch.whole, resumed, what, harmless=torn and last)
            start = resumed


def _damage(file: Path, data: Bytes, start: int, end: int, what: str, *, harmless: bool = False) -> Damage:
    return Damage(file, start, end, len(data), what, harmless, "" if harmless else _lost(data, start, end))


def _lost(data: Bytes, start: int, end: int) -> str:
    """What can be recognised in the part, by kind and time and never by content."""
    counts: dict[str, int] = {}
    for found in _ENTRY.finditer(data, start, end):
        name = _STREAMS.get(found[1])
        if name:
            counts[name] = counts.get(name, 0) + 1
    times = [int(found[1]) for found in _WHEN.finditer(data, start, end)]
    what = ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing that can be recognised"
    span = f", from {_time(min(times))} to {_time(max(times))}" if times else ""
    return f"in it: {what}{span}"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _snapshot_end(file: Path, server: Path) -> int:
    """Where the snapshot at the beginning of a file ends, 0 when it is damaged. The server checks it when
    it is called by the name of its own tool, which is one program with it. Raises ``NavbatError`` when it
    does not."""
    try:
        done = subprocess.run(
            ["redis-check-rdb", file], executable=server, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=CHECK_TIMEOUT, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise NavbatError(f"{server} cannot check {file}: {error}") from error
    if b"Checking RDB file" not in done.stdout:
        # Not knowing is no reason to call it damaged, and to offer to throw it away.
        raise NavbatError(f"{server} does not check snapshots, so {file} cannot be judged")
    found = _OK_AT.search(done.stdout)
    return int(found[1]) if found and not done.returncode else 0


@contextmanager
def _mapped(file: Path) -> Iterator[mmap.mmap]:
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def mend(damages: list[Damage]) -> list[Path]:
    """Takes the damaged parts out of their files and returns where each is kept. A file is replaced as a
    whole: whatever happens meanwhile, it is as it was or mended."""
    kept = []
    for file in dict.fromkeys(damage.file for damage in damages):
        parts = [damage for damage in damages if damage.file == file]
        if file.name == MANIFEST:
            kept += [_keep(damage) for damage in parts if file.exists()]
            _write_manifest(file.parent)
        elif file.exists():
            kept += [_keep(damage) for damage in parts]
            _without(file, parts)
        else:
            file.touch(mode=0o600)
    return kept


def _keep(damage: Damage) -> Path:
    folder = (
        damage.file.parent if damage.file.parent.name == "redis" else damage.file.parent.parent
    ) / "damaged"
    folder.mkdir(mode=0o700, exist_ok=True)
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path = folder / f"{damage.file.name}.{moment}.{damage.start}-{damage.end}"
    with damage.file.open("rb") as source, path.open("wb") as target:
        _copy(source.fileno(), target.fileno(), damage.start, damage.end)
    return path


def _without(file: Path, damages: list[Damage]) -> None:
    fresh = file.with_name(file.name + ".mending")
    try:
        with file.open("rb") as source, fresh.open("wb") as target:
            shutil.copymode(file, fresh)
            position = 0
            for damage in damages:
                _copy(source.fileno(), target.fileno(), position, damage.start)
                position = damage.end
            _copy(source.fileno(), target.fileno(), position, os.fstat(source.fileno()).st_size)
        fresh.replace(file)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _copy(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        part = os.pread(source, min(1 << 20, end - start), start)
        view = memoryview(part)
        while view:
            view = view[os.write(target, view) :]
        start += len(part)
    os.fsync(target)
