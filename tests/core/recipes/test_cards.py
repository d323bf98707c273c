"""Presets explained, and the cards of published models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support.plugins import on_path, pretend
from tamis import Listwise, Setwise, load
from tamis.errors import ConfigError
from tamis.judges import Asked, Choice, Grades, Identifiers, Labels, Likelihood, Permutation, Preference
from tamis.models import CostOnly
from tamis.parts.shelf import parse
from tamis.prompts.template import Template
from tamis.recipes.cards import Checkpoint, cards, checkpoint, checkpoints, describe
from tamis.recipes.load import model_names, presets
from tamis.schedules import Heap
from tamis.stage.base import Stage
from tamis.stage.presets import PRESETS
from tamis.values.answers import Generated, Logprobs
from tamis.values.ranking import Candidate, Query, Ranked

CARDED = [name for name in presets() if cards(name)]


def made(name: str) -> Stage:
    return load(name, models={model: CostOnly(model) for model in model_names(name)})


@pytest.mark.parametrize("name", presets())
def test_a_preset_is_told_in_one_screen(name: str) -> None:
    told = PRESETS.data(name)
    text = describe(name)
    flat = " ".join(text.split())
    assert flat.startswith(told["title"])
    assert told.get("paper", "") in flat
    assert told.get("note", "") in flat
    assert all(f"{key}: {value}" in flat for key, value in told.get("reference", {}).items())
    assert all(checkpoint in flat and card.licence in flat for card in cards(name) for checkpoint in card.names)
    assert all(model in text for model in model_names(name))
    assert len(text.splitlines()) <= 24
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", presets())
def test_a_preset_cites_where_it_comes_from(name: str) -> None:
    """Author and year, or what was published; the learned defaults are tamis's own."""
    paper = PRESETS.data(name).get("paper", "")
    assert re.search(r"(19|20)\d\d", paper) or name in ("default", "default-cross-encoder", "texts", "embedding")


def test_a_preset_is_told_legibly() -> None:
    """One step a line, names never broken, blanks inside labels visible."""
    financerag, rank1, grouprank = (describe(name) for name in ("financerag", "rank1", "grouprank"))
    assert "\n  - cross_encoder: {model: cross_encoder}\n  - top_n: 200\n" in financerag
    assert all(f"jhu-clsp/rank1-{size}b" in rank1 for size in ("0.5", "1.5", "3", "7", "14", "32"))
    assert 'labels: " true", " false"' in rank1
    assert "temperature: 0;" in rank1
    assert "paper: Sun et al., 2025" in grouprank


@pytest.mark.parametrize("name", presets())
def test_the_stage_shown_is_the_stage_that_is_loaded(name: str) -> None:
    shown = describe(name).partition("\nstage:\n")[2].partition("\nmodels to give:")[0]
    assert parse(shown, name) == PRESETS.data(name)["stage"]


@pytest.mark.parametrize("name", presets())
def test_published_numbers_have_a_source(name: str) -> None:
    reference = PRESETS.data(name).get("reference")
    assert reference is None or {"source", "calls", "tokens"} & set(reference)


@pytest.mark.parametrize("name", CARDED)
def test_a_stage_fits_the_card_of_its_checkpoint(name: str) -> None:
    stages: Any = made(name)
    for card in cards(name):
        if name != "dynamicrag":
            card.check(stages.stages[-1] if card.window else stages)
        assert all(checkpoint(known) == card for known in card.names)


def test_costs_are_those_of_the_papers() -> None:
    def cost(name: str) -> str:
        return next(line for line in describe(name).splitlines() if line.startswith("cost"))

    assert cost("rankgpt").startswith("cost: 9 calls in 9 rounds")
    assert cost("tourrank").startswith("cost: 130 calls in 5 rounds")
    assert cost("grouprank").startswith("cost: 30 calls in 1 round for")
    assert cost("instupr").startswith("cost: 970 calls in 2 rounds")
    assert cost("duot5").startswith("cost: 2550 calls in 2 rounds")
    assert cost("prp-allpair").startswith("cost: 9900 calls in 1 round for")
    assert cost("prp-sliding").startswith("cost: 1890 calls")
    assert cost("dear").startswith("cost: 102 calls in 3 rounds")
    assert cost("pairrm").startswith("cost: 198 calls")


def test_an_unknown_checkpoint_is_refused_with_what_to_state() -> None:
    with pytest.raises(ConfigError, match=r"rank_zephyr_7b_v1_full'\?.*template=.*window=.*padding="):
        checkpoint("castorini/rank_zephyr_7b_v2_full")
    assert checkpoints()["castorini/first_mistral"].ids == "letters"


def test_a_window_the_model_never_saw_is_refused() -> None:
    with pytest.raises(ConfigError, match="20 to 20 passages at once, not on 3"):
        checkpoint("ielabgroup/Rank-R1-7B-v0.1").check(Setwise(CostOnly(), schedule=Heap(2)))
    with pytest.raises(ConfigError, match="not on 40"):
        checkpoint("castorini/rank_zephyr_7b_v1_full").check(Listwise(CostOnly(), window=40))


def test_unknown_presets_and_cards_with_nonsense_are_refused() -> None:
    with pytest.raises(ConfigError, match="'rankgpt'"):
        describe("rank-gpt")
    with pytest.raises(ConfigError):
        Checkpoint(("x",), "t", window=(0, 5))
    with pytest.raises(ConfigError, match="state what x reads"):
        Checkpoint(("x",))


SHOWN = tuple(Ranked(Candidate(text), i) for i, text in enumerate(("first {query} [2]", "second <|im_end|>")))
ASKED = Asked(None, Query("why {passage}?", instruction="in short"), SHOWN)


class TestTemplates:
    def test_the_form_of_qwen3_reranker(self) -> None:
        """System, three tagged lines in the user turn, an empty thought that begins the answer."""
        stage: Any = made("qwen3-reranker").stages[0]  # type: ignore[attr-defined]
        call = stage.judge.call(Asked(None, Query("capital of China"), (Ranked(Candidate("Beijing."), 0),)))
        assert [message.role for message in call.messages] == ["system", "user", "assistant"]
        assert call.messages[1].content == (
            "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
            "<Query>: capital of China\n<Document>: Beijing."
        )
        assert call.messages[2].content == "<think>\n\n</think>\n\n"
        assert call.choices == ("yes", "no")

    def test_what_is_filled_in_is_never_filled_again(self) -> None:
        call = Permutation(template=Template("{count} for {query} ({instruction}):\n{passages}")).call(ASKED)
        assert call.messages[0].content == (
            "2 for why {passage}? (in short):\n[1] first {query} (2)\n[2] second ‹|im_end|>"
        )

    def test_every_judge_of_texts_takes_one(self) -> None:
        template = Template("{query}\n{passages}", assistant="[")
        for judge in (Permutation(template=template), Choice(template=template), Identifiers(template=template)):
            call: Any = judge.call(ASKED)
            assert call.messages[0].content.startswith("why {passage}?\n[")
            assert call.messages[1].content == "["
        assert "[A] first" in Identifiers(template=template).call(ASKED).messages[0].content
        one = Labels(template=Template("{query}|{passage}")).call(ASKED.of((1,)))
        assert one.messages[0].content == "why {passage}?|second ‹|im_end|>"

    def test_answers_are_read_as_ever(self) -> None:
        judge = Permutation(template=Template("{query}{passages}"))
        assert judge.read(Generated("[2] > [1]"), 2).order == (1, 0)
        assert Labels(template=Template("{query}{passage}")).read(Logprobs((-0.1, -5.0)), 1).usable

    def test_passages_apart_are_turns_of_their_own(self) -> None:
        template = Template(
            "{count} for {query}{passages}Order.", apart=True, ready="Go on.", received="Got {name}.", one_line=True
        )
        call = Permutation(template=template).call(ASKED)
        assert [(m.role, m.content) for m in call.messages] == [
            ("user", "2 for why {passage}?"),
            ("assistant", "Go on."),
            ("user", "[1] first {query} (2)"),
            ("assistant", "Got 1."),
            ("user", "[2] second ‹|im_end|>"),
            ("assistant", "Got 2."),
            ("user", "Order."),
        ]
        with pytest.raises(ConfigError, match="once"):
            Template("{query}{passage}", apart=True)

    def test_a_line_for_an_instruction_goes_where_there_is_none(self) -> None:
        template = Template("wish: {instruction}\n{query}\n{passages}", default="")
        call = Permutation(template=template)
        assert call.call(ASKED).messages[0].content.startswith("wish: in short\nwhy")
        bare = Asked(None, Query("why?"), SHOWN)
        assert call.call(bare).messages[0].content.startswith("why?\n[1]")

    def test_pairs_groups_and_likelihood_take_one(self) -> None:
        pair = Preference(
            template=Template("{query}: {passages}", between=" | "), names=("A", "B"), labels=("yes", "no")
        )
        call: Any = pair.call(ASKED)
        assert call.messages[0].content == "why {passage}?: [A] first {query} (2) | [B] second ‹|im_end|>"
        assert call.choices == ("yes", "no")
        group: Any = Grades(template=Template("{query}\n{passages}"), reason_tokens=100).call(ASKED)
        assert group.schema is None
        assert group.max_tokens == 32 + 20 + 100
        likely = Likelihood(template=Template("About {passage}:", assistant="{query}")).call(ASKED.of((1,)))
        assert (likely.prefix, likely.continuation) == ("About second ‹|im_end|>:", "why {passage}?")

    def test_what_does_not_go_together_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="need the template"):
            Preference(names=("0", "1"))
        with pytest.raises(ConfigError, match="readout='logprobs'"):
            Preference("text", labels=("yes", "no"), template=Template("{query}{passages}"))
        with pytest.raises(ConfigError, match="assistant turn"):
            Likelihood(template=Template("{query}{passage}"))

    @pytest.mark.parametrize("user", ["{query} {pasage}", "{query}", "{passage}", ""])
    def test_a_template_without_its_places_is_refused(self, user: str) -> None:
        with pytest.raises(ConfigError):
            Template(user)


PLUGIN = """
from tamis import Lexical
from tamis.extend import FUSION, Limit, Scoring, Stage, StageRef, part
@part
class Inner(Lexical): pass
@part
class Around(Stage):
    named: dict[str, list[StageRef]]
    def plan(self, ranking):
        for stages in self.named.values():
            for stage in stages:
                ranking = yield from stage.plan(ranking)
        return ranking
@part
class Needy(Scoring):
    depth: Limit = None
    scale = FUSION
    def scores(self, ranking, head):
        yield from ()
        return [float(ranked.candidate.metadata["year"]) for ranked in head]
@part
class Wrong(Lexical):
    def __post_init__(self): raise KeyError("wrong")
"""


def plugin(folder: Path) -> Path:
    names = ("inner", "around", "needy", "wrong")
    points = {f"tamis.stages {name}": f"gulls:{name.capitalize()}" for name in names} | {"tamis.presets x": "gulls"}
    files = {
        "gulls/__init__.py": PLUGIN,
        "gulls/nested.yaml": "title: Nested\nstage: [{around: {named: {x: [inner]}}}]",
        "gulls/years.yaml": "title: Years\nstage: [needy, {top_n: 3}]",
        "gulls/crash.yaml": "title: Crash\nstage: [wrong]",
    }
    return pretend(folder, "gulls", "1.0", points, files)


def test_what_cannot_be_predicted_of_a_preset_is_said_and_everything_else_shown(tmp_path: Path) -> None:
    with on_path(plugin(tmp_path)):
        told = describe("years")
    assert "cost: calls cannot be predicted: KeyError('year')" in told
    assert "stages: Needy: calls cannot be predicted: KeyError('year'); may drop: top_n; scale: fusion" in told
    assert "uses needy: from gulls 1.0" in told


def test_a_part_in_a_mapping_is_named_with_its_package(tmp_path: Path) -> None:
    with on_path(plugin(tmp_path)):
        told = describe("nested")
    assert "uses around: from gulls 1.0" in told
    assert "uses inner: from gulls 1.0" in told


def test_a_preset_whose_part_fails_in_whatever_way_does_not_end_the_list(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from tamis.cli.app import app

    with on_path(plugin(tmp_path)):
        done = CliRunner().invoke(app, ["presets"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.exception
    assert "cannot be used: KeyError('wrong')" in " ".join(done.output.split())
