"""The page of a run on two modalities: sections, what queries find, ranks, plans, broken files."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from fake_cross_modal import drawings_and_shapes, make_run, sentences_and_stamps
from page_reader import Page, check_charts, read_page
from safetensors.torch import save_file

from monge.losses import InverseOTLoss
from monge.metrics import cross_modal_retrieval, querybank_retrieval, retrieval
from monge.report import write_report
from monge.report.cross_modal_search import search
from monge.report.definitions import importance, metric
from monge.report.stored_cross_modal import StoredCrossModal, load_cross_modal
from monge.report.stored_rescored import load_rescored
from monge.train.cross_modal_measures import store_rescored

OT = {"name": "cross_modal_ot", "margin": 1.0}
IOT = {"name": "inverse_ot", "epsilon": 0.1}


def sections(page: Page) -> list[str]:
    return [e.attributes["id"] for e in page.all("section")]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tensors, metadata = drawings_and_shapes()
    sides = [tensors[f"test/{side}/{kind}"] for kind in ("embeddings", "labels") for side in ("query", "gallery")]
    metrics = {f"test/{k}": v for k, v in retrieval(*sides, distance="cosine").items()}
    run = make_run(tmp_path_factory.mktemp("runs") / "shapes", (tensors, metadata), metrics, **OT)
    write_report(run)
    return run


@pytest.fixture(scope="module")
def stamps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tensors, metadata = sentences_and_stamps()
    sides = [tensors[f"test/{side}/{kind}"] for kind in ("embeddings", "labels") for side in ("query", "gallery")]
    metrics = {f"test/{k}": v for k, v in cross_modal_retrieval(*sides).items()}
    run = make_run(tmp_path_factory.mktemp("runs") / "stamps", (tensors, metadata), metrics, **IOT)
    write_report(run)
    return run


def test_page_of_classes_is_complete(shapes: Path) -> None:
    page = read_page(shapes / "report.html")
    assert sections(page) == ["numbers", "curves", "gallery", "recall", "classes", "plan", "map", "card"]
    assert not page.all("p", "missing")
    assert not page.all("div", "notice")
    # Loss, validation mAP, precision and recall, classes, plan.
    assert check_charts(page) == 5
    assert len(page.all("div", "query")) == 10 + 5
    assert len(page.all("span", "turning")) > 100
    assert page.all("span", "turning")[0].attributes["style"] == "--views: 6"


def test_hits_and_misses_are_those_of_the_ranking(shapes: Path) -> None:
    tensors = drawings_and_shapes()[0]
    queries, gallery = tensors["test/query/embeddings"], tensors["test/gallery/embeddings"]
    order = (queries @ gallery.T).argsort(dim=1, descending=True)[:, :10]
    right = tensors["test/gallery/labels"][order] == tensors["test/query/labels"][:, None]
    items = load_cross_modal(shapes / "embeddings.safetensors")
    assert isinstance(items, StoredCrossModal)
    found = search(items.query, items.gallery, "cosine")
    assert torch.equal(found.nearest, order)
    page = (shapes / "report.html").read_text()
    first = page[page.index('<div class="query">') :].split('<div class="query">')[1]
    worst = int(found.precision.argmin())
    marks = re.findall(r'<figure class="(hit|miss)">', first)
    assert marks == ["hit" if hit else "miss" for hit in right[worst].tolist()]


def test_worst_class_is_the_one_that_is_drawn_badly(shapes: Path) -> None:
    page = read_page(shapes / "report.html")
    (first, *_) = [e.text for e in page.all("th") if "classes" in e.parents and e.attributes.get("scope") == "row"]
    assert first == "lamp"


def test_page_of_pairs_is_complete(stamps: Path) -> None:
    page = read_page(stamps / "report.html")
    assert sections(page) == ["numbers", "curves", "gallery", "ranks", "plan", "map", "card"]
    assert not page.all("p", "missing")
    said = [e.text for e in page.all("q")]
    assert len(said) == 10
    assert all(text.startswith("a red king number") for text in said)
    assert len(page.all("div", "told")) == 6


def test_figures_of_both_directions_are_those_of_the_metrics(stamps: Path) -> None:
    final = json.loads((stamps / "metrics.jsonl").read_text().splitlines()[-1])
    page = read_page(stamps / "report.html")
    cells = [e.text for e in page.all("td") if "ranks" in e.parents]
    assert len(cells) == 16
    for row, way in zip((cells[:8], cells[8:]), ("q2g", "g2q"), strict=True):
        shown = [float(value) for value in row[:4]]
        assert shown == pytest.approx([final[f"test/{way}_r{k}"] for k in (1, 5, 10, 50)], abs=6e-4)


def test_plan_of_pairs_is_the_one_of_the_loss(stamps: Path) -> None:
    page = read_page(stamps / "report.html")
    told = {e.text: e for e in page.all("dt")}
    assert {"Mass on positives", "Mass out of place"} <= set(told)
    eye = torch.eye(4)
    plan, wanted = InverseOTLoss(epsilon=0.1).couplings(eye, eye)
    assert (plan - wanted).abs().sum() < 1e-3


def test_directions_have_names_and_an_order() -> None:
    assert metric("test/q2g_r5").short == "→ R@5"
    assert metric("test/g2q_medr").lower
    names = ["test/g2q_r1", "test/q2g_medr", "test/q2g_r10", "test/q2g_r1", "test/geometric_mean"]
    assert sorted(names, key=importance) == [*names[4:], "test/q2g_r1", "test/q2g_r10", "test/q2g_medr", "test/g2q_r1"]


@pytest.mark.parametrize("name", ["infonce", "max_margin", "supcon"])
def test_losses_without_a_plan_say_so(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "run", drawings_and_shapes(), {"test/map": 0.5}, name=name)
    write_report(run)
    (missing,) = read_page(run / "report.html").all("p", "missing")
    assert "has no transport plan" in missing.text


BROKEN = {
    "no gallery": (lambda t, m: t.pop("test/gallery/labels"), "found no test/gallery/embeddings with"),
    "other width": (lambda t, m: t.update({"test/gallery/embeddings": torch.ones(25, 3)}), "8 and 3 numbers"),
    "labels are floats": (lambda t, m: t.update({"test/query/labels": torch.ones(40)}), "expected float (N, D)"),
    "all NaN": (lambda t, m: t.update({"test/query/embeddings": torch.full((40, 8), torch.nan)}), "found no item of"),
    "pictures of floats": (lambda t, m: t.update({"test/query/images": torch.ones(40, 1, 9, 9)}), "are not pictures"),
    "views of one": (lambda t, m: t.update({"test/gallery/views": torch.ones(25, 6, 9)}), "are not views"),
    "texts too few": (lambda t, m: m.update({"query_texts": '["one"]'}), "expected a list of 40 texts"),
}


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN.keys())
def test_broken_files_become_a_sentence(tmp_path: Path, case: tuple) -> None:
    tensors, metadata = drawings_and_shapes()
    run = make_run(tmp_path / "run", (tensors, metadata), {"test/map": 0.5}, **OT)
    case[0](tensors, metadata)
    save_file(tensors, run / "embeddings.safetensors", metadata=metadata)
    found = load_cross_modal(run / "embeddings.safetensors")
    sentence = found if isinstance(found, str) else found.problem
    assert case[1] in sentence


def test_figures_with_knowledge_of_other_queries_stand_apart(stamps: Path, tmp_path: Path) -> None:
    assert "With knowledge of other queries" not in (stamps / "report.html").read_text()
    run = tmp_path / "run"
    shutil.copytree(stamps, run)
    tensors = sentences_and_stamps()[0]
    sides = [tensors[f"test/{side}/{kind}"] for kind in ("embeddings", "labels") for side in ("query", "gallery")]
    store_rescored(run / "rescored.json", (sides[0], sides[1]), (sides[2], sides[3]), (sides[0][:9], sides[1][:7]))
    write_report(run)
    page = read_page(run / "report.html")
    rows = [e for e in page.all("th") if "rescored" in e.parents and e.attributes.get("scope") == "row"]
    assert [e.text for e in rows] == ["dual softmax", "dual softmax", "query bank", "query bank"]
    text = (run / "report.html").read_text()
    assert "Not to be compared with the figures above" in text
    assert "9 and 7 training items" in text
    expected = querybank_retrieval(*sides, sides[0][:9], sides[1][:7])
    assert f"{expected['g2q_meanr']:.1f}" in text.split('id="rescored"')[1]
    for broken in ("[", "[1]", '{"dual_softmax": {"q2g_r1": "NaN"}, "querybank": 3}'):
        (run / "rescored.json").write_text(broken)
        assert load_rescored(run / "rescored.json") is None
