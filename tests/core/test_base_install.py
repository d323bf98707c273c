"""What works with nothing but the base install, and what an import costs: in fresh interpreters, with nothing imported."""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
import subprocess
import sys
import types
from typing import Any

import pytest

import tamis

OPTIONAL = (
    "torch", "transformers", "sentence_transformers", "tokenizers", "httpx", "onnxruntime", "opentelemetry",
    "llama_index", "langchain_core", "haystack", "openai", "rerankers", "jsonschema", "pandas",
)  # fmt: skip
BLOCKED = f"""
import json, sys

class WithoutOptional:
    '''A finder that does not see the optional packages, as where they are not installed.'''
    asked = []
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OPTIONAL!r}:
            self.asked.append(name)
            return None
        return self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(WithoutOptional, sys.meta_path)
"""


def told_by(code: str) -> Any:
    """What `code` prints as JSON, in an interpreter without any optional package."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", BLOCKED + code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_sync_and_async_rerank_work_with_the_base_install() -> None:
    code = """
import asyncio, tamis
texts = ["a recipe", "a tall mountain", {"text": "tall", "score": None, "metadata": {"date": "2024"}}, ""]
sync = tamis.rerank("tall mountain", texts, top_n=2)
in_loop = asyncio.run(tamis.arerank("tall mountain", texts, top_n=2))
print(json.dumps([sync.positions, [d.why for d in sync.dropped], sync.kept == in_loop.kept, sync.usage.calls]))
"""
    positions, why, agree, calls = told_by(code)
    assert positions == [1, 2]
    assert why == ["top_n", "top_n"]
    assert agree
    assert calls == 0


def test_nothing_optional_is_even_looked_for_but_the_tracing_api() -> None:
    code = """
import tamis
tamis.rerank("tall mountain", ["a recipe", "a tall mountain"])
tamis.rerank("tall mountain", ["a recipe", "a tall mountain"], "default")
print(json.dumps(sorted({name.partition(".")[0] for name in WithoutOptional.asked})))
"""
    assert set(told_by(code)) <= {"opentelemetry"}


def test_every_public_name_and_every_preset_without_a_model_is_there() -> None:
    code = """
import tamis
missing = [name for name in dir(tamis) if getattr(tamis, name, None) is None]
kept = {name: len(tamis.rerank("tall", ["a", "tall"], name).kept) for name in ("texts", "default", "lexical")}
print(json.dumps([missing, kept, len(set(tamis.__all__)) == len(tamis.__all__), len(tamis.presets())]))
"""
    missing, kept, each_once, presets = told_by(code)
    assert missing == []
    assert kept == {"texts": 2, "default": 2, "lexical": 2}
    assert each_once
    assert presets > 5


def test_a_model_behind_an_optional_package_names_the_command_that_installs_it() -> None:
    code = """
import tamis
from tamis.models import OpenAIChat
stage = tamis.Rebel(OpenAIChat("m", base_url="http://localhost:9/v1"))
try:
    tamis.Engine(retries=0).rerank(stage, "q", ["a"])
except tamis.TamisError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""
    name, message = told_by(code)
    assert name == "MissingExtra"
    assert "pip install './packages/core[openai]'" in message


def test_import_tamis_imports_tamis_and_the_standard_library_only() -> None:
    code = """
before = set(sys.modules)
import tamis
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([sorted(new - set(sys.stdlib_module_names)), sorted(n for n in sys.modules if n.startswith("tamis")), "asyncio" in new]))
"""
    others, own, loop = told_by(code)
    assert others == ["lazy_loader", "tamis"]
    assert own == ["tamis"]
    assert not loop


def test_listing_and_describing_do_not_import_models() -> None:
    code = """
import tamis
tamis.presets()
tamis.load("default")
print(json.dumps([name for name in sys.modules if name.startswith("tamis.models.") or name == "numpy"]))
"""
    assert set(told_by(code)) <= {
        "tamis.values.model",
        "tamis.models.cost_only",
        "tamis.models.served.http",
        "tamis.models.lazy",
    }


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


def test_a_name_is_never_hidden_by_the_module_it_comes_from() -> None:
    code = """
import tamis.graph.spread
from tamis.graph import spread
print(json.dumps(callable(spread)))
"""
    assert told_by(code)
