"""The loss inside a Lightning module: it trains, its memory is checkpointed, mixed precision leaves it be."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, TensorDataset

from monge.losses import BatchwiseOTLoss, CrossBatchMemory

lightning = pytest.importorskip("lightning")


class Task(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8))
        self.loss = CrossBatchMemory(BatchwiseOTLoss(), embedding_dim=8, size=48)
        self.values: list[float] = []

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        x, labels = batch
        value = self.loss(normalize(self.model(x), dim=1), labels)
        self.log("train/entropy", self.loss.loss.diagnostics().entropy)
        self.values.append(value.item())
        return value

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.parameters(), lr=1e-2)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_trains_and_saves_its_memory(precision: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    labels = torch.arange(96) % 4
    points = torch.randn(4, 6)[labels] + 0.3 * torch.randn(96, 6)
    task = Task()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning on loaders and loggers
        trainer = lightning.Trainer(
            max_epochs=8,
            accelerator="cpu",
            precision=precision,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        trainer.fit(task, DataLoader(TensorDataset(points, labels), batch_size=32, shuffle=True))
    assert task.values[-1] < 0.5 * max(task.values[1:4])
    assert 0 < trainer.callback_metrics["train/entropy"] <= 1
    assert all(parameter.dtype == torch.float32 for parameter in task.parameters())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    restored = Task.load_from_checkpoint(tmp_path / "last.ckpt")
    assert torch.equal(restored.loss.queue, task.loss.queue)
    assert int(restored.loss.filled) == 48
