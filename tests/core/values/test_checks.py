"""What candidates and queries may hold: read, or refused by a tamis error that names the candidate."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tamis
from tamis.errors import InputError, TamisError
from tamis.models.function import Function
from tamis.values.calls import Classify
from tamis.values.ranking import Candidate, Query


class Sly(str):
    """Shows another beginning than it holds."""

    def __getitem__(self, key: Any) -> str:
        return "data:"


GOOD = ["an apple", {"text": "a pear", "id": "p", "title": "pear"}]
READ = {
    "title, a number": ({"title": 1984}, "1984"),
    "title, a number of a data frame": ({"title": 1984.0}, "1984"),
    "title, missing in a data frame": ({"title": math.nan}, None),
    "title, of numpy": ({"title": np.int64(7)}, "7"),
    "title, decimal": ({"title": Decimal("2.50")}, "2.50"),
    "title, infinite": ({"title": math.inf}, "inf"),
    "title, none": ({"title": None}, None),
}
REFUSED: dict[str, dict[str, Any]] = {
    "title, bytes": {"title": b"x"},
    "title, list": {"title": ["a"]},
    "title, boolean": {"title": True},
    "text, number": {"text": 1984},
    "text, none": {"text": None},
    "text, bytes": {"text": b"x"},
    "id, list": {"id": ["a"]},
    "metadata, list": {"metadata": ["a"]},
    "metadata, text": {"metadata": "a"},
    "score, text": {"score": "high"},
    "score, boolean": {"score": True},
    "score, array": {"score": np.zeros(2)},
    "score, complex": {"score": 1j},
    "vector, text": {"vector": "abc"},
    "vector, number": {"vector": 5},
    "vector, of none": {"vector": (None,)},
    "vector, table": {"vector": np.zeros((2, 2))},
    "images, text": {"images": "https://example.org/a.png"},
    "images, a number": {"images": 5},
    "images, a mapping": {"images": {"url": "https://example.org/a.png"}},
    "images, a set": {"images": {"a.png"}},
    "images, with a number": {"images": ("a.png", 3)},
    "images, with bytes": {"images": [b"data:x"]},
    "images, with none": {"images": [None]},
    "images, with a list": {"images": [["a.png"]]},
    "images, with a mapping": {"images": [{"url": "a.png"}]},
    "keys, numbers": {5: 6},
    "keys, mixed": {5: 6, "colour": "red"},
}


@pytest.mark.parametrize(("value", "title"), READ.values(), ids=READ)
def test_titles_are_read_as_text(value: dict[str, Any], title: str | None) -> None:
    ranking = tamis.rerank("1984", [*GOOD, {"text": "a novel", **value}])
    assert next(r for r in ranking.kept if r.position == 2).candidate.title == title


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_with_its_place(value: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"candidates\[2\]"):
        tamis.rerank("apple", [*GOOD, {"text": "a plum", **value}])


@pytest.mark.parametrize("field", ["id", "title", "metadata", "score", "vector"])
def test_missing_values_are_none(field: str) -> None:
    given = Candidate("a", **{field: None})
    assert given == Candidate("a")
    if field in ("id", "title", "score"):
        assert Candidate("a", **{field: math.nan}) == given


def test_a_number_beyond_all_floats_is_no_score() -> None:
    assert Candidate("a", score=10**400).score is None


def test_vectors_of_arrays_and_pictures_in_lists_are_read() -> None:
    assert len(Candidate("a", vector=np.ones(3)).vector or ()) == 3  # type: ignore[arg-type]
    assert Candidate("a", images=["a.png"]).images == ("a.png",)  # type: ignore[arg-type]
    assert type(Candidate("a", images=(Sly("a.png"),)).images[0]) is str


@pytest.mark.parametrize("wrong", [None, 5, {"a", "b"}, frozenset("ab"), "abc", {"text": "a"}], ids=repr)
def test_what_is_no_sequence_of_candidates_is_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match="candidates must be a sequence"):
        tamis.rerank("q", wrong)


@pytest.mark.parametrize("wrong", [{"instruction": 5}, {"vector": "x"}, {"images": 5}, {"images": "a.png"}], ids=repr)
def test_queries_are_checked_alike(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Query("q", **wrong)


@pytest.mark.parametrize(
    "wrong", [{"models": 5}, {"pipeline": "x" * 5000 + ".yaml"}, {"pipeline": "a\x00.yaml"}], ids=str
)
def test_arguments_are_refused_by_a_tamis_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(TamisError):
        tamis.rerank("q", GOOD, **wrong)


ODD = st.text(st.sampled_from("\ud800\udfff\x00\u200b\ufeffa 1é"), min_size=1)
READERS = [
    "default",
    "lexical",
    "graph",
    ["near_duplicates"],
    ["default", "mmr"],
    ["default", {"token_budget": {"tokens": 50}}],
]


@pytest.mark.parametrize("pipeline", READERS, ids=str)
@given(odd=ODD)
def test_odd_characters_cost_nobody_anything(pipeline: Any, odd: str) -> None:
    ranking = tamis.rerank(f"apple {odd}", [*GOOD, {"text": odd, "title": odd, "id": odd}], pipeline)
    assert len(ranking.kept) + len(ranking.dropped) == 3
    assert ranking._repr_html_().encode()
    own = [r for r in ranking.kept if r.position == 2]
    assert all(r.candidate.id == odd and odd.startswith(r.text) for r in own)


@pytest.mark.parametrize("passages", [None, "best"])
def test_models_read_no_halves_of_characters(passages: Any) -> None:
    seen: list[str] = []

    def score(call: Classify) -> float:
        seen.extend([call.query, call.text])
        return 1.0

    tamis.rerank(
        "tall \ud800",
        ["a", "half \udc00 of one"],
        tamis.CrossEncoder(
            Function(score, "classify"), **({"passages": {"words": 10, "overlap": 1}} if passages else {})
        ),
    )
    assert seen
    assert all(text.encode() for text in seen)
