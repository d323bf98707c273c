"""The picture of one ranking: what it says, and that nothing from outside becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import Candidate, Lexical, MultiCriteria, Query, Ranking, TopN
from tamis.criteria import Coverage, Depth
from tamis.values.ranking import Dropped, Neighbour, Notice, Ranked, Why
from tamis.values.scale import ORDINAL, PROBABILITY, UNKNOWN, Scale, graded
from tamis.values.usage import Usage
from tamis.view.picture import fragment, stylesheet
from tamis.view.wording import WHY, large, number, safe, scale_words

HOSTILE = "</style></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Tags(HTMLParser):
    """Which elements and attributes there are, what text a reader sees, and whether each is closed in its place."""

    VOID = frozenset({"img", "br", "meta", "input", "link"})
    APART = frozenset({"p", "div", "td", "th", "summary"})

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.text += " " if tag in self.APART else ""

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def parsed(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    assert not tags.open
    return tags


def text(html: str) -> str:
    return " ".join(parsed(html).text.split())


def ranking(*kept: Ranked, dropped: tuple[Dropped, ...] = (), scale: Scale = UNKNOWN) -> Ranking:
    return Ranking(Query("a query"), kept, dropped, scale)


def many(count: int) -> Ranking:
    return Ranking.of("q", [Candidate(f"text {n}", id=f"id{n}") for n in range(count)])


def test_a_row_says_where_it_stands_where_it_came_in_and_how_far_it_moved() -> None:
    shown = text(fragment(Ranking.of("q", ["a", "b", "c"]).reorder([2, 1, 0]), style=False))
    assert "1 3 ▲2 c" in shown
    assert "2 2 = b" in shown
    assert "3 1 ▼2 a" in shown


def test_score_scale_criteria_reason_title_and_id_are_shown() -> None:
    candidate = Candidate("the text", id="d7", title="The title")
    ranked = Ranked(candidate, 0, 7.25, {"depth": 3.5, "authority": None}, "because it fits")
    shown = text(fragment(ranking(ranked, scale=graded(0, 10)), style=False))
    for part in (
        "7.25",
        "graded 0 to 10",
        "depth 3.5",
        "authority –",
        "because it fits",
        "The title",
        "d7",
        "the text",
    ):
        assert part in shown


def test_a_title_the_text_begins_with_is_not_said_twice() -> None:
    assert text(fragment(ranking(Ranked(Candidate("Rome is old", title="Rome"), 0)))).count("Rome is") == 1
    assert '<bdi class="title">' not in fragment(ranking(Ranked(Candidate("Rome is old", title="Rome"), 0)))


def test_bars_are_as_long_as_the_share_of_the_best() -> None:
    rows = [Ranked(Candidate(str(n)), n, criteria={"depth": value}) for n, value in enumerate([4.0, 1.0, None, -2.0])]
    assert re.findall(r"width:(\d+)%", fragment(ranking(*rows))) == ["100", "25", "0", "0"]


def test_a_ranking_without_scores_has_no_score_column() -> None:
    assert '<th class="number">score</th>' not in fragment(many(3))
    assert '<th class="number">score</th>' in fragment(ranking(Ranked(Candidate("a"), 0, 1.0)))


def test_grades_are_shown_when_given() -> None:
    shown = text(fragment(many(3), grades={"id0": 2, "id1": 0}))
    assert "id0 relevant, grade 2" in shown
    assert "id1 not relevant, grade 0" in shown
    assert shown.count("grade") == 2
    assert "id0 not relevant, grade 2" in text(fragment(many(3), grades={"id0": 2}, relevant_from=3))


def test_movement_can_be_measured_from_other_places_than_the_input() -> None:
    shown = text(fragment(many(2), came_in={0: 5, 1: None}))
    assert "1 5 ▲4" in shown
    assert "2 new" in shown


def test_long_rankings_are_folded() -> None:
    assert "<details>" not in fragment(many(10))
    html = fragment(many(12))
    assert "<summary>2 more</summary>" in html
    assert "text 11" in html


def test_a_limit_leaves_out_all_but_the_first_and_the_relevant() -> None:
    html = fragment(many(100), grades={"id60": 1, "id61": 0}, limit=20)
    assert "id60" in html
    assert "id61" not in html
    assert "id20" not in html
    assert "40 more, not in this picture" in html
    assert "39 more, not in this picture" in html
    assert "<summary>90 more</summary>" in html


def test_what_is_left_out_is_not_folded_away() -> None:
    html = fragment(many(100), limit=10)
    assert "90 more, not in this picture" in html
    assert "<details>" not in html


def test_a_row_names_the_neighbours_that_lifted_it() -> None:
    titled = Candidate("text of two", title="The second")
    near = (Neighbour(1, 0.5, "citation"), Neighbour(2, 0.25), Neighbour(99, 1.0, "elsewhere"))
    rows = (Ranked(Candidate("one"), 0, lifted_by=near), Ranked(titled, 1))
    html = fragment(ranking(*rows, dropped=(Dropped(Ranked(Candidate("three\n " * 40), 2), "top_n"),)))
    assert "lifted by: The second (citation), three three three three three three three three three three…" in text(
        html
    )
    assert text(html).count("lifted by") == 1
    assert 'title="weight 0.5"' in html


def test_arrows_are_drawn_to_the_first_ten_from_what_lifted_them() -> None:
    rows = [Ranked(Candidate(f"text {n}"), n, lifted_by=(Neighbour(n + 1, 0.5, "citation"),)) for n in range(20)]
    dropped = Dropped(Ranked(Candidate("gone"), 20), "top_n")
    rows[0] = replace(rows[0], lifted_by=(Neighbour(20, 2.0, "similar"), Neighbour(77, 1.0)))
    html = fragment(ranking(*rows, dropped=(dropped,)), style=False)
    assert re.findall(r"<title>(.*?)</title>", html)[:2] == [
        "gone lifted text 0 by 2 (similar)",
        "text 2 lifted text 1 by 0.5 (citation)",
    ]
    assert html.count("<title>") == 10
    lines = re.findall(r'class="line"><span class="muted">(\w+)</span> <bdi>(.*?)</bdi>', html)
    assert lines == [*((str(n + 1), f"text {n}") for n in range(11)), ("out", "gone")]
    assert 'stroke-dasharray="none"' in html  # the first kind of edge is solid, the second dotted
    assert 'stroke-dasharray="1.5 4"' in html


def test_without_lifts_nothing_is_drawn() -> None:
    assert "<svg" not in fragment(many(3))
    assert "<svg" not in fragment(ranking(Ranked(Candidate("a"), 0, lifted_by=(Neighbour(9, 1.0),))))


def test_of_many_arrows_the_strongest_are_drawn() -> None:
    rows = [Ranked(Candidate(f"text {n}"), n) for n in range(60)]
    for n in range(10):
        rows[n] = replace(rows[n], lifted_by=tuple(Neighbour(10 + 5 * n + m, 10.0 * n + m) for m in range(5)))
    html = fragment(ranking(*rows), style=False)
    assert html.count('class="line"') == 24
    assert "text 59 lifted text 9" in html
    assert "text 10 lifted" not in html


def test_arrows_to_relevant_passages_stand_out() -> None:
    rows = [Ranked(Candidate(f"text {n}", id=n), n) for n in range(3)]
    rows[1:] = [replace(row, lifted_by=(Neighbour(0, 1.0),)) for row in rows[1:]]
    html = fragment(ranking(*rows), grades={1: 1}, style=False)
    assert re.findall(r'<g class="(\w+ ?\w*)"><title>(.*?) by', html) == [
        ("arrow", "text 0 lifted text 2"),
        ("arrow relevant", "text 0 lifted text 1"),
    ]
    assert '<div class="line relevant"><span class="muted">2</span> <bdi>text 1' in html


def test_only_the_strongest_neighbours_are_named() -> None:
    rows = [Ranked(Candidate(f"text {n}"), n) for n in range(9)]
    rows[0] = replace(rows[0], lifted_by=tuple(Neighbour(n, 1 / n) for n in range(1, 9)))
    assert "lifted by: text 1, text 2, text 3 and 5 more" in text(fragment(ranking(*rows)))


def test_what_was_dropped_is_grouped_by_why() -> None:
    cut = (Lexical() | TopN(2)).rerank("a", ["a", "a b", "b", "c"])
    twice = replace(cut, kept=cut.kept[:1], dropped=(*cut.dropped, Dropped(cut.kept[1], "duplicate")))
    html = fragment(twice)
    assert "2 dropped: after the first n" in html
    assert "1 dropped: duplicate of another" in html
    lost = fragment(many(3).drop("below_threshold", lambda index, _: index > 0), grades={"id2": 1})
    assert "2 dropped: below the threshold, 1 of them relevant" in lost


def test_flops_say_what_they_leave_out() -> None:
    known = Usage(calls=3, flops=4.2e12)
    seen = [known, replace(known, unmetered=2), Usage(calls=3, unmetered=3)]
    alone, some, none = (text(fragment(replace(many(1), usage=usage))) for usage in seen)
    assert "4.2T FLOPs" in alone
    assert "left out" not in alone
    assert "4.2T FLOPs (2 calls of unknown size left out)" in some
    assert "FLOPs" not in none


def test_cost_warnings_and_abstention_are_shown() -> None:
    usage = Usage(calls=12, cached=3, retries=1, failed=2, tokens_in=4512, tokens_out=300, seconds=1.25)
    full = replace(many(2), usage=usage).warn(Notice("two calls failed", (0, 1)), Notice("by the way", degraded=False))
    shown = text(fragment(full))
    for part in (
        "12 model calls",
        "3 answered by the cache",
        "1 retry",
        "2 failed",
        "4,512 tokens in, 300 out",
        "1.25 s",
    ):
        assert part in shown
    assert "two calls failed (2 passages)" in shown
    assert "by the way" in shown
    assert "no model calls" in text(fragment(many(1)))
    nothing = replace(many(2).drop("abstained", lambda *_: True), abstained=True)
    assert "Abstained: nothing was good enough" in text(fragment(nothing))


def test_an_empty_ranking_has_a_picture() -> None:
    assert "kept 0 of 0" in text(fragment(Ranking(Query("q"))))


def test_a_notebook_shows_it() -> None:
    html = (Lexical() | MultiCriteria(criteria=[Depth(), Coverage()])).rerank("a b", ["a b", "c"])._repr_html_()
    assert html.startswith("<style>")
    assert "coverage" in html


def test_nothing_from_outside_becomes_markup() -> None:
    candidate = Candidate(HOSTILE, id=HOSTILE, title="T" + HOSTILE)
    rows = [Ranked(candidate, n, 1.0, {HOSTILE: 1.0}, HOSTILE) for n in range(3)]
    full = Ranking(
        Query(HOSTILE, instruction=HOSTILE),
        (rows[0], replace(rows[1], lifted_by=(Neighbour(0, 1.0, HOSTILE),))),
        (Dropped(rows[2], HOSTILE),),  # type: ignore[arg-type]
        warnings=(Notice(HOSTILE),),
    )
    tags = parsed(fragment(full, grades={HOSTILE: 1}))
    assert not tags.names & {"script", "img"}
    drawing = {"width", "height", "d", "stroke-width", "stroke-dasharray", "cx", "cy", "r", "aria-hidden", "open"}
    assert tags.attributes <= {"class", "style", "title", "colspan", *drawing}
    assert "alert(1)" in tags.text


@given(st.text(), st.text(), st.one_of(st.none(), st.floats()))
def test_any_text_makes_a_whole_fragment_that_can_be_written(words: str, name: str, score: float | None) -> None:
    candidate = Candidate(words, id=name, title=name, score=score)
    html = fragment(ranking(Ranked(candidate, 0, candidate.score, {name: candidate.score}, words)))
    html.encode("utf-8")
    assert not parsed(html).names & {"script", "img", "a", "iframe"}


def test_lone_surrogates_are_replaced() -> None:
    assert safe("a\ud800b") == "a?b"


def test_the_fragment_runs_and_loads_nothing() -> None:
    assert not parsed(fragment(many(30))).names & {"script", "link", "img", "iframe"}
    assert "url(" not in stylesheet()
    assert "@import" not in stylesheet()


def test_rules_stay_inside_the_fragment() -> None:
    plain = re.sub(r"/\*.*?\*/", "", stylesheet(), flags=re.DOTALL).replace("@media (max-width: 560px) {", "")
    for selector in re.findall(r"([^{}]+)\{", plain):
        assert all(".tamis-ranking" in part for part in selector.split(",")), selector


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (1, "1"), (0.5, "0.5"), (0.02468, "0.0247"), (3.14159, "3.14"), (-2.5, "−2.5"), (1e-7, "1e-07"), (123.456, "123.5"), (98765.4, "98,765")],
)  # fmt: skip
def test_numbers_have_the_digits_that_tell_something(value: float, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(0, "0"), (0.25, "0.25"), (9999, "9,999"), (12345, "12.3k"), (2e6, "2M"), (3.2e15, "3.2P")])  # fmt: skip
def test_large_counts_have_a_prefix(value: float, shown: str) -> None:
    assert large(value) == shown


def test_every_reason_to_drop_has_words() -> None:
    assert set(WHY) == set(get_args(Why))


def test_every_scale_has_words() -> None:
    assert scale_words(PROBABILITY) == "probability"
    assert scale_words(ORDINAL) == "order only"
