"""Judges put to schedules, driven by the real engine: exact with an oracle, whole without, told where it fails."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from support.scripted import Chat, order, passages
from tamis import (
    Cancellation,
    Candidate,
    Engine,
    FirstStage,
    Fuse,
    Groupwise,
    Listwise,
    Pairwise,
    Pointwise,
    QueryLikelihood,
    Setwise,
    Stage,
    Tournament,
)
from tamis.errors import CapabilityError, ConfigError
from tamis.judges import Choice, Grades, Head, Identifiers, Labels, Permutation, Preference, Repeated, Thinking
from tamis.models import CostOnly, Function
from tamis.schedules import (
    Adaptive,
    AllPairs,
    Bubble,
    Champion,
    Heap,
    Partition,
    SampledPairs,
    SingleShot,
    Sliding,
    Staged,
    TopDown,
    TournamentGraph,
    UntilSettled,
)
from tamis.values.answers import Failure
from tamis.values.calls import ChoiceLogprobs, Classify, Generate, PromptLogprobs
from tamis.values.scale import FUSION, LOG_LIKELIHOOD, ORDINAL, PROBABILITY, graded
from tamis.values.signs import kendall_tau, signs

PASSAGE = re.compile(r'<passage (?:number|name)="\w+">\n(.*?)\n</passage>', re.DOTALL)


class Oracle:
    """Knows the worth of a passage (the number in it) and answers every kind of question truthfully."""

    name = "oracle"
    max_concurrency = 4
    max_batch = 1000
    scale = PROBABILITY

    def __init__(self, flip: Callable[[int], bool] = lambda asked: False) -> None:
        self.asked = 0
        self.rounds: list[int] = []
        self.flip = flip

    def _worth(self, call: Any) -> list[float]:
        return [float(text) for text in PASSAGE.findall(call.messages[1].content)]

    def generate(self, calls: list[Generate]) -> list[Any]:
        return [Function(self._write, "generate").generate([call])[0] for call in self._counted(calls)]  # type: ignore[attr-defined]

    def _write(self, call: Generate) -> Any:
        worth = self._worth(call)
        best = sorted(range(len(worth)), key=lambda i: -worth[i])
        if self.flip(self.asked):
            return "No."
        if "JSON" in call.messages[1].content:
            return json.dumps({str(i + 1): value for i, value in enumerate(worth)})
        if "A or B" in call.messages[1].content:
            return "AB"[best[0]]
        return " > ".join(f"[{i + 1}]" for i in best)

    def choice_logprobs(self, calls: list[ChoiceLogprobs]) -> list[Any]:
        return [Function(self._label, "choice_logprobs").choice_logprobs([call])[0] for call in self._counted(calls)]  # type: ignore[attr-defined]

    def _label(self, call: ChoiceLogprobs) -> list[float]:
        worth = self._worth(call)
        if len(worth) > 1:
            return [value / 100 - 10 for value in worth]
        p = (worth[0] + 1) / 400
        return [math.log(p), math.log(1 - p)] if len(call.choices) == 2 else [math.log(p)] * len(call.choices)

    def prompt_logprobs(self, calls: list[PromptLogprobs]) -> list[Any]:
        read = Function(lambda call: [float(call.prefix.split("\n")[0].split()[1]) - 1000.0], "prompt_logprobs")
        return [read.prompt_logprobs([call])[0] for call in self._counted(calls)]  # type: ignore[attr-defined]

    def classify(self, calls: list[Classify]) -> list[Any]:
        read = Function(lambda call: float(call.text), "classify")
        return [read.classify([call])[0] for call in self._counted(calls)]  # type: ignore[attr-defined]

    def _counted(self, calls: list[Any]) -> list[Any]:
        self.asked += len(calls)
        self.rounds.append(len(calls))
        return calls


STAGES: dict[str, Callable[[Any], Stage]] = {
    "yes or no": lambda model: Pointwise(model),
    "margin": lambda model: Pointwise(model, judge=Labels(readout="margin")),
    "head": lambda model: Pointwise(model, judge=Head()),
    "query likelihood": lambda model: QueryLikelihood(model),
    "all pairs": lambda model: Pairwise(model, depth=None),
    "all pairs, soft": lambda model: Pairwise(model, None, AllPairs("soft"), Preference(ties=False)),
    "all pairs, written": lambda model: Pairwise(model, None, AllPairs(), Preference("text")),
    "pair heap": lambda model: Pairwise(model, None, Heap(2)),
    "pair bubble": lambda model: Pairwise(model, None, Bubble(1), Preference("text")),
    "champion": lambda model: Pairwise(model, None, Champion()),
    "set heap": lambda model: Setwise(model),
    "set heap by likelihood": lambda model: Setwise(model, judge=Identifiers()),
    "set heap of nineteen, thinking": lambda model: Setwise(model, None, Heap(19), Thinking(Choice())),
    "set bubble": lambda model: Setwise(model, None, Bubble(3)),
    "tournament": lambda model: Tournament(model),
    "tournament, two of five": lambda model: Tournament(model, keep=2, judge=Identifiers()),
    "window": lambda model: Listwise(model),
    "window, two passes": lambda model: Listwise(model, window=10, stride=5, passes=2),
    "window by first token": lambda model: Listwise(model, judge=Identifiers()),
    "window, repeated": lambda model: Listwise(model, judge=Repeated(Permutation(), 2)),
    "graph": lambda model: Listwise(model, schedule=TournamentGraph(10), top=10),
    "top down": lambda model: Listwise(model, schedule=TopDown(10, 9)),
    "settled": lambda model: Listwise(model, schedule=UntilSettled(Sliding(20, 10)), top=10),
    "single shot": lambda model: Listwise(model, schedule=SingleShot()),
    "groups": lambda model: Groupwise(model, size=7, epochs=2, judge=Grades(high=1000)),
    "graded sets in a heap": lambda model: Setwise(model, judge=Grades(high=1000)),
    "graded pairs": lambda model: Pairwise(model, None, AllPairs(), Grades(high=1000)),
}  # fmt: skip
by_name = pytest.mark.parametrize("name", STAGES)


def worths(n: int, seed: int = 3) -> list[int]:
    import random

    return random.Random(seed).sample(range(3 * n), n)


def exact(name: str, n: int) -> int:
    stage: Any = STAGES[name](CostOnly())
    return stage.asks[1].exact(n, stage.first)


@by_name
@pytest.mark.parametrize("n", [1, 2, 9, 20, 45])
def test_a_judge_that_never_errs_gives_the_exact_places(name: str, n: int) -> None:
    worth = worths(n)
    stage: Any = STAGES[name](Oracle())
    ranking = stage.rerank("q", map(str, worth))
    best = sorted(range(n), key=lambda place: -worth[place])
    assert list(ranking.positions[: exact(name, n)]) == best[: exact(name, n)]
    assert sorted(ranking.positions) == list(range(n))
    assert not ranking.degraded


@by_name
@pytest.mark.parametrize("n", [0, 1, 30])
def test_a_dry_run_costs_what_the_formula_says(name: str, n: int) -> None:
    stage: Any = STAGES[name](CostOnly())
    judge, schedule = stage.asks
    usage = Engine().dry_run(stage, "q", [f"text {i}" for i in range(n)])
    width = schedule.width or 1
    calls = 2 * (width - 1) if judge.unit == "pair" else 2 if isinstance(judge, (Repeated, Thinking)) else 1
    assert usage.calls <= calls * schedule.calls(n, stage.first)
    if name in ("yes or no", "window", "groups", "all pairs", "single shot", "champion"):
        assert usage.calls == calls * schedule.calls(n, stage.first)


def test_all_pairs_are_n_times_n_minus_one_calls_in_one_round() -> None:
    oracle = Oracle()
    ranking = Pairwise(oracle, depth=None).rerank("q", map(str, worths(12)))
    assert ranking.usage.calls == 12 * 11
    assert ranking.usage.rounds == 1
    assert [r.score for r in ranking.kept] == list(map(float, range(11, -1, -1)))
    assert ranking.scale == FUSION


@by_name
def test_a_judge_that_says_nothing_leaves_the_order_and_every_candidate_is_named(name: str) -> None:
    class Silent:
        def _no(self, calls: list[Any]) -> list[Any]:
            return [Failure("error", "[3] > [2] > [1]") for _ in calls]

        generate = choice_logprobs = prompt_logprobs = classify = _no

    ranking = STAGES[name](Silent()).rerank("q", map(str, range(25)))
    assert ranking.positions == tuple(range(25))
    assert ranking.degraded
    stage = next(iter(ranking.monitors)).partition(".")[0]
    assert ranking.monitors[f"{stage}.degraded"] == 1.0
    named = {position for notice in ranking.warnings for position in notice.positions}
    assert named == set(range(25))


@by_name
@pytest.mark.parametrize("budget", [0, 1, 5, 17])
def test_a_spent_budget_ends_with_the_best_order_so_far(name: str, budget: int) -> None:
    ranking = Engine(max_calls=budget, cache=None).rerank(STAGES[name](Oracle()), "q", map(str, worths(30)))
    assert sorted(ranking.positions) == list(range(30))
    assert ranking.usage.calls <= budget
    assert ranking.degraded == bool(ranking.usage.failed)
    assert budget or ranking.degraded


def test_what_a_heap_found_before_the_budget_was_spent_stays_found() -> None:
    worth = worths(40)
    best = sorted(range(40), key=lambda place: -worth[place])
    three = Setwise(Oracle(), top=3).rerank("q", map(str, worth)).usage.calls
    ranking = Engine(max_calls=three).rerank(Setwise(Oracle(), top=10), "q", map(str, worth))
    assert list(ranking.positions[:3]) == best[:3]
    assert ranking.degraded


def test_a_cancelled_rerank_asks_no_more_and_is_whole() -> None:
    cancel = Cancellation()

    def answer(call: Any) -> str:
        if len(model.calls) == 3:
            cancel.cancel()
        return order(call, float)

    model = Chat(answer)
    ranking = Engine().rerank(Listwise(model), "q", map(str, worths(100)), cancel=cancel)
    assert sorted(ranking.positions) == list(range(100))
    assert len(model.calls) == 3
    assert ranking.degraded


def test_a_judge_with_a_favourite_place_sees_ties_and_the_order_stays() -> None:
    first = Function(lambda call: [-0.1, -5.0], "choice_logprobs")
    for schedule in (AllPairs(), SampledPairs(), Heap(2), Bubble(1), Champion()):
        ranking = Pairwise(first, None, schedule).rerank("q", list("abcdefgh"))
        assert ranking.positions == tuple(range(8)), schedule
        assert not ranking.degraded
        if schedule.answers == "preferences":
            assert ranking.monitors["pairwise.agreement"] == 0.0


def test_a_point_of_failure_is_one_notice_however_many_questions_failed() -> None:
    oracle = Oracle(flip=lambda asked: True)
    ranking = Setwise(oracle).rerank("q", map(str, range(40)))
    assert len(ranking.warnings) == 1
    assert "malformed: the answer named no passage" in str(ranking.warnings[0])


def test_groups_average_over_epochs_and_a_failed_group_is_left_out() -> None:
    ranking = Groupwise(Oracle(flip=lambda asked: asked in (1, 2)), size=5, epochs=2, judge=Grades(high=99)).rerank(
        "q", map(str, range(10))
    )
    assert [r.score for r in ranking.kept] == list(map(float, range(9, -1, -1)))
    assert ranking.scale == graded(0, 99)


def test_scales_of_the_named_rankers() -> None:
    texts = list(map(str, range(6)))
    oracle = Oracle()
    assert Pointwise(oracle).rerank("q", texts).scale == PROBABILITY
    assert QueryLikelihood(oracle).rerank("q", texts).scale == LOG_LIKELIHOOD
    assert Setwise(oracle).rerank("q", texts).scale == ORDINAL
    assert Setwise(oracle, None, Staged()).rerank("q", texts).scale == FUSION
    assert Listwise(oracle, schedule=Adaptive(3)).rerank("q", texts).scale == FUSION


def test_groupwise_fuses_with_the_first_stage() -> None:
    stage = Fuse((Groupwise(Oracle(), judge=Grades(high=100)), FirstStage()), weights=(0.6, 0.4), method="weighted")
    ranking = stage.rerank("q", [Candidate("0", score=100), Candidate("100", score=0), Candidate("50", score=50)])
    assert {r.position: r.score for r in ranking.kept} == pytest.approx({0: 0.4, 1: 0.6, 2: 0.5})
    assert ranking.monitors["groupwise.clean"] == 1.0


def test_first_stage_scores_are_scaled_over_the_whole_pool_not_the_window() -> None:
    seen: list[str] = []

    def answer(call: Any) -> str:
        seen.append(call.messages[-1].content)
        return order(call, len)

    candidates = [Candidate(f"text {i}", score=float(i)) for i in range(11)]
    Listwise(Chat(answer), window=4, stride=2, judge=Permutation(show=("score",))).rerank(
        "q", candidates, scores="similarity"
    )
    assert re.findall(r"score: (\d+)\n", seen[0]) == ["70", "80", "90", "100"]


def test_depth_leaves_the_tail_where_it_was() -> None:
    ranking = Setwise(Oracle(), depth=3).rerank("q", ["1", "3", "2", "9", "8"])
    assert ranking.positions == (1, 2, 0, 3, 4)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda m: Listwise(m, window=30, judge=Identifiers()), "at most 20"),
        (lambda m: Listwise(m, schedule=SingleShot(), judge=Identifiers()), "all candidates at once"),
        (lambda m: Listwise(m, judge=Identifiers("digits")), "at most 9"),
        (lambda m: Listwise(m, judge=Labels()), "use map"),
        (lambda m: Pointwise(m, judge=Permutation()), "one at a time"),
        (lambda m: Pointwise(m, judge=Preference()), "one at a time"),
        (lambda m: Groupwise(m, judge=Preference()), "all_pairs"),
        (lambda m: Setwise(m, None, Partition(1), Choice()), "one at a time"),
        (lambda m: Pairwise(m, None, AllPairs(), Labels()), "use map"),
        (lambda m: Pairwise(m, None, SampledPairs(), Preference()), r"by how much.*ties: false"),
        (lambda m: Pairwise(m, None, SampledPairs(), Preference("text", ties=False)), r"readout logprobs"),
        (lambda m: Pairwise(m, None, SampledPairs(), Thinking(Preference())), r"ties: false"),
    ],
)
def test_judges_that_do_not_fit_a_schedule_are_refused(make: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make(CostOnly())


def test_sampled_pairs_ask_by_how_much_unless_told_otherwise() -> None:
    """Bare wins of a few comparisons order badly; their default is the mean probability of both orders."""
    assert Pairwise(CostOnly(), schedule=SampledPairs()).asks[0] == Preference(ties=False)
    assert Pairwise(CostOnly()).asks[0] == Preference()
    values = [random.Random(7).gauss(0, 1) for _ in range(60)]
    texts = [f"{value:.6f}" for value in values]

    def preference(call: Any) -> Any:
        first, second = (float(n) for n in re.findall(r"-?\d+\.\d{6}", call.messages[-1].content))
        p = 1 / (1 + math.exp(second - first))
        return [math.log(p), math.log1p(-p)]

    stage = Pairwise(Function(preference, "choice_logprobs"), None, SampledPairs(), top=None)
    order = stage.rerank("q", texts).positions
    best = sorted(range(60), key=lambda i: -values[i])
    assert len(set(order[:10]) & set(best[:10])) >= 9


@pytest.mark.parametrize("make", [Pairwise, Setwise, Tournament, Groupwise, QueryLikelihood])
def test_a_model_without_the_needed_capability_is_refused_at_construction(make: Any) -> None:
    with pytest.raises(CapabilityError, match=make.__name__):
        make(object())
    with pytest.raises(CapabilityError, match="generate"):
        Pointwise(Function(lambda call: [0.0, 0.0], "choice_logprobs"), judge=Thinking(Labels()))


def test_scores_that_are_all_the_same_are_told_of() -> None:
    """A model that thinks first, or knows no label, gives every passage one score: the order then only looks judged."""
    same = Function(lambda call: [-1.0, -2.0], "choice_logprobs")
    ranking = Pointwise(same).rerank("q", [f"text {n}" for n in range(6)])
    assert ["all 6 scores are the same" in str(notice) for notice in ranking.warnings] == [True]
    assert not ranking.degraded
    assert not Pointwise(same).rerank("q", ["a", "b", "c"]).warnings
    assert not Pointwise(same).rerank("q", ["a"] * 6).warnings


class TestMonitors:
    def test_of_a_window_that_does_nothing(self) -> None:
        ranking = Listwise(Chat(lambda call: call.expect)).rerank("q", map(str, range(30)))
        assert ranking.monitors == {
            "listwise.clean": 1.0,
            "listwise.degraded": 0.0,
            "listwise.kendall_tau": 1.0,
            "listwise.identity": 1.0,
        }
        assert signs(ranking)["identity"] == 1.0

    def test_of_labels(self) -> None:
        ranking = Pointwise(Function(lambda call: [math.log(0.2), math.log(0.3)], "choice_logprobs")).rerank(
            "q", ["a", "b"]
        )
        assert ranking.monitors["pointwise.label_mass"] == pytest.approx(0.5)
        assert ranking.monitors["pointwise.score_variance"] == pytest.approx(0.0, abs=1e-12)

    def test_of_several_stages_stand_side_by_side(self) -> None:
        ranking = (Pointwise(Oracle()) | Listwise(Oracle(), depth=3)).rerank("q", map(str, range(8)))
        assert {name.partition(".")[0] for name in ranking.monitors} == {"pointwise", "listwise"}
        assert ranking.monitors["listwise.kendall_tau"] == 1.0
        assert ranking.monitors["pointwise.kendall_tau"] == -1.0

    def test_of_answers_that_are_half_malformed(self) -> None:
        model = Chat(lambda call: "No." if "0" in passages(call) else order(call, float))
        ranking = Listwise(model, window=4, stride=4).rerank("q", map(str, range(8)))
        assert ranking.monitors["listwise.degraded"] == 0.5
        assert signs(ranking)["unjudged"] == 0.5

    def test_signs_need_no_judge(self) -> None:
        ranking = FirstStage().rerank("q", [Candidate("a", score=1), Candidate("b", score=3)], scores="similarity")
        assert ranking.monitors == {}
        assert signs(ranking) == {"kendall_tau": -1.0, "identity": 0.0, "unjudged": 0.0, "score_variance": 1.0}

    def test_kendall_tau_agrees_with_scipy(self) -> None:
        stats = pytest.importorskip("scipy.stats")
        for seed in range(5):
            order_ = worths(40, seed)
            assert kendall_tau(order_) == pytest.approx(stats.kendalltau(range(40), order_).statistic)
        assert kendall_tau([]) == kendall_tau([5]) == 1.0
