"""The report of a comparison by a metric of which less is better, and of its paired tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_classification import ordinal_comparison
from fake_run import comparison, make_comparison
from page_reader import check_charts, read_page

from monge.errors import RunError
from monge.report import write_comparison
from monge.report.comparison_folder import Paired
from monge.report.differences import differences


def test_losses_are_sorted_by_the_metric_they_were_chosen_by(tmp_path: Path) -> None:
    page = read_page(write_comparison(make_comparison(tmp_path, ordinal_comparison())))
    assert [e.attributes["id"] for e in page.all("section")] == [
        "table",
        "differences",
        "curves",
        "steps",
        "search",
        "made",
    ]
    assert not page.all("p", "missing")
    assert check_charts(page) == 4 + 3 + 2 + 1 + 1
    names = [e.text for e in page.all("th") if e.attributes.get("scope") == "row" and "table" in e.parents]
    assert names == ["squared_emd", "xemd1", "coral", "cross_entropy"]
    heads = [e.text for e in page.all("th") if "table" in e.parents]
    assert heads[:6] == ["Loss", "MAE ↓", "accuracy", "QWK", "within one", "RPS ↓"]
    assert "sorted by MAE, lowest first" in page.section("table").text
    assert "Mean absolute error on validation data" in page.section("curves").text


def test_the_best_mean_is_the_lowest_where_less_is_better(tmp_path: Path) -> None:
    content = ordinal_comparison()
    page = read_page(write_comparison(make_comparison(tmp_path, content)))
    best = [e.text.strip().split()[0] for e in page.all("td", "best") if "table" in e.parents]
    means = [loss["mean"] for loss in content["losses"]]
    want = [
        min(m["test/mae"] for m in means),
        *(max(m[f"test/{k}"] for m in means) for k in ("accuracy", "qwk", "within_one")),
    ]
    assert best == [f"{value:.4f}" for value in (*want, min(m["test/rps"] for m in means))]


def test_a_target_is_reached_from_above(tmp_path: Path) -> None:
    page = read_page(write_comparison(make_comparison(tmp_path, ordinal_comparison())))
    text = page.section("steps").text
    assert "first is 0.600 or less" in text
    assert "squared_emd, seed 0: 350" in text
    assert "3 of 3 seeds" in text
    assert "cross_entropy, seed" not in text


def test_significant_differences_are_counted_drawn_and_listed(tmp_path: Path) -> None:
    page = read_page(write_comparison(make_comparison(tmp_path, ordinal_comparison())))
    section = page.section("differences").text
    assert "9 of 18 (MAE: 3 of 6, QWK: 3 of 6, RPS: 3 of 6)" in section
    assert "The test: paired two-sided t-test over seeds." in section
    assert "cross_entropy − squared_emd: 0.1 (0.05 to 0.15)" in section
    rows = [g for g in page.all("g", "series") if "differences" in g.parents]
    assert sum("quiet" in g.attributes["class"].split() for g in rows) == 9
    assert "← first is better" in section
    assert "first is better →" in section


def test_the_better_loss_follows_the_direction_of_the_metric() -> None:
    def better(metric: str, difference: float, *, significant: bool = True) -> str:
        pair = Paired(a="a", b="b", metric=metric, difference=difference, significant=significant)
        found = differences([pair], [metric])
        assert found is not None
        return found.tests[0].better

    assert [better("test/mae", d) for d in (-0.1, 0.1)] == ["a", "b"]
    assert [better("test/qwk", d) for d in (-0.1, 0.1)] == ["b", "a"]
    assert better("test/mae", -0.1, significant=False) == ""


def test_the_chosen_metric_comes_first_in_tests_and_table() -> None:
    pairs = [Paired(a="a", b="b", metric=name, difference=1.0) for name in ("test/accuracy", "test/rps", "test/x")]
    found = differences(pairs, ["test/rps", "test/accuracy"])
    assert found is not None
    assert [name for name, *_ in found.counts] == ["RPS", "accuracy", "x"]
    assert differences([], ["test/rps"]) is None


def test_numbers_that_do_not_exist_leave_gaps(tmp_path: Path) -> None:
    content: dict[str, Any] = ordinal_comparison()
    content["paired"][0].update(difference=None, interval=None, p=None, p_holm=None)
    content["paired"][1].update(interval=None, p=float("nan"))
    content["paired"][2].update(difference=float("inf"), interval=float("inf"))
    page = read_page(write_comparison(make_comparison(tmp_path, content)))
    drawn = [v for e in page.elements for k, v in e.attributes.items() if k in {"d", "x1", "x2", "cx"}]
    assert not any("nan" in v or "inf" in v for v in drawn)
    check_charts(page)


def test_older_files_are_sorted_by_map_and_have_no_tests(tmp_path: Path) -> None:
    page = read_page(write_comparison(make_comparison(tmp_path, comparison())))
    assert "sorted by mAP, highest first" in page.section("table").text
    assert "differences" not in [e.attributes["id"] for e in page.all("section")]


def test_too_few_seeds_are_said(tmp_path: Path) -> None:
    content = {**ordinal_comparison(), "paired": None, "paired_rule": "not tested: too few seeds"}
    page = read_page(write_comparison(make_comparison(tmp_path, content)))
    assert "No tests: too few seeds." in page.section("differences").text


def test_hostile_names_in_tests_stay_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    content = ordinal_comparison()
    content["paired"].append({"a": evil, "b": evil, "metric": f"test/{evil}", "difference": 0.1, "significant": True})
    content["select"] = {"metric": f"val/{evil}", "higher_is_better": True}
    page = read_page(write_comparison(make_comparison(tmp_path, content)))
    assert "alert(1)" in page.section("differences").text


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("select", {"metric": 3}, "select.metric"),
        ("select", {"metric": "val/mae", "higher_is_better": "sideways"}, "select.higher_is_better"),
        ("paired", [{"a": "x"}], "paired.0.b"),
        ("paired", [{"a": "x", "b": "y", "metric": "m", "interval": "wide"}], "paired.0.interval"),
        ("paired", {"a": 1}, "paired"),
    ],
)
def test_a_broken_part_is_named(tmp_path: Path, key: str, value: object, says: str) -> None:
    with pytest.raises(RunError, match=rf"compare.json: {says}") as caught:
        write_comparison(make_comparison(tmp_path, {**ordinal_comparison(), key: value}))
    assert "\n" not in str(caught.value)
