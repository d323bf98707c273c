"""`tamis rerank`: one query, one list of passages."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from tamis.cli import options
from tamis.errors import ConfigError
from tamis.recipes.load import model_names, refuse_idle
from tamis.reranker import Reranker
from tamis.values.ranking import Ranking
from tamis.values.similarity import checked


def rerank(
    query: options.Query,
    docs: options.Docs,
    pipeline: Annotated[str, typer.Argument(help="A preset's name or a YAML file.")] = "default",
    top_n: options.TopN = None,
    model: options.Models = [],  # noqa: B006
    allow: options.Allow = [],  # noqa: B006
    unordered: Annotated[bool, typer.Option("--unordered", help="The passages are in no particular order.")] = False,
    scores: options.Scores = "detect",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Rerank passages for a question."""
    given = options.models(model)
    refuse_idle(given, model_names(pipeline, allow))
    reranker = Reranker(
        pipeline, models=given, top_n=top_n, ordered=not unordered, scores=checked(scores, ConfigError), allow=allow
    )
    ranking = reranker.rerank(query, options.passages(docs))
    if as_json:
        _print_json(ranking)
    else:
        _print(ranking)


def _print(ranking: Ranking) -> None:
    console = Console()
    for place, ranked in enumerate(ranking.kept, 1):
        score = "–" if ranked.score is None else f"{ranked.score:.4g}"
        text = " ".join(ranked.candidate.full_text.split())
        console.print(f"{place:>3}  {score:>8}  {text[:160]}", markup=False, highlight=False)
    for notice in ranking.warnings:
        options.note(console, notice)


def _print_json(ranking: Ranking) -> None:
    for ranked in ranking.kept:
        line = {"position": ranked.position, "id": ranked.candidate.id, "score": ranked.score, "text": ranked.text}
        typer.echo(_as_json(line))


def _as_json(line: dict[str, Any]) -> str:
    """JSON in letters that the output can write, so that none is replaced."""
    text = json.dumps(line, ensure_ascii=False, default=str)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(line, default=str)
    return text
