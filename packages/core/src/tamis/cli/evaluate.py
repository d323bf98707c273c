"""`tamis eval`: pipelines side by side on test sets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tamis.cli import options
from tamis.evaluate import Dataset, Evaluation, Result, read
from tamis.evaluate import evaluate as measure
from tamis.evaluate.judging import judge as judge_pools
from tamis.evaluate.judging import predicted, write_judgements
from tamis.evaluate.metric_names import canonical
from tamis.evaluate.metrics import DEFAULT_METRICS, check
from tamis.evaluate.prediction import predict
from tamis.evaluate.systems import named
from tamis.evaluate.terminal import cost, quality
from tamis.evaluate.writing import plain, spelling_notice, write, write_runs
from tamis.values.usage import Usage
from tamis.view.fitted import Column, fitted
from tamis.view.wording import large

METRICS = list(DEFAULT_METRICS)


def evaluate(
    pipelines: Annotated[
        list[str],
        typer.Argument(
            help="Presets, YAML files, import paths (module:attribute) or run files (.tsv, .trec). NAME= in front "
            "names one."
        ),
    ],
    data: Annotated[
        list[Path], typer.Option("--data", help="A folder with corpus.jsonl, queries.jsonl and qrels. Repeatable.")
    ],
    run: options.Run = None,
    qrels: Annotated[str | None, typer.Option(help="Judgements: a file, or its name in the folder.")] = None,
    split: Annotated[str, typer.Option(help="Which qrels/SPLIT.tsv of a BEIR folder.")] = "test",
    depth: options.Depth = 100,
    queries: options.Queries = None,
    seed: options.Seed = 0,
    metric: Annotated[
        list[str], typer.Option(help="A metric; the first one is the main metric. Repeatable.")
    ] = METRICS,
    relevant_from: options.RelevantFrom = None,
    model: options.Models = [],  # noqa: B006
    allow: options.Allow = [],  # noqa: B006
    alone: Annotated[int, typer.Option(min=0, help="Time N queries one at a time.")] = 20,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Batches in flight per model.")] = None,
    deadline: Annotated[float | None, typer.Option(help="Most seconds per query.")] = None,
    max_calls: Annotated[int | None, typer.Option(help="Most model calls per query.")] = None,
    bounds: Annotated[bool, typer.Option(help="Also show the best possible and random orders.")] = True,
    cache: Annotated[bool, typer.Option(help="Keep answers in OUT/answers.sqlite, to resume and to compare.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Predict calls, tokens and FLOPs; ask no model.")] = False,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="YAML",
            help="Let this chat model judge what no person has, such as '{openai: gpt-4o-mini}'; marked as such.",
        ),
    ] = None,
    judge_depth: Annotated[int, typer.Option(min=1, help="The model judges the first N passages per query.")] = 20,
    judge_calls: Annotated[int | None, typer.Option(min=1, help="The model judges at most N passages in all.")] = None,
    out: Annotated[Path, typer.Option(help="The folder to write the report to.")] = Path("tamis-eval"),
) -> None:
    """Run pipelines on test sets. Reports quality with its uncertainty, cost, and a page that shows where they fail."""
    console = Console()
    settings: dict[str, Any] = {"depth": depth, "queries": queries, "seed": seed, "allow": allow}
    models = options.models(model)
    check(map(canonical, metric))
    reader = options.models([f"judge={judge}"])["judge"] if judge else None
    limit: dict[str, Any] = {"depth": judge_depth, "max_calls": judge_calls}
    sets = [
        read(folder, run=run, qrels=qrels, split=split, depth=depth, relevant_from=relevant_from, judged=not judge)
        for folder in data
    ]
    if dry_run:
        for dataset in sets:
            if judge:
                asked = dataset.sample(queries, seed)
                _print_judging(console, dataset.name, predicted(dataset, reader, queries=asked, **limit))
            _print_prediction(console, pipelines, dataset, models, settings)
        return
    out.mkdir(parents=True, exist_ok=True)
    engine = {"cache": str(out / "answers.sqlite") if cache else "memory"}
    limits = {"concurrency": concurrency, "deadline": deadline, "max_calls": max_calls}
    settings |= {"models": models, "engine": engine | limits, "names": metric, "alone": alone, "bounds": bounds}
    if judge:
        named(pipelines, models, allow=allow)  # What is wrong with them is said before anything is paid for.
        asking = engine | {"concurrency": concurrency}
        sets = [_judged(console, d, reader, limit | {"queries": d.sample(queries, seed)}, asking, out) for d in sets]
    slim, sections = [], []
    result = Result([])
    for dataset in sets:
        with options.progress(console, dataset.name) as report:
            result = measure(pipelines, dataset, on_progress=report, **settings)
        (evaluation,) = result.evaluations
        _print(console, evaluation)
        write_runs(evaluation, out / "runs")
        if notice := spelling_notice(evaluation):
            options.note(console, notice)
        sections.append(_section(evaluation))
        slim.append(_without_rankings(evaluation))
    for path in write(replace(result, evaluations=slim), out, sections):
        options.say(console, f"wrote {path}", "dim")


def _judged(
    console: Console, dataset: Dataset, model: Any, limit: dict[str, Any], engine: dict[str, Any], out: Path
) -> Dataset:
    with options.progress(console, dataset.name) as report:
        found = judge_pools(dataset, model, engine=engine, on_progress=report, **limit)
    path = write_judgements(found, out / f"{plain(dataset.name)}.qrels.tsv")
    cost = f"{found.usage.calls} calls, {found.usage.cached} from the cache, {found.usage.tokens} tokens"
    options.say(console, f"{found.model} judged {sum(map(len, found.grades.values()))} passages ({cost}): wrote {path}")
    return found.dataset


def _print_judging(console: Console, name: str, usage: Usage) -> None:
    cost = f"{large(usage.calls)} calls, {large(usage.tokens_in)} tokens in, {large(usage.tokens_out)} out"
    options.say(console, f"{name}: judging is predicted to take {cost}")


def _section(evaluation: Evaluation) -> Any:
    from tamis.evaluate.page import section

    return section(evaluation)


def _without_rankings(evaluation: Evaluation) -> Evaluation:
    systems = [
        replace(system, rows={query: replace(row, ranking=None) for query, row in system.rows.items()})
        for system in evaluation.systems
    ]
    return replace(evaluation, systems=systems)


def _print(console: Console, evaluation: Evaluation) -> None:
    for notice in (*evaluation.dataset.notices, *evaluation.notices):
        options.note(console, notice)
    for table in (*quality(evaluation, console), *cost(evaluation, console)):
        console.print(table)
    for system in evaluation.systems:
        first = next((row.error for row in system.rows.values() if row.error), None)
        if first:
            told = f"{system.name}: {system.failed} queries failed; the first: {first}"
            options.say(console, told, "red")


def _print_prediction(
    console: Console, pipelines: list[str], dataset: Dataset, models: dict[str, Any], settings: dict[str, Any]
) -> None:
    predictions = predict(pipelines, dataset, models=models, **settings)
    title = f"{dataset.name}: predicted, without asking a model"
    heads = ("calls", "rounds", "tokens in", "tokens out")
    each = [
        [amount / (item.queries or 1) for amount in (u.calls, u.rounds, u.tokens_in, u.tokens_out)]
        for item in predictions
        for u in (item.usage,)
    ]
    columns = [Column(f"{head}\nper query", [large(row[n]) for row in each]) for n, head in enumerate(heads)]
    usages = [item.usage for item in predictions]
    columns += [
        Column("calls,\nall queries", [large(usage.calls) for usage in usages]),
        Column("tokens,\nall queries", [large(usage.tokens) for usage in usages]),
        Column("FLOPs,\nall queries", ["unknown" if usage.unmetered else large(usage.flops) for usage in usages]),
    ]
    for table in fitted(console, title, Column("system", [item.system for item in predictions]), columns):
        console.print(table)
    for item in predictions:
        if item.usage.thoughts:
            bound = f"{item.system}: tokens out include {large(item.usage.thoughts / (item.queries or 1))} per query"
            options.say(console, f"{bound} in which its models may think: an upper bound.", "dim")
