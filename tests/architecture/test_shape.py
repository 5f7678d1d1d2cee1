"""The shape of the code: one name has one meaning, and a file and a function are as long as one thought."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ("navbat", "console", "bots", "trackers", "vision", "router", "storage", "crm")

FILE_LINES = 500
FUNCTION_LINES = 60

OTHERS = {
    "bots/telegram/updates.py": "Telegram's own words, always said with the module: ``updates.Message``"
}
"""Files whose class names are somebody else's, and whose."""


def files() -> Iterator[tuple[str, str]]:
    """Every shipped file and its text."""
    for package in SHIPPED:
        for file in sorted((ROOT / package).rglob("*.py")):
            yield file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")


def defined_twice(sources: dict[str, str]) -> dict[str, list[str]]:
    """Public classes with the same name. What is declared within a class has that one's name before its own."""
    places: dict[str, list[str]] = defaultdict(list)
    for path, text in sources.items():
        if path in OTHERS:
            continue
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path)
    return {name: found for name, found in places.items() if len(found) > 1}


def long_functions(sources: dict[str, str]) -> list[str]:
    """Functions that are longer than they may be, without decorators."""
    found = []
    for path, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    found.append(f"{path}:{node.lineno} {node.name}: {lines} lines")
    return found


def long_files(sources: dict[str, str]) -> list[str]:
    return [
        f"{path}: {lines} lines"
        for path, text in sources.items()
        if (lines := len(text.splitlines())) > FILE_LINES
    ]


def test_one_name_has_one_meaning() -> None:
    assert defined_twice(dict(files())) == {}


def test_no_file_and_no_function_is_too_long() -> None:
    sources = dict(files())
    assert long_files(sources) == []
    assert long_functions(sources) == []


def test_what_is_wrong_is_found() -> None:
    method = "class One:\n    class In: ...\n    def f(self):\n" + "        pass\n" * FUNCTION_LINES
    sources = {"a.py": method, "b.py": "class One: ...\nclass In: ...\n" + "\n" * FILE_LINES}
    assert defined_twice(sources) == {"One": ["a.py", "b.py"]}
    assert long_functions(sources) == ["a.py:3 f: 61 lines"]
    assert long_files(sources) == [f"b.py: {FILE_LINES + 2} lines"]
