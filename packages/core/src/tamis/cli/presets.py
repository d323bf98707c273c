"""`tamis presets`: the ready pipelines."""

from __future__ import annotations

from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tamis.errors import TamisError
from tamis.recipes.cards import describe
from tamis.recipes.load import model_names
from tamis.recipes.load import presets as titles
from tamis.stage.presets import PRESETS


def presets(
    action: Annotated[str | None, typer.Argument(help="`show`, to see one.")] = None,
    name: Annotated[str | None, typer.Argument(help="Which one.")] = None,
) -> None:
    """List the ready pipelines, or show one: `tamis presets show NAME`."""
    if action is None:
        _list()
    elif action == "show" and name:
        Console().print(describe(name), markup=False, highlight=False, soft_wrap=True)
    else:
        raise typer.BadParameter("use `tamis presets` or `tamis presets show NAME`")


def _list() -> None:
    named = titles()
    packages = {name: PRESETS.package_of(name) for name in named}
    table = Table("name", "what it is", "models it calls", box=box.SIMPLE_HEAD)
    table.columns[0].no_wrap = True
    if any(packages.values()):
        table.add_column("package", no_wrap=True)
    for name, title in named.items():
        try:
            models = ", ".join(model_names(name))
        except TamisError as error:
            models = f"cannot be used: {error}"
        except Exception as error:  # A part of another package may have any fault.
            models = f"cannot be used: {error!r}"
        row = [name, title, models, packages[name] or "tamis"]
        table.add_row(*map(escape, row[: len(table.columns)]))
    Console().print(table)
