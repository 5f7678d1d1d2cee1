"""A setting as one line of YAML comes back as it was."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from crm.kernel.yaml_line import as_line

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


def test_a_value_that_occurs_twice_is_written_twice() -> None:
    day = ["09:00-18:00"]
    assert as_line({"mon": day, "tue": day}) == "{mon: ['09:00-18:00'], tue: ['09:00-18:00']}"


@given(VALUES)
@example({"farewell": {"": "Bye:\nsee you", "ru": "Пока 😀"}})
@example("a\u2028b\x85c\x07")
@example("off")
def test_one_line_and_back(value: Any) -> None:
    line = as_line(value)
    assert len(line.splitlines()) <= 1
    assert yaml.safe_load(line) == value
