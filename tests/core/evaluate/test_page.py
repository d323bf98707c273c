"""The report page as text: what is in it, what is not, and how large it gets."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from support.evaluations import MAIN, evaluation, kitchen, stages
from tamis import Lexical
from tamis.evaluate.page import Section, embedded, render, section
from tamis.evaluate.page.cost import costs
from tamis.evaluate.page.figures import gains, histogram, label, movement
from tamis.evaluate.page.tradeoff import pareto, tradeoff
from tamis.evaluate.result import Evaluation, Interval, Row, System
from tamis.values.ranking import Candidate, Neighbour, Query, Ranking
from tamis.values.scale import PROBABILITY
from tamis.values.usage import Usage

HOSTILE = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>${title}$title%{x}"


@pytest.fixture(scope="module")
def kitchens() -> Evaluation:
    return evaluation()


def opened(part: Section, query: int) -> dict[str, Any]:
    packed = part.pictures[query]
    assert packed is not None
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def visible(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def with_systems(base: Evaluation, *systems: System) -> Evaluation:
    return replace(base, systems=[*base.systems, *systems])


def test_the_head_says_what_was_measured_and_how_it_ended(kitchens: Evaluation) -> None:
    head = visible(section(kitchens).head)
    assert "found up to 10 passages for each of 4 queries; 3 other systems" in head
    assert "how near the first places come to the best possible order" in head
    assert "The highest is lexical" in head
    assert "queries.jsonl:7" in head
    assert "a notice of the evaluation" in head


def test_no_difference_is_said_plainly(kitchens: Evaluation) -> None:
    same = replace(kitchens, comparisons=[replace(pair, corrected=0.6) for pair in kitchens.comparisons])
    head = section(same).head
    assert "no difference from the first stage was seen" in head
    assert head.count(">no difference seen<") == 3


def test_bounds_stand_apart_and_are_no_links(kitchens: Evaluation) -> None:
    head = section(kitchens).head
    bounds = head.split('<tbody class="bounds">')[1]
    assert "oracle" in bounds
    assert 'data-system="oracle"' not in head


def test_columns_without_any_value_are_hidden(kitchens: Evaluation) -> None:
    head = section(kitchens).head
    assert "tokens in" in head
    assert "tokens out" not in head
    assert "FLOPs" not in head
    assert "degraded" not in head
    free = replace(kitchens, systems=[System("first stage", "first stage", kitchens.systems[0].rows)])
    assert "No cost was measured" in section(free).head


def test_a_query_that_failed_and_a_metric_without_value_do_no_harm(kitchens: Evaluation) -> None:
    rows = {query: Row(query, {}, None, "ModelError: <b>no</b> answer") for query in kitchens.query_ids}
    nan = float("nan")
    broken = System("broken", "pipeline", rows, {MAIN: Interval(nan, nan, nan, 0)})
    part = section(with_systems(kitchens, broken))
    assert "failed queries" in part.head
    assert part.data["systems"][-1]["values"] == [None] * 4
    assert opened(part, 0)["systems"][-1]["error"] == "ModelError: <b>no</b> answer"
    assert render([part])


def test_a_first_stage_that_failed_leaves_the_places_known(kitchens: Evaluation) -> None:
    first = kitchens.systems[0]
    rows = {**first.rows, "q1": Row("q1", {}, None, "lost")}
    shown = opened(section(replace(kitchens, systems=[replace(first, rows=rows), *kitchens.systems[1:]])), 0)
    assert shown["first"] == 10
    assert sorted(shown["systems"][1]["kept"]) == list(range(10))


def test_what_no_first_stage_found_is_new(kitchens: Evaluation) -> None:
    known = kitchens.dataset.corpus
    ranking = Ranking.of("why does bread rise", [Candidate("a stranger", "new"), known["p1"], known["p2"]])
    run = System("theirs", "run", {"q1": Row("q1", {MAIN: 0.5}, ranking)})
    shown = opened(section(with_systems(kitchens, run)), 0)
    first, (stranger, p1, _) = shown["first"], shown["systems"][-1]["kept"]
    assert first == 10
    assert shown["pool"][stranger][0] == "new"
    assert stranger == 10
    html = shown["systems"][-1]["html"]
    assert ">new</span>" in html
    assert f"{p1 + 1} <span" in html


def test_a_picture_holds_the_ranking_with_grades(kitchens: Evaluation) -> None:
    shown = opened(section(kitchens), 0)
    criteria = shown["systems"][2]
    assert "relevant, grade 2" in criteria["html"]
    assert "depth" in criteria["html"]
    assert "<style>" not in criteria["html"]
    assert {shown["pool"][index][0] for index in shown["relevant"]} == {"p1", "p3", "p10"}
    assert len(shown["systems"][3]["dropped"]) == 7


def test_where_room_is_short_the_queries_on_which_systems_differ_most_keep_their_pictures(kitchens: Evaluation) -> None:
    values = [[s.rows[q].values[MAIN] for s in kitchens.systems if s.kind != "bound"] for q in kitchens.query_ids]
    spread = [max(of) - min(of) for of in values]
    everything = section(kitchens).pictures
    sizes = [len(packed or "") for packed in everything]
    widest = max(range(4), key=spread.__getitem__)
    assert [index for index, packed in enumerate(section(kitchens, room=sizes[widest]).pictures) if packed] == [widest]
    assert section(kitchens, room=sum(sizes)).pictures == everything
    part = section(kitchens, room=0)
    assert part.pictures == [None] * 4
    assert len(part.data["queries"]) == 4


def test_the_page_is_the_same_each_time(kitchens: Evaluation) -> None:
    assert render([section(kitchens)]) == render([section(evaluation())])


def test_a_picture_does_not_grow_with_the_pool() -> None:
    extra = {f"x{n}": f"passage number {n} about bread and heat " * 8 for n in range(300)}
    small, large = (section(evaluation(kitchen(extra=extra), stages(), depth=depth)) for depth in (30, 300))
    sizes = [len(opened(part, 0)["systems"][1]["html"]) for part in (small, large)]
    assert sizes[1] < 1.3 * sizes[0]


def test_only_what_is_drawn_has_a_label(kitchens: Evaluation) -> None:
    extra = {f"x{n}": f"passage number {n}" for n in range(60)}
    pool = opened(section(evaluation(kitchen(extra=extra), {"short": stages()["short"]})), 0)["pool"]
    assert len(pool) == 70
    labelled = [index for index, (_, text, _) in enumerate(pool) if text]
    assert set(range(20)) <= set(labelled)
    assert len(labelled) < 30


def lifted(base: Evaluation, *neighbours: Neighbour) -> Evaluation:
    """With a system that says of the last passage of q1 that `neighbours` lifted it to the first place."""
    *others, last = base.systems[0].rows["q1"].ranking.kept  # type: ignore[union-attr]
    ranking = Ranking(Query("q"), (replace(last, lifted_by=neighbours), *others))
    return with_systems(base, System("graph", "pipeline", {"q1": Row("q1", {MAIN: 0.5}, ranking)}))


def test_a_picture_says_which_passages_lifted_which(kitchens: Evaluation) -> None:
    near = (Neighbour(2, 0.75, "citation"), Neighbour(0, 0.25))
    shown = opened(section(lifted(kitchens, *near)), 0)["systems"]
    assert shown[-1]["html"].count('<g class="arrow relevant"><title>') == 2
    assert "by 0.75 (citation)</title>" in shown[-1]["html"]
    assert "lifted" not in shown[1]["html"]


def test_a_neighbour_that_is_not_in_the_ranking_is_no_edge(kitchens: Evaluation) -> None:
    shown = opened(section(lifted(kitchens, Neighbour(77, 1.0))), 0)["systems"][-1]
    assert "lifted" not in shown["html"]


def test_numbers_about_all_queries_together_have_a_table_where_there_are_any(kitchens: Evaluation) -> None:
    assert "All queries together" not in section(kitchens).head
    sure, unsure, silent = (replace(kitchens.systems[1], name=name) for name in ("sure", "unsure", "silent"))
    sure = replace(sure, summary={"abstained": 0.25, "AUROC": 0.875, "<b>": 2.0})
    unsure = replace(unsure, summary={"abstained": 0.5, "AUROC": float("nan")})
    silent = replace(silent, summary={"AUROC": 0.75, "nAUC": 0.5})
    head = section(with_systems(kitchens, sure, unsure, silent)).head
    table = visible(head.split("<h3>All queries together</h3>")[1].split("<h3>")[0])
    assert "system abstained AUROC &lt;b&gt; sure 0.25 0.875 2 unsure 0.5 – – " in table
    assert "silent" not in table
    assert "0.5 is chance" in table
    assert "nAUC" not in table


def test_compute_is_shown_where_it_is_known(kitchens: Evaluation) -> None:
    def spending(system: System, flops: float, unmetered: int = 0) -> System:
        rows = {
            query: replace(row, ranking=replace(row.ranking, usage=Usage(calls=1, flops=flops)))  # type: ignore[type-var]
            for query, row in system.rows.items()
        }
        usage = Usage(calls=4, flops=4 * flops, flops_paper=3 * flops, unmetered=unmetered)
        return replace(system, rows=rows, usage=usage, means={MAIN: Interval(0.5, 0.4, 0.6, 4)})

    first, lexical, criteria, short, _ = kitchens.systems
    rows = {query: replace(row, values={MAIN: 0.5}) for query, row in lexical.rows.items()}
    known = spending(replace(lexical, rows=rows), 2e13)
    shown = replace(kitchens, systems=[first, known, spending(criteria, 1e13, unmetered=1), short])
    cost = section(shown).head.split("<h3>Cost</h3>")[1]

    def costs_of(name: str) -> dict[str, str]:
        cells = "".join(part.split("</tr>")[0] for part in cost.split(f"{name}</bdi>")[1:])
        return dict(re.findall(r'data-head="([^"]+)"[^>]*>([^<]*)</td>', cells))

    row, unknown = costs_of("lexical"), costs_of("criteria")
    assert (row["FLOPs a query"], row["FLOPs, paper’s form"], row["RPP"], row["QPP"]) == ("20T", "15T", "25", "50")
    assert {unknown[name] for name in ("FLOPs a query", "FLOPs, paper’s form", "RPP", "QPP")} == {"–"}
    assert set(tradeoff(shown)["flops"]["data"][1]["customdata"]) == {"lexical", "short"}


def test_what_a_recorded_run_cost_is_not_said(kitchens: Evaluation) -> None:
    run = System("theirs", "run", kitchens.systems[1].rows, kitchens.systems[1].means)
    quality, cost = section(with_systems(kitchens, run)).head.split("<h3>Cost</h3>")
    assert "theirs" in quality
    assert "theirs" not in cost


def test_dropped_counts_tell_what_was_lost(kitchens: Evaluation) -> None:
    short = section(kitchens).data["systems"][3]
    assert short["dropped"] == [["after the first n", 28, short["dropped"][0][2], 4]]


def test_nothing_from_outside_becomes_markup_or_ends_a_script() -> None:
    dataset = kitchen(HOSTILE, extra={HOSTILE: HOSTILE})
    bad = replace(evaluation(dataset, {HOSTILE: Lexical()}), notices=[HOSTILE])
    page = render([section(bad), section(bad)], title=HOSTILE)
    ours = page.split('<script type="application/json" id="data">')[0]
    assert "<script>" not in ours
    assert "<img" not in ours
    assert page.count("</script>") == 5, "data, pictures of two sets, plotly, script"
    assert page.count("<!--") == 0
    assert "alert(1)" in visible(ours)


def test_only_what_the_page_made_itself_is_taken_unescaped() -> None:
    texts = [file.read_text(encoding="utf-8") for file in files("tamis.evaluate.page").joinpath("templates").iterdir()]
    unescaped = re.findall(r"([\w.]+)\s*\|\s*safe\b", " ".join(texts))
    assert sorted(unescaped) == ["data", "plotly", "policy", "script", "section.head", "section.pictures", "style"]
    assert not any("autoescape" in text for text in texts)


def test_data_in_a_script_element_reads_back_as_it_was() -> None:
    assert "<" not in embedded({"a": HOSTILE})
    assert json.loads(embedded({"a": HOSTILE})) == {"a": HOSTILE}
    with pytest.raises(ValueError, match="JSON"):
        embedded(float("nan"))


def test_the_page_forbids_loading_anything_and_all_scripts_but_two() -> None:
    page = render([section(evaluation())])
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    assert "default-src 'none'" in policy[1]
    assert re.search(r"script-src('? 'sha256-[^']+){2}'$", policy[1])
    assert not re.search(r"<(link|img|iframe|script[^>]+src)", page.split("<script>")[0])


def test_data_sets_of_one_name_are_told_apart(kitchens: Evaluation) -> None:
    page = render([section(kitchens), section(kitchens)])
    assert "kitchen (2)" in page


def test_several_data_sets_have_an_overview(kitchens: Evaluation) -> None:
    page = render([section(kitchens), section(evaluation(kitchen("other")))])
    overview = page.split("<h2>All data sets</h2>")[1].split("</section>")[0]
    assert re.findall(r'<th scope="row"><bdi>([^<]+)', overview) == [
        s.name for s in kitchens.systems if s.kind != "bound"
    ]
    mean = kitchens.system("lexical").means[MAIN].mean
    assert overview.count(f'data-system="lexical"><b>{mean:.3f}</b>') == 2
    assert "All data sets" not in render([section(kitchens)])


def test_an_empty_page_renders() -> None:
    assert "<main>" in render([])


def in_colours(figure: Any, key: str = "") -> Any:
    """The figure with a real colour for each name of one."""
    if isinstance(figure, dict):
        return {name: in_colours(value, name) for name, value in figure.items()}
    if isinstance(figure, list):
        return [in_colours(value, key) for value in figure]
    return "#123456" if key.endswith("color") and str(figure).startswith("--") else figure


def test_figures_are_valid_for_plotly(kitchens: Evaluation) -> None:
    graph_objects = pytest.importorskip("plotly.graph_objects")
    groups = {"relevant": [0.9, 0.8], "not relevant": [0.1, 0.2], "not judged": [0.5]}
    for figure in (*tradeoff(kitchens).values(), gains(), movement(), histogram(groups, "score")):
        graph_objects.Figure(in_colours(figure))


def test_the_trade_off_has_an_axis_for_each_cost_that_was_measured(kitchens: Evaluation) -> None:
    figures = tradeoff(kitchens)
    assert list(figures) == ["seconds", "calls", "tokens"]
    assert figures["calls"]["layout"]["xaxis"]["type"] == "log"
    assert "type" not in figures["tokens"]["layout"]["xaxis"]


def test_what_costs_nothing_stands_at_zero_on_a_logarithmic_axis(kitchens: Evaluation) -> None:
    free = [replace(s, usage=Usage()) if s.name == "criteria" else s for s in kitchens.systems]
    axis = tradeoff(replace(kitchens, systems=free))["calls"]["layout"]["xaxis"]
    assert axis["ticktext"][0] == "0"
    assert axis["type"] == "log"


def test_cost_is_a_query(kitchens: Evaluation) -> None:
    assert costs(kitchens.system("criteria"), 4)["tokens"] == 8000
    assert costs(System("x", "pipeline", {}, usage=Usage(seconds=8)), 4)["seconds"] == 2


def test_the_front_holds_what_nothing_cheaper_beats() -> None:
    points = [("a", 1, 0.5), ("b", 2, 0.5), ("c", 3, 0.7), ("d", 9, 0.6)]
    assert pareto(points) == ["a", "c"]
    assert pareto(points, floor=0.6) == ["c"]


def test_a_histogram_holds_every_score_once() -> None:
    figure = histogram({"relevant": [0.0, 0.5, 1.0], "not relevant": [], "not judged": [0.2]}, "score", bins=4)
    assert figure
    assert [trace["name"] for trace in figure["data"]] == ["relevant (3)", "not judged (1)"]
    for trace in figure["data"]:
        assert sum(trace["y"][1:-1]) == pytest.approx(1, abs=1e-3)
    assert histogram({"relevant": []}, "score") is None
    assert histogram({"relevant": [0.5, 0.5]}, "score")


def test_scores_without_distances_have_no_histogram(kitchens: Evaluation) -> None:
    rows = {"q1": Row("q1", {}, Ranking.of("q", ["a"]).ordered([0], replace(PROBABILITY, kind="ordinal")))}
    part = section(with_systems(kitchens, System("order", "pipeline", rows)))
    assert part.data["systems"][-1]["scores"] is None
    assert "only orders" in part.data["systems"][-1]["note"]


def test_labels_for_plotly_hold_no_markup() -> None:
    assert label("<b>&</b>") == "&lt;b&gt;&amp;&lt;/b&gt;"
    assert len(label("x" * 100)) == 40


def test_probabilities_come_with_a_reliability_chart_and_other_scores_with_none(kitchens: Evaluation) -> None:
    lexical = next(system for system in kitchens.systems if system.name == "lexical")
    rows = {}
    for query, row in lexical.rows.items():
        assert row.ranking
        relevant = kitchens.dataset.relevant(query)
        kept = [replace(r, score=0.75 if str(r.candidate.id) in relevant else 0.25) for r in row.ranking.kept]
        rows[query] = replace(row, ranking=replace(row.ranking, kept=tuple(kept), scale=PROBABILITY))
    sure = replace(lexical, name="sure", rows=rows)
    drawn = {system["name"]: system for system in section(with_systems(kitchens, sure)).data["systems"]}
    assert drawn["lexical"]["reliability"] is None
    points = drawn["sure"]["reliability"]["data"][1]
    assert (points["x"], points["y"]) == ([0.25, 0.75], [0.0, 1.0])
    assert sum(int(count.replace(",", "")) for count in points["text"]) == sum(
        len(row.ranking.kept) for row in rows.values() if row.ranking
    )
    assert "Expected calibration error 0.250" in drawn["sure"]["trust"]
    assert 'id="reliability"' in render([section(with_systems(kitchens, sure))])


def test_names_of_lines_at_the_same_height_are_not_written_over_each_other(kitchens: Evaluation) -> None:
    first, *rest, oracle = kitchens.systems
    high = replace(oracle, means={MAIN: first.means[MAIN]})
    shapes = tradeoff(replace(kitchens, systems=[first, *rest, high]))["calls"]["layout"]["shapes"]
    assert [shape["label"]["textposition"] for shape in shapes] == ["end", "start"]
    shapes = tradeoff(kitchens)["calls"]["layout"]["shapes"]
    assert {shape["label"]["textposition"] for shape in shapes} == {"end"}


def test_answers_of_a_cache_are_drawn_against_nothing(kitchens: Evaluation) -> None:
    first, lexical, *rest = kitchens.systems
    cached = replace(lexical, usage=replace(lexical.usage, cached=3))
    mixed = replace(kitchens, systems=[first, cached, *rest])
    assert all("lexical" not in figure["data"][1]["customdata"] for figure in tradeoff(mixed).values())
    assert section(mixed).data["undrawn"].startswith("lexical is not drawn: a cache answered some calls")
    assert section(kitchens).data["undrawn"] == ""
    everything = replace(kitchens, systems=[replace(s, usage=replace(s.usage, cached=3)) for s in kitchens.systems])
    assert tradeoff(everything) == {}
