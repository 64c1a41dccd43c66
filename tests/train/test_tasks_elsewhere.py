"""Training steps and measuring where the task is on another device: what the CPU gives, and nothing left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from elsewhere import elsewhere
from monge.ot import use_backend
from monge.recipes import load_recipe
from monge.recipes.smoke import smoke_recipe
from monge.train.building import build_task
from monge.train.loading import load_splits
from monge.train.run_files import RunFiles

SMALL = {
    "mnist": [],
    "mnist-released": [],
    "furniture": [],
    "furniture-pretrained": [],
    "diamonds": ["loss=xemd2"],
    "quality": ["loss=squared-emd", "loss.ground.name=learned"],
    "sketch-furniture": [],
    "emoji-clips": [],
    "msrvtt-1ka": [],
    "charades-sta": [],
    "emoji-identity": [],
}


def sent(batch: Any, device: torch.device) -> Any:
    return type(batch)(*(part.to(device) if isinstance(part, Tensor) else part for part in batch))


def run(name: str, settings: list[str], device: torch.device, folder: Path) -> tuple[list[Tensor], dict[str, float]]:
    """Losses of two steps and the weights after them, on the CPU; and the metrics of the test part."""
    recipe = smoke_recipe(load_recipe(name, settings))
    splits = load_splits(recipe)
    torch.manual_seed(0)
    task = build_task(recipe, splits).to(device).train()
    optimizer = task.configure_optimizers()
    losses = []
    for place, batch in zip(range(2), task.batches(splits, epoch=0)):
        torch.manual_seed(place)
        loss = task.training_step(sent(batch, device), place)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach().cpu())
    task.end_epoch()
    files = RunFiles(folder)
    files.open(recipe, resume=False, overwrite=False)
    return losses, task.run_test(splits, files)


@pytest.mark.parametrize("float64", [True, False])
@pytest.mark.parametrize("name", SMALL)
def test_steps_and_metrics_are_those_of_the_cpu(name: str, float64: bool, tmp_path: Path) -> None:
    with use_backend("torch"):
        expected = run(name, SMALL[name], torch.device("cpu"), tmp_path / "cpu")
        with elsewhere(float64=float64) as device:
            found = run(name, SMALL[name], device, tmp_path / "there")
    torch.testing.assert_close(found[0], expected[0], rtol=1e-4, atol=1e-5)
    assert found[1] == pytest.approx(expected[1], abs=0.02, nan_ok=True)
