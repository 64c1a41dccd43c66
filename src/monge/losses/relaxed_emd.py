"""Relaxed earth mover's distance over chains and trees of classes.

Source: M. Martinez, M. Haurilet, Z. Al-Halah, M. Tapaswi, R. Stiefelhagen, "Relaxed earth mover's distances for chain-
and tree-connected spaces and their use as a loss function in deep learning", arXiv 1611.07573; cited here as [REMD].
"""

from __future__ import annotations

import torch
from torch import Tensor

from monge.ground import GroundLike, Line, Tree, as_ground
from monge.losses.class_targets import ClassTargets, Reduction
from monge.losses.ground_loss import GroundLoss


def relaxed_emd(excess: Tensor, spans: Tensor | None = None, rho: float = 2.0) -> Tensor:
    """``sum_e l_e |phi_e|^rho`` over the links of a chain or tree [REMD].

    Args:
        excess: phi, by how much more mass the prediction has than the target on the far side of each link,
            ``(..., E)``.
        spans: Length l of each link, ``(E,)``; ``None``: 1.
        rho: Exponent, at least 1; 1 is the earth mover's distance.

    Returns:
        Shape ``(...)``.

    Example:
        >>> relaxed_emd(torch.tensor([0.5, -0.5]), rho=2.0), relaxed_emd(torch.tensor([0.5, -0.5]), rho=1.0)
        (tensor(0.5000), tensor(1.))
    """
    moved = excess.square() if rho == 2.0 else torch.pow(excess.abs(), rho)
    return (moved if spans is None else moved * spans.to(moved.dtype)).sum(-1)


class RelaxedEMDLoss(GroundLoss):
    """Earth mover's distance whose links charge a power of what crosses them, called like ``CrossEntropyLoss``.

    ``sum_e l_e |phi_e|^rho``: on a chain phi is the difference of the cumulative masses, on a tree that of the masses
    below an edge [REMD]. With rho = 1 all mass on the way to the target has the same gradient, however much it is; with
    rho = 2, the paper's choice, a link that carries much is urged most. On unit spacing and rho = 2 it is
    `monge.losses.SquaredEMDLoss`.

    The paper projects the gradient to the tangent of the simplex, by taking off its mean over the classes. There is
    nothing to do for that behind a softmax: its derivative ``diag(p) - p p'`` gives the same for a gradient with and
    without the mean.

    Args:
        ground: `Line` or `Tree` from `monge.ground`, or ``None``: a chain of unit spacing.
        rho: Exponent, at least 1.
        weight: Weight of each class ``(C,)``; a soft target weighs ``sum_k t_k w_k``.
        ignore_index: Class index that counts for nothing.
        label_smoothing: Share of the target that is spread over all classes evenly.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: A ground that is neither chain nor tree, or a value outside its range.

    Example:
        >>> loss = RelaxedEMDLoss(rho=1.5)
        >>> logits = torch.tensor([[0.36, 0.28, 0.36]]).log()
        >>> loss(logits, torch.tensor([1]))  # 2 * 0.36^1.5
        tensor(0.4320)
    """

    def __init__(
        self,
        ground: GroundLike = None,
        *,
        rho: float = 2.0,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        distance = as_ground(ground)
        if not isinstance(distance, Line | Tree):
            raise ValueError(
                f"ground is a {type(distance).__name__}: the relaxed EMD is defined on chains and trees, expected Line "
                "or Tree; for other distances there is SquaredEMDLoss"
            )
        if not rho >= 1:
            raise ValueError(f"rho is {rho}: expected an exponent of at least 1")
        super().__init__(
            distance, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction=reduction
        )
        self.rho = rho

    def _rows(self, batch: ClassTargets) -> Tensor:
        difference = batch.logits.softmax(-1) - batch.one_hot()  # (R, C)
        if isinstance(self.ground, Tree):
            return batch.weighted(relaxed_emd(self.ground.below(difference), self.ground.spans, self.rho))
        assert isinstance(self.ground, Line)
        self.ground.check(difference.shape[1])
        positions = self.ground.positions
        spans = None if positions is None else positions.diff()
        return batch.weighted(relaxed_emd(difference.cumsum(-1)[:, :-1], spans, self.rho))

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"rho={self.rho}, {super().extra_repr()}"
