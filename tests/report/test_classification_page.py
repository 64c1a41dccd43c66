"""The report of a classification run: structure, numbers, kinds of classes, hostile names, size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from fake_classification import NAMES, RECIPE, distances, make_classification, metadata, predictions
from page_reader import check_charts, read_page
from safetensors.torch import save_file

from monge.metrics import classification_metrics, ordinal_metrics
from monge.report import write_report

SECTIONS = ["numbers", "curves", "confusion", "cases", "reliability", "ground", "card"]
HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\x00\u202e"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_classification(tmp_path_factory.mktemp("runs") / "a run")


def without_pictures(count: int = 300, classes: int = 5) -> dict[str, torch.Tensor]:
    tensors = predictions(count, classes)
    return {name: tensors[name] for name in ("test/probabilities", "test/labels")}


def test_page_is_complete_and_self_contained(run: Path) -> None:
    before = sorted(p.name for p in run.iterdir())
    assert write_report(run) == run / "report.html"
    page = read_page(run / "report.html")
    assert [e.attributes["id"] for e in page.all("section")] == SECTIONS
    assert [e.attributes["href"].removeprefix("#") for e in page.all("a")] == SECTIONS
    assert not page.all("p", "missing")
    assert not page.all("div", "notice")
    assert sorted(p.name for p in run.iterdir()) == sorted({*before, "report.html"})
    small = page.all("svg", "mini")
    assert len(small) == 18 + 6
    assert all(e.attributes["role"] == "img" and e.attributes["aria-label"] for e in small)


def test_charts_of_an_ordered_run(run: Path) -> None:
    text = (run.with_name("charts") / "report.html").as_posix()
    page = read_page(write_report(make_classification(Path(text).parent)))
    titles = [e.text for e in page.all("text", "chart-title")]
    for title in (
        "Loss, mean of 9",
        "Cross-entropy term, mean of 9",
        "EMD term, mean of 9",
        "Accuracy on validation data",
        "Absolute error on validation data",
        "Agreement of order on validation data",
        "Ranked probability score on validation data",
        "Predicted class, % of the items of each true class",
        "Accuracy by confidence",
        "Predictions in each bin",
        "Ground distance between classes",
        "Change of the distances by epoch",
    ):
        assert title in titles


def test_every_large_chart_names_its_axes(run: Path) -> None:
    page = read_page(write_report(run))
    page.elements = [e for e in page.elements if "mini" not in e.attributes.get("class", "").split()]
    assert check_charts(page) >= 12


def test_numbers_are_those_of_the_run(run: Path) -> None:
    page = read_page(write_report(run))
    stored = predictions()
    scores = ordinal_metrics(stored["test/probabilities"], stored["test/labels"])
    shown = {(float(e.attributes["value"]), e.text) for e in page.all("data")}
    for value in scores.values():
        assert (value, f"{value:.4f}") in shown
    tiles = [e.attributes["value"] for e in page.all("data", "value")]
    assert tiles == [str(scores[name]) for name in ("accuracy", "mae", "qwk", "within_one", "rps")]


def test_classes_without_an_order_have_their_own_numbers_and_bars(tmp_path: Path) -> None:
    page = read_page(write_report(make_classification(tmp_path, ordered=False)))
    stored = predictions()
    scores = classification_metrics(stored["test/probabilities"], stored["test/labels"])
    tiles = [e.attributes["value"] for e in page.all("data", "value")]
    assert tiles == [str(scores[name]) for name in ("accuracy", "mean_class_accuracy", "top5", "nll", "ece")]
    assert "order of the dendrogram" in page.section("confusion").text
    assert "✓ Fair" in page.section("cases").text
    assert "−log p" in page.section("cases").text


@pytest.mark.parametrize("ordered", [True, False])
def test_without_a_ground_distance_only_an_order_tells_how_far_classes_are(tmp_path: Path, ordered: bool) -> None:
    run = make_classification(tmp_path, ordered=ordered)
    (run / "ground.safetensors").unlink()
    page = read_page(write_report(run))
    assert not page.all("div", "notice")
    assert "No ground distance: the run stored none" in page.section("ground").text
    assert bool(page.all("rect", "far")) == ordered
    assert ("distance 4" in page.section("confusion").text) == ordered
    assert ("If all wrong classes were as likely" in page.section("confusion").text) == ordered


def test_a_line_keeps_the_order_of_the_classes(tmp_path: Path) -> None:
    run = make_classification(tmp_path, ordered=False)
    matrix = (torch.arange(5.0)[:, None] - torch.arange(5.0)).abs()
    save_file({"matrix": matrix}, run / "ground.safetensors", metadata={"kind": "line", "classes": json.dumps(NAMES)})
    page = read_page(write_report(run))
    assert not page.all("path", "tree")
    assert "How it changed" not in page.section("ground").text
    rows = [
        e.text for e in page.all("text", "tick") if "ground" in e.parents and e.attributes.get("text-anchor") == "end"
    ]
    assert rows[:5] == NAMES


def test_decoding_is_that_of_the_recipe(tmp_path: Path) -> None:
    recipe = {**RECIPE, "evaluate": {"decode": "median"}}
    page = read_page(write_report(make_classification(tmp_path, recipe=recipe)))
    assert "decoding: median" in page.section("confusion").text


def test_pictures_are_shown_only_where_there_are_some(run: Path, tmp_path: Path) -> None:
    assert len(read_page(write_report(run)).all("img")) == 18
    page = read_page(write_report(make_classification(tmp_path, tensors=without_pictures())))
    assert not page.all("img")
    assert len(page.all("div", "bare")) == 18


def test_targets_are_outlined(tmp_path: Path) -> None:
    tensors = without_pictures()
    tensors["test/targets"] = tensors["test/probabilities"].flip(1).contiguous()
    page = read_page(write_report(make_classification(tmp_path, tensors=tensors)))
    assert len(page.all("path", "goal")) == 18
    assert "Outline: the true distribution" in page.section("cases").text


def test_same_run_gives_the_same_page(run: Path) -> None:
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


@pytest.mark.parametrize("ordered", [True, False])
def test_hostile_names_stay_text(tmp_path: Path, ordered: bool) -> None:
    names = [HOSTILE, "<svg onload=alert(2)>", "{{ 7 * 7 }}", "plain", "&lt;b&gt;"]
    run = make_classification(tmp_path, classes=names, ordered=ordered)
    stored = {"kind": HOSTILE.replace("\x00", ""), "classes": json.dumps(names)}
    save_file(distances(), run / "ground.safetensors", metadata=stored)
    page = read_page(write_report(run))
    assert "<svg onload=alert(2)>" in page.section("confusion").text
    assert "{{ 7 * 7 }}" in page.section("cases").text
    assert "<script>alert(1)</script>" in page.section("ground").text


@pytest.mark.parametrize(
    ("classes", "ordered", "note"),
    [
        (90, True, "4 neighbouring classes of 90"),
        (90, False, "The 24 of 90 classes with most mistakes"),
        (400, True, "17 neighbouring"),
        (400, False, "24 of 400"),
    ],
)
def test_many_classes_stay_small(tmp_path: Path, classes: int, ordered: bool, note: str) -> None:
    names = [f"class {i} with a rather long name " * 3 for i in range(classes)]
    ground = distances(classes, epochs=7)
    run = make_classification(
        tmp_path, classes=names, ordered=ordered, tensors=without_pictures(1500, classes), ground=ground
    )
    path = write_report(run)
    assert path.stat().st_size < 3_000_000
    page = read_page(path)
    assert note in page.section("confusion").text
    assert "Classes from top to bottom" in page.section("ground").text


def test_a_single_class_and_a_single_item(tmp_path: Path) -> None:
    one = {"test/probabilities": torch.ones(1, 1), "test/labels": torch.zeros(1, dtype=torch.long)}
    run = make_classification(tmp_path / "run", ordered=False)
    save_file(one, run / "predictions.safetensors", metadata=metadata(["only"]))
    save_file({"matrix": torch.zeros(1, 1)}, run / "ground.safetensors")
    page = read_page(write_report(run))
    assert "Every item is predicted right" in page.section("confusion").text
    assert "there is one class" in page.section("ground").text


def test_a_sampled_table_says_so_and_keeps_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monge.report.stored_predictions._MOST_NUMBERS", 500)
    page = read_page(write_report(make_classification(tmp_path)))
    assert "of 300 test items" in page.section("confusion").text
    assert len(page.all("img")) == 18


def test_data_of_another_source_are_announced(tmp_path: Path) -> None:
    run = make_classification(tmp_path)
    other = {**metadata(NAMES), "source": "the user's own folder"}
    save_file(predictions(), run / "predictions.safetensors", metadata=other)
    notices = " ".join(e.text for e in read_page(write_report(run)).all("p", "notice"))
    assert "test items on this page are of other data than the run itself: the user's own folder" in notices
