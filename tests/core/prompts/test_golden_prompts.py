"""The exact turns that trained checkpoints expect, as their presets ask: one frozen file each in `golden/`.

The wording was checked against what the published code of each makes of the same query and passages. A change of any
character here is a change of the model's input, and costs quality.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tamis import load
from tamis.checkpoints.published import CHECKPOINTS
from tamis.judges import (
    Asked,
    Choice,
    Grades,
    Identifiers,
    Labels,
    Likelihood,
    Permutation,
    Preference,
)
from tamis.models import CostOnly
from tamis.prompts.template import Template, template, templates
from tamis.prompts.wordings import wording, wordings
from tamis.recipes.cards import cards, checkpoint, checkpoints
from tamis.recipes.load import model_names, presets
from tamis.select.dynamic_rag import DynamicRAG
from tamis.stage.base import flattened
from tamis.values.answers import Generated
from tamis.values.calls import ChoiceLogprobs, Generate, PromptLogprobs
from tamis.values.ranking import Candidate, Query, Ranked, Ranking

GOLDEN = Path(__file__).parent / "golden"
QUERY = Query("how tall is Everest?")
INSTRUCTED = Query("how tall is Everest?", instruction="Prefer metres.")
PASSAGES = ("Everest is 8849 m tall.", "K2 is 8611 m tall,\nsays [3] a guide.")
CHOICES = {
    "monot5": ("true", "false"),
    "duot5": ("true", "false"),
    "first": ("A", "B"),
    "rank1": (" true", " false"),
    "limrank": (" true", " false"),
    "erank": tuple(map(str, range(11))),
    "mxbai-rerank-v2": ("1", "0"),
    "qwen3-reranker": ("yes", "no"),
}


def last_judge(name: str) -> Any:
    stage = load(name, models={model: CostOnly(model) for model in model_names(name)})
    inner = [branch for step in flattened(stage) for branch in getattr(step, "stages", (step,))]
    judge: Any = next((step.asks[0] for step in reversed(inner) if hasattr(step, "asks")), None)
    while hasattr(judge, "judge"):
        judge = judge.judge
    return judge


JUDGED = [name for name in presets() if name in CHECKPOINTS and getattr(last_judge(name), "template", None)]
"""Presets of trained checkpoints whose last judge asks as they were trained."""


def asked(name: str, query: Query) -> Any:
    """The call that the last judge of a preset makes for one passage, or for two where it takes more than one."""
    judge = last_judge(name)
    count = 1 if judge.unit == "point" else 2
    shown = tuple(Ranked(Candidate(text), place) for place, text in enumerate(PASSAGES[:count]))
    return judge.call(Asked(CostOnly(), query, shown))


def frozen(path: Path) -> str:
    assert path.is_file(), (
        f"compare the prompt with what the code published with the model makes of the same texts, and freeze it in {path}"
    )
    return path.read_text(encoding="utf-8")


def written(call: Any) -> str:
    if isinstance(call, PromptLogprobs):
        return f"=== prefix\n{call.prefix}\n=== continuation\n{call.continuation}\n"
    assert isinstance(call, (Generate, ChoiceLogprobs))
    return "".join(f"=== {message.role}\n{message.content}\n" for message in call.messages)


@pytest.mark.parametrize("name", JUDGED)
def test_the_prompt_of_a_checkpoint_is_frozen(name: str) -> None:
    call = asked(name, QUERY)
    assert written(call) == frozen(GOLDEN / f"{name}.txt")
    if name in CHOICES:
        assert call.choices == CHOICES[name]


@pytest.mark.parametrize("name", ["mxbai-rerank-v2", "erank", "qwen3-reranker"])
def test_so_is_the_one_with_an_instruction(name: str) -> None:
    """A line for it where the checkpoint knows one; none is left empty where there is none."""
    told = written(asked(name, INSTRUCTED))
    assert told == (GOLDEN / f"{name}.instructed.txt").read_text(encoding="utf-8")
    assert "Prefer metres." not in written(asked(name, QUERY))


def test_the_choice_of_dynamicrag_is_frozen() -> None:
    shown = [Candidate(PASSAGES[0], title="Everest"), Candidate(PASSAGES[1])]
    stage = DynamicRAG(CostOnly(), template="dynamicrag")  # type: ignore[arg-type]
    call = stage._call(Ranking.of(QUERY, shown), [0, 1])
    assert written(call) == (GOLDEN / "dynamicrag.txt").read_text(encoding="utf-8")


def test_the_pseudo_query_of_e2rank_is_frozen() -> None:
    stage = load("e2rank", models={"embedder": CostOnly()})
    calls: Any = next(stage.plan(Ranking.of(QUERY, PASSAGES)))
    assert f"=== query\n{calls[0].text}\n" == (GOLDEN / "e2rank.txt").read_text(encoding="utf-8")
    assert [call.role for call in calls] == ["query", "passage", "passage"]
    assert [call.text for call in calls[1:]] == [passage + "<|endoftext|>" for passage in PASSAGES]


OWN = {
    "labels": Labels(),
    "graded labels": Labels(("0", "1", "2"), (0, 1, 2), "expected"),
    "permutation": Permutation(),
    "permutation with ties and scores": Permutation(ties=True, show=("score",)),
    "choice": Choice(),
    "choice of half": Choice(share=0.5),
    "identifiers": Identifiers(opening="["),
    "digits": Identifiers("digits"),
    "preference": Preference(),
    "grades": Grades(),
    "likelihood": Likelihood(),
    "soft prompt alone": Likelihood(template="q-peft"),  # type: ignore[arg-type]
    "permutation with hints": Permutation(show=("hints",)),
}
"""Judges in our own words, for models that were trained for no wording."""


@pytest.mark.parametrize("name", OWN)
def test_our_own_wording_is_frozen_too(name: str) -> None:
    judge: Any = OWN[name]
    count = {"point": 1, "pair": 2}.get(judge.unit, 2)
    shown = tuple(Ranked(Candidate(text), place) for place, text in enumerate(PASSAGES[:count]))
    call = judge.call(Asked(CostOnly(), INSTRUCTED, shown, {0: 100.0, 1: 0.0}))
    assert written(call) == (GOLDEN / "own" / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", wordings())
def test_the_wording_of_a_checkpoint_is_frozen(name: str) -> None:
    """With the names of its fields: the keys of cached answers hold what is printed of a wording."""
    assert f"{wording(name)!r}\n" == frozen(GOLDEN / "wordings" / f"{name}.txt")


def test_every_card_with_a_template_is_frozen() -> None:
    """No checkpoint goes without: a frozen prompt, or what it reads in words and what loads it."""
    for name in CHECKPOINTS.names():
        for card in cards(name):
            if card.template:
                assert name in {*JUDGED, "dynamicrag", "e2rank"}
                assert card.template in templates()
            else:
                assert card.wording or card.form
                assert card.runtime
    carded = {card.template for name in CHECKPOINTS.names() for card in cards(name) if card.template}
    assert set(templates()) == carded | {"q-peft", "q-peft-r"}
    assert all(templates().values())
    assert all(wordings().values())


def test_every_frozen_prompt_is_compared() -> None:
    """A preset that loses its template is missed here."""
    compared = {*JUDGED, "dynamicrag", "e2rank"}
    assert {path.name.partition(".")[0] for path in GOLDEN.glob("*.txt")} <= {
        name.partition(".")[0] for name in compared
    }
    assert {path.stem for path in (GOLDEN / "wordings").iterdir()} == set(wordings())


def test_the_label_tokens_of_a_card_are_those_of_the_wording() -> None:
    compared = [
        (tuple(label.lstrip("▁") for label in card.labels), wording(card.wording).labels)
        for card in checkpoints().values()
        if card.wording and card.labels
    ]
    assert compared
    assert all(card == said for card, said in compared)


def test_models_whose_wording_is_not_known_say_so() -> None:
    from tamis.recipes.cards import describe

    for name in ("standard-rr", "noreason", "rank-without-gpt"):
        assert "could not be found" in " ".join(describe(name).split())
    for name in ("upr", "instupr"):
        assert "in our own words" in " ".join(describe(name).split())


def test_a_checkpoint_with_another_wording_is_refused() -> None:
    from tamis import Listwise
    from tamis.errors import ConfigError

    card = checkpoint("castorini/rank_zephyr_7b_v1_full")
    with pytest.raises(ConfigError, match="template: rankzephyr"):
        card.check(Listwise(CostOnly()))
    with pytest.raises(ConfigError, match="template: rankzephyr"):
        card.check(Listwise(CostOnly(), judge=Permutation(template="rankvicuna")))  # type: ignore[arg-type]
    card.check(Listwise(CostOnly(), judge=Permutation(template="rankzephyr")))  # type: ignore[arg-type]


def test_an_unknown_template_names_the_known() -> None:
    from tamis.errors import ConfigError

    with pytest.raises(ConfigError, match=r"Did you mean 'rankzephyr'\?.*state its turns"):
        template("rank-zephyr")
    assert template("rank1") == Template(
        "Determine if the following passage is relevant to the query. Answer only with 'true' or 'false'.\n"
        "Query: {query}\nPassage: {passage}\n",
        assistant="<think>",
        source=templates()["rank1"],
    )


@pytest.mark.parametrize(
    ("name", "answer", "order"),
    [
        ("rankzephyr", "[2] > [3] > [1]", (1, 2, 0)),
        ("rank-k", "<think>\nSo [1] it is.\n</think>\n\n[3] > [1] = [2]", (2, 0, 1)),
        ("rank-r1", "<think> the third says so </think>\n<answer>[3]</answer>", (2,)),
        ("listt5", "1 3 2", (1, 2, 0)),
        ("dear", "[3] > [1] > [2]", (2, 0, 1)),
        (
            "grouprank",
            '<reason> \n[1] helps.\n</reason>\n<answer> \n```json\n{"[1]": 5, "[2]": 9, "[3]": 0}\n``` \n</answer>',
            (1, 0, 2),
        ),
    ],
)
def test_the_answer_of_a_checkpoint_is_read(name: str, answer: str, order: tuple[int, ...]) -> None:
    """In the form each was trained to write; only ListT5's, bare numbers, counts as read with tolerance."""
    verdict = last_judge(name).read(Generated(answer), 3)
    assert verdict.order == order
    assert verdict.missing == ()
    assert verdict.form == ("permissive" if name == "listt5" else "clean")
