"""Lists scored together, by a function and by real modules of torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tamis import CrossEncoder, Engine, Groupwise, Listwise, Threshold, load
from tamis.engine.cache import DiskCache
from tamis.errors import CapabilityError, ConfigError
from tamis.judges import Joint
from tamis.models import CostOnly, Function, ListReranker
from tamis.values.answers import Failure, Scores
from tamis.values.calls import ScoreList
from tamis.values.scale import COSINE, PROBABILITY

TEXTS = [f"text {number}" for number in range(12)]


def numbers(call: ScoreList) -> list[int]:
    return [int(text.split()[1]) for text in call.texts]


def beaten(call: ScoreList) -> list[float]:
    """The share of the list that each text beats: of no use outside its list."""
    found = numbers(call)
    return [sum(other < number for other in found) / len(found) for number in found]


def test_a_list_that_fits_is_one_call_and_its_scores_are_the_models() -> None:
    asked: list[ScoreList] = []

    def score(call: ScoreList) -> list[float]:
        asked.append(call)
        return beaten(call)

    model = Function(score, "score_list", scale=PROBABILITY)
    ranking = Groupwise(model, size=64, judge=Joint()).rerank("q", TEXTS)
    assert asked == [ScoreList(model, "q", tuple(TEXTS))]
    assert ranking.positions == tuple(reversed(range(12)))
    assert ranking.kept[0].score == pytest.approx(11 / 12)
    assert ranking.scale == PROBABILITY
    kept = (Groupwise(model, size=64, judge=Joint()) | Threshold(0.5)).rerank("q", TEXTS).positions
    assert kept == (11, 10, 9, 8, 7, 6)


def test_longer_lists_are_scored_in_mixed_groups_or_ordered_in_overlapping_windows() -> None:
    """Scores that compare within a list only tell groups apart badly; windows need but the order."""
    model = Function(beaten, "score_list")
    groups = Groupwise(model, size=4, judge=Joint()).rerank("q", TEXTS)
    assert groups.usage.calls == 3
    assert len({ranked.score for ranked in groups.kept}) == 4
    windows = Listwise(model, window=4, stride=2, judge=Joint()).rerank("q", TEXTS)
    assert windows.positions[:2] == (11, 10)
    assert windows.usage.calls == 5


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([0.1, 0.2], "2 scores for 3 candidates"),
        ([], "0 scores for 3 candidates"),
        ("abc", "a score_list function gave str"),
        (0.5, "a score_list function gave float"),
        (Failure("error", "too long"), "too long"),
    ],
)
def test_an_answer_for_another_list_is_no_score(answer: Any, why: str) -> None:
    ranking = Groupwise(Function(lambda call: answer, "score_list"), judge=Joint()).rerank("q", TEXTS[:3])
    assert ranking.positions == (0, 1, 2)
    assert ranking.warnings[0].positions == (0, 1, 2)
    assert why in ranking.warnings[0].message


def test_a_text_without_a_number_keeps_its_place() -> None:
    model = Function(lambda call: [0.1, float("nan"), 0.3], "score_list")
    ranking = Groupwise(model, judge=Joint()).rerank("q", TEXTS[:3])
    assert ranking.positions == (2, 1, 0)
    assert ranking.warnings[0].positions == (1,)


def test_it_is_asked_of_models_that_can() -> None:
    with pytest.raises(CapabilityError, match="needs a model that can `score_list`; Function can: classify"):
        Groupwise(Function(lambda call: 1.0, "classify"), judge=Joint())
    with pytest.raises(CapabilityError, match="`classify`"):
        CrossEncoder(Function(beaten, "score_list"))


def test_tokens_of_all_texts_are_counted() -> None:
    stage = load("jina-reranker-v3", models={"list_reranker": CostOnly()})
    used = Engine(cache=None).dry_run(stage, "four", ["x" * 40] * 100)
    assert (used.calls, used.rounds) == (2, 1)
    assert used.tokens_in == 2 * 1 + 100 * 10


def test_answers_are_kept_on_disk(tmp_path: Path) -> None:
    kept = DiskCache(tmp_path / "answers.sqlite")
    kept.put(b"key", Scores((0.5, -1.0), tokens_in=3))
    assert kept.get(b"key") == Scores((0.5, -1.0), tokens_in=3)


MODULE = '''
import torch
from transformers import PretrainedConfig, PreTrainedModel


class TinyConfig(PretrainedConfig):
    model_type = "tiny-list"


class TinyList(PreTrainedModel):
    """Bytes to vectors; the query and all documents look at one another before they are compared."""

    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        self.letters = torch.nn.Embedding(256, 16)
        self.look = torch.nn.MultiheadAttention(16, 2, batch_first=True)
        self.post_init()

    def rerank(self, query, documents):
        rows = [self.letters(torch.tensor(list(text.encode()))).mean(0) for text in [query, *documents]]
        seen = torch.stack(rows)[None]
        seen = (seen + self.look(seen, seen, seen)[0])[0]
        scores = torch.cosine_similarity(seen[:1], seen[1:]).tolist()
        found = [{"document": d, "index": i, "relevance_score": s} for i, (d, s) in enumerate(zip(documents, scores))]
        return sorted(found, key=lambda result: -result["relevance_score"])
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real weights with code of their own, saved as on a hub."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    found = tmp_path_factory.mktemp("tiny-list")
    (found / "modeling_tiny.py").write_text(MODULE, encoding="utf-8")
    made: dict[str, Any] = {"__name__": "modeling_tiny"}
    exec(compile(MODULE, "modeling_tiny.py", "exec"), made)
    torch.manual_seed(0)
    config = made["TinyConfig"]()
    config.auto_map = {"AutoConfig": "modeling_tiny.TinyConfig", "AutoModel": "modeling_tiny.TinyList"}
    made["TinyList"](config).save_pretrained(found)
    return found


@pytest.fixture
def own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that comes with weights is copied here, not to the user's cache."""
    import transformers.dynamic_module_utils as dynamic

    monkeypatch.setattr(dynamic, "HF_MODULES_CACHE", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("own_modules")
def test_a_checkpoint_with_code_of_its_own_scores_each_text_in_view_of_the_others(folder: Path) -> None:
    model = ListReranker(folder, device="cpu", trust_remote_code=True, scale=COSINE)
    stage = Groupwise(model, size=64, judge="joint")  # type: ignore[arg-type]
    ranking = stage.rerank("q", TEXTS[:5])
    expected = {r["index"]: r["relevance_score"] for r in model._network.rerank("q", TEXTS[:5])}
    assert {r.position: r.score for r in ranking.kept} == pytest.approx(expected)
    assert ranking.scale == COSINE
    alone = {position: stage.rerank("q", [text]).kept[0].score for position, text in enumerate(TEXTS[:5])}
    assert alone[0] != pytest.approx(expected[0], abs=1e-5), "the others change a text's score"
    given = Groupwise(ListReranker(model._network), judge=Joint()).rerank("q", TEXTS[:5])
    assert given.positions == ranking.positions
    assert load(stage.to_data(), allow={"code", "files"}) == stage


@pytest.mark.usefixtures("own_modules")
def test_code_that_comes_with_weights_does_not_run_unasked(folder: Path) -> None:
    with pytest.raises(ConfigError, match="trust_remote_code"):
        Groupwise(ListReranker(folder), judge=Joint()).rerank("q", TEXTS)


def test_a_model_without_the_method_is_refused_with_the_reason() -> None:
    with pytest.raises(ConfigError, match=r"object\) has no method `rerank`.*trust_remote_code=True"):
        Groupwise(ListReranker(object()), judge=Joint()).rerank("q", TEXTS)


class Wrong:
    def __init__(self, results: Any) -> None:
        self.rerank = lambda query, documents: results


@pytest.mark.parametrize(
    ("results", "why"),
    [
        ([{"index": 0, "relevance_score": 1.0}], r"scores for documents \[0\] of 2"),
        ([{"index": 1, "relevance_score": 1.0}, {"index": 2, "relevance_score": 0.0}], r"\[1, 2\] of 2"),
        ([{"index": 0}, {"index": 1}], "no index and relevance_score"),
        (None, "no index and relevance_score"),
    ],
)
def test_results_that_are_not_one_a_document_are_a_failure(results: Any, why: str) -> None:
    (answer,) = ListReranker(Wrong(results)).score_list([ScoreList(None, "q", ("a", "b"))])
    assert isinstance(answer, Failure)
    assert re.search(why, answer.message)
