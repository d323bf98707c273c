"""`tamis calibrate`: fit probabilities, thresholds or a confidence to labelled queries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tamis.cli import options
from tamis.engine import Engine
from tamis.errors import ConfigError
from tamis.evaluate import read
from tamis.evaluate.systems import named
from tamis.ranking import Ranking
from tamis.select.fitting import fit
from tamis.select.scorer import scoring
from tamis.stage import Pipeline, Stage


def calibrate(
    pipeline: Annotated[str, typer.Argument(help="What makes the scores: a preset, YAML file or import path.")],
    data: options.Data,
    method: Annotated[
        str,
        typer.Option(
            help="platt, isotonic, temperature, conformal; or a confidence to abstain by: max, std, gap, linear, "
            "logistic, mahalanobis."
        ),
    ] = "platt",
    run: options.Run = None,
    depth: options.Depth = 100,
    queries: options.Queries = None,
    seed: options.Seed = 0,
    relevant_from: options.RelevantFrom = 1,
    rate: Annotated[float | None, typer.Option(help="Of a confidence: the share of queries to abstain on.")] = None,
    target: Annotated[float | None, typer.Option(help="Of a confidence: the mean quality to reach instead.")] = None,
    model: options.Models = [],  # noqa: B006
    cache: Annotated[Path | None, typer.Option(help="Keep the models' answers in this .sqlite file.")] = None,
    out: Annotated[Path, typer.Option(help="Where the artefact goes.")] = Path("calibration.json"),
) -> None:
    """Fit what a pipeline's scores mean, on labelled queries; the artefact works for that pipeline only."""
    (system,) = named([pipeline], options.models(model))
    if not isinstance(system.source, Stage):
        raise ConfigError(f"{pipeline!r} is a run file; calibration needs the pipeline that makes the scores")
    dataset = read(data, run=run, depth=depth, relevant_from=relevant_from)
    ids = dataset.sample(queries, seed)
    pools = [Ranking.of(dataset.questions[query].query, dataset.pool(query, depth)) for query in ids]
    engine = Engine(cache=str(cache) if cache else "memory")
    scorer = Pipeline(scoring(system.source))
    rankings = dict(zip(ids, engine.rerank_many(scorer, pools), strict=True))
    artefact = fit(rankings, dataset, method, scorer=scorer, rate=rate, target=target, seed=seed)
    artefact.write(out)
    console = Console()
    console.print(f"{method} for {artefact.scorer}, from {artefact.queries} queries", markup=False, highlight=False)
    for name, value in artefact.report.items():
        console.print(f"  {name}: {value:.4f}", markup=False, highlight=False)
    for note in artefact.notes:
        console.print(f"  note: {note}", style="yellow", markup=False, highlight=False)
    console.print(f"wrote {out}", style="dim", highlight=False)
