"""Static word vectors from a sentence encoder: embed each piece of its vocabulary alone, then let sums of the pieces
of whole texts learn where the encoder puts those texts.

After model2vec and tokenlearn (Tulkens and van Dongen, 2024). Needs `transformers` and `torch`; the encoder is
all-MiniLM-L6-v2 (Apache-2.0).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.errors import needed
from tamis.text.terms import terms
from tamis.text.vectors import WordVectors

Array = NDArray[np.float32]

DISTILLING = "Distilling word vectors"
WIDTH = 128
FIRST_CHARACTER, FIRST_WORD = 999, 1996
"""In BERT's vocabulary: where single characters begin, and where words sorted by frequency do."""


class Encoder:
    """A sentence encoder (mean pooling) from a folder of weights. What it embedded is kept in `cache`."""

    def __init__(self, folder: Path, cache: Path, threads: int = 1) -> None:
        self.folder, self.cache, self.threads = folder, cache, threads
        self._loaded: Any = None

    @property
    def pieces(self) -> list[str]:
        """The vocabulary, in its order."""
        return (self.folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")

    def texts(self, texts: Sequence[str]) -> Array:
        """Unit vectors, cut at 256 pieces. Shape (texts, width)."""
        return self._kept("texts", "\0".join(texts), lambda: self.embed(texts))

    def alone(self) -> Array:
        """The vector of each piece of the vocabulary as a text of its own. Shape (pieces, width)."""
        return self._kept("alone", str(self.folder.name), self._embed_pieces)

    def _kept(self, kind: str, content: str, make: Any) -> Array:
        file = self.cache / f"{kind}-{hashlib.sha256(content.encode()).hexdigest()[:16]}.npy"
        if not file.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            np.save(file, make().astype(np.float16))
        return np.asarray(np.load(file), dtype=np.float32)

    def _model(self) -> Any:
        if self._loaded is None:
            transformers = needed("transformers", DISTILLING, "transformers")
            needed("torch", DISTILLING, "transformers").set_num_threads(self.threads)
            self._loaded = (
                transformers.AutoTokenizer.from_pretrained(self.folder),
                transformers.AutoModel.from_pretrained(self.folder).eval(),
            )
        return self._loaded

    def embed(self, texts: Sequence[str]) -> Array:
        """As `texts`, computed anew."""
        torch = needed("torch", DISTILLING, "transformers")

        tokenizer, model = self._model()
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        out = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(order), 32):
                rows = order[start : start + 32]
                batch = tokenizer(
                    [texts[row] for row in rows], padding=True, truncation=True, max_length=256, return_tensors="pt"
                )
                mask = batch["attention_mask"][..., None].float()
                pooled = (model(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)
                out[rows] = torch.nn.functional.normalize(pooled, dim=-1).numpy()
        return out

    def _embed_pieces(self) -> Array:
        torch = needed("torch", DISTILLING, "transformers")

        tokenizer, model = self._model()
        ids = torch.arange(len(self.pieces))
        first, last = torch.full_like(ids, tokenizer.cls_token_id), torch.full_like(ids, tokenizer.sep_token_id)
        framed = torch.stack([first, ids, last], dim=1)
        with torch.inference_mode():
            return np.concatenate(
                [model(input_ids=part).last_hidden_state.mean(1).numpy() for part in framed.split(512)]
            )


def distil(encoder: Encoder, groups: Sequence[Sequence[str]], *, epochs: int = 4, seed: int = 0) -> WordVectors:
    """Word vectors whose sums over texts point where the encoder's vectors do, and are as alike as those are.

    Pieces that no text holds keep what the encoder makes of them alone, longer the rarer they are.
    """
    torch = needed("torch", DISTILLING, "transformers")

    torch.manual_seed(seed)
    pieces = encoder.pieces
    chosen = [*range(FIRST_WORD, len(pieces)), *range(FIRST_CHARACTER, FIRST_WORD)]
    start, axes = _start(encoder.alone()[chosen])
    vectors = _quantised([pieces[index] for index in chosen], start)
    texts = [text for group in groups for text in group]
    if not texts:
        return vectors
    bags = [[n for term in terms(text[:2000]) for n in vectors.split(term)] or [0] for text in texts]
    told = np.concatenate([encoder.texts(group) for group in groups])
    told = told - told.mean(axis=0)
    goal = torch.nn.functional.normalize(torch.tensor(told @ axes), dim=1)
    whole = torch.nn.functional.normalize(torch.tensor(told), dim=1)
    table = torch.nn.EmbeddingBag.from_pretrained(torch.tensor(start), freeze=False, mode="mean")
    optimiser = torch.optim.Adam(table.parameters(), lr=1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(bags)).split(256):
            inside = [bags[row] for row in rows.tolist()]
            offsets = torch.tensor(np.cumsum([0, *map(len, inside[:-1])]))
            made = torch.nn.functional.normalize(table(torch.tensor(list(chain.from_iterable(inside))), offsets), dim=1)
            apart = 1 - (made * goal[rows]).sum(1).mean()
            unlike = (made @ made.T - whole[rows] @ whole[rows].T).square().mean()
            optimiser.zero_grad()
            (apart + 2 * unlike).backward()
            optimiser.step()
    return _quantised(vectors.pieces, table.weight.detach().numpy())


def save(vectors: WordVectors, file: Path) -> None:
    text = np.frombuffer("\n".join(vectors.pieces).encode("utf-8"), dtype=np.uint8)
    np.savez_compressed(file, pieces=text, codes=vectors.codes, scales=vectors.scales.astype(np.float16))


def _start(alone: Array) -> tuple[Array, Array]:
    """The pieces' own vectors on their `WIDTH` main axes, lengthened by the logarithm of their place; and the axes."""
    rows = alone / np.linalg.norm(alone, axis=1, keepdims=True)
    rows = rows - rows.mean(axis=0)
    _, vectors = np.linalg.eigh(rows.T @ rows)
    axes = vectors[:, ::-1][:, :WIDTH]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    rarity = np.log1p(np.arange(1, len(rows) + 1)) / np.log1p(len(rows))
    return (rows @ axes * (rarity**2)[:, None]).astype(np.float32), axes.astype(np.float32)


def _quantised(pieces: Sequence[str], rows: Array) -> WordVectors:
    scales = np.abs(rows).max(axis=1) / 127
    codes = np.round(rows / np.maximum(scales, 1e-12)[:, None]).astype(np.int8)
    return WordVectors(pieces, codes, scales.astype(np.float16).astype(np.float32))
