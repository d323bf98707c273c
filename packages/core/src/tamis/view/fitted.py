"""Tables that fit a terminal, a pipe or a log: what is too wide goes into a further table, and no value is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tamis.errors import installed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LEAST_NAMES = 20


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its head, a text per row, perhaps a style per row. `left`: texts are aligned to the left."""

    head: str
    cells: Sequence[str]
    styles: Sequence[str] = field(default=())
    left: bool = False


def fitted(
    console: Console,
    title: str,
    names: Column,
    columns: Sequence[Column],
    *,
    styles: Sequence[str] = (),
    caption: str = "",
) -> list[Table]:
    """One table where all columns fit the console's width, else several, each of which begins with the names.

    `styles`: of whole rows. The title is above the first table, the caption below the last. A name wider than half of
    the console is continued on the next line.
    """
    groups: list[list[Column]] = [[]]
    for column in columns:
        if groups[-1] and _width(console, _table(console, "", names, [*groups[-1], column], styles)) > console.width:
            groups.append([])
        groups[-1].append(column)
    tables = [
        _table(console, title if number == 0 else "", names, group, styles) for number, group in enumerate(groups)
    ]
    if caption:
        tables[-1].caption = caption
        tables[-1].caption_justify = "left"
    return tables


def width_left(console: Console, names: Column, columns: Sequence[Column]) -> int:
    """Characters left in a line for one more column."""
    gap = 2
    return console.width - _width(console, _table(console, "", names, columns, ())) - gap


def _table(console: Console, title: str, names: Column, columns: Sequence[Column], styles: Sequence[str]) -> Table:
    with installed("The tamis command", "eval"):
        from rich import box
        from rich.table import Table
        from rich.text import Text

    table = Table(
        title=Text(title, style="italic") if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column(Text(names.head), overflow="fold", max_width=max(LEAST_NAMES, console.width // 2))
    for column in columns:
        table.add_column(Text(column.head), justify="left" if column.left else "right", overflow="fold")
    for row, name in enumerate(names.cells):
        cells = [Text(c.cells[row], style=c.styles[row] if c.styles else "") for c in columns]
        table.add_row(Text(name), *cells, style=styles[row] if styles else None)
    return table


def _width(console: Console, table: Table) -> int:
    with installed("The tamis command", "eval"):
        from rich.measure import Measurement

    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum
