"""The reliability diagram: every bin is there with its count, and the drawing is well-formed."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tamis.evaluate.page.reliability import LEFT, SIDE, TOP, diagram, interval
from tamis.evaluate.reliability import Bin, bins

SVG = "{http://www.w3.org/2000/svg}"


def test_points_stand_where_the_numbers_say_and_bars_carry_the_counts() -> None:
    found = bins([0.05] * 1200 + [0.9] * 10, [0.0] * 1200 + [1.0] * 5 + [0.0] * 5)
    root = ElementTree.fromstring(diagram(found, "platt: a < b & c", "1,210 predictions"))
    circles = [(float(c.get("cx", "")), float(c.get("cy", ""))) for c in root.iter(f"{SVG}circle")]
    assert circles == [
        (pytest.approx(LEFT + 0.05 * SIDE), TOP + SIDE),
        (pytest.approx(LEFT + 0.9 * SIDE), TOP + SIDE / 2),
    ]
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"1,200", "10", "platt: a < b & c", "1,210 predictions"} <= set(texts)
    heights = [float(bar.get("height", "")) for bar in root.iter(f"{SVG}rect")]
    assert heights[0] > heights[1] > 0


def test_few_predictions_have_wide_intervals_that_stay_within_bounds() -> None:
    assert interval(0.0, 3)[0] == pytest.approx(0.0, abs=1e-12)
    assert 0.5 < interval(0.0, 3)[1] < 0.6
    assert interval(1.0, 10_000)[0] > 0.999
    assert ElementTree.fromstring(diagram([], "nothing")) is not None
    assert ElementTree.fromstring(diagram([Bin(0.0, 0.1, 1, 0.05, 0.0)], "one")) is not None
