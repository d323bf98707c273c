"""Metrics by the names people type."""

from __future__ import annotations

import pytest

from support.evaluations import kitchen
from tamis.errors import ConfigError
from tamis.evaluate import evaluate
from tamis.evaluate.metric_names import canonical
from tamis.evaluate.metrics import DEFAULT_METRICS, check


@pytest.mark.parametrize(
    ("typed", "metric"),
    [
        *((name, "nDCG@10") for name in ("ndcg@10", "nDCG@10", "NdCg@10", "ndcg_cut_10", "ndcg-10", "ndcg10", "ndcg @ 10")),
        *((name, "RR") for name in ("mrr", "rr", "recip_rank", "Mean Reciprocal Rank", "reciprocal_rank")),
        *((name, "RR@10") for name in ("mrr@10", "Mrr@10", "rr_10", "mrr@k=10")),
        *((name, "AP") for name in ("map", "Map", "ap", "average_precision", "mean-average-precision")),
        ("map@100", "AP@100"),
        ("MAP", "AP"),
        ("MRR@10", "RR@10"),
        ("NDCG@10", "nDCG@10"),
        ("Recall@100", "R@100"),
        *((name, "R@100") for name in ("recall@100", "r@100", "recall_100", "RECALL@100")),
        *((name, "P@5") for name in ("precision@5", "p@5", "P_5", "prec@5")),
        *((name, "Success@5") for name in ("hit_rate@5", "HitRate@5", "hit-rate@5", "hit rate@5", "hits@5", "success@5")),
        ("kept_f1", "kept_F1"),
        ("mrr_all", "MRR_all"),
        ("R-precision", "Rprec"),
        ("judged@10", "Judged@10"),
        ("mhits@3", "MHits@3"),
    ],
)  # fmt: skip
def test_names_in_use_elsewhere_are_understood(typed: str, metric: str) -> None:
    assert canonical(typed) == metric
    check([metric])


@pytest.mark.parametrize(
    "name", [*DEFAULT_METRICS, "P(rel=2)@10", "metadata:kind=a@3", "criterion:depth", "nDCG(dcg='exp-log2')@10"]
)
def test_names_that_are_right_stay_as_they_are(name: str) -> None:
    assert canonical(name) == name


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("ndgc@10", "Did you mean 'nDCG@10'?"),
        ("recal@5", "Did you mean 'R@5'?"),
        ("hitrat@3", "Did you mean 'Success@3'?"),
        ("f1", "Did you mean 'kept_F1'?"),
        ("accuracy@1", "Did you mean 'Success@1'?"),
        ("hit_rate", "needs a cut-off, such as Success@10"),
        ("something", "Known are, among others: nDCG@10"),
    ],
)
def test_others_are_suggested(typed: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check([canonical(typed)])
    assert message in str(raised.value)
    assert len(str(raised.value)) < 250


def test_results_are_found_under_the_name_that_was_typed() -> None:
    (evaluation,) = evaluate(["lexical"], kitchen(), names=["ndcg@10", "nDCG@10", "mrr"], bounds=False).evaluations
    assert list(evaluation.metrics) == ["nDCG@10", "RR"]
    means = evaluation.system("lexical").means
    assert means["ndcg@10"] == means["nDCG@10"]
    assert means["mrr"] == means["RR"]
    with pytest.raises(KeyError):
        means["recall@10"]
