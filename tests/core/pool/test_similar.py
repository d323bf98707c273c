"""Texts compare by their words, one with all others at a time."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tamis.pool.similar import TermVectors
from tamis.text.terms import COMMON, terms

words = st.lists(st.sampled_from("river mountain the lake sea and".split()), max_size=8).map(" ".join)
texts = st.lists(st.one_of(words, st.text(max_size=12)), max_size=7)


def table(found: list[str]) -> np.ndarray:
    read = [[term for term in terms(text) if term not in COMMON] for text in found]
    known = sorted(set().union(*read))
    rarity = [math.log(1 + len(found) / sum(term in own for own in read)) for term in known]
    rows = np.array([[own.count(t) * rare for t, rare in zip(known, rarity, strict=True)] for own in read])
    rows = rows.reshape(len(found), len(known))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


@given(found=texts)
def test_term_vectors_compare_as_counts_times_rarity_do_by_the_book(found: list[str]) -> None:
    vectors, expected = TermVectors.of(found), table(found)
    assert len(vectors) == len(found)
    for index in range(len(found)):
        assert np.allclose(vectors.to(index), expected @ expected[index])
    assert np.allclose(vectors.squares, (expected**2).sum(axis=1))


@given(found=texts, data=st.data())
def test_some_of_the_texts_compare_as_they_do_among_all(found: list[str], data: st.DataObject) -> None:
    places = data.draw(st.permutations(range(len(found)))) if found else []
    places = places[: data.draw(st.integers(0, len(found)))]
    vectors, expected = TermVectors.of(found).only(places), table(found)[places]
    assert len(vectors) == len(places)
    for index in range(len(places)):
        assert np.allclose(vectors.to(index), expected @ expected[index])
