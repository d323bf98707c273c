"""Training the learned default: the teacher's lists, and what weights make of judgements and lessons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tamis.evaluate import Dataset
from tamis.evaluate.dataset import Question
from tamis.text import vectors as words
from tamis.training.default import Example, fit, taught_by, without
from tamis.training.teacher import LENGTH, WORDS, Teacher, key, pieces
from tamis.values.ranking import Candidate, Query

TEXTS = {
    "everest": "Mount Everest is the tallest mountain on Earth.",
    "bread": "A recipe for bread needs flour, water and salt.",
    "heart": "The heart pumps blood through the body.",
    "long": "The tallest tree. " + "Leaves and wood. " * 100,
}
QUESTIONS = {"q": "how tall is the tallest mountain", "none": "quark"}
DATASET = Dataset(
    "small",
    {name: Question(name, Query(text)) for name, text in QUESTIONS.items()},
    {name: Candidate(text, id=name, title="Everest" if name == "everest" else None) for name, text in TEXTS.items()},
    {},
    {},
)


class Remembered(Teacher):
    """A teacher that must not be asked: all it says is in its cache."""

    def _asked(self, pairs: object) -> list[float]:
        raise AssertionError(f"asked for {pairs}")


def remembered(cache: Path) -> Remembered:
    found = [
        (key(QUESTIONS["q"], piece), float(piece.startswith("Everest"))) for t in full_texts() for piece in pieces(t)
    ]
    keys, scores = zip(*found, strict=True)
    np.savez(cache / "teacher.npz", keys=np.array(keys, np.uint64), scores=np.array(scores, np.float16))
    return Remembered(Path("nowhere"), cache)


def full_texts() -> list[str]:
    return [candidate.full_text for candidate in DATASET.corpus.values()]


def test_pieces_overlap_and_hold_every_word() -> None:
    words_of = [str(number) for number in range(333)]
    found = pieces(" ".join(words_of))
    assert {word for piece in found for word in piece.split()} == set(words_of)
    assert max(len(piece.split()) for piece in found) == WORDS
    assert pieces("") == [""]


def test_a_lesson_is_of_the_best_passages_of_a_query_that_shares_words_with_any(tmp_path: Path) -> None:
    (lesson,) = remembered(tmp_path).lessons(DATASET)
    assert lesson.query == QUESTIONS["q"]
    assert len(lesson.pool) <= LENGTH
    scores = [candidate.score or 0.0 for candidate in lesson.pool]
    assert scores == sorted(scores, reverse=True)
    assert lesson.pool[0].title == "Everest"
    assert lesson.shares.sum() == pytest.approx(1)
    assert lesson.shares.argmax() == 0


def test_what_was_scored_is_not_scored_again(tmp_path: Path, onnx_cross_encoder_folder: Path) -> None:
    pairs = [("tall mountain", text) for text in TEXTS.values()]
    scores = Teacher(onnx_cross_encoder_folder, tmp_path).scores(pairs)
    assert scores.argmax() == 0
    assert (Remembered(onnx_cross_encoder_folder, tmp_path).scores(pairs) == scores).all()


def test_lessons_know_no_embedder(tmp_path: Path) -> None:
    (example,) = taught_by(remembered(tmp_path), DATASET, words.packaged())
    assert set(example.features) == {"scores", "order", "texts"}
    assert example.target == pytest.approx(example.grades)


MODES = ("scores", "order", "texts", "scores+embedding", "order+embedding", "texts+embedding", "dense")


def example(grades: list[float], **values: list[float]) -> Example:
    features = {name: np.array(each) for name, each in values.items()}
    return Example(3, dict.fromkeys(MODES, features), np.array(grades), [1])


def test_lessons_move_the_weights() -> None:
    judged = {"set": [example([1, 0, 0], bm25=[1, 0, 0], window=[0, 1, 0])]}
    taught = {"set": [example([0, 1, 0], bm25=[1, 0, 0], window=[0, 1, 0])]}
    alone, both = fit(judged).weights, fit(judged, taught).weights
    assert both["scores"]["bm25"] < alone["scores"]["bm25"]


def test_without_a_set_the_others_stay() -> None:
    assert without("a", {"a": [], "b": []}) == {"b": []}
