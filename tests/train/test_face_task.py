"""The face task: what a run stores, resumed runs, several processes, and losses by name."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from monge.data import load_faces
from monge.errors import RecipeError, RunError
from monge.losses import ArcFace, CombinedMargin, OTFaceLoss
from monge.metrics.thresholds import OperatingPoint
from monge.metrics.verification import flip_sum, verification_metrics
from monge.recipes import load_recipe
from monge.recipes.face_losses import (
    AdaFaceParams,
    CurricularFaceParams,
    MVSoftmaxParams,
    OTFaceParams,
    OTFacePresetParams,
    SphereFaceParams,
    TripletArcFaceParams,
)
from monge.recipes.loss_params import check_loss
from monge.report.face_cases import set_cases
from monge.report.stored_verification import load_verification
from monge.train import fit
from monge.train.batch_samplers import build_sampler
from monge.train.batches import Batch
from monge.train.building import build_task
from monge.train.checkpoints import load_checkpoint
from monge.train.evaluation import evaluate
from monge.train.face_losses import build_face_loss, needs_maps
from monge.train.face_measures import check_verifiable, mean_metrics
from monge.train.run_files import RunFiles
from monge.train.schedules import lr_factor
from monge.train.seeds import AUGMENT, mixed_seed

# 3 epochs of 3 steps; step 4 and the ends of the epochs are checkpoints.
FACES = (
    "data.source=synthetic",
    "data.image_size=24",
    "data.augment=[flip]",
    "model.widths=[4, 8]",
    "model.embedding_dim=8",
    "sampler={classes_per_batch: 6, samples_per_class: 2}",
    "train={epochs: 3, steps_per_epoch: 3, checkpoint_every: 4, log_every: 1}",
)


@pytest.fixture(scope="module")
def face_run(tmp_path_factory):
    """A run that nothing interrupted: its folder and what `fit` returned."""
    folder = tmp_path_factory.mktemp("faces") / "whole"
    return folder, fit(load_recipe("emoji-identity", FACES), folder, progress=False)


def test_metrics_are_those_of_the_stored_pairs(face_run) -> None:
    folder, metrics = face_run
    stored = load_verification(folder / "verification.safetensors")
    assert [pairs.name for pairs in stored.sets] == ["test", "hard"]
    assert stored.source.startswith("synthetic")
    for pairs in stored.sets:
        expected = verification_metrics(pairs.distances, pairs.same, pairs.folds, protocol="exact", fars=(0.1,))
        for name in ("accuracy", "auc", "eer"):
            assert metrics[f"test/{pairs.name}/{name}"] == pytest.approx(expected[name], abs=1e-6)
        assert len(pairs.images) == len(pairs.maps) == len(pairs.shown) < len(pairs.embeddings)
        assert pairs.maps.shape[1:] == (8, 6, 6)
        shown = [case for group in set_cases(pairs).groups for case in group.cases]
        assert shown
        assert all(case.first.uri and case.second.uri for case in shown)
    assert metrics["test/auc"] == pytest.approx(sum(metrics[f"test/{name}/auc"] for name in ("test", "hard")) / 2)


def test_the_stored_threshold_is_set_on_the_validation_pairs(face_run) -> None:
    point = OperatingPoint.load(face_run[0] / "threshold.json")
    assert (point.impostors, point.genuine, point.target_far) == (100, 100, 0.01)  # too few for 1e-3
    assert point.pairs.startswith("val: synthetic")


def test_steps_log_the_groups_and_validation_the_pairs(face_run, records) -> None:
    lines = records(face_run[0])
    steps = [line for line in lines if "train/loss" in line]
    assert len(steps) == 9
    assert all(line["train/margin_loss"] > 0 and line["train/groups"] >= 0 for line in steps)
    assert any("train/positive_distance" in line for line in steps)
    assert sum("val/accuracy" in line for line in lines) == 3


def test_evaluate_measures_the_same_and_keeps_the_threshold(face_run) -> None:
    folder, metrics = face_run
    before = (folder / "threshold.json").read_text()
    assert evaluate(folder) == pytest.approx(metrics)
    assert (folder / "threshold.json").read_text() == before


def test_stopped_and_resumed_it_ends_as_if_it_had_not_been(face_run, started, records, tmp_path) -> None:
    whole, metrics = face_run
    recipe = load_recipe("emoji-identity", FACES)
    process = started(tmp_path / "killed", 5, recipe="emoji-identity", settings=FACES)
    process.kill()
    process.wait()
    files = RunFiles(tmp_path / "killed")
    assert load_checkpoint(files.last)["step"] < 9
    assert fit(recipe, files.folder, resume=True, progress=False) == metrics
    assert records(files.folder) == records(whole)
    ended, expected = load_checkpoint(files.last), load_checkpoint(RunFiles(whole).last)
    for part in ("model", "loss"):  # class vectors belong to the loss
        assert ended[part].keys() == expected[part].keys()
        assert all(torch.equal(ended[part][name], tensor) for name, tensor in expected[part].items())
    assert ended["loss"]["softmax.weight"].shape == (40, 8)


def test_two_processes_seek_groups_among_all_samples(tmp_path, records) -> None:
    settings = (
        *FACES,
        "train={epochs: 1, steps_per_epoch: 2, log_every: 1}",
        "optimizer={name: sgd, lr: 0.05, momentum: 0.9}",
        "schedule=constant",
        "loss={name: otface, softmax: {name: curricularface, scale: 8}, tol: 1e-6}",
    )
    words = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-m", "monge", "train", "emoji-identity", "--out", str(tmp_path / "ddp"), *words]
    done = subprocess.run([*command, "--devices", "2", "--device", "cpu"], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr

    recipe = load_recipe("emoji-identity", settings)
    splits = load_faces("emoji-identity", "synthetic", size=24)
    task = build_task(recipe, splits).train()
    optimizer = task.configure_optimizers()
    samplers = [iter(build_sampler(recipe, splits.train, 2, rank, 2)) for rank in range(2)]
    losses = []
    for place in range(2):
        parts = []
        for rank, sampler in enumerate(samplers):
            chosen = next(sampler)
            batch = Batch(splits.train.inputs(chosen), splits.train.labels[chosen], 0, place)
            generator = torch.Generator().manual_seed(mixed_seed(AUGMENT, recipe.seed, batch.epoch, batch.place, rank))
            parts.append((*task.network.with_maps(task.ready(batch.inputs, generator)), batch.labels))
        embeddings, maps, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        loss = task.loss(embeddings, labels, feature_maps=maps)  # of both processes' samples at once
        assert task.loss.diagnostics().groups > 0
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    logged = [line["train/loss"] for line in records(tmp_path / "ddp") if "train/loss" in line]
    assert logged == pytest.approx(losses, rel=1e-4)
    saved = load_checkpoint(tmp_path / "ddp" / "checkpoints" / "last.ckpt")
    torch.testing.assert_close(saved["loss"], task.loss.state_dict(), rtol=1e-3, atol=1e-5)
    for name, parameter in task.model.named_parameters():
        torch.testing.assert_close(saved["model"][name], parameter.detach(), rtol=1e-3, atol=1e-5)


def test_pairs_are_compared_by_pictures_and_their_mirror_images() -> None:
    recipe, splits = load_recipe("emoji-identity", FACES), load_faces("emoji-identity", "synthetic", size=24)
    task = build_task(recipe, splits).eval()
    pictures = splits.val.images.inputs(torch.arange(3))
    with torch.no_grad():
        expected = flip_sum(task.network(task.ready(pictures)), task.network(task.ready(pictures.flip(-1))))
        torch.testing.assert_close(task(pictures), expected.float())
    assert torch.allclose(task(pictures).norm(dim=1), torch.ones(3))


LOSSES = {
    "arcface": None,
    "am-softmax": None,
    "sphereface": SphereFaceParams,
    "curricularface": CurricularFaceParams,
    "mv-softmax": MVSoftmaxParams,
    "adaface": AdaFaceParams,
    "otface": OTFaceParams,
    "otface-preset": OTFacePresetParams,
    "triplet-arcface": TripletArcFaceParams,
}


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_faces_learns(name: str) -> None:
    recipe = load_recipe("emoji-identity", [f"loss={name}"])
    assert recipe.task == "face"
    loss = build_face_loss(recipe.loss, 8, 3).train()
    x, labels = torch.randn(6, 8, requires_grad=True), torch.tensor([0, 0, 1, 1, 2, 2])
    extra = {"feature_maps": torch.randn(6, 4, 3, 3)} if needs_maps(loss) else {}
    loss(x, labels, **extra).backward()
    assert x.grad.abs().max() > 0
    assert needs_maps(loss) == name.startswith("otface")
    assert all(parameter.grad.abs().max() > 0 for parameter in loss.parameters())


def test_settings_reach_the_loss() -> None:
    config = check_loss(
        {
            "name": "otface",
            "softmax": {"name": "arcface", "m": 0.3, "fallback": True, "scale": 20, "lr_scale": 3},
            "weight": 2,
            "epsilon": 0.05,
            "max_groups": 7,
            "negatives": "mean",
            "margin": 0.2,
        }
    )
    loss = build_face_loss(config, 8, 3)
    assert isinstance(loss, OTFaceLoss)
    assert isinstance(loss.softmax.margin, ArcFace)
    assert (loss.softmax.margin.m, loss.softmax.margin.fallback, loss.softmax.scale) == (0.3, True, 20)
    assert (loss.lr_scale, loss.weight, loss.transport.solver.epsilon) == (3, 2, 0.05)
    assert (loss.transport.max_groups, loss.transport.negatives, loss.transport.margin) == (7, "mean", 0.2)
    sphere = build_face_loss(SphereFaceParams(m1=2.0), 8, 3)
    assert isinstance(sphere.margin, CombinedMargin)
    assert sphere.margin.monotone
    released = build_face_loss(OTFacePresetParams(quirks="released", softmax="am_softmax"), 8, 3)
    assert released.softmax.scale == 30
    assert not released.across_processes


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loss.softmax=arc"], "loss.softmax.name: found arc, expected one of arcface, am_softmax"),
        (["loss.softmax.mm=2"], "loss.softmax.mm: unknown key"),
        (["loss.epsilon=0"], "loss.epsilon: found 0, expected"),
        (["evaluate.target_far=2"], "evaluate.target_far: found 2, expected"),
    ],
)
def test_mistakes_are_one_line(overrides, message) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("emoji-identity", overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model={name: small_cnn}"], "model.name: found small_cnn, expected a face network: iresnet, mobilefacenet"),
        (["loss=supcon"], "loss.name: found supcon, which learns from examples with classes, but emoji-identity has"),
        (["evaluate.select=map"], "evaluate.select: found 'map', expected one of accuracy, auc"),
    ],
)
def test_what_does_not_go_together(overrides, message) -> None:
    recipe = load_recipe(
        "emoji-identity", [*FACES, *(o for o in overrides)] if "model" not in overrides[0] else overrides
    )
    with pytest.raises(RecipeError, match=message):
        build_task(recipe, load_faces("emoji-identity", "synthetic", size=24))


def test_pairs_that_cannot_be_measured_are_refused() -> None:
    splits = load_faces("emoji-identity", "synthetic", size=24)
    check_verifiable(splits)
    genuine = replace(splits.val, same=torch.ones_like(splits.val.same))
    with pytest.raises(RunError, match="the pairs of val fill 10 folds, expected at least 2, each with genuine"):
        check_verifiable(replace(splits, val=genuine))


def test_means_over_sets_are_of_what_all_of_them_have() -> None:
    assert mean_metrics({"a": {"auc": 0.5, "x": 1.0}, "b": {"auc": 1.0}})["test/auc"] == 0.75
    assert "test/x" not in mean_metrics({"a": {"auc": 0.5, "x": 1.0}, "b": {"auc": 1.0}})


def test_published_schedules() -> None:
    casia = load_recipe("casia-webface")
    rates = [lr_factor(casia.schedule, 10 * epoch, 10, 50) for epoch in (0, 27, 28, 38, 46, 49)]
    assert rates == pytest.approx([1, 1, 0.1, 0.01, 0.001, 0.001])
    polynomial = load_recipe("ms1mv3").schedule
    assert [lr_factor(polynomial, step, 10, 20) for step in (0, 100, 200)] == pytest.approx([1, 0.25, 0])
