"""Breaking text into lines of a terminal's cells."""

from __future__ import annotations

from rich.cells import cell_len, chop_cells, set_cell_size

Span = tuple[str, str]
"""(style name, text). Style names are those of ``widgets.thread``'s component classes."""


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` cells, broken between words where that is possible. Ordinary
    short text takes about a microsecond."""
    result: list[str] = []
    for paragraph in text.split("\n"):
        if len(paragraph) <= width and (paragraph.isascii() or cell_len(paragraph) <= width):
            result.append(paragraph)
        else:
            result.extend(_wrap_long(paragraph, max(1, width)))
    return result


def _wrap_long(paragraph: str, width: int) -> list[str]:
    lines: list[str] = []
    line, used = "", 0
    for word in paragraph.split(" "):
        cells = cell_len(word)
        if used and used + 1 + cells <= width:
            line, used = f"{line} {word}", used + 1 + cells
            continue
        if used:
            lines.append(line)
        if cells <= width:
            line, used = word, cells
            continue
        *full, line = chop_cells(word, width) or [""]
        lines.extend(full)
        used = cell_len(line)
    lines.append(line)
    return lines


def fit(text: str, width: int) -> str:
    """Exactly ``width`` cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    if cell_len(text) > width:
        return set_cell_size(set_cell_size(text, width - 1).rstrip() + "…", width)
    return set_cell_size(text, width)
