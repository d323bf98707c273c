"""How a document hangs together with the question, in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.pools import texts
from tamis.graph.networks.paths import graph_path_text, maximal_paths, path_text
from tamis.text.terms import COMMON, terms

CROSS = ["question", "cross", "world-region", "crucifix", "number", "be-located-at", "country", "Spain"]
FAITH = ["religion", "Catholicism", "belief", "worship"]
EDGES = [[0, "r", 1], [1, "r", 2], [2, "r", 3], [3, "r", 4], [5, "r", 4], [5, "r", 6], [6, "r", 7], [1, "r", 8]]
EDGES += [[8, "r", 9], [9, "r", 10], [10, "r", 11]]


def test_the_worked_example_of_the_paper() -> None:
    assert graph_path_text({"nodes": CROSS + FAITH, "edges": EDGES}) == (
        "question cross world-region crucifix number be-located-at country Spain religion Catholicism belief worship"
    )


def test_only_paths_that_are_no_part_of_another_are_kept() -> None:
    joined = {0: [1, 2], 1: [3], 2: [3, 4], 3: [5]}
    assert maximal_paths(0, lambda node: joined.get(node, ())) == [[0, 1, 3, 5], [0, 2, 4]]
    assert maximal_paths(0, lambda node: ()) == []


def test_unreachable_nodes_and_repeated_labels_are_not_told() -> None:
    graph = {"nodes": ["question", "a", "b", "a", "alone"], "edges": [[0, "r", 1], [1, "r", 2], [2, "r", 3]]}
    assert graph_path_text(graph) == "question a b"


@pytest.mark.parametrize(
    "graph", [None, {}, {"nodes": ["a"], "edges": []}, {"nodes": ["question"]}, {"nodes": "question"}]
)
def test_without_a_question_node_there_is_no_text(graph: Any) -> None:
    assert graph_path_text(graph) == ""


def test_without_a_parser_words_of_one_sentence_are_joined() -> None:
    text = "Emma is a novel by Jane Austen. Austen lived in Bath. Spas are in Bath. It rains in Wales."
    assert path_text("Who wrote Emma?", text) == "question emma novel jane austen lived bath spa"
    assert path_text("When was Paris founded?", text) == ""


def test_the_text_is_cut_between_labels() -> None:
    assert path_text("x0", " ".join(f"x{n}" for n in range(100)), words=3) == "question x0 x1"
    long_label = {"nodes": ["question", "New York City", "x"], "edges": [[0, "r", 1], [1, "r", 2]]}
    assert graph_path_text(long_label, words=4) == "question New York City"
    assert graph_path_text(long_label, words=3) == "question"


@given(query=texts, text=texts)
def test_only_words_of_the_document_are_told_each_once(query: str, text: str) -> None:
    told = path_text(query, text).split()
    assert len(told) == len(set(told)) <= 64
    assert set(told) <= {"question", *terms(text)} - (COMMON - {"question"})
    assert bool(told) == bool(set(terms(query)) & set(terms(text)) - COMMON)
    assert not told or told[0] == "question"


@given(size=st.integers(0, 3000))
def test_long_sentences_take_no_quadratic_time(size: int) -> None:
    assert path_text("w0", " ".join(f"w{n % 997}" for n in range(size))) == " ".join(
        ["question", *(f"w{n}" for n in range(min(63, size)))] if size else []
    )
