"""The report of a comparison: order, numbers, charts, broken files."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from fake_run import comparison, make_comparison
from page_reader import check_charts, read_page

from monge.errors import RunError
from monge.report import write_comparison


def test_page_is_complete_and_sorted_by_map(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "cmp")
    assert write_comparison(folder) == folder / "compare.html"
    page = read_page(folder / "compare.html")
    assert [e.attributes["id"] for e in page.all("section")] == ["table", "curves", "steps", "search", "made"]
    assert not page.all("p", "missing")
    # Two metrics with intervals, two curve charts, steps to the target, learning rates.
    assert check_charts(page) == 6
    names = [e.text for e in page.all("th") if e.attributes.get("scope") == "row" and "table" in e.parents]
    assert names == ["batchwise_ot", "triplet", "n_pairs 1 diverged"]
    made = page.section("made").text
    for text in (
        "monge compare fake --losses",
        "packaged: drawn blobs",
        "A fixed split.",
        "0, 1",
        "lenet5",
        "diverged",
    ):
        assert text in made


def test_every_mean_interval_and_step_is_that_of_the_file(tmp_path: Path) -> None:
    page = read_page(write_comparison(make_comparison(tmp_path)))
    shown = {(float(e.attributes["value"]), e.text) for e in page.all("data") if e.attributes["value"] != "None"}
    for loss in comparison()["losses"]:
        for value in (*loss["mean"].values(), loss["interval"]["test/map"], *(t["val/map"] for t in loss["search"])):
            assert (value, f"{value:.4f}") in shown
        assert (loss["lr"], "0.001") in shown
    assert (150.0, "150") in shown
    assert "not reached" in page.section("steps").text
    assert "2 of 2 seeds" in page.section("steps").text


def test_curves_are_means_with_the_range_of_the_seeds(tmp_path: Path) -> None:
    page = read_page(write_comparison(make_comparison(tmp_path)))
    # triplet at step 50: 0.600 and 0.601.
    assert "triplet: 0.6005 at 50 (from 0.6 to 0.601)" in page.section("curves").text


def test_numbers_that_do_not_exist_and_minimal_files(tmp_path: Path) -> None:
    minimal: dict[str, Any] = {"recipe": "r", "losses": [{"name": "a"}, {"name": "b", "lr": None, "mean": {}}]}
    page = read_page(write_comparison(make_comparison(tmp_path / "a", minimal)))
    assert len(page.all("p", "missing")) == 4
    content = comparison()
    for loss in content["losses"]:
        loss["mean"] = {"test/map": None, "test/nn": float("nan")}
        loss["interval"] = {}
        loss["runs"][0]["curve"] = [{"step": 50, "val/map": None}, {"step": 100, "val/map": float("inf")}]
    page = read_page(write_comparison(make_comparison(tmp_path / "b", content)))
    assert not any("nan" in e.attributes["d"] for e in page.all("path"))
    check_charts(page)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    content = comparison()
    content.update(recipe=evil, command=evil, data={"name": evil, "source": evil, "definition": evil})
    content["budget"] = {evil: evil, "nested": {"a": 1}, "steps": 10**400}
    content["search"]["rule"] = content["target"]["rule"] = evil
    content["losses"][0]["name"] = evil
    content["losses"][0]["mean"][f"test/{evil}"] = 0.5
    content["losses"][0]["runs"][0].update(path=evil, diverged=evil)
    page = read_page(write_comparison(make_comparison(tmp_path, content)))
    assert evil in page.all("h1")[0].text
    check_charts(page)


def test_thirty_losses_still_fit_one_page(tmp_path: Path) -> None:
    content = comparison()
    content["losses"] = [{**copy.deepcopy(content["losses"][i % 3]), "name": f"loss {i}"} for i in range(30)]
    path = write_comparison(make_comparison(tmp_path, content))
    assert path.stat().st_size < 2_000_000
    check_charts(read_page(path))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", r"compare.json: Invalid JSON"),
        ('{"recipe": "a", "losses": [', r"compare.json: Invalid JSON"),
        ("[1]", r"compare.json: .*found '\[1\]'|compare.json: .*object"),
        ('{"recipe": "a"}', r"compare.json: losses: Field required"),
        ('{"recipe": "a", "losses": []}', r"compare.json: losses: .*at least 1 item"),
        ('{"recipe": "a", "losses": [{"name": "b", "lr": "fast"}]}', r"compare.json: losses.0.lr: .*found 'fast'"),
        ('{"recipe": "a", "losses": [{"name": "b", "runs": [{"seed": "x"}]}]}', r"losses.0.runs.0.seed: .*found 'x'"),
    ],
)
def test_a_broken_file_gives_one_line(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "compare.json").write_text(content)
    with pytest.raises(RunError, match=says) as caught:
        write_comparison(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "compare.html").exists()


def test_a_missing_file_gives_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"found no compare.json here, expected the folder of a comparison"):
        write_comparison(tmp_path)
