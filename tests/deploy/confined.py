"""Runs a command with the system calls and the memory protection of a systemd unit, without systemd:
``python confined.py UNIT COMMAND…``. Says "cannot: …" and ends with 77 where the machine does not let us."""

from __future__ import annotations

import ctypes
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

NUMBERS = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
CANNOT = 77

_LOAD, _EQUALS, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _EPERM = 0x7FFF0000, 0x00050001
_SET_MDWE, _SET_NO_NEW_PRIVS, _SET_SECCOMP = 65, 38, 22


def cannot(why: str) -> None:
    sys.stdout.write(f"cannot: {why}\n")
    sys.stdout.flush()
    sys.exit(CANNOT)


def expand(name: str) -> set[str]:
    """The system calls of a group, as systemd knows it."""
    told = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    )
    found: set[str] = set()
    for line in told.stdout.splitlines()[1:]:
        word = line.strip()
        if word and not word.startswith("#"):
            found |= expand(word) if word.startswith("@") else {word}
    return found


def allowed(unit: str) -> set[str]:
    """What the unit's ``SystemCallFilter`` lines leave."""
    names = expand("@default")
    for value in re.findall(r"^SystemCallFilter=(.+)$", unit, re.MULTILINE):
        taken = value.startswith("~")
        for group in value.removeprefix("~").split():
            names = names - expand(group) if taken else names | expand(group)
    return names


def confine(unit: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = {name: int(n) for name, n in re.findall(r"#define __NR_(\w+) (\d+)", NUMBERS.read_text())}
    program = [struct.pack("HBBI", _LOAD, 0, 0, 0)]
    for number in sorted(numbers[name] for name in allowed(unit) if name in numbers):
        program.append(struct.pack("HBBI", _EQUALS, 0, 1, number))
        program.append(struct.pack("HBBI", _RETURN, 0, 0, _ALLOW))
    program.append(struct.pack("HBBI", _RETURN, 0, 0, _EPERM))
    code = ctypes.create_string_buffer(b"".join(program))

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    made = Filter(len(program), ctypes.cast(code, ctypes.c_void_p))
    if "MemoryDenyWriteExecute=yes" in unit and libc.prctl(_SET_MDWE, 1, 0, 0, 0):
        cannot("this kernel cannot refuse memory that is written and executed")
    if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_SET_SECCOMP, 2, ctypes.byref(made), 0, 0):
        cannot(f"no filter of system calls: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    if not NUMBERS.exists() or os.uname().machine != "x86_64":
        cannot("the numbers of system calls are not here")
    confine(Path(sys.argv[1]).read_text())
    os.execv(sys.argv[2], sys.argv[2:])
