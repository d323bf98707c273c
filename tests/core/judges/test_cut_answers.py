"""Answers that the token limit cut in the middle of a number: half a number is no number."""

from __future__ import annotations

import pytest

from tamis.judges import Choice, Grades, Permutation
from tamis.values.answers import Generated


@pytest.mark.parametrize("said", ["[12] > [7] > [1", "12 > 7 > 1", "[12] > [7] > [", "[12] > [7] > [1 "])
def test_half_an_identifier_at_the_end_is_not_read(said: str) -> None:
    verdict = Permutation().read(Generated(said, complete=False), 12)
    assert verdict.order == (11, 6)
    assert 0 in verdict.missing


def test_a_whole_identifier_at_the_end_is_read() -> None:
    assert Permutation().read(Generated("[12] > [7] > [1]", complete=False), 12).order == (11, 6, 0)
    assert Permutation().read(Generated("12 > 7 > 1"), 12).order == (11, 6, 0)


def test_half_a_grade_at_the_end_is_not_read() -> None:
    said = '{"1": 7, "2": 1'
    assert Grades().read(Generated(said, complete=False), 2).scores == (7.0, None)
    assert Grades().read(Generated(said), 2).scores == (7.0, 1.0)
    assert Grades().read(Generated('{"1": 7, "2": 1}', complete=False), 2).scores == (7.0, 1.0)


def test_half_a_choice_is_none() -> None:
    assert not Choice().read(Generated("[1", complete=False), 12).usable
    assert Choice().read(Generated("[1] because it", complete=False), 12).order == (0,)


@pytest.mark.parametrize("judge", [Permutation(), Choice(), Grades()], ids=lambda judge: type(judge).__name__)
def test_what_the_limit_cut_is_said_with_the_remedy(judge: Permutation | Choice | Grades) -> None:
    for text in ("", "Let me think"):
        cut, whole = (judge.read(Generated(text, complete=complete), 2).failure for complete in (False, True))
        assert cut is not None
        assert whole is not None
        assert "output limit" in cut.message
        assert "output limit" not in whole.message
