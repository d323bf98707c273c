"""What the comparison of LLM methods rests on: an oracle that every preset can ask, and a simulation that agrees with it."""

from __future__ import annotations

import sys
from typing import Any
from xml.etree import ElementTree

import pytest

from support.places import ROOT
from tamis import Engine, load, presets
from tamis.checkpoints.published import CHECKPOINTS
from tamis.recipes.load import model_names

sys.path.insert(0, str(ROOT / "benchmarks"))

import llm_methods
from llm_methods import METHODS
from oracle import CANDIDATES, Oracle, candidates, grades, ndcg, worths
from report import RESULTS
from scatter import Panel, drawn
from simulation import KINDS, Step, frontier, played

ASKING = [name for name in presets() if model_names(name)]
LANGUAGE_MODELS = {"llm", "lm", "pair_llm"}
"""What presets call a model that writes or weighs words."""


def asked(name: str, n: int, noise: float = 0.0, thought: int = 0) -> Any:
    model = Oracle(worths(0, n), noise, thought=thought)
    stage = load(name, models=dict.fromkeys(model_names(name), model))
    return Engine(cache=None).rerank(stage, "which is best?", candidates(n))


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize("thought", [0, 40])
def test_every_preset_runs_on_the_oracle_and_loses_nobody(name: str, thought: int) -> None:
    ranking = asked(name, 25, 0.5, thought)
    positions = [*ranking.positions, *(dropped.position for dropped in ranking.dropped)]
    assert sorted(positions) == list(range(25))
    assert not ranking.degraded
    assert ranking.usage.unmetered == 0


def exact(method: tuple[Step, ...]) -> bool:
    """Whether a judge that never errs gives the first ten, by what the schedules say of themselves."""
    return all(s.unit != "group" and s.schedule.exact(s.depth or CANDIDATES, s.top) >= 10 for s in method)


def test_most_schedules_are_exact_and_those_find_the_ten_best_without_noise() -> None:
    found = {name: played(method, worths(7), KINDS["exact"], 0).order for name, method in METHODS.items()}
    proven = [name for name, method in METHODS.items() if exact(method)]
    assert len(proven) >= 16
    assert all(ndcg(found[name], grades(worths(7))) == 1.0 for name in proven)


@pytest.mark.parametrize("name", METHODS)
def test_a_simulation_loses_nobody_whatever_the_judge(name: str) -> None:
    for kind in KINDS.values():
        run = played(METHODS[name], worths(1, 25), kind, 1)
        assert sorted(run.order) == list(range(25))
        assert run.calls <= run.read


@pytest.mark.parametrize(
    ("method", "preset"),
    [
        ("sliding 20 by 10", "rankgpt"),
        ("sliding, each window 5 times", "self-consistency"),
        ("top down 20", "tdpart"),
        ("tournament graph 20", "blitzrank"),
        ("tournament of 5, 2 go on", "listt5"),
        ("set heap, 2 children", "setwise-heap"),
        ("set heap, 19 children", "rank-r1"),
        ("pair heap", "prp-heap"),
        ("pointwise, then pairs of 30", "instupr"),
        ("pointwise, then sliding on 30", "dear"),
    ],
)
def test_a_simulation_asks_as_the_engine_does(method: str, preset: str) -> None:
    run = played(METHODS[method], worths(0), KINDS["exact"], 0)
    ranking = asked(preset, CANDIDATES)
    assert (run.calls, run.rounds) == (ranking.usage.calls, ranking.usage.rounds)
    assert tuple(run.order) == ranking.positions


def test_an_error_that_grows_costs_effectiveness_and_circles_do_too() -> None:
    def mean(kind: str) -> float:
        runs = [played(METHODS["sliding 20 by 10"], worths(seed), KINDS[kind], seed) for seed in range(20)]
        return sum(ndcg(run.order, grades(worths(seed))) for seed, run in enumerate(runs)) / 20

    assert 1.0 == mean("exact") > mean("anew .25") > mean("anew .5") > mean("anew 1")
    assert mean("circular .5") < 0.99


def test_a_circular_judge_says_the_same_again_and_does_contradict_itself() -> None:
    from random import Random

    worth = [0.0] * 12
    reader: Any = KINDS["circular .5"](worth, Random(3))
    better = {(i, j): reader.sees((i, j), True)[0] == 0.0 for i in range(12) for j in range(12) if i != j}
    assert better == {(i, j): reader.sees((i, j), True)[0] == 0.0 for i, j in better}
    assert all(better[i, j] != better[j, i] for i, j in better)
    assert any(
        better[i, j] and better[j, k] and better[k, i]
        for i in range(12) for j in range(12) for k in range(12) if len({i, j, k}) == 3
    )  # fmt: skip


def test_the_frontier_is_what_nothing_cheaper_reaches() -> None:
    assert frontier({"a": (1, 0.5), "b": (2, 0.5), "c": (2, 0.7), "d": (3, 0.9), "e": (9, 0.8)}) == {"a", "c", "d"}


def test_a_picture_is_well_formed_and_names_the_frontier() -> None:
    panel = Panel("t", "calls", {"cheap & good": (1, 0.8, 0.01), "dear": (100, 0.7, 0.01)}, 0.5)
    text = drawn([panel], "c")
    ElementTree.fromstring(text)
    assert "1 cheap &amp; good</text>" in text
    assert ">2</text>" in text
    assert "prefers-color-scheme" in text


def test_the_result_has_a_row_for_every_method_that_asks_a_language_model() -> None:
    """One that is new or renamed calls for `python benchmarks/llm_methods.py`; encoders are there for comparison. A new
    checkpoint uses a known method and may wait for the next run."""
    table = (RESULTS / "llm_methods.md").read_text(encoding="utf-8").partition("| preset ")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")]
    named = {name.strip(" *") for cell in cells for name in cell.split(",") if name.strip(" -")}
    assert named <= set(ASKING)
    assert {name for name in ASKING if name not in CHECKPOINTS and LANGUAGE_MODELS & set(model_names(name))} <= named


def test_the_presets_named_beside_a_schedule_exist() -> None:
    named = [name.partition(" (")[0] for told in llm_methods.PRESETS.values() for name in told.split(", ")]
    assert set(named) - {"..."} <= set(presets())
    assert set(llm_methods.PRESETS) <= set(METHODS)


def test_presets_with_the_same_stages_and_prompts_as_long_share_a_row() -> None:
    rows = llm_methods.alike()
    assert sorted(name for names in rows.values() for name in names) == sorted(ASKING)
    assert {"listwise", "rankgpt"} <= set(rows["listwise"])
    assert "rankzephyr" not in rows["listwise"], "it has a wording of its own"
    assert {"monot5", "mxbai-rerank-v2"}.isdisjoint(rows["fine-grained-labels"])


def test_a_conclusion_is_filled_by_paragraph_and_item() -> None:
    text = "One\ntwo.\n\n- a\n  b\n- c\n\nEnd."
    assert llm_methods.wrapped(text) == "One two.\n\n- a b\n- c\n\nEnd."
