"""`tamis eval` on TREC DL19: the command gives the numbers the field knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from support.places import DATA
from tamis.cli.app import app

pytestmark = pytest.mark.data


def folder(name: str) -> Path:
    if not (DATA / name).is_dir():
        pytest.skip(f"needs the test set {name}: set TAMIS_DATA to the folder of test sets")
    return DATA / name


def measured(out: Path, *words: object) -> dict[str, dict[str, float]]:
    """Run the command; for each system the means of its metrics."""
    result = CliRunner().invoke(app, ["eval", *map(str, words), "--out", str(out)], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    (dataset,) = json.loads((out / "result.json").read_text(encoding="utf-8"))["datasets"]
    return {s["name"]: {name: i["mean"] for name, i in s["means"].items()} for s in dataset["systems"]}


def test_every_first_stage_of_dl19_gets_its_recorded_values(tmp_path: Path) -> None:
    data = folder("dl19")
    recorded = json.loads((data / "stats.json").read_text(encoding="utf-8"))["runs"]
    others = [name for name in recorded if name != "run"]
    runs = [f"{name}={data / f'{name}.tsv.gz'}" for name in others]
    metrics = [word for name in ("nDCG@10", "RR@10", "R@100") for word in ("--metric", name)]
    found = measured(tmp_path, *runs, "--data", data, "--relevant-from", 2, *metrics)
    assert round(found["first stage"]["nDCG@10"], 4) == 0.5058
    for name, system in {"run": "first stage", **{name: name for name in others}}.items():
        assert round(found[system]["nDCG@10"], 4) == recorded[name]["ndcg10"]
        assert round(found[system]["RR@10"], 4) == recorded[name]["mrr10"]
        assert round(found[system]["R@100"], 4) == recorded[name]["recall100"]
    assert round(found["oracle"]["nDCG@10"], 4) == 0.8922


def test_recorded_rankvicuna_gets_its_published_value(tmp_path: Path) -> None:
    run = folder("dl19_llm_runs") / "dl19.bm25.rankvicuna-7b.3.tsv.gz"
    found = measured(tmp_path, f"rankvicuna={run}", "--data", folder("dl19"), "--metric", "nDCG@10")
    assert round(found["first stage"]["nDCG@10"], 4) == 0.5058
    assert round(found["rankvicuna"]["nDCG@10"], 4) == 0.6682


def test_the_report_opens_with_the_queries_and_their_rankings(tmp_path: Path) -> None:
    found = measured(
        tmp_path, "default", "lexical", "--data", folder("hotpot_train100"), "--queries", 20, "--metric", "nDCG@10"
    )
    assert set(found) == {"first stage", "default", "lexical", "oracle", "shuffled"}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "hotpot_train100" in page
    assert "default-src 'none'" in page
    assert len((tmp_path / "runs" / "hotpot_train100.default.trec").read_text(encoding="utf-8").splitlines()) > 1000
