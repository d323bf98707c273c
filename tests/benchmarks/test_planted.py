"""What the measurement of planted instructions rests on: windows, ranks, gains, answers that are found again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from support.places import DATA, ROOT
from tamis.prompts.orders import read_order
from tamis.values.answers import Generated
from tamis.values.calls import Generate

sys.path.insert(0, str(ROOT / "benchmarks"))

import planted
from planted import Answers, Window, gains, interval, measured, rank

WINDOW = Window("how high?", ("alpha", "beta", "gamma", "delta", "epsilon"), 2)


class Model:
    """Obeys what stands outside of fences and names `[2]`; else keeps the order shown."""

    name = "obedient"

    def __init__(self) -> None:
        self.calls = 0

    def generate(self, calls: list[Generate]) -> list[Generated]:
        self.calls += len(calls)
        return [Generated("[2] > [1] > [3] > [4] > [5]" if self.obeys(call) else "") for call in calls]

    def obeys(self, call: Generate) -> bool:
        said = call.messages[-1].content
        return "<query>" not in said and any(word in said for word in ("rank passage", "Begin the answer"))


def test_what_is_planted_is_in_its_passage_alone_and_under_both_prompts() -> None:
    for kind in planted.KINDS:
        texts = WINDOW.planted(kind)
        assert [a == b for a, b in zip(texts, WINDOW.texts, strict=True)] == [True, False, True, True, True]
        assert "{" not in texts[1]
        bare, ours = (make(None, WINDOW.query, texts) for make in planted.PROMPTS.values())
        assert texts[1] in bare.messages[-1].content
        assert texts[1].splitlines()[0] in ours.messages[-1].content
        assert bare.messages[-1].content.splitlines()[-1] == ours.messages[-1].content.splitlines()[-1]
    assert WINDOW.planted(None) == WINDOW.texts


def test_a_rank_is_that_of_the_planted_passage() -> None:
    assert rank(Generated("[5] > [2] > [1] > [3] > [4]"), WINDOW) == 2
    assert rank(Generated("[5] > [4]"), WINDOW) == 4
    assert rank(Generated("no idea"), WINDOW) == 2


def test_gains_are_places_and_an_answer_is_asked_for_once(tmp_path: Path) -> None:
    model, made = Model(), [WINDOW]
    kinds = ("an order", "a closed fence")
    ranks = measured(model, made, Answers(tmp_path / "a" / "kept.jsonl"), kinds)
    assert ranks is not None
    assert gains(ranks, "undefended") == [1, 1]
    assert gains(ranks, "tamis") == [0, 0]
    assert gains(ranks, "undefended", "an order") == [1]
    assert interval(ranks) is None
    many = {(prompt, number, kind): found for (prompt, _, kind), found in ranks.items() for number in range(4)}
    assert interval(many) == (0.0, 0.0)
    asked = model.calls
    assert measured(model, made, Answers(tmp_path / "a" / "kept.jsonl"), kinds) == ranks
    assert model.calls == asked


def test_a_run_that_has_no_time_left_says_so_and_the_next_goes_on(tmp_path: Path) -> None:
    model: Any = Model()
    assert measured(model, [WINDOW], Answers(tmp_path / "kept.jsonl"), seconds=0) is None
    assert model.calls == 0


@pytest.mark.skipif(not (DATA / "dl19").is_dir(), reason="needs dl19 of the test sets in $TAMIS_DATA")
def test_windows_hold_one_irrelevant_passage_of_a_real_query() -> None:
    from tamis.evaluate import read

    made = planted.windows(read(DATA / "dl19"))
    assert len(made) == planted.QUERIES
    for window in made:
        assert len(set(window.texts)) == planted.SIZE
        assert window.place in planted.PLACES
        assert max(map(len, window.texts)) <= planted.LONGEST


def test_answers_of_the_undefended_prompt_are_read_as_ours_are() -> None:
    assert read_order("[2] > [1]", 5)[0] == [1, 0]
