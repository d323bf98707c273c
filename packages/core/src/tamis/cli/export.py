"""`tamis export`: models in forms that run without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tamis.cli import options


def onnx(
    model: Annotated[
        str, typer.Argument(help="A folder or hub name of a sequence classifier, such as a BERT reranker.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to write; OnnxCrossEncoder takes it.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Also write a graph quantised to int8: model_int8.onnx.")
    ] = False,
    max_length: Annotated[int, typer.Option(min=8, help="Most tokens per pair of query and passage.")] = 512,
) -> None:
    """Write a cross-encoder as an ONNX graph and check its scores against the model's own."""
    from tamis.models.local.export import export_onnx

    console = Console()
    for made in export_onnx(model, out, int8=int8, max_length=max_length):
        options.say(console, str(made))
