"""The word vectors and weights in the package."""

from __future__ import annotations

import re
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.rankers.learned import model
from tamis.text import vectors as words


def cosine(a: str, b: str) -> float:
    left, right = words.packaged().of([a, b])
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


@pytest.mark.parametrize(("word", "near", "far"), [
    ("physician", "doctor", "guitar"), ("car", "automobile", "banana"), ("movie", "film", "protein"),
    ("died", "death", "keyboard"), ("tumour", "cancer", "railway"),
])  # fmt: skip
def test_words_that_mean_the_same_are_nearer_than_words_that_do_not(word: str, near: str, far: str) -> None:
    assert cosine(word, near) > cosine(word, far) + 0.2


def test_an_unknown_word_is_the_sum_of_its_pieces() -> None:
    vectors = words.packaged()
    pieces = vectors.split("tamisage")
    assert "".join(vectors.pieces[number].removeprefix("##") for number in pieces) == "tamisage"
    summed = sum(vectors.scales[number] * vectors.codes[number].astype(np.float32) for number in pieces)
    assert np.allclose(vectors.of(["tamisage"])[0], summed, atol=1e-5)


@given(st.lists(st.text(max_size=40), max_size=5))
def test_any_words_give_finite_vectors_of_one_width(given_words: list[str]) -> None:
    vectors = words.packaged()
    rows = vectors.of(given_words)
    assert rows.shape == (len(given_words), vectors.width)
    assert np.isfinite(rows).all()
    assert ((vectors.rarity(given_words) >= 0) & (vectors.rarity(given_words) <= 1)).all()


def test_what_the_vocabulary_cannot_spell_is_zero() -> None:
    assert not words.packaged().of(["\U0001f600"]).any()


def test_common_words_are_less_rare_than_rare_ones() -> None:
    the, film, gunner = words.packaged().rarity(["the", "film", "gunners"])
    assert the < film < gunner


def test_the_card_is_of_these_weights() -> None:
    card = files("tamis.rankers.learned").joinpath("CARD.md").read_text(encoding="utf-8")
    assert re.findall(r"`([0-9a-f]{64})`", card) == [model.fingerprint()]


def test_the_files_stay_small() -> None:
    assert (
        sum(
            len(files(package).joinpath(name).read_bytes())
            for package, name in (("tamis.text", "words.npz"), ("tamis.rankers.learned", "weights.json"))
        )
        < 5e6
    )


def test_every_mode_has_weights_for_its_own_features_alone() -> None:
    weights = model.packaged().weights
    assert set(weights) == {"scores", "order", "texts"}
    for mode, row in weights.items():
        assert ("prior" in row) == (mode != "texts")
        assert "embedding" not in row


def test_cosines_count_their_share_in_every_mode() -> None:
    features = {name: np.zeros(2) for name in model.packaged().spreads} | {"embedding": np.array([0.9, 0.5])}
    for mode in ("scores", "order", "texts"):
        parts = model.packaged().contributions(features, mode)
        assert parts["embedding"] == pytest.approx(np.array([1.25, -1.25]) * 0.2 / np.hypot(0.2, 0.04))
        assert not any(values.any() for name, values in parts.items() if name != "embedding")
