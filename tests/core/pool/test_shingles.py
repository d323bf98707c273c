"""Near duplicates: the same as comparing all pairs, with the comparisons that can matter."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import NearDuplicates
from tamis.pool import shingles
from tamis.pool.shingles import repeats
from tamis.text.terms import terms

texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join), max_size=12)


def by_pairs(found: list[str], words: int, similarity: float) -> list[bool]:
    """Each text against each one kept before it."""
    kept: list[set[tuple[str, ...]]] = []
    repeated = []
    for text in found:
        read = terms(text)
        own = {tuple(read[start : start + words]) for start in range(max(1, len(read) - words + 1))} if read else set()
        near = any(len(own & one) >= similarity * (len(own) + len(one) - len(own & one)) for one in kept if own)
        repeated.append(near)
        if own and not near:
            kept.append(own)
    return repeated


@given(found=texts, words=st.integers(1, 4), similarity=st.sampled_from([0.01, 0.3, 0.5, 0.6, 0.8, 0.9, 1.0]))
def test_all_pairs_are_as_good_as_compared(found: list[str], words: int, similarity: float) -> None:
    result = repeats(found, words, similarity)
    assert result.repeated.tolist() == by_pairs(found, words, similarity)
    assert not result.unsure.any()


def site(pages: int, shared: float, words: int = 60) -> list[str]:
    """Pages of which a share is the same on all, as menus are; some are nearly another page."""
    draw = random.Random(3)
    menu = [f"menu{number}" for number in range(round(words * shared))]
    found: list[str] = []
    for page in range(pages):
        own = [f"w{draw.randrange(20_000)}" for _ in range(words - len(menu))]
        found.append(f"{found[draw.randrange(page)]} again" if page % 9 == 8 else " ".join(menu + own))
    return found


@pytest.mark.parametrize("words", [1, 3, 9])
@pytest.mark.parametrize(("shared", "similarity"), [(0.0, 0.8), (0.5, 0.8), (0.85, 0.8), (0.5, 0.45)])
def test_pages_of_a_site_are_found_as_by_comparing_all_pairs(shared: float, similarity: float, words: int) -> None:
    found = site(150, shared)
    assert repeats(found, words, similarity).repeated.tolist() == by_pairs(found, words, similarity)


@pytest.mark.parametrize(("shared", "similarity"), [(0.0, 0.8), (0.5, 0.8), (0.85, 0.8), (0.2, 0.4)])
def test_a_text_is_compared_with_a_few_others_however_many_share_its_words(
    shared: float, similarity: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[Any] = []
    plain = shingles._jaccard
    monkeypatch.setattr(shingles, "_jaccard", lambda *given: compared.append(given) or plain(*given))
    repeats(site(900, shared), 3, similarity)
    assert len(compared) < 2 * 900


def test_runs_that_too_many_texts_have_lead_to_the_first_of_these_and_a_notice_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shingles, "HOLDERS", 3)
    found = [f"menu one two {letter} {letter}x {letter}y" for letter in "abcdefg"]
    ranking = NearDuplicates(0.9, words=1).rerank("q", [*found, found[0], found[6]])
    assert ranking.positions[:7] == tuple(range(7))
    assert {7} <= {dropped.position for dropped in ranking.dropped}
    assert not ranking.degraded
    few = NearDuplicates(0.3, words=1).rerank("q", found)
    assert few.positions == (0,)
    assert not few.warnings
    many = [f"menu one two three {' '.join(f'{letter}{number}' for number in range(7))}" for letter in "abcdefg"]
    crowded = NearDuplicates(0.3, words=1).rerank("q", many)
    (notice,) = crowded.warnings
    assert "share words with over" in str(notice)
    assert notice.positions == (4, 5, 6)
