"""What a rerank costs, and what a dry run says it will."""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest

from support.scripted import grades, order
from tamis import (
    Candidate,
    CrossEncoder,
    Deduplicate,
    Embedding,
    Engine,
    FirstStage,
    Fuse,
    Groupwise,
    Lexical,
    Listwise,
    MultiCriteria,
    Pairwise,
    Pointwise,
    QueryLikelihood,
    Ranking,
    Rebel,
    Setwise,
    Threshold,
    TopN,
    Tournament,
)
from tamis.compute.architectures import architectures
from tamis.compute.flops import Architecture
from tamis.criteria import Clarity, Criterion, Depth, Ranker
from tamis.engine.cost import call_tokens, charge
from tamis.models import CostOnly, Function
from tamis.values.answers import Failure, Generated, Logprobs, Score, Vector
from tamis.values.calls import ChoiceLogprobs, Classify, Embed, Generate, Message, PromptLogprobs
from tamis.values.scale import PROBABILITY

TEXTS = [f"{n}" for n in range(40)]
ARCHITECTURES = architectures()
ENCODER = ARCHITECTURES["ms-marco-MiniLM-L6"]
DECODER = ARCHITECTURES["Qwen3-0.6B"]
T5 = ARCHITECTURES["Flan-T5-base"]


class Oracle:
    """Answers every kind of call at once: the larger the number a passage is, the better."""

    name = "oracle"
    max_batch = 8
    scale = PROBABILITY
    tokens: tuple[int | None, int | None] = (None, None)

    def __init__(self, architecture: Architecture | str | None = None, tokens: Any = (None, None)) -> None:
        self.architecture, self.tokens = architecture, tokens
        self.asked = 0

    def generate(self, calls: Sequence[Generate]) -> list[Generated]:
        return [Generated(self._write(call), **self._counts()) for call in calls]

    def choice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> list[Logprobs]:
        return [Logprobs(self._choose(call), **self._counts()) for call in calls]

    def prompt_logprobs(self, calls: Sequence[PromptLogprobs]) -> list[Logprobs]:
        return [Logprobs((-1.0,) * 4, **self._counts()) for _ in calls]

    def classify(self, calls: Sequence[Classify]) -> list[Score]:
        return [Score(float(call.text) / 100, **self._counts()) for call in calls]

    def embed(self, calls: Sequence[Embed]) -> list[Vector]:
        return [Vector((1.0, float(len(call.text))), **self._counts()) for call in calls]

    def _write(self, call: Generate) -> str:
        asked = call.schema["properties"] if call.schema else {}
        if not asked:
            return " > ".join(order(call, float).split(" > ")[: call.expect.count("[")])
        if "criteria" in asked:
            names = ("depth", "clarity", "recency")
            told = [{"name": n, "description": f"is good where {n} is asked for", "weight": 0.5} for n in names]
            return json.dumps({"criteria": told})
        if "passages" not in asked:
            return json.dumps(dict.fromkeys(asked, 7))
        entry = asked["passages"]["items"]["properties"]
        grade = {name: 7 for name in entry if name not in ("passage", "reason")}
        return grades(call, lambda text: {**grade, "reason": f"tells how large {text} is, though not why"})

    def _choose(self, call: ChoiceLogprobs) -> tuple[float, float]:
        if call.choices != ("A", "B"):
            return -0.1, -2.4
        first, second = map(float, re.findall(r">\n(\d+)\n<", call.messages[-1].content))
        return (-0.1, -2.4) if first > second else (-2.4, -0.1)

    def _counts(self) -> dict[str, int | None]:
        self.asked += 1
        return {"tokens_in": self.tokens[0], "tokens_out": self.tokens[1]}


# What a rerank spent


def test_every_answered_call_adds_its_flops_in_both_forms():
    usage = CrossEncoder(Oracle(ENCODER, (57, 0))).rerank("q", TEXTS).usage
    assert usage.flops == 40 * ENCODER.flops(57)
    assert usage.flops_paper == 40 * ENCODER.flops(57, form="paper")
    assert usage.unmetered == 0


def test_calls_of_a_model_nobody_knows_are_counted_as_such():
    usage = CrossEncoder(Oracle()).rerank("q", TEXTS).usage
    assert (usage.flops, usage.flops_paper, usage.unmetered) == (0.0, 0.0, 40)


def test_known_and_unknown_models_in_one_pipeline():
    stage = CrossEncoder(Oracle(ENCODER, (10, 0))) | Pointwise(Oracle(None), depth=5)
    usage = stage.rerank("q", TEXTS).usage
    assert usage.flops == 40 * ENCODER.flops(10)
    assert (usage.calls, usage.unmetered) == (45, 5)


def test_a_model_may_name_its_architecture_or_be_called_by_it():
    named = Oracle("qwen3:0.6b", (100, 0))
    called = Oracle(None, (100, 0))
    called.name = "Qwen/Qwen3-0.6B"
    for model in (named, called):
        assert Pointwise(model).rerank("q", TEXTS[:3]).usage.flops == 3 * DECODER.flops(100, 1)


@pytest.mark.parametrize("architecture", [ENCODER, DECODER, T5])
def test_what_a_call_makes_a_model_do(architecture):
    def spent(call: Any, answer: Any) -> int:
        counts: dict[str, int] = defaultdict(int)
        assert charge(counts, architecture, call, answer) == answer.tokens_in + answer.tokens_out
        return counts["flops"]

    question = (Message("user", "which?"),)
    tokens = {"tokens_in": 90, "tokens_out": 0}
    assert spent(Embed(None, "text"), Vector((1.0,), **tokens)) == architecture.flops(90)
    assert spent(Classify(None, "q", "text"), Score(1.0, **tokens)) == architecture.flops(90, 1)
    choice = ChoiceLogprobs(None, question, ("Yes", "No"))
    assert spent(choice, Logprobs((-0.1, -2.4), **tokens)) == architecture.flops(90, 1)
    likelihood = spent(PromptLogprobs(None, "a document", "a query"), Logprobs((-1.0,) * 7, **tokens))
    assert likelihood == architecture.flops(83, 7)
    written = Generated("[2] > [1]", tokens_in=90, tokens_out=6)
    assert spent(Generate(None, question), written) == architecture.flops(90, 6)


def test_cached_answers_cost_nothing():
    model, engine = Oracle(ENCODER, (20, 0)), Engine()
    model.cache_key = "test:oracle"
    first = engine.rerank(CrossEncoder(model), "q", TEXTS).usage
    again = engine.rerank(CrossEncoder(model), "q", TEXTS).usage
    assert first.flops == 40 * ENCODER.flops(20)
    assert (again.cached, again.flops, again.flops_paper, again.unmetered) == (40, 0.0, 0.0, 0)


def test_identical_calls_in_flight_are_paid_once():
    model = Oracle(ENCODER, (20, 0))
    model.cache_key = "test:oracle"
    rankings = Engine().rerank_many(CrossEncoder(model), [Ranking.of("q", ["1", "2", "2"])] * 3)
    assert sum(ranking.usage.flops for ranking in rankings) == 2 * ENCODER.flops(20)


def test_failed_calls_cost_nothing():
    def some(call: Any) -> Any:
        return Failure("error", "too long") if call.text == "1" else Score(0.5, tokens_in=30, tokens_out=0)

    model = Function(some, "classify", name="ms-marco-MiniLM-L6-v2")
    usage = CrossEncoder(model).rerank("q", ["0", "1", "2"]).usage
    assert (usage.failed, usage.flops, usage.unmetered) == (1, 2 * ENCODER.flops(30), 0)


def test_flops_do_not_depend_on_the_order_of_completion():
    import random
    import time

    def slowly(call: Any) -> Any:
        time.sleep(random.random() / 200)
        return Score(0.5, tokens_in=7 + 997 * int(call.text), tokens_out=0)

    model = Function(slowly, "classify", name="qwen3-32b")
    assert len({CrossEncoder(model).rerank("q", TEXTS).usage.flops for _ in range(4)}) == 1


def test_estimates_stop_where_an_encoder_cuts():
    model = CostOnly(architecture=ENCODER)
    long = "word " * 4000
    assert call_tokens(Classify(model, "q", long)) == 5001
    object.__setattr__(model, "max_length", 512)
    assert call_tokens(Classify(model, "q", long)) == call_tokens(Embed(model, long)) == 512
    assert call_tokens(Generate(model, (Message("user", long),))) == 5000
    assert Engine().dry_run(CrossEncoder(model), "q", [long]).flops == ENCODER.flops(512)


# What a dry run predicts


def text_of(*texts: str) -> list[Candidate]:
    return [Candidate(text, score=1.0 / (1 + place)) for place, text in enumerate(texts)]


STAGES = {
    "first stage": lambda m: FirstStage(),
    "lexical": lambda m: Lexical(),
    "cross-encoder": lambda m: CrossEncoder(m),
    "cross-encoder, depth": lambda m: CrossEncoder(m, depth=7),
    "embedding": lambda m: Embedding(m),
    "pointwise": lambda m: Pointwise(m),
    "listwise": lambda m: Listwise(m, window=20, stride=10),
    "listwise, two passes": lambda m: Listwise(m, window=8, stride=4, passes=2),
    "pairwise": lambda m: Pairwise(m),
    "groupwise": lambda m: Groupwise(m, size=15, epochs=2),
    "query likelihood": lambda m: QueryLikelihood(m),
    "rebel": lambda m: Rebel(m),
    "rebel, two turns": lambda m: Rebel(m, criteria="infer"),
    "multi-criteria": lambda m: MultiCriteria(m, criteria=[Criterion("insight", "explains"), Clarity(), Depth()]),
    "multi-criteria from a ranker": lambda m: MultiCriteria(criteria=[Ranker(CrossEncoder(m))]),
    "fuse": lambda m: Fuse((Lexical(), CrossEncoder(m), Embedding(m))),
    "branches of unequal length": lambda m: Listwise(m, window=8, stride=4) & Pointwise(m) & Rebel(m, criteria="infer"),
    "pipeline": lambda m: Deduplicate() | Embedding(m) | TopN(25) | CrossEncoder(m) | Listwise(m, window=10, stride=5),
    "cut by score": lambda m: CrossEncoder(m) | Threshold(-1e9) | TopN(3),
}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
@pytest.mark.parametrize("count", [0, 1, 2, 21, 40])
def test_a_dry_run_predicts_the_calls_rounds_and_input_tokens_of_the_real_run(stage, count):
    model = Oracle(DECODER)
    candidates = text_of(*TEXTS[:count])
    predicted = Engine().dry_run(stage(model), "which is the largest?", candidates)
    assert model.asked == 0
    spent = stage(model).rerank("which is the largest?", candidates).usage
    assert (predicted.calls, predicted.rounds, predicted.failed) == (spent.calls, spent.rounds, 0)
    assert predicted.calls == model.asked
    assert predicted.tokens_in == pytest.approx(spent.tokens_in, rel=0.05)
    # How much a model writes of its own accord can only be guessed.
    assert predicted.flops == pytest.approx(spent.flops, rel=0.3)
    assert predicted.flops_paper == pytest.approx(spent.flops_paper, rel=0.3)
    assert predicted.unmetered == 0


@pytest.mark.parametrize("stage", [Setwise, Tournament, lambda m: Pairwise(m, depth=None, schedule="heap")])
def test_a_dry_run_of_a_sort_is_that_of_candidates_in_order(stage):
    model = Oracle(DECODER)
    predicted = Engine().dry_run(stage(model), "which is the largest?", TEXTS)
    in_order = stage(model).rerank("which is the largest?", TEXTS[::-1]).usage
    assert (predicted.calls, predicted.rounds) == (in_order.calls, in_order.rounds)
    for seed in range(5):
        shuffled = random.Random(seed).sample(TEXTS, len(TEXTS))
        spent = stage(model).rerank("which is the largest?", shuffled).usage
        assert predicted.calls <= spent.calls <= 4 / 3 * predicted.calls


def test_a_dry_run_takes_the_architecture_of_the_model_that_will_be_asked():
    large, small = Oracle("qwen3-32b"), Oracle("qwen3-0.6b")
    cost = {model.architecture: Engine().dry_run(Pointwise(model), "q", TEXTS).flops for model in (large, small)}
    assert 50 < cost["qwen3-32b"] / cost["qwen3-0.6b"] < 80
    assert Engine().dry_run(Pointwise(Oracle()), "q", TEXTS).unmetered == 40


def test_cost_only_stands_in_for_a_model_that_is_not_at_hand():
    from tamis import load

    real = Oracle("qwen2.5-7b")
    stand_in = CostOnly(architecture="qwen2.5-7b")
    for stage in (Rebel, Listwise, Pointwise):
        expected = Engine().dry_run(stage(real), "q", TEXTS)
        predicted = Engine().dry_run(stage(stand_in), "q", TEXTS)
        assert (predicted.calls, predicted.flops) == (expected.calls, expected.flops)
    loaded = load([{"pointwise": {"model": {"cost_only": {"architecture": "qwen2.5-7b"}}}}])
    assert loaded.stages == (Pointwise(stand_in),)
    assert load(loaded.to_data()) == loaded


def test_cost_only_shows_as_many_likelihoods_as_a_continuation_has_tokens():
    (answer,) = CostOnly().prompt_logprobs([PromptLogprobs(None, "a document", "x" * 41)])
    assert len(answer.values) == 11


def test_dry_runs_of_a_table_of_pipelines_order_them_by_cost():
    """100 passages of 250 characters: pointwise reads each once, a sliding window almost twice, and writes."""
    passages = [f"{n} " + "lorem ipsum " * 20 for n in range(100)]
    cross_encoder = CrossEncoder(CostOnly("bge-reranker-v2-m3"))
    pointwise, listwise = Pointwise(CostOnly("qwen3-8b")), Listwise(CostOnly("qwen3-8b"))
    costs = [Engine().dry_run(stage, "q", passages).flops for stage in (Lexical(), cross_encoder, listwise, pointwise)]
    assert costs == sorted(costs)
    assert costs[0] == 0
