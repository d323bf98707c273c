"""What works with nothing but the base install, and what an import costs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
import types

import pytest

import tamis

OPTIONAL = ("torch", "transformers", "httpx", "onnxruntime", "tokenizers", "opentelemetry", "openai")
FRAMEWORKS = ("llama_index", "langchain_core", "haystack")


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_reranking_works_without_any_optional_package() -> None:
    code = f"""
import sys
for name in {OPTIONAL + FRAMEWORKS!r}: sys.modules[name] = None
import tamis
ranking = tamis.rerank("tall mountain", ["a recipe", "a tall mountain", ""], top_n=2)
print(ranking.positions, [d.why for d in ranking.dropped])
"""
    assert run(code) == "(1, 0) ['top_n']"


def test_importing_tamis_imports_nothing_heavy() -> None:
    heavy = ("numpy", "pydantic", "yaml", "tenacity", "asyncio", *OPTIONAL, *FRAMEWORKS)
    assert run(f"import sys, tamis; print([m for m in {heavy!r} if m in sys.modules])") == "[]"


@pytest.mark.parametrize("pipeline", ["texts", "default"])
def test_the_defaults_follow_the_retriever_where_words_say_nothing(pipeline: str) -> None:
    assert tamis.rerank("zebra", ["first text", "second text"], pipeline).positions == (0, 1)
    scored = [{"text": "one", "score": 0.2}, {"text": "two", "score": 0.9}]
    assert tamis.rerank("zebra", scored, pipeline).positions == (1, 0)


def test_the_order_of_what_a_retriever_found_counts_and_that_of_mere_texts_does_not() -> None:
    texts = ["the cat sat", "something else", "nothing here", "the cat ran"]

    def best(given: list[str], pipeline: str) -> str:
        return tamis.rerank("a cat", given, pipeline).kept[0].text

    assert best(texts, "default") == "the cat sat"
    assert best(texts[::-1], "default") == "the cat ran"
    assert best(texts, "texts") == best(texts[::-1], "texts")


NEEDS_A_SERVER_OR_WEIGHTS = ("openai_chat", "rerank_service", "causal_lm", "transformers_encoders", "onnx")


def modules() -> list[str]:
    names = [m.name for m in pkgutil.walk_packages(tamis.__path__, "tamis.")]
    return [name for name in names if not name.endswith(NEEDS_A_SERVER_OR_WEIGHTS)]


@pytest.mark.parametrize("name", ["tamis", *modules()])
def test_the_examples_in_docstrings_run(name: str) -> None:
    module = importlib.import_module(name)
    assert isinstance(module, types.ModuleType)
    names = {public: getattr(tamis, public) for public in ("Lexical", "TopN", "Criterion", "Listwise")}
    failed, _ = doctest.testmod(module, extraglobs=names, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert failed == 0
