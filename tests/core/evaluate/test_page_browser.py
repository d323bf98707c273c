"""The report page in a real browser: opened from disk, as a reader does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.evaluations import MAIN, TEXTS, evaluation, kitchen
from tamis import Candidate, Lexical
from tamis.cli.compare import _page as compared_page
from tamis.evaluate.page import render, section
from tamis.evaluate.result import Evaluation, Interval, Row, System
from tamis.values.ranking import Neighbour, Ranking
from tamis.values.usage import Usage

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
HOSTILE = "</script><img src=x onerror=alert(1)>%2F/#"
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with chromedriver on the PATH")


class Reader:
    """A browser with the page open."""

    def __init__(self, driver: Any, page: Path) -> None:
        self.driver, self.page = driver, page

    def look(self, width: int = 1280, scheme: str = "light") -> None:
        """What the window and the system are like from now on."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, link: str = "") -> None:
        """Load the page anew, and wait until a query with its charts is there."""
        self.driver.get("about:blank")
        self.logs()
        self.driver.get(self.page.as_uri() + link)
        self.wait("document.querySelector('#query .tamis-ranking, #query .error')")

    def go(self, link: str, system: str) -> None:
        """Follow a link within the page, and wait for the ranking by `system`."""
        self.driver.execute_script("location.hash = arguments[0]", link)
        self.wait(f"document.querySelector('#query').textContent.includes('The ranking by {system}')")

    def js(self, code: str) -> Any:
        return self.driver.execute_script(f"return {code}")

    def wait(self, code: str) -> Any:
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, 30, 0.05).until(lambda _: self.js(code), f"never true: {code}")

    def logs(self) -> list[str]:
        """Messages in the console since the last look."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def asked(self) -> list[str]:
        """Addresses that were asked for since the last look."""
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def click(self, css: str, index: int = 0) -> None:
        """With a real pointer, in the middle of the element."""
        from selenium.webdriver import ActionChains

        element = self.driver.find_elements("css selector", css)[index]
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        ActionChains(self.driver).move_to_element(element).pause(0.2).click().perform()


def explained() -> Evaluation:
    """Cheap and dear systems, one of them a graph that says what lifted what, one that failed on a query."""
    made = evaluation()
    first, lexical, *others = made.systems
    rows = {}
    for query, row in lexical.rows.items():
        assert row.ranking
        lifts = [replace(r, lifted_by=(Neighbour((r.position + 1) % 10, 0.5, "similar"),)) for r in row.ranking.kept]
        rows[query] = replace(row, ranking=replace(row.ranking, kept=tuple(lifts)))
    usage = Usage(calls=8, tokens_in=400, flops=2e12)
    graph = replace(lexical, name="graph", rows=rows, usage=usage, summary={"AUROC": 0.8})
    lost = replace(lexical, name=HOSTILE, rows={**lexical.rows, "q2": Row("q2", {}, None, f"ModelError: {HOSTILE}")})
    return replace(made, systems=[first, lexical, graph, lost, *others])


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    extra = {f"x{n}": f"passage {n} of bread" for n in range(40)}
    other = evaluation(kitchen("other", extra=extra), {"lexical": Lexical()})
    stranger = Ranking.of("q", [Candidate("a stranger", "new"), other.dataset.corpus["p1"]])
    run = System("recorded", "run", {"q1": Row("q1", {MAIN: 0.5}, stranger)})
    written = tmp_path_factory.mktemp("page") / "report #1.html"
    sections = [section(explained()), section(replace(other, systems=[*other.systems, run]))]
    written.write_text(render(sections), encoding="utf-8")
    return written


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield started
    started.quit()


@pytest.fixture
def reader(driver: Any, page: Path) -> Reader:
    made = Reader(driver, page)
    made.look()
    return made


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (420, "dark")])
def test_all_charts_are_drawn_without_a_word_in_the_console(reader: Reader, width: int, scheme: str) -> None:
    reader.look(width, scheme)
    reader.open("#kitchen/graph/q1")
    for chart in ("tradeoff", "gains", "movement", "scores"):
        assert reader.wait(f"document.querySelector('#{chart} svg .trace path')"), chart
    assert reader.logs() == []
    assert reader.js("document.documentElement.scrollWidth") <= width


def test_nothing_is_fetched(reader: Reader, page: Path) -> None:
    reader.asked()
    reader.open("#other/lexical/q1")
    asked = {url.partition("#")[0] for url in reader.asked() if not url.startswith(("data:", "chrome://"))}
    assert asked == {page.as_uri()}
    assert reader.js("performance.getEntriesByType('resource').length") == 0


def test_the_policy_stops_what_an_attacker_would_do(reader: Reader) -> None:
    reader.open()
    reader.driver.execute_script("""
        const script = document.createElement("script");
        script.textContent = "window.bad = 1";
        document.head.append(script);
        document.body.insertAdjacentHTML("beforeend", "<img src='https://example.invalid/x' onerror='window.bad = 1'>");
    """)
    reader.wait("document.querySelector('img').complete")
    assert reader.js("window.bad ?? null") is None
    assert sum("Content Security Policy" in message for message in reader.logs()) >= 2


def test_a_link_to_a_query_shows_its_ranking(reader: Reader) -> None:
    reader.open("#kitchen/lexical/q3")
    shown = reader.js("document.querySelector('#query').textContent")
    assert "how hot should water for green tea be" in shown
    assert "The ranking by lexical" in shown
    first = reader.js("document.querySelector('#query .tamis-ranking .candidate').textContent")
    assert "water" in first
    assert "relevant, grade" in first
    reader.go("#other/recorded/q1", "recorded")
    assert "a stranger" in reader.js("document.querySelector('#query .tamis-ranking').textContent")
    assert reader.js("[...document.querySelectorAll('.dataset')].map(part => part.hidden)") == [True, False]


def test_a_query_that_failed_says_so(reader: Reader) -> None:
    reader.open()
    reader.driver.execute_script("location.hash = link(0, 3, 1)")
    reader.wait("document.querySelector('#query .error')")
    assert HOSTILE in reader.js("document.querySelector('#query .error').textContent")
    assert reader.js("document.querySelector('img')") is None
    assert reader.logs() == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (420, "dark")])
def test_arrows_are_only_drawn_for_what_says_what_lifted_it(reader: Reader, width: int, scheme: str) -> None:
    reader.look(width, scheme)
    reader.open("#kitchen/lexical/q1")
    assert "lifted" not in reader.js("document.querySelector('#query').textContent")
    reader.go("#kitchen/graph/q1", "graph")
    assert "(similar)" in reader.js("document.querySelector('#query .lifted').textContent")
    assert reader.js("document.querySelectorAll('#query .lifts .arrow').length") == 10
    # What is drawn is there to see: of some size, inside the page, and not of the colour of the paper.
    boxes = "[...document.querySelectorAll('#query .lifts .arrow')].map(arrow => arrow.getBoundingClientRect())"
    assert reader.js(f"{boxes}.every(box => box.width > 10 && box.height > 10 && box.left >= 0)")
    colours = reader.js(
        "[getComputedStyle(document.querySelector('#query .lifts .arrow path')).stroke, "
        "getComputedStyle(document.querySelector('#query .tamis-ranking')).backgroundColor]"
    )
    assert colours[0] != colours[1]
    assert reader.js("document.documentElement.scrollWidth") <= width


def test_the_theme_follows_the_system_until_the_button_says_otherwise(reader: Reader) -> None:
    text = "getComputedStyle(document.querySelector('#gains .ytick text')).fill"
    backgrounds = "['body', '.tamis-ranking', '.wide'].map(name => getComputedStyle(document.querySelector(name)).backgroundColor)"

    def dark(expected: bool) -> None:
        reader.wait(f"({text}.match(/\\d+/)[0] > 128) === {str(expected).lower()}")
        assert [brightness(colour) < 128 for colour in reader.js(backgrounds)] == [expected] * 3

    reader.look(scheme="dark")
    reader.open("#kitchen/lexical/q1")
    dark(True)
    reader.look(scheme="light")
    dark(False)
    reader.click("#theme")
    dark(True)
    reader.look(scheme="dark")
    reader.click("#theme")
    dark(False)


def brightness(colour: str) -> float:
    """Mean of red, green and blue, 0 to 255."""
    return sum(float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]) / 3


def test_a_click_on_a_bar_opens_its_query_and_a_click_on_a_point_its_system(reader: Reader) -> None:
    reader.open("#kitchen/criteria/q4")
    best = reader.js("sections[0].queries[sorted('gain')[0]][0]")
    assert best != "q4"
    reader.click("#gains .bars .point")
    reader.wait(f"location.hash === '#kitchen/criteria/{best}'")
    reader.wait(f"document.querySelector('#query').textContent.includes('id {best}')")
    name = reader.js("document.querySelector('#tradeoff').data[1].customdata.at(-1)")
    reader.click("#tradeoff .points path", -1)
    reader.wait(f"location.hash === '#kitchen/{name}'")


def test_the_keyboard_reaches_a_query(reader: Reader) -> None:
    from selenium.webdriver.common.keys import Keys

    reader.open()
    keys = reader.driver.switch_to.active_element
    seen = set()
    for _ in range(150):
        keys.send_keys(Keys.TAB)
        keys = reader.driver.switch_to.active_element
        seen.add(keys.get_attribute("id") or keys.tag_name)
        if keys.tag_name == "summary" and "All queries" in keys.text:
            break
    assert {"theme", "system", "against", "a", "button"} <= seen
    keys.send_keys(Keys.ENTER)
    reader.wait("document.querySelector('#finder').open")
    while not keys.get_attribute("href"):
        keys.send_keys(Keys.TAB)
        keys = reader.driver.switch_to.active_element
    keys.send_keys(Keys.ENTER)
    reader.wait("location.hash.split('/').length === 3 && document.activeElement.id === 'query'")


def test_the_list_finds_queries_by_their_words(reader: Reader) -> None:
    reader.open("#kitchen")
    reader.driver.execute_script("document.querySelector('#finder').open = true")
    reader.driver.find_element("css selector", "#search").send_keys("YEAST die")
    assert reader.js("[...document.querySelectorAll('#queries .text')].map(e => e.textContent)") == [
        "does yeast die from heat"
    ]


def test_a_click_on_a_head_sorts_the_systems_and_leaves_the_bounds(reader: Reader) -> None:
    reader.open("#kitchen")
    reader.click(".dataset:not([hidden]) thead th.number button")
    cells = "[...document.querySelectorAll('.dataset:not([hidden]) table')[0].tBodies[0].rows].map(r => +r.cells[1].dataset.value)"
    values = reader.js(cells)
    assert values == sorted(values, reverse=True)
    assert reader.js("document.querySelectorAll('.dataset:not([hidden]) table')[0].tBodies[1].textContent").startswith(
        "oracle"
    )


def test_labels_of_the_trade_off_cover_neither_each_other_nor_the_edge(reader: Reader) -> None:
    reader.open("#kitchen")
    for width in (1280, 420):
        reader.look(width)
        reader.wait(f"document.querySelector('#tradeoff svg').clientWidth < {width}")
        for cost in range(reader.js("document.querySelectorAll('#axes button').length")):
            reader.driver.execute_script(f"document.querySelectorAll('#axes button')[{cost}].click()")
            boxes = reader.js("""[...document.querySelectorAll('#tradeoff .textpoint text')].map(element => {
                const { left, top, right, bottom } = element.getBoundingClientRect();
                return [left, top + 3, right, bottom - 3];
            })""")
            assert len(boxes) == 5
            for number, (left, top, right, bottom) in enumerate(boxes):
                assert left >= 0
                assert right <= width
                for other in boxes[number + 1 :]:
                    assert left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]


CUT = """(() => {
    const wide = [...document.querySelectorAll('body *')].filter((element) => {
        const style = getComputedStyle(element);
        if (!element.clientWidth || style.display === 'inline' || element.closest('svg, .js-plotly-plot, pre')) return false;
        if (style.textOverflow === 'ellipsis' || element.classList.contains('sr') || element.tagName === 'SELECT') return false;
        return element.scrollWidth > element.clientWidth + 1;
    });
    return wide.map((element) => `${element.tagName}.${element.className} ${element.clientWidth} < ${element.scrollWidth}`);
})()"""
"""Elements whose content is wider than they are."""

FAINT = """(() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const seen = new Map();
    const parsed = (colour) => {
        if (!seen.has(colour)) {
            canvas.clearRect(0, 0, 1, 1);
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            seen.set(colour, [...canvas.getImageData(0, 0, 1, 1).data]);
        }
        return seen.get(colour);
    };
    const light = (rgb) => {
        const [r, g, b] = rgb.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = parsed(getComputedStyle(at).backgroundColor);
            if (colour[3] === 255) return colour;
        }
        return [255, 255, 255, 255];
    };
    const faint = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
        if (element.closest('svg, script, style, .sr, option')) continue;
        const [a, b] = [light(parsed(getComputedStyle(element).color)), light(behind(element))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${element.tagName}.${element.className}: ${walker.currentNode.data.trim().slice(0, 40)}`);
    }
    return faint;
})()"""
"""Texts that do not stand out from what is behind them (4.5 to 1, as WCAG 2.2 AA asks)."""


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty metrics, every kind of cost, long names and texts, a query that does not count, answers from a cache."""
    made = evaluation()
    names = [MAIN, "kept", *(f"metadata:a-rather-long-field={n}@10" for n in range(18))]
    values = dict.fromkeys(names, 0.1234)
    means = {name: Interval(0.1234, 0.1, 0.15, 4) for name in names}
    usage = Usage(
        calls=80_000, tokens_in=4_000_000, tokens_out=900_000, flops=2e15, flops_paper=1e15, failed=3, cached=0
    )
    systems = []
    for system in made.systems:
        rows = {q: replace(row, values={**values, **row.values}) for q, row in system.rows.items()}
        rows["q4"] = replace(rows["q4"], values={})
        more = {} if system.kind == "bound" else {"usage": usage, "summary": {"abstained": 0.25, "AUROC": 0.5}}
        systems.append(replace(system, rows=rows, means={**means, **system.means}, **more))
    systems[1] = replace(systems[1], usage=replace(usage, cached=40))
    systems[2] = replace(systems[2], name="a pipeline with-a-name-that-nobody-would-call-short/v2.yaml (2)")
    text = " ".join([TEXTS["p1"]] * 6) + " Averylongwordwithoutanyspaceinit" * 6
    dataset = replace(
        made.dataset,
        qrels={query: grades for query, grades in made.dataset.qrels.items() if query != "q4"},
        corpus={**made.dataset.corpus, "p1": replace(made.dataset.corpus["p1"], text=text)},
        judges={"a-model": 3},
    )
    for number, system in enumerate(systems):
        rows = {q: replace(row, ranking=row.ranking and swapped(row.ranking, text)) for q, row in system.rows.items()}
        systems[number] = replace(system, rows=rows)
    full = replace(made, dataset=dataset, systems=systems, metrics=names)
    written = tmp_path_factory.mktemp("crowded") / "report.html"
    sections = [section(full), section(replace(full, dataset=replace(dataset, name=f"other {HOSTILE * 3}")))]
    written.write_text(render(sections), encoding="utf-8")
    return written


def swapped(ranking: Ranking, text: str) -> Ranking:
    kept = tuple(
        replace(r, candidate=replace(r.candidate, text=text)) if r.candidate.id == "p1" else r for r in ranking.kept
    )
    return replace(ranking, kept=kept)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_cut_or_faint_at_any_width_in_either_theme(
    driver: Any, crowded: Path, width: int, scheme: str
) -> None:
    reader = Reader(driver, crowded)
    reader.look(width, scheme)
    reader.open("#kitchen/criteria/q1")
    reader.driver.execute_script("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert reader.js("document.documentElement.scrollWidth") <= width
    assert reader.js(CUT) == []
    assert reader.js(FAINT) == []


def test_the_words_of_the_query_are_marked_and_all_of_a_text_is_one_click_away(driver: Any, crowded: Path) -> None:
    reader = Reader(driver, crowded)
    reader.look()
    reader.open("#kitchen/lexical/q1")
    folded = "[...document.querySelectorAll('#query details.whole')].find((part) => part.checkVisibility())"
    assert reader.js("[...document.querySelectorAll('#query mark')].some((mark) => mark.textContent === 'rises')")
    assert reader.js(f"{folded}.querySelector(':scope > .text').checkVisibility()") is False
    reader.driver.execute_script(f"{folded}.id = 'folded'")
    reader.click("#folded > summary .more")
    assert reader.js("document.querySelector('#folded > .text').checkVisibility()")
    assert "Averylongword" in reader.js("document.querySelector('#folded > .text').textContent")
    assert reader.js("document.querySelector('#folded summary .text').checkVisibility()") is False


def test_a_query_that_does_not_count_says_why(driver: Any, crowded: Path) -> None:
    reader = Reader(driver, crowded)
    reader.look()
    reader.open("#kitchen/lexical/q4")
    assert reader.js("document.querySelector('#uncounted').textContent") == (
        "This query does not count in the means: no passage is judged for it."
    )
    assert "1 more query does not count" in reader.js("document.querySelector('#balance').textContent")
    reader.driver.execute_script("document.querySelector('#finder').open = true")
    why = "document.querySelector('#queries .why')"
    assert reader.js(f"{why}.textContent") == "does not count: no passage is judged for it"
    assert reader.js(f"{why}.scrollWidth <= {why}.clientWidth")
    reader.open("#kitchen/lexical/q1")
    assert reader.js("document.querySelector('#uncounted')") is None


def test_answers_from_a_cache_are_marked_and_not_drawn_beside_fresh_ones(driver: Any, crowded: Path) -> None:
    reader = Reader(driver, crowded)
    reader.look()
    reader.open("#kitchen")
    drawn = reader.js("document.querySelector('#tradeoff').data[1].customdata")
    assert "lexical" not in drawn
    assert "short" in drawn
    assert "lexical is not drawn: a cache answered some calls" in reader.js(
        "document.querySelector('#undrawn').textContent"
    )
    shown = reader.js("[...document.querySelectorAll('.dataset:not([hidden]) td')].map((cell) => cell.textContent)")
    assert sum(text.endswith("*") for text in shown) >= 5
    lead = reader.js("document.querySelector('.dataset .lead').textContent")
    assert "a language model (a-model) judged" in lead


NOTEBOOK = """<!doctype html><style>
.jp-RenderedHTMLCommon td, .jp-RenderedHTMLCommon th, .jp-RenderedHTMLCommon tr { text-align: right; padding: .5em; max-width: none; }
.jp-RenderedHTMLCommon table { margin-left: auto; margin-right: auto; table-layout: fixed; font-size: 12px; }
.jp-RenderedHTMLCommon tbody tr:nth-child(odd) { background: #eee; }
.rendered_html :link, .rendered_html table tbody tr td { text-align: right; }
</style><body><div class="jp-RenderedHTMLCommon rendered_html" style="width: 900px">%s</div></body>"""


def test_the_picture_is_aligned_to_the_left_in_a_notebook(driver: Any, tmp_path: Path) -> None:
    shown = Lexical().rerank("why does bread rise", [TEXTS["p1"], "Bread.", TEXTS["p3"]])._repr_html_()
    (tmp_path / "cell.html").write_text(NOTEBOOK % shown, encoding="utf-8")
    reader = Reader(driver, tmp_path / "cell.html")
    reader.look()
    driver.get((tmp_path / "cell.html").as_uri())
    style = "getComputedStyle(document.querySelector('{}')).{}"
    assert reader.js(style.format("td.candidate", "textAlign")) == "left"
    assert reader.js(style.format("th:last-child", "textAlign")) == "left"
    edges = reader.js(
        "[...document.querySelectorAll('table, .tamis-ranking')].map((part) => part.getBoundingClientRect().left)"
    )
    assert edges[1] - edges[0] < 40
    backgrounds = reader.js(
        "[...document.querySelectorAll('tbody tr')].map((row) => getComputedStyle(row).backgroundColor)"
    )
    assert len(set(backgrounds)) == 1


@pytest.mark.parametrize("width", [390, 1280])
def test_two_pipelines_side_by_side_fit_a_phone(driver: Any, tmp_path: Path, width: int) -> None:
    page = tmp_path / "compare.html"
    rankings = {
        f"{HOSTILE} with a long name": Lexical().rerank("why does bread rise", list(TEXTS.values())),
        "b": Lexical().rerank("bread", ["x" * 300]),
    }
    page.write_text(compared_page(rankings), encoding="utf-8")
    reader = Reader(driver, page)
    reader.look(width)
    driver.get(page.as_uri())
    assert reader.js("document.documentElement.scrollWidth") <= width
    assert reader.js("innerWidth") == width
    assert reader.js(CUT) == []
    assert reader.js(FAINT) == []
