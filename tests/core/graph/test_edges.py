"""Which candidates are joined, by what, and how strongly; and that no kind of edge depends on the order of candidates."""

from __future__ import annotations

from math import log
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.pools import pool, pools, shuffled
from tamis import Candidate, Query
from tamis.graph import ConceptPairs, Concepts, Edges, Given, Mentions, Neighbours, Structure
from tamis.graph.edges import pairs as pairs_of_concepts
from tamis.pool.pool import Pool

KINDS: list[Edges] = [
    Concepts(),
    Concepts(degree=1, max_share=1.0, query_weight=0.5, duplicates=1.0),
    ConceptPairs(),
    ConceptPairs(window=2, degree=2),
    Mentions(),
    Mentions(max_share=1.0),
    Neighbours(),
    Neighbours(degree=1),
    Neighbours(degree=2, mutual=False, query_weight=1.0),
    Neighbours("vectors"),
    Neighbours("vectors", degree=1, mutual=False),
    Structure(),
    Structure(max_documents=2),
    Given(),
    Given("graph", "edges"),
]
every = pytest.mark.parametrize("kind", KINDS, ids=repr)
labels = st.sampled_from(["question", "write-01", "novel", "Emma", "person"])
graphs = st.fixed_dictionaries(
    {
        "nodes": st.lists(labels, max_size=4),
        "edges": st.lists(
            st.tuples(st.integers(-1, 4), st.sampled_from(["ARG0", "mod"]), st.integers(-1, 4)), max_size=4
        ),
    }
)


def joined(kind: Edges, candidates: Any, query: str = "who wrote the novel Emma?") -> dict[tuple[int, int], float]:
    edges = kind.of(pool(candidates, query))
    return {(i, j): w for i, j, w in zip(edges.rows.tolist(), edges.cols.tolist(), edges.weights.tolist(), strict=True)}


def each_way(*pairs: tuple[int, int], weight: float = 1.0) -> Any:
    return {(i, j): pytest.approx(weight) for a, b in pairs for i, j in ((a, b), (b, a))}


@every
@given(found=pools, graphs=st.lists(graphs, min_size=12, max_size=12), seed=st.integers(0, 99))
def test_shuffled_candidates_give_the_same_graph_shuffled(kind: Edges, found: Any, graphs: Any, seed: int) -> None:
    for candidate, graph in zip(found, graphs, strict=False):
        candidate.metadata["graph"] = graph
    order = np.random.default_rng(seed).permutation(len(found))
    edges, other = kind.of(pool(found)), kind.of(pool(shuffled(found, order)))
    assert np.allclose(edges.dense()[order][:, order], other.dense(), atol=1e-9)
    assert np.all(edges.weights > 0)
    assert np.all(np.isfinite(edges.weights))
    assert not np.any(edges.rows == edges.cols)
    if not isinstance(kind, Mentions):
        assert np.allclose(edges.dense(), edges.dense().T)


@every
def test_pools_without_anything_to_join_have_no_edges(kind: Edges) -> None:
    for found in ([], ["one text alone"], ["", "", ""], ["quite different", "entirely other", "nothing shared"]):
        assert len(kind.of(pool(found))) == 0


class TestConcepts:
    def test_shared_concepts_weigh_by_their_rarity_in_the_pool(self) -> None:
        found = ["seaside rain dunes", "seaside rain tram", "rain kettle", "opera"]
        rare, common = log(1 + 4 / 2), log(1 + 4 / 3)
        assert joined(Concepts(max_share=1.0), found) == {
            **each_way((0, 1), weight=rare + common),
            **each_way((0, 2), (1, 2), weight=common),
        }

    def test_concepts_of_the_query_and_the_commonest_words_join_nobody(self) -> None:
        found = ["Emma wrote this novel of mine", "Emma wrote the other novel", "opera", "kettle"]
        assert joined(Concepts(), found) == {}
        assert joined(Concepts(query_weight=1.0), found).keys() == {(0, 1), (1, 0)}

    def test_a_concept_that_most_candidates_have_joins_nobody(self) -> None:
        found = ["rain one", "rain two", "rain three", "opera"]
        assert joined(Concepts(max_share=0.5), found) == {}
        assert len(joined(Concepts(max_share=0.75), found)) == 6
        assert joined(Concepts(max_share=1.0, max_documents=2), found) == {}

    def test_one_document_twice_gets_no_edge_but_both_keep_their_others(self) -> None:
        twice = "Bath seaside rain opera 1817"
        assert joined(Concepts(max_share=1.0), [twice, twice, "seaside kettle"]).keys() == {
            (0, 2),
            (2, 0),
            (1, 2),
            (2, 1),
        }

    def test_of_many_edges_the_heaviest_stay(self) -> None:
        found = ["a1 b1 c1", "a1 b1 x1", "c1 y1"]
        assert joined(Concepts(degree=1, max_share=1.0), found).keys() == {(0, 1), (1, 0), (0, 2), (2, 0)}


class TestConceptPairs:
    def test_two_concepts_must_stand_in_one_sentence_of_both(self) -> None:
        found = ["Austen lived in Bath. It rained.", "In Bath, Austen walked.", "Austen left. Bath stayed.", "opera"]
        assert joined(ConceptPairs(max_share=1.0), found) == each_way((0, 1), weight=log(1 + 4 / 2))

    def test_concepts_further_apart_than_the_window_are_no_pair(self) -> None:
        found = ["Austen x1 x2 x3 Bath", "Austen x4 x5 x6 Bath", "opera"]
        assert joined(ConceptPairs(window=4, max_share=1.0), found) == each_way((0, 1), weight=log(1 + 3 / 2))
        assert joined(ConceptPairs(window=3, max_share=1.0), found) == {}

    @given(
        found=st.lists(st.lists(st.sampled_from("river stone bank flood town. mill.".split()), max_size=8), max_size=9),
        most=st.integers(1, 9),
    )
    def test_pairs_read_in_parts_make_the_same_graph(self, found: list[list[str]], most: int) -> None:
        pool = Pool(Query("who"), [Candidate(" ".join(words)) for words in found])
        kind = ConceptPairs(max_share=1.0, duplicates=1.0)
        whole = kind.of(pool)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pairs_of_concepts, "HELD", most)
            parts = kind.of(pool)
        assert (parts.rows.tolist(), parts.cols.tolist()) == (whole.rows.tolist(), whole.cols.tolist())
        assert parts.weights == pytest.approx(whole.weights)

    def test_pairs_of_one_document_alone_tell_it_from_a_duplicate(self) -> None:
        first = "stone bridge village"
        pool = Pool(Query("who"), [Candidate(first), Candidate(f"{first} mill water wheel"), Candidate("other words")])
        assert len(ConceptPairs(window=1).of(pool)) == 2
        assert len(ConceptPairs(window=1, duplicates=0.3).of(pool)) == 0


class TestMentions:
    emma = ("Emma is a novel by Jane Austen", None)
    austen = ("Born 1775", "Jane Austen (writer)")
    bath = ("A city", "Bath")

    def found(self, *documents: tuple[str, str | None]) -> list[Any]:
        return [{"text": text, "title": title} for text, title in documents]

    def test_who_is_named_and_who_names_are_joined(self) -> None:
        assert joined(Mentions(), self.found(self.emma, self.austen, self.bath), "x") == each_way((0, 1))

    def test_nobody_listens_to_what_the_query_names_for_naming_it_too(self) -> None:
        found = self.found(self.emma, self.austen, self.bath)
        assert joined(Mentions(), found, "Where did Jane Austen live?").keys() == {(1, 0)}

    def test_a_title_must_stand_there_word_for_word_and_in_order(self) -> None:
        texts = ["Austen, Jane", "Jane visited Austen", "jane AUSTEN's", "Jane", "x Jane Austen"]
        found = self.found(*((text, None) for text in texts), ("1775", "Jane Austen"))
        assert joined(Mentions(max_share=1.0), found, "x").keys() == {(2, 5), (5, 2), (4, 5), (5, 4)}

    def test_a_title_does_not_run_from_one_document_into_the_next(self) -> None:
        found = self.found(("by Jane", None), ("Austen wrote", None), self.austen)
        assert joined(Mentions(), found, "x") == {}

    def test_a_title_that_stands_everywhere_joins_nobody(self) -> None:
        found = self.found(*[("rain in Bath", None)] * 5, self.bath, *[("x", None)] * 4)
        assert joined(Mentions(max_share=0.4), found, "x") == {}
        assert len(joined(Mentions(max_share=0.5), found, "x")) == 10

    def test_parts_of_one_document_do_not_mention_each_other(self) -> None:
        found = self.found(("part one", "Emma"), ("part two", "Emma (novel)"), ("on Emma", "Persuasion"))
        assert joined(Mentions(max_share=1.0), found, "x").keys() == {(0, 2), (2, 0), (1, 2), (2, 1)}

    def test_titles_without_words_join_nobody(self) -> None:
        assert joined(Mentions(), self.found(("a", "()"), ("b", "--"), ("c", " ")), "x") == {}


class TestNeighbours:
    def test_an_edge_weighs_how_far_its_cosine_is_above_the_median(self) -> None:
        angles = np.array([0.0, 0.1, 1.0, 1.5])
        found = [{"text": str(place), "vector": (np.cos(a), np.sin(a))} for place, a in enumerate(angles)]
        median = np.cos(1.0)
        edges = joined(Neighbours("vectors", degree=2, duplicates=1.0), found)
        assert edges[0, 1] == pytest.approx((np.cos(0.1) - median) / (1 - median))
        assert edges[2, 3] == pytest.approx((np.cos(0.5) - median) / (1 - median))
        assert edges.keys() == each_way((0, 1), (2, 3), (1, 2)).keys()

    def test_only_edges_that_both_name_stay_when_mutual(self) -> None:
        angles = [0.0, 0.2, 0.6]
        found = [{"text": str(a), "vector": (np.cos(a), np.sin(a))} for a in angles] + [
            {"text": "far", "vector": (-1.0, 0.1)}
        ]
        assert (1, 2) not in joined(Neighbours("vectors", degree=1, duplicates=1.0), found)
        assert (1, 2) in joined(Neighbours("vectors", degree=1, mutual=False, duplicates=1.0), found)

    def test_words_of_the_query_make_nobody_alike(self) -> None:
        found = ["Emma novel opera", "Emma novel kettle", "tram x1", "y1 z1"]
        assert joined(Neighbours(), found) == {}
        assert joined(Neighbours(query_weight=1.0), found).keys() == {(0, 1), (1, 0)}

    def test_one_document_twice_gets_no_edge(self) -> None:
        found = ["Bath seaside rain", "Bath seaside rain", "Bath kettle", "opera", "tram"]
        assert joined(Neighbours(), found).keys() == {(0, 2), (2, 0), (1, 2), (2, 1)}

    def test_candidates_without_a_vector_of_the_right_length_have_no_edges(self) -> None:
        vectors = [(1.0, 0.0), (0.9, 0.1), None, (1.0, 0.0, 0.0), (0.0, 0.0), (float("nan"), 1.0), (-1.0, 0.0)]
        found = [{"text": "x", "vector": vector} for vector in vectors]
        assert joined(Neighbours("vectors", duplicates=1.0), found).keys() == {(0, 1), (1, 0)}

    @given(values=st.lists(st.floats(-1, 1), min_size=1, max_size=66))
    def test_the_median_of_a_large_pool_is_close_to_the_exact_one(self, values: list[float]) -> None:
        from tamis.graph.edges.neighbours import Median

        n = int((1 + (1 + 8 * len(values)) ** 0.5) / 2)
        upper = np.triu_indices(n, 1)
        full = np.zeros((n, n))
        full[upper] = values[: len(upper[0])]
        full += full.T
        exact = max(0.0, sorted(full[upper].tolist())[(len(upper[0]) - 1) // 2]) if n > 1 else 0.0
        for is_exact, tolerance in ((True, 1e-12), (False, 1 / 2000)):
            median = Median(n)
            median._exact = is_exact
            above = full[upper]
            median.see(above[:2][above[:2] > 0])
            median.see(above[2:][above[2:] > 0])
            assert median.value == pytest.approx(exact, abs=tolerance)


class TestStructure:
    def found(self, *metadata: dict[str, Any]) -> list[Any]:
        return [{"text": "x", "id": f"d{place}", "metadata": fields} for place, fields in enumerate(metadata)]

    def test_one_source_joins_and_neighbouring_chunks_join_more(self) -> None:
        found = self.found(
            {"source": "a", "chunk": 1}, {"source": "a", "chunk": 2}, {"source": "a", "chunk": 9}, {"source": "b"}
        )
        assert joined(Structure(), found) == {**each_way((0, 1), weight=2.0), **each_way((0, 2), (1, 2))}

    def test_a_large_source_joins_only_neighbouring_chunks(self) -> None:
        found = self.found(*({"source": "a", "chunk": number} for number in (1, 2, 9)))
        assert joined(Structure(max_documents=2), found) == each_way((0, 1))

    def test_links_join_whichever_way_they_point(self) -> None:
        found = self.found({"links": ["d1", "d0", "unknown"]}, {}, {"links": "d1"}, {"links": ["d1", "d1"]})
        assert joined(Structure(), found) == each_way((0, 1), (1, 2), (1, 3))

    def test_ids_of_other_types_are_found(self) -> None:
        found = [{"text": "x", "id": 7}, {"text": "y", "id": "8", "metadata": {"links": [7]}}]
        assert joined(Structure(), found) == each_way((0, 1))

    def test_fields_have_other_names_or_are_left_out(self) -> None:
        found = self.found({"url": "a", "refs": ["d1"]}, {"url": "a"})
        assert joined(Structure(source="url", links=None), found) == each_way((0, 1))
        assert joined(Structure(source=None, chunk=None, links="refs"), found) == each_way((0, 1))
        assert joined(Structure(source=None, links=None), found) == {}

    @pytest.mark.parametrize("odd", [None, float("nan"), [1], {"a": 1}, object, "2", 1.5, float("inf")])
    def test_metadata_of_any_kind_is_survived(self, odd: Any) -> None:
        found = self.found({"source": odd, "chunk": odd, "links": odd}, {"source": "a", "chunk": 1, "links": odd})
        assert isinstance(joined(Structure(), found), dict)


class TestGiven:
    one: ClassVar = {
        "nodes": ["question", "write-01", "Emma", "Austen"],
        "edges": [[0, "of", 2], [1, "ARG0", 3], [1, "ARG1", 2]],
    }
    two: ClassVar = {
        "nodes": ["Austen", "write-01", "Persuasion", "question"],
        "edges": [[1, "ARG0", 0], [1, "ARG1", 2]],
    }

    def found(self, *graphs: Any) -> list[Any]:
        return [{"text": "x", "metadata": {"graph": graph}} for graph in graphs]

    def test_common_nodes_and_common_edges_are_counted(self) -> None:
        found = self.found(self.one, self.two, {"nodes": ["Bath"], "edges": []})
        assert joined(Given(), found, "Emma?") == each_way((0, 1), weight=2.0)
        assert joined(Given(common="edges"), found, "Emma?") == each_way((0, 1))

    def test_concepts_of_the_question_do_not_count(self) -> None:
        found = self.found(self.one, self.two)
        assert joined(Given(), found, "Did Austen write it?") == {}
        assert joined(Given(common="edges"), found, "Did Austen write it?") == {}
        assert joined(Given(query_concepts=True), found, "Did Austen write it?") == each_way((0, 1), weight=3.0)

    @pytest.mark.parametrize(
        "odd", [None, 3, "x", {}, {"nodes": 3}, {"nodes": ["a"], "edges": [[0, "r", 5], [0], "x", None]}]
    )
    def test_what_is_no_graph_joins_nobody(self, odd: Any) -> None:
        assert joined(Given(common="edges"), self.found(odd, odd, self.one)) == {}


def test_a_channel_has_the_name_it_is_written_under() -> None:
    assert [kind.channel for kind in (Concepts(), ConceptPairs(), Neighbours())] == [
        "concepts",
        "concept_pairs",
        "neighbours",
    ]


def test_vectors_given_to_a_pool_replace_those_of_the_candidates() -> None:
    given_, found = [(0.0, 2.0), (3.0, 4.0)], pool([{"text": "a", "vector": (1.0, 0.0)}, "b"])
    assert Pool(found.query, found.candidates, given_).vectors == pytest.approx(np.array([[0.0, 1.0], [0.6, 0.8]]))
