"""What a cross-encoder adds to the default, alone and with one vote of three, on every test set.

    python benchmarks/cross_encoder.py [--queries N] [--sets NAME ...]

N queries a set (default 15), the first of a sample that have something relevant. The cross-encoder is
ms-marco-MiniLM-L-12-v2 (int8 ONNX); its scores are kept as `recorded.py` says. Sets are those of `$TAMIS_DATA`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import ttest_rel

from quality import DATA, SETS, TUNED
from recorded import Recorded
from report import save, table
from tamis import CrossEncoder, Engine, FirstStage, Fuse, Graph, Pipeline, Stage, load
from tamis.evaluate import Dataset, read

SAMPLE, SEED, DEPTH = 80, 1, 30
BEFORE = "default"
COMPOSED = "default-cross-encoder"


def systems(model: Recorded) -> dict[str, Stage]:
    default, reader = load("default"), CrossEncoder(model, depth=DEPTH)

    def voting(*weights: float) -> Stage:
        return default | Fuse((Pipeline(), reader), weights=weights, method="standard")

    return {
        "first stage": FirstStage(),
        BEFORE: default,
        "cross-encoder": default | reader,
        "cross-encoder, graph": default | reader | Graph(),
        "votes 1 : 1": voting(1, 1),
        "votes 2 : 1": voting(2, 1),
        COMPOSED: load(COMPOSED, models={"cross_encoder": model}),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--queries", type=int, default=15)
    options.add_argument("--sets", nargs="*", default=SETS)
    given = options.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no test sets at {DATA}: set TAMIS_DATA")
    stages = systems(Recorded.open())
    found = {name: measured(read(DATA / name), stages, given.queries) for name in given.sets}
    note = (
        f"nDCG@10 on at most {given.queries} queries of a set, pools of 100, each system behind the first stage; the "
        f'cross-encoder reads the {DEPTH} best of `default`. `votes`: `Fuse(method="standard")` of the default and '
        f"the cross-encoder. `{COMPOSED}`, the preset: votes 2 : 1, then `Graph()`. ▲ better and ▼ worse than "
        f"`{BEFORE}` (paired t-test, p < 0.05, not corrected). * set used for tuning, and for choosing the votes. So "
        "few queries tell large differences only."
    )
    save("cross_encoder", "A cross-encoder behind the default", ["numpy", "onnxruntime"], note, rows(found, stages))


def measured(dataset: Dataset, stages: Mapping[str, Stage], most: int) -> dict[str, list[float]]:
    """nDCG@10 of each query, by system."""
    engine, scores = Engine(), {name: [] for name in stages}
    asked = [query for query in dataset.sample(SAMPLE, SEED) if dataset.relevant(query) and dataset.pool(query, 1)]
    for query in asked[:most]:
        pool, grades = dataset.pool(query, 100), dataset.qrels[query]
        for name, stage in stages.items():
            order = engine.rerank(stage, dataset.questions[query].query, pool).candidates
            scores[name].append(ndcg([grades.get(str(one.id), 0) for one in order], sorted(grades.values())[::-1]))
    told = ", ".join(f"{name} {np.mean(values):.3f}" for name, values in scores.items())
    print(f"{dataset.name}: {told}", file=sys.stderr, flush=True)
    return scores


def ndcg(gained: Sequence[float], best: Sequence[float], depth: int = 10) -> float:
    discounts = 1 / np.log2(np.arange(2, depth + 2))
    return float(
        np.array(gained[:depth]) @ discounts[: len(gained)] / (np.array(best[:depth]) @ discounts[: len(best)])
    )


def rows(found: Mapping[str, Mapping[str, list[float]]], names: Mapping[str, Stage]) -> str:
    made = []
    for dataset, scores in found.items():
        base, cells = np.array(scores[BEFORE]), []
        for name in names:
            values = np.array(scores[name])
            known = name not in (BEFORE, "first stage") and ttest_rel(values, base).pvalue < 0.05
            cells.append(f"{values.mean():.4f}{(' ▲' if values.mean() > base.mean() else ' ▼') if known else ''}")
        made.append([f"{dataset} *" if dataset in TUNED else dataset, len(base), *cells])
    for title, chosen in (("mean", list(found)), ("mean of sets not tuned on", [n for n in found if n not in TUNED])):
        means = [np.mean([np.mean(found[dataset][name]) for dataset in chosen]) for name in names]
        made.append([title, sum(len(found[dataset][BEFORE]) for dataset in chosen), *(f"{mean:.4f}" for mean in means)])
    return table(["set", "queries", *names], made)


if __name__ == "__main__":
    main()
