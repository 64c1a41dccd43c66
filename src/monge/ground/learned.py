"""The self-guided ground distance: classes are as far apart as the network's own features put them.

Source: L. Hou, C.-P. Yu, D. Samaras, "Squared earth mover's distance-based loss for training deep neural networks",
arXiv 1611.05916; cited here as [SEMD].
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from monge.ground.base import Ground
from monge.ground.centroid_ranks import MOST_CLASSES, rank_pairs, update_ranks
from monge.ground.rank_state import RankState, processes
from monge.ot.precision import widest_float


class Learned(Ground):
    """Distances from features seen in training, brought up to date after each epoch [SEMD, self-guided distance].

    Every feature vector is divided by the sum of its magnitudes (features after a ReLU are meant, so that this is
    its sum), the centroid of a class is the mean of its vectors, and classes are compared by the Euclidean distance
    of their centroids. ``r_ij`` is the rank of class j among the classes by distance from i (0 for i itself, ties get
    their mean rank), and ``D = (r + r') / 2 (C - 1)``, in [0, 1].

    ``observe`` each batch, ``refresh`` at the end of each epoch; a loss with this ground does both (its forward takes
    the features, its ``end_epoch`` refreshes). Feature vectors that are zero or not finite are left out. A class
    that was not seen in an epoch keeps its last row and column, and counts with its last centroid in the ranks of the
    others; one that was never seen is at distance 1 from all others. `missed` says how many were not seen.

    Everything is in ``state_dict``, sums and counts of the running epoch included: a run resumed anywhere goes on as
    if nothing had happened. Over several processes sums and counts are added up at ``refresh``; before a checkpoint
    in the middle of an epoch call ``gather`` in each of them. Memory is two bytes for a pair of classes and
    24 for an entry of a centroid.

    Args:
        num_classes: C, at most 16,384.
        feature_dim: Length of the features; ``None``: that of the first batch.
        head_start: Epochs that a loss trains with cross-entropy alone; the paper's programs take 4.
        momentum: Share of a class's last centroid in its new one (a moving average over epochs), in [0, 1);
            ``None``: none, as in the paper's programs.

    Attributes:
        epoch: Epochs finished.
        ready: Whether distances exist, which is so from the first ``refresh`` on.
        in_head_start: Whether a loss is to leave the distances alone yet.
        missed: Classes not seen in the last epoch.

    Raises:
        ValueError: A value outside its range.

    Example:
        >>> ground = Learned(3)
        >>> ground.observe(torch.tensor([[4.0, 0.0], [3.0, 1.0], [0.0, 2.0]]), torch.tensor([0, 1, 2]))
        >>> ground.refresh()
        >>> ground.matrix()
        tensor([[0.0000, 0.5000, 1.0000],
                [0.5000, 0.0000, 0.7500],
                [1.0000, 0.7500, 0.0000]])
    """

    num_classes: int

    def __init__(
        self, num_classes: int, feature_dim: int | None = None, *, head_start: int = 4, momentum: float | None = None
    ) -> None:
        if not 1 <= num_classes <= MOST_CLASSES:
            raise ValueError(f"num_classes is {num_classes}: expected 1 to {MOST_CLASSES}")
        if feature_dim is not None and feature_dim < 1:
            raise ValueError(f"feature_dim is {feature_dim}: expected at least 1, or None to take it from the features")
        if head_start < 0:
            raise ValueError(f"head_start is {head_start}: expected a number of epochs, 0 or more")
        if momentum is not None and not 0.0 <= momentum < 1.0:
            raise ValueError(f"momentum is {momentum}: expected a share from 0 on and below 1, or None")
        super().__init__(num_classes)
        self.feature_dim, self.head_start, self.momentum = feature_dim, head_start, momentum
        self.state = RankState(
            {
                "ranks": torch.empty(0, 0, dtype=torch.int16),  # (C, C) once there are distances
                "centroids": torch.zeros(num_classes, 0, dtype=torch.float64),  # (C, F) once a batch was seen
                "known": torch.zeros(num_classes, dtype=torch.bool),
                "epoch": torch.zeros((), dtype=torch.int64),
                "missed": torch.zeros((), dtype=torch.int64),
            },
            {
                "sums": torch.zeros(num_classes, 0, dtype=torch.float64),  # (C, F) once a batch was seen
                "counts": torch.zeros(num_classes, dtype=torch.float64),
            },
        )
        self._look_at_state()
        self.register_load_state_dict_post_hook(Learned._after_load)  # type: ignore[no-untyped-call]

    @property
    def device(self) -> torch.device:
        """Where the distances are kept."""
        return self.state["counts"].device

    @torch.no_grad()
    def observe(self, features: Tensor, labels: Tensor) -> None:
        """Adds a batch to the centroids of the running epoch; nothing waits for the device.

        Args:
            features: Activations ``(N, F)`` or ``(N, F, ...)``; no gradient is kept.
            labels: Class indices ``(N, ...)``, of which negative ones are left out, or probabilities ``(N, C, ...)``,
                by which a vector counts for several classes.

        Raises:
            ValueError: Shapes that do not fit each other or the features seen before.
        """
        rows = _rows(features)  # (R, F)
        self._size_up(rows)
        sums, counts = self.state["sums"], self.state["counts"]
        size = rows.abs().sum(1, keepdim=True)  # (R, 1)
        useful = torch.isfinite(size) & (size > 0)  # (R, 1)
        shares = torch.where(useful, rows / torch.where(useful, size, 1.0), 0.0).to(sums.dtype)  # (R, F)
        if labels.is_floating_point():
            members = (_rows(labels) * useful).to(sums.dtype)  # (R, C)
            if members.shape != (len(rows), self.num_classes):
                raise _unfit(features, labels)
            sums.addmm_(members.t(), shares)
            counts.add_(members.sum(0))
            return
        flat = labels.reshape(-1).long()
        if len(flat) != len(rows):
            raise _unfit(features, labels)
        counted = (flat >= 0) & useful.squeeze(1)  # (R,)
        flat = flat.clamp_min(0)
        sums.index_add_(0, flat, torch.where(counted.unsqueeze(1), shares, 0.0))
        counts.index_add_(0, flat, counted.to(counts.dtype))

    @torch.no_grad()
    def refresh(self) -> None:
        """Ends an epoch: new centroids and ranks from what was observed, in every process the same."""
        self._agree_on_size()
        self.state.reduce()
        counts = self.state["counts"]
        seen = counts > 0
        if bool(seen.any()):
            self._move_centroids(seen)
            if not self.ready:
                self.state["ranks"] = rank_pairs(self.num_classes, self.device)
            update_ranks(self.state["ranks"], self.state["centroids"], self.state["known"], seen)
        self.state["epoch"] += 1
        self.state["missed"] = (~seen).sum()
        self.state.clear()
        self._look_at_state()

    def gather(self) -> None:
        """Brings what all processes have seen so far to the first one, whose ``state_dict`` then holds all of it.

        To be called in every process before a checkpoint is written in the middle of an epoch; see `RankState`.
        """
        self._agree_on_size()
        self.state.gather()

    def _columns(self, labels: Tensor, num_classes: int) -> Tensor:
        if not self.ready:
            raise RuntimeError(
                "a learned ground has no distances yet: observe() an epoch of features, then refresh() at its end"
            )
        most = 2 * (num_classes - 1)
        return (self.state["ranks"].index_select(0, labels).to(torch.float32) + most) / max(1, 2 * most)  # (N, C)

    def _size_up(self, rows: Tensor) -> None:
        """Makes room for features of the length that the first batch has."""
        found, wanted = rows.shape[1], self.state["sums"].shape[1] or self.feature_dim or rows.shape[1]
        if found != wanted:
            raise ValueError(f"features have length {found}: expected {wanted}, as before or as feature_dim says")
        if self.state["sums"].device != rows.device:
            self.state.to(rows.device)
        if self.state["sums"].shape[1] == 0:
            self._make_room(found)

    def _make_room(self, length: int) -> None:
        dtype = widest_float(self.device)
        for name in ("sums", "centroids"):
            self.state[name] = torch.zeros(self.num_classes, length, dtype=dtype, device=self.device)

    def _agree_on_size(self) -> None:
        """A process that saw no batch learns from the others how long features are."""
        if processes() == 1:
            return
        length = torch.tensor(self.state["sums"].shape[1], device=self.device)
        dist.all_reduce(length, op=dist.ReduceOp.MAX)
        if self.state["sums"].shape[1] == 0 and int(length) > 0:
            self._make_room(int(length))

    def _move_centroids(self, seen: Tensor) -> None:
        sums, counts, last, known = (self.state[name] for name in ("sums", "counts", "centroids", "known"))
        means = sums / torch.where(seen, counts, 1.0).unsqueeze(1)  # (C, F)
        kept = torch.where(known, self.momentum or 0.0, 0.0).to(means.dtype)  # (C,)
        moved = torch.lerp(means, last, kept.unsqueeze(1))
        self.state["centroids"] = torch.where(seen.unsqueeze(1), moved, last)
        self.state["known"] = known | seen

    def _look_at_state(self) -> None:
        # Copies on the host, so that no forward pass waits for the device.
        self.epoch, self.missed = int(self.state["epoch"]), int(self.state["missed"])
        self.ready = len(self.state["ranks"]) > 0
        self.in_head_start = not self.ready or self.epoch < self.head_start

    @staticmethod
    def _after_load(module: Any, _: Any) -> None:
        assert isinstance(module, Learned)
        held = len(module.state["counts"])
        if held != module.num_classes:
            raise RuntimeError(f"the state of a learned ground holds {held} classes, expected {module.num_classes}")
        module._look_at_state()

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"num_classes={self.num_classes}, head_start={self.head_start}, momentum={self.momentum}"


def _rows(values: Tensor) -> Tensor:
    if values.dim() < 2:
        raise ValueError(f"features have shape {tuple(values.shape)}: expected (N, F)")
    rows = values.detach().movedim(1, -1).reshape(-1, values.shape[1])
    return rows.to(torch.promote_types(rows.dtype, torch.float32))


def _unfit(features: Tensor, labels: Tensor) -> ValueError:
    return ValueError(
        f"features have shape {tuple(features.shape)} and labels {tuple(labels.shape)}: expected features "
        "(N, F, ...) and a label, or probabilities of all classes, for each"
    )
