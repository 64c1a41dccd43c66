"""`monge evaluate RUN --pairs FILE`: what is measured, what is stored, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import monge
from monge.cli import main
from monge.data.faces import load_pair_set
from monge.data.synthetic.face_layouts import write_fake_bin, write_fake_lfw
from monge.errors import DataFormatError, RunError
from monge.metrics import (
    UndefinedMetricWarning,
    blended_verification,
    calibrate,
    transport_distances,
    verification_metrics,
)
from monge.nn import SmallFaceNet
from monge.recipes import load_recipe
from monge.train import evaluate_pairs
from monge.train.checkpoints import FORMAT, save_checkpoint
from monge.train.run_files import RunFiles

SIZE = 24


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a face run whose network was drawn at random."""
    torch.manual_seed(0)
    settings = ["data.source=synthetic", f"data.image_size={SIZE}", "model.widths=[8, 16]", "model.embedding_dim=16"]
    recipe, files = load_recipe("emoji-identity", settings), RunFiles(tmp_path / "run")
    files.best.parent.mkdir(parents=True)
    files.recipe.write_text(recipe.to_yaml())
    net = SmallFaceNet(3, 16, SIZE, (8, 16))
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(64, 3, SIZE, SIZE))  # statistics of the normalisations
    checkpoint = {"format": FORMAT, "monge": monge.__version__, "recipe": "", "step": 1, "seconds": 0.0, "best": None}
    save_checkpoint(files.best, {**checkpoint, "model": net.state_dict(), "loss": {}})
    return files.folder


@pytest.fixture(scope="module")
def bin_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sets") / "lfw.bin"
    write_fake_bin(file, folds=10, per_fold=2, size=32)
    return file


def network_of(run: Path) -> SmallFaceNet:
    net = SmallFaceNet(3, 16, SIZE, (8, 16))
    net.load_state_dict(torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["model"])
    return net.eval()


def compared_by(run: Path, images: torch.Tensor) -> torch.Tensor:
    """Unit vectors of pictures and their mirror images, by the network of the run, step by step."""
    net = network_of(run)
    x = (images.float() / 255 - 0.5) / 0.5
    with torch.no_grad():
        both = net(x).double() + net(x.flip(3)).double()
    return both / both.norm(dim=1, keepdim=True)


def test_a_bin_file_is_measured_by_the_protocol(run: Path, bin_file: Path) -> None:
    pairs = load_pair_set(bin_file, size=SIZE)
    unit = compared_by(run, pairs.images.inputs(torch.arange(len(pairs.images))))
    distances = (unit[pairs.first] - unit[pairs.second]).square().sum(1)
    found = evaluate_pairs(run, bin_file)
    expected = verification_metrics(distances, pairs.same, 10, protocol="exact", fars=(0.1,))
    grid = verification_metrics(distances, pairs.same, 10, protocol="insightface", fars=(0.1,))
    for name, value in expected.items():
        assert found[f"lfw/{name}"] == pytest.approx(value, abs=1e-9), name
    assert found["lfw/insightface_accuracy"] == pytest.approx(grid["accuracy"])
    assert not [name for name in found if "stored" in name or "blended" in name]
    stored = load_file(run / "verification.safetensors")
    np.testing.assert_allclose(stored["lfw/embeddings"].numpy(), unit.numpy(), atol=1e-6)
    shown = stored["lfw/shown"]
    assert 16 <= len(shown) <= 80
    assert torch.equal(stored["lfw/images"], pairs.images.inputs(shown))
    assert stored["lfw/maps"].shape[:1] == shown.shape


def test_the_threshold_stored_with_the_model_is_tried(run: Path, bin_file: Path) -> None:
    calibrate(torch.rand(40, generator=torch.Generator().manual_seed(1)), torch.arange(40) % 2, 0.1).save(
        run / "threshold.json"
    )
    limit = json.loads((run / "threshold.json").read_text())["threshold"]
    found = evaluate_pairs(run, bin_file)
    stored = load_file(run / "verification.safetensors")
    unit, first, second, same = (stored[f"lfw/{k}"] for k in ("embeddings", "first", "second", "same"))
    accepted = (unit[first] * unit[second]).sum(1) >= limit
    assert found["lfw/stored_tar"] == pytest.approx(float(accepted[same].float().mean()))
    assert found["lfw/stored_far"] == pytest.approx(float(accepted[~same].float().mean()))


def test_transport_is_blended_in_on_request(run: Path, bin_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monge.train.pair_evaluation._PAIRS_AT_ONCE", 7)
    found = evaluate_pairs(run, bin_file, transport=True)
    stored = load_file(run / "verification.safetensors")
    unit, first, second, same, folds = (stored[f"lfw/{k}"] for k in ("embeddings", "first", "second", "same", "folds"))
    images = load_pair_set(bin_file, size=SIZE).images
    with torch.no_grad():
        maps = network_of(run).with_maps((images.inputs(torch.arange(len(images))) / 255 - 0.5) / 0.5).feature_maps
    distances = (unit[first].double() - unit[second].double()).square().sum(1)
    blend = blended_verification(distances, transport_distances(maps, first, second), same, folds)
    assert found["lfw/blended_accuracy"] == pytest.approx(blend.accuracy, abs=0.03)  # sums in another order
    assert 0 <= found["lfw/blended_weight"] <= 1


def test_lists_of_pairs_with_few_pairs_are_dealt_into_folds(run: Path, tmp_path: Path) -> None:
    write_fake_lfw(tmp_path / "people", folds=2, per_fold=4)
    lines = (tmp_path / "people" / "pairs.txt").read_text().splitlines()[1:]
    (tmp_path / "mine.txt").write_text("\n".join(f"{line}" for line in [*lines[:3], *lines[4:7]]) + "\n")
    with pytest.warns(UndefinedMetricWarning, match="3 genuine and 3 impostor pairs"):
        found = evaluate_pairs(run, tmp_path / "mine.txt", pictures=tmp_path / "people")
    assert 0 <= found["mine/accuracy"] <= 1
    assert load_file(run / "verification.safetensors")["mine/folds"].unique().tolist() == [0, 1, 2]
    (tmp_path / "one.txt").write_text("\n".join([lines[0], lines[4], lines[5]]) + "\n")
    with pytest.raises(RunError, match="one: found 1 genuine and 2 impostor pairs, expected two or more of each"):
        evaluate_pairs(run, tmp_path / "one.txt", pictures=tmp_path / "people")


def test_the_command_prints_metrics_and_where_they_are(
    run: Path, bin_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), "--pairs", str(bin_file)]) == 0
    said = capsys.readouterr()
    assert "pairs: " in said.err
    assert "20 genuine, 20 impostors" in said.err
    assert "lfw/accuracy" in said.out
    assert f"verification: {run / 'verification.safetensors'}" in said.out
    assert main(["report", str(run)]) == 0
    assert "Scores of lfw" in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pairs", "nothing.bin"], "nothing.bin: found no such file"),
        (["--pairs", "nothing.txt"], "nothing.txt: found no such file"),
        (["--pairs", "."], "found a folder, expected a .bin file or a list of pairs"),
        (["--pairs", "no.bin"], "no.bin: "),
        (["--pairs", "no.txt"], "no.txt: "),
        (["--pairs", "a.bin", "--data", "synthetic"], "found both --data and --pairs, expected one of them"),
        (["--transport"], "--transport: goes with --pairs, which is missing"),
        (["--pictures", "x"], "--pictures: goes with --pairs, which is missing"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(run, tmp_path, monkeypatch, capsys, words, message) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no.bin").write_bytes(b"<html>")
    (tmp_path / "no.txt").write_text("who knows what\n")
    assert main(["evaluate", str(run), *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]


def test_other_runs_verify_no_pairs(tmp_path: Path, bin_file: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(load_recipe("mnist").to_yaml())
    with pytest.raises(RunError, match="found a run of the task embedding, expected one on faces"):
        evaluate_pairs(tmp_path, bin_file)
    with pytest.raises(RunError, match="there is no run here"):
        evaluate_pairs(tmp_path / "nowhere", bin_file)


def test_a_missing_picture_and_another_network_are_one_line(run: Path, tmp_path: Path, bin_file: Path) -> None:
    write_fake_lfw(tmp_path / "people", folds=2, per_fold=3)
    first = (tmp_path / "people" / "pairs.txt").read_text().splitlines()[1].split("\t")[0]
    for file in (tmp_path / "people" / first).iterdir():
        file.unlink()
    with pytest.raises(DataFormatError, match=first):
        evaluate_pairs(run, tmp_path / "people" / "pairs.txt")
    recipe = load_recipe(run / "recipe.yaml", ["model.embedding_dim=8"])
    (run / "recipe.yaml").write_text(recipe.to_yaml())
    with pytest.raises(RunError, match=r"does not fit recipe\.yaml and these pictures"):
        evaluate_pairs(run, bin_file)
