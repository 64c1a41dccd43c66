"""Run folders with missing or broken pieces: a sentence in the page or one clear line, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from fake_run import RECIPE, blobs, make_run, write_embeddings
from page_reader import Page, check_charts, read_page

from monge.errors import RunError
from monge.report import write_report


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def notice(page: Page) -> str:
    return " ".join(e.text for e in page.all("div", "notice"))


def test_no_folder_and_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere: found no folder here"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"found none of recipe.yaml, metrics.jsonl"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("name", "empty"),
    [
        ("recipe.yaml", ["plan"]),
        ("metrics.jsonl", ["numbers", "curves"]),
        ("environment.json", []),
        ("embeddings.safetensors", ["gallery", "map", "distances", "plan", "confusion"]),
    ],
)
def test_each_missing_file_is_named(run: Path, name: str, empty: list[str]) -> None:
    (run / name).unlink()
    page = read_page(write_report(run))
    assert f"{name} is not in the run folder" in notice(page)
    missing = {parent for e in page.all("p", "missing") for parent in e.parents if parent}
    assert set(empty) <= missing
    check_charts(page)


@pytest.mark.parametrize("name", ["recipe.yaml", "metrics.jsonl", "environment.json", "embeddings.safetensors"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00nonsense: [", b"[" * 20_000, b"[1, 2]", b"null"])
def test_any_file_may_hold_nonsense(run: Path, name: str, content: bytes) -> None:
    (run / name).write_bytes(content)
    assert name in notice(read_page(write_report(run)))


@pytest.mark.parametrize("name", ["recipe.yaml", "metrics.jsonl", "environment.json", "embeddings.safetensors"])
def test_any_file_may_be_a_folder(run: Path, name: str) -> None:
    (run / name).unlink()
    (run / name).mkdir()
    assert name in notice(read_page(write_report(run)))


def test_broken_lines_are_counted_and_the_others_kept(run: Path) -> None:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    lines[1] = lines[1][:-5]
    lines[3] = "[1, 2]"
    lines += ['{"test/map": 1.0}', '{"step": "one", "test/map": 0.9}', '{"step": NaN}', '{"step": 9']
    (run / "metrics.jsonl").write_text("\n".join(lines))
    page = read_page(write_report(run))
    assert f"6 lines, numbers 2, 4, {len(lines) - 3}, {len(lines) - 2}, {len(lines) - 1} … left out" in notice(page)
    assert "0.9123" in page.section("numbers").text


def test_values_that_are_not_finite_leave_gaps(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 121, "train/loss": NaN, "test/map": NaN, "val/map": Infinity, "val/nn": 1e999}\n')
        file.write('{"step": 122, "train/loss": 1' + "0" * 400 + ', "val/text": "a", "val/on": true}\n')
    page = read_page(write_report(run))
    assert "3 values are NaN or infinite" in page.section("curves").text
    assert "NaN" in page.section("numbers").text
    paths = [e.attributes["d"] for e in page.all("path")]
    assert not any("nan" in d or "inf" in d for d in paths)
    check_charts(page)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"test/labels": torch.zeros(3, dtype=torch.long)}, r"test/embeddings and test/labels of"),
        ({"test/labels": torch.zeros(48)}, r"test/embeddings and test/labels of"),
        ({"test/embeddings": torch.zeros(48, 8, 1)}, r"test/embeddings and test/labels of"),
        ({"test/embeddings": torch.full((48, 8), torch.nan)}, r"fewer than two items with finite embeddings"),
    ],
)
def test_embeddings_of_a_wrong_shape_are_refused(run: Path, change: dict[str, torch.Tensor], says: str) -> None:
    write_embeddings(run, {**blobs(), **change}, [])
    page = read_page(write_report(run))
    assert says in notice(page)
    assert says in page.section("gallery").text


def test_bad_rows_are_left_out_and_unnamed_classes_numbered(run: Path) -> None:
    tensors = blobs()
    tensors["test/embeddings"][3] = torch.nan
    tensors["test/labels"][5] = -1
    tensors["test/labels"][6] = 2**40
    write_embeddings(run, tensors, ["ant"])
    page = read_page(write_report(run))
    assert "2 items of test with values that are NaN or beyond 1e15 or a negative label left out" in notice(page)
    assert page.map_data()["classes"] == ["ant", "1", "2", "3", str(2**40)]


@pytest.mark.parametrize("images", [None, torch.zeros(48, 12, 12), torch.zeros(47, 1, 12, 12, dtype=torch.uint8)])
def test_without_pictures_the_names_stand_for_them(run: Path, images: torch.Tensor | None) -> None:
    tensors = {name: tensor for name, tensor in blobs().items() if name != "test/images"}
    write_embeddings(
        run, tensors if images is None else {**tensors, "test/images": images}, ["ant", "bee", "cat", "dog"]
    )
    page = read_page(write_report(run))
    assert ("are not pictures, left out" in notice(page)) == (images is not None)
    assert not page.all("img")
    assert len(page.all("span", "blank")) >= 99


@pytest.mark.parametrize("labels", [torch.zeros(48, dtype=torch.long), torch.arange(48)])
def test_one_class_only_and_no_two_of_a_class(run: Path, labels: torch.Tensor) -> None:
    write_embeddings(run, {**blobs(), "test/labels": labels}, [])
    page = read_page(write_report(run))
    assert "No histograms" in page.section("distances").text
    check_charts(page)


@pytest.mark.parametrize(
    "vectors", [torch.zeros(48, 8), torch.ones(48, 1), 1e14 * torch.randn(48, 8), 1e30 * torch.ones(48, 8)]
)
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.filterwarnings("ignore:cosine")
def test_embeddings_that_collapsed_or_exploded(run: Path, vectors: torch.Tensor, distance: str) -> None:
    (run / "recipe.yaml").write_text(json.dumps({**RECIPE, "evaluate": {"distance": distance}}))
    write_embeddings(run, {**blobs(), "test/embeddings": vectors}, [])
    page = read_page(write_report(run))
    assert "nan" not in "".join(e.attributes.get("d", "") for e in page.all("path"))


def test_two_items_are_enough(run: Path) -> None:
    write_embeddings(run, {name: tensor[:2].clone() for name, tensor in blobs().items()}, [])
    assert "PCA" in read_page(write_report(run)).section("map").text


@pytest.mark.parametrize(
    "loss",
    [
        {"name": "batchwise_ot", "gammma": 10},
        {"name": "batchwise_ot", "epsilon": -1.0},
        {"name": "batchwise_ot", "margin": "wide"},
        {"name": "batchwise_ot", "negative": [1]},
    ],
)
def test_loss_parameters_that_fit_nothing_are_named(run: Path, loss: dict[str, object]) -> None:
    (run / "recipe.yaml").write_text(json.dumps({**RECIPE, "loss": loss}))
    assert "the loss could not be built" in read_page(write_report(run)).section("plan").text


@pytest.mark.parametrize("key", ["loss", "sampler", "data", "evaluate", "expected", "seed", "title", "name"])
@pytest.mark.parametrize("value", [[1, {"a": 2}], {"source": {"b": 1}, "metrics": [3]}, -5])
def test_recipe_values_of_other_kinds_do_no_harm(run: Path, key: str, value: object) -> None:
    (run / "recipe.yaml").write_text(json.dumps({**RECIPE, key: value}))
    (run / "environment.json").write_text(json.dumps({key: value, "packages": value, "train_seconds": "long"}))
    read_page(write_report(run))


def test_truncated_embeddings_are_named(run: Path) -> None:
    content = (run / "embeddings.safetensors").read_bytes()
    (run / "embeddings.safetensors").write_bytes(content[: len(content) // 2])
    assert "embeddings.safetensors: could not be read" in notice(read_page(write_report(run)))
