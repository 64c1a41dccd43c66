"""Margins of softmax losses over cosines: what each does to the cosine with the right class, and to those with others.

All are functions of cosines alone, exact in value and derivative, finite at -1 and 1 (where an embedding lies on its
class vector the derivative of the angle is taken as 0; its product with the cosine's own derivative is 0 there anyway).

Sources: [SphereFace] Liu et al., CVPR 2017; [CosFace] Wang et al., CVPR 2018, and, as AM-Softmax, Wang et al., IEEE
SPL 2018; [ArcFace] Deng et al., CVPR 2019; [MV] Wang et al., "Mis-classified vector guided softmax", AAAI 2020;
[CurricularFace] Huang et al., CVPR 2020; [AdaFace] Kim et al., CVPR 2022.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

HardForm = Literal["curricular", "mv-adaptive", "mv-fixed"]


def arcface(cosine: Tensor, m: float = 0.5, *, fallback: bool = False) -> Tensor:
    """``cos(theta + m)`` [ArcFace].

    Past ``theta = pi - m`` it grows again, so that the worst samples are pushed away from their class.

    Args:
        cosine: Of each embedding with its own class, any shape.
        m: Additive angle in radians.
        fallback: Use ``cos theta - m sin m`` past ``pi - m``, as released programs do: never the wrong direction, at
            the price of a jump.

    Example:
        >>> arcface(torch.tensor([1.0, 0.0, -1.0]), 0.5)
        tensor([ 0.8776, -0.4794, -0.8776])
    """
    shifted = cosine * math.cos(m) - sine_of(cosine) * math.sin(m)
    if not fallback:
        return shifted
    return torch.where(cosine > -math.cos(m), shifted, cosine - m * math.sin(m))


def cosface(cosine: Tensor, m: float = 0.35) -> Tensor:
    """``cos theta - m`` [CosFace], also known as AM-Softmax.

    Args:
        cosine: Of each embedding with its own class, any shape.
        m: Additive margin.

    Example:
        >>> cosface(torch.tensor([1.0, 0.0]))
        tensor([ 0.6500, -0.3500])
    """
    return cosine - m


def combined(cosine: Tensor, m1: float = 1.0, m2: float = 0.0, m3: float = 0.0, *, monotone: bool = False) -> Tensor:
    """``cos(m1 theta + m2) - m3``: SphereFace, ArcFace and CosFace at once [ArcFace].

    Args:
        cosine: Of each embedding with its own class, any shape.
        m1: Factor of the angle [SphereFace].
        m2: Additive angle.
        m3: Additive margin.
        monotone: Where ``phi = m1 theta + m2`` passes ``k pi``, go on falling: ``(-1)^k cos phi - 2k`` [SphereFace].

    Example:
        >>> combined(torch.tensor([1.0, 0.0, -1.0]), m1=2.0, monotone=True)
        tensor([ 1., -1., -3.])
    """
    phi = m1 * angle_of(cosine) + m2
    if not monotone:
        return phi.cos() - m3
    turns = (phi.detach() / math.pi).floor()
    sign = 1.0 - 2.0 * torch.remainder(turns, 2.0)
    return sign * phi.cos() - 2.0 * turns - m3


def adaface(cosine: Tensor, quality: Tensor, m: float = 0.4) -> Tensor:
    """``cos(theta - m q) - m (q + 1)``, the angle kept within ``[0, pi]`` [AdaFace].

    Good pictures (q = 1) get twice the margin m on the cosine and are relieved of m on the angle; poor ones (q = -1)
    get m on the angle alone, as in ArcFace.

    Args:
        cosine: Of each embedding with its own class, any shape.
        quality: Of each embedding, in ``[-1, 1]``, from its length; a constant of the backward pass.
        m: Size of both margins.

    Example:
        >>> adaface(torch.zeros(3), torch.tensor([-1.0, 0.0, 1.0]), m=0.4)
        tensor([-0.3894, -0.4000, -0.4106])
    """
    quality = quality.detach()
    return (angle_of(cosine) - m * quality).clamp(1e-3, math.pi - 1e-3).cos() - m * (quality + 1.0)


def straight_through(cosine: Tensor, with_margin: Tensor) -> Tensor:
    """The value of ``with_margin`` with the gradient of ``cosine``: margins as constants of the backward pass.

    What programs do that apply the margin in place and without gradient; the margin then decides how much a sample
    weighs but not how steep its own logit is.

    Args:
        cosine: Before the margin.
        with_margin: After it, same shape.

    Example:
        >>> cosine = torch.tensor([0.3], requires_grad=True)
        >>> straight_through(cosine, arcface(cosine)).backward(torch.ones(1))
        >>> cosine.grad
        tensor([1.])
    """
    return cosine + (with_margin - cosine).detach()


class HardNegatives(NamedTuple):
    """How cosines with wrong classes grow where they exceed the cosine with the right one (its margin taken off).

    Attributes:
        form: ``"curricular"``: ``c (t + c)`` [CurricularFace]. ``"mv-adaptive"``: ``c + t (c + 1)`` [MV].
            ``"mv-fixed"``: ``c + t`` [MV].
        t: Scalar tensor, a constant of the backward pass.
    """

    form: HardForm
    t: Tensor

    def apply(self, cosine: Tensor, threshold: Tensor) -> Tensor:
        """Cosines with wrong classes, hard ones grown.

        Args:
            cosine: ``(N, C)``.
            threshold: Of each row, ``(N, 1)``; above it a cosine is hard.

        Example:
            >>> hard = HardNegatives("mv-fixed", torch.tensor(0.2))
            >>> hard.apply(torch.tensor([[0.1, 0.5]]), torch.tensor([[0.3]]))
            tensor([[0.1000, 0.7000]])
        """
        if self.form == "curricular":
            grown = cosine * (self.t + cosine)
        elif self.form == "mv-adaptive":
            grown = torch.addcmul(self.t, cosine, self.t + 1.0)
        else:
            grown = cosine + self.t
        return torch.where(cosine > threshold, grown, cosine)

    def slope(self, cosine: Tensor, threshold: Tensor) -> Tensor:
        """Derivative of `apply` to the cosines, ``(N, C)``; hard or not is no question of degree."""
        if self.form == "curricular":
            grown = self.t + 2.0 * cosine
        elif self.form == "mv-adaptive":
            grown = (self.t + 1.0).expand_as(cosine)
        else:
            return torch.ones_like(cosine)
        return torch.where(cosine > threshold, grown, 1.0)


def sine_of(cosine: Tensor) -> Tensor:
    """``sin theta``, 0 with derivative 0 where rounding has put the cosine at or past -1 or 1."""
    squared = (1.0 - cosine) * (1.0 + cosine)
    # The inner where keeps the square root away from 0, where its derivative is infinite.
    inside = squared > 0
    return torch.where(inside, torch.where(inside, squared, 1.0).sqrt(), 0.0)


def angle_of(cosine: Tensor) -> Tensor:
    """``theta`` in ``[0, pi]``, exact near both ends, with derivative 0 at them."""
    return torch.atan2(sine_of(cosine), cosine)
