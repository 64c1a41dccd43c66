"""``--devices 2``: each process computes the loss within its share of the batch, and the gradients are averaged."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from conftest import TINY
from monge.data import load_images
from monge.recipes import load_recipe
from monge.train.batch_samplers import build_sampler
from monge.train.batches import Batch
from monge.train.building import build_task
from monge.train.checkpoints import load_checkpoint

SETTINGS = (
    *TINY,
    "train.epochs=1",
    "train.steps_per_epoch=2",
    "sampler.samples_per_class=4",
    "optimizer.name=sgd",
    "optimizer.lr=0.1",
    "seed=3",
)


def test_two_processes_average_the_gradients_of_their_shares(tmp_path, records):
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    command = [sys.executable, "-m", "monge", "train", "mnist", "--out", str(tmp_path / "ddp"), "--devices", "2"]
    done = subprocess.run([*command, *words, "--device", "cpu"], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("results:") == 1
    assert "Warning" not in done.stderr

    recipe = load_recipe("mnist", SETTINGS)
    splits = load_images("mnist", "synthetic")
    task = build_task(recipe, splits)
    optimizer = task.configure_optimizers()
    samplers = [iter(build_sampler(recipe, splits.train, 2, rank, 2)) for rank in range(2)]
    losses = []
    for place, factor in enumerate((1.0, 0.5)):  # half a cosine over two steps
        shares = []
        for rank, sampler in enumerate(samplers):
            chosen = next(sampler)
            batch = Batch(splits.train.inputs(chosen), splits.train.labels[chosen], 0, place)
            shares.append(share_loss(task, batch, rank))
        loss = torch.stack(shares).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = 0.1 * factor
        optimizer.step()
        losses.append(loss.item())
    logged = [line["train/loss"] for line in records(tmp_path / "ddp") if "train/loss" in line]
    assert logged == pytest.approx(losses, rel=1e-5)
    saved = load_checkpoint(tmp_path / "ddp" / "checkpoints" / "last.ckpt")["model"]
    for name, tensor in task.model.state_dict().items():
        torch.testing.assert_close(saved[name], tensor, rtol=1e-4, atol=1e-6)


def share_loss(task, batch, rank):
    """The loss of one process's share, as written in `Task.training_step`."""
    from monge.train.seeds import AUGMENT, mixed_seed

    generator = torch.Generator().manual_seed(mixed_seed(AUGMENT, task.recipe.seed, batch.epoch, batch.place, rank))
    return task.loss(task.model(task.pixels(batch.inputs, generator)), batch.labels)
