"""The default and the incoming order: what a retriever found keeps its order where words say nothing."""

from __future__ import annotations

import pytest

import tamis


@pytest.mark.parametrize("pipeline", ["texts", "default"])
def test_the_defaults_follow_the_retriever_where_words_say_nothing(pipeline: str) -> None:
    assert tamis.rerank("zebra", ["first text", "second text"], pipeline).positions == (0, 1)
    scored = [{"text": "one", "score": 0.2}, {"text": "two", "score": 0.9}]
    assert tamis.rerank("zebra", scored, pipeline, scores="similarity").positions == (1, 0)
    assert tamis.rerank("zebra", scored, pipeline).positions == (0, 1)  # they rise as distances do


def test_the_order_of_what_a_retriever_found_counts_and_that_of_mere_texts_does_not() -> None:
    texts = ["the cat sat", "something else", "nothing here", "the cat ran"]

    def best(given: list[str], pipeline: str) -> str:
        return tamis.rerank("a cat", given, pipeline).kept[0].text

    assert best(texts, "default") == "the cat sat"
    assert best(texts[::-1], "default") == "the cat ran"
    assert best(texts, "texts") == best(texts[::-1], "texts")
