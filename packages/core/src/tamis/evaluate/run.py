"""Measure pipelines on test sets: the one function that `tamis eval` calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tamis.engine.engine import Engine
from tamis.errors import ConfigError
from tamis.evaluate import abstention, metrics, statistics
from tamis.evaluate.dataset import Dataset
from tamis.evaluate.execution import Execution, OnProgress, Outcomes
from tamis.evaluate.files import Notices, read_run
from tamis.evaluate.metric_names import canonical
from tamis.evaluate.reading import decoded, read
from tamis.evaluate.result import Comparison, Evaluation, Interval, Kind, Result, Row, Speed, System
from tamis.evaluate.systems import Named, Recorded, named
from tamis.evaluate.tree import shared
from tamis.parts.permissions import Allow
from tamis.stage.base import Stage
from tamis.values.ranking import Candidate, Ranking
from tamis.values.usage import Usage

FIRST = "first stage"
ORACLE, SHUFFLED = "oracle", "shuffled"


def evaluate(
    pipelines: Any,
    data: Any,
    *,
    models: Mapping[str, Any] | None = None,
    allow: Allow = (),
    engine: Engine | Mapping[str, Any] | None = None,
    names: Sequence[str] = metrics.DEFAULT_METRICS,
    depth: int | None = 100,
    queries: int | None = None,
    seed: int = 0,
    alone: int = 20,
    bounds: bool = True,
    on_progress: OnProgress | None = None,
) -> Result:
    """Run every pipeline on every test set and say how good each is, how surely, and at which cost.

    Args:
        pipelines: a mapping of names to pipelines, a sequence, or one; see `tamis.evaluate.systems.named`. Run files
            are taken as rankings already made.
        data: folders (see `tamis.evaluate.read`), `Dataset`s, or a sequence of either.
        models: the models pipelines call by name.
        allow: what pipelines in data or files may do beyond computing, as for `tamis.load`.
        engine: an `Engine` or its options, such as `{"cache": "answers.sqlite", "concurrency": 8}`. With a cache on
            disk an interrupted run goes on where it was.
        names: metrics, as ir_measures writes them (`nDCG@10`, `RR@10`, `R@100`) or of our own (see
            `tamis.evaluate.metrics`). Names in use elsewhere are understood (`ndcg@10`, `mrr`, `hit_rate@5`), and
            results are under the metric's own. The first one is the main metric: comparisons and charts are about it.
        depth: how many candidates of the first stage each pipeline sees.
        queries: evaluate only N queries, drawn with `seed` and the same on every machine.
        alone: how many queries are asked one at a time, to measure how long one takes; the rest run at the same time.
        bounds: also report the best possible order of each pool and random orders.
        on_progress: called with queries done, queries in all and the stage at work.

    What compared pipelines have in common at their beginning is run once. A query that ends in an error has no values
    and says why; the others go on. Raises `ConfigError` for unknown metrics and pipelines, `DataError` for bad files.

    >>> result = evaluate(["lexical", "default"], "my-data", queries=50)      # doctest: +SKIP
    >>> print(result.evaluations[0].system("default").means["nDCG@10"])       # doctest: +SKIP
    Interval(mean=0.41, low=0.35, high=0.47, n=50)
    """
    names = list(dict.fromkeys(map(canonical, [names] if isinstance(names, str) else names)))
    metrics.check(names)
    if not names:
        raise ConfigError("at least one metric is needed, such as nDCG@10")
    systems = named(pipelines, models, allow=allow)
    for system in systems:
        if system.name in (FIRST, ORACLE, SHUFFLED):
            raise ConfigError(f"a system cannot be called {system.name!r}; that name is taken")
    made_engine = engine if isinstance(engine, Engine) else Engine(**(engine or {}))
    sets = data if isinstance(data, (list, tuple)) else [data]
    evaluations = [
        _evaluation(systems, _dataset(item), made_engine, names, depth, queries, seed, alone, bounds, on_progress)
        for item in sets
    ]
    settings = {"metrics": list(names), "depth": depth, "queries": queries, "seed": seed, "alone": alone}
    return Result(evaluations, {**settings, "systems": {system.name: system.described for system in systems}})


def _dataset(item: Any) -> Dataset:
    if isinstance(item, Dataset):
        return item
    if isinstance(item, (str, Path)):
        return read(item)
    raise ConfigError(f"data must be a folder, a Dataset or a list of these, got {type(item).__name__}")


def _evaluation(
    systems: Sequence[Named],
    dataset: Dataset,
    engine: Engine,
    names: Sequence[str],
    depth: int | None,
    queries: int | None,
    seed: int,
    alone: int,
    bounds: bool,
    on_progress: OnProgress | None,
) -> Evaluation:
    metrics.check_grades(names, dataset)
    ids = dataset.sample(queries, seed)
    pools = {
        query: Ranking.of(dataset.questions[query].query, dataset.pool(query, depth), scores="detect") for query in ids
    }
    notices: list[str] = []
    execution = Execution(engine, alone, on_progress)
    execution.run(shared([(s.name, s.source) for s in systems if isinstance(s.source, Stage)]), pools)
    made = [_system(FIRST, "first stage", pools, dataset, names, seed)]
    for system in systems:
        if isinstance(system.source, Recorded):
            found = _recorded(system.source, dataset, ids, notices)
            made.append(_system(system.name, "run", found, dataset, names, seed, described=system.described))
        else:
            outcomes, speed = execution.outcomes[system.name], execution.measured[system.name].speed()
            made.append(_system(system.name, "pipeline", outcomes, dataset, names, seed, speed, system.described))
    comparisons = _comparisons(made, names[0], seed)
    if bounds:
        made += _bounds(pools, dataset, names, seed)
    return Evaluation(dataset, ids, list(names), names[0], made, comparisons, notices)


def _system(
    name: str,
    kind: Kind,
    outcomes: Outcomes,
    dataset: Dataset,
    names: Sequence[str],
    seed: int,
    speed: Speed = Speed(),  # noqa: B008
    described: str = "",
) -> System:
    rankings = {query: found for query, found in outcomes.items() if isinstance(found, Ranking)}
    values = metrics.values(names, dataset, rankings)
    rows = {
        query: Row(query, values.get(query, {}), found)
        if isinstance(found, Ranking)
        else Row(query, {}, None, f"{type(found).__name__}: {found}")
        for query, found in outcomes.items()
    }
    usage = sum((ranking.usage for ranking in rankings.values()), Usage())
    summary = abstention.summary(dataset, rows, names[0])
    return System(name, kind, rows, _means(rows, names, seed), usage, speed, described, summary)


class _Means(dict[str, Interval]):
    """Means by metric, which may be looked up by any name that is understood."""

    def __missing__(self, name: str) -> Interval:
        own = canonical(name)
        if own == name or own not in self:
            raise KeyError(name)
        return self[own]


def _means(rows: Mapping[str, Row], names: Sequence[str], seed: int) -> dict[str, Interval]:
    return _Means(
        (name, statistics.interval([row.values[name] for row in rows.values() if name in row.values], seed=seed))
        for name in names
    )


def _recorded(run: Recorded, dataset: Dataset, ids: Sequence[str], notices: list[str]) -> dict[str, Ranking]:
    """The rankings of a run file. Passages without a text are kept, since a metric needs only their ids."""
    odd = Notices()
    found = decoded(read_run(run.path, odd), dataset.corpus, dataset.questions, run.path, odd)
    wanted = {query: found.get(query, ()) for query in ids}
    lost = [repr(query) for query, passages in wanted.items() if not passages]
    strange = [f"{query!r} {p!r}" for query, passages in wanted.items() for p, _ in passages if p not in dataset.corpus]
    odd.add(f"queries have no results in {run.path.name}", "they are ranked as nothing found", lost)
    odd.add(f"results of {run.path.name} are not in the corpus", "they count, but are shown without text", strange)
    notices += odd
    return {
        query: Ranking.of(
            dataset.questions[query].query,
            [replace(dataset.corpus.get(p) or Candidate("", p), score=score) for p, score in passages],
        )
        for query, passages in wanted.items()
    }


def _bounds(pools: Mapping[str, Ranking], dataset: Dataset, names: Sequence[str], seed: int) -> list[System]:
    best = {query: metrics.oracle(ranking, dataset, query) for query, ranking in pools.items()}
    random_values = metrics.shuffled_values(names, dataset, pools, seed=seed)
    rows = {query: Row(query, random_values.get(query, {})) for query in pools}
    oracle = _system(ORACLE, "bound", best, dataset, names, seed)
    return [
        replace(oracle, rows={query: replace(row, ranking=None) for query, row in oracle.rows.items()}),
        System(SHUFFLED, "bound", rows, _means(rows, names, seed)),
    ]


def _comparisons(systems: Sequence[System], main: str, seed: int) -> list[Comparison]:
    """Every system against the first stage, and every pair of systems: two families, each corrected by itself."""
    values = {s.name: {query: row.values[main] for query, row in s.rows.items() if main in row.values} for s in systems}
    first, *others = values
    against_first = statistics.compare(values, [(name, first) for name in others], main, seed=seed)
    pairs = [(b, a) for place, a in enumerate(others) for b in others[place + 1 :]]
    among_others = statistics.compare(values, pairs, main, seed=seed)
    return [*against_first, *among_others, *(pair.turned() for pair in among_others)]
