"""All commands together, and errors as one line."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import typer
from rich.console import Console

from tamis.cli import calibrate, collect, compare, evaluate, export, options, presets, rerank, train
from tamis.errors import TamisError

app = typer.Typer(
    name="tamis",
    help="Rerank what a retriever found, and measure whether it helps.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _reported(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, with tamis's own errors as a message and exit code 2."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except TamisError as error:
            told = f"Error: {error}"
            options.say(Console(stderr=True), told, "red")
            raise typer.Exit(2) from None

    return run


app.command("eval")(_reported(evaluate.evaluate))
app.command("collect")(_reported(collect.collect))
app.command("calibrate")(_reported(calibrate.calibrate))
app.command("compare")(_reported(compare.compare))
training = typer.Typer(help="Train weights of your own.", no_args_is_help=True, rich_markup_mode=None)
training.command("graph")(_reported(train.graph))
training.command("adapter")(_reported(train.adapter))
training.command("default")(_reported(train.default))
app.add_typer(training, name="train")
exporting = typer.Typer(
    help="Write models in formats that run without torch.", no_args_is_help=True, rich_markup_mode=None
)
exporting.command("onnx")(_reported(export.onnx))
app.add_typer(exporting, name="export")
app.command("rerank")(_reported(rerank.rerank))
app.command("presets")(_reported(presets.presets))
