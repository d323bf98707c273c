"""`tamis compare`: two pipelines on one query, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table

from tamis.cli import options
from tamis.engine.engine import Engine
from tamis.errors import ConfigError
from tamis.evaluate.systems import named
from tamis.stage.base import Stage
from tamis.values.ranking import Ranking
from tamis.view.fitted import Column, fitted, width_left
from tamis.view.picture import fragment, number, safe

META = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
STYLE = (
    ":root{color-scheme:light dark}"
    "body{font-family:system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}"
    "@media (max-width:600px){body{margin:1rem auto;padding:0 .6rem}}"
)
LEAST_TEXT = 30
WIDEST_HEAD = 12
PLACES = ("first", "second")
"""Heads for systems whose names would leave no width for the passages."""


def compare(
    first: Annotated[str, typer.Argument(help="A preset, YAML file or import path.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    query: options.Query,
    docs: options.Docs,
    top_n: options.TopN = None,
    model: options.Models = [],  # noqa: B006
    allow: options.Allow = [],  # noqa: B006
    html: Annotated[Path | None, typer.Option(help="Also write both rankings to this HTML file.")] = None,
) -> None:
    """Show where two pipelines put the same passages for one question."""
    candidates = options.passages(docs)
    systems = named([first, second], options.models(model), allow=allow)
    engine = Engine()
    rankings = {}
    for system in systems:
        if not isinstance(system.source, Stage):
            raise ConfigError(f"{system.name} is a run file; compare takes pipelines")
        rankings[system.name] = engine.rerank(system.source, query, candidates)
    console = Console()
    heads = list(rankings) if all(cell_len(name) <= WIDEST_HEAD for name in rankings) else list(PLACES)
    for head, name in zip(heads, rankings, strict=True):
        if head != name:
            options.say(console, f"{head}: {name}")
    for table in _tables(console, rankings, heads, top_n):
        console.print(table)
    for name, ranking in rankings.items():
        usage = ranking.usage
        cost = f"{usage.calls} calls, {usage.tokens} tokens, {number(usage.seconds)} s"
        console.print(
            f"{name}: kept {len(ranking)} of {len(candidates)}; {cost}", markup=False, highlight=False, soft_wrap=True
        )
        for notice in ranking.warnings:
            options.note(console, notice, "  ")
    if html:
        html.write_text(_page(rankings), encoding="utf-8")
        options.say(console, f"wrote {html}", "dim")


def _tables(console: Console, rankings: dict[str, Ranking], heads: Sequence[str], top_n: int | None) -> list[Table]:
    """Passages in the order of the second system, with their place and score in both."""
    found = [{r.position: (place, r) for place, r in enumerate(ranking.kept, 1)} for ranking in rankings.values()]
    shown = {r.position: r for ranking in rankings.values() for r in ranking.kept[:top_n]}
    nowhere = (len(shown) + 10**9, None)
    order = sorted(shown, key=lambda p: (found[1].get(p, nowhere)[0], found[0].get(p, nowhere)[0]))
    columns = []
    for head, of in zip(heads, found, strict=True):
        columns.append(Column(head, [str(of[p][0]) if p in of else "dropped" for p in order]))
        columns.append(Column("score", [number(of[p][1].score) if p in of else "" for p in order]))
    incoming = Column("incoming", [str(position + 1) for position in order])
    left = max(LEAST_TEXT, width_left(console, incoming, columns))
    texts = [" ".join(shown[position].candidate.full_text.split()) for position in order]
    cut = [text if cell_len(text) <= left else f"{set_cell_size(text, left - 1).rstrip()}…" for text in texts]
    return fitted(console, "", incoming, [*columns, Column("passage", cut, left=True)])


def _page(rankings: dict[str, Ranking]) -> str:
    parts = "".join(f"<h2>{safe(name)}</h2>{fragment(ranking)}" for name, ranking in rankings.items())
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    title = f"<title>{safe(' and '.join(rankings))}</title>"
    return (
        f'<!doctype html><html lang="en"><head>{head}{title}<style>{STYLE}</style></head><body>{parts}</body></html>\n'
    )
