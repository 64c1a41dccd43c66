"""The page of a face run: structure, numbers against the tensors, hardest pairs, regions, broken files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_faces import make_face_run, scores, stored_pairs, write_pairs
from page_reader import check_charts, read_page

from monge.data.face_pairs import PairSet
from monge.data.images import ImageSet
from monge.metrics import calibrate, matched_regions, pair_distances, tar_at_far, verify
from monge.metrics.telling_pairs import hardest_pairs
from monge.report import write_report
from monge.report.definitions import importance, metric
from monge.report.face_cases import set_cases
from monge.report.face_charts import score_chart
from monge.report.match_picture import match_picture
from monge.report.stored_verification import StoredVerification, load_verification
from monge.train.face_measures import Measured

SECTIONS = ["numbers", "curves", "scores", "roc", "folds", "threshold", "pairs", "regions", "card"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_face_run(tmp_path_factory.mktemp("runs") / "faces")


@pytest.fixture(scope="module")
def stored(run: Path) -> StoredVerification:
    found = load_verification(run / "verification.safetensors")
    assert isinstance(found, StoredVerification)
    return found


def test_page_is_complete_and_self_contained(run: Path) -> None:
    path = write_report(run)
    page = read_page(path)
    assert [e.attributes["id"] for e in page.all("section")] == SECTIONS
    assert [e.attributes["href"].removeprefix("#") for e in page.all("a")] == SECTIONS
    assert not page.all("p", "missing")
    assert not page.all("div", "notice")
    assert check_charts(page) == 5  # loss, accuracy, two histograms, ROC
    assert len(page.all("svg", "match")) == 8
    assert path.stat().st_size < 1_500_000
    assert write_report(run).read_bytes() == path.read_bytes()


def test_numbers_are_those_of_the_run(run: Path) -> None:
    page = read_page(write_report(run))
    shown = {float(e.attributes["value"]) for e in page.all("data")}
    assert shown >= set(scores(stored_pairs()).values())
    assert {e.text.strip().split("\n")[-1] for e in page.all("div", "tile")} == {
        "0.8292Accuracy, hard",
        "0.9667Accuracy, test",
    }


def test_folds_rates_and_thresholds_are_those_of_the_pairs(run: Path) -> None:
    tensors, page = stored_pairs(), read_page(write_report(run))
    vectors, first, second = (tensors[f"hard/{k}"] for k in ("embeddings", "first", "second"))
    distances, same = pair_distances(vectors, first, second), tensors["hard/same"]
    found = verify(distances, same, tensors["hard/folds"], protocol="exact")
    grid = verify(distances, same, tensors["hard/folds"])
    folds = page.section("folds").text
    assert all(f"{100 * float(a):.2f} %" in folds for a in found.accuracies)
    assert f"{100 * found.accuracy:.2f} %± {100 * found.accuracy_std:.2f}" in folds
    assert f"{100 * grid.accuracy:.2f} %± {100 * grid.accuracy_std:.2f}" in folds
    assert all(f"{1 - float(t) / 2:.3f}" in folds for t in found.thresholds)
    rate = tar_at_far(1 - distances / 2, same, (0.01,))[0.01]
    assert f"{100 * rate:.2f} %" in page.section("roc").text
    assert "–" in page.section("roc").text  # 120 impostors tell no rate of 0.001
    similarities = 1 - pair_distances(*(tensors[f"test/{k}"] for k in ("embeddings", "first", "second"))) / 2
    point = calibrate(similarities, tensors["test/same"], 0.01)
    assert f"{point.threshold:.4f}" in page.section("threshold").text


def test_the_threshold_stored_with_the_model_stands_first(tmp_path: Path) -> None:
    run = make_face_run(tmp_path)
    calibrate(torch.rand(100), torch.arange(100) % 2, 0.1, pairs="passports").save(run / "threshold.json")
    text = read_page(write_report(run)).section("threshold").text
    assert text.index("stored with the model") < text.index("set on test")
    assert "was set on passports." in text
    (run / "threshold.json").write_text("{")
    assert "stored with" not in read_page(write_report(run)).section("threshold").text


def test_wrong_pairs_are_the_ones_their_thresholds_decide_wrongly(stored: StoredVerification) -> None:
    for pairs in stored.sets:
        found = set_cases(pairs, 6)
        wrong = (pairs.distances < pairs.limits) != pairs.same
        assert found.false_accepts == int((wrong & ~pairs.same).sum())
        assert found.false_rejects == int((wrong & pairs.same).sum())
        farthest, *_ = found.groups
        gaps = [case.similarity - case.threshold for case in farthest.cases]
        assert gaps == sorted(gaps, reverse=True)
        assert all(gap > 0 for gap in gaps)
        assert all(not case.same and not case.right for case in farthest.cases)
        for group in found.groups:
            assert 0 < len(group.cases) <= 6
    assert [g.title for g in set_cases(stored.sets[1], 4).groups] == [
        "False accepts, farthest past the threshold",
        "False accepts, nearest to the threshold",
        "False rejects, farthest past the threshold",
        "False rejects, nearest to the threshold",
    ]


def test_a_perfect_run_shows_its_closest_calls(tmp_path: Path) -> None:
    tensors = {key: value for key, value in stored_pairs().items() if key.startswith("test/")}
    same = tensors["test/same"]
    rows = torch.arange(2 * len(same))
    angle = torch.where(same, 0.2, 1.2) + 0.1 * torch.rand(len(same), generator=torch.Generator().manual_seed(0))
    one, other = torch.stack([torch.ones_like(angle), 0 * angle], 1), torch.stack([angle.cos(), angle.sin()], 1)
    tensors |= {
        "test/first": rows[::2],
        "test/second": rows[1::2],
        "test/embeddings": torch.stack([one, other], 1).flatten(0, 1),
    }
    del tensors["test/images"], tensors["test/maps"]
    page = read_page(write_report(make_face_run(tmp_path, tensors, ["test"])))
    text = page.section("pairs").text
    assert "0 of 120 impostor pairs accepted, 0 of 120 genuine pairs refused" in text
    assert "No false accepts; the impostors nearest to the threshold" in text
    assert "No false rejects; the genuine pairs nearest to the threshold" in text
    assert len(page.all("span", "blank")) == 24  # no pictures were stored
    assert "stored no feature maps" in page.section("regions").text


def test_pictures_of_the_pairs_shown_are_enough(tmp_path: Path) -> None:
    whole = make_face_run(tmp_path / "whole")
    stored = load_verification(whole / "verification.safetensors")
    assert not isinstance(stored, str)
    tensors = stored_pairs()
    for pairs in stored.sets:
        images = ImageSet(tensors[f"{pairs.name}/images"], torch.zeros(len(pairs.embeddings), dtype=torch.int64))
        told = PairSet(images, pairs.first, pairs.second, pairs.same, pairs.folds, pairs.name, "drawn")
        measured = Measured(told, pairs.embeddings)
        tensors[f"{pairs.name}/shown"] = measured.shown
        for part in ("images", "maps"):
            tensors[f"{pairs.name}/{part}"] = tensors[f"{pairs.name}/{part}"][measured.shown]
    assert len(tensors["test/shown"]) < len(tensors["test/embeddings"])
    part = make_face_run(tmp_path / "part", tensors)
    pages = [write_report(run).read_text() for run in (whole, part)]
    for section in ("pairs", "regions"):
        start, end = (page.index(f'id="{section}"') for page in pages), "</section>"
        first, second = (page[at : page.index(end, at)] for page, at in zip(pages, start))
        assert first == second
        assert "data:image" in first


@pytest.mark.parametrize("shown", [torch.tensor([3, 1]), torch.tensor([0.5, 1.5]), torch.zeros(2, 2).long()])
def test_pictures_of_nobody_knows_whom_are_left_out(tmp_path: Path, shown: torch.Tensor) -> None:
    tensors = stored_pairs()
    for part in ("images", "maps"):
        tensors[f"test/{part}"] = tensors[f"test/{part}"][:2]
    page = read_page(write_report(make_face_run(tmp_path, tensors | {"test/shown": shown}, ["test"])))
    assert "data:image" not in str(page.section("pairs").text)
    assert "stored no feature maps" in page.section("regions").text


def test_regions_are_of_the_hardest_pairs(stored: StoredVerification) -> None:
    pairs = stored.sets[1]
    rows = hardest_pairs(pairs.distances, pairs.limits, pairs.same, count=8)
    assert pairs.same[rows].tolist() == [True] * 4 + [False] * 4
    genuine = pairs.distances - pairs.limits
    assert genuine[rows[:4]].tolist() == sorted(genuine[pairs.same].tolist(), reverse=True)[:4]
    assert genuine[rows[4:]].tolist() == sorted(genuine[~pairs.same].tolist())[:4]


def test_a_match_joins_its_cells() -> None:
    maps = torch.eye(4).reshape(1, 4, 2, 2)
    found = matched_regions(maps, maps.flip(3), most=1, weights="uniform")
    picture = torch.full((3, 40, 40), 128, dtype=torch.uint8)
    svg = match_picture("two", picture, picture, found, 0)
    # From the middle of the first cell of the left picture to that of the second cell of the right one, 146 away.
    assert '<line x1="30" y1="30" x2="236" y2="30" class="rim">' in svg
    assert svg.count('class="dim"') == 8
    assert "row 1, column 1 with row 1, column 2: " in svg


def test_the_threshold_stands_in_the_histogram(stored: StoredVerification) -> None:
    pairs = stored.sets[0]
    svg = score_chart(pairs)
    assert f"threshold {1 - float(pairs.found.thresholds.mean()) / 2:.3f}" in svg
    assert svg.count('class="area"') == 2


def test_names_and_order_of_the_metrics_of_sets() -> None:
    assert metric("test/lfw/accuracy").title == "Accuracy, lfw"
    assert metric("test/cfp_fp/tar_at_far_1e-04").definition.endswith("at most 0.01 % of the impostors are.")
    names = ["test/b/auc", "test/a/auc", "test/b/accuracy", "test/a/tar_at_far_1e-03", "test/a/tar_at_far_1e-02"]
    assert sorted(names, key=importance) == [names[2], names[4], names[3], names[1], names[0]]


BROKEN = {
    "no pairs of the set": (lambda t: t.pop("hard/first"), "hard: found no first"),
    "floats": (lambda t: t.update({"hard/first": t["hard/first"].float()}), "expected integers (P,)"),
    "other rows": (lambda t: t["hard/second"].fill_(10**6), "found pairs of other rows than the 120 embeddings"),
    "not finite": (lambda t: t["hard/embeddings"].fill_(np.nan), "found embeddings that are NaN"),
    "one kind": (lambda t: t["hard/same"].fill_(True), "found folds that leave pairs of one kind only"),
    "one fold": (lambda t: t["hard/folds"].fill_(0), "found folds that leave pairs of one kind only, or none"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_set_is_one_sentence_and_the_other_is_shown(tmp_path: Path, case: str) -> None:
    damage, message = BROKEN[case]
    tensors = stored_pairs()
    run = make_face_run(tmp_path)
    damage(tensors)
    write_pairs(run, tensors, ["test", "hard"])
    page = read_page(write_report(run))
    assert message in page.all("div", "notice")[0].text
    assert "Scores of test" in page.section("scores").text
    assert "hard" not in page.section("folds").text


def test_a_missing_or_unreadable_file_leaves_the_rest_of_the_page(tmp_path: Path) -> None:
    run = make_face_run(tmp_path)
    (run / "verification.safetensors").write_bytes(b"no")
    page = read_page(write_report(run))
    assert "could not be read" in page.section("scores").text
    assert [e.attributes["id"] for e in page.all("section")] == SECTIONS
    (run / "verification.safetensors").unlink()
    assert "is not in the run folder" in read_page(write_report(run)).section("pairs").text


def test_names_of_sets_stay_text(tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>"
    tensors = {f"{name}/{key.split('/')[1]}": value for key, value in stored_pairs().items() if key.startswith("test/")}
    run = make_face_run(tmp_path)
    write_pairs(run, tensors, [name])
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 241, f"test/{name}/accuracy": 0.5}) + "\n")
    assert name in read_page(write_report(run)).section("folds").text
