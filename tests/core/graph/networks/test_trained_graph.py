"""The stage that serves a trained network, and the file it is kept in."""

from __future__ import annotations

import asyncio
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.graphs import Pairs, trained, word_counter
from tamis import Embedding, Engine, load
from tamis.errors import CapabilityError, ConfigError
from tamis.graph import Concepts, Mentions, Structure
from tamis.graph.networks.hybrank import HybRank
from tamis.graph.networks.network import GRAG
from tamis.graph.networks.trained import Trained
from tamis.graph.networks.trained_graph import TrainedGraph
from tamis.models import CostOnly, Function
from tamis.values.answers import Failure
from tamis.values.calls import Embed
from tamis.values.scale import COSINE, FUSION

DIMS = 8
EMBEDDER = word_counter(DIMS)
TEXTS = ["w1 w2 w3", "w2 w3 w3 river", "w4 river", "w5 w6", "w1 w7 river"]


def test_a_file_gives_the_same_network_back(tmp_path: Path) -> None:
    made = trained(GRAG((Concepts(degree=3), Mentions(), Structure(links="cites")), hidden=4))
    made.write(tmp_path / "grag.npz")
    again = Trained.read(tmp_path / "grag.npz")
    assert (again.network, again.embedder, again.dims, again.training) == (
        made.network,
        made.embedder,
        made.dims,
        made.training,
    )
    for name, value in made.weights.items():
        np.testing.assert_allclose(again.weights[name], value, rtol=1e-6)


def test_the_file_is_data_and_nothing_else(tmp_path: Path) -> None:
    trained().write(tmp_path / "grag.npz")
    with np.load(tmp_path / "grag.npz", allow_pickle=False) as arrays:
        settings = json.loads(str(arrays["settings"]))
    assert settings["network"] == {"grag": {}}
    assert (settings["embedder"], settings["dims"]) == ("words", DIMS)
    with zipfile.ZipFile(tmp_path / "grag.npz") as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())


def test_a_file_with_objects_in_it_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", settings=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ConfigError, match=r"bad\.npz is not a trained network .*train_graph"):
        Trained.read(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"format": 2}, "its format is 2, this version reads 1"),
        ({"network": {"graag": {}}}, "unknown network 'graag'. Did you mean 'grag'"),
        ({"network": {"grag": {"hidden": 7}}}, "its weights do not fit its network: bias.0"),
        ({"dims": None}, "is not a trained network"),
    ],
)
def test_a_file_that_does_not_hold_together_is_refused(tmp_path: Path, change: dict[str, Any], fault: str) -> None:
    trained().write(tmp_path / "grag.npz")
    with np.load(tmp_path / "grag.npz") as arrays:
        held = {name: arrays[name] for name in arrays.files}
    settings = json.loads(str(held.pop("settings"))) | change
    np.savez(tmp_path / "grag.npz", settings=np.array(json.dumps(settings)), **held)
    with pytest.raises(ConfigError, match=fault):
        TrainedGraph(tmp_path / "grag.npz", EMBEDDER)


@pytest.mark.parametrize("written", [b"", b"not a zip", b"PK\x03\x04 broken"])
def test_what_is_no_such_file_is_refused_where_the_stage_is_made(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(written)
    with pytest.raises(ConfigError, match=r"x\.npz is not a trained network"):
        TrainedGraph(str(tmp_path / "x.npz"), EMBEDDER)
    with pytest.raises(ConfigError, match=r"no trained network at .*y\.npz.*train_graph"):
        TrainedGraph(str(tmp_path / "y.npz"), EMBEDDER)


def test_another_embedder_is_refused_and_both_are_named() -> None:
    stage = TrainedGraph(trained(), word_counter(DIMS, "other"))
    with pytest.raises(ConfigError, match=r"trained on embeddings of 'words' \(8 numbers\); these are of 'other'"):
        stage.rerank("w1", TEXTS)


def test_the_embedder_under_the_same_name_but_of_another_width_is_refused() -> None:
    stage = TrainedGraph(trained(), word_counter(5))
    with pytest.raises(ConfigError, match=r"of 'words' \(8 numbers\); these are of 'words' \(5 numbers\)"):
        stage.rerank("w1", TEXTS)


def test_a_model_that_cannot_embed_is_refused() -> None:
    with pytest.raises(CapabilityError, match="TrainedGraph needs a model that can `embed`"):
        TrainedGraph(trained(), Function(lambda call: 1.0, "classify"))


def test_untrained_it_sorts_as_the_embedder_does() -> None:
    found = TrainedGraph(trained(moved=0.0), EMBEDDER).rerank("w2 w3", TEXTS)
    plain = Embedding(EMBEDDER).rerank("w2 w3", TEXTS)
    assert found.positions == plain.positions
    assert [r.score for r in found.kept] == pytest.approx([r.score for r in plain.kept], abs=1e-6)
    assert (found.scale, found.degraded) == (FUSION, False)


def test_the_scale_is_the_networks() -> None:
    assert TrainedGraph(trained(HybRank(hidden=8)), EMBEDDER).rerank("w1", TEXTS).scale == COSINE


def test_one_round_of_embeddings_and_nothing_else() -> None:
    usage = Engine().dry_run(TrainedGraph(trained(), EMBEDDER), "w1", TEXTS)
    assert (usage.calls, usage.rounds) == (6, 1)


def test_what_the_network_wants_embedded_is_embedded() -> None:
    asked: list[tuple[str, str]] = []

    def embed(call: Embed) -> list[float]:
        asked.append((call.role, call.text))
        return [1.0] * DIMS

    stage = TrainedGraph(trained(GRAG(paths="words")), Function(embed, "embed", name="words"))
    stage.rerank("who is w1", ["w1 w2", "w3"])
    assert sorted(asked) == [("passage", "w1 w2\nquestion w1 w2"), ("passage", "w3"), ("query", "who is w1")]


def test_who_lifted_whom_is_told_by_input_position() -> None:
    """0 - 1 - 2: with weights that pass on what neighbours have, 1 is lifted by 0, which fits, and 2 by nobody."""
    network = GRAG((Pairs(((0, 1), (1, 2))),), layers=1)
    weights = {"channels": np.ones((1, 1)), "own.0": np.zeros((1, 1)), "bias.0": np.zeros(1)}
    passing_on = Trained(network, {**weights, "neighbours.0": np.ones((1, 1))}, "words", DIMS)
    ranking = TrainedGraph(passing_on, EMBEDDER).rerank("w1", ["w1", "w2", "w3", "w4"])
    by = {ranked.position: ranked for ranked in ranking.kept}
    assert [(n.position, n.channel) for n in by[1].lifted_by] == [(0, "Pairs")]
    assert by[2].lifted_by == by[3].lifted_by == ()
    assert by[1].lifted_by[0].weight > 0
    assert ranking.positions == (0, 1, 3, 2)
    assert TrainedGraph(passing_on, EMBEDDER, explain=0).rerank("w1", ["w1", "w2", "w3", "w4"]).kept[1].lifted_by == ()


def test_what_cannot_be_embedded_keeps_its_place_and_is_in_no_graph() -> None:
    def embed(call: Embed) -> Any:
        return Failure("error", "no") if "w4" in call.text else [float(call.text.count(f"w{n}")) for n in range(DIMS)]

    stage = TrainedGraph(trained(), Function(embed, "embed", name="words"))
    ranking = stage.rerank("w2 w3", TEXTS)
    assert ranking.kept[2].position == 2
    assert ranking.kept[2].score is None
    assert [notice.positions for notice in ranking.warnings] == [(2,)]
    without = stage.rerank("w2 w3", [text for text in TEXTS if "w4" not in text])
    assert [r.score for r in ranking.kept if r.score is not None] == pytest.approx([r.score for r in without.kept])


@pytest.mark.parametrize(
    "answer", [Failure("error", "no"), [float("nan")] * DIMS, [float("inf")] + [0.0] * (DIMS - 1), [1.0, 2.0], []]
)
def test_without_the_querys_vector_the_order_stays(answer: Any) -> None:
    def embed(call: Embed) -> Any:
        return answer if call.role == "query" else [1.0] * DIMS

    ranking = TrainedGraph(trained(), Function(embed, "embed", name="words")).rerank("w1", TEXTS)
    assert ranking.positions == (0, 1, 2, 3, 4)
    assert ranking.warnings[0].positions == (0, 1, 2, 3, 4)


number = st.one_of(st.floats(-1, 1), st.sampled_from([0.0, 1e300, -1e-300, float("nan"), float("inf")]))
answers = st.one_of(
    st.lists(number, min_size=DIMS, max_size=DIMS), st.lists(number, max_size=3), st.just(Failure("error", "scripted"))
)


@examples(60)
@given(query=st.lists(number, min_size=DIMS, max_size=DIMS), given=st.lists(answers, max_size=7), moved=st.floats(0, 3))
def test_whatever_the_embedder_answers_every_candidate_is_there_and_what_was_not_judged_is_named(
    query: Any, given: Any, moved: float
) -> None:
    def embed(call: Embed) -> Any:
        return query if call.role == "query" else given[int(call.text.split()[0])]

    stage = TrainedGraph(trained(moved=moved), Function(embed, "embed", name="words"))
    ranking = stage.rerank("w1", [f"{place} river{place % 2} stone" for place in range(len(given))])
    assert sorted(ranking.positions) == list(range(len(given)))
    unjudged = [ranked.position for ranked in ranking.kept if ranked.score is None]
    assert sorted(place for notice in ranking.warnings for place in notice.positions) == sorted(unjudged)
    assert all(ranking.kept[place].position == place for place in unjudged)
    judged = [ranked.score for ranked in ranking.kept if ranked.score is not None]
    assert all(map(math.isfinite, judged))
    assert judged == sorted(judged, reverse=True)


def test_the_rest_beyond_the_depth_stays_behind() -> None:
    ranking = TrainedGraph(trained(), EMBEDDER, depth=3).rerank("w7", TEXTS)
    assert ranking.positions[3:] == (3, 4)
    assert [r.score is None for r in ranking.kept] == [False] * 3 + [True] * 2


def test_nothing_to_rank_is_nothing_ranked() -> None:
    assert TrainedGraph(trained(), EMBEDDER).rerank("w1", []).kept == ()


def test_sync_and_async_agree() -> None:
    stage = TrainedGraph(trained(), EMBEDDER)
    assert asyncio.run(stage.arerank("w2", TEXTS)).kept == stage.rerank("w2", TEXTS).kept


def test_it_is_written_as_data_by_the_path_of_its_file(tmp_path: Path) -> None:
    trained(embedder="cost-only").write(tmp_path / "grag.npz")
    stage = TrainedGraph(tmp_path / "grag.npz", CostOnly(), depth=20)
    assert stage.to_data() == {
        "trained_graph": {"network": str(tmp_path / "grag.npz"), "model": {"cost_only": {}}, "depth": 20}
    }
    assert load(stage.to_data(), allow={f"files:{tmp_path}"}) == stage
