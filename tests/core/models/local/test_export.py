"""Graphs of tiny models against the models."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from tamis.errors import ConfigError, MissingExtra
from tamis.models import OnnxCrossEncoder, TransformersCrossEncoder
from tamis.values.calls import Classify

for package in ("torch", "transformers", "onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package)

PAIRS = [("tall mountain", "the mountain is tall"), ("a", "z"), ("query " * 40, "the recipe " * 9), ("x", "y " * 300)]


def scores(model):
    return [answer.value for answer in model.classify([Classify(model, *pair) for pair in PAIRS])]


@pytest.mark.timeout(600)
def test_one_command_makes_graphs_that_score_like_the_model(tmp_path, tiny_cross_encoder_folder):
    from tamis.cli.app import app

    command = ["export", "onnx", str(tiny_cross_encoder_folder), "--out", str(tmp_path), "--int8", "--max-length", "64"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    expected = scores(TransformersCrossEncoder(tiny_cross_encoder_folder, device="cpu", max_length=64))
    full = OnnxCrossEncoder(tmp_path, max_length=64)
    assert scores(full) == pytest.approx(expected, abs=1e-4)
    assert scores(OnnxCrossEncoder(tmp_path, max_length=64, batch_tokens=1000)) == pytest.approx(expected, abs=1e-4)
    assert full.architecture == TransformersCrossEncoder(tiny_cross_encoder_folder).architecture
    assert scores(OnnxCrossEncoder(tmp_path, max_length=64, file="model_int8.onnx")) != pytest.approx(
        expected, abs=1e-4
    )
    told = [float(line.rsplit(" ", 1)[1]) for line in done.output.splitlines() if "rank correlation" in line]
    assert told[0] == 1.0
    assert 0.3 < told[1] < 1.0


@pytest.mark.timeout(600)
def test_a_graph_that_scores_otherwise_is_refused(tmp_path, tiny_cross_encoder_folder, monkeypatch):
    from tamis.models.local import export

    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(ConfigError, match="does not score as"):
        export.export_onnx(str(tiny_cross_encoder_folder), tmp_path, max_length=64)


def test_what_is_missing_names_the_extra(tmp_path, tiny_cross_encoder_folder, monkeypatch):
    from tamis.models.local.export import export_onnx

    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match=r"packages/core\[export\]"):
        export_onnx(str(tiny_cross_encoder_folder), tmp_path)
    with pytest.raises(ConfigError, match="cannot load a model"):
        export_onnx(str(tmp_path / "nothing"), tmp_path)
