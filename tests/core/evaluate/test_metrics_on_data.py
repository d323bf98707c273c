"""The numbers recorded for real test sets: their first stages, and the best order of each pool."""

from __future__ import annotations

import csv
import json
from functools import cache
from statistics import fmean, stdev

import pytest

from support.places import DATA
from tamis.evaluate import read
from tamis.evaluate.dataset import Dataset
from tamis.evaluate.metrics import Values, oracle, shuffled_values, values
from tamis.values.ranking import Ranking

SETS = ("dl19", "nfcorpus", "scifact", "cacm", "npl", "medquad_gov", "ramdocs", "hotpot200", "squad2_500", "nq_gold300")
RELEVANT_FROM = {"dl19": 2}
NAMES = {"nDCG@10": "ndcg10", "R@100": "recall100", "RR@10": "mrr10"}
pytestmark = pytest.mark.data


@cache
def loaded(name: str) -> tuple[Dataset, dict[str, Ranking]]:
    """A set and the pool of every query, those without results included: the recorded means count them as 0."""
    if not (DATA / name).is_dir():
        pytest.skip(f"needs the test set {name}: set TAMIS_DATA to the folder of test sets")
    dataset = read(DATA / name, relevant_from=RELEVANT_FROM.get(name, 1))
    return dataset, {i: Ranking.of(q.query, dataset.pool(i, 100)) for i, q in dataset.questions.items()}


def manifest(name: str) -> dict[str, str]:
    with (DATA / "MANIFEST.tsv").open(encoding="utf-8") as file:
        return next(row for row in csv.DictReader(file, delimiter="\t") if row["name"] == name)


def mean(found: Values, name: str) -> float:
    return fmean(row[name] for row in found.values() if name in row)


@pytest.mark.parametrize("name", SETS)
def test_a_first_stage_gets_its_recorded_values(name: str) -> None:
    dataset, pools = loaded(name)
    recorded = json.loads((DATA / name / "stats.json").read_text(encoding="utf-8"))["runs"]["run"]
    found = values(list(NAMES), dataset, pools)
    assert {column: round(mean(found, metric), 4) for metric, column in NAMES.items()} == {
        column: recorded[column] for column in NAMES.values()
    }
    assert sum("nDCG@10" in row for row in found.values()) == recorded["n"]


@pytest.mark.parametrize("name", SETS)
def test_the_best_order_gets_its_recorded_value(name: str) -> None:
    dataset, pools = loaded(name)
    best = values(["nDCG@10"], dataset, {query: oracle(ranking, dataset, query) for query, ranking in pools.items()})
    assert round(mean(best, "nDCG@10"), 4) == float(manifest(name)["oracle_ndcg10"])


@pytest.mark.parametrize("name", ["dl19", "cacm", "npl", "ramdocs"])
def test_random_orders_agree_with_the_recorded_one(name: str) -> None:
    dataset, pools = loaded(name)
    orders = [mean(shuffled_values(["nDCG@10"], dataset, pools, seed=s, repeats=1), "nDCG@10") for s in range(10)]
    # What is recorded is one random order, as far from the mean as any of ours may be.
    assert fmean(orders) == pytest.approx(float(manifest(name)["random_ndcg10"]), abs=4 * stdev(orders))


def test_without_the_misinformation_of_ramdocs_no_answer_is_lost_and_wrong_ones_are_rare() -> None:
    dataset, pools = loaded("ramdocs")
    correct = {
        query: ranking.drop("policy_cut", lambda index, ranked: ranked.candidate.metadata["type"] != "correct")
        for query, ranking in pools.items()
    }
    names = ["answers", "wrong_answers", "metadata:type=misinfo"]
    before, after = (values(names, dataset, rankings) for rankings in (pools, correct))
    assert mean(before, "answers") == mean(after, "answers") > 0.9
    assert mean(before, "metadata:type=misinfo") > mean(after, "metadata:type=misinfo") == 0.0
    assert mean(after, "wrong_answers") < mean(before, "wrong_answers") / 2
