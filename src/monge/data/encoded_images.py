"""Pictures that lie encoded inside of a large file and are decoded when they are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from monge.data.formats.encoded_picture import decode_encoded
from monge.data.image_files import PictureCache, in_threads
from monge.data.labels import check_labels


class PictureStore(Protocol):
    """A file with many encoded pictures in it; can be pickled, and then holds no open file."""

    @property
    def path(self) -> Path:
        """The file, for error messages."""
        ...

    def __len__(self) -> int: ...

    def content(self, index: int) -> bytes:
        """One encoded picture."""
        ...

    def where(self, index: int) -> str:
        """Its place in the file, e.g. ``"key 17"``."""
        ...


@dataclass(frozen=True)
class EncodedImages:
    """Pictures of a store with their labels; looks like `monge.data.ImageSet`, but decodes when asked.

    Args:
        store: Where the pictures are.
        places: Which of them, int64 ``(N,)``; may repeat.
        labels: int64 ``(N,)``.
        size: Height and width that every picture is given.
        cache: Where decoded pictures are kept; subsets share it. ``None``: nowhere.

    Raises:
        ValueError: Lengths or kinds that differ, or a size below 1.

    Example:
        >>> from monge.data.formats.verification_bin import Pictures
        >>> from monge.data.synthetic.face_layouts import encoded
        >>> red = encoded(torch.tensor([255, 0, 0], dtype=torch.uint8).repeat(8, 8, 1).permute(2, 0, 1).numpy(), "PNG")
        >>> images = EncodedImages(Pictures(Path("a.bin"), [red]), torch.tensor([0, 0]), torch.tensor([4, 4]), 8)
        >>> len(images), images.shape, images.inputs([1])[0, :, 0, 0].tolist()
        (2, (3, 8, 8), [255, 0, 0])
    """

    store: PictureStore
    places: Tensor
    labels: Tensor
    size: int
    cache: PictureCache | None = None

    def __post_init__(self) -> None:
        if self.places.dtype != torch.int64 or self.places.ndim != 1:
            raise ValueError(f"places must be int64 (N,), got {self.places.dtype} {tuple(self.places.shape)}")
        check_labels(self.labels, len(self.places), each="place")
        if self.size < 1:
            raise ValueError(f"size must be at least 1, got {self.size}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(3, size, size)``."""
        return (3, self.size, self.size)

    @property
    def targets(self) -> None:
        """None: the labels are all there is."""
        return None

    def inputs(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Pictures at the given positions, uint8 ``(B, 3, size, size)``.

        Raises:
            DataFormatError: A record or picture is damaged; says which.
            MissingExtraError: Pillow is not installed.
        """
        chosen: list[int] = self.places[torch.as_tensor(indices, dtype=torch.int64)].tolist()
        if not chosen:
            return torch.empty((0, *self.shape), dtype=torch.uint8)
        return torch.stack(in_threads(self._picture, chosen))

    def subset(self, indices: Tensor | Sequence[int]) -> EncodedImages:
        """The pictures at the given positions, in that order; positions may repeat."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        return EncodedImages(self.store, self.places[chosen], self.labels[chosen], self.size, self.cache)

    def _picture(self, place: int) -> Tensor:
        kept = None if self.cache is None else self.cache.get((place, self.size))
        if kept is None:
            kept = decode_encoded(self.store.content(place), self.size, self.store.path, self.store.where(place))
            if self.cache is not None:
                self.cache.put((place, self.size), kept)
        return kept
