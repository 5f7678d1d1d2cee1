"""The generated pages say what the program does, and nothing in it is left undocumented."""

from __future__ import annotations

import pytest

from navbat.cli import reference


@pytest.mark.parametrize(
    ("file", "make"),
    [
        ("configuration.md", reference.configuration),
        ("commands.md", reference.commands),
        ("metrics.md", reference.metrics),
    ],
)
def test_pages_are_up_to_date(file: str, make: object) -> None:
    text = (reference.FOLDER / file).read_text(encoding="utf-8")
    assert callable(make)
    assert text == make(), "run `make docs`"


def test_every_setting_is_explained() -> None:
    own = reference.configuration().partition("## `channels.<name>`")[0]
    rows = [line for line in own.splitlines() if line.startswith("| `")]
    assert len(rows) > 20
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_option_is_explained() -> None:
    options = [line for line in reference.commands().splitlines() if line.startswith("- `--")]
    assert len(options) > 20
    assert [line for line in options if "`: " not in line] == []
