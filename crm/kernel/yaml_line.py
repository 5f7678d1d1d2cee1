"""Values as one line of YAML: how settings travel and are shown. And the loader that reads all YAML."""

from __future__ import annotations

import re
from typing import Any

import yaml


class WordLoader(yaml.SafeLoader):
    """YAML in which words stay words.

    YAML 1.1 takes ``NO`` (Norway) for false, ``12:30`` for 750 and ``010`` for 8. Here only ``true`` and
    ``false``, ``null`` and ``~``, and numbers in their usual decimal form are anything but a text; what
    means a switch says so by its type. Of tags none is known but those of such values."""


_KNOWN = ("str", "bool", "int", "float", "null", "seq", "map")
_PLAIN = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("merge", r"<<", "<"),
)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """By first character, as PyYAML wants them; the empty text has none."""
    table: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for name, pattern, firsts in _PLAIN:
        for first in firsts:
            known = table.setdefault(first.replace("\0", ""), [])
            known.append((f"tag:yaml.org,2002:{name}", re.compile(rf"(?:{pattern})\Z")))
    return table


WordLoader.yaml_implicit_resolvers = _resolvers()
WordLoader.yaml_constructors = {
    tag: made
    for tag, made in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.removeprefix("tag:yaml.org,2002:") in _KNOWN
}
# Where it is no key there is nothing to merge into.
WordLoader.yaml_constructors["tag:yaml.org,2002:merge"] = yaml.SafeLoader.construct_yaml_str


class _Line(yaml.SafeDumper):
    """Quotes a text of several lines with escapes; plain YAML would fold it over lines of its own. Writes a
    value that occurs twice twice, and no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Line, value: str) -> yaml.ScalarNode:
    style = None if value.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Line.add_representer(str, _text)


def as_line(value: Any) -> str:
    """A value of texts, numbers, lists and mappings as one line of YAML, in flow style; read back, it is
    the same value."""
    line: str = yaml.dump(
        value, Dumper=_Line, default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False
    )
    return line.removesuffix("\n").removesuffix("\n...")
