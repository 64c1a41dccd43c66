"""The margins of `monge.losses.margins` as modules: their settings, and what some of them learn from the batches."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from monge.losses.margins import HardForm, HardNegatives, adaface, arcface, combined, cosface

MarginName = Literal[
    "arcface",
    "am-softmax",
    "cosface",
    "sphereface",
    "combined",
    "curricularface",
    "mv-am-softmax",
    "mv-arcface",
    "adaface",
]


class Margin(nn.Module):
    """What a margin softmax does to the cosine with the right class; subclass it for a margin of your own.

    Attributes:
        scale: The published factor of the logits.
    """

    scale: float = 64.0

    def forward(self, cosine: Tensor, norms: Tensor) -> Tensor:
        """The cosines with their margin, ``(N,)``.

        Args:
            cosine: Of each embedding with its class, ``(N,)``.
            norms: Lengths of the embeddings, ``(N,)``, without gradient.
        """
        raise NotImplementedError

    def observe(self, cosine: Tensor, norms: Tensor) -> None:
        """Takes note of a training batch, before its margins are applied; by default nothing."""

    def hard_negatives(self) -> HardNegatives | None:
        """How hard wrong classes grow; by default not at all."""
        return None


class ArcFace(Margin):
    """``cos(theta + m)``; see `monge.losses.margins.arcface`.

    Example:
        >>> ArcFace(0.5)(torch.tensor([0.0]), torch.ones(1))
        tensor([-0.4794])
    """

    def __init__(self, m: float = 0.5, *, fallback: bool = False) -> None:
        super().__init__()
        self.m, self.fallback = m, fallback

    def forward(self, cosine: Tensor, norms: Tensor) -> Tensor:
        """The cosines with their margin, ``(N,)``."""
        return arcface(cosine, self.m, fallback=self.fallback)

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"m={self.m}, fallback={self.fallback}"


class CosFace(Margin):
    """``cos theta - m``; see `monge.losses.margins.cosface`.

    Example:
        >>> CosFace()(torch.tensor([0.5]), torch.ones(1))
        tensor([0.1500])
    """

    def __init__(self, m: float = 0.35) -> None:
        super().__init__()
        self.m = m

    def forward(self, cosine: Tensor, norms: Tensor) -> Tensor:
        """The cosines with their margin, ``(N,)``."""
        return cosface(cosine, self.m)

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"m={self.m}"


class CombinedMargin(Margin):
    """``cos(m1 theta + m2) - m3``; see `monge.losses.margins.combined`.

    Example:
        >>> CombinedMargin(1.0, 0.0, 0.35)(torch.tensor([0.5]), torch.ones(1))
        tensor([0.1500])
    """

    def __init__(self, m1: float = 1.0, m2: float = 0.3, m3: float = 0.2, *, monotone: bool = False) -> None:
        super().__init__()
        self.m1, self.m2, self.m3, self.monotone = m1, m2, m3, monotone

    def forward(self, cosine: Tensor, norms: Tensor) -> Tensor:
        """The cosines with their margin, ``(N,)``."""
        return combined(cosine, self.m1, self.m2, self.m3, monotone=self.monotone)

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"m1={self.m1}, m2={self.m2}, m3={self.m3}, monotone={self.monotone}"


class CurricularFace(ArcFace):
    """ArcFace with its fallback, and wrong classes that are hard made harder as training goes on [CurricularFace].

    ``t``, a buffer, is a moving average of the cosines with the right class; wrong cosines above ``cos(theta + m)``
    become ``c (t + c)``.

    Args:
        m: Additive angle.
        momentum: Share of a new batch in ``t``.

    Example:
        >>> margin = CurricularFace(momentum=0.1)
        >>> margin.observe(torch.tensor([0.5]), torch.ones(1))
        >>> margin.t
        tensor(0.0500)
    """

    t: Tensor

    def __init__(self, m: float = 0.5, *, momentum: float = 0.01) -> None:
        super().__init__(m, fallback=True)
        self.momentum = momentum
        self.register_buffer("t", torch.tensor(0.0))

    def observe(self, cosine: Tensor, norms: Tensor) -> None:
        """Moves ``t`` towards the mean cosine."""
        _move(self.t, cosine, self.momentum)

    def hard_negatives(self) -> HardNegatives:
        """``c (t + c)``."""
        return HardNegatives("curricular", self.t.clone())


class MVSoftmax(Margin):
    """Margin softmax in which wrong classes above the right one's margin weigh more [MV].

    The margin itself applies only where it costs: not to cosines at or below 0 (``base="arcface"``) or below m
    (``"cosface"``), as the published program has it.

    Args:
        base: ``"cosface"`` (MV-AM) or ``"arcface"`` (MV-Arc).
        m: Of the base; by default 0.35 and 0.5.
        t: How much hard wrong classes grow; with a momentum, where it starts.
        adaptive: Grow with the cosine, ``c + t (c + 1)``, or by ``t`` for all.
        momentum: Share of a new batch's mean cosine with the right class in ``t``; 0: t is fixed.

    Raises:
        ValueError: An unknown base.

    Example:
        >>> MVSoftmax("cosface")(torch.tensor([0.5, 0.1]), torch.ones(2))
        tensor([0.1500, 0.1000])
    """

    t: Tensor
    scale = 32.0

    def __init__(
        self,
        base: Literal["cosface", "arcface"] = "cosface",
        m: float | None = None,
        *,
        t: float = 0.2,
        adaptive: bool = True,
        momentum: float = 0.0,
    ) -> None:
        super().__init__()
        if base not in ("cosface", "arcface"):
            raise ValueError(f"base is {base!r}: expected 'cosface' or 'arcface'")
        self.base, self.momentum = base, momentum
        self.m = m if m is not None else (0.35 if base == "cosface" else 0.5)
        self.form: HardForm = "mv-adaptive" if adaptive else "mv-fixed"
        self.register_buffer("t", torch.tensor(float(t)))

    def forward(self, cosine: Tensor, norms: Tensor) -> Tensor:
        """The cosines with their margin, ``(N,)``."""
        if self.base == "cosface":
            return torch.where(cosine > self.m, cosface(cosine, self.m), cosine)
        return torch.where(cosine > 0, arcface(cosine, self.m), cosine)

    def observe(self, cosine: Tensor, norms: Tensor) -> None:
        """Moves ``t`` towards the mean cosine, where it moves at all."""
        if self.momentum > 0:
            _move(self.t, cosine, self.momentum)

    def hard_negatives(self) -> HardNegatives:
        """``c + t (c + 1)`` or ``c + t``."""
        return HardNegatives(self.form, self.t.clone())

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"base={self.base!r}, m={self.m}, form={self.form!r}, momentum={self.momentum}"


class AdaFace(Margin):
    """Margins that follow the quality of a picture, read off the length of its embedding; see `margins.adaface`.

    Lengths are measured against their moving mean and standard deviation, which are buffers.

    Args:
        m: Size of both margins.
        h: Lengths of a standard deviation times ``1 / h`` off the mean count as best or worst.
        momentum: Share of a new batch in the moving figures.

    Example:
        >>> margin = AdaFace()
        >>> margin.quality(torch.tensor([20.0, 500.0]))
        tensor([0.0000, 0.2664])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, m: float = 0.4, *, h: float = 0.333, momentum: float = 0.01) -> None:
        super().__init__()
        self.m, self.h, self.momentum = m, h, momentum
        self.register_buffer("mean", torch.tensor(20.0))
        self.register_buffer("std", torch.tensor(100.0))

    def quality(self, norms: Tensor) -> Tensor:
        """Quality in ``[-1, 1]`` of lengths ``(N,)``."""
        clipped = norms.detach().clamp(1e-3, 100.0)
        return ((clipped - self.mean) / (self.std + 1e-3) * self.h).clamp(-1.0, 1.0)

    def forward(self, cosine: Tensor, norms: Tensor) -> Tensor:
        """The cosines with their margins, ``(N,)``."""
        return adaface(cosine, self.quality(norms).to(cosine.dtype), self.m)

    def observe(self, cosine: Tensor, norms: Tensor) -> None:
        """Moves mean and standard deviation; a batch of one has no deviation and leaves that as it is."""
        clipped = norms.detach().clamp(1e-3, 100.0)
        _move(self.mean, clipped, self.momentum)
        if len(clipped) > 1:
            _move(self.std, clipped.std(), self.momentum)

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"m={self.m}, h={self.h}"


def named_margin(name: MarginName, m: float | None = None) -> Margin:
    """A margin by its name, with the settings of its paper.

    Args:
        name: See `MarginName`; ``"sphereface"`` is the monotone ``cos(m theta)`` with m = 1.7.
        m: Its one margin, if not the published one.

    Raises:
        ValueError: An unknown name, or an ``m`` for ``"combined"``, which has three.

    Example:
        >>> named_margin("am-softmax")
        CosFace(m=0.35)
    """
    if name not in get_args(MarginName):
        raise ValueError(f"margin is {name!r}: expected one of {', '.join(get_args(MarginName))}, or a Margin")
    if name == "combined":
        if m is not None:
            raise ValueError("margin 'combined' has three margins: pass CombinedMargin(m1, m2, m3) instead of m")
        return CombinedMargin()
    if name == "sphereface":
        return CombinedMargin(1.7 if m is None else m, 0.0, 0.0, monotone=True)
    if name in ("mv-am-softmax", "mv-arcface"):
        return MVSoftmax("cosface" if name == "mv-am-softmax" else "arcface", m)
    if name in ("am-softmax", "cosface"):
        return CosFace() if m is None else CosFace(m)
    kind = {"arcface": ArcFace, "curricularface": CurricularFace, "adaface": AdaFace}[name]
    made: Margin = kind() if m is None else kind(m)
    return made


@torch.no_grad()
def _move(average: Tensor, batch: Tensor, momentum: float) -> None:
    """Moves an average towards the mean of a batch in place; an empty or broken batch moves nothing."""
    mean = batch.detach().mean().to(average)
    average.copy_(torch.where(mean.isfinite(), average + momentum * (mean - average), average))
