"""The command, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tamis
from support.evaluations import QUERIES, TEXTS
from tamis.cli.app import app

runner = CliRunner()


def run(*words: object) -> str:
    result = runner.invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output + result.stderr
    return result.output


def fails(*words: object) -> str:
    result = runner.invoke(app, [str(word) for word in words], env={"COLUMNS": "400"})
    assert result.exit_code == 2
    return " ".join((result.output + result.stderr).split())


@pytest.fixture
def kitchen_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "kitchen"
    folder.mkdir()
    rows = {
        "corpus.jsonl": [{"_id": i, "text": text} for i, text in TEXTS.items()],
        "queries.jsonl": [{"_id": i, "text": text} for i, (text, _) in QUERIES.items()],
    }
    for name, lines in rows.items():
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    judged = [f"{query}\t{passage}\t{grade}\n" for query, (_, g) in QUERIES.items() for passage, grade in g.items()]
    (folder / "qrels.tsv").write_text("".join(judged), encoding="utf-8")
    return folder


def test_eval_writes_tables_and_files(kitchen_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pipeline = tmp_path / "mine.yaml"
    pipeline.write_text("- lexical: {b: 0.0}\n- top_n: 4\n", encoding="utf-8")
    told = run("eval", "lexical", f"short={pipeline}", "--data", kitchen_folder, "--out", out, "--metric", "nDCG@10", "--metric", "kept")  # fmt: skip
    assert "kitchen: 4 queries" in told
    assert "the first stage is BM25" in told
    assert "short" in told
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    systems = {system["name"]: system for system in result["datasets"][0]["systems"]}
    assert systems["short"]["means"]["kept"]["mean"] <= 4
    assert "mine" not in systems
    assert (out / "queries.csv").read_text(encoding="utf-8").startswith("dataset,system,query,metric,value,error")
    assert "kitchen" in (out / "report.html").read_text(encoding="utf-8")
    assert (out / "runs" / "kitchen.lexical.trec").is_file()


def test_eval_takes_models_by_name_and_predicts_without_them(kitchen_folder: Path, tmp_path: Path) -> None:
    told = run("eval", "rebel", "--data", kitchen_folder, "--dry-run")
    assert "without asking a model" in told
    assert "rebel" in told
    assert "upper bound" not in told
    told = run("eval", "rebel", "--data", kitchen_folder, "--dry-run", "--model", "llm={openai: gpt-5-mini}")
    assert "may think: an upper bound" in " ".join(told.split())
    told = run("eval", "rebel", "--data", kitchen_folder, "--out", tmp_path / "o", "--model", "llm={cost_only: {}}")
    assert "degraded queries" in told or "calls" in told


@pytest.mark.parametrize("command", ["rerank", "eval", "compare", "calibrate"])
def test_a_model_that_no_pipeline_uses_is_refused(command: str, kitchen_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "docs.txt").write_text("a\nb\n", encoding="utf-8")
    asked = ["--query", "q", "--docs", tmp_path / "docs.txt"]
    words = {
        "rerank": ["lexical", *asked],
        "compare": ["lexical", "default", *asked],
        "eval": ["lexical", "default", "--data", kitchen_folder, "--out", tmp_path / "o"],
        "calibrate": ["lexical", "--data", kitchen_folder, "--out", tmp_path / "a.json"],
    }
    told = fails(command, *words[command], "--model", "llm={cost_only: {}}")
    assert "no pipeline uses the models given as llm" in told


def test_errors_are_one_line_with_the_remedy(kitchen_folder: Path, tmp_path: Path) -> None:
    assert "asks for a model called 'llm'" in fails("eval", "rebel", "--data", kitchen_folder, "--out", tmp_path)
    assert "no folder at" in fails("eval", "lexical", "--data", tmp_path / "nowhere")
    assert "Did you mean 'lexical'?" in fails("eval", "lexcal", "--data", kitchen_folder)
    assert "--model takes NAME=YAML" in fails("eval", "rebel", "--data", kitchen_folder, "--model", "llm")
    assert "unknown model 'opnai'" in fails("eval", "rebel", "--data", kitchen_folder, "--model", "llm={opnai: x}")
    (kitchen_folder / "qrels.tsv").write_text("q1 p1 high\n", encoding="utf-8")
    assert "qrels.tsv:1: the grade must be a number" in fails("eval", "lexical", "--data", kitchen_folder)


def test_compare_shows_both_orders(tmp_path: Path) -> None:
    docs = tmp_path / "docs.jsonl"
    docs.write_text("".join(json.dumps({"text": text, "id": i}) + "\n" for i, text in TEXTS.items()), encoding="utf-8")
    page = tmp_path / "page.html"
    told = run("compare", "lexical", "default", "--query", "how to sharpen a knife", "--docs", docs, "--html", page)
    assert "To sharpen a knife" in told
    assert "kept 10 of 10" in told
    assert page.read_text(encoding="utf-8").count('class="tamis-ranking"') == 2


def test_rerank_has_the_default_of_the_library_and_says_when_the_order_means_nothing(tmp_path: Path) -> None:
    texts = ["a tall tree", "a tall mountain", "another tall mountain", "a recipe"]
    docs = tmp_path / "docs.txt"
    docs.write_text("\n".join(texts))

    def positions(*words: object) -> list[int]:
        lines = run("rerank", "--query", "tall mountain", "--docs", docs, "--json", *words).splitlines()
        return [json.loads(line)["position"] for line in lines]

    assert positions() == list(tamis.rerank("tall mountain", texts).positions)
    assert positions("--unordered") == list(tamis.rerank("tall mountain", texts, ordered=False).positions)
    assert "ordered=False" in fails("rerank", "lexical", "--unordered", "--query", "tall", "--docs", docs)


def test_rerank_prints_lines_or_json(tmp_path: Path) -> None:
    docs = tmp_path / "docs.txt"
    docs.write_text("a recipe\n\na tall mountain\n", encoding="utf-8")
    told = run("rerank", "--query", "tall mountain", "--docs", docs, "--top-n", 1)
    assert "a tall mountain" in told
    assert "a recipe" not in told
    lines = run("rerank", "lexical", "--query", "tall mountain", "--docs", docs, "--json").splitlines()
    assert [json.loads(line)["position"] for line in lines] == [1, 0]


def test_presets_are_listed_and_shown() -> None:
    told = run("presets")
    assert "rebel" in told
    assert "With a language model" in told
    shown = run("presets", "show", "rankzephyr")
    assert "arXiv 2312.02724" in shown
    assert "window: 20" in shown
    assert "context: 4096" in shown
    assert "Did you mean 'rebel'?" in fails("presets", "show", "rebell")


def test_the_command_is_installed() -> None:
    told = subprocess.run(
        [Path(sys.executable).with_name("tamis"), "--help"], capture_output=True, text=True, check=True
    )
    assert "eval" in told.stdout


def test_calibrate_fits_an_artefact_that_the_pipeline_then_uses(kitchen_folder: Path, tmp_path: Path) -> None:
    fitted, pipeline = tmp_path / "fitted.json", tmp_path / "short.yaml"
    told = run("calibrate", "lexical", "--data", kitchen_folder, "--out", fitted)
    assert "from 4 queries" in told
    assert "note:" in told
    assert "<svg" in fitted.with_suffix(".svg").read_text(encoding="utf-8")
    pipeline.write_text(f"- lexical: {{}}\n- calibrate: {{artefact: {fitted}}}\n", encoding="utf-8")
    docs = tmp_path / "docs.txt"
    docs.write_text("\n".join(TEXTS.values()), encoding="utf-8")
    scores = [json.loads(line)["score"] for line in run("rerank", pipeline, "--query", "why does bread rise", "--docs", docs, "--json", "--allow", f"files:{tmp_path}").splitlines()]  # fmt: skip
    assert all(0 <= score <= 1 for score in scores)
    pipeline.write_text(f"- lexical: {{b: 0.1}}\n- calibrate: {{artefact: {fitted}}}\n", encoding="utf-8")
    assert "fitted for the scorer" in fails("rerank", pipeline, "--query", "bread", "--docs", docs, "--allow", "files")


@pytest.mark.parametrize("kind", ["graph", "adapter"])
def test_train_writes_a_network_that_a_pipeline_then_uses(kind: str, kitchen_folder: Path, tiny_embedder_folder: Path, tmp_path: Path) -> None:  # fmt: skip
    out, pipeline = tmp_path / "graph.npz", tmp_path / "graph.yaml"
    embed = f"{{sentence_transformer: {tiny_embedder_folder}}}"
    for number, (query, (text, grades)) in enumerate(QUERIES.items()):
        with (kitchen_folder / "queries.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"_id": f"{query}-again", "text": f"{text}, {number}"}) + "\n")
        with (kitchen_folder / "qrels.tsv").open("a", encoding="utf-8") as file:
            file.writelines(f"{query}-again\t{passage}\t{grade}\n" for passage, grade in grades.items())
    told = run("train", kind, "--data", kitchen_folder, "--embed", embed, "--steps", 2, "--out", out)
    assert "validation MRR" in told
    pipeline.write_text(f"- trained_graph: {{network: {out}, model: {embed}}}\n", encoding="utf-8")
    docs = tmp_path / "docs.txt"
    docs.write_text("\n".join(TEXTS.values()), encoding="utf-8")
    told = run(
        "rerank",
        pipeline,
        "--query",
        "why does bread rise",
        "--docs",
        docs,
        "--json",
        "--allow",
        f"files:{tmp_path}",
        "--allow",
        f"files:{tiny_embedder_folder}",
    )
    lines = [line[line.index("{") :] for line in told.splitlines() if '{"position"' in line]
    assert sorted(json.loads(line)["position"] for line in lines) == list(range(len(TEXTS)))
    assert "Did you mean 'grag'?" in fails("train", "graph", "--data", kitchen_folder, "--embed", embed, "--network", "grga")  # fmt: skip


def test_a_pipeline_in_a_file_opens_no_address_unless_the_command_permits_it(tmp_path: Path) -> None:
    from tests.support.servers import chat_server

    docs, pipeline = tmp_path / "docs.txt", tmp_path / "sent.yaml"
    docs.write_text("one\ntwo\n", encoding="utf-8")
    with chat_server("[2] > [1]") as server:
        host = server.url.removeprefix("http://").removesuffix("/v1")
        pipeline.write_text(f"- listwise: {{model: {{openai: m, base_url: '{server.url}'}}}}\n", encoding="utf-8")
        asked = ("rerank", pipeline, "--query", "q", "--docs", docs, "--json")
        said = " ".join(fails(*asked).split())
        for part in ("base_url", server.url, f"--allow network:{host}", "{'network'}"):
            assert part in said
        assert not server.requests
        assert '"text": "two"' in run(*asked, "--allow", f"network:{host}").splitlines()[0]
        model = f"llm={{openai: m, base_url: '{server.url}'}}"
        pipeline.write_text("- listwise: {model: llm}\n", encoding="utf-8")
        assert '"text": "two"' in run(*asked, "--model", model).splitlines()[0]
