"""Which LLM reranking method? What every preset costs, and what every schedule makes of a judge that errs.

python benchmarks/llm_methods.py                  # all, into results/llm_methods.md
python benchmarks/llm_methods.py rankgpt listt5   # what these presets cost, on the screen
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import sqrt
from multiprocessing import get_context
from os import getloadavg as load_average
from statistics import mean, median, stdev
from textwrap import fill
from typing import Any

from oracle import CANDIDATES, FIRST_STAGE, WORDS, Oracle, candidates, grades, ndcg, worths
from report import RESULTS, save, table
from scatter import Panel, drawn
from simulation import KINDS, Step, frontier, played
from tamis import Engine, Ranking, Stage, load, presets
from tamis.judges import Thinking
from tamis.models import CostOnly
from tamis.parts.dump import dump
from tamis.rankers.judged import Judged
from tamis.recipes.load import model_names
from tamis.schedules import (
    Adaptive,
    AllPairs,
    Bubble,
    Heap,
    Knockout,
    Map,
    Partition,
    SampledPairs,
    SingleShot,
    Sliding,
    Staged,
    TopDown,
    TournamentGraph,
)
from tamis.stage.base import flattened
from tamis.values.usage import Usage

QUERY = "which harbour has the oldest lantern that is lit in winter?"
DELAY, CONCURRENT, MOST, THOUGHT, TRIALS = 0.05, 64, 10_000, 300, 100
"""Seconds of a call; concurrent queries, fewer where that is more than so many calls; tokens of a thought; queries."""
WORDING = frozenset(
    {"template", "passage_tokens", "names", "labels", "worst_first", "reason_tokens", "then", "opening"}
)
TOURRANK = ((5, 0.5), (5, 0.4), (1, 0.5), (1, 0.5), (1, 0.4))

METHODS: dict[str, tuple[Step, ...]] = {
    "pointwise": (Step(Map(), "point"),),
    "groups of 20": (Step(Partition(20), "group"),),
    "groups of 20, six times": (Step(Partition(20, 6), "group"),),
    "all at once": (Step(SingleShot(), "list"),),
    "first 20 at once": (Step(SingleShot(20), "list"),),
    "sliding 20 by 10": (Step(Sliding(), "list"),),
    "sliding, 3 passes": (Step(Sliding(passes=3), "list"),),
    "sliding, each window 5 times": (Step(Sliding(), "list", times=5),),
    "top down 20": (Step(TopDown(20, 10), "list"),),
    "tournament graph 20": (Step(TournamentGraph(20), "list"),),
    "adaptive 20": (Step(Adaptive(20, 4), "list"),),
    "tournament of 5, 1 goes on": (Step(Knockout(5, 1), "list"),),
    "tournament of 5, 2 go on": (Step(Knockout(5, 2), "list"),),
    "stages, once": (Step(Staged(stages=TOURRANK), "set", top=None),),
    "stages, ten times": (Step(Staged(stages=TOURRANK, repeats=10), "set", top=None),),
    "set heap, 2 children": (Step(Heap(2), "set"),),
    "set heap, 9 children": (Step(Heap(9), "set"),),
    "set heap, 19 children": (Step(Heap(19), "set"),),
    "set bubble of 3": (Step(Bubble(2), "set"),),
    "pair heap": (Step(Heap(2), "pair"),),
    "pair bubble": (Step(Bubble(1), "pair"),),
    "sampled pairs, 4 tours": (Step(SampledPairs(4), "pair", top=None),),
    "all pairs": (Step(AllPairs(), "pair", top=None),),
    "pointwise, then pairs of 30": (Step(Map(), "point"), Step(AllPairs(), "pair", 30, None)),
    "pointwise, then sliding on 30": (Step(Map(), "point"), Step(Sliding(), "list", 30)),
}
"""One a row; what presets make of them stands in `PRESETS`."""

PRESETS = {
    "pointwise": "pointwise, yes-no, monot5, qwen3-reranker, rank1, cross-encoder, ...",
    "groups of 20, six times": "grouprank (with the first stage fused in)",
    "all at once": "insertrank",
    "first 20 at once": "lrl",
    "sliding 20 by 10": "listwise, rankgpt, rankzephyr, first, rank-k, ...",
    "sliding, each window 5 times": "self-consistency",
    "top down 20": "tdpart",
    "tournament graph 20": "blitzrank",
    "adaptive 20": "acurank",
    "tournament of 5, 2 go on": "listt5",
    "stages, ten times": "tourrank",
    "set heap, 2 children": "setwise-heap",
    "set heap, 19 children": "rank-r1",
    "set bubble of 3": "setwise-bubble",
    "pair heap": "prp-heap",
    "pair bubble": "prp-sliding",
    "all pairs": "prp-allpair",
    "pointwise, then pairs of 30": "instupr, duot5 (50)",
    "pointwise, then sliding on 30": "dear",
}

COUNTED: tuple[tuple[str, tuple[Step, ...], int, str], ...] = (
    ("map", METHODS["pointwise"], 1, "100"),
    ("sliding 20 by 10", METHODS["sliding 20 by 10"], 1, "9"),
    ("sliding 4 by 2", (Step(Sliding(4, 2), "list"),), 1, "49"),
    ("all pairs, both orders", METHODS["all pairs"], 1, "9,900"),
    ("pair bubble, comparisons", METHODS["pair bubble"], 2, "945"),
    ("pair heap, comparisons", METHODS["pair heap"], 2, "279 / 245"),
    ("set heap, 2 children", METHODS["set heap, 2 children"], 1, "140 / 123"),
    ("set heap, 3 children", (Step(Heap(3), "set"),), 1, "82 / 78"),
    ("set heap, 9 children", METHODS["set heap, 9 children"], 1, "31 / 30"),
    ("set heap, 19 children", METHODS["set heap, 19 children"], 1, "23 / 21"),
    ("set bubble of 3", METHODS["set bubble of 3"], 1, "464 / 450"),
    ("set bubble of 4", (Step(Bubble(3), "set"),), 1, "307 / 284"),
    ("tournament of 5, 1 goes on", METHODS["tournament of 5, 1 goes on"], 1, "52"),
    ("tournament of 5, 2 go on", METHODS["tournament of 5, 2 go on"], 1, "82"),
    ("TourRank's stages", METHODS["stages, once"], 1, "13"),
    ("groups of 20, six times", METHODS["groups of 20, six times"], 1, "30"),
    ("InstUPR (30)", METHODS["pointwise, then pairs of 30"], 1, "970"),
    ("DeAR (30)", METHODS["pointwise, then sliding on 30"], 1, "102"),
    ("duoT5's pairs (50)", (Step(AllPairs(), "pair", 50, None),), 1, "2,450"),
    ("zELO's tours (one judge, one order)", METHODS["sampled pairs, 4 tours"], 2, "400"),
)
"""(name, ours, our calls in one of theirs, theirs: from no order / from a decent first stage)."""


COST = (
    f"Each model is a script that takes {DELAY * 1e3:.0f} ms a call, {Oracle.max_concurrency} calls at once, knows the "
    f"worth of each passage but errs by half of its standard deviation, and counts as {Oracle.architecture}, whatever "
    "the preset was published with, so that methods compare. Sorted by TFLOPs a query; presets with the same stages "
    "share a row. `a -> b`: predicted by a dry run, then made with the script. Tokens are estimated (bytes / 4). `*`: "
    f"thinks, {THOUGHT} tokens before each answer (a dry run counts the whole budget, or what `expected` says). "
    f"`s alone`: one query (median of three where below 2 s). `queries/s`: timed once, {CONCURRENT} concurrent queries "
    f"through `Engine.rerank_many`, or as many as stand in brackets where {CONCURRENT} would make more than {MOST:,} "
    "calls; beside it the share of what the delay alone allows."
)

SIMULATED = (
    f"No model: {TRIALS} simulated queries, the same for all. Worth is normal; grades 3, 2, 1 for the best 3, 10 and "
    f"20 of {CANDIDATES}; the first stage errs by {FIRST_STAGE} standard deviations (SD). nDCG@10 ± half of its 95 % "
    "interval, **bold** on the frontier: no method with as few calls reaches it. Calls, passages read and rounds are "
    "means with `anew .5`. Judges: `anew`: errs by so many SD, anew in each question; `steady`: misreads each passage "
    "once and for all; `crowded`: errs by .25 SD for one passage, .5 for two, 1.3 for twenty; `places`: errs anew by "
    ".25 and favours the first shown by .5 over the last; `circular`: not transitive, every pair has a fixed "
    "preference with an error of its own, and sets and lists are sorted by them (single passages: as `steady`). Groups "
    "are graded in steps of .5 SD. Pairs are asked in both orders."
)

REFERENCE = (
    "Mean calls for the first ten of 100 with a judge that never errs: from no order / from a decent first stage, one "
    "number where they agree. The reference column was counted from the published algorithms with an oracle, or is "
    "their formula. Set bubble: the reference skips windows it believes clean, which loses places when windows are "
    "wide; tamis asks them all. zELO's tours: a pair that two tours share is asked once."
)


def stage_of(name: str, model: Any) -> Stage:
    return load(name, models=dict.fromkeys(model_names(name), model))


def thinks(stage: Stage) -> bool:
    judges = [step.asks[0] for step in flattened(stage) if isinstance(step, Judged)]
    return any(isinstance(judge, Thinking) and judge.how == "free" for judge in judges)


def unworded(data: Any) -> Any:
    """A plan as data without what only words its prompts: presets that differ in nothing else cost the same."""
    if isinstance(data, dict):
        plain = {
            key: unworded(value)
            for key, value in data.items()
            if key not in WORDING or (key == "labels" and isinstance(value, dict))
        }
        return {key: value for key, value in plain.items() if (key, value) != ("judge", {"permutation": {}})}
    return [unworded(item) for item in data] if isinstance(data, list) else data


def alike() -> dict[str, list[str]]:
    """Presets that call a model, those with the same stages and prompts of the same length under the first one's
    name."""
    found: dict[str, tuple[Any, list[str]]] = {}
    for name in presets():
        if model_names(name):
            plan = unworded(dump(load(name, models={model: CostOnly(model) for model in model_names(name)})))
            usage = predicted(name)
            key = (plan, usage.calls, usage.rounds, usage.tokens_in, usage.tokens_out)
            same = next((first for first, (other, _) in found.items() if other == key), name)
            found.setdefault(same, (key, []))[1].append(name)
    return {first: names for first, (_, names) in found.items()}


def predicted(name: str) -> Usage:
    return Engine().dry_run(stage_of(name, CostOnly(architecture=Oracle.architecture)), QUERY, candidates())


def rerun(name: str, thought: int, queries: int) -> tuple[float, list[Ranking]]:
    """Seconds and rankings of so many queries at the same time; each candidate kept or dropped, none unjudged."""
    model = Oracle(worths(0), noise=0.5, delay=DELAY, thought=thought)
    stage, engine = stage_of(name, model), Engine(cache=None)
    rankings = [Ranking.of(f"{QUERY} ({number})", candidates()) for number in range(queries)]
    start = time.perf_counter()
    found = engine.rerank_many(stage, rankings)
    seconds = time.perf_counter() - start
    for ranking in found:
        assert not ranking.degraded, (name, ranking.warnings)
        assert len(ranking.kept) + len(ranking.dropped) == CANDIDATES, name
    return seconds, found


@dataclass(frozen=True)
class Spent:
    """What a preset took: `made` by the one query asked alone, in `seconds`; then so many concurrent `queries`,
    `rate` a second, which is `share` of what the delay alone allows."""

    names: Sequence[str]
    thinks: bool
    predicted: Usage
    made: Usage
    seconds: float
    queries: int
    rate: float
    share: float
    load: float

    def row(self) -> list[object]:
        return [
            ", ".join(self.names) + ("*" if self.thinks else ""),
            _both(self.predicted.calls, self.made.calls),
            _both(self.predicted.rounds, self.made.rounds),
            f"{self.made.tokens_in:,}",
            f"{self.made.tokens_out:,}",
            f"{self.made.flops / 1e12:,.0f}",
            f"{self.seconds:.2f}",
            f"{self.rate:.3g}" + (f" ({self.queries})" if self.queries < CONCURRENT else ""),
            f"{self.share:.0%}",
        ]


def costs(wanted: Sequence[str] = ()) -> list[Spent]:
    """What each preset took, or each of those wanted; the cheapest first."""
    chosen = {name: [name] for name in wanted} or alike()
    found = []
    for name, names in chosen.items():
        found.append(cost(name, names))
        print(*found[-1].row(), sep=" | ", flush=True)
    return sorted(found, key=lambda spent: spent.made.flops)


def cost(name: str, names: Sequence[str]) -> Spent:
    thought = THOUGHT if thinks(stage_of(name, CostOnly())) else 0
    seconds, (ranking,) = rerun(name, thought, 1)
    if seconds < 2:
        seconds = median([seconds, *(rerun(name, thought, 1)[0] for _ in range(2))])
    made = ranking.usage
    queries = max(1, min(CONCURRENT, MOST // made.calls))
    many, found = rerun(name, thought, queries)
    least = max(made.rounds, sum(r.usage.calls for r in found) / Oracle.max_concurrency) * DELAY
    rates = queries / many, least / many
    return Spent(names, bool(thought), predicted(name), made, seconds, queries, *rates, load_average()[0])


def _both(predicted: int, made: int) -> str:
    return f"{made:,}" if made == predicted else f"{predicted:,} -> {made:,}"


Trial = tuple[list[float], float, float, float]
TRIED: dict[tuple[str, str], Trial] = {}


def trial(method: str, kind: str) -> Trial:
    """nDCG@10 of each query, and the mean calls, passages read and rounds."""
    if (method, kind) not in TRIED:
        TRIED[method, kind] = tried(method, kind)
    return TRIED[method, kind]


def tried(method: str, kind: str) -> Trial:
    values, spent = [], []
    for seed in range(TRIALS):
        worth = worths(seed)
        found = played(METHODS[method], worth, KINDS[kind], seed)
        values.append(ndcg(found.order, grades(worth)))
        spent.append((found.calls, found.read, found.rounds))
    calls, read, rounds = (mean(column) for column in zip(*spent, strict=True))
    return values, calls, read, rounds


def interval(values: Sequence[float]) -> float:
    """Half of the 95 % interval of the mean."""
    return 1.96 * stdev(values) / sqrt(len(values))


def on_frontier(kind: str) -> set[str]:
    return frontier({name: (trial(name, kind)[1], mean(trial(name, kind)[0])) for name in METHODS})


def effectiveness() -> list[list[object]]:
    best = {kind: on_frontier(kind) for kind in KINDS}
    rows: list[list[object]] = []
    for number, name in enumerate(METHODS, 1):
        _, calls, read, rounds = trial(name, "anew .5")
        cells = []
        for kind in KINDS:
            told, values = ndcg_of(name, kind), trial(name, kind)[0]
            cells.append((f"**{told}**" if name in best[kind] else told) + f" ±{_short(interval(values))}")
        rows.append([number, name, f"{calls:,.0f}", f"{read:,.0f}", f"{rounds:,.0f}", *cells, PRESETS.get(name, "-")])
    return rows


def ndcg_of(name: str, kind: str) -> str:
    return _short(mean(trial(name, kind)[0]))


def _short(value: float) -> str:
    """
    >>> _short(0.7791), _short(1.0)
    ('.779', '1.000')
    """
    return f"{value:.3f}".removeprefix("0")


def incoming() -> list[float]:
    return [ndcg(range(CANDIDATES), grades(worths(seed))) for seed in range(TRIALS)]


def picture() -> str:
    floor = mean(incoming())

    def panel(title: str, kind: str, cost: int) -> Panel:
        found = {name: trial(name, kind) for name in METHODS}
        points = {name: (got[cost], mean(got[0]), interval(got[0])) for name, got in found.items()}
        return Panel(title, ("", "calls a query", "passages read a query")[cost], points, floor)

    return drawn(
        (
            panel("Errs anew in each question, .5 SD", "anew .5", 1),
            panel("Errs anew in each question, .5 SD", "anew .5", 2),
            panel("Errs more the more it is shown (.25 SD alone, 1.3 of twenty)", "crowded .25", 1),
            panel("Preferences run in circles, .5 SD", "circular .5", 1),
        ),
        f"n = {CANDIDATES}, mean of {TRIALS} simulated queries with 95 % intervals. Blue: the frontier, no cheaper "
        "method reaches it. Numbers: rows of the table in llm_methods.md.",
    )


def counts() -> list[list[object]]:
    """Mean calls under a judge that never errs, from no order and from a decent first stage."""
    rows: list[list[object]] = []
    for name, method, share, theirs in COUNTED:
        ours = []
        for first_stage in (None, FIRST_STAGE):
            runs = [played(method, worths(seed, CANDIDATES, first_stage), KINDS["exact"], seed) for seed in range(20)]
            ours.append(f"{mean(run.calls for run in runs) / share:,.0f}")
        rows.append([name, theirs, ours[0] if ours[0] == ours[1] else " / ".join(ours)])
    return rows


def conclusion(spent: Sequence[Spent]) -> str:
    """What to choose. Its numbers are those of the tables; where they no longer bear out its words, it raises."""
    named = {name: found for found in spent for name in found.names}

    def n(name: str, kind: str = "anew .5") -> float:
        return mean(trial(name, kind)[0])

    def flops(name: str) -> str:
        return f"{named[name].made.flops / named['pointwise'].made.flops:.0f}"

    def calls(name: str) -> str:
        return f"{trial(name, 'anew .5')[1]:,.0f}"

    few = ["sliding 20 by 10", "top down 20", "tournament graph 20"]
    sure = [name for name in METHODS if n(name, "exact") == 1.0]
    many = ["groups of 20, six times", "sliding, each window 5 times", "stages, ten times", "all pairs"]
    sorts = [name for name in METHODS if "heap" in name or "bubble" in name]
    reached = sum(name in on_frontier(kind) for name in sorts for kind in KINDS if kind not in ("exact", "steady .5"))
    one_round = [found.seconds for found in spent if found.made.calls == 100 and found.made.rounds == 1]
    holds = {
        "exact schedules are alike where the judge is steady": len({ndcg_of(m, "steady .5") for m in sure}) == 1,
        "a window and tdpart are equally good": abs(n(few[0]) - n(few[1])) < 0.02,
        "blitzrank is the most fragile": n(few[2]) < min(n(few[0]), n(few[1])),
        "asking again comes near to all pairs": n("all pairs") - min(map(n, many)) < 0.05,
        "few at a time is better where many confuse": n("pointwise", "crowded .25") > n(few[0], "crowded .25") + 0.2,
        "sorts are hardly ever on the frontier": reached <= 2,
        "sampled pairs err even without error": n("sampled pairs, 4 tours", "exact") < 0.9,
    }
    if broken := [claim for claim, true in holds.items() if not true]:
        raise ValueError(f"the conclusion no longer holds, reword it: {'; '.join(broken)}")

    def at(name: str, kind: str = "anew .5") -> str:
        return ndcg_of(name, kind)

    bubbles = " and ".join(at(name, "circular .5") for name in ("pair bubble", "set bubble of 3"))
    return wrapped(f"""What to choose, from the numbers below ({CANDIDATES} candidates, the first ten wanted):

- **Know first how your judge errs.** Where it misreads a passage always alike (`steady`), every exact schedule gives
  {at("pointwise", "steady .5")}, from {calls("all at once")} call to {calls("all pairs")}: take the cheapest, and spend
  on a better model. Asking again helps only against errors that change with the question.
- **Few calls.** A sliding window ({calls(few[0])} calls in {calls(few[0])} rounds, {at(few[0])} with `anew .5`) and
  `tdpart` ({calls(few[1])} calls, {at(few[1])}) are equally good. `blitzrank` ({calls(few[2])} calls) is exact without
  error and the most fragile of the three with it ({at(few[2])}).
- **Errors that change with the question.** Ask about all again: groups of twenty six times (`grouprank` before it adds
  the first stage; {calls(many[0])} calls in one round, {at(many[0])}), `self-consistency` ({calls(many[1])} calls,
  {at(many[1])}) and `tourrank` ({calls(many[2])} calls in 5 rounds, {at(many[2])}) come near to all pairs
  ({calls(many[3])} calls, {at(many[3])}), at {flops("grouprank")}, {flops("self-consistency")} and {flops("tourrank")}
  times the FLOPs of a pointwise pass, where all pairs take {flops("prp-allpair")} times.
- **A judge that is lost among many passages** (`crowded`). Ask about one at a time: a pointwise pass (100 calls in one
  round) gives {at("pointwise", "crowded .25")}, with the pairs of its best 30 after it
  {at("pointwise, then pairs of 30", "crowded .25")}, a window of twenty {at(few[0], "crowded .25")}.
- **A judge that contradicts itself** (`circular`). All pairs {at("all pairs", "circular .5")}, pointwise and the pairs
  of 30 {at("pointwise, then pairs of 30", "circular .5")}, `tourrank` {at(many[2], "circular .5")}, `self-consistency`
  {at(many[1], "circular .5")}, a window {at(few[0], "circular .5")}. Bubble sorts suffer ({bubbles}).
- **Sorts by sets or pairs** are hardly ever on the frontier where the judge errs, and they wait longest: with
  {DELAY * 1e3:.0f} ms a call, 100 calls in one round took {min(one_round):.1f} to {max(one_round):.1f} s a query,
  {named["setwise-heap"].made.rounds} rounds {named["setwise-heap"].seconds:.0f} s, {named["prp-sliding"].made.rounds}
  rounds {named["prp-sliding"].seconds:.0f} s.
- **Sampled pairs** need to know by how much a passage is better: with bare wins they reach
  {at("sampled pairs, 4 tours", "exact")} even without error.
- **Thinking** before each answer, {THOUGHT} tokens, costs a pointwise pass {flops("rank1")} times its FLOPs (`rank1`
  against `pointwise`).

Differences below about .02 lie within the intervals. How much of a real judge's error is of which kind no simulation
tells; `tamis eval` on your own queries does.""")


def wrapped(text: str) -> str:
    """Paragraphs and list items filled anew."""
    items = re.split(r"\n\n|\n(?=- )", text)
    gaps = re.findall(r"\n\n|\n(?=- )", text)
    filled = [fill(" ".join(item.split()), 120, subsequent_indent="  " * item.startswith("- ")) for item in items]
    return "".join(part for pair in zip(filled, [*gaps, ""], strict=True) for part in pair)


def main(wanted: Sequence[str] = ()) -> None:
    """Everything, into results/; or the costs of the presets wanted, on the screen."""
    if wanted:
        costs(wanted)
        return
    # A fit of a hundred strengths is faster with one thread than with two, and many times so on busy cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # The models of the first part sleep most of the time; the simulation runs beside them.
    with ProcessPoolExecutor(1, get_context("spawn")) as beside:
        pending = {(name, kind): beside.submit(tried, name, kind) for name in METHODS for kind in KINDS}
        spent = costs()
        TRIED.update({key: future.result() for key, future in pending.items()})
    effective, loads = effectiveness(), [found.load for found in spent]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "llm_methods.svg").write_text(picture(), encoding="utf-8")
    save(
        "llm_methods",
        "LLM reranking methods: cost and effectiveness",
        ("tamis",),
        conclusion(spent),
        f"## What each preset costs, n = {CANDIDATES}, passages of {WORDS} words",
        COST + f" The machine's load was {min(loads):.1f} to {max(loads):.1f} meanwhile, this script's own included.",
        table(
            ["preset", "calls", "rounds", "tokens in", "out", "TFLOPs", "s alone", "queries/s", "of the most possible"],
            [found.row() for found in spent],
        ),
        "## What a schedule makes of a judge that errs",
        SIMULATED + f" Incoming order: {mean(incoming()):.3f}.",
        "![nDCG@10 against calls and passages read](llm_methods.svg)",
        table(["#", "method", "calls", "read", "rounds", *KINDS, "presets"], effective),
        "## Calls beside those of the reference implementations",
        REFERENCE,
        table(["schedule", "reference", "tamis"], counts()),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
