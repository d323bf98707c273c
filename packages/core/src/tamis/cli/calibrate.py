"""`tamis calibrate`: fit probabilities, thresholds or a confidence to labelled queries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tamis.cli import options
from tamis.engine.engine import Engine
from tamis.errors import ConfigError
from tamis.evaluate import read
from tamis.evaluate.page.reliability import diagram
from tamis.evaluate.reliability import Bin
from tamis.evaluate.systems import named
from tamis.select.calibrate.scorer import scoring
from tamis.stage.base import Pipeline, Stage
from tamis.training.calibration import fit
from tamis.values.ranking import Ranking


def calibrate(
    pipeline: Annotated[str, typer.Argument(help="What makes the scores: a preset, YAML file or import path.")],
    data: options.Data,
    method: Annotated[
        str,
        typer.Option(
            help="platt, isotonic, in_list, temperature, conformal; or a confidence to abstain by: max, std, gap, "
            "stacked, linear, logistic, mahalanobis."
        ),
    ] = "platt",
    run: options.Run = None,
    depth: options.Depth = 100,
    queries: options.Queries = None,
    seed: options.Seed = 0,
    relevant_from: options.RelevantFrom = None,
    rate: Annotated[float | None, typer.Option(help="For a confidence: the share of queries to abstain on.")] = None,
    target: Annotated[
        float | None, typer.Option(help="For a confidence, instead of --rate: the mean quality to reach.")
    ] = None,
    unjudged_unanswerable: Annotated[
        bool, typer.Option(help="Treat unjudged queries as having no relevant passage.")
    ] = False,
    model: options.Models = [],  # noqa: B006
    allow: options.Allow = [],  # noqa: B006
    cache: Annotated[Path | None, typer.Option(help="Keep the answers of models in this .sqlite file.")] = None,
    out: Annotated[Path, typer.Option(help="The file to write the artefact to.")] = Path("calibration.json"),
) -> None:
    """Fit a calibration of a pipeline's scores to labelled queries. It works for that pipeline only.

    For probabilities, a reliability diagram is written next to it.
    """
    (system,) = named([pipeline], options.models(model), allow=allow)
    if not isinstance(system.source, Stage):
        raise ConfigError(f"{pipeline!r} is a run file; calibration needs the pipeline that makes the scores")
    dataset = read(data, run=run, depth=depth, relevant_from=relevant_from)
    if unjudged_unanswerable:
        dataset = replace(dataset, qrels={query: dataset.qrels.get(query, {}) for query in dataset.questions})
    ids = dataset.sample(queries, seed)
    pools = [Ranking.of(dataset.questions[query].query, dataset.pool(query, depth), scores="detect") for query in ids]
    engine = Engine(cache=str(cache) if cache else "memory")
    scorer = Pipeline(scoring(system.source))
    rankings = dict(zip(ids, engine.rerank_many(scorer, pools), strict=True))
    artefact = fit(rankings, dataset, method, scorer=scorer, rate=rate, target=target, seed=seed)
    artefact.write(out)
    written = [out]
    if artefact.reliability:
        written.append(out.with_suffix(".svg"))
        note = f"{artefact.pairs:,} predictions for queries held out; expected error {artefact.report['ece']:.4f}"
        found = [Bin(*row) for row in artefact.reliability]
        written[1].write_text(diagram(found, f"{method}: {dataset.name}", note), encoding="utf-8")
    console = Console()
    console.print(
        f"{method} for {artefact.scorer}, from {artefact.queries} queries",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    for name, value in artefact.report.items():
        options.say(console, f"  {name}: {value:.4f}")
    for note in artefact.notes:
        options.note(console, note, "  ")
    console.print(
        f"wrote {' and '.join(map(str, written))}", style="dim", markup=False, highlight=False, soft_wrap=True
    )
