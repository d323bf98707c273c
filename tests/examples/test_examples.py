"""The demo's parts on a slice of the corpus, with the real models and the real frameworks."""

from __future__ import annotations

import pydoc
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

DOCUMENTED_LATER = {
    "asyncio.timeouts.Timeout",
    "asyncio.taskgroups.TaskGroup",
    "asyncio.taskgroups.TaskGroup.create_task",
}
EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

from questions import load_questions, ndcg  # noqa: E402
from stdlib_corpus import Passage, load_corpus  # noqa: E402


@pytest.fixture(scope="module")
def corpus() -> dict[str, Passage]:
    return {passage.id: passage for passage in load_corpus()}


def test_the_corpus_has_thousands_of_passages_with_metadata(corpus: dict[str, Passage]) -> None:
    assert len(corpus) > 5_000
    assert {"module", "kind", "public", "deprecated", "length", "python"} <= set(corpus["json.dumps"].metadata)


def test_every_full_answer_is_in_this_pythons_corpus(corpus: dict[str, Passage]) -> None:
    """Judged passages with grade 1 or 0 may be gone from newer versions."""
    questions = load_questions(set(corpus))
    every = load_questions(_judged_ids())
    assert len(questions) >= 40
    for here, there in zip(questions, every, strict=True):
        missing = [i for i, grade in there.grades.items() if grade >= 2 and i not in here.grades]
        assert all(map(_without_docstring, missing)), f"{here.id}: {missing}"
        assert max(here.grades.values()) == 3 or missing


def _without_docstring(name: str) -> bool:
    """Whether it is in this Python, but not documented yet: so in early releases of 3.11."""
    return name in DOCUMENTED_LATER and not getattr(pydoc.locate(name), "__doc__", None)


def _judged_ids() -> set[str]:
    lines = (EXAMPLES / "data" / "judgements.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return {line.split("\t")[1] for line in lines}


def test_no_script_shares_its_name_with_another_or_with_an_installed_package() -> None:
    """They are imported by name alone, so that whichever folder comes first on the path would win."""
    scripts = [path.stem for folder in ("examples", "benchmarks") for path in (EXAMPLES.parent / folder).glob("*.py")]
    assert len(scripts) == len(set(scripts))
    assert not set(scripts) & set(packages_distributions())


def test_ndcg_by_hand() -> None:
    """Gains 7 and 3: (7 / log2(3)) / (7 + 3 / log2(3))."""
    assert ndcg(["x", "a"], {"a": 3, "b": 2}) == pytest.approx(4.41651 / 8.89279, abs=1e-5)
    assert ndcg([], {"a": 3}) == 0.0


@pytest.mark.model
@pytest.mark.timeout(300)
def test_every_framework_gives_its_generator_reranked_context(
    corpus: dict[str, Passage], tmp_path_factory: pytest.TempPathFactory, onnx_cross_encoder_folder: Path
) -> None:
    from bundled_models import Embedder, cross_encoder
    from with_haystack import HaystackSearch
    from with_langchain import LangChainSearch
    from with_llamaindex import LlamaIndexSearch

    questions = load_questions(set(corpus))[:8]
    judged = {passage for question in questions for passage in question.grades}
    passages = [p for n, p in enumerate(corpus.values()) if p.id in judged or n % 40 == 0]
    embedder = Embedder([f"{p.title}\n{p.text}" for p in passages], tmp_path_factory.mktemp("vectors"))
    model, pipeline = cross_encoder(), str(EXAMPLES / "beyond_relevance.yaml")
    searches: list[Any] = [
        LlamaIndexSearch(passages, embedder, 20),
        LangChainSearch(passages, embedder, 20),
        HaystackSearch(passages, 20),
    ]
    for search in searches:
        outcomes = [search.after(q.text, pipeline, 10, cross_encoder=model) for q in questions]
        quality = sum(ndcg(outcome.ids, q.grades) for outcome, q in zip(outcomes, questions, strict=True))
        assert quality / len(questions) > 0.4, search.name
        assert all(set(o.ids) <= set(search.before(q.text)) for o, q in zip(outcomes, questions, strict=True))
        assert all(outcome.calls == 20 and not outcome.warnings for outcome in outcomes)
        assert {"relevance", "public", "up to date", "depth"} <= set(outcomes[0].context[0].criteria)


@pytest.mark.model
@pytest.mark.timeout(300)
def test_dynamic_k_is_the_same_in_every_framework(
    corpus: dict[str, Passage], tmp_path_factory: pytest.TempPathFactory, onnx_cross_encoder_folder: Path
) -> None:
    import dynamic_k_with_haystack
    import dynamic_k_with_langchain
    import dynamic_k_with_llamaindex
    import fixed_or_dynamic

    questions = [q for q in load_questions(set(corpus)) if q.id in ("q02", "q04", "q08", "q27", "q64")]
    judged = {passage for question in questions for passage in question.grades}
    passages = [p for n, p in enumerate(corpus.values()) if p.id in judged or n % 300 == 0]
    setting, told = fixed_or_dynamic.prepare(passages, questions, tmp_path_factory.mktemp("demo"), depth=10)
    assert len(told) == 3
    assert all("On the 3 judged questions" in line for line in told)
    one, many = (question.text for question in questions if question.id in fixed_or_dynamic.NEEDS)
    none = next(iter(fixed_or_dynamic.UNANSWERED))
    modules = (dynamic_k_with_llamaindex, dynamic_k_with_langchain, dynamic_k_with_haystack)
    given = [tuple(list(ask(q)) for ask in module.build(setting) for q in (one, many, none)) for module in modules]
    assert given[0] == given[1] == given[2]
    fixed, dynamic = given[0][:3], given[0][3:]
    assert [len(ids) for ids in fixed] == [setting.k] * 3
    assert dynamic[0] == ["heapq.merge"]
    assert len(dynamic[1]) > 1
    assert dynamic[2] == []
    asks = (lambda question: fixed[0], lambda question: [])
    shown = fixed_or_dynamic.table("LlamaIndex", setting, questions, *asks)
    assert list(shown.columns[-1].cells) == ["100%"] * 5
