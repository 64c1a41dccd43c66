"""A run whose loss learns by epochs, killed in the middle of one, ends with the numbers of a run left alone."""

from __future__ import annotations

import shlex
import signal

import pytest
import torch
from safetensors.torch import load_file

from conftest import ROWS
from monge.cli import main
from monge.recipes import load_recipe
from monge.train import fit
from monge.train.checkpoints import load_checkpoint
from monge.train.run_files import RunFiles

# 4 epochs of 40 steps. The distance comes in after the second, in which its weight is measured; checkpoint 63 is there.
LEARNED = (
    *ROWS,
    "train.steps_per_epoch=40",
    "train.checkpoint_every=9",
    "loss=xemd2",
    "loss.ground={name: learned, head_start: 2, momentum: 0.5}",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, fit(load_recipe("diamonds", LEARNED), folder, progress=False)


def same(a, b):
    """Whether two nested states hold the same numbers."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b


def check_as_if_nothing_had_happened(folder, whole, records):
    assert records(folder) == records(whole)
    ended, expected = (load_checkpoint(RunFiles(one).last) for one in (folder, whole))
    assert same({**ended, "seconds": 0}, {**expected, "seconds": 0})
    assert any("ranks" in name for name in ended["loss"])
    assert same(load_file(folder / "ground.safetensors"), load_file(whole / "ground.safetensors"))
    assert same(load_file(folder / "predictions.safetensors"), load_file(whole / "predictions.safetensors"))


def test_killed_in_the_middle_of_an_epoch_and_resumed(whole, started, records, tmp_path):
    process = started(tmp_path / "killed", 70, recipe="diamonds", settings=LEARNED)
    process.kill()
    process.wait()
    assert load_checkpoint(RunFiles(tmp_path / "killed").last)["step"] < 160
    resumed = fit(load_recipe("diamonds", LEARNED), tmp_path / "killed", resume=True, progress=False)
    assert str(resumed) == str(whole[1])
    check_as_if_nothing_had_happened(tmp_path / "killed", whole[0], records)


def test_from_a_checkpoint_within_an_epoch_to_the_same_state(whole, records, tmp_path):
    """Set back by hand to step 63 of a run that is done, its ground record being from later: all of it comes anew."""
    recipe = load_recipe("diamonds", LEARNED)
    kept = {}

    def keep(path, checkpoint):
        if checkpoint["step"] == 63 and "optimizer" in checkpoint:
            torch.save(dict(checkpoint), tmp_path / "at63.ckpt")
            kept["epoch_sums"] = {name: tensor.clone() for name, tensor in checkpoint["loss"].items()}
        return save(path, checkpoint)

    from monge.train import keeper

    save, keeper.save_checkpoint = keeper.save_checkpoint, keep
    try:
        fit(recipe, tmp_path / "run", progress=False)
    finally:
        keeper.save_checkpoint = save
    assert any(name.endswith("counts") and tensor.sum() > 0 for name, tensor in kept["epoch_sums"].items())
    (tmp_path / "at63.ckpt").replace(RunFiles(tmp_path / "run").last)
    fit(recipe, tmp_path / "run", resume=True, progress=False)
    check_as_if_nothing_had_happened(tmp_path / "run", whole[0], records)


def test_asked_to_stop_saves_and_says_how_to_go_on(whole, started, records, tmp_path, capsys):
    process = started(tmp_path / "run", 20, recipe="diamonds", settings=LEARNED)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    command = err.strip().splitlines()[-1].split("to go on: monge ")[1]
    assert main(shlex.split(command)) == 0
    assert f"{whole[1]['test/mae']:.4f}" in capsys.readouterr().out
    check_as_if_nothing_had_happened(tmp_path / "run", whole[0], records)
