"""What can be had from vectors that are kept: prompts as queries, feedback, and a small trained adapter.

    python benchmarks/embedding_rerankers.py

bge-small (int8), the first 50 candidates of BM25. On dl19 the plain cosine, pseudo-relevance feedback (preset `prf`)
and the prompt of E2Rank, for which this embedder was not trained. The adapter of RRRA is trained on 60 queries of npl,
tested on the other 33 and on dl19, alone and multiplied with the cosine; three seeds. Vectors are kept in
`embedding_rerankers.sqlite` in `$TAMIS_CACHE`, default `.cache`; the sets are those of `$TAMIS_DATA`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from report import save, table
from tamis import Embedding, Engine, FirstStage, Fuse, PseudoQuery, Stage, TrainedGraph, load
from tamis.evaluate import Dataset, evaluate, read
from tamis.evaluate.statistics import compare
from tamis.models import OnnxEmbedder
from tamis.training import TrainingReport, train_graph

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("TAMIS_DATA", ROOT.parent / "shared" / "data"))
CACHE = Path(os.environ.get("TAMIS_CACHE", ROOT / ".cache")) / "embedding_rerankers.sqlite"
DEPTH = 50
TAUGHT = 60
SEEDS = (0, 1, 2)
METRIC = "nDCG@10"
SHOWN = (3, 5, 10, 20)
COSINE = "cosine"


def embedder(prefix: str) -> OnnxEmbedder:
    from bundled_models import folder

    return OnnxEmbedder(folder("bge_small_en"), pooling="cls", query_prefix=prefix, threads=1)


def of(dataset: Dataset, queries: list[str], name: str) -> Dataset:
    return replace(dataset, name=name, questions={query: dataset.questions[query] for query in queries})


def measured(stages: dict[str, Stage], dataset: Dataset, engine: Engine) -> str:
    """A table: each system's mean and its difference to the cosine."""
    found = evaluate(stages, dataset, engine=engine, names=[METRIC], depth=DEPTH, alone=0, bounds=False).evaluations[0]
    values = {name: {q: row.values[METRIC] for q, row in found.system(name).rows.items()} for name in stages}
    others = [name for name in stages if name not in (COSINE, "first stage of 50")]
    told = {c.system: c for c in compare(values, [(name, COSINE) for name in others], METRIC)}
    rows = []
    for name in stages:
        cells = [name, f"{found.system(name).means[METRIC].mean:.4f}"]
        if c := told.get(name):
            cells += [f"{c.difference:+.4f} [{c.low:+.4f}, {c.high:+.4f}]", f"{c.corrected:.3f}"]
        rows.append([*cells, *[""] * (4 - len(cells))])
    head = (f"{dataset.name}, {len(dataset.questions)} queries", METRIC, "against the cosine, 95 %", "p (Holm)")
    return table(head, rows)


def main() -> None:
    sys.path.insert(0, str(ROOT / "examples"))
    from bundled_models import QUERY_PREFIX

    CACHE.parent.mkdir(parents=True, exist_ok=True)
    engine = Engine(cache=str(CACHE))
    model, bare = embedder(QUERY_PREFIX), embedder("")
    npl, dl19 = read(DATA / "npl"), read(DATA / "dl19")
    cosine = {"first stage of 50": FirstStage(), COSINE: Embedding(model)}
    prompts: dict[str, Stage] = {"feedback (`prf`)": load("prf", models={"embedder": model})}
    prompts["cosine, no instruction"] = Embedding(bare)
    for first in SHOWN:
        prompts[f"E2Rank's prompt, {first} passages"] = PseudoQuery(bare, first=first)
        sorted_first = Embedding(model) | PseudoQuery(bare, first=first)
        prompts[f"the same, {first} best by cosine"] = sorted_first
    parts = [measured({**cosine, **prompts}, dl19, engine)]
    chosen = npl.sample(TAUGHT)
    others = [query for query in npl.questions if query not in set(chosen)]
    taught = of(npl, chosen, "npl")
    reports: dict[int, TrainingReport] = {
        seed: train_graph(taught, model, network="adapter", loss="cross_entropy", depth=DEPTH, seed=seed, engine=engine)
        for seed in SEEDS
    }
    trained: dict[str, Stage] = {}
    for seed, report in reports.items():
        adapter = TrainedGraph(report.trained, model)
        trained[f"adapter, seed {seed}"] = adapter
        trained[f"cosine x adapter, seed {seed}"] = Fuse((Embedding(model), adapter), method="product")
    training = table(
        ("seed", "queries", "held back", "step kept", "MRR before", "MRR after"),
        [(s, r.queries, r.validation_queries, r.step, f"{r.before:.4f}", f"{r.after:.4f}") for s, r in reports.items()],
    )
    parts += ["## The adapter", training]
    parts += [measured({**cosine, **trained}, data, engine) for data in (of(npl, others, "npl, not trained on"), dl19)]
    save("embedding_rerankers", "Rerankers on kept vectors", ("tamis", "numpy", "onnxruntime", "torch"), *parts)


if __name__ == "__main__":
    main()
