"""``navbat rehearse``: reads the store, plays the record under two sets of rules, prints the figures."""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from crm.kernel.errors import ConfigError, NavbatError, Refused
from crm.kernel.ports import Store
from crm.lines import versions
from crm.lines.versions import WrittenSettings
from navbat.cli.arguments import unknown_word
from navbat.cli.printing import print_json
from navbat.cli.reach import opened_store
from navbat.cli.shapes import rfc3339
from navbat.config.file import YamlFile
from navbat.config.lines import Line
from navbat.config.rulebook import Rulebook, as_kept
from navbat.config.types import Config, locate
from navbat.lab.rehearse import printing, reading
from navbat.lab.rehearse.figures import Figures, measure
from navbat.lab.rehearse.recording import Recording
from navbat.lab.rehearse.replay import replay
from router.desk.events import LinesConfigured, OperatorChanged
from router.desk.rules import LineRules

WRONG_USE = 2
NAMES = ("recorded", "now", "new")
MANY = 1000
"""From so many conversations on the two sets of rules are played side by side, where there are two cores."""


async def main(args: argparse.Namespace) -> int:
    """Raises ``NavbatError`` when the rules are wrong or nothing was recorded."""
    config, book = Rulebook.load(locate(args.config), channels=False)
    async with opened_store(config) as store:
        settings = await _in_force(store, book)
        if args.line not in settings:
            return _wrong(f"--line: {unknown_word('line', args.line, settings)}")
        try:
            now = book.compile(settings)
            start = moment(args.start, now[args.line].zone)
            end = moment(args.end, now[args.line].zone)
        except ValueError as error:
            return _wrong(str(error))
        if end <= start:
            return _wrong("--to must be later than --from")
        new = changed(book, settings, args.line, Path(args.rules))
        recording = await reading.recorded(store, start, end)
        people = await reading.operators(store, book, recording)
    if not recording.talks:
        raise NavbatError(f"nothing was recorded from {args.start} to {args.end}", "choose other days")
    columns = compare(recording, args.line, _told(config, book, now), _told(config, book, new), people)
    _print(args, columns, recording)
    return 0


def _wrong(text: str) -> int:
    print(f"navbat rehearse: {text}", file=sys.stderr)
    return WRONG_USE


async def _in_force(store: Store, book: Rulebook) -> dict[str, WrittenSettings]:
    """The lines' settings as they are now: changed while the desk ran, or as the file has them."""
    kept = await versions.in_force(store)
    return {name: found.settings for name, found in kept.items()} or dict(book.written)


def moment(text: str, zone: str) -> int:
    """A date (its midnight) or a local date and time, in ms. Raises ``ValueError`` with a sentence."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected a date such as 2026-03-02, or 2026-03-02T09:00, not {text!r}") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(zone))
    return int(found.timestamp() * 1000)


def changed(
    book: Rulebook, settings: dict[str, WrittenSettings], line: str, path: Path
) -> dict[str, LineRules]:
    """All lines, with the settings of the file in place of those of ``line``. Raises ``ConfigError``."""
    file = YamlFile(path)
    file.build(Line, file.tree)
    file.raise_problems()
    given = as_kept(file.tree)
    try:
        return book.compile({**settings, line: {**settings[line], **given}})
    except Refused as refused:
        raise ConfigError(f"{path}: {refused.params.get('problems', refused)}") from refused


def _told(config: Config, book: Rulebook, rules: dict[str, LineRules]) -> LinesConfigured:
    told = config.lines_configured()
    return msgspec.structs.replace(told, lines=rules, flows={**told.flows, **book.flows(rules)})


def compare(
    recording: Recording,
    line: str,
    now: LinesConfigured,
    new: LinesConfigured,
    people: list[OperatorChanged],
) -> dict[str, Figures]:
    """The figures as recorded, and of the record played under the rules of ``now`` and ``new``."""
    if len(recording.talks) < MANY or (os.cpu_count() or 1) == 1:
        played = [_played(recording, line, rules, people) for rules in (now, new)]
    else:
        # Spawned: this process has threads of the store.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as other:
            bare = msgspec.structs.replace(recording, told=[])  # what it told then is not played
            first = other.submit(_played, bare, line, now, people)
            second = _played(recording, line, new, people)
            played = [first.result(), second]
    return dict(zip(NAMES, [measure(recording.told, line, recording.end), *played], strict=True))


def _played(
    recording: Recording, line: str, rules: LinesConfigured, people: list[OperatorChanged]
) -> Figures:
    """Without the collector: what is told is kept until it is measured, and would be walked again and again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return measure(replay(recording, rules, people), line, recording.end)
    finally:
        if collects:
            gc.enable()


def _print(args: argparse.Namespace, columns: dict[str, Figures], recording: Recording) -> None:
    about = {"line": args.line, "from": rfc3339(recording.start), "to": rfc3339(recording.end)}
    if args.csv and args.csv != "-":
        try:
            Path(args.csv).write_text(printing.as_csv(columns), encoding="utf-8")
        except OSError as error:
            raise NavbatError(f"{args.csv} cannot be written: {error.strerror}") from error
    if args.csv == "-":
        print(printing.as_csv(columns), end="")
    elif args.json:
        print_json(printing.as_json(columns, about))
    else:
        print(printing.table(columns))
