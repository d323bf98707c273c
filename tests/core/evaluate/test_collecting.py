"""`collect`: what a retriever finds is what `tamis eval` measures, in its order, with stable ids, nothing lost in silence."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from support.evaluations import QUERIES, TEXTS, kitchen
from tamis import Candidate, Query
from tamis.cli.app import app
from tamis.errors import ConfigError, DataError
from tamis.evaluate import Question, collect, evaluate, read
from tamis.evaluate.collecting import digest

ASKED = {query: text for query, (text, _) in QUERIES.items()}


def by_words(text: str) -> list[dict[str, Any]]:
    """A retriever as people write one: words in common, most first."""
    wanted = {*text.lower().split()}
    scored = [(len(wanted & {*t.lower().replace(".", "").split()}), i, t) for i, t in TEXTS.items()]
    return [
        {"id": i, "text": t, "score": float(s), "year": 1990} for s, i, t in sorted(scored, key=lambda x: -x[0]) if s
    ]


def order(folder: Path, query: str) -> list[str]:
    return [passage for passage, _ in read(folder, judged=False).run[query]]


def test_what_is_measured_is_the_order_of_the_retriever(tmp_path: Path) -> None:
    done = collect(by_words, ASKED, tmp_path)
    assert (done.queries, done.scores) == (4, "similarity")
    for query, text in ASKED.items():
        assert order(tmp_path, query) == [found["id"] for found in by_words(text)]
    data = read(tmp_path, judged=False)
    assert data.corpus["p1"] == Candidate(TEXTS["p1"], "p1", metadata={"year": 1990})
    assert [c.score for c in data.pool("q1")] == [found["score"] for found in by_words(ASKED["q1"])]
    (tmp_path / "qrels.tsv").write_text("q1\tp1\t1\n", encoding="utf-8")
    (evaluation,) = evaluate(["lexical"], tmp_path, names=["RR"], bounds=False).evaluations
    assert evaluation.systems[0].means["RR"].n == 1
    collect(by_words, ASKED, tmp_path)
    assert (tmp_path / "qrels.tsv").read_text(encoding="utf-8") == "q1\tp1\t1\n"


@pytest.mark.parametrize(
    ("scores", "kind"),
    [([3.0, 2.0, 1.0], "similarity"), ([0.1, 0.2, 0.3], "distance"), ([0.1, 0.9, 0.5], "mixed"), ([None] * 3, "none")],
)
def test_whatever_scores_are_the_order_is_kept_and_they_are_written_as_they_are(
    tmp_path: Path, scores: list, kind: str
) -> None:
    found = [Candidate(f"text {n}", f"d{n}", score=score) for n, score in enumerate(scores)]
    done = collect(lambda text: found, {"q": "a query", "q2": "another"}, tmp_path)
    assert done.scores == kind
    assert read(tmp_path, judged=False).run["q"] == tuple((f"d{n}", score) for n, score in enumerate(scores))
    assert any("the run keeps the order of the retriever" in n for n in done.notices) == (kind in ("distance", "mixed"))
    assert json.loads((tmp_path / "collected.json").read_text(encoding="utf-8"))["scores"] == kind


def test_ids_are_stable_and_odd_ones_are_reported(tmp_path: Path) -> None:
    results = [
        Candidate("no id"),
        "only a text",
        ("a text in a pair", 0.5),
        Candidate("one text", "same"),
        Candidate("another text", "same"),
        Candidate("one text", "same"),
        Candidate("", "empty"),
    ]
    done = collect(lambda text: results, ["a query", "a query", " "], tmp_path / "one")
    again = collect(lambda text: list(reversed(results)), ["a query"], tmp_path / "two")
    one, two = (read(tmp_path / name, judged=False) for name in ("one", "two"))
    assert {i for i in one.corpus if "same" not in i} == {i for i in two.corpus if "same" not in i}
    assert list(one.questions) == list(two.questions)
    told = "\n".join(done.notices)
    for part in (
        "1 queries repeat another one",
        "1 queries have no text (number 3)",
        "3 passages have no id",
        "1 results have the id of another text ('same')",
        "1 results came twice for a query",
        "1 passages have no text ('empty')",
    ):
        assert part in told
    assert again.passages == done.passages == 6
    assert len(one.corpus) == 6


def test_random_ids_are_made_from_texts_and_survive_an_index_that_is_built_again(tmp_path: Path) -> None:
    def rebuilt(text: str) -> list[Candidate]:
        return [Candidate(t, str(uuid.uuid4())) for t in TEXTS.values()]

    first, second = (collect(rebuilt, {"q": "bread"}, tmp_path / name) for name in ("a", "b"))
    assert order(tmp_path / "a", "q") == order(tmp_path / "b", "q")
    assert "10 ids look random: passages are called by a digest" in first.notices[0]
    assert first.notices == second.notices
    kept = collect(rebuilt, {"q": "bread"}, tmp_path / "given", ids="given")
    assert all(len(identity) == 36 for identity in order(tmp_path / "given", "q"))
    assert "judgements will not fit" in kept.notices[0]
    own = collect(lambda text: [Candidate("a", "mine")], {"q": "bread"}, tmp_path / "text", ids="text")
    assert order(tmp_path / "text", "q") == [digest(Candidate("a"))]
    assert own.notices == ()
    with pytest.raises(ConfigError, match="ids must be 'stable', 'given' or 'text'"):
        collect(rebuilt, {"q": "bread"}, tmp_path, ids="random")  # type: ignore[arg-type]


def test_two_passages_with_one_text_and_random_ids_both_stay(tmp_path: Path) -> None:
    twins = [Candidate("one text", str(uuid.uuid4())) for _ in range(3)]
    done = collect(lambda text: [*twins, twins[0]], {"q": "a", "q2": "b"}, tmp_path)
    found = order(tmp_path, "q")
    made = digest(twins[0])
    assert found == [made, f"{made}-2", f"{made}-3"] == order(tmp_path, "q2")
    assert done.passages == 3
    assert any("2 results came twice for a query" in notice for notice in done.notices)


def test_a_query_that_fails_is_reported_and_the_others_are_kept(tmp_path: Path) -> None:
    def fragile(text: str) -> list[str]:
        if "knife" in text:
            raise TimeoutError("the index is away")
        return ["bread"] if "bread" in text else []

    done = collect(fragile, ASKED, tmp_path)
    told = "\n".join(done.notices)
    assert "1 queries failed in the retriever ('q2': TimeoutError: the index is away): they have no results" in told
    assert "2 queries have no results ('q3', 'q4')" in told
    assert len(read(tmp_path, judged=False).questions) == 4
    with pytest.raises(DataError, match="failed on every query; the first: TimeoutError: the index is away"):
        collect(fragile, {"q2": ASKED["q2"]}, tmp_path)


async def test_async_functions_are_asked_even_where_a_loop_runs(tmp_path: Path) -> None:
    async def find(text: str) -> list[str]:
        return [f"about {text}"]

    collect(find, {"q": "bread"}, tmp_path)
    assert read(tmp_path, judged=False).pool("q")[0].text == "about bread"


@pytest.mark.parametrize(
    "queries",
    [
        {"q1": "why"},
        {"q1": Query("why")},
        [Question("q1", Query("why"))],
        kitchen(),
    ],
)
def test_queries_come_in_many_forms(tmp_path: Path, queries: Any) -> None:
    collect(lambda text: [text], queries, tmp_path)
    assert "q1" in read(tmp_path, judged=False).questions


def test_queries_come_from_files_and_the_command_asks_what_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asked.txt").write_bytes("\ufeffwhy does bread rise\r\nhow hot is tea\r\n".encode())
    (tmp_path / "asked.jsonl").write_text('{"text": "why", "answers": ["yeast"]}\n{"id": 7, "text": "how"}\n')
    (tmp_path / "my_index.py").write_text(
        "def search(text):\n    return [{'id': 1, 'text': 'about ' + text}]\n\ndef build():\n    return search\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name, source in (("asked.txt", "my_index:search"), ("asked.jsonl", "my_index:build")):
        words = ["collect", source, "--queries", name, "--out", f"out-{name}", "--top-k", "5"]
        done = CliRunner().invoke(app, words, env={"COLUMNS": "80"})
        assert done.exit_code == 0, done.output + done.stderr
        assert "2 queries, 2 results" in done.output
        assert "Next: write judgements to" in done.output
    data = read(tmp_path / "out-asked.jsonl", judged=False)
    assert data.questions["7"].query.text == "how"
    assert any(question.texts("answers") == ("yeast",) for question in data.questions.values())
    failed = CliRunner().invoke(app, ["collect", "my_index:nothing", "--queries", "asked.txt"])
    assert "cannot import a retriever from 'my_index:nothing'" in failed.output + failed.stderr


def test_no_more_than_was_asked_for_is_taken(tmp_path: Path) -> None:
    done = collect(lambda text: list(TEXTS.values()), ASKED, tmp_path, top_k=3)
    assert done.results == 3 * len(ASKED)


def test_ids_that_no_file_can_hold_are_replaced(tmp_path: Path) -> None:
    done = collect(lambda text: [Candidate("a text", "\ud800"), Candidate("b", " ")], {"q": "why"}, tmp_path)
    assert any("2 passages have no id" in notice for notice in done.notices)
    assert [c.text for c in read(tmp_path, judged=False).pool("q")] == ["a text", "b"]


@pytest.mark.parametrize("retriever", [None, 3, "default"])
def test_what_cannot_be_asked_is_refused(tmp_path: Path, retriever: Any) -> None:
    with pytest.raises(ConfigError, match="give a retriever of LlamaIndex, LangChain or Haystack, or a function"):
        collect(retriever, ASKED, tmp_path)


@pytest.mark.parametrize("found", ["a text", None, {"no": "text"}, [{"no": "text"}], [3]])
def test_what_is_no_list_of_passages_is_an_error(tmp_path: Path, found: Any) -> None:
    with pytest.raises(DataError, match="the retriever failed on every query"):
        collect(lambda text: found, {"q": "why"}, tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=8).filter(str.strip), min_size=1, max_size=5, unique=True),
    st.text(min_size=1, max_size=8).filter(str.strip),
)
def test_any_ids_are_read_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str], query: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    found = [Candidate(f"text {n}", identity, score=-float(n)) for n, identity in enumerate(ids)]
    collect(lambda text: found, {query: "why"}, folder)
    assert read(folder, judged=False).run == {query: tuple((c.id, c.score) for c in found)}
