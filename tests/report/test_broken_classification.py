"""Classification runs with missing or broken files: a sentence in the page, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from fake_classification import NAMES, RECIPE, distances, make_classification, metadata, predictions
from page_reader import Page, read_page
from safetensors.torch import save_file

from monge.report import write_report

FILES = ["recipe.yaml", "metrics.jsonl", "environment.json", "predictions.safetensors", "ground.safetensors"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_classification(tmp_path / "run")


def notice(page: Page) -> str:
    return " ".join(e.text for e in page.all("div", "notice"))


def test_without_predictions_each_section_says_why(run: Path) -> None:
    (run / "predictions.safetensors").unlink()
    page = read_page(write_report(run))
    assert "predictions.safetensors is not in the run folder" in notice(page)
    for section in ("confusion", "cases", "reliability"):
        assert "predictions.safetensors is not in the run folder" in page.section(section).text
    assert page.all("path", "tree")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00nonsense: [", b"[" * 20_000, b"[1, 2]"])
def test_any_file_may_hold_nonsense(run: Path, name: str, content: bytes) -> None:
    (run / name).write_bytes(content)
    assert name in notice(read_page(write_report(run)))


@pytest.mark.parametrize("name", FILES)
def test_any_file_may_be_a_folder(run: Path, name: str) -> None:
    (run / name).unlink()
    (run / name).mkdir()
    assert name in notice(read_page(write_report(run)))


@pytest.mark.parametrize("name", ["predictions.safetensors", "ground.safetensors"])
def test_truncated_files_are_named(run: Path, name: str) -> None:
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[: len(content) // 2])
    assert f"{name}: could not be read" in notice(read_page(write_report(run)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"test/labels": torch.zeros(3, dtype=torch.long)}, "test/probabilities and test/labels of"),
        ({"test/labels": torch.zeros(300)}, "test/probabilities and test/labels of"),
        ({"test/probabilities": torch.zeros(300, 5, 1)}, "test/probabilities and test/labels of"),
        ({"test/probabilities": torch.zeros(300, 5, dtype=torch.long)}, "test/probabilities and test/labels of"),
        ({"test/probabilities": torch.zeros(300, 0)}, "test/probabilities and test/labels of"),
        ({"test/probabilities": torch.full((300, 5), torch.nan)}, "found no item whose probabilities sum to one"),
        ({"test/probabilities": torch.randn(300, 5)}, "left out whose probabilities do not sum to one|found no item"),
        ({"test/labels": torch.full((300,), 5)}, "found no item whose"),
    ],
)
def test_predictions_of_a_wrong_kind_are_refused(run: Path, change: dict[str, torch.Tensor], says: str) -> None:
    save_file({**predictions(), **change}, run / "predictions.safetensors", metadata=metadata(NAMES))
    text = notice(read_page(write_report(run)))
    assert any(part in text for part in says.split("|"))


def test_predictions_without_labels(run: Path) -> None:
    save_file({"test/probabilities": torch.eye(5)}, run / "predictions.safetensors")
    assert "found no test/probabilities with test/labels in it" in notice(read_page(write_report(run)))


def test_bad_rows_are_left_out_with_their_pictures(run: Path) -> None:
    tensors = predictions()
    tensors["test/probabilities"][0] = torch.nan
    tensors["test/probabilities"][1, 0] = -0.5
    tensors["test/labels"][2] = 9
    tensors["test/labels"][3] = -100
    save_file(tensors, run / "predictions.safetensors", metadata=metadata(NAMES))
    page = read_page(write_report(run))
    assert "4 items left out whose probabilities do not sum to one or whose label is no class" in notice(page)
    assert "296 of 300 test items" in page.section("confusion").text
    assert "nan" not in "".join(e.attributes.get("d", "") for e in page.all("path"))


@pytest.mark.parametrize(
    "change",
    [
        {"test/images": torch.zeros(48, 12, 12)},
        {"test/images": torch.zeros(47, 1, 12, 12, dtype=torch.uint8)},
        {"test/shown": torch.arange(48) + 290},
        {"test/shown": torch.arange(48).float()},
        {"test/shown": torch.arange(48)[:, None].contiguous()},
    ],
)
def test_pictures_that_are_none_are_left_out(run: Path, change: dict[str, torch.Tensor]) -> None:
    save_file({**predictions(), **change}, run / "predictions.safetensors", metadata=metadata(NAMES))
    page = read_page(write_report(run))
    assert "are no pictures of test items, left out" in notice(page)
    assert not page.all("img")
    assert len(page.all("div", "bare")) == 18


@pytest.mark.parametrize(
    "positions",
    ["[1, 2]", "[5, 4, 3, 2, 1]", '["a", 1, 2, 3, 4]', "[0, 1, 2, 3, 1e999]", "[", "1", f"[1,2,3,4,1{'0' * 400}]"],
)
def test_positions_that_are_none_are_left_out(run: Path, positions: str) -> None:
    stored = {**metadata(NAMES), "positions": positions}
    save_file(predictions(), run / "predictions.safetensors", metadata=stored)
    assert "positions are not 5 increasing numbers, left out" in notice(read_page(write_report(run)))


@pytest.mark.parametrize("targets", [torch.zeros(300, 4), torch.zeros(300, 5), torch.ones(300, dtype=torch.long)])
def test_targets_that_are_none_are_left_out(run: Path, targets: torch.Tensor) -> None:
    save_file({**predictions(), "test/targets": targets}, run / "predictions.safetensors", metadata=metadata(NAMES))
    assert "test/targets are no distributions over the classes, left out" in notice(read_page(write_report(run)))


@pytest.mark.parametrize("stored", [{}, {"classes": "[", "ordered": "maybe"}, {"classes": "5"}, {"classes": '["one"]'}])
def test_metadata_may_be_missing_or_nonsense(run: Path, stored: dict[str, str]) -> None:
    save_file(predictions(), run / "predictions.safetensors", metadata=stored)
    save_file(distances(), run / "ground.safetensors", metadata=stored)
    page = read_page(write_report(run))
    assert "4" in [e.text for e in page.all("text", "tick")]


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"other": torch.zeros(2)}, "found no matrix, expected float (C, C)"),
        ({"matrix": torch.zeros(4, 5)}, "found a matrix of (4, 5)"),
        ({"matrix": torch.zeros(5, 5, dtype=torch.long)}, "torch.int64, expected float (C, C)"),
        ({"matrix": torch.zeros(0, 0)}, "found distances between 0 classes"),
        ({"matrix": torch.full((5, 5), torch.nan)}, "found NaN, infinite or negative distances"),
        ({"matrix": -torch.ones(5, 5)}, "found NaN, infinite or negative distances"),
        ({**distances(), "epochs": torch.arange(3)}, "history and epochs are not float (E, C, C) and integer (E,)"),
        ({**distances(), "history": torch.zeros(8, 4, 5)}, "history and epochs are not"),
        ({"matrix": torch.ones(5, 5), "epochs": torch.arange(3)}, "history and epochs are not"),
        ({**distances(), "history": torch.full((8, 5, 5), torch.inf)}, "8 epochs with NaN, infinite or negative"),
    ],
)
def test_ground_distances_of_a_wrong_kind_are_named(run: Path, tensors: dict[str, torch.Tensor], says: str) -> None:
    save_file(tensors, run / "ground.safetensors")
    assert says in notice(read_page(write_report(run)))


@pytest.mark.parametrize(
    "matrix", [torch.zeros(5, 5), torch.ones(5, 5), torch.ones(5, 5).triu(), 1e30 * torch.rand(5, 5)]
)
def test_degenerate_distances_are_drawn(run: Path, matrix: torch.Tensor) -> None:
    save_file({"matrix": matrix.contiguous()}, run / "ground.safetensors")
    page = read_page(write_report(run))
    drawn = [v for e in page.elements for k, v in e.attributes.items() if k in {"d", "x", "y", "width", "height"}]
    assert not any("nan" in v or "inf" in v for v in drawn)


def test_a_ground_of_another_number_of_classes_marks_no_confusion(run: Path) -> None:
    save_file(distances(7), run / "ground.safetensors", metadata={"kind": "learned"})
    page = read_page(write_report(run))
    assert "the difference of their places" in page.section("confusion").text


@pytest.mark.parametrize("key", ["task", "loss", "data", "evaluate", "expected", "title"])
@pytest.mark.parametrize("value", [[1, {"a": 2}], {"decode": {"b": 1}}, -5])
def test_recipe_values_of_other_kinds_do_no_harm(run: Path, key: str, value: object) -> None:
    (run / "recipe.yaml").write_text(json.dumps({**RECIPE, key: value}))
    read_page(write_report(run))
