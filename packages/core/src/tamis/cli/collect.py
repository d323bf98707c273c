"""`tamis collect`: what one's own retriever finds, as a test set."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console

from tamis.cli import options
from tamis.errors import ConfigError
from tamis.evaluate.collecting import collect as collected


def collect(
    retriever: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:NAME",
            help="A retriever of LlamaIndex, LangChain or Haystack, or a function from a query to what it finds; a "
            "function without arguments is called first, and returns one.",
        ),
    ],
    queries: Annotated[
        Path, typer.Option("--queries", "-q", help="JSON (text, perhaps id; one per line or an array) or one per line.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to write corpus, queries and run to.")] = Path("collected"),
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", "-k", min=1, help="Ask for N passages. Default: what the retriever is set to."),
    ] = None,
    ids: Annotated[
        str, typer.Option(help="stable: the retriever's, and made from texts where they are random; given; or text.")
    ] = "stable",
    output: Annotated[
        str | None, typer.Option(help="The component of a Haystack pipeline whose documents count.")
    ] = None,
) -> None:
    """Ask a retriever a list of queries and write a test set, so that eval measures behind your own first stage."""
    console = Console()
    made = _imported(retriever)
    with options.progress(console, "asking") as report:
        found = collected(
            made,
            queries,
            out,
            top_k=top_k,
            ids=cast(Any, ids),
            output=output,
            on_progress=report,
        )
    for notice in found.notices:
        options.note(console, notice)
    options.say(
        console, f"{found.queries} queries, {found.results} results, {found.passages} passages; scores: {found.scores}"
    )
    options.say(console, f"wrote {out}", "dim")
    if not any((out / name).exists() for name in ("qrels.tsv", "qrels")):
        options.say(
            console,
            f"Next: write judgements to {out / 'qrels.tsv'} (query-id, corpus-id, score), or let a model judge: "
            f"tamis eval default --data {out} --judge '{{openai: MODEL}}'",
        )


def _imported(path: str) -> Any:
    module, mark, attribute = path.partition(":")
    if not mark:
        raise ConfigError(f"a retriever is named as module:name, got {path!r}")
    if "" not in sys.path:  # Modules are looked for here, as by `python -m`.
        sys.path.insert(0, "")
    try:
        value = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"cannot import a retriever from {path!r}: {error}") from error
    return value() if callable(value) and _takes_nothing(value) else value


def _takes_nothing(value: Any) -> bool:
    import inspect

    return (inspect.isfunction(value) or inspect.isclass(value)) and not any(
        parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        for parameter in inspect.signature(value).parameters.values()
    )
