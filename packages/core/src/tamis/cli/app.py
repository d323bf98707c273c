"""All commands together, and errors as one line."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import typer
from rich.console import Console

from tamis.cli import calibrate, compare, evaluate, export, presets, rerank, train
from tamis.errors import TamisError

app = typer.Typer(
    name="tamis",
    help="Rerank what a retriever found, and measure whether it helps.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _told(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, with tamis's own errors as a message and exit code 2."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except TamisError as error:
            Console(stderr=True).print(f"Error: {error}", style="red", markup=False, highlight=False)
            raise typer.Exit(2) from None

    return run


app.command("eval")(_told(evaluate.evaluate))
app.command("calibrate")(_told(calibrate.calibrate))
app.command("compare")(_told(compare.compare))
training = typer.Typer(help="Train weights of your own.", no_args_is_help=True, rich_markup_mode=None)
training.command("graph")(_told(train.graph))
training.command("adapter")(_told(train.adapter))
training.command("default")(_told(train.default))
app.add_typer(training, name="train")
exporting = typer.Typer(help="Models in forms that run without torch.", no_args_is_help=True, rich_markup_mode=None)
exporting.command("onnx")(_told(export.onnx))
app.add_typer(exporting, name="export")
app.command("rerank")(_told(rerank.rerank))
app.command("presets")(_told(presets.presets))
