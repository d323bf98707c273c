"""What an engine remembers of a live object's answers ends with the process: they never reach a disk."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tamis import CrossEncoder, Embedding, Engine, LateInteraction, Pipeline, Ranking, Stage
from tamis.engine import DiskCache, MemoryCache
from tamis.values.answers import Generated, Score, TokenVectors, Vector
from tamis.values.calls import Classify, Embed, EmbedTokens

TEXTS = ["a", "bb", "ccc"]


class Letters:
    """Answers by the length of a text, counts the calls, and has the `cache_key` it is made with."""

    max_batch = 8

    def __init__(self, cache_key: str) -> None:
        self.cache_key = cache_key
        self.asked = 0

    def classify(self, calls: Sequence[Classify]) -> list[Score]:
        self.asked += len(calls)
        return [Score(float(len(call.text))) for call in calls]

    def embed(self, calls: Sequence[Embed]) -> list[Vector]:
        self.asked += len(calls)
        return [Vector((float(len(call.text)), 1.0)) for call in calls]

    def embed_tokens(self, calls: Sequence[EmbedTokens]) -> list[TokenVectors]:
        self.asked += len(calls)
        return [TokenVectors.of([[float(len(call.text)), 1.0]]) for call in calls]


STAGES: dict[str, Callable[[Any], Stage]] = {
    "scores": CrossEncoder,
    "vectors": Embedding,
    "token vectors": LateInteraction,
    "all": lambda model: Pipeline((CrossEncoder(model), Embedding(model), LateInteraction(model))),
}


def rows(folder: Path) -> int:
    """Rows of answers and of arrays in all SQLite files below `folder`."""
    count = 0
    for file in folder.rglob("*.sqlite"):
        with sqlite3.connect(file) as connection:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                count += connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
    return count


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("options", [("cache",), ("vectors",), ("cache", "vectors")])
async def test_answers_of_a_live_object_are_remembered_and_never_written_to_disk(
    tmp_path: Path, stage: str, options: tuple[str, ...]
) -> None:
    places = {"cache": str(tmp_path / "answers.sqlite"), "vectors": str(tmp_path / "passages")}
    engine = Engine(**{name: places[name] for name in options})
    model = Letters("object:Letters:1")
    first = engine.rerank(STAGES[stage](model), "q", TEXTS)
    asked = model.asked
    again = await engine.arerank(STAGES[stage](model), "q", TEXTS)
    assert rows(tmp_path) == 0
    assert not list(tmp_path.rglob("*.numbers"))
    assert again.positions == first.positions
    assert model.asked - asked <= (1 if "token" in stage or stage == "all" else 0), "only the query's token vectors"


@pytest.mark.parametrize("stage", STAGES)
def test_answers_under_a_stable_key_are_written(tmp_path: Path, stage: str) -> None:
    engine = Engine(cache=str(tmp_path / "answers.sqlite"), vectors=str(tmp_path / "passages"))
    engine.rerank(STAGES[stage](Letters("letters-1")), "q", TEXTS)
    assert rows(tmp_path) >= len(TEXTS)


class Kept:
    """A cache of the caller's own. It says whether it outlives the process only when `declared` is not `None`."""

    def __init__(self, declared: bool | None) -> None:
        self.answers: dict[bytes, Any] = {}
        if declared is not None:
            self.outlives_process = declared

    def get(self, key: bytes) -> Any:
        return self.answers.get(key)

    def put(self, key: bytes, answer: Any) -> None:
        self.answers[key] = answer


@pytest.mark.parametrize(("declared", "written"), [(None, 0), (True, 0), (False, len(TEXTS))])
def test_a_cache_of_ones_own_gets_them_only_if_it_says_that_it_ends_with_the_process(
    declared: bool | None, written: int
) -> None:
    kept = Kept(declared)
    Engine(cache=kept).rerank(CrossEncoder(Letters("object:Letters:1")), "q", TEXTS)
    assert len(kept.answers) == written


def test_the_memory_cache_gets_them() -> None:
    engine, model = Engine(cache=MemoryCache()), Letters("object:Letters:1")
    rankings: list[Ranking] = [engine.rerank(CrossEncoder(model), "q", TEXTS) for _ in range(2)]
    assert rankings[1].usage.cached == len(TEXTS)


@pytest.mark.parametrize("more", [{"later": 1}, {"tokens": [1, 2]}, {"": False}])
def test_a_row_with_a_field_of_another_version_is_a_miss(more: dict[str, Any], tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "answers.sqlite")
    key = b"0" * 16
    cache.put(key, Generated("[2] > [1]"))
    assert cache.get(key) == Generated("[2] > [1]")
    with sqlite3.connect(tmp_path / "answers.sqlite") as connection:
        connection.execute("UPDATE answers SET answer = ?", (json.dumps(["Generated", {"text": "[1]", **more}]),))
    assert cache.get(key) is None
    cache.close()
