"""Values as one line of YAML: how settings travel and are shown."""

from __future__ import annotations

from typing import Any

import yaml


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
