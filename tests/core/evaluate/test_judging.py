"""A language model as judge, over the chat protocol: what it is asked, what it may cost, and where it is named."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.support.servers import Response, chat_server
from typer.testing import CliRunner

from support.evaluations import QUERIES, TEXTS, kitchen
from tamis import Engine, Lexical
from tamis.cli.app import app
from tamis.errors import ConfigError, DataError
from tamis.evaluate import Dataset, evaluate, judge, read
from tamis.evaluate.judging import predicted, write_judgements
from tamis.evaluate.page import render, section
from tamis.evaluate.terminal import quality
from tamis.evaluate.writing import as_data
from tamis.models import OpenAIChat

GOLD = {(text, TEXTS[p]): grade for text, grades in QUERIES.values() for p, grade in grades.items()}


def graded(request: dict) -> str:
    """The grade people gave, as a model that reads well would; 0 for what nobody judged."""
    prompt = request["messages"][-1]["content"]
    grade = next((g for (query, text), g in GOLD.items() if query in prompt and text in prompt), 0)
    return json.dumps({"1": grade})


def unjudged() -> Dataset:
    return replace(kitchen(), qrels={}, notices=())


def test_the_model_grades_the_first_passages_of_each_query_each_alone() -> None:
    with chat_server(graded) as server:
        found = judge(unjudged(), OpenAIChat("reader", base_url=server.url), depth=10)
    assert len(server.requests) == 4 * 10
    for request in server.requests:
        prompt = request["messages"][-1]["content"]
        assert sum(text in prompt for text in TEXTS.values()) == 1
    for query, (_, grades) in QUERIES.items():
        assert {p: g for p, g in found.dataset.qrels[query].items() if g} == {p: g for p, g in grades.items() if g}
    assert found.dataset.relevant_from == 2
    assert found.dataset.judges == {"reader": 40}
    assert "40 judgements are by the language model reader, not by people" in found.dataset.notices[-1]


def test_people_come_first_and_their_scale_is_kept() -> None:
    some = replace(kitchen(), qrels={"q1": {"p1": 1, "p2": 0}})
    with chat_server('{"1": 2}') as server:
        found = judge(some, OpenAIChat("reader", base_url=server.url), depth=10)
    assert len(server.requests) == 38
    assert found.dataset.qrels["q1"] == {**dict.fromkeys(TEXTS, 1), "p1": 1, "p2": 0}
    assert found.dataset.judged_by == "38 of 40 judgements by reader"
    graded_by_people = replace(kitchen(), qrels={"q1": {"p1": 4}})
    with chat_server('{"1": 3}') as server:
        found = judge(graded_by_people, OpenAIChat("reader", base_url=server.url), depth=2)
    assert "from 0 to 4" in server.requests[0]["messages"][-1]["content"]


def test_a_limit_of_calls_is_kept_and_the_first_passages_are_judged_first() -> None:
    data = unjudged()
    with chat_server('{"1": 3}') as server:
        model = OpenAIChat("reader", base_url=server.url)
        assert predicted(data, model, depth=10, max_calls=6).calls == 6
        assert predicted(data, model, depth=5).calls == 20
        assert not server.requests
        found = judge(data, model, depth=10, max_calls=6)
    assert len(server.requests) == 6
    assert {query: len(grades) for query, grades in found.grades.items()} == {"q1": 2, "q2": 2, "q3": 1, "q4": 1}
    assert found.unjudged == 34
    assert any("34 passages were not judged by reader, since the limit" in n for n in found.dataset.notices)
    with pytest.raises(ConfigError, match="max_calls must be at least 1"):
        judge(data, model, max_calls=0)


def test_what_was_graded_once_is_not_paid_for_again(tmp_path: Path) -> None:
    engine = Engine(cache=str(tmp_path / "answers.sqlite"))
    with chat_server(graded) as server:
        model = OpenAIChat("reader", base_url=server.url)
        first, second = (judge(unjudged(), model, depth=5, engine=engine) for _ in range(2))
    assert len(server.requests) == 20
    assert first.dataset.qrels == second.dataset.qrels
    assert second.usage.cached == 20


def test_answers_that_fail_are_counted_and_never_a_grade() -> None:
    def half(request: dict) -> object:
        return (
            Response(400, {"error": {"message": "no"}}) if "yeast" in request["messages"][-1]["content"] else '{"1": 3}'
        )

    with chat_server(half) as server:  # type: ignore[arg-type]
        found = judge(unjudged(), OpenAIChat("reader", base_url=server.url), depth=10)
    yeast = [p for p, text in TEXTS.items() if "yeast" in text]
    assert all(p not in found.grades["q1"] for p in yeast)
    assert found.unjudged == 10 + 3 * len(yeast)
    assert any("could not be judged by reader" in notice for notice in found.dataset.notices)
    with (
        chat_server("I would rather not") as server,
        pytest.raises(DataError, match="reader graded none of 8 passages"),
    ):
        judge(unjudged(), OpenAIChat("reader", base_url=server.url), depth=2)


def test_a_judge_that_finds_nothing_is_an_error() -> None:
    with chat_server('{"1": 1}') as server, pytest.raises(DataError, match="reader found nothing relevant"):
        judge(unjudged(), OpenAIChat("reader", base_url=server.url), depth=2)


def test_the_model_is_named_in_table_page_json_and_file_and_the_file_keeps_it(tmp_path: Path) -> None:
    with chat_server(graded) as server:
        found = judge(unjudged(), OpenAIChat("reader", base_url=server.url), depth=10)
    result = evaluate({"lexical": Lexical()}, found.dataset, names=["nDCG@10"], bounds=False)
    (evaluation,) = result.evaluations
    console = Console(width=100)
    with console.capture() as capture:
        console.print(*quality(evaluation, console))
    assert "judged by reader, not by people" in capture.get()
    page = render([section(evaluation)])
    assert "A language model (reader), not people, judged which passages are relevant" in page
    assert as_data(result)["datasets"][0]["judged_by_models"] == {"reader": 40}
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"_id": i, "text": t}) + "\n" for i, t in TEXTS.items()))
    (tmp_path / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": q, "text": t}) + "\n" for q, (t, _) in QUERIES.items())
    )
    write_judgements(found, tmp_path / "qrels.tsv")
    again = read(tmp_path)
    assert again.qrels == found.dataset.qrels
    assert again.judges == {"reader": 40}
    assert again.relevant_from == found.dataset.relevant_from
    assert any("40 of 40 judgements are by the language model reader" in notice for notice in again.notices)


def test_eval_judges_a_set_without_judgements(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"_id": i, "text": t}) + "\n" for i, t in TEXTS.items()))
    (tmp_path / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": q, "text": t}) + "\n" for q, (t, _) in QUERIES.items())
    )
    with chat_server(graded) as server:
        model = f"{{openai: reader, base_url: '{server.url}'}}"
        words = ["eval", "lexical", "--data", tmp_path, "--out", tmp_path / "out", "--judge", model, "--judge-depth", 4]
        planned = CliRunner().invoke(app, [*map(str, words), "--dry-run"], env={"COLUMNS": "80"})
        assert planned.exit_code == 0, planned.output
        calls = int(re.search(r"judging is predicted to take (\d+) calls", planned.output)[1])  # type: ignore[index]
        for wrong in (["--metric", "ndgc@10"], ["lexcal"]):
            refused = CliRunner().invoke(app, [*map(str, words), *wrong])
            assert refused.exit_code == 2
        assert not server.requests
        few = CliRunner().invoke(app, [*map(str, words), "--queries", "2", "--dry-run"], env={"COLUMNS": "80"})
        fewer = re.search(r"judging is predicted to take (\d+) calls", few.output)
        assert fewer
        assert 0 < int(fewer[1]) < calls
        done = CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    assert len(server.requests) == calls
    assert f"reader judged {calls} passages" in done.output
    assert "judged by reader, not by people" in " ".join(done.output.split())
    result = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert result["datasets"][0]["judged_by_models"] == {"reader": calls}
    assert (tmp_path / "out" / f"{tmp_path.name}.qrels.tsv").is_file()
    refused = CliRunner().invoke(app, ["eval", "lexical", "--data", str(tmp_path)])
    assert "no judgements in" in refused.output + refused.stderr
