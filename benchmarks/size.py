"""How time and memory of every stage that needs no model grow with the number and the length of candidates."""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from report import ms, save, table
from tamis import (
    DPP,
    MMR,
    Abstain,
    Candidate,
    Cover,
    Deduplicate,
    DynamicK,
    Facets,
    FirstStage,
    Fuse,
    Graph,
    Knapsack,
    Learned,
    Lexical,
    MultiCriteria,
    NearDuplicates,
    Place,
    Query,
    Ranking,
    Refinement,
    Stage,
    Threshold,
    TokenBudget,
)
from tamis.criteria import Authority, Clarity, Coverage, Depth, Diversity, Recency
from tamis.graph import ConceptPairs, Concepts, Given, Mentions, Neighbours, Smoothing, Structure, SuperGlobal
from tamis.select import ExpectedF
from tamis.values.scale import PROBABILITY
from tamis.view.picture import fragment

QUERY = "which river rises in the grey mountains of the north"
SECONDS = 30
"""A measurement that takes longer is ended."""
GIGABYTES = 8
SIZES = {"short": (1_000, 10_000), "alike": (1_000, 10_000), "huge": (50, 200), "words": (10_000, 100_000)}
WORDS = {"short": 60, "alike": 60, "huge": 33_000, "words": 20}
"""Of each candidate: 33,000 words are about 200 KB."""
ONLY = {
    "alike": ("learned", "near_duplicates", "mmr", "graph (default)"),
    "huge": ("learned", "near_duplicates", "mmr", "dpp", "token_budget", "graph (default)"),
    "words": ("learned",),
}
"""Stages, by how their names begin, that are measured on a pool; all on `short`."""


def stages() -> dict[str, Callable[[Ranking], object]]:
    """What is measured, by name. Selections that look at 100 candidates unless told otherwise look at all."""
    made: dict[str, Stage] = {
        "learned (default)": Learned(),
        "lexical": Lexical(),
        "deduplicate": Deduplicate(),
        "near_duplicates": NearDuplicates(),
        "mmr": MMR(depth=None),
        "mmr, vectors": MMR(depth=None, given_vectors=True),
        "mmr, depth 100": MMR(),
        "dpp": DPP(depth=None),
        "dpp, vectors": DPP(depth=None, given_vectors=True),
        "cover": Cover(),
        "cover, field": Cover(field="tags"),
        "token_budget": TokenBudget(4_000),
        "knapsack": Knapsack(4_000),
        "facets": Facets(Lexical() | Threshold(0.1), facets=("source", "mouth", "length")),
        "fuse": Fuse((FirstStage(), Lexical())),
        "graph (default)": Graph(),
        "graph, mentions": Graph((Mentions(),)),
        "graph, neighbours": Graph((Neighbours(),)),
        "graph, neighbours by vectors": Graph((Neighbours(by="vectors"),)),
        "graph, concepts": Graph((Concepts(),)),
        "graph, concept_pairs": Graph((ConceptPairs(),)),
        "graph, structure": Graph((Structure(),)),
        "graph, given": Graph((Given(),)),
        "refinement": Refinement(),
        "refinement, smoothing": Refinement(method=Smoothing()),
        "refinement, super_global": Refinement(method=SuperGlobal()),
        "multi_criteria": MultiCriteria(criteria=[Depth(), Clarity(), Coverage(), Recency(), Authority({"b": 1.0})]),
        "multi_criteria, diversity": MultiCriteria(criteria=[Diversity()]),
        "multi_criteria, pareto": MultiCriteria(criteria=[Depth(), Clarity()], combine="pareto"),
        "multi_criteria, lexicographic": MultiCriteria(criteria=[Depth(), Clarity()], combine="lexicographic"),
        "dynamic_k": DynamicK(),
        "dynamic_k, expected_f": DynamicK(ExpectedF()),
        "place, by_source": Place("by_source"),
        "abstain": Abstain(),
    }
    runs: dict[str, Callable[[Ranking], object]] = {name: driven(stage) for name, stage in made.items()}
    runs["picture"] = fragment
    return runs


def driven(stage: Stage) -> Callable[[Ranking], object]:
    """A plan run to its end: none of these asks a model."""

    def run(ranking: Ranking) -> object:
        plan, answers = stage.plan(ranking), None
        while True:
            try:
                calls = plan.send(answers)
            except StopIteration as done:
                return done.value
            if calls:
                raise AssertionError(f"{stage} asks a model")
            answers = []

    return run


@cache
def vocabulary() -> tuple[Sequence[str], Sequence[float]]:
    """50,000 words and how common each is among the words before it (Zipf's law)."""
    draw = random.Random(1)
    syllables = [a + b for a in "bcdfghjklmnprstvwz" for b in "aeiou"]
    words = list(dict.fromkeys("".join(draw.choices(syllables, k=2 + rank % 3)) for rank in range(60_000)))[:50_000]
    totals, total = [], 0.0
    for rank in range(len(words)):
        total += 1 / (rank + 3)
        totals.append(total)
    return words, totals


def pool(kind: str, count: int) -> Ranking:
    """Candidates with scores, titles, dates, sources, links, tags, graphs and vectors; some are nearly the same.

    `alike`: half of each text is what all have, as the chunks of one site have its menus.
    """
    draw = random.Random(2)
    words, totals = vocabulary()
    frame = draw.choices(words, cum_weights=totals, k=WORDS[kind] // 2) if kind == "alike" else []
    asked, texts, candidates = QUERY.split(), list[str](), []
    for place in range(count):
        own = draw.choices(words, cum_weights=totals, k=WORDS[kind] - len(frame) - 3) + draw.choices(asked, k=3)
        text = " ".join([*frame, *own])
        if place % 20 == 19:
            text = texts[place - 7] + " again"
        texts.append(text)
        fields: dict[str, Any] = {
            "date": f"20{place % 25:02d}-0{1 + place % 9}-11",
            "source": f"source {place // 10}",
            "chunk": place % 10,
            "links": [place // 2],
            "tags": [words[place % 1000], words[place % 777]],
            "stars": place % 6,
            "graph": {"nodes": own[:8], "edges": [[0, "of", 1], [1, "in", 2]]},
        }
        vector = tuple(draw.gauss(0.0, 1.0) for _ in range(16))
        score = round(0.99 * (1 - place / count) ** 2, 3)
        candidates.append(Candidate(text, place, " ".join(own[:2]), score, fields, vector=vector))
    return Ranking.of(Query(QUERY, vector=(0.25,) * 16), candidates, scale=PROBABILITY)


def one(name: str, kind: str, count: int) -> dict[str, float]:
    """Seconds, and how many megabytes the process grew by at most; after a first run on a few candidates."""
    run = stages()[name]
    run(pool("short", 5))
    ranking = pool(kind, count)
    before = peak(reset=True)
    start = time.perf_counter()
    result = run(ranking)
    seconds = time.perf_counter() - start
    del result
    return {"seconds": seconds, "megabytes": peak() - before}


def peak(reset: bool = False) -> float:
    """The most memory this process has held, in megabytes; `reset`: what it holds now, and the count starts anew."""
    if reset and Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name: str, kind: str, count: int, source: str | None) -> Any:
    """`one` in a process of its own, or why there is no measurement. `source`: where another version is."""
    command = [sys.executable, __file__, "--one", name, kind, str(count)]
    single = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    if source is not None:
        single["PYTHONPATH"] = source

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=single, preexec_fn=limit
    ) as process:
        try:
            made, wrong = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return f"over {SECONDS} s"
    if process.returncode:
        lines = wrong.strip().splitlines()
        return f"over {GIGABYTES} GB" if "MemoryError" in wrong else (lines or ["killed"])[-1]
    return json.loads(made)


def cells() -> Iterator[tuple[str, str, int]]:
    """What is measured: stage, kind of pool, candidates."""
    for kind, sizes in SIZES.items():
        for name in stages():
            if name.startswith(ONLY.get(kind, "")) and (kind == "short" or "vectors" not in name):
                yield from ((name, kind, count) for count in sizes)


def shown(kept: Mapping[str, Any], kind: str, versions: Sequence[str]) -> str:
    small, large = SIZES[kind]
    head = ["stage", *(f"{what} {version}" for version in versions for what in (f"{small:,}", f"{large:,}", "memory"))]
    rows = []
    for name in dict.fromkeys(name for name, pool_, _ in cells() if pool_ == kind):
        row: list[object] = [name]
        for version in versions:
            found = [kept.get(key(name, kind, count, version), "not measured") for count in (small, large)]
            row += [one if isinstance(one, str) else f"{ms(one['seconds'])} ms" for one in found]
            row.append("" if isinstance(found[1], str) else f"{found[1]['megabytes']:.0f} MB")
        rows.append(row)
    return table(head, rows)


def key(name: str, kind: str, count: int, version: str) -> str:
    return f"{version}: {name}: {kind}: {count}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, metavar=("STAGE", "POOL", "COUNT"), help="measure in this process")
    parser.add_argument("--before", help="the source folder of an earlier version, measured beside this one")
    parser.add_argument("--keep", type=Path, help="a file of measurements: those in it are not made again")
    parser.add_argument("--minutes", type=float, default=600, help="stop after so long; `--keep` goes on another time")
    args = parser.parse_args()
    if args.one:
        name, kind, count = args.one
        print(json.dumps(one(name, kind, int(count))))
        return
    start, versions = time.monotonic(), ["before", "now"] if args.before else ["now"]
    kept = json.loads(args.keep.read_text()) if args.keep and args.keep.exists() else {}
    for name, kind, count in cells():
        for version in versions:
            if key(name, kind, count, version) in kept:
                continue
            smaller = kept.get(key(name, kind, SIZES[kind][0], version))
            source = args.before if version == "before" else None
            found = smaller if isinstance(smaller, str) else measure(name, kind, count, source)
            kept[key(name, kind, count, version)] = found
            print(key(name, kind, count, version), found, flush=True)
            if args.keep:
                args.keep.write_text(json.dumps(kept))
        if time.monotonic() - start > 60 * args.minutes:
            break
    parts = [f"## {TITLES[kind]}\n\n{shown(kept, kind, versions)}" for kind in SIZES]
    save("size", "Time and memory by the number and length of candidates", ("tamis",), ABOUT, *parts)


ABOUT = (
    "Each measurement is one query in a process of its own, after a first one with five candidates; memory is what the "
    f"process grew by at most, for the larger pool. Ended after {SECONDS} s or {GIGABYTES} GB. Stages that look at the "
    "first 100 candidates unless told otherwise look at all here, but for the row `mmr, depth 100`. `before`: the "
    "version before stages were made to grow linearly. On a loaded machine times vary several times over, and memory "
    "does not."
)
TITLES = {
    "short": "1,000 and 10,000 passages of 60 words, with titles",
    "alike": "The same, where half of each passage is the same in all",
    "huge": "50 and 200 passages of 200 KB",
    "words": "10,000 and 100,000 passages of 20 words, with titles",
}


if __name__ == "__main__":
    main()
