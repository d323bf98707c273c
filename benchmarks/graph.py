"""What the graph engine costs: time to read, join and rescore a pool, and the memory a large one takes."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate

from report import interleaved, ms, save, table
from tamis import Candidate, Graph, Lexical, Query, Ranking
from tamis.graph import ConceptPairs, Concepts, Mentions, Neighbours, channels, spread
from tamis.pool.pool import Pool

SIZES = {100: 40, 1_000: 12, 10_000: 2}
"""Candidates, and repeats."""
WORDS = 100
QUERY = Query("word17 of the word230 and word4711")
KINDS = {
    "mentions": (Mentions(),),
    "neighbours": (Neighbours(),),
    "neighbours by vectors": (Neighbours("vectors"),),
    "concepts": (Concepts(),),
    "concept pairs": (ConceptPairs(),),
    "the default": Graph().edges,
}


def candidates(count: int, seed: int = 0, dims: int = 384) -> list[Candidate]:
    """Texts of 100 words, as frequent as words are (Zipf), with a title of two, and a vector."""
    rng = random.Random(seed)
    vocabulary = [f"word{number}" for number in range(50_000)]
    weights = list(accumulate(1 / (number + 5) for number in range(len(vocabulary))))
    made = []
    for place in range(count):
        text = rng.choices(vocabulary, cum_weights=weights, k=WORDS)
        title = f"Word{rng.randrange(3000, 50_000)} Word{rng.randrange(3000, 50_000)}"
        vector = tuple(rng.gauss(0, 1) for _ in range(dims))
        made.append(Candidate(" ".join(text), title=title, score=1 / (place + 1), vector=vector))
    return made


def fresh(found: Sequence[Candidate]) -> Pool:
    """A pool that has read nothing yet."""
    return Pool(QUERY, found)


def read(found: Sequence[Candidate], repeat: int) -> object:
    return fresh(found).tokens.incidence


def build(found: Sequence[Candidate], repeat: int) -> object:
    return channels(Graph().edges, fresh(found))


def build_and_spread(found: Sequence[Candidate], repeat: int) -> object:
    return spread([candidate.score for candidate in found], channels(Graph().edges, fresh(found)))


def stage(made: Graph | Lexical, ranking: Ranking, repeat: int) -> object:
    for _ in made.plan(ranking):
        pass
    return None


def timed() -> tuple[str, str]:
    rows: dict[str, dict[int, float]] = {}
    kinds: dict[str, dict[int, float]] = {}
    for size, repeats in SIZES.items():
        found = candidates(size, dims=64)
        ranking = Ranking.of(QUERY, found)
        runs: dict[str, Callable[[int], object]] = {
            "split the texts at white space": lambda _, found=found: [c.full_text.split() for c in found],  # type: ignore[misc]
            "BM25 over the candidates (`Lexical()`)": partial(stage, Lexical(), ranking),
            "read the words": partial(read, found),
            "read, join": partial(build, found),
            "read, join, lift": partial(build_and_spread, found),
            "all of `Graph()`": partial(stage, Graph(), ranking),
        }
        for name, seconds in interleaved(runs, repeats).items():
            rows.setdefault(name, {})[size] = seconds
        pool = fresh(found)
        _ = pool.tokens.incidence, pool.sentences, pool.vectors
        joins = {name: (lambda _, kind=kind, pool=pool: channels(kind, pool)) for name, kind in KINDS.items()}
        for name, seconds in interleaved(joins, max(1, repeats // 4)).items():  # type: ignore[arg-type]
            kinds.setdefault(name, {})[size] = seconds
    return grown(rows), grown(kinds)


def grown(rows: dict[str, dict[int, float]]) -> str:
    small, middle, large = SIZES
    head = ["", *(f"{size:,}: ms" for size in SIZES), f"{middle:,} / {small:,}", f"{large:,} / {middle:,}"]
    return table(
        head,
        [
            [name, *(ms(by[size]) for size in SIZES), f"{by[middle] / by[small]:.1f}", f"{by[large] / by[middle]:.1f}"]
            for name, by in rows.items()
        ],
    )


def memory() -> str:
    """Each in a process of its own, which tells how much joining held at most and the most it ever took itself."""
    rows = []
    for name in KINDS:
        for size in (1_000, 10_000):
            run = subprocess.run(
                [sys.executable, __file__, name, str(size)], capture_output=True, text=True, check=True
            )
            held, process, edges, seconds = run.stdout.split()
            rows.append([name, f"{size:,}", held, f"{8 * size**2 / 1e6:,.0f}", process, edges, seconds])
    head = [
        "edges",
        "candidates",
        "joining held, MB",
        "n x n numbers, MB",
        "peak RSS of the process, MB",
        "edges found",
    ]
    return table([*head, "s"], rows)


def measure_memory(name: str, size: int) -> None:
    found = candidates(size, dims=384 if "vectors" in name else 0)
    pool = fresh(found)
    _ = pool.vectors if "vectors" in name else pool.tokens.incidence
    start = time.perf_counter()
    edges = sum(len(channel.edges) for channel in channels(KINDS[name], pool))
    seconds = time.perf_counter() - start
    tracemalloc.start()
    spread([candidate.score for candidate in found], channels(KINDS[name], pool))
    held = tracemalloc.get_traced_memory()[1]
    process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{held / 1e6:,.0f}", f"{process / 1e6:,.0f}", edges, f"{seconds:.2f}")


def main() -> None:
    held = memory()  # first: a process reports at least the peak of the one it was forked from
    steps, kinds = timed()
    save(
        "graph",
        "The graph engine",
        ("tamis", "numpy"),
        f"Texts of {WORDS} words drawn as words are (Zipf), with titles. Medians, warm: the words have been met "
        "before, the pool has not. Time that is linear in the candidates shows 10 in the last two columns.",
        "## From texts to scores",
        steps,
        "## Joining alone, by kind of edge (words read, vectors of 64 numbers at hand)",
        kinds,
        "## Memory (vectors of 384 numbers)",
        held,
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure_memory(sys.argv[1], int(sys.argv[2]))
    else:
        main()
