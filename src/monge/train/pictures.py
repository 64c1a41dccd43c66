"""The pictures that a report shows of examples."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.data import Examples

_AT_ONCE = 64


def pictures_of(examples: Examples, rows: Tensor) -> Tensor | None:
    """One picture of each example; of several views the second, which for views from all around is a half profile.

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
    if len(examples.shape) == 3:
        return examples.inputs(rows).contiguous()
    if len(examples.shape) != 4:
        return None
    view = min(1, examples.shape[0] - 1)
    # All views of many objects would fill the memory.
    return torch.cat([examples.inputs(chunk)[:, view] for chunk in torch.split(rows, _AT_ONCE)])
