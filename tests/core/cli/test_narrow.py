"""What the command prints in a pipe, in a log and on terminals without Unicode."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from support.evaluations import QUERIES, TEXTS, kitchen
from tamis import CrossEncoder, Engine, Lexical
from tamis.cli.app import app
from tamis.cli.presets import short
from tamis.evaluate import evaluate
from tamis.evaluate.terminal import cost
from tamis.models import Function
from tamis.parts.part import unknown
from tamis.recipes.load import presets
from tamis.view.fitted import Column, fitted

TAMIS = Path(sys.executable).with_name("tamis")
LONG = "a pipeline whose name is longer than any column of a table is wide"


def run(*words: object, env: Mapping[str, str] = {}, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    plain = {
        key: value for key, value in os.environ.items() if key not in ("COLUMNS", "PYTHONUTF8", "PYTHONIOENCODING")
    }
    return subprocess.run([TAMIS, *map(str, words)], capture_output=True, env={**plain, **env}, cwd=cwd, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("narrow") / "kitchen"
    made.mkdir()
    rows = {"corpus.jsonl": TEXTS, "queries.jsonl": {i: text for i, (text, _) in QUERIES.items()}}
    for name, texts in rows.items():
        lines = (json.dumps({"_id": i, "text": text}) + "\n" for i, text in texts.items())
        (made / name).write_text("".join(lines), encoding="utf-8")
    judged = [f"{query}\t{passage}\t{grade}\n" for query, (_, g) in QUERIES.items() for passage, grade in g.items()]
    (made / "qrels.tsv").write_text("".join(judged), encoding="utf-8")
    docs = (json.dumps({"text": text, "id": i}) + "\n" for i, text in TEXTS.items())
    (made / "docs.jsonl").write_text("".join(docs), encoding="utf-8")
    (made / "odd.txt").write_text("größer − ▲ 珠穆朗玛峰 …\nThai: ภูเขา\nvery tall\n", encoding="utf-8")
    return made


def texts(tables: Sequence[object], width: int) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        for table in tables:
            console.print(table)
    return capture.get()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_every_value_is_there_whole_and_beside_its_name_at_any_width(width: int) -> None:
    names = ["first stage", "default", "cross-encoder-dynamic-k"]
    columns = [Column(f"metric {n}", [f"{row}.{n:04}" for row in range(3)]) for n in range(12)]
    tables = fitted(Console(width=width), "kitchen", Column("system", names), columns)
    shown = texts(tables, width)
    assert max(map(len, shown.splitlines())) <= width
    for row, name in enumerate(names):
        lines = [line for line in shown.splitlines() if line.strip().startswith(name)]
        assert len(lines) == len(tables)
        assert [word for line in lines for word in line.replace(name, "").split()] == [
            f"{row}.{n:04}" for n in range(12)
        ]
    assert "…" not in shown


def test_a_long_name_is_continued_and_not_cut() -> None:
    tables = fitted(Console(width=80), "", Column("system", [LONG]), [Column(f"m{n}", ["0.1234"]) for n in range(9)])
    shown = texts(tables, 80)
    assert "…" not in shown
    assert shown.count("0.1234") == 9
    words = " ".join(re.sub(r"[─0-9.]|m\d", "", shown).split())
    assert words.count(LONG[:30]) == len(tables)
    assert words.count(LONG.split()[-1]) == len(tables)


def test_eval_in_a_pipe_names_systems_first_and_cuts_nothing(folder: Path, tmp_path: Path) -> None:
    done = run("eval", "default", "lexical", "--data", folder, "--alone", 0, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    told = done.stdout.decode()
    table = told[told.index("kitchen: 4 queries") : told.index("wrote")]
    assert max(map(len, table.splitlines())) <= 80
    assert "…" not in table
    assert table.index("system") < table.index("nDCG@10")
    for metric in ("nDCG@10", "RR@10", "AP", "R@100", "P@10", "Judged@10", "kept", "better/worse", "queries/s"):
        assert metric in table
    assert len(re.findall(r"^\s+lexical\s", table, re.MULTILINE)) >= 3
    written = next(line for line in told.splitlines() if line.endswith("result.json"))
    assert written == f"wrote {tmp_path / 'out' / 'result.json'}"


def test_answers_from_a_cache_are_marked_in_the_cost_table() -> None:
    model = Function(lambda call: float(len(call.text)), "classify")
    model.cache_key = "length"  # type: ignore[attr-defined]
    engine, wide = Engine(), Console(width=200)
    pipelines = {"mine": CrossEncoder(model), "lexical": Lexical()}
    first, second = (evaluate(pipelines, kitchen(), engine=engine).evaluations[0] for _ in range(2))
    assert "*" not in texts(cost(first, wide), 200)
    told = texts(cost(second, wide), 200)
    assert "* A cache answered some of the calls; a first run costs more." in told
    mine, lexical = (next(line for line in told.splitlines() if name in line) for name in pipelines)
    assert "0*" in mine.split()
    assert "*" not in lexical


SEVERAL = """
import json, sys
from tamis.cli import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["tamis", *words]
    print("-- " + words[0], flush=True)
    try:
        main()
    except SystemExit as ended:
        print(f"-- {ended.code or 0}", flush=True)
"""


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_no_encoding_of_a_terminal_stops_the_command(folder: Path, tmp_path: Path, encoding: str) -> None:
    odd, query = str(folder / "odd.txt"), "größer ▲"
    commands = [
        ["presets", "show", "rankzephyr"],
        ["rerank", "lexical", "-q", query, "-d", odd],
        ["compare", "lexical", "default", "-q", query, "-d", odd, "--html", str(tmp_path / "page.html")],
        ["eval", "default", "--data", str(folder), "--out", str(tmp_path / "out ▲"), "--alone", "0"],
        ["eval", "--help"],
        ["rerank", "lexical", "-q", query, "-d", odd, "--json"],
        ["rerank", "▲", "-q", query, "-d", odd],
    ]
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, json.dumps(commands)], capture_output=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.decode(encoding)
    assert re.findall(r"^-- (\d)", told, re.MULTILINE) == ["0"] * (len(commands) - 1) + ["2"]
    texts = [json.loads(line)["text"] for line in told.splitlines() if line.startswith("{")]
    assert sorted(texts) == sorted(odd_lines := (folder / "odd.txt").read_text(encoding="utf-8").splitlines())
    assert len(odd_lines) == 3
    assert b"unknown pipeline '?'" in done.stderr or b"unknown pipeline '^'" in done.stderr


def test_compare_leaves_room_for_the_passages(folder: Path) -> None:
    done = run("compare", "graph-propagation", "structural-reranking", "-q", "bread", "-d", folder / "docs.jsonl")
    told = done.stdout.decode()
    assert "first: graph-propagation" in told
    assert "second: structural-reranking" in told
    row = next(line for line in told.splitlines() if "Bread rises" in line)
    assert re.match(r"\s+1\s+\d+\s+[\d.−]+\s+\d+\s+[\d.−]+\s+Bread rises because yeast", row)
    table = told[told.index("incoming") : told.index("kept 10 of 10")]
    assert max(map(len, table.splitlines()[:-1])) <= 80


def test_presets_are_one_line_each_in_groups() -> None:
    told = CliRunner().invoke(app, ["presets"], env={"COLUMNS": "80"}).output
    lines = told.splitlines()
    assert max(map(len, lines)) <= 80
    groups = [line for line in lines if line.startswith("With")]
    assert [group.split(":")[0] for group in groups] == ["Without a model", "With an encoder", "With a language model"]
    listed = {line.split()[0]: number for number, line in enumerate(lines) if line.startswith("  ")}
    assert set(listed) == set(presets())
    starts = [lines.index(group) for group in groups]
    assert starts[0] < listed["default"] < starts[1] < listed["cross-encoder"] < starts[2] < listed["rankgpt"]


@pytest.mark.parametrize("width", [20, 40, 48, 80])
def test_titles_of_presets_fit_and_say_something(width: int) -> None:
    for title in presets().values():
        said = short(title, width)
        assert 3 <= len(said) <= width
        assert said.removesuffix(" ...") in title


def test_a_suggestion_is_not_followed_by_all_names() -> None:
    assert unknown("preset", "rankgtp", presets()) == "unknown preset 'rankgtp'. Did you mean 'rankgpt'?"
    assert "Known: a, b." in unknown("thing", "xyz", ["a", "b"])
    many = unknown("thing", "xyz", [f"name {n}" for n in range(60)])
    assert many.endswith("and 20 more.")
