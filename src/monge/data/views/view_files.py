"""Views of objects in picture files, read when they are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from monge.data.image_files import ImageFiles, PictureCache
from monge.data.labels import check_labels


@dataclass(frozen=True, eq=False)
class ViewFiles:
    """Objects whose views are picture files; looks like `monge.data.views.ViewSet`, but decodes when asked.

    Args:
        paths: The views of each object, ``V`` files for each of ``N``.
        labels: int64 ``(N,)``.
        size: Height and width that every view is given.
        names: Names of the objects, for reports, ``(N,)``.
        cache: Where decoded pictures are kept; subsets share it. ``None``: nowhere.
        targets: Distributions over the classes, float32 ``(N, K)``; ``None``: the labels are all there is.

    Raises:
        ValueError: Lengths, shapes or dtypes other than these.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> file = Path(tempfile.mkdtemp()) / "view.png"
        >>> Image.new("L", (16, 16), 200).save(file)
        >>> part = ViewFiles([[file] * 12], torch.tensor([3]), size=8)
        >>> part.shape, part.inputs([0, 0]).shape
        ((12, 3, 8, 8), torch.Size([2, 12, 3, 8, 8]))
    """

    paths: Sequence[Sequence[str | Path]]
    labels: Tensor
    size: int
    names: Sequence[str] | None = None
    cache: PictureCache | None = None
    targets: Tensor | None = None

    def __post_init__(self) -> None:
        count = len(self.paths)
        check_labels(self.labels, count, self.targets, each="object")
        if len(numbers := {len(views) for views in self.paths}) > 1:
            raise ValueError(f"every object must have equally many views, got {sorted(numbers)}")
        if self.names is not None and len(self.names) != count:
            raise ValueError(f"names must be {count}, one for each object, got {len(self.names)}")

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(V, 3, size, size)``."""
        return (len(self.paths[0]) if self.paths else 0, 3, self.size, self.size)

    def inputs(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Views at the given positions, decoded now or taken from the cache, uint8 ``(B, V, 3, size, size)``.

        Raises:
            DataFormatError: A file is missing or is not a whole picture; says which.
            MissingExtraError: Pillow is not installed.
        """
        chosen = torch.as_tensor(indices, dtype=torch.int64).tolist()
        files = list(chain.from_iterable(self.paths[index] for index in chosen))
        pictures = ImageFiles(files, torch.zeros(len(files), dtype=torch.int64), self.size, cache=self.cache)
        return pictures.inputs(range(len(files))).reshape(len(chosen), *self.shape)

    def subset(self, indices: Tensor | Sequence[int]) -> ViewFiles:
        """The objects at the given positions, in that order; positions may repeat."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        positions = chosen.tolist()
        return ViewFiles(
            [self.paths[index] for index in positions],
            self.labels[chosen],
            self.size,
            None if self.names is None else tuple(self.names[index] for index in positions),
            self.cache,
            None if self.targets is None else self.targets[chosen],
        )
