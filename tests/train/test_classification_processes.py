"""``--devices 2`` for classes: gradients are averaged, and what is learned by epochs is the same in both processes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from conftest import ROWS
from monge.data import load_table
from monge.recipes import load_recipe
from monge.train.batch_samplers import build_sampler
from monge.train.batches import Batch
from monge.train.building import build_task
from monge.train.checkpoints import load_checkpoint

SETTINGS = (
    *ROWS,
    "train.epochs=3",
    "train.steps_per_epoch=3",
    "train.checkpoint_every=2",
    "loss=xemd1",
    "loss.ground={name: learned, head_start: 2}",
    "optimizer.name=sgd",
    "optimizer.lr=0.5",
    "schedule.name=constant",
    "seed=3",
)


def by_hand(recipe, splits):
    """One process that takes both shares of each batch and averages their losses."""
    task = build_task(recipe, splits).train()
    optimizer = task.configure_optimizers()
    samplers = [build_sampler(recipe, splits.train, 3, rank, 2) for rank in range(2)]
    for epoch in range(3):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        for place, shares in enumerate(zip(*samplers, strict=True)):
            parts = []
            for chosen in shares:
                rows = splits.train.inputs(chosen)
                parts.append(task.batch_loss(rows, Batch(rows, splits.train.labels[chosen], epoch, place)))
            optimizer.zero_grad()
            torch.stack(parts).mean().backward()
            optimizer.step()
        task.end_epoch()
    return task


def test_two_processes_train_as_one_that_takes_both_shares(tmp_path, records):
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    command = [sys.executable, "-m", "monge", "train", "diamonds", "--out", str(tmp_path / "ddp"), "--devices", "2"]
    done = subprocess.run([*command, *words, "--device", "cpu"], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("results:") == 1

    task = by_hand(load_recipe("diamonds", SETTINGS), load_table("diamonds", "synthetic"))
    ended = load_checkpoint(tmp_path / "ddp" / "checkpoints" / "last.ckpt")
    for name, tensor in task.model.state_dict().items():
        torch.testing.assert_close(ended["model"][name], tensor, rtol=1e-4, atol=1e-6)
    # With other distances in the two processes the weights above would differ, and so would these.
    ground = load_file(tmp_path / "ddp" / "ground.safetensors")
    torch.testing.assert_close(ground["matrix"], task.loss.learned.matrix())
    lines = [line for line in records(tmp_path / "ddp") if "train/loss" in line]
    assert len(lines) == 9
    assert lines[-1]["train/emd_weight"] == pytest.approx(task.loss.emd_weight, rel=1e-4)
    assert [line["train/emd_weight"] > 0 for line in lines] == [False] * 6 + [True] * 3
    for line in lines[6:]:  # means over both processes, so that the terms add up to the loss
        total = line["train/cross_entropy"] + line["train/emd_weight"] * line["train/emd"]
        assert line["train/loss"] == pytest.approx(total, rel=1e-5)
