"""`tamis train`: weights that users make of their own data, and those that ship."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console

from tamis.cli import options
from tamis.engine.engine import Engine
from tamis.parts.shelf import parse
from tamis.values.model import MODELS


class Loss(Enum):
    """Losses of G-RAG: a hinge over pairs, or softmax cross-entropy."""

    RANK = "rank"
    CROSS_ENTROPY = "cross_entropy"


Data = Annotated[list[Path], typer.Option(help="A folder with corpus.jsonl, queries.jsonl and qrels. Repeatable.")]
Embed = Annotated[str, typer.Option(help="The embedder as YAML, such as '{sentence_transformer: my-embedder}'.")]
Losses = Annotated[Loss, typer.Option(help="The training loss.")]
Steps = Annotated[int, typer.Option(min=1, help="Train for at most N steps.")]
Kept = Annotated[Path | None, typer.Option(help="Keep the vectors in this .sqlite file.")]
Out = Annotated[Path, typer.Option(help="The file to write the network to; the stage `trained_graph` takes it.")]


def graph(
    data: Data,
    embed: Embed,
    network: Annotated[str, typer.Option(help="grag, hybrank, ebcar or adapter.")] = "grag",
    loss: Losses = Loss.RANK,
    steps: Steps = 1000,
    depth: options.Depth = 100,
    seed: options.Seed = 0,
    cache: Kept = None,
    out: Out = Path("graph.npz"),
) -> None:
    """Train a network over the graph of candidates (G-RAG, HybRank, EBCAR) on labelled queries."""
    _train(data, embed, network, loss, steps, depth, seed, cache, out)


def adapter(
    data: Data,
    embed: Embed,
    loss: Losses = Loss.CROSS_ENTROPY,
    steps: Steps = 1000,
    depth: options.Depth = 100,
    seed: options.Seed = 0,
    cache: Kept = None,
    out: Out = Path("adapter.npz"),
) -> None:
    """Train a small network on an embedder's vectors (RRRA) on labelled queries.

    If it brings no gain, it keeps the order of the embedder.
    """
    _train(data, embed, "adapter", loss, steps, depth, seed, cache, out)


def _train(
    data: list[Path],
    embed: str,
    network: str,
    loss: Loss,
    steps: int,
    depth: int,
    seed: int,
    cache: Path | None,
    out: Path,
) -> None:
    from tamis.training.graph import train_graph

    embedder: Any = MODELS.build(parse(embed, "--embed"))
    console = Console()
    with options.progress(console, "training") as report:
        trained = train_graph(
            [str(folder) for folder in data],
            embedder,
            network=network,
            loss=cast(Any, loss.value),
            steps=steps,
            depth=depth,
            seed=seed,
            out=out,
            engine=Engine(cache=str(cache) if cache else "memory"),
            on_progress=lambda done, total, best: report(done, total, f"MRR {best:.4f}"),
        )
    options.say(console, str(trained))
    options.say(console, f"wrote {out}", "dim")


def default(
    data: Annotated[Path, typer.Option(help="The folder of training sets.")],
    encoder: Annotated[Path, typer.Option(help="The folder with the weights of all-MiniLM-L6-v2.")],
    teacher: Annotated[
        Path | None, typer.Option(help="A cross-encoder's folder (model.onnx, tokenizer.json) to learn from as well.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="The folder to keep vectors and the teacher's scores in.")] = Path(
        ".cache/default"
    ),
    seed: options.Seed = 0,
    out: Annotated[Path, typer.Option(help="The folder to write words.npz, weights.json and CARD.md to.")] = Path(
        "learned"
    ),
) -> None:
    """Train the weights of the default pipeline again: word vectors, weights and their card."""
    from tamis.training.default import train
    from tamis.training.teacher import Teacher
    from tamis.training.vectors import Encoder

    train(data, Encoder(encoder, cache), out, seed, Teacher(teacher, cache) if teacher else None)
    options.say(Console(), f"wrote {out}", "dim")
