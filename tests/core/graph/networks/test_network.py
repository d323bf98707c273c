"""The trained networks: what they do whatever their weights, and that training and serving compute the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.graphs import Pairs, pool_of
from tamis.errors import ConfigError
from tamis.graph import Concepts, Neighbours
from tamis.graph.networks.adapter import Adapter
from tamis.graph.networks.base_network import Network
from tamis.graph.networks.ebcar import EBCAR
from tamis.graph.networks.hybrank import HybRank, bm25
from tamis.graph.networks.network import GRAG
from tamis.pool.pool import Pool
from tamis.training.loop import tensors
from tamis.values.ranking import Candidate, Query

DIMS = 6
EDGES = (Concepts(), Neighbours(by="vectors"))
NETWORKS: tuple[Network, ...] = (
    GRAG(EDGES),
    GRAG(EDGES, features="embedding", hidden=5, layers=3),
    GRAG(EDGES, normalise="row", layers=1),
    HybRank(anchors=40, hidden=8, heads=2),
    EBCAR(EDGES, hidden=8, heads=2),
    Adapter(hidden=8),
)
every_network = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: repr(network)[:40])


def trained(network: Network, seed: int = 0, dims: int = DIMS) -> dict[str, Any]:
    """Weights as if training had moved them all."""
    rng = np.random.default_rng(seed)
    return {name: value + 0.5 * rng.standard_normal(value.shape) for name, value in network.initial(dims, rng).items()}


def scored(network: Network, pool: Pool, query: Any, weights: Any = None) -> Any:
    return network.scores(trained(network) if weights is None else weights, network.read(pool, np.asarray(query)))


words = st.lists(st.sampled_from("alpha beta gamma delta question epsilon".split()), max_size=5).map(" ".join)
rows = st.lists(st.sampled_from([-1.0, -0.3, 0.0, 0.0, 0.2, 1.0]), min_size=DIMS, max_size=DIMS)
documents = st.lists(st.tuples(words, rows), min_size=1, max_size=9)
QUERY = np.array([0.9, -0.1, 0.4, 0.0, 0.3, -0.5])


def made(documents: list[tuple[str, list[float]]]) -> Pool:
    texts, vectors = zip(*documents, strict=True)
    return pool_of(vectors, texts)


@every_network
@examples(25)
@given(documents=documents, data=st.data())
def test_shuffled_documents_get_the_same_scores(network: Network, documents: Any, data: Any) -> None:
    order = data.draw(st.permutations(range(len(documents))))
    straight = scored(network, made(documents), QUERY)
    shuffled = scored(network, made([documents[place] for place in order]), QUERY)
    assert np.isfinite(straight).all()
    np.testing.assert_allclose(shuffled, straight[list(order)], atol=1e-9)


@every_network
@examples(25)
@given(documents=documents, place=st.integers(0, 8))
def test_a_document_that_is_there_twice_gets_the_same_score_twice(network: Network, documents: Any, place: int) -> None:
    twin = place % len(documents)
    found = scored(network, made([*documents, documents[twin]]), QUERY)
    assert found[-1] == pytest.approx(found[twin], abs=1e-9)


@every_network
@examples(10)
@given(documents=documents)
def test_torch_and_numpy_give_the_same_scores(network: Network, documents: Any) -> None:
    torch = pytest.importorskip("torch")
    weights, inputs = trained(network), network.read(made(documents), QUERY)
    on_tensors = {name: torch.tensor(value, dtype=torch.float32) for name, value in weights.items()}
    found = network.scores(on_tensors, tensors(torch, inputs), torch).numpy()
    np.testing.assert_allclose(found, network.scores(weights, inputs), atol=1e-5, rtol=1e-5)


@every_network
@pytest.mark.parametrize("query", [QUERY, np.zeros(DIMS)], ids=["a query", "a query of zeros"])
def test_documents_without_words_or_vectors_get_a_number(network: Network, query: Any) -> None:
    pool = pool_of([[0.0] * DIMS, [1.0] * DIMS, [0.0] * DIMS], ["", "alpha beta", "alpha beta"])
    assert np.isfinite(scored(network, pool, query)).all()


@every_network
def test_a_pool_of_one(network: Network) -> None:
    found = scored(network, pool_of([[1.0] * DIMS]), QUERY)
    assert found.shape == (1,)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("network", [n for n in NETWORKS if not isinstance(n, HybRank)], ids=lambda n: repr(n)[:40])
def test_untrained_a_network_scores_plain_cosines(network: Network) -> None:
    vectors = np.random.default_rng(1).standard_normal((7, DIMS))
    pool = pool_of(vectors, [f"alpha beta word{n}" for n in range(7)])
    weights = network.initial(DIMS, np.random.default_rng(2))
    cosines = vectors @ QUERY / np.linalg.norm(vectors, axis=1) / np.linalg.norm(QUERY)
    np.testing.assert_allclose(scored(network, pool, QUERY, weights), cosines, atol=1e-12)


def test_an_adapter_moves_each_vector_by_what_it_sees_of_the_query() -> None:
    """By hand, one unit that sees q - c only: c = (0, 1), q = (1, 0), q - c = (1, -1), ReLU of 1 is 1."""
    weights = {"in": np.zeros((6, 1)), "in.bias": np.zeros(1), "out": np.array([[3.0 * np.sqrt(2), 0.0]])}
    weights["in"][0] = 1.0
    found = scored(Adapter(hidden=1), pool_of([[0.0, 2.0], [1.0, 0.0]]), [5.0, 0.0], weights)
    assert found == pytest.approx([3 / np.sqrt(10), 1.0])


def test_an_adapter_judges_each_candidate_alone() -> None:
    vectors = np.random.default_rng(4).standard_normal((5, DIMS))
    together = scored(Adapter(), pool_of(vectors), QUERY)
    alone = [scored(Adapter(), pool_of(vectors[place : place + 1]), QUERY)[0] for place in range(5)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


grags = pytest.mark.parametrize("features", ["similarity", "embedding"])


def six(features: Any, *channels: tuple[tuple[int, int], ...]) -> tuple[GRAG, Pool]:
    network = GRAG(tuple(Pairs(pairs) for pairs in channels), features=features)
    return network, pool_of(np.random.default_rng(3).standard_normal((6, DIMS)))


@grags
def test_without_edges_it_is_the_same_network_without_neighbours(features: Any) -> None:
    """The paper's own ablation: a graph that has no edges adds nothing, whatever the weights for neighbours."""
    empty, pool = six(features, (), ())
    weights = trained(empty)
    none = replace(empty, edges=())
    alone = {**weights, "channels": np.ones((2, 0))}
    np.testing.assert_allclose(scored(empty, pool, QUERY, weights), scored(none, pool, QUERY, alone), atol=1e-12)
    deaf = {name: 0 * value if "neighbours" in name else value for name, value in alone.items()}
    np.testing.assert_allclose(scored(empty, pool, QUERY, weights), scored(none, pool, QUERY, deaf), atol=1e-12)


@grags
def test_only_who_is_near_enough_is_heard(features: Any) -> None:
    """Two layers: neighbours and their neighbours, and nobody else. 0 - 1 - 2 - 3, 4 and 5 alone."""
    joined, pool = six(features, ((0, 1), (1, 2), (2, 3)))
    apart, _ = six(features, ((1, 2), (2, 3)))
    weights = trained(joined)
    with_edge, without = scored(joined, pool, QUERY, weights), scored(apart, pool, QUERY, weights)
    assert (np.abs(with_edge - without)[:3] > 1e-6).all()
    np.testing.assert_allclose(with_edge[4:], without[4:], atol=1e-12)
    one = replace(joined, layers=1)
    near = scored(one, pool, QUERY, trained(one)), scored(replace(apart, layers=1), pool, QUERY, trained(one))
    assert (np.abs(near[0] - near[1])[:2] > 1e-6).all()
    np.testing.assert_allclose(near[0][3:], near[1][3:], atol=1e-12)


@grags
@pytest.mark.parametrize("heard", [0.7, 20.0])
def test_where_everybody_is_joined_to_everybody_the_own_state_decides(features: Any, heard: float) -> None:
    """All hear the mean of the others, which differs by their own part of it only: the order is that of the cosines."""
    network, pool = six(features, tuple((a, b) for a in range(6) for b in range(a)))
    network = replace(network, layers=1)
    weights = network.initial(DIMS, np.random.default_rng(0))
    weights["neighbours.0"] = heard * np.eye(len(weights["neighbours.0"]))
    cosines = network.read(pool, QUERY).cosines
    found = scored(network, pool, QUERY, weights)
    others = (cosines.sum() - cosines) / 5 - (0.0 if features == "embedding" else cosines.mean())
    np.testing.assert_allclose(found, cosines + heard * others / 5, atol=1e-9)
    assert np.argsort(-found).tolist() == np.argsort(-cosines).tolist()


def test_a_message_is_the_mean_over_neighbours_of_the_channels_summed() -> None:
    """One linear layer on numbers: h_v = own h_v + mean over u of (c_0 e_uv(0) + c_1 e_uv(1)) h_u neighbours + bias."""
    network = GRAG((Pairs(((0, 1), (0, 2))), Pairs(((0, 1),))), normalise="row", layers=1)
    pool = pool_of(np.random.default_rng(4).standard_normal((3, DIMS)))
    weights = {"channels": np.array([[2.0, 3.0]]), "own.0": np.array([[0.5]]), "neighbours.0": np.array([[0.7]])}
    weights["bias.0"] = np.array([0.1])
    cosine = network.read(pool, QUERY).cosines
    h = (cosine - cosine.mean()) / cosine.std()
    heard = [(2 * (h[1] + h[2]) / 2 + 3 * h[1]) / 2, 2 * h[0] + 3 * h[0], 2 * h[0]]
    expected = cosine + cosine.std() * (0.5 * h + 0.7 * np.array(heard) + 0.1)
    np.testing.assert_allclose(scored(network, pool, QUERY, weights), expected, atol=1e-12)


@grags
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_what_neighbours_added_and_the_rest_sum_up_to_the_score(features: Any, layers: int) -> None:
    network, pool = six(features, ((0, 1), (1, 2), (2, 3)), ((0, 4), (1, 2)))
    network = replace(network, layers=layers)
    weights, inputs = trained(network), network.read(pool, QUERY)
    added = sum(np.asarray(lift.strengths) for lift in network.lifts(weights, inputs))
    states = network._states(weights, inputs)
    own, alone = inputs.features, np.zeros_like(inputs.features)
    for layer in range(layers):
        own = own @ weights[f"own.{layer}"] + weights[f"bias.{layer}"]
        own = own if layer == layers - 1 else own * (states[layer + 1] > 0)
    alone = inputs.cosines + own @ inputs.readout
    np.testing.assert_allclose(alone + added, network.scores(weights, inputs), atol=1e-9)
    assert added[5] == 0.0


def test_paths_from_the_question_are_written_behind_the_text() -> None:
    graph = {"nodes": ["question", "cross", "Spain"], "edges": [[0, "ARG0", 1], [1, "ARG1", 2]]}
    texts = ["Emma is a novel by Jane Austen.", "It rains."]
    pool = Pool(Query("Who wrote Emma?"), [Candidate(texts[0], metadata={"graph": graph}), Candidate(texts[1])])
    assert GRAG().texts(pool) == texts
    assert GRAG(paths="words").texts(pool) == [f"{texts[0]}\nquestion emma novel jane austen", texts[1]]
    assert GRAG(paths="graph").texts(pool) == [f"{texts[0]}\nquestion cross Spain", texts[1]]


def test_hybrank_reads_bm25_of_each_text_for_the_anchors() -> None:
    from tamis.rankers.lexical import Lexical

    texts = ["tall mountains", "a tall tall mountain", "a recipe", "the mountain of recipes"]
    pool = [text.split() for text in ["a tall tall mountain", "a recipe", "the mountain of recipe"]]
    expected = Lexical(rarity="pool").bm25(["tall", "mountain"], pool)
    np.testing.assert_allclose(bm25(texts, [0, 1, 2])[0], expected, atol=1e-9)


def test_ebcar_hears_its_own_document() -> None:
    """The same three chunks, once as one document and once as three."""
    vectors = np.random.default_rng(5).standard_normal((3, DIMS))
    weights = trained(EBCAR())

    def found(sources: str) -> Any:
        chunks = [Candidate(str(n), metadata={"source": s, "chunk": n}) for n, s in enumerate(sources)]
        return scored(EBCAR(), Pool(Query("question"), chunks, vectors), QUERY, weights)

    assert np.abs(found("aaa") - found("abc")).min() > 1e-6


@pytest.mark.parametrize("network", [HybRank, EBCAR])
def test_heads_must_share_the_width_evenly(network: Any) -> None:
    with pytest.raises(ConfigError, match=r"hidden must be a multiple of heads, got hidden 10 and 4 heads"):
        network(hidden=10, heads=4)
