"""What several commands take: models written as YAML, and passages from a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tamis.errors import ConfigError
from tamis.evaluate.files import read_passages
from tamis.parts.shelf import parse
from tamis.values.model import MODELS
from tamis.values.ranking import Candidate

Models = Annotated[
    list[str],
    typer.Option(
        "--model",
        "-m",
        metavar="NAME=YAML",
        help="A model that pipelines call by name, such as 'llm={openai: qwen3-8b, base_url: \"http://localhost:8000/v1\"}'.",
    ),
]
Allow = Annotated[
    list[str],
    typer.Option(
        "--allow",
        metavar="PERMISSION",
        help="What a YAML file may do beyond computing, by default nothing: network (open any address), "
        "network:HOST[:PORT], environment (read keys), environment:NAME, files (open models and calibrations), "
        "files:FOLDER, code (run code that comes with weights), all. Repeatable. What --model says needs none.",
    ),
]
Data = Annotated[Path, typer.Option(help="A folder with corpus.jsonl, queries.jsonl and qrels.")]
Run = Annotated[
    str | None,
    typer.Option(help="The first stage: a run file, or its name in the folder. Default: run.tsv, else BM25."),
]
Depth = Annotated[int, typer.Option(min=1, help="Rerank the first N candidates of the first stage.")]
Queries = Annotated[int | None, typer.Option(min=1, help="Use N queries only, drawn with --seed.")]
Seed = Annotated[int, typer.Option(help="Random seed for drawing queries and for resampling.")]
RelevantFrom = Annotated[
    float | None,
    typer.Option(help="The lowest grade that counts as relevant. Default: 1, and 0.5 for decimal grades of 0 to 1."),
]
Query = Annotated[str, typer.Option("--query", "-q", help="The question.")]
Docs = Annotated[
    Path,
    typer.Option(
        "--docs",
        "-d",
        help="Passages: JSON (objects with text, perhaps id, title, score; one per line or an array), .csv or .tsv "
        "with a column text, or one passage per line.",
    ),
]
Scores = Annotated[
    str,
    typer.Option(
        "--scores",
        help="What the scores of the passages are: similarity, distance or ignore; detect: distances, "
        "if they rise along the order of the passages, else similarities.",
    ),
]
TopN = Annotated[int | None, typer.Option("--top-n", "-n", min=1, help="Keep at most N passages.")]


def models(written: Sequence[str]) -> dict[str, Any]:
    """Models by name from `NAME=YAML` options."""
    made: dict[str, Any] = {}
    for text in written:
        name, mark, description = text.partition("=")
        if not mark or not name.strip():
            raise ConfigError("--model takes NAME=YAML, such as 'llm={openai: qwen3-8b}'; one of them has no NAME=")
        made[name.strip()] = MODELS.build(parse(description, f"--model {name}"))
    return made


def passages(path: Path) -> list[Candidate]:
    """The candidates of a file, as `tamis.evaluate.files.read_passages` reads them."""
    return read_passages(path)


def say(console: Console, text: object, style: str = "") -> None:
    """A line as it is: nothing in it is markup, and it is not broken at the console's width, so that logs have it
    whole."""
    console.print(str(text), style=style or None, markup=False, highlight=False, soft_wrap=True)


def note(console: Console, notice: object, indent: str = "") -> None:
    """A notice on a line of its own."""
    say(console, f"{indent}note: {notice}", "yellow")


@contextmanager
def progress(console: Console, name: str) -> Iterator[Any]:
    """A progress bar. Yields a function to call with the number done, the total, and a label."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=f"{name} {what}")
