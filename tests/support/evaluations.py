"""Evaluations made by hand from real rankings, for what shows or writes them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from tamis import Candidate, FirstStage, Query, Stage, TopN
from tamis.criteria import Clarity, Coverage, Criterion, Depth, MultiCriteria
from tamis.evaluate.dataset import Dataset, Question
from tamis.evaluate.result import Comparison, Evaluation, Interval, Row, Speed, System
from tamis.rankers.lexical import Lexical
from tamis.values.usage import Usage

MAIN = "nDCG@10"
TEXTS = {
    "p1": "Bread rises because yeast eats sugar and breathes out carbon dioxide, which the dough traps.",
    "p2": "A quick bread such as banana bread rises by baking powder and needs no yeast at all.",
    "p3": "Yeast is a living fungus. It works best between 25 and 35 degrees and dies above 60.",
    "p4": "Knives should be sharpened on a whetstone, first the coarse side, then the fine one.",
    "p5": "To sharpen a knife, hold it at fifteen degrees to the stone and draw it towards you.",
    "p6": "Stainless steel knives stay sharp less long than those of carbon steel, which rust.",
    "p7": "Tea should be brewed with water of 80 degrees if it is green, and of 95 if it is black.",
    "p8": "Green tea turns bitter when the water is too hot or the leaves stay in it too long.",
    "p9": "The kettle was invented long before tea reached Europe.",
    "p10": "Sourdough holds wild yeast and bacteria; its sour taste is their lactic acid.",
}
QUERIES = {
    "q1": ("why does bread rise", {"p1": 2, "p3": 1, "p10": 1, "p4": 0}),
    "q2": ("how to sharpen a knife", {"p5": 2, "p4": 2, "p6": 0}),
    "q3": ("how hot should water for green tea be", {"p7": 2, "p8": 1, "p9": 0}),
    "q4": ("does yeast die from heat", {"p3": 2, "p1": 0}),
}


def kitchen(name: str = "kitchen", extra: Mapping[str, str] | None = None) -> Dataset:
    """Four queries over ten passages (and `extra` ones), with a first stage in a fixed, poor order."""
    texts = {**TEXTS, **(extra or {})}
    order = random.Random(3).sample(sorted(texts), len(texts))
    return Dataset(
        name,
        {query: Question(query, Query(text)) for query, (text, _) in QUERIES.items()},
        {identity: Candidate(text, identity) for identity, text in texts.items()},
        {query: grades for query, (_, grades) in QUERIES.items()},
        {query: [(identity, float(len(order) - place)) for place, identity in enumerate(order)] for query in QUERIES},
        notices=("1 query has no text (queries.jsonl:7 'q9'): it is left out",),
    )


def stages() -> dict[str, Stage]:
    """Pipelines that need no model."""
    criteria = MultiCriteria(criteria=[Criterion("depth", source=Depth()), Coverage(), Clarity()])
    return {"lexical": Lexical(), "criteria": Lexical() | criteria, "short": Lexical() | TopN(3)}


def ndcg(grades: Mapping[str, int], order: Sequence[str], depth: int = 10) -> float:
    def gain(values: Sequence[int]) -> float:
        return sum((2**grade - 1) / math.log2(place + 2) for place, grade in enumerate(values[:depth]))

    best = gain(sorted(grades.values(), reverse=True))
    return gain([grades.get(identity, 0) for identity in order]) / best if best else 0.0


def evaluation(dataset: Dataset | None = None, pipelines: Mapping[str, Stage] | None = None, depth: int = 100) -> Evaluation:  # fmt: skip
    """Real rankings of the pipelines on a data set, their nDCG@10, and roughly plausible statistics and cost."""
    dataset = kitchen() if dataset is None else dataset
    queries = dataset.sample(None)
    pipelines = stages() if pipelines is None else pipelines
    systems = [system(dataset, "first stage", "first stage", FirstStage(), queries, depth, 0)]
    for cost, (name, stage) in enumerate(pipelines.items(), 1):
        systems.append(system(dataset, name, "pipeline", stage, queries, depth, cost))
    oracle = {
        query: ndcg(dataset.qrels[query], sorted(dataset.qrels[query], key=lambda i: -dataset.qrels[query][i]))
        for query in queries
    }
    systems.append(
        System("oracle", "bound", {q: Row(q, {MAIN: v}) for q, v in oracle.items()}, {MAIN: interval(oracle.values())})
    )
    pairs = [compared(s, systems[0]) for s in systems if s.kind == "pipeline"]
    return Evaluation(dataset, queries, [MAIN, "kept"], MAIN, systems, pairs, ["a notice of the evaluation"])


def system(dataset: Dataset, name: str, kind: str, stage: Stage, queries: Sequence[str], depth: int, cost: int) -> System:  # fmt: skip
    measured = {q: stage.rerank(dataset.questions[q].query, dataset.pool(q, depth)) for q in queries}
    # The seconds it really took would make each page another one.
    rankings = {
        q: replace(ranking, usage=replace(ranking.usage, seconds=0.002 * 3**cost)) for q, ranking in measured.items()
    }
    rows = {
        query: Row(query, {MAIN: ndcg(dataset.qrels[query], [c.id for c in found.candidates]), "kept": float(len(found))}, found)
        for query, found in rankings.items()
    }  # fmt: skip
    means = {metric: interval([row.values[metric] for row in rows.values()]) for metric in (MAIN, "kept")}
    usage = sum((found.usage for found in rankings.values()), Usage())
    usage = replace(usage, calls=usage.calls + 10**cost * len(queries), tokens_in=4000 * cost * len(queries)) if cost else usage  # fmt: skip
    speed = Speed(0.003 * 4**cost, 0.008 * 4**cost, 20, 210.0 / (1 + cost), 180.0) if cost else Speed()
    return System(name, kind, rows, means, usage, speed, f"- {name}: {{}}")  # type: ignore[arg-type]


def interval(values: object) -> Interval:
    numbers = list(values)  # type: ignore[call-overload]
    mean = fmean(numbers)
    half = 1.96 * math.sqrt(sum((v - mean) ** 2 for v in numbers) / max(1, len(numbers) - 1) / len(numbers))
    return Interval(mean, mean - half, mean + half, len(numbers))


def compared(system: System, baseline: System) -> Comparison:
    gains = [row.values[MAIN] - baseline.rows[query].values[MAIN] for query, row in system.rows.items()]
    found = interval(gains)
    p = 0.001 if found.low > 0 or found.high < 0 else 0.4
    signs = [sum(test) for test in ((g > 0 for g in gains), (g < 0 for g in gains), (g == 0 for g in gains))]
    return Comparison(system.name, baseline.name, MAIN, found.mean, found.low, found.high, p, p, *signs)


def stages_for_import() -> Stage:
    """What an import path of a pipeline may name: a function without arguments that returns a stage."""
    return Lexical() | TopN(3)
