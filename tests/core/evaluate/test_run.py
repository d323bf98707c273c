"""`evaluate`: what is run once, what an error costs, what is measured, and what comes out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.evaluations import kitchen
from tamis import CrossEncoder, Engine, FirstStage, Lexical, TopN
from tamis.errors import ConfigError
from tamis.evaluate import Result, evaluate
from tamis.evaluate.prediction import predict
from tamis.evaluate.systems import named
from tamis.evaluate.tree import shared
from tamis.evaluate.writing import as_data, spelling_notice, write_runs
from tamis.models import Function
from tamis.values.calls import Classify

NAMES = ("nDCG@10", "RR", "kept")


def counting(
    score: Callable[[Classify], float] = lambda call: float(len(call.text)),
) -> tuple[Function, list[Classify]]:
    asked: list[Classify] = []

    def answer(call: Classify) -> float:
        asked.append(call)
        return score(call)

    return Function(answer, "classify"), asked


def overlap(call: Classify) -> float:
    return float(len({*call.query.split()} & {*call.text.lower().split()}))


@pytest.fixture(scope="module")
def measured() -> Result:
    return evaluate({"lexical": Lexical(), "short": Lexical() | TopN(2)}, kitchen(), names=NAMES)


def test_the_first_stage_comes_first_and_the_bounds_last(measured: Result) -> None:
    (evaluation,) = measured.evaluations
    assert [system.name for system in evaluation.systems] == ["first stage", "lexical", "short", "oracle", "shuffled"]
    assert evaluation.system("oracle").means["nDCG@10"].mean == pytest.approx(1.0)
    assert evaluation.system("shuffled").means["nDCG@10"].mean < evaluation.system("lexical").means["nDCG@10"].mean
    assert evaluation.system("short").means["kept"].mean == 2.0


def test_every_query_keeps_its_values_and_its_ranking(measured: Result) -> None:
    (evaluation,) = measured.evaluations
    row = evaluation.system("lexical").rows["q1"]
    assert row.ranking is not None
    assert 0 < row.values["nDCG@10"] <= 1
    assert {c.id for c in row.ranking.candidates} == set(evaluation.dataset.corpus)
    frame = measured.frame()
    line = frame[(frame.system == "lexical") & (frame["query"] == "q1") & (frame.metric == "nDCG@10")]
    assert line.value.item() == row.values["nDCG@10"]


def test_systems_are_compared_with_the_first_stage_and_with_one_another(measured: Result) -> None:
    (evaluation,) = measured.evaluations
    pair = evaluation.comparison("lexical")
    turned = evaluation.comparison("lexical", "short")
    back = evaluation.comparison("short", "lexical")
    assert pair is not None
    assert turned is not None
    assert back is not None
    assert pair.n == 4
    assert pair.difference == pytest.approx(
        evaluation.system("lexical").means["nDCG@10"].mean - evaluation.system("first stage").means["nDCG@10"].mean
    )
    assert (turned.difference, turned.better, turned.worse) == (-back.difference, back.worse, back.better)


def test_what_pipelines_have_in_common_is_run_once() -> None:
    model, asked = counting()
    pipelines = {
        "all": CrossEncoder(model),
        "two": CrossEncoder(model) | TopN(2),
        "three": CrossEncoder(model) | TopN(3),
    }
    (evaluation,) = evaluate(pipelines, kitchen(), names=NAMES, engine={"cache": None}).evaluations
    assert len(asked) == 4 * 10
    assert [evaluation.system(name).usage.calls for name in pipelines] == [40, 40, 40]


def test_equal_stages_of_different_pipelines_are_one_node_and_others_are_not() -> None:
    one, other = counting()[0], counting()[0]
    tree = shared([("a", CrossEncoder(one) | TopN(1)), ("b", CrossEncoder(one)), ("c", CrossEncoder(other))])
    assert [len(node.children) for node in tree.walk()] == [2, 1, 0, 0]


def test_an_error_in_one_query_does_not_lose_the_others() -> None:
    def answer(call: Classify) -> float:
        if "knife" in call.query:
            raise AssertionError("boom")
        return overlap(call)

    class Picky:
        name = "picky"

        def classify(self, calls: list[Classify]) -> list[Any]:
            return [Function(answer, "classify").classify([call])[0] for call in calls]

    strict = Engine(on_failure="raise", retries=0)
    (evaluation,) = evaluate({"picky": CrossEncoder(Picky())}, kitchen(), names=NAMES, engine=strict).evaluations
    system = evaluation.system("picky")
    assert system.failed == 1
    failed = system.rows["q2"]
    assert failed.ranking is None
    assert failed.values == {}
    assert "DegradedError" in (failed.error or "")
    assert all(system.rows[query].values for query in ("q1", "q3", "q4"))
    assert system.means["nDCG@10"].n == 3


def test_an_error_that_every_query_would_meet_is_raised_at_once() -> None:
    class Broken:
        def classify(self, calls: list[Classify]) -> list[Any]:
            raise ConfigError("no weights at 'nowhere'")

    with pytest.raises(ConfigError, match="nowhere"):
        evaluate({"broken": CrossEncoder(Broken())}, kitchen(), names=NAMES)


def test_an_interrupted_run_goes_on_from_the_answers_on_disk(tmp_path: Path) -> None:
    cache = str(tmp_path / "answers.sqlite")

    class Counted:
        name, cache_key = "counted", "counted-1"

        def __init__(self, stop_after: int) -> None:
            self.left, self.asked = stop_after, 0

        def classify(self, calls: list[Classify]) -> list[Any]:
            if self.left < len(calls):
                raise KeyboardInterrupt
            self.left -= len(calls)
            self.asked += len(calls)
            return [Function(overlap, "classify").classify([call])[0] for call in calls]

    first = Counted(17)
    with pytest.raises(KeyboardInterrupt):
        evaluate({"ce": CrossEncoder(first)}, kitchen(), names=NAMES, engine={"cache": cache, "concurrency": 1})
    again = Counted(1000)
    (evaluation,) = evaluate({"ce": CrossEncoder(again)}, kitchen(), names=NAMES, engine={"cache": cache}).evaluations
    assert first.asked == 17
    assert again.asked == 40 - 17
    assert evaluation.system("ce").usage.cached == 17


def test_queries_at_the_same_time_give_the_same_values_as_one_at_a_time() -> None:
    def run(alone: int) -> dict[str, Any]:
        model, _ = counting(overlap)
        (evaluation,) = evaluate({"ce": CrossEncoder(model)}, kitchen(), names=NAMES, alone=alone).evaluations
        return {query: row.values for query, row in evaluation.system("ce").rows.items()}

    assert run(0) == run(2) == run(100)


def test_seconds_are_measured_alone_and_at_the_same_time() -> None:
    model, _ = counting()
    (evaluation,) = evaluate({"ce": CrossEncoder(model)}, kitchen(), names=NAMES, alone=1).evaluations
    speed = evaluation.system("ce").speed
    assert speed.alone == 1
    assert speed.p50 == speed.p95
    assert speed.throughput is not None
    assert speed.throughput > 0
    assert speed.peak_mib is None or speed.peak_mib > 1


def test_a_subset_of_queries_is_the_same_for_every_run() -> None:
    def ids(seed: int) -> list[str]:
        (evaluation,) = evaluate("lexical", kitchen(), names=NAMES, queries=2, seed=seed).evaluations
        return list(evaluation.query_ids)

    assert ids(1) == ids(1)
    assert len(ids(1)) == 2


def test_a_recorded_run_is_a_system_of_its_own(tmp_path: Path) -> None:
    run = tmp_path / "mine.trec"
    run.write_text("q1 Q0 p1 1 9.5 x\nq1 Q0 p3 2 9.1 x\nq2 Q0 p5 1 3 x\nq3 Q0 unknown 1 3 x\n", encoding="utf-8")
    (evaluation,) = evaluate([str(run)], kitchen(), names=NAMES).evaluations
    system = evaluation.system("mine")
    assert system.kind == "run"
    assert system.rows["q1"].ranking is not None
    assert [c.id for c in system.rows["q1"].ranking.candidates] == ["p1", "p3"]
    assert system.rows["q3"].values["nDCG@10"] == 0.0
    assert system.rows["q4"].values["nDCG@10"] == 0.0
    told = "\n".join(evaluation.notices)
    assert "1 queries have no results in mine.trec" in told
    assert "1 results of mine.trec are not in the corpus" in told


def test_progress_counts_every_query_and_stage() -> None:
    seen: list[tuple[int, int]] = []
    evaluate(
        {"a": Lexical() | TopN(3), "b": Lexical()},
        kitchen(),
        names=NAMES,
        on_progress=lambda done, total, what: seen.append((done, total)),
    )
    assert seen[-1] == (8, 8)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_names_of_systems() -> None:
    assert [s.name for s in named(["lexical", "mine=lexical", Lexical(), Lexical()])] == ["lexical", "mine", "Lexical", "Lexical (2)"]  # fmt: skip
    assert [s.name for s in named({"x": "lexical"})] == ["x"]
    assert [s.name for s in named("support.evaluations:stages_for_import")] == ["stages_for_import"]
    with pytest.raises(ConfigError, match="two systems are called 'x'"):
        named(["x=lexical", "x=default"])
    with pytest.raises(ConfigError, match="cannot import a pipeline from 'no.such:thing'"):
        named(["no.such:thing"])
    with pytest.raises(ConfigError, match="no run file at 'missing.tsv'"):
        named(["missing.tsv"])
    with pytest.raises(ConfigError, match="is taken"):
        evaluate({"oracle": Lexical()}, kitchen(), names=NAMES)


def test_an_unknown_metric_is_refused_before_anything_runs() -> None:
    model, asked = counting()
    with pytest.raises(ConfigError, match="nDGC"):
        evaluate({"ce": CrossEncoder(model)}, kitchen(), names=["nDGC@10"])
    assert asked == []


def test_a_dry_run_predicts_the_calls_of_the_real_one() -> None:
    model, asked = counting()
    stage = CrossEncoder(model, depth=7) | TopN(3)
    (prediction,) = predict({"ce": stage}, kitchen())
    assert asked == []
    (evaluation,) = evaluate({"ce": stage}, kitchen(), names=NAMES, engine={"cache": None}).evaluations
    assert prediction.usage.calls == len(asked) == evaluation.system("ce").usage.calls == 28
    assert prediction.usage.tokens_in == evaluation.system("ce").usage.tokens_in


def test_a_dry_run_needs_no_model() -> None:
    (prediction,) = predict(["rebel"], kitchen())
    assert prediction.usage.calls == 4
    assert prediction.usage.tokens_out > 0


def test_results_are_written_as_json_and_runs(measured: Result, tmp_path: Path) -> None:
    data = json.loads(json.dumps(as_data(measured), allow_nan=False))
    (dataset,) = data["datasets"]
    assert dataset["systems"][1]["means"]["nDCG@10"]["n"] == 4
    assert {pair["verdict"] for pair in dataset["comparisons"]} <= {"better", "worse", "no difference seen"}
    (evaluation,) = measured.evaluations
    paths = write_runs(evaluation, tmp_path)
    assert [path.name for path in paths] == ["kitchen.lexical.trec", "kitchen.short.trec"]
    (again,) = evaluate([str(paths[0])], kitchen(), names=NAMES).evaluations
    ours = evaluation.system("lexical").means["nDCG@10"].mean
    assert math.isclose(again.system("kitchen.lexical").means["nDCG@10"].mean, ours)


def test_the_first_stage_alone_can_be_measured() -> None:
    (evaluation,) = evaluate({"same": FirstStage()}, kitchen(), names=NAMES).evaluations
    pair = evaluation.comparison("same")
    assert pair is not None
    assert pair.difference == 0
    assert pair.verdict() == "no difference seen"


def test_runs_with_spaces_in_ids_are_written_so_that_tools_and_tamis_read_them_back(tmp_path: Path) -> None:
    import ir_measures

    plain = kitchen()
    spaced = replace(
        plain,
        questions={f"the {q}": replace(question, id=f"the {q}") for q, question in plain.questions.items()},
        corpus={f"50% {p}": replace(c, id=f"50% {p}") for p, c in plain.corpus.items()},
        qrels={f"the {q}": {f"50% {p}": g for p, g in found.items()} for q, found in plain.qrels.items()},
        run={f"the {q}": [(f"50% {p}", s) for p, s in found] for q, found in plain.run.items()},
    )
    (evaluation,) = evaluate({"lexical": Lexical()}, spaced, names=["nDCG@10"], bounds=False).evaluations
    run, qrels = write_runs(evaluation, tmp_path)
    assert "my%20id" in str(spelling_notice(evaluation))
    assert all(len(line.split()) == 6 for line in run.read_text(encoding="utf-8").splitlines())
    measured = ir_measures.calc_aggregate(
        [ir_measures.nDCG @ 10], ir_measures.read_trec_qrels(str(qrels)), ir_measures.read_trec_run(str(run))
    )
    mean = evaluation.system("lexical").means["nDCG@10"].mean
    assert measured[ir_measures.nDCG @ 10] == pytest.approx(mean)
    (again,) = evaluate({"recorded": str(run)}, spaced, names=["nDCG@10"], bounds=False).evaluations
    assert again.system("recorded").means["nDCG@10"].mean == pytest.approx(mean)
    assert any("written with percent signs" in notice for notice in again.notices)
    (evaluation,) = evaluate({"lexical": Lexical()}, plain, names=["nDCG@10"], bounds=False).evaluations
    assert spelling_notice(evaluation) is None
    assert len(write_runs(evaluation, tmp_path)) == 1
