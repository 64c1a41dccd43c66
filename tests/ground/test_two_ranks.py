"""Learned ground and XEMD's ratio in two processes: what one process would have got, also across a checkpoint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor

from monge.ground import Learned
from monge.losses import CrossEntropyEMDLoss

RANK = """
import sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

sys.path.insert(0, {here!r})
from test_two_ranks import Model, batches, one_rank_without_batches, train

torch.set_num_threads(1)
rank, meeting, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
dist.init_process_group("gloo", init_method="file://" + meeting, rank=rank, world_size=2)

def keep(model, name):
    state = {{"state": model.loss.state_dict(), "matrix": model.loss.learned.matrix()}}
    torch.save(state, f"{{folder}}/{{name}}{{rank}}.pt")

model = Model()
train(DistributedDataParallel(model), batches(rank, 2), model.loss, 0, 5, folder, rank)
keep(model, "whole")

dist.barrier()
resumed = Model()
resumed.load_state_dict(torch.load(folder + "/middle.pt", weights_only=True))
train(DistributedDataParallel(resumed), batches(rank, 2), resumed.loss, 3, 5, folder, rank)
keep(resumed, "resumed")

one_rank_without_batches(rank)
dist.destroy_process_group()
"""


class Model(torch.nn.Module):
    """Model and loss in one module, as a training task holds them: DDP sees the loss's buffers too."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = torch.nn.Linear(3, 6), torch.nn.Linear(6, 4)
        self.norm = torch.nn.BatchNorm1d(3)  # buffers that DDP does send around
        self.loss = CrossEntropyEMDLoss.xemd2(Learned(4, head_start=2))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        self.norm(x)
        features = self.body(x).relu()
        value: Tensor = self.loss(self.head(features), y, features)
        return value


def batches(rank: int, ranks: int) -> list[tuple[Tensor, Tensor]]:
    """Five batches of 12, of which each of several ranks gets its share."""
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(5, 12, 3, generator=generator), torch.arange(60).reshape(5, 12) % 4
    return [(x[step, rank::ranks], y[step, rank::ranks]) for step in range(5)]


def train(model, data, loss, first: int, last: int, folder: str, rank: int) -> None:
    """Epochs of two steps without an optimiser; a checkpoint in the middle of the second one, before step 3."""
    for step in range(first, last):
        if step == 3 and first < 3:
            loss.gather_state()
            if rank == 0:
                inner = getattr(model, "module", model)
                torch.save(inner.state_dict(), f"{folder}/middle.pt")
        model(*data[step])
        if step % 2 == 1:
            loss.end_epoch()


def one_rank_without_batches(rank: int) -> None:
    """The other learns even the length of the features at the end of the epoch."""
    ground = Learned(3)
    if rank == 0:
        ground.observe(torch.tensor([[4.0, 0.0], [3.0, 1.0], [0.0, 2.0]]), torch.tensor([0, 1, 2]))
    ground.refresh()
    assert ground.matrix().tolist() == [[0, 0.5, 1], [0.5, 0, 0.75], [1, 0.75, 0]]


def test_two_ranks_get_what_one_process_gets(tmp_path: Path) -> None:
    code = RANK.format(here=str(Path(__file__).parent))
    command = [sys.executable, "-c", code]
    ranks = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "rendezvous"), str(tmp_path)], stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    complaints = [process.communicate(timeout=120)[1] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], complaints

    alone = Model()
    train(alone, batches(0, 1), alone.loss, 0, 5, str(tmp_path), 0)
    expected = alone.loss.state_dict()
    assert float(alone.loss.emd_weight) > 0
    results = {name: torch.load(tmp_path / f"{name}.pt") for name in ("whole0", "whole1", "resumed0", "resumed1")}
    for name, result in results.items():
        assert torch.equal(result["matrix"], alone.loss.learned.matrix()), name
        for key in ("state.emd_weight", "ground.ground.state.centroids", "ground.ground.state.epoch"):
            torch.testing.assert_close(result["state"][key], expected[key], rtol=1e-6, atol=1e-9, msg=f"{name} {key}")
    for key in ("ground.ground.state.sums", "ground.ground.state.counts"):  # of the epoch that is under way
        for run in ("whole", "resumed"):
            parts = [results[f"{run}{rank}"]["state"][key] for rank in range(2)]
            torch.testing.assert_close(parts[0] + parts[1], expected[key], rtol=1e-6, atol=1e-9)
