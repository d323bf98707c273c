"""Words as they are counted."""

from __future__ import annotations

import pytest

from tamis.text.terms import COMMON, STOPWORDS, terms


@pytest.mark.parametrize("word", sorted(STOPWORDS))
def test_the_stem_of_a_stop_word_is_a_stop_word(word: str) -> None:
    assert set(terms(word)) <= COMMON
