"""PARADE's poolings against plain transformers, on a random encoder."""

from __future__ import annotations

import numpy as np
import pytest

from tamis.errors import ConfigError
from tamis.models import Parade
from tamis.parts.dump import dump
from tamis.text.terms import passages
from tamis.values.calls import Classify
from tamis.values.model import MODELS

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXTS = ["the tall mountain. " * 9 + "a recipe is the query", "a recipe", ""]
CUT = {"words": 6, "overlap": 2, "at_most": 5}


def head(folder, pooling):
    draw = np.random.default_rng(0)
    path = folder / f"{pooling}.npz"
    np.savez(path, pooling=pooling, weight=draw.normal(size=32), bias=0.5, attention=draw.normal(size=32))
    return str(path)


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_a_document_is_pooled_from_its_passages_vectors(tmp_path, tiny_cross_encoder_folder, pooling):
    path = head(tmp_path, pooling)
    model = Parade(tiny_cross_encoder_folder, device="cpu", max_length=64, head=path, **CUT)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_cross_encoder_folder)
    network = transformers.AutoModel.from_pretrained(tiny_cross_encoder_folder).eval()
    with np.load(path) as file:
        weight, bias, look = file["weight"], file["bias"], file["attention"]
    answers = model.classify([Classify(model, "tall recipe", text) for text in TEXTS])
    for text, answer in zip(TEXTS, answers, strict=True):
        rows, read = [], 0
        for passage in passages(text, *CUT.values()):
            inputs = tokenizer(["tall recipe"], [passage], return_tensors="pt")
            read += inputs["input_ids"].shape[1]
            with torch.inference_mode():
                rows.append(network(**inputs).last_hidden_state[0, 0].numpy())
        rows = np.array(rows)
        attended = np.exp(rows @ look) / np.exp(rows @ look).sum()
        document = {"mean": rows.mean(0), "max": rows.max(0), "attention": attended @ rows}[pooling]
        assert answer.value == pytest.approx(float(document @ weight + bias), abs=1e-3)
        assert answer.tokens_in == read
    assert len(passages(TEXTS[0], *CUT.values())) == 5
    assert MODELS.build(dump(model)) == model


def layers(width=32):
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(width, 4, 48, activation="gelu", batch_first=True)
    return torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()


def test_a_transformer_reads_the_passages_behind_a_vector_of_its_own(tmp_path, tiny_cross_encoder_folder):
    draw, over = np.random.default_rng(0), layers()
    first, weight = draw.normal(size=32), draw.normal(size=32)
    state = {name: value.numpy() for name, value in over.state_dict().items()}
    path = str(tmp_path / "head.npz")
    np.savez(path, pooling="transformer", weight=weight, bias=0.5, first=first, heads=4, **state)
    model = Parade(tiny_cross_encoder_folder, device="cpu", max_length=64, head=path, **CUT)
    rows = draw.normal(size=(3, 32)).astype(np.float32)
    with torch.inference_mode():
        whole = over(torch.from_numpy(np.vstack([first, rows]).astype(np.float32))[None])[0, 0].numpy()
    assert model._pooled(rows) == pytest.approx(float(whole @ weight + 0.5), abs=1e-4)
    assert model._pooled(rows[::-1].copy()) == pytest.approx(model._pooled(rows), abs=1e-4), "no order among passages"
    assert len({answer.value for answer in model.classify([Classify(model, "tall", text) for text in TEXTS])}) == 3


def test_layers_that_are_none(tmp_path, tiny_cross_encoder_folder):
    state = {name: value.numpy() for name, value in layers(64).state_dict().items()}
    path = str(tmp_path / "head.npz")
    np.savez(path, pooling="transformer", weight=np.ones(32), bias=0.0, first=np.ones(32), heads=4, **state)
    model = Parade(tiny_cross_encoder_folder, device="cpu", head=path)
    with pytest.raises(ConfigError, match="holds no layers"):
        model.classify([Classify(model, "q", "a")])


def test_a_file_that_is_no_head(tmp_path, tiny_cross_encoder_folder):
    np.savez(tmp_path / "bad.npz", pooling="sum", weight=np.ones(32), bias=0.0)
    for path in (tmp_path / "bad.npz", tmp_path / "none.npz"):
        model = Parade(tiny_cross_encoder_folder, device="cpu", head=str(path))
        with pytest.raises(ConfigError, match=r"\.npz"):
            model.classify([Classify(model, "q", "a")])
    with pytest.raises(ValueError, match="needs the file of a trained head"):
        Parade(tiny_cross_encoder_folder)
