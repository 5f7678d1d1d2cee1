"""``navbat crm import`` and ``navbat crm export``: files in and out, a portion at a time."""

from __future__ import annotations

import argparse
import contextlib
import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from console.text.words import LANGUAGES, Words
from crm.kernel.errors import NavbatError, WrongUse
from crm.kernel.fields import ObjectField
from crm.kernel.text import one_line
from crm.transfer import exporting, mapping, tables, vcards
from crm.transfer.importing import ROWS_MAX
from navbat.cli import crm_shapes
from navbat.cli.client import DeskClient, saved_login
from navbat.cli.crm import ask, local_conditions, with_zone
from navbat.cli.printing import print_json
from router.wire import protocol

TOLD_MAX = 10_000
"""Refused rows that JSON lists; the others are counted."""
BYTES = 400_000
"""Characters of one portion."""
MAP_MAX = 100_000


class FileRow(msgspec.Struct):
    """One row to be sent, or what is wrong with it."""

    line: int
    values: dict[str, str]
    code: str = ""
    params: dict[str, str] = {}


class ImportReport:
    """What became of a file."""

    def __init__(self, *, quiet: bool) -> None:
        self.made = self.there = self.refused = 0
        self.rows: list[dict[str, Any]] = []
        self._quiet = quiet
        self._words = Words()

    def refuse(self, line: int, code: str, params: Mapping[str, str]) -> None:
        self.refused += 1
        text = self._words.coded("refused", code, dict(params))
        if self._quiet:
            if len(self.rows) < TOLD_MAX:
                self.rows.append({"line": line, "code": code, "params": dict(params), "error": text})
        else:
            print(f"navbat: line {line}: {one_line(text, 400)}", file=sys.stderr)

    def take(self, rows: Sequence[FileRow], became: Sequence[protocol.RowView]) -> None:
        for row, view in zip(rows, became, strict=True):
            if view.code:
                self.refuse(row.line, view.code, view.params)
            elif view.made:
                self.made += 1
            else:
                self.there += 1


async def take_in(args: argparse.Namespace) -> int:
    """``navbat crm import``: 1 when a row was refused."""
    path = Path(args.file)
    report = ImportReport(quiet=args.json)
    async with DeskClient(saved_login()) as client:
        declared = await ask(client, protocol.GetCrm, protocol.CrmDeclared)
        fields = declared.fields[args.type]
        try:
            rows, about = _rows_of(args, path, fields)
            for portion in _portions(rows, report):
                found = await ask(
                    client, protocol.ImportRows, protocol.RowsImported, type=args.type,
                    rows=[row.values for row in portion], duplicates=args.duplicates, dry_run=args.dry_run,
                )  # fmt: skip
                report.take(portion, found.rows)
        except OSError as error:
            raise NavbatError(f"{one_line(str(path), 200)} cannot be read: {error.strerror}") from None
    counts = {"made": report.made, "there": report.there, "refused": report.refused}
    if args.json:
        print_json({**counts, "dry_run": args.dry_run, **about, "rows": sorted(report.rows, key=_line)})
    else:
        would = "would be " if args.dry_run else ""
        print(f"{would}made {report.made}, there already {report.there}, refused {report.refused}")
    return 1 if report.refused else 0


def _line(row: dict[str, Any]) -> int:
    return int(row["line"])


def _rows_of(
    args: argparse.Namespace, path: Path, fields: list[ObjectField]
) -> tuple[Iterator[FileRow], dict[str, Any]]:
    """The rows of the file, and what is to be told of how it was understood."""
    if path.suffix.lower() in (".vcf", ".vcard"):
        if args.type not in ("contact", "lead"):
            raise WrongUse("a vCard makes contacts or leads")
        return _cards(path, fields), {"format": "vcard"}
    table = tables.read_table(path)
    if args.map:
        mapped = mapping.told(table.header, fields, _map(Path(args.map)))
    else:
        mapped = mapping.guess(table.header, fields, labels_of(fields))
    if not mapped.columns:
        names = ", ".join(field.name for field in fields if not field.read_only)
        raise WrongUse("no column of the file is a field", f"name them in --map FILE; there are {names}")
    columns = {table.header[n]: field.path for n, field in mapped.columns.items()}
    about = {
        "encoding": table.encoding, "separator": table.separator, "columns": columns,
        "ignored": mapped.ignored,
    }  # fmt: skip
    if not args.json:
        told = ", ".join(f"{one_line(title, 40)} → {name}" for title, name in columns.items())
        print(f"navbat: {table.encoding}, separated by {table.separator!r}: {told}", file=sys.stderr)
        if mapped.ignored:
            ignored = ", ".join(one_line(title, 40) for title in mapped.ignored)
            print(f"navbat: left out: {ignored}", file=sys.stderr)
    return _table_rows(table, mapped.columns), about


def _table_rows(table: tables.Table, columns: Mapping[int, ObjectField]) -> Iterator[FileRow]:
    moments = {field.path for field in columns.values() if field.kind == "moment"}
    for row in table.rows:
        if row.problem:
            yield FileRow(row.line, {}, row.problem, {"limit": str(tables.ROW_MAX)})
        elif any(cell.strip() for cell in row.cells[len(table.header) :]):
            yield FileRow(row.line, {}, "too_many_cells", {"limit": str(len(table.header))})
        elif any(cell.strip() for cell in row.cells):
            found = mapping.values(row.cells, columns)
            yield FileRow(row.line, {n: with_zone(v) if n in moments else v for n, v in found.items()})


def _cards(path: Path, fields: Sequence[ObjectField]) -> Iterator[FileRow]:
    """Of each card what the type has a field for."""
    names = {field.name for field in fields}
    for card in vcards.read_cards(path):
        found = {name: text for name, text in card.values.items() if name in names}
        if "title" in names and "name" in found:
            found["title"] = found["name"]
        yield FileRow(card.line, found, card.problem, {"limit": str(vcards.CARD_MAX)})


def _portions(rows: Iterator[FileRow], report: ImportReport) -> Iterator[list[FileRow]]:
    portion: list[FileRow] = []
    size = 0
    for row in rows:
        if row.code:
            report.refuse(row.line, row.code, row.params)
            continue
        length = sum(len(name) + 2 * len(value) for name, value in row.values.items())
        if portion and (len(portion) == ROWS_MAX or size + length > BYTES):
            yield portion
            portion, size = [], 0
        portion.append(row)
        size += length
    if portion:
        yield portion


def labels_of(fields: Sequence[ObjectField]) -> dict[str, list[str]]:
    """What people call the fields in each language."""
    words = [Words(language) for language in LANGUAGES]
    return {field.name: [one.maybe(f"field.{field.name}", field.name) for one in words] for field in fields}


def _map(path: Path) -> dict[str, str | None]:
    """``title of a column: field`` in YAML or JSON."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            found = yaml.safe_load(file.read(MAP_MAX))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        found = None
    except OSError as error:
        raise NavbatError(f"{one_line(str(path), 200)} cannot be read: {error.strerror}") from None
    if not isinstance(found, dict) or not all(
        isinstance(k, str) and (v is None or isinstance(v, str)) for k, v in found.items()
    ):
        raise WrongUse(f"{one_line(str(path), 200)} is no map", "write lines such as `Mobile phone: phones`")
    return found


# ------------------------------------------------------------------ out


async def give_out(args: argparse.Namespace) -> int:
    """``navbat crm export``: JSON lines, or CSV, or vCards, as they come."""
    where = [condition for text in args.where for condition in local_conditions(args.type, text)]
    if args.vcard and args.type not in ("contact", "lead", "company"):
        raise WrongUse("vCards are made of contacts, leads and companies")
    async with DeskClient(saved_login()) as client:
        declared = await ask(client, protocol.GetCrm, protocol.CrmDeclared)
        fields = declared.fields[args.type]
        heads = ["id", *(field.path for field in fields)] if args.csv else []
        after = ""
        with contextlib.suppress(BrokenPipeError):
            while True:
                page = await ask(
                    client, protocol.ExportObjects, protocol.ObjectsExported, type=args.type, where=where,
                    after=after,
                )  # fmt: skip
                if heads:  # only when there is an answer: a refusal leaves no file that looks whole
                    _print_csv(heads)
                    heads = []
                for item in page.items:
                    _print_one(args, fields, item)
                if not (after := page.next):
                    break
    return 0


def _print_csv(cells: Sequence[str]) -> None:
    csv.writer(sys.stdout, lineterminator="\n").writerow(cells)


def _print_one(args: argparse.Namespace, fields: Sequence[ObjectField], item: dict[str, Any]) -> None:
    if args.csv:
        _print_csv([item["id"], *(exporting.cell(field, item) for field in fields)])
    elif args.vcard:
        sys.stdout.write(vcards.write_card(item, args.vcard))
    else:
        print_json(crm_shapes.shape(args.type, item), indent=None)
