"""Which differences between losses are significant: the paired tests of a comparison, counted, drawn and listed."""

from __future__ import annotations

from dataclasses import dataclass

from monge.report.comparison_charts import difference_chart, finite
from monge.report.comparison_folder import Paired
from monge.report.definitions import importance, metric
from monge.report.svg import Markup, clean

_MOST_CHARTS = 6
_MOST_PAIRS = 45


@dataclass(frozen=True)
class PairedTest:
    """One paired test as a row of the table; ``better`` names the better loss of a significant difference."""

    metric: str
    first: str
    second: str
    difference: float | None
    interval: tuple[float, float] | None
    p: float | None
    p_holm: float | None
    better: str


@dataclass(frozen=True)
class Differences:
    """Charts of the differences by metric, all tests as rows, and how many of them are significant by metric."""

    charts: list[Markup]
    tests: list[PairedTest]
    significant: int
    counts: list[tuple[str, int, int]]


def differences(paired: list[Paired] | None, names: list[str]) -> Differences | None:
    """Groups the tests by metric, those of ``names`` first; ``None`` without tests."""
    if not paired:
        return None
    order = {name: i for i, name in enumerate(names)}
    found = sorted({pair.metric for pair in paired}, key=lambda name: (order.get(name, len(order)), importance(name)))
    groups = [(name, [pair for pair in paired if pair.metric == name][:_MOST_PAIRS]) for name in found]
    tests = [_test(pair) for _, pairs in groups for pair in pairs]
    counts = [(clean(metric(name).short, 40), sum(p.significant for p in pairs), len(pairs)) for name, pairs in groups]
    charts = [difference_chart(pairs, name) for name, pairs in groups[:_MOST_CHARTS]]
    return Differences(charts, tests, sum(bool(test.better) for test in tests), counts)


def _test(pair: Paired) -> PairedTest:
    difference = finite(pair.difference)
    better = ""
    if pair.significant and difference:
        better = pair.a if (difference < 0) == metric(pair.metric).lower else pair.b
    return PairedTest(
        clean(metric(pair.metric).short, 40),
        clean(pair.a, 40),
        clean(pair.b, 40),
        difference,
        pair.ends,
        finite(pair.p),
        finite(pair.p_holm),
        clean(better, 40),
    )
