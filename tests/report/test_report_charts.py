"""Charts: ticks, scales, well-formed SVG, and marks that stand where the numbers say."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from monge.report.axes import Scale, log_ticks, nice_ticks, padded, tick_labels
from monge.report.charts import DotRow, dot_chart, histogram_chart
from monge.report.curves import envelope, learning_curves, smooth, thin
from monge.report.line_chart import Series, line_chart
from monge.report.matrix_chart import heat_map
from monge.report.plan_picture import colour_ramp
from monge.report.run_folder import Records
from monge.report.svg import Markup, clean, tag

LARGE = st.floats(-1e8, 1e8)


@given(LARGE, st.floats(1e-6, 1e8))
def test_nice_ticks_are_round_evenly_spaced_and_inside(low: float, width: float) -> None:
    high = low + width
    if not high > low + 1e-9 * abs(low):
        return
    ticks = nice_ticks(low, high)
    assert 2 <= len(ticks) <= 9
    room = 1e-6 * width
    assert all(low - room <= tick <= high + room for tick in ticks)
    steps = [b - a for a, b in pairwise(ticks)]
    assert max(steps) - min(steps) <= 1e-6 * max(abs(low), width)
    mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0] * (1 + 1e-9)))
    assert min(abs(mantissa - m) for m in (1, 2, 2.5, 5, 10)) < 1e-3 + 1e-6 * abs(low) / width


@given(st.floats(-8, 6), st.floats(0.5, 10))
def test_log_ticks_are_inside_and_few(power: float, decades: float) -> None:
    low, high = 10**power, 10 ** (power + decades)
    ticks = log_ticks(low, high)
    assert 1 <= len(ticks) <= 7
    assert all(low * 0.99 <= tick <= high * 1.01 for tick in ticks) or ticks == [low]
    assert ticks == sorted(ticks)


def test_tick_labels_tell_neighbouring_ticks_apart() -> None:
    for low, high in ((0.9999, 1.0), (0.0, 1e-5), (12_000.0, 90_000.0), (-3.0, 4.0)):
        labels = tick_labels(nice_ticks(low, high))
        assert len(set(labels)) == len(labels)


@given(st.lists(LARGE, max_size=5))
def test_padded_domains_are_never_empty(values: list[float]) -> None:
    low, high = padded(values)
    assert low < high
    assert all(low <= value <= high for value in values)


def test_scales_map_ends_and_middle() -> None:
    assert [Scale(2.0, 4.0, 10.0, 30.0)(v) for v in (2.0, 3.0, 4.0)] == [10.0, 20.0, 30.0]
    assert [Scale(1.0, 100.0, 30.0, 10.0, log=True)(v) for v in (1.0, 10.0, 100.0)] == [30.0, 20.0, 10.0]


def charts() -> dict[str, Markup]:
    nan = math.nan
    return {
        "plain": line_chart("t", "x", "y", [Series("a", [0, 1, 2], [1.0, 3.0, 2.0])]),
        "nothing": line_chart("t", "x", "y", [Series("a", [], [])]),
        "one point": line_chart("t", "x", "y", [Series("a", [5], [1.0])]),
        "gaps": line_chart("t", "x", "y", [Series("a", [0, 1, 2], [1.0, nan, 2.0]), Series("b", [0], [math.inf])]),
        "log": line_chart("t", "x", "y", [Series("a", [1, 10], [0.0, 5.0])], log_x=True, log_y=True),
        "band": line_chart("t", "x", "y", [Series("a", [0, 1], [1.0, 2.0], [0.5, 1.5], [2.0, 3.0], mark=1)]),
        "ghost": line_chart("t", "x", "y", [Series("a", [0, 1], [1.0, 2.0], ghost=([0, 1], [-9.0, 9.0]))]),
        "many": line_chart("t", "x", "y", [Series(f"name {i} <&>", [0, 1], [i, i]) for i in range(25)]),
        "histogram": histogram_chart("t", "x", "y", [0.0, 1.0, 2.0], [("a<", [0.2, 0.8]), ("b", [0.0, 0.0])]),
        "dots": dot_chart(
            "t", "x", "y", [DotRow("a&", 1.0, (nan, 1.0), [("s", nan)], "s0"), DotRow("b", None, None, [], "")]
        ),
        "no rows": dot_chart("t", "x", "y", []),
        "heat": heat_map("t", "x", "y", ["a<b", "c" * 30], [[3, 1], [0, 0]]),
        "one class": heat_map("t", "x", "y", ["a"], [[3]]),
    }


@pytest.mark.parametrize("name", list(charts()))
def test_charts_are_well_formed_with_title_and_axes(name: str) -> None:
    root = ElementTree.fromstring(charts()[name])
    classes = [e.get("class", "") for e in root.iter("text")]
    assert {"chart-title", "axis-label x", "axis-label y"} <= set(classes)
    numbers = " ".join(v for e in root.iter() for k, v in e.attrib.items() if k in {"x", "y", "d", "cx", "cy", "x1"})
    assert "nan" not in numbers
    assert "inf" not in numbers


def test_line_passes_through_its_points() -> None:
    root = ElementTree.fromstring(line_chart("t", "x", "y", [Series("a", [0, 5, 10], [0.0, 1.0, 0.5])]))
    path = next(e for e in root.iter("path") if e.get("class") == "line").get("d", "")
    points = [tuple(map(float, part.split())) for part in path[1:].split("L")]
    assert points[1][0] == pytest.approx((points[0][0] + points[2][0]) / 2, abs=0.1)
    assert points[2][1] == pytest.approx((points[0][1] + points[1][1]) / 2, abs=0.1)
    assert points[1][1] < points[2][1] < points[0][1]


def test_legend_is_drawn_from_two_series_on_and_repeats_no_look() -> None:
    root = ElementTree.fromstring(charts()["many"])
    looks = [e.get("class") for e in root.iter("g") if e.get("data-series") and "series" not in e.get("class", "")]
    assert len(looks) == len(set(looks)) == 25
    assert "legend" not in charts()["plain"]


def test_heat_map_shows_shares_of_the_row() -> None:
    root = ElementTree.fromstring(heat_map("t", "x", "y", ["a", "b", "c"], [[8, 2, 0], [1, 9, 0], [0, 0, 0]]))
    titles = [e.text for e in root.iter("title")]
    assert "a → b: 2 of 10 (20.0 %)" in titles
    assert "c → c: 0 of 0 (0.0 %)" in titles
    shades = [float(e.get("fill-opacity", "")) for e in root.iter("rect") if e.get("class") == "heat"]
    assert shades[:2] == [1.0, 0.56]


def test_smoothing_keeps_a_constant_and_skips_gaps() -> None:
    assert smooth([2.0] * 9, 5) == [2.0] * 9
    assert smooth([1.0, math.nan, 3.0], 3) == [1.0, 2.0, 3.0]
    assert math.isnan(smooth([math.nan], 1)[0])


def test_figures_of_the_plan_are_named_in_words() -> None:
    names = ["entropy", "deviation", "hard_mass", "hard_pairs", "marginal_error"]
    numbers = {f"train/plan_{name}": ([1.0, 2.0], [0.1, 0.2 + place]) for place, name in enumerate(names)}
    found = [str(chart) for chart in learning_curves(Records(numbers)).charts]
    assert len(found) == 4  # hard pairs and the mass on them share one
    assert not any("plan_" in chart for chart in found)
    for title in ("Hard pairs and the plan&#x27;s mass on them", "Entropy of the plan", "Plan against uniform"):
        assert sum(title in chart for chart in found) == 1, title
    (between,) = learning_curves(Records({"train/plan_xy_entropy": ([1.0, 2.0], [0.1, 0.2])})).charts
    assert "Entropy of the plan, xy" in str(between)


def test_long_curves_are_thinned_and_keep_their_ends_and_spikes() -> None:
    steps, values = [float(i) for i in range(10_000)], [0.0] * 10_000
    values[7_777] = 50.0
    kept = thin(steps, values, 300)[0]
    assert (len(kept), kept[0], kept[-1]) == (300, 0.0, 9_999.0)
    steps, values = envelope(steps, values, 300)
    assert len(steps) <= 302
    assert max(values) == 50.0
    assert steps == sorted(steps)


def test_colour_ramp_grows_lighter_all_the_way() -> None:
    weights = torch.tensor([0.2126, 0.7152, 0.0722])
    luminance = torch.einsum("c,cn->n", weights, (colour_ramp(torch.linspace(0, 1, 64)) / 255.0) ** 2.2)
    assert bool((luminance.diff() > 0).all())


def test_markup_escapes_text_and_attributes_once() -> None:
    inner = tag("b", 'a<"&')
    assert inner == "<b>a&lt;&quot;&amp;</b>"
    assert tag("i", inner, title='"x"') == '<i title="&quot;x&quot;"><b>a&lt;&quot;&amp;</b></i>'
    assert clean("a\u202eb\nc\ud800") == "a\ufffdb\ufffdc\ufffd"
