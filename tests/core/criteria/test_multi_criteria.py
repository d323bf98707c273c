"""MultiCriteria: with and without a model, what comes back, and what is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from support.scripted import Chat, grades, passages
from tamis import Candidate, CrossEncoder, FirstStage, Lexical, MultiCriteria, Rebel, Threshold
from tamis.criteria import Authority, Coverage, Criterion, Depth, Diversity, Field, Incoming, Ranker, Recency
from tamis.errors import CapabilityError, ConfigError, ScaleError
from tamis.models import CostOnly, Function
from tamis.values.answers import Failure
from tamis.values.scale import ORDINAL, PROBABILITY, graded

STARS = Field("stars", low=0, high=5)


def hotel(score: float | None, stars: float | None = None) -> Candidate:
    return Candidate(f"{score} {stars}", score=score, metadata={} if stars is None else {"stars": stars})


def test_it_works_without_any_model() -> None:
    stage = Lexical() | MultiCriteria(
        criteria=[STARS, Recency(), Authority({"a": 1}), Depth(), Coverage(), Diversity()]
    )
    ranking = stage.rerank("quiet hotel", [{"text": "a quiet hotel", "metadata": {"stars": n}} for n in (1, 5)])
    assert ranking.positions == (1, 0)
    assert ranking.usage.calls == 0
    assert set(ranking.kept[0].criteria) == {
        "relevance", "field", "recency", "authority", "depth", "coverage", "diversity",
    }  # fmt: skip


def test_each_kept_candidate_carries_its_scores_on_the_criterias_own_ranges() -> None:
    stage = MultiCriteria(criteria=[Criterion("stars", max=4, weight=2, source=STARS)])
    ranking = stage.rerank("q", [hotel(1, 5), hotel(3, 0), hotel(2)])
    assert {r.text: (dict(r.criteria), r.score) for r in ranking.kept} == {
        "1 5": ({"relevance": 0, "stars": 4}, 8),
        "3 0": ({"relevance": 10, "stars": 0}, 10),
        "2 None": ({"relevance": 5, "stars": 2}, 9),
    }
    assert ranking.positions == (1, 2, 0)
    assert ranking.scale == graded(0, 18)


def test_what_is_unknown_even_to_the_source_comes_back_as_none_and_counts_as_the_middle() -> None:
    field = Field("stars", low=0, high=5, unknown=None)
    ranking = MultiCriteria(criteria=[Criterion("stars", source=field)]).rerank("q", [hotel(1)])
    assert ranking.kept[0].criteria == {"relevance": 10, "stars": None}
    assert ranking.kept[0].score == 10 + 0.5 * 2.5


@pytest.mark.parametrize(
    ("combine", "order", "scale"),
    [
        ("composite", (0, 1, 2), graded(0, 12.5)),
        ("normalised", (0, 1, 2), graded(0, 1)),
        ("weighted", (1, 0, 2), graded(0, 1)),
        ("lexicographic", (0, 1, 2), ORDINAL),
        ("pareto", (1, 0, 2), ORDINAL),
    ],
)
def test_every_combination_orders_and_declares_its_scale(combine: Any, order: tuple[int, ...], scale: Any) -> None:
    """Relevance 10 and no star; 7 and five stars; 0 and none."""
    stage = MultiCriteria(criteria=[Criterion("stars", source=STARS)], combine=combine)
    ranking = stage.rerank("q", [hotel(10, 0), hotel(7, 5), hotel(0, 0)])
    assert ranking.positions == order
    assert ranking.scale == scale


def test_a_combination_that_only_orders_refuses_a_threshold() -> None:
    stage = MultiCriteria(criteria=[STARS], combine="pareto")
    with pytest.raises(ScaleError, match="Threshold needs .* it gets ordinal scores from MultiCriteria"):
        stage | Threshold(1)


def test_the_gate_reads_the_incoming_score() -> None:
    probability = Function(lambda call: float(call.text), "classify", scale=PROBABILITY)
    ranking = (CrossEncoder(probability) | MultiCriteria(gate=3)).rerank("q", ["0.29", "0.3", "0.9"])
    assert ranking.positions == (2, 1)
    assert {d.position: d.why for d in ranking.dropped} == {0: "below_relevance_gate"}


def test_ties_go_by_the_named_criterion_then_relevance_then_order() -> None:
    stage = MultiCriteria(criteria=[Criterion("stars", weight=1, max=10, source=STARS)], tie_break="stars")
    ranking = stage.rerank("q", [hotel(10, 0), hotel(0, 5), hotel(5, 2.5), hotel(5, 2.5)])
    assert ranking.positions == (1, 2, 3, 0)
    worse_first = [hotel(0, 5), hotel(10, 0)]
    assert MultiCriteria(criteria=stage.criteria).rerank("q", worse_first, scores="similarity").positions == (1, 0)


def test_a_candidate_of_unknown_relevance_keeps_its_place_and_is_marked() -> None:
    ranking = MultiCriteria(criteria=[STARS]).rerank(
        "q", [hotel(None, 5), hotel(1, 1), hotel(2, 1)], scores="similarity"
    )
    assert ranking.positions == (0, 2, 1)
    assert ranking.kept[0].score is None
    assert ranking.degraded
    assert ranking.warnings[0].positions == (0,)


def test_rubric_criteria_stand_beside_others_and_all_come_back() -> None:
    model = Chat(lambda call: grades(call, lambda text: {"depth": len(text), "reason": f"says {text}"}))
    stage = MultiCriteria(model, criteria=["depth", STARS])
    ranking = stage.rerank("q", [Candidate("aaa", score=1, metadata={"stars": 5}), Candidate("a", score=1)])
    assert [(dict(r.criteria), r.reason) for r in ranking.kept] == [
        ({"relevance": 10, "depth": 3, "field": 5}, "says aaa"),
        ({"relevance": 10, "depth": 1, "field": 2.5}, "says a"),
    ]
    assert len(model.calls) == 1
    assert "relevance (0 to" not in model.calls[0].messages[-1].content


def test_without_reasons_none_are_asked_for() -> None:
    model = Chat(lambda call: grades(call, lambda text: {"relevance": 5}))
    ranking = Rebel(model, reasons=False).rerank("q", ["a"])
    assert "reason" not in json.dumps(model.calls[0].schema)
    assert ranking.kept[0].reason is None


def test_a_reason_given_earlier_is_kept_where_none_is_new() -> None:
    model = Chat(lambda call: grades(call, lambda text: {"relevance": 5, "reason": "because"}))
    ranking = (Rebel(model) | MultiCriteria(criteria=[STARS])).rerank("q", ["a"])
    assert ranking.kept[0].reason == "because"


def test_relevance_may_come_from_any_source() -> None:
    relevance = Criterion("relevance", weight=1, max=10, source=Ranker(FirstStage()))
    ranking = MultiCriteria(relevance=relevance, gate=5).rerank("q", [hotel(1), hotel(3), hotel(2)])
    assert ranking.positions == (1, 2)


def test_a_failing_source_of_relevance_degrades_and_keeps_the_order() -> None:
    model = Function(lambda call: Failure("error", "down"), "classify", scale=PROBABILITY)
    relevance = Criterion("relevance", max=10, source=Ranker(CrossEncoder(model)))
    ranking = MultiCriteria(relevance=relevance, gate=3).rerank("q", ["a", "b"])
    assert ranking.positions == (0, 1)
    (notice,) = ranking.warnings
    assert notice.positions == (0, 1)
    assert "down" in str(notice)


def test_a_failing_rubric_beside_known_relevance_says_so_and_ranks_by_the_rest() -> None:
    stage = MultiCriteria(Chat(lambda call: Failure("error", "down")), criteria=["depth", STARS])
    ranking = stage.rerank("q", [Candidate("a", score=1), Candidate("b", score=1, metadata={"stars": 5})])
    assert ranking.positions == (1, 0)
    assert ranking.degraded
    assert ranking.kept[0].criteria["depth"] is None


def test_titles_are_read_and_graded_passages_are_cut() -> None:
    model = Chat(lambda call: grades(call, lambda text: {"relevance": 5}))
    Rebel(model, passage_tokens=16).rerank("q", [Candidate("word " * 1_000, title="Title")])
    (shown,) = passages(model.calls[0])
    assert shown.startswith("Title\nword")
    assert len(shown) <= 64


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"criteria": ["dept"]}, r"unknown criterion 'dept'\. Did you mean 'depth'\?"),
        ({"criteria": ["coverage"]}, r"unknown criterion 'coverage'.*write \{coverage: \{\}\}"),
        ({"criteria": [{"recenci": {}}]}, "unknown criterion source 'recenci'. Did you mean 'recency'"),
        ({"criteria": [{"recency": {"half_life_days": -1}}]}, r"half_life_days.*greater than 0 \(got -1\)"),
        ({"criteria": [{"name": "x", "wait": 1}]}, r"wait: Unexpected keyword argument \(got 1\)"),
        ({"criteria": ["depth"]}, "depth is judged by a language model; none was given. Pass model="),
        ({"criteria": [STARS, STARS]}, r"different names, got \['relevance', 'field', 'field'\]"),
        ({"criteria": [Criterion("relevance", source=STARS)]}, "different names"),
        (
            {"criteria": [STARS], "tie_break": "star"},
            r"tie_break 'star' is none of the criteria \['relevance', 'field'\]",
        ),
        ({"combine": "sum"}, r"combine: Input should be 'composite'.* \(got 'sum'\)"),
        ({"relevance": Criterion("relevance")}, "relevance is judged by a language model"),
        ({"relevance": Criterion("r", weight=0, source=Incoming())}, "weigh"),
        ({"batch_size": 0}, r"batch_size.*\(got 0\)"),
        ({"passage_tokens": 3}, r"passage_tokens.*\(got 3\)"),
        ({"depth": 0}, r"depth.*\(got 0\)"),
        ({"gate": "high"}, r"gate.*\(got 'high'\)"),
        ({"gate": math.nan}, r"gate.*\(got nan\)"),
    ],
)
def test_what_cannot_work_is_refused_at_once_naming_value_and_remedy(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        MultiCriteria(**options)
    message = str(refused.value)
    assert message.startswith("MultiCriteria: ")
    assert message.count("MultiCriteria:") == 1
    assert "literal[" not in message
    assert "function-before" not in message
    assert "\n" not in message


def test_a_model_that_cannot_write_is_refused() -> None:
    with pytest.raises(CapabilityError, match="Rebel needs a model that can `generate`; Function can: classify"):
        Rebel(Function(len, "classify"))


@pytest.mark.parametrize("model", [None, "gpt-5"])
def test_a_model_that_is_none_is_refused_with_the_remedy(model: Any) -> None:
    with pytest.raises(ConfigError, match="model"):
        Rebel(model)


def test_rebel_takes_other_criteria_and_breaks_ties_by_authoritativeness_only_where_it_is_judged() -> None:
    assert Rebel(CostOnly(), criteria=["depth"]).tie_break is None
    assert Rebel(CostOnly(), criteria=["depth", "authoritativeness"]).tie_break == "authoritativeness"
    assert Rebel(CostOnly(), criteria="infer").tie_break is None
