"""How a document hangs together with the question, in words: text to embed beside the document's own.

Source: the AMR information of G-RAG (Dong et al., 2024). A document that is connected to the question only by the
question's words, or hardly at all, is likely no answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from tamis.graph.edges.given import QUESTION, read_graph
from tamis.pool.pool import SENTENCE
from tamis.text.terms import COMMON, terms

T = TypeVar("T")
WORDS = 64


def maximal_paths(start: T, neighbours: Callable[[T], Iterable[T]]) -> list[list[T]]:
    """The shortest paths from `start` that are no part of a longer one: to the leaves of a breadth-first search.

    `neighbours(node)`, in the order in which paths are listed. Time is linear in the edges asked for.
    """
    children: dict[T, list[T]] = {start: []}
    waiting = deque([start])
    while waiting:
        node = waiting.popleft()
        for other in neighbours(node):
            if other not in children:
                children[other] = []
                children[node].append(other)
                waiting.append(other)
    found, open_paths = [], [[start]] if children[start] else []
    while open_paths:
        path = open_paths.pop()
        if children[path[-1]]:
            open_paths.extend([*path, child] for child in reversed(children[path[-1]]))
        else:
            found.append(path)
    return found


def graph_path_text(graph: Any, words: int = WORDS) -> str:
    """The labels along the maximal paths from the node `question` of a given graph, each once, `words` at most.

    `graph`: `{"nodes": [label, ...], "edges": [[from, relation, to], ...]}`; edges are followed both ways. "" without
    such a node or where it has no edge.
    """
    labels, edges = read_graph(graph)
    if QUESTION not in labels:
        return ""
    joined: dict[int, list[int]] = {}
    for one, _, other in edges:
        joined.setdefault(one, []).append(other)
        joined.setdefault(other, []).append(one)
    paths = maximal_paths(labels.index(QUESTION), lambda node: joined.get(node, ()))
    return _told((labels[node] for path in paths for node in path), words)


def path_text(query: str, text: str, words: int = WORDS) -> str:
    """The same without a parser: from the question over its concepts in `text` to the words they share sentences with.

    Concepts are the words of `tamis.text.terms.terms` but the commonest. "" where no concept of the query occurs.

    >>> path_text("Who wrote Emma?", "Emma is a novel by Jane Austen. Austen lived in Bath. It rains.")
    'question emma novel jane austen lived bath'
    """
    found = [[term for term in terms(sentence) if term not in COMMON] for sentence in SENTENCE.split(text)]
    where: dict[str, list[int]] = {}
    for place, sentence in enumerate(found):
        for term in dict.fromkeys(sentence):
            where.setdefault(term, []).append(place)
    asked = [term for term in dict.fromkeys(terms(query)) if term in where]
    read: set[int] = set()

    def neighbours(node: str | None) -> Iterator[str | None]:
        if node is None:
            yield from asked
            return
        for place in where[node]:
            if place not in read:
                read.add(place)
                yield from found[place]

    paths = maximal_paths(None, neighbours)
    return _told((node or QUESTION for path in paths for node in path), words)


def _told(labels: Iterable[str], words: int) -> str:
    told: list[str] = []
    room = words
    for label in dict.fromkeys(labels):
        room -= len(label.split()) or 1
        if room < 0:
            break
        told.append(label)
    return " ".join(told)
