"""Softmax cross-entropy over cosines with a margin: one classifier for ArcFace and all its kin."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, distributed, nn

from monge.losses.cosines import unit_rows
from monge.losses.gathered import gather_samples, several_processes
from monge.losses.margin_heads import Margin, MarginName, named_margin
from monge.losses.margins import HardForm, HardNegatives, straight_through
from monge.losses.pairs import check_integers
from monge.ot.once import only_once

MarginGradient = Literal["exact", "straight-through"]

# Logits are worked on in blocks of rows of about this many entries, so that temporaries stay small.
_BLOCK = 1 << 21
_TWICE = "a margin softmax has no second derivative: detach the first"


def margin_cross_entropy(
    cosine: Tensor, labels: Tensor, target: Tensor, scale: float, hard: HardNegatives | None = None
) -> Tensor:
    """``-log(exp(s t_i) / (exp(s t_i) + sum_j exp(s c_ij)))`` over the wrong classes j, for each sample i.

    Needs one tensor of the size of ``cosine`` beside it, for its gradient.

    Args:
        cosine: With all classes, float32 or float64, ``(N, C)``.
        labels: Right classes, ``(N,)``.
        target: t, what stands in the place of the cosine with the right class, ``(N,)``.
        scale: s.
        hard: How cosines with wrong classes above ``target`` grow; ``None``: not at all.

    Returns:
        ``(N,)``.

    Example:
        >>> cosine = torch.tensor([[0.5, 0.0]])
        >>> margin_cross_entropy(cosine, torch.tensor([0]), cosine[:, 0] - 0.5, scale=1.0)  # log 2
        tensor([0.6931])
    """
    form, t = (None, None) if hard is None else (hard.form, hard.t.to(cosine))
    losses: Tensor = _MarginCrossEntropy.apply(cosine, labels, target, scale, form, t)
    return losses


class MarginSoftmax(nn.Module):
    """A cosine classifier under a margin, called ``loss(embeddings, labels)``.

    The class vectors are parameters of the loss, ``weight (C, D)``, and must be trained with the network. Everything is
    computed in float32 (or float64), under autocast too; the parameters keep their dtype.

    Args:
        embedding_dim: D, length of an embedding.
        num_classes: C, number of identities.
        margin: A name with the settings of its paper, see `monge.losses.margin_heads.named_margin`, or a `Margin`.
        scale: Factor of the logits; ``None``: that of the margin.
        m: The margin's size, beside a name.
        gradient: ``"exact"``, or ``"straight-through"``: margins as constants of the backward pass.
        across_processes: What a margin learns of the batches (CurricularFace's t ...) and the mean of the losses are
            those of all processes' samples together, however many each one has; their gradients are to be averaged,
            as `torch.nn.parallel.DistributedDataParallel` does. Otherwise each process knows its own share alone.

    Raises:
        ValueError: A size, scale or name outside its range.

    Example:
        >>> loss = MarginSoftmax(embedding_dim=4, num_classes=3, margin="arcface", m=0.3)
        >>> loss(torch.randn(8, 4), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])).shape
        torch.Size([])
    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        margin: MarginName | Margin = "arcface",
        *,
        scale: float | None = None,
        m: float | None = None,
        gradient: MarginGradient = "exact",
        across_processes: bool = False,
    ) -> None:
        super().__init__()
        if embedding_dim < 1 or num_classes < 1 or (scale is not None and not scale > 0):
            raise ValueError(
                f"found embedding_dim {embedding_dim}, num_classes {num_classes} and scale {scale}: expected at least "
                "1, at least 1 and more than 0"
            )
        if gradient not in ("exact", "straight-through"):
            raise ValueError(f"gradient is {gradient!r}: expected 'exact' or 'straight-through'")
        if isinstance(margin, Margin) and m is not None:
            raise ValueError("m belongs to a margin given by name: set it in the Margin")
        self.margin = margin if isinstance(margin, Margin) else named_margin(margin, m)
        self.scale = self.margin.scale if scale is None else float(scale)
        self.gradient, self.across_processes = gradient, across_processes
        self.weight = nn.Parameter(torch.empty(num_classes, embedding_dim).normal_(std=0.01))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Returns the mean loss, a scalar of dtype float32 or float64; over no samples it is 0 with a graph.

        Across processes it is the process's share in the mean over all samples, times the number of processes: the
        mean over processes is the mean over all samples.

        Args:
            embeddings: Floats ``(N, D)``, of any length.
            labels: Integers in ``[0, C)``, ``(N,)``.

        Raises:
            ValueError: Shapes or labels that do not fit.
        """
        losses = self.per_sample(embeddings, labels)
        if self.across_processes and several_processes():
            share = torch.tensor([len(losses)], device=losses.device, dtype=losses.dtype)
            distributed.all_reduce(share)
            return losses.sum() * (distributed.get_world_size() / share.squeeze(0).clamp_min(1.0))
        return losses.sum() / max(len(losses), 1)

    def per_sample(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss of each sample, ``(N,)``; arguments as in `forward`."""
        self._check(embeddings, labels)
        labels = labels.to(embeddings.device, torch.long)
        with torch.autocast(embeddings.device.type, enabled=False):
            full = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
            cosine = self.cosines(full)  # (N, C)
            own = cosine.gather(1, labels.unsqueeze(1)).squeeze(1)  # (N,)
            norms = full.detach().norm(dim=1)  # (N,)
            if self.training:
                self._observe(own.detach(), norms)
            target = self.margin(own, norms)  # (N,)
            if self.gradient == "straight-through":
                target = straight_through(own, target)
            return margin_cross_entropy(cosine, labels, target, self.scale, self.margin.hard_negatives())

    def cosines(self, embeddings: Tensor) -> Tensor:
        """Cosines of embeddings ``(N, D)`` with all class vectors, ``(N, C)``; 0 for a vector of length 0."""
        with torch.autocast(embeddings.device.type, enabled=False):
            dtype = torch.promote_types(torch.promote_types(embeddings.dtype, self.weight.dtype), torch.float32)
            return unit_rows(embeddings.to(dtype)) @ unit_rows(self.weight.to(dtype)).T

    def _observe(self, cosine: Tensor, norms: Tensor) -> None:
        if self.across_processes and several_processes():
            cosine, norms = gather_samples(cosine), gather_samples(norms)
        if len(cosine):
            self.margin.observe(cosine, norms)

    def _check(self, embeddings: Tensor, labels: Tensor) -> None:
        classes, dim = self.weight.shape
        shape = embeddings.shape
        if len(shape) != 2 or shape[1] != dim or labels.shape != shape[:1] or not embeddings.is_floating_point():
            raise ValueError(
                f"found embeddings {embeddings.dtype} {tuple(shape)} and labels {tuple(labels.shape)}: expected floats "
                f"(N, {dim}) and (N,)"
            )
        check_classes(labels, classes)

    def extra_repr(self) -> str:
        """Settings as they were given."""
        classes, dim = self.weight.shape
        return f"{dim}, {classes}, scale={self.scale:g}, gradient={self.gradient!r}"


def check_classes(labels: Tensor, classes: int) -> None:
    """Refuses labels that are no classes.

    Args:
        labels: ``(N,)``.
        classes: How many there are.

    Raises:
        ValueError: No integers, or values outside ``[0, classes)``; in compiled graphs values are not looked at.

    Example:
        >>> check_classes(torch.tensor([0, 2]), 3)
    """
    check_integers(labels)
    # Reading values is beyond compiled graphs, and waits for the device once.
    if torch.compiler.is_compiling() or not len(labels):
        return
    low, high = (int(end) for end in torch.stack(torch.aminmax(labels)).tolist())
    if low < 0 or high >= classes:
        raise ValueError(
            f"labels lie in [{low}, {high}], expected [0, {classes - 1}]: number the classes from 0, and leave out "
            "samples without one"
        )


class _MarginCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cosine: Tensor,
        labels: Tensor,
        target: Tensor,
        scale: float,
        form: HardForm | None,
        t: Tensor | None,
    ) -> Tensor:
        totals = cosine.new_empty(len(cosine))  # (N,)
        for rows in _blocks(cosine):
            totals[rows] = _logits(cosine[rows], labels[rows], target[rows], scale, form, t).logsumexp(1)
        ctx.save_for_backward(cosine, labels, target, totals, t)
        ctx.scale, ctx.form = scale, form
        return totals - scale * target

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        cosine, labels, target, totals, t = ctx.saved_tensors
        with torch.no_grad():
            gradients = _gradients(cosine, labels, target, totals, t, grads[0], ctx.scale, ctx.form)
        to_cosine, to_target = only_once(gradients, _TWICE, grads[0], cosine, target)
        return to_cosine, None, to_target, None, None, None


def _gradients(
    cosine: Tensor,
    labels: Tensor,
    target: Tensor,
    totals: Tensor,
    t: Tensor | None,
    grad: Tensor,
    scale: float,
    form: HardForm | None,
) -> tuple[Tensor, Tensor]:
    """Gradients to the cosines with wrong classes ``(N, C)`` and to the target ``(N,)``."""
    weight = scale * grad  # (N,)
    grad_cosine, right = torch.empty_like(cosine), torch.empty_like(target)
    for rows in _blocks(cosine):
        part, column = cosine[rows], labels[rows].unsqueeze(1)
        share = _logits(part, labels[rows], target[rows], scale, form, t)
        share = share.sub_(totals[rows].unsqueeze(1)).exp_()  # softmax
        right[rows] = share.gather(1, column).squeeze(1)
        share = share.scatter_(1, column, 0.0).mul_(weight[rows].unsqueeze(1))
        if form is not None and t is not None:
            share = share.mul_(HardNegatives(form, t).slope(part, target[rows].unsqueeze(1)))
        grad_cosine[rows] = share
    return grad_cosine, weight * (right - 1.0)


def _blocks(cosine: Tensor) -> list[slice]:
    if cosine.numel() <= _BLOCK:  # without a loop, since a compiled graph would be made anew for each number of rows
        return [slice(None)]
    size = max(1, _BLOCK // max(cosine.shape[1], 1))
    return [slice(start, start + size) for start in range(0, len(cosine), size)]


def _logits(
    cosine: Tensor, labels: Tensor, target: Tensor, scale: float, form: HardForm | None, t: Tensor | None
) -> Tensor:
    if form is not None and t is not None:
        cosine = HardNegatives(form, t).apply(cosine, target.unsqueeze(1))
    return (scale * cosine).scatter_(1, labels.unsqueeze(1), scale * target.unsqueeze(1))
