"""Phrases are found where they are, in time and memory for the text and never for all pairs of phrases and texts."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tamis.pool.terms import Tokens
from tamis.pool.titles import occurrences

texts = st.lists(st.lists(st.sampled_from("abc"), max_size=8).map(" ".join), max_size=6)
phrases = st.lists(st.lists(st.sampled_from("abcd"), max_size=4).map(tuple), max_size=8, unique=True)


@given(found=texts, sought=phrases)
def test_a_phrase_is_in_a_text_that_has_its_words_one_after_the_other(
    found: list[str], sought: list[tuple[str, ...]]
) -> None:
    which, holders = occurrences(Tokens.of(found), sought)
    read = [tuple(text.split()) for text in found]
    expected = [
        (place, holder)
        for place, phrase in enumerate(sought)
        for holder, words in enumerate(read)
        if phrase and any(words[start : start + len(phrase)] == phrase for start in range(len(words)))
    ]
    assert list(zip(which.tolist(), holders.tolist(), strict=True)) == expected


def test_phrases_that_share_all_but_their_last_word_take_no_more_than_the_text() -> None:
    """Each phrase once in each text where its first words are would be 4,000 x 4,000 places."""
    tokens = Tokens.of([f"annual report of {number}" for number in range(4_000)])
    sought = [("annual", "report", "of", str(number), "and") for number in range(2_000)]
    sought += [("annual", "report", "of", str(number)) for number in range(2_000)]
    tracemalloc.start()
    try:
        which, holders = occurrences(tokens, sought)
        assert tracemalloc.get_traced_memory()[1] < 1_000 * 4_000
    finally:
        tracemalloc.stop()
    assert np.array_equal(which - 2_000, holders)
