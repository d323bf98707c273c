"""`tamis compare`: two pipelines on one query, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tamis.cli import options
from tamis.engine.engine import Engine
from tamis.errors import ConfigError
from tamis.evaluate.systems import named
from tamis.stage.base import Stage
from tamis.values.ranking import Ranked, Ranking
from tamis.view.picture import fragment, number, safe

META = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
STYLE = (
    ":root{color-scheme:light dark}"
    "body{font-family:system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}"
    "@media (max-width:600px){body{margin:1rem auto;padding:0 .6rem}}"
)
WIDEST_HEAD = 12
PLACES = ("first", "second")
"""Heads for systems whose names would leave no room for the passages."""


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
    console.print(_table(rankings, heads, top_n))
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


def _table(rankings: dict[str, Ranking], heads: Sequence[str], top_n: int | None) -> Table:
    one, two = rankings.values()
    places = {
        name: {r.position: place for place, r in enumerate(ranking.kept, 1)} for name, ranking in rankings.items()
    }
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("incoming", justify="right")
    for head in heads:
        table.add_column(escape(head), justify="right", no_wrap=True)
        table.add_column("score", justify="right", no_wrap=True)
    table.add_column("passage", overflow="ellipsis", no_wrap=True)
    shown = {r.position: r for r in (*one.kept[:top_n], *two.kept[:top_n])}
    ends = [places[name] for name in rankings]
    for position in sorted(shown, key=lambda p: (ends[1].get(p, 10**9), ends[0].get(p, 10**9))):
        cells = []
        for ranking, end in zip(rankings.values(), ends, strict=True):
            found: Ranked | None = next((r for r in ranking.kept if r.position == position), None)
            cells += [str(end.get(position, "dropped")), number(found.score) if found else ""]
        text = " ".join(shown[position].candidate.full_text.split())
        table.add_row(str(position + 1), *cells, escape(text[:200]))
    return table


def _page(rankings: dict[str, Ranking]) -> str:
    parts = "".join(f"<h2>{safe(name)}</h2>{fragment(ranking)}" for name, ranking in rankings.items())
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    title = f"<title>{safe(' and '.join(rankings))}</title>"
    return (
        f'<!doctype html><html lang="en"><head>{head}{title}<style>{STYLE}</style></head><body>{parts}</body></html>\n'
    )
