"""The pictures and texts that a report shows of examples."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from monge.data import Examples

_AT_ONCE = 64
# What is stored of every example of a gallery is small, and all of it together too.
_SIDE = 64
_VIEWS = 12
_BUDGET = 128 << 20


def pictures_of(examples: Examples, rows: Tensor) -> Tensor | None:
    """One picture of each example; of several views the second, which for views from all around is a half profile.

    Examples that are no pictures themselves may offer some: ``pictures(indices)``, uint8 ``(n, C, H, W)``.

    Args:
        examples: Images, views, or rows of a table.
        rows: Which of them, int64 ``(n,)``.

    Returns:
        uint8 ``(n, C, H, W)``; ``None`` for rows of a table.

    Example:
        >>> from monge.data.views import ViewSet
        >>> shapes = ViewSet(torch.zeros(4, 12, 1, 8, 8, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
        >>> pictures_of(shapes, torch.tensor([2, 0])).shape
        torch.Size([2, 1, 8, 8])
    """
    offered = getattr(examples, "pictures", None)
    if callable(offered):
        given: Tensor | None = offered(rows)
        return given
    if len(examples.shape) == 3:
        return examples.inputs(rows).contiguous()
    if len(examples.shape) != 4:
        return None
    view = min(1, examples.shape[0] - 1)
    # All views of many objects would fill the memory.
    return torch.cat([examples.inputs(chunk)[:, view] for chunk in torch.split(rows, _AT_ONCE)])


def thumbnails(examples: Examples) -> Tensor | None:
    """One small picture of every example.

    Args:
        examples: As for `pictures_of`.

    Returns:
        uint8 ``(N, C, S, S)`` with S of at most 64, fewer where there are very many; ``None`` where there are none.
    """
    if pictures_of(examples, torch.arange(min(1, len(examples)))) is None:
        return None
    chunks = torch.split(torch.arange(len(examples)), _AT_ONCE)
    return _grey_if_it_is(torch.cat([_small(pictures_of(examples, chunk)) for chunk in chunks]), 1)


def views_of(examples: Examples) -> Tensor:
    """Small views of every shape: at most 12 of each, evenly spaced, and fewer where there are very many shapes.

    Args:
        examples: Views of shape ``(V, C, H, W)``.

    Returns:
        uint8 ``(N, W, C, S, S)`` with W of at most 12 and S of at most 64.

    Example:
        >>> from monge.data.views import ViewSet
        >>> shapes = ViewSet(torch.zeros(4, 24, 1, 80, 80, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
        >>> views_of(shapes).shape
        torch.Size([4, 12, 1, 64, 64])
    """
    views, channels, height, width = examples.shape
    each = channels * min(height, _SIDE) * min(width, _SIDE)
    count = max(1, min(views, _VIEWS, _BUDGET // max(1, len(examples) * each)))
    chosen = torch.arange(count) * views // count
    chunks = torch.split(torch.arange(len(examples)), _AT_ONCE)
    small = torch.cat([_small(examples.inputs(chunk)[:, chosen].flatten(0, 1)) for chunk in chunks])
    return _grey_if_it_is(small.reshape(-1, count, *small.shape[1:]), 2)


def texts_of(examples: Examples) -> Sequence[str] | None:
    """What the examples say, where they offer ``texts``.

    Args:
        examples: Any.
    """
    texts: Sequence[str] | None = getattr(examples, "texts", None)
    return texts


def _small(pictures: Tensor | None) -> Tensor:
    """Pictures shrunk to what is stored."""
    assert pictures is not None  # asked for before
    if max(pictures.shape[-2:]) <= _SIDE:
        return pictures.contiguous()
    small = functional.interpolate(pictures.float(), (_SIDE, _SIDE), mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8)


def _grey_if_it_is(pictures: Tensor, channels: int) -> Tensor:
    """One channel where all channels are alike; they lie in the given dimension."""
    first = pictures.narrow(channels, 0, 1)
    return first.contiguous() if bool((pictures == first).all()) else pictures
