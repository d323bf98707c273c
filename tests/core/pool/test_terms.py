"""Every word is read once, and the numbers it gets depend on nothing but the texts."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.pool import lexicon, sparse
from tamis.pool.terms import Incidence, Tokens, phrases, runs
from tamis.text.terms import terms

odd_texts = st.lists(
    st.one_of(
        st.text(max_size=30), st.sampled_from(["", " ", "camelCase snake_case", "日本語テキスト です", "a\x1fb\u00a0c"])
    ),
    max_size=6,
)


@given(found=odd_texts)
def test_tokens_are_the_terms_of_each_text_numbered_as_they_come(found: list[str]) -> None:
    tokens = Tokens.of(found)
    read = [[tokens.words[number] for number in tokens.ids[tokens.owners == place]] for place in range(len(found))]
    assert read == phrases(found) == [terms(text) for text in found]
    assert list(tokens.words) == list(dict.fromkeys(term for text in found for term in terms(text)))
    assert [tokens.number(word) for word in tokens.words] == list(range(tokens.features))
    assert np.array_equal(np.diff(tokens.starts), [len(terms(text)) for text in found])


def test_what_was_read_before_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ["one two three", "three four"]
    monkeypatch.setattr(lexicon, "_current", lexicon.Lexicon())
    fresh = Tokens.of(found)
    Tokens.of(["four three", "unseen words two"])
    assert Tokens.of(found).words == fresh.words
    assert np.array_equal(Tokens.of(found).ids, fresh.ids)


def test_a_full_lexicon_gives_way_to_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon, "_current", lexicon.Lexicon())
    monkeypatch.setattr(lexicon, "CHARACTERS", 10)
    first = lexicon.lexicon()
    assert Tokens.of(["a word of more than ten letters"]).words[1] == "word"
    assert lexicon.lexicon() is not first
    assert lexicon.lexicon().characters == 0


def test_threads_may_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon, "_current", lexicon.Lexicon())
    texts = [[f"word{(number * step) % 997} same{number % 7}" for number in range(300)] for step in range(1, 25)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(phrases, texts))
    assert found == [[terms(text) for text in some] for some in texts]


def test_runs_are_told_one_by_one() -> None:
    members, whose = runs(np.array([1, 0, 1]), np.array([1, 2]))
    assert members.tolist() == [1, 2, 0, 1, 2]
    assert whose.tolist() == [0, 0, 1, 2, 2]


@given(
    cells=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5)), max_size=40),
    limit=st.sampled_from([1, 10, 50, 10_000]),
)
def test_products_are_those_of_the_dense_matrix_in_blocks_of_any_size(cells: list[tuple[int, int]], limit: int) -> None:
    rows, cols = np.array(cells, dtype=np.int64).reshape(-1, 2).T
    found = Incidence.of(8, 6, rows, cols)
    full = np.zeros((8, 6))
    np.add.at(full, (rows, cols), 1.0)
    assert np.array_equal(found.spread, (full > 0).sum(axis=0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "CELLS", limit)
        blocks = list(found.products(found.counts.astype(np.float64)).blocks())
    whole = np.concatenate([block for _, block in blocks])
    np.fill_diagonal(whole, 0.0)
    wanted = full @ full.T
    np.fill_diagonal(wanted, 0.0)
    assert np.allclose(whole, wanted)


def test_rarity_is_that_of_the_pool() -> None:
    found = Tokens.of(["a b", "a c", "a"]).incidence
    assert found.rarity == pytest.approx(np.log([2.0, 4.0, 4.0]))


words = st.lists(st.sampled_from(["sieve", "flour", "mesh", "drum", "this", "the"]), max_size=6).map(" ".join)


def test_the_words_of_a_pool_are_never_all_held_as_text() -> None:
    """A word of text takes some 60 bytes, its number and its text's number 16."""
    texts = [" ".join(f"w{(place * number) % 997}" for number in range(300)) for place in range(1_200)]

    def held(count: int) -> int:
        tracemalloc.start()
        try:
            Tokens.of(texts[:count])
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    Tokens.of(texts)
    assert held(1_200) - held(600) < 40 * 300 * 600


@given(found=odd_texts)
def test_reading_in_blocks_changes_nothing(found: list[str]) -> None:
    whole = Tokens.of(found)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tamis.pool.terms.CHARACTERS", 4)
        parts = Tokens.of(found)
        assert parts.words == whole.words
        assert np.array_equal(parts.ids, whole.ids)
        assert np.array_equal(parts.owners, whole.owners)
        assert phrases(found) == [terms(text) for text in found]
