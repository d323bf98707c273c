"""The test sets that `dynamic_k.py` and `abstention.py` read, and what is scored of them by which scorer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from recorded import Job, Recorded
from tamis import CrossEncoder, Engine, Stage, load
from tamis.evaluate import Dataset, read
from tamis.values.ranking import Ranking

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("TAMIS_DATA", ROOT.parent / "shared" / "data"))
SEED = 1
DEFAULT, CROSS_ENCODER = "default", "cross-encoder"

HOW_MANY = ("twowiki101_fullcorpus", "hotpot200", "nq_gold300", "multihop_rag_facts", "ramdocs")
"""How many passages answer differs by the query."""
UNANSWERABLE = ("squad2_500", "multihop_rag_facts", "lihua_world")
"""Some queries have no answer in the corpus."""
DEPTH, ABSTENTION_DEPTH = 100, 30
QUERIES = 300
PARTS = 10


@cache
def dataset(name: str) -> Dataset:
    if not DATA.is_dir():
        raise SystemExit(f"no test sets at {DATA}: set TAMIS_DATA")
    return read(DATA / name)


def jobs() -> Iterator[Job]:
    """What the cross-encoder is asked, the most important first: in rounds, so that an early end leaves no set out."""
    many = [(name, dataset(name).sample(QUERIES, SEED), DEPTH) for name in HOW_MANY]
    none = [(name, dataset(name).sample(None), ABSTENTION_DEPTH) for name in UNANSWERABLE]
    rest = [(name, dataset(name).sample(None), DEPTH) for name in HOW_MANY]
    first, second = range(PARTS // 2), range(PARTS // 2, PARTS)
    for group, parts in ((many, first), (none, first), (many, second), (none, second), (rest, range(PARTS))):
        for part in parts:
            for name, queries, depth in group:
                for query in queries[part::PARTS]:
                    yield _job(name, query, depth)


def _job(name: str, query: str, depth: int) -> Job:
    found = dataset(name)
    return name, found.questions[query].query.text, [one.full_text for one in found.pool(query, depth)]


def rankings(
    scorer: Stage, name: str, queries: Sequence[str], depth: int, recorded: Recorded | None = None
) -> Mapping[str, Ranking]:
    """By query id; with `recorded`, only of queries all of whose pairs are known to it."""
    found = dataset(name)
    if recorded is not None:
        queries = [query for query in queries if None not in recorded.known(*_job(name, query, depth)[1:])]
    pools = [Ranking.of(found.questions[query].query, found.pool(query, depth)) for query in queries]
    return dict(zip(queries, Engine(cache=None).rerank_many(scorer, pools), strict=True))


def scorers(recorded: Recorded | None) -> dict[str, Stage]:
    found: dict[str, Stage] = {DEFAULT: load("default")}
    return found if recorded is None else {**found, CROSS_ENCODER: CrossEncoder(recorded)}
