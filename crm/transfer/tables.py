"""A CSV file as rows, whatever wrote it: encoding and separator are recognised, and nothing of it is kept in
memory but the row that is being read."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from crm.kernel.errors import WrongUse

SEPARATORS = (",", ";", "\t", "|")
COLUMNS_MAX = 500
CELL_MAX = 2_000_000
"""Characters of a cell; more means that a quote was never closed."""
ROW_MAX = 100_000
"""Characters of a row that is looked at."""
_CHUNK = 1 << 16


class TableRow(NamedTuple):
    """``line``: where it begins in the file, from 1. ``problem``: a code, when it cannot be read."""

    line: int
    cells: list[str]
    problem: str = ""


class Table(NamedTuple):
    header: list[str]
    rows: Iterator[TableRow]
    encoding: str
    separator: str


def read_table(path: Path) -> Table:
    """The header of a file, and its rows as they are asked for. Raises ``WrongUse`` for what is no table, and
    ``OSError``."""
    encoding = encoding_of(path)
    separator = _separator(path, encoding)
    rows = _rows(path, encoding, separator)
    first = next(rows, None)
    if first is None or first.problem or not any(cell.strip() for cell in first.cells):
        raise WrongUse("the file has no header", "its first line must name the columns")
    if len(first.cells) > COLUMNS_MAX:
        raise WrongUse(f"the file has more than {COLUMNS_MAX} columns")
    return Table([cell.strip() for cell in first.cells], rows, encoding, separator)


def encoding_of(path: Path) -> str:
    """By its first bytes, else UTF-8 if it is that as a whole, else windows-1251."""
    with path.open("rb") as file:
        start = file.read(_CHUNK)
        if start.startswith(codecs.BOM_UTF8):
            return "utf-8-sig"
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        # Every second byte of Latin letters, digits and separators is zero in UTF-16.
        if start[1::2].count(0) > len(start) // 8 and start[1::2].count(0) > 4 * start[::2].count(0):
            return "utf-16-le"
        if start[::2].count(0) > len(start) // 8 and start[::2].count(0) > 4 * start[1::2].count(0):
            return "utf-16-be"
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while start:
                decoder.decode(start)
                start = file.read(_CHUNK)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1251"
    return "utf-8"


def _separator(path: Path, encoding: str) -> str:
    """The one that makes the most columns of the header."""
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        header = file.readline(ROW_MAX)
    return max(SEPARATORS, key=lambda one: len(next(csv.reader([header], delimiter=one), [])))


def _rows(path: Path, encoding: str, separator: str) -> Iterator[TableRow]:
    csv.field_size_limit(CELL_MAX)
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=separator)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield TableRow(line, [], "bad_row")
                continue
            if sum(map(len, cells)) > ROW_MAX:
                yield TableRow(line, [], "row_too_long")
            elif cells:
                yield TableRow(line, cells)
