"""Judgements by a language model where no person has judged, and marked as such."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tamis.engine.engine import Engine
from tamis.engine.traits import name_of
from tamis.errors import ConfigError, DataError
from tamis.evaluate.dataset import Dataset
from tamis.evaluate.execution import CONCURRENT, OnProgress
from tamis.evaluate.files import Grades, Notices
from tamis.judges.grades import Grades as Grading
from tamis.rankers.groupwise import Groupwise
from tamis.values.ranking import Candidate, Ranking
from tamis.values.usage import Usage

HIGH = 3
"""The best grade where people gave none: 0 no use, 1 on the subject, 2 helps with part of it, 3 answers it."""
HELPS = 2 / 3
"""The share of the best grade from which a passage helps."""


@dataclass(frozen=True, slots=True)
class Judged:
    """`dataset` has the grades of people and of the model; `grades` are the model's alone. `unjudged`: how many
    passages it should have graded and did not, for its answers could not be read or the limit was reached."""

    dataset: Dataset
    model: str
    grades: Mapping[str, Mapping[str, float]]
    usage: Usage
    unjudged: int = 0


def judge(
    dataset: Dataset,
    model: Any,
    *,
    depth: int = 20,
    max_calls: int | None = None,
    queries: Collection[str] | None = None,
    engine: Engine | Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
) -> Judged:
    """Let a language model grade the first `depth` passages of each query that no person has graded.

    Each passage is shown alone, so that no grade depends on the order in which a retriever found them. Grades go from 0
    to 3, or to the best grade of the people who judged the rest; where theirs are only 0 and 1, a passage that helps
    with part of the query gets a 1.

    Args:
        dataset: with or without judgements; see `tamis.evaluate.read(folder, judged=False)`.
        model: a chat model.
        depth: how many passages of each query's first stage are graded.
        max_calls: grade at most N passages: the first of each query, then the second of each, and so on.
        queries: the ids of those to judge; `None`: all.
        engine: an `Engine` or its options, such as `{"cache": "answers.sqlite"}`: what was graded once is not again.
        on_progress: called with queries done, queries in all and "judge".

    What the model graded is named in `Dataset.judges`, in a notice, in tables, on the report page and in JSON. A model
    is no person: where the systems that are compared ask the same model, it may well agree with itself.

    >>> judged = judge(read("my-data", judged=False), OpenAIChat("qwen3-8b"), max_calls=500)  # doctest: +SKIP
    """
    pools, left = _pools(dataset, depth, max_calls, queries)
    high, binary = _scale(dataset)
    stage = _stage(model, high)
    name = name_of(model)
    running = engine if isinstance(engine, Engine) else Engine(**(engine or {}))
    grades: Grades = {}
    usage, failed, first = Usage(), 0, ""
    asked = list(pools)
    for start in range(0, len(asked), CONCURRENT):
        now = asked[start : start + CONCURRENT]
        rankings = [Ranking.of(dataset.questions[query].query, pools[query]) for query in now]
        for query, found in zip(now, running.outcomes(stage, rankings), strict=True):
            if isinstance(found, ConfigError) or (
                isinstance(found, BaseException) and not isinstance(found, Exception)
            ):
                raise found
            if not isinstance(found, Ranking):
                failed, first = failed + len(pools[query]), first or f"{type(found).__name__}: {found}"
                continue
            usage += found.usage
            first = first or next((notice.message for notice in found.warnings), "")
            for ranked in found.kept:
                if ranked.score is None:
                    failed += 1
                else:
                    graded = float(ranked.score >= HELPS * high) if binary else ranked.score
                    grades.setdefault(query, {})[str(ranked.candidate.id)] = round(graded)
        if on_progress:
            on_progress(min(start + CONCURRENT, len(asked)), len(asked), "judge")
    made = sum(map(len, grades.values()))
    if pools and not made:
        raise DataError(f"{name} graded none of {failed} passages; {first or 'its answers could not be read'}")
    notices = _notices(name, made, depth, high, binary, failed, left, first)
    return Judged(_with(dataset, grades, name, notices), name, grades, usage, failed + left)


def predicted(
    dataset: Dataset,
    model: Any,
    *,
    depth: int = 20,
    max_calls: int | None = None,
    queries: Collection[str] | None = None,
) -> Usage:
    """What `judge` would cost, without asking the model."""
    pools, _ = _pools(dataset, depth, max_calls, queries)
    stage, engine = _stage(model, _scale(dataset)[0]), Engine(cache=None)
    return sum((engine.dry_run(stage, dataset.questions[q].query, found) for q, found in pools.items()), Usage())


def write_judgements(judged: Judged, path: str | Path) -> Path:
    """All judgements as a table whose column `judge` names the model, and is empty where a person judged."""
    rows = ["query-id\tcorpus-id\tscore\tjudge\n"]
    for query, grades in judged.dataset.qrels.items():
        by_model = judged.grades.get(query, {})
        rows += [f"{query}\t{p}\t{grade}\t{judged.model if p in by_model else ''}\n" for p, grade in grades.items()]
    Path(path).write_text("".join(rows), encoding="utf-8", errors="replace")
    return Path(path)


def _stage(model: Any, high: int) -> Groupwise:
    return Groupwise(model, size=1, judge=Grading(high=high))


def _pools(
    dataset: Dataset, depth: int, most: int | None, queries: Collection[str] | None
) -> tuple[dict[str, list[Candidate]], int]:
    """What is to be graded, by query, and how much more there would be."""
    for name, value in (("depth", depth), ("max_calls", most)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")
    todo = [
        (place, number, query, candidate)
        for number, query in enumerate(dataset.questions)
        if queries is None or query in queries
        for place, candidate in enumerate(dataset.pool(query, depth))
        if str(candidate.id) not in dataset.qrels.get(query, {})
    ]
    chosen = sorted(sorted(todo, key=lambda one: one[:2])[:most], key=lambda one: (one[1], one[0]))
    pools: dict[str, list[Candidate]] = {}
    for _, _, query, candidate in chosen:
        pools.setdefault(query, []).append(replace(candidate, score=None))
    return pools, len(todo) - len(chosen)


def _scale(dataset: Dataset) -> tuple[int, bool]:
    """The best grade, and whether people's grades are yes and no only."""
    best = max((grade for grades in dataset.qrels.values() for grade in grades.values()), default=None)
    if best is None or best <= 1:
        return HIGH, best is not None
    return round(best), False


def _with(dataset: Dataset, grades: Grades, name: str, notices: Sequence[str]) -> Dataset:
    merged = {
        query: {**grades.get(query, {}), **dataset.qrels.get(query, {})}
        for query in dict.fromkeys((*dataset.qrels, *grades))
    }
    lowest = dataset.relevant_from if dataset.qrels else max(dataset.relevant_from, 2)
    if not any(grade >= lowest for found in merged.values() for grade in found.values()):
        raise DataError(f"{name} found nothing relevant: no grade is {lowest:g} or more")
    judges = {**dataset.judges, name: dataset.judges.get(name, 0) + sum(map(len, grades.values()))}
    kept = Notices(notice for notice in dataset.notices if "have no judgement" not in notice)
    without = [repr(query) for query in dataset.questions if query in dataset.run and query not in merged]
    kept.add("queries have no judgement", "they have no values that could count in means", without)
    return replace(dataset, qrels=merged, judges=judges, relevant_from=lowest, notices=(*kept, *notices))


def _notices(
    name: str, made: int, depth: int, high: int, binary: bool, failed: int, left: int, first: str
) -> Sequence[str]:
    notices = Notices()
    scale = "0 or 1" if binary else f"0 to {high}"
    notices.append(
        f"{made} judgements are by the language model {name}, not by people: the first {depth} passages per query that "
        f"nobody had judged, grades {scale}"
    )
    if failed:
        notices.append(f"{failed} passages could not be judged by {name}: they count as not relevant. {first}".rstrip())
    if left:
        notices.append(f"{left} passages were not judged by {name}, since the limit of calls was reached")
    return notices
