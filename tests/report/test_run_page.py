"""The report of one run: structure, numbers, escaping, size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from fake_run import ENVIRONMENT, METRICS, RECIPE, blobs, make_run, records, write_embeddings
from page_reader import check_charts, read_page

from monge.errors import RunError
from monge.report import write_report

SECTIONS = ["numbers", "curves", "gallery", "map", "distances", "plan", "confusion", "card"]
HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\x00\u202e\ud800"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "a run")


def test_page_is_complete_and_self_contained(run: Path) -> None:
    assert write_report(run) == run / "report.html"
    page = read_page(run / "report.html")
    assert [e.attributes["id"] for e in page.all("section")] == SECTIONS
    assert [e.attributes["href"].removeprefix("#") for e in page.all("a")] == SECTIONS
    assert page.all("h1")[0].text == RECIPE["title"]
    assert not page.all("p", "missing")
    assert not page.all("div", "notice")
    # Loss, two families of validation metrics, histogram, plan, confusion.
    assert check_charts(page) == 6
    assert sorted(p.name for p in run.iterdir()) == sorted(
        ["embeddings.safetensors", "environment.json", "metrics.jsonl", "recipe.yaml", "report.html"]
    )


def test_numbers_are_those_of_the_run(run: Path) -> None:
    page = read_page(write_report(run))
    shown = {(float(e.attributes["value"]), e.text) for e in page.all("data")}
    for name, value in METRICS.items():
        assert (value, "48" if name == "test/queries" else f"{value:.4f}") in shown
    assert len(page.all("div", "tile")) == 4
    assert "0.9000 – 0.9300" in page.section("numbers").text
    assert "three seeds" in page.section("numbers").text


def test_run_card_has_recipe_data_seed_versions_durations_and_command(run: Path) -> None:
    card = read_page(write_report(run)).section("card").text
    for text in ("packaged: drawn blobs", "A fixed split.", "2 min 14 s", "2.14.1", "2.6.6", "once", "cpu"):
        assert text in card
    assert f"monge train '{run / 'recipe.yaml'}' --out '{run}-again'" in card
    assert yaml.safe_dump(RECIPE, sort_keys=False) in card


def test_gallery_and_map_show_the_stored_items(run: Path) -> None:
    page = read_page(write_report(run))
    assert len(page.all("div", "query")) == 9
    assert len(page.all("figure", "hit")) + len(page.all("figure", "miss")) == 90
    data = page.map_data()
    assert len(data["points"]) == 48
    assert data["classes"] == ["ant", "bee", "cat", "dog"]
    assert [point[2] for point in data["points"]] == blobs()["test/labels"].tolist()
    assert all(0 <= value <= 1 for point in data["points"] for value in point[:2])
    assert "t-SNE" in page.section("map").text


def test_same_run_gives_the_same_page(run: Path) -> None:
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_expectations_for_other_data_are_not_shown(tmp_path: Path) -> None:
    recipe = {**RECIPE, "data": {"name": "blobs", "source": "synthetic"}}
    text = read_page(write_report(make_run(tmp_path, recipe=recipe))).section("numbers").text
    assert "0.9300" not in text
    assert "three seeds" not in text


@pytest.mark.parametrize(("source", "shown"), [("/data/blobs", True), ("packaged", False), ("synthetic", False)])
def test_figures_of_others_stand_beside_those_of_a_folder_alone(tmp_path: Path, source: str, shown: bool) -> None:
    expected = {"published": "From a paper.", "published_metrics": {"test/map": 0.4321, "nn": 0.8765}}
    run = make_run(tmp_path, recipe={**RECIPE, "data": {"name": "blobs", "source": source}, "expected": expected})
    numbers = read_page(write_report(run)).section("numbers").text
    for text in ("Published", "0.4321", "0.8765", "From a paper."):
        assert (text in numbers) == shown


def test_synthetic_data_and_embeddings_of_other_data_are_announced(tmp_path: Path) -> None:
    run = make_run(tmp_path, recipe={**RECIPE, "data": {"name": "blobs", "source": "synthetic"}})
    environment = {**ENVIRONMENT, "data": {"name": "blobs", "source": "synthetic: drawn", "definition": ""}}
    (run / "environment.json").write_text(json.dumps(environment))
    notices = " ".join(e.text for e in read_page(write_report(run)).all("p", "notice"))
    assert "come from a generator" in notices
    assert "of other data than the run itself: packaged: drawn blobs" in notices


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    classes = [HOSTILE, "<svg onload=alert(2)>", "{{ 7 * 7 }}", "plain"]
    recipe = {**RECIPE, "title": HOSTILE.replace("\x00", "").replace("\ud800", ""), "name": "<b>"}
    run = make_run(tmp_path, recipe=recipe)
    write_embeddings(run, blobs(), classes)
    environment = json.loads(json.dumps(ENVIRONMENT).replace("packaged: drawn blobs", "<i>source</i>"))
    environment["packages"] = {"<u>p</u>": HOSTILE}
    (run / "environment.json").write_text(json.dumps(environment))
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 121, "val/<script>": 1.0, "test/<script>": 0.5, "train/\ud800": 2.0}) + "\n")
        file.write(json.dumps({"step": 122, "val/<script>": 2.0, "train/\ud800": 3.0}) + "\n")
    page = read_page(write_report(run))
    assert "<script>alert(1)</script>" in page.all("h1")[0].text
    assert "{{ 7 * 7 }}" in page.section("gallery").text
    assert page.map_data()["classes"][1] == "<svg onload=alert(2)>"
    check_charts(page)


def test_page_stays_small_with_large_pictures_many_classes_and_long_curves(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(1200) % 150
    tensors = {
        "test/embeddings": torch.randn(150, 16, generator=generator)[labels]
        + torch.randn(1200, 16, generator=generator),
        "test/labels": labels,
        "test/images": torch.randint(0, 256, (1200, 3, 72, 72), generator=generator, dtype=torch.uint8),
    }
    write_embeddings(run, tensors, [f"class {i} with a rather long name " * 5 for i in range(150)])
    with (run / "metrics.jsonl").open("a") as file:
        for step in range(121, 8000):
            file.write(json.dumps({"step": step, "train/loss": 1 / step, **{f"train/{k}": step % 7 for k in "abc"}}))
            file.write("\n")
        file.write(json.dumps({"step": 8000, **{f"val/x{k}": 1.0 for k in range(300)}}) + "\n")
        file.write(json.dumps({"step": 8001, **{f"val/x{k}": 2.0 for k in range(300)}}) + "\n")
    path = write_report(run)
    assert path.stat().st_size < 6_000_000
    page = read_page(path)
    assert "1,000 of 1,200 test items" in page.section("map").text
    assert "more numbers are in metrics.jsonl" in page.section("curves").text
    assert "24 of 150 classes" in page.section("confusion").text
    assert check_charts(page) == 15


def test_page_is_replaced_whole_or_not_at_all(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = write_report(run).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RunError, match=r"report.html: could not be written \(No space left on device\)"):
        write_report(run)
    assert (run / "report.html").read_bytes() == before
    assert not [p for p in run.iterdir() if p.name.endswith(".part")]


def test_other_losses_have_no_plan_and_cosine_recipes_are_followed(tmp_path: Path) -> None:
    recipe = {**RECIPE, "loss": {"name": "supcon"}, "evaluate": {"distance": "cosine"}}
    page = read_page(write_report(make_run(tmp_path, recipe=recipe)))
    assert "The loss of this run (supcon) has no transport plan" in page.section("plan").text
    assert "cosine distance" in page.section("distances").text


def test_records_of_a_resumed_run_keep_the_last_value_of_a_step(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    lines = records()
    lines[-1] = {**lines[-1], "test/map": 0.123}
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*records(), *lines]))
    page = read_page(write_report(run))
    assert "0.123" in {e.attributes["value"] for e in page.all("data")}
