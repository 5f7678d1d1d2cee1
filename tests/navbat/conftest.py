"""Desks for black-box tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.navbat.process import CONFIG, Desk


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, so that the embedded Redis keeps its socket there."""
    path = Path(tempfile.mkdtemp(prefix="nb-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def make_desk(folder: Path) -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def make(config: str = CONFIG, name: str = "") -> Desk:
        place = folder / name
        place.mkdir(exist_ok=True)
        made.append(Desk(place, config))
        return made[-1]

    yield make
    for desk in made:
        desk.clean_up()


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """A desk that has not been started."""
    return make_desk()
