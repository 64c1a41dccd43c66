"""``monge train --data FOLDER`` on 3D shapes: generated folders in the official layouts from files to report."""

from __future__ import annotations

import json

import pytest

from monge.cli import main
from monge.data.synthetic.shape_layouts import write_fake_modelnet, write_fake_shrec

pytestmark = pytest.mark.usefixtures("cache")

TINY_CNN = "{name: small_cnn, widths: [4, 8], embedding_dim: 8}"
QUICK = ["--epochs", "1", "--set", "train.steps_per_epoch=2", "--set", "data.image_size=16", "--set", "data.views=3"]
SHAPES = [*QUICK, "--set", f"model.backbone={TINY_CNN}", "--set", "model.hidden=[16]"]
SKETCHES = [
    *QUICK,
    *("--set", "train.precision=32"),
    *("--set", "model.query={name: small_cnn, widths: [4, 8], normalize: false}"),
    *("--set", f"model.gallery={{name: mvcnn, backbone: {TINY_CNN}, hidden: [16], normalize: false}}"),
    *("--set", "sampler.classes_per_batch=6"),
]


def modelnet(folder, recipe):
    write_fake_modelnet(folder, classes=10 if recipe == "modelnet10" else 11)


def shrec(folder, recipe):
    write_fake_shrec(folder, recipe)


@pytest.mark.parametrize(
    ("recipe", "write", "settings", "published"),
    [
        ("modelnet10", modelnet, SHAPES, {"SVM": 0.942, "mAP": 0.9}),
        ("modelnet40", modelnet, SHAPES, {"SVM": 0.931, "mAP": 0.892}),
        ("shrec13", shrec, SKETCHES, {"NN": 0.713, "mAP": 0.754}),
        ("shrec14", shrec, SKETCHES, {"NN": 0.536, "mAP": 0.591}),
    ],
)
def test_generated_folders_are_trained_on_measured_and_reported(tmp_path, capsys, recipe, write, settings, published):
    write(tmp_path / "files", recipe)
    out = str(tmp_path / "run")
    assert main(["train", recipe, "--data", str(tmp_path / "files"), "--out", out, *settings]) == 0
    said = capsys.readouterr()
    assert "data: official layout: " in said.err
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    final = next(line for line in lines if any(name.startswith("test/") for name in line))
    wanted = ("map", "nn", "ft", "st", "e", "dcg") if recipe.startswith("shrec") else ("map", "nn", "svm", "knn")
    assert all(0 <= final[f"test/{name}"] <= 1 for name in wanted)
    assert main(["report", out]) == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert '<th class="num">Published</th>' in page
    for name, figure in published.items():  # beside ours
        row = page[page.index(f'<th scope="row">{name}</th>') :]
        assert f'<td class="num">{figure:.4f}</td>' in row[: row.index("</tr>")]


def broken_modelnet(folder):
    write_fake_modelnet(folder, classes=3, train=4, test=1)
    (folder / "ModelNet10" / "chair" / "test" / "chair_0005.off").write_text("OFF490 518 0\n1 2 3\n")
    return "chair_0005.off: "


def broken_header(folder):
    write_fake_modelnet(folder, classes=3, train=4, test=1)
    (folder / "ModelNet10" / "chair" / "train" / "chair_0002.off").write_text("OFF\n99999999999 5 0\n0 0 0\n")
    return "chair_0002.off: line 2"


def model_without_a_file(folder):
    write_fake_shrec(folder, "shrec13", classes=2, train=2, test=1, models=1, size=32)
    next((folder / "SHREC13_SBR_TARGET_MODELS").rglob("*.off")).unlink()
    return "SHREC13_SBR_TARGET_MODELS"


def class_file_cut_short(folder):
    write_fake_shrec(folder, "shrec13", classes=2, train=2, test=1, models=1, size=32)
    path = next(folder.rglob("SHREC13_SBR_Model.cla"))
    path.write_bytes(path.read_bytes()[:-12])
    return "SHREC13_SBR_Model.cla"


def sketch_that_is_none(folder):
    write_fake_shrec(folder, "shrec13")
    next((folder / "SHREC13_SBR_TRAINING_SKETCHES").rglob("*.png")).write_bytes(b"<html>not found</html>")
    return ".png"


@pytest.mark.parametrize(
    ("recipe", "spoil"),
    [
        ("modelnet10", broken_modelnet),
        ("modelnet10", broken_header),
        ("shrec13", model_without_a_file),
        ("shrec13", class_file_cut_short),
        ("shrec13", sketch_that_is_none),
    ],
)
@pytest.mark.filterwarnings("ignore:official layout")
def test_broken_files_are_one_line(tmp_path, capsys, recipe, spoil):
    said = spoil(tmp_path / "files")
    settings = SKETCHES if recipe == "shrec13" else SHAPES
    out = tmp_path / "run"
    assert main(["train", recipe, "--data", str(tmp_path / "files"), "--out", str(out), *settings]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert ": found " in errors[0]
