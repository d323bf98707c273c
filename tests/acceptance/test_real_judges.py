"""Every judge kind on TREC DL19 with a language model of your own: opt in with TAMIS_REAL_LLM=path/to/model.gguf.

Twenty BM25 candidates of each of TAMIS_REAL_QUERIES queries (2) go through text, probabilities and structured answers,
over HTTP on loopback (llama.cpp) and, with TAMIS_REAL_TRANSFORMERS=1, in this process with transformers, which unpacks
the weights to float32. Run it alone, as two models on the same cores slow each other down many times:

    TAMIS_REAL_LLM=model.gguf TAMIS_DATA=... python -m pytest tests/acceptance/test_real_judges.py -s
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from support.fixtures import served
from tamis import Engine, Groupwise, Listwise, Pairwise, Pointwise, QueryLikelihood, Setwise, Stage
from tamis.calls import ChoiceLogprobs, Logprobs
from tamis.judges import Choice, Grades, Identifiers, Labels, Permutation, Preference, Thinking
from tamis.schedules import Champion

WEIGHTS = os.environ.get("TAMIS_REAL_LLM", "")
QUERIES = int(os.environ.get("TAMIS_REAL_QUERIES", "2"))
DATA = Path(os.environ.get("TAMIS_DATA", Path(__file__).parents[3] / "shared" / "data"))
CANDIDATES, CONTEXT = 20, 16384
pytestmark = [
    pytest.mark.model,
    pytest.mark.data,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not WEIGHTS, reason="opt in with TAMIS_REAL_LLM=path/to/model.gguf"),
]

LOGITS: dict[str, Callable[[Any], Stage]] = {
    "labels": lambda m: Pointwise(m),
    "graded labels": lambda m: Pointwise(m, judge=Labels(("0", "1", "2", "3"), (0, 1, 2, 3), "expected")),
    "pairs": lambda m: Pairwise(m, None, Champion(), Preference(ties=False), top=1),
    "identifiers": lambda m: Listwise(m, judge=Identifiers()),
}
TEXT: dict[str, Callable[[Any], Stage]] = {
    "permutation": lambda m: Listwise(m, judge=Permutation(passage_tokens=128)),
    "choice": lambda m: Setwise(m, judge=Choice(passage_tokens=128), top=3),
    "thinking": lambda m: Listwise(m, window=5, stride=3, judge=Thinking(Permutation(passage_tokens=128), budget=64)),
}
STRUCTURED: dict[str, Callable[[Any], Stage]] = {
    "grades": lambda m: Groupwise(m, size=5, judge=Grades(passage_tokens=128)),
}


@pytest.fixture(scope="module")
def queries() -> list[tuple[Any, list[Any], dict[str, int]]]:
    from tamis.evaluate import read

    if not (DATA / "dl19").is_dir():
        pytest.skip("needs dl19 of the test sets in $TAMIS_DATA")
    found = read(DATA / "dl19")
    ids = found.sample(QUERIES, seed=1)
    return [(found.questions[i].query, found.pool(i, CANDIDATES), dict(found.qrels[i])) for i in ids]


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


def ndcg(ids: list[str], grades: dict[str, int]) -> float:
    def gain(ordered: list[int]) -> float:
        return sum(float(2**grade - 1) / math.log2(place + 2) for place, grade in enumerate(ordered[:10]))

    best = gain(sorted(grades.values(), reverse=True))
    return gain([grades.get(i, 0) for i in ids]) / best if best else 0.0


def check(name: str, stage: Stage, queries: list[Any]) -> None:
    """Nothing lost, nothing invented, no call failed, what went wrong told; the numbers are for the eye (`-s`)."""
    rankings = Engine(cache=None).rerank_many(stage, [_ranking(q, pool) for q, pool, _ in queries])
    for ranking in rankings:
        assert sorted(ranking.positions) == list(range(CANDIDATES))
        assert ranking.usage.failed == 0
        assert ranking.usage.tokens_in > 0
        kind = next(iter(ranking.monitors)).partition(".")[0]
        assert ranking.degraded == (ranking.monitors[f"{kind}.degraded"] > 0)
        if "label_mass" in ranking.monitors:
            assert 0 < ranking.monitors[f"{kind}.label_mass"] <= 1
    found = [
        ndcg([str(r.candidate.id) for r in ranking.kept], g)
        for ranking, (_, _, g) in zip(rankings, queries, strict=True)
    ]
    first = [ndcg([str(c.id) for c in pool], grades) for _, pool, grades in queries]
    signs = {key.partition(".")[2]: round(value, 2) for key, value in rankings[0].monitors.items()}
    print(f"\n{name}: nDCG@10 {fmean(first):.3f} -> {fmean(found):.3f}, {rankings[0].usage.calls} calls, {signs}")


def _ranking(query: Any, pool: list[Any]) -> Any:
    from tamis import Ranking

    return Ranking.of(query, pool)


@pytest.mark.parametrize("name", [*LOGITS, *TEXT, *STRUCTURED])
def test_over_http(name: str, over_http: Any, queries: list[Any]) -> None:
    check(f"{name} over HTTP", {**LOGITS, **TEXT, **STRUCTURED}[name](over_http), queries)


@pytest.mark.parametrize("name", [*LOGITS, *TEXT, "query likelihood"])
def test_in_process(name: str, in_process: Any, queries: list[Any]) -> None:
    stages = {**LOGITS, **TEXT, "query likelihood": lambda m: QueryLikelihood(m)}
    check(f"{name} with transformers", stages[name](in_process), queries)


def test_the_labels_of_all_judges_are_single_tokens(in_process: Any) -> None:
    for labels in (
        ("Yes", "No"),
        ("yes", "no"),
        ("true", "false"),
        ("0", "1", "2", "3"),
        tuple("ABCDEFGHIJKLMNOPQRST"),
    ):
        in_process.verify_labels(labels)


def test_a_batch_scores_as_its_members_do(in_process: Any, queries: list[Any]) -> None:
    (query, pool, _), *_ = queries
    judge = Labels()
    from tamis.judges import Asked
    from tamis.ranking import Ranked

    calls = [judge.call(Asked(in_process, query, (Ranked(c, place),))) for place, c in enumerate(pool[:8])]
    together = in_process.choice_logprobs(calls)
    for call, answer in zip(calls, together, strict=True):
        assert isinstance(call, ChoiceLogprobs)
        (alone,) = in_process.choice_logprobs([call])
        assert isinstance(alone, Logprobs)
        assert answer.values == pytest.approx(alone.values, abs=1e-3)
