"""Plain text for people; never wrapped or cut, so that it can be searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return `rows` in columns below `headings`; a word instead of an empty table."""
    if not rows:
        return "none"
    cells = [headings, *[[_cell(value) for value in row] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    )


def fields(pairs: Mapping[str, object]) -> str:
    """Return one `name: value` a line, without those that have no value."""
    shown = {name: value for name, value in pairs.items() if value not in ("", None)}
    width = max(map(len, shown), default=0) + 1
    return "\n".join(
        f"{name + ':':<{width}} {_cell(value)}" for name, value in shown.items()
    )


def exact(rounded: str, count: int, unit: str = "bytes") -> str:
    """Return a size as people read it, and the exact number where that is another."""
    same = not count or rounded.split()[0] == str(count)
    return rounded if same else f"{rounded} ({count} {unit})"


def _cell(value: object) -> str:
    match value:
        case None | "":
            return "-"
        case True:
            return "yes"
        case False:
            return "no"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
    return "".join(char if char.isprintable() else "�" for char in str(value))
