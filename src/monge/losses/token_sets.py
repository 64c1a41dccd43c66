"""Feature maps as sets of tokens: a vector a position, compared by cosine, each with a weight of its own."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from monge.losses.token_costs import unit_tokens

Center = Literal["channels", "positions"]
Marginals = Literal["uniform", "saliency"]


class TokenSets(NamedTuple):
    """Sets of tokens ready to be compared.

    Attributes:
        units: Tokens of length 1 (0 where a token has no direction or does not exist), ``(N, P, C)``.
        weights: Share of each token, ``(N, P)``; ``None``: all the same.
        mask: True for tokens that exist, bool ``(N, P)``; ``None``: all do.
    """

    units: Tensor
    weights: Tensor | None
    mask: Tensor | None


def as_tokens(feature_maps: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Tokens ``(N, P, C)`` in float32 or float64 and their mask.

    Args:
        feature_maps: ``(N, C, H, W)``, or tokens ``(N, P, C)``.
        mask: True for tokens that exist, ``(N, P)``; only beside tokens.

    Raises:
        ValueError: Shapes or dtypes that do not fit.

    Example:
        >>> as_tokens(torch.zeros(2, 512, 7, 7), None)[0].shape
        torch.Size([2, 49, 512])
    """
    shape = feature_maps.shape
    if len(shape) not in (3, 4) or 0 in shape[1:] or not feature_maps.is_floating_point():
        raise ValueError(
            f"feature_maps have shape {tuple(shape)} and dtype {feature_maps.dtype}: expected floats, maps "
            "(N, C, H, W) or tokens (N, P, C)"
        )
    full = feature_maps.to(torch.promote_types(feature_maps.dtype, torch.float32))
    if full.dim() == 4:
        if mask is not None:
            raise ValueError("a mask belongs to tokens (N, P, C), and these are maps (N, C, H, W)")
        # Laid out token by token, which the products like best.
        return full.flatten(2).transpose(1, 2).contiguous(), None
    if mask is not None and mask.shape != full.shape[:2]:
        raise ValueError(f"mask has shape {tuple(mask.shape)}: expected {tuple(full.shape[:2])}")
    return full, None if mask is None else mask.to(full.device, torch.bool)


def token_sets(tokens: Tensor, mask: Tensor | None, *, center: Center | None, marginals: Marginals) -> TokenSets:
    """Makes tokens ready to be compared.

    Args:
        tokens: ``(N, P, C)``.
        mask: ``(N, P)`` or ``None``.
        center: What is taken off before: ``"channels"``, from each token the mean of its channels; ``"positions"``,
            the mean token of its set; ``None``, nothing.
        marginals: ``"uniform"``, or ``"saliency"``: in proportion to the absolute channel mean of the token of length
            1 (before anything is taken off), uniform where that is 0 throughout.

    Example:
        >>> sets = token_sets(torch.tensor([[[3.0, 4.0], [1.0, -1.0]]]), None, center=None, marginals="saliency")
        >>> sets.weights
        tensor([[1., 0.]])
    """
    if mask is not None:
        tokens = torch.where(mask.unsqueeze(2), tokens, 0.0)
    weights = _saliency(unit_tokens(tokens), mask) if marginals == "saliency" else None
    if center == "channels":
        tokens = tokens - tokens.mean(2, keepdim=True)
    elif center == "positions":
        tokens = tokens - _mean_token(tokens, mask)
    units = unit_tokens(tokens)  # (N, P, C)
    return TokenSets(units if mask is None else torch.where(mask.unsqueeze(2), units, 0.0), weights, mask)


def mean_sets(tokens: Tensor, mask: Tensor | None, members: Tensor) -> tuple[Tensor, Tensor | None]:
    """The mean of some sets, position by position, and which positions have any token.

    Args:
        tokens: ``(N, P, C)``.
        mask: ``(N, P)`` or ``None``.
        members: Which sets go into each mean, bool ``(K, N)``.

    Returns:
        ``(K, P, C)``, 0 where there is nothing to average, and ``(K, P)`` or ``None``.

    Example:
        >>> mean_sets(torch.tensor([[[1.0]], [[3.0]]]), None, torch.tensor([[True, True]]))[0]
        tensor([[[2.]]])
    """
    chosen = members.to(tokens.dtype)  # (K, N)
    if mask is None:
        sums = chosen @ tokens.flatten(1)
        return (sums / chosen.sum(1, keepdim=True).clamp_min(1.0)).reshape(-1, *tokens.shape[1:]), None
    counts = chosen @ mask.to(tokens.dtype)  # (K, P)
    sums = (chosen @ torch.where(mask.unsqueeze(2), tokens, 0.0).flatten(1)).reshape(-1, *tokens.shape[1:])
    return sums / counts.clamp_min(1.0).unsqueeze(2), counts > 0


def _mean_token(tokens: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return tokens.mean(1, keepdim=True)
    return tokens.sum(1, keepdim=True) / mask.sum(1).clamp_min(1).to(tokens.dtype)[:, None, None]


def _saliency(units: Tensor, mask: Tensor | None) -> Tensor:
    size = units.mean(2).abs()  # (N, P), 0 at tokens that do not exist
    total = size.sum(1, keepdim=True)
    shown = total > 0
    exist = torch.ones_like(size) if mask is None else mask.to(size.dtype)
    even = exist / exist.sum(1, keepdim=True).clamp_min(1.0)
    return torch.where(shown, size / torch.where(shown, total, 1.0), even)
