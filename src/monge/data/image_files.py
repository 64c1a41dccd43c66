"""Pictures on disk that are read when they are wanted, for sets that do not fit into memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from monge.data.formats.picture import decode_picture
from monge.data.labels import check_labels

_MAX_THREADS = 8


class PictureCache:
    """Decoded pictures kept in memory up to a number of bytes.

    What is in stays in: every epoch wants every picture once, in another order, and then throwing old ones out for new
    ones would only lose hits.

    Args:
        budget: Bytes; once they are used up, further pictures are decoded each time.

    Example:
        >>> cache = PictureCache(3 * 4 * 4)
        >>> cache.put("first", torch.zeros(3, 4, 4, dtype=torch.uint8))
        >>> cache.put("second", torch.zeros(3, 4, 4, dtype=torch.uint8))
        >>> cache.get("first") is None, cache.get("second") is None, cache.used
        (False, True, 48)
    """

    def __init__(self, budget: int) -> None:
        self.budget, self.used = budget, 0
        self._pictures: dict[object, Tensor] = {}

    def get(self, key: object) -> Tensor | None:
        """The picture under this key, if it is here."""
        return self._pictures.get(key)

    def put(self, key: object, picture: Tensor) -> None:
        """Keeps a picture if there is room for it."""
        if key not in self._pictures and self.used + picture.nbytes <= self.budget:
            self._pictures[key] = picture
            self.used += picture.nbytes


def in_threads(decode: Callable[[int], Tensor], numbers: Sequence[int]) -> list[Tensor]:
    """Decodes pictures in a few threads: Pillow works outside of Python's lock.

    Args:
        decode: Gives the picture of a number.
        numbers: Which pictures.
    """
    threads = min(len(numbers), os.cpu_count() or 1, _MAX_THREADS)
    if threads < 2:
        return [decode(number) for number in numbers]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(decode, numbers))


@dataclass(frozen=True)
class ImageFiles:
    """Picture files and their class numbers; looks like `monge.data.ImageSet`, but decodes when asked.

    A picture is turned as its EXIF data say, cut to its middle square (or to its box), resized to ``size`` with a
    bilinear filter that averages when it shrinks, and given as RGB; what is transparent loses its transparency, what is
    grey becomes three equal channels. A JPEG of more than twice the wanted size is decoded at a half, quarter or eighth
    of its own, which takes a fraction of the time.

    Args:
        paths: The files, ``N`` of them; a file may be listed more than once.
        labels: int64 ``(N,)``.
        size: Height and width that every picture is given.
        targets: Distributions over the classes, float32 ``(N, K)``; ``None``: the labels are all there is.
        boxes: The square of each picture that is wanted: left, top and side in pixels of the stored picture, before it
            is turned, float32 ``(N, 3)``; what lies outside of the picture is black. ``None``: the middle square.
        cache: Where decoded pictures are kept; subsets share it. ``None``: nowhere.

    Raises:
        ValueError: Lengths, shapes or dtypes other than these.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> file = Path(tempfile.mkdtemp()) / "red.png"
        >>> Image.new("RGB", (30, 20), (255, 0, 0)).save(file)
        >>> part = ImageFiles([file, file], torch.tensor([0, 1]), size=8)
        >>> part.shape, part.inputs([1]).shape, part.inputs([0])[0, :, 0, 0].tolist()
        ((3, 8, 8), torch.Size([1, 3, 8, 8]), [255, 0, 0])
    """

    paths: Sequence[str | Path]
    labels: Tensor
    size: int
    targets: Tensor | None = None
    boxes: Tensor | None = None
    cache: PictureCache | None = None

    def __post_init__(self) -> None:
        count = len(self.paths)
        check_labels(self.labels, count, self.targets, each="path")
        if self.size < 1:
            raise ValueError(f"size must be at least 1, got {self.size}")
        if self.boxes is not None and self.boxes.shape != (count, 3):
            raise ValueError(f"boxes must be ({count}, 3): left, top, side, got {tuple(self.boxes.shape)}")

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(3, size, size)``."""
        return (3, self.size, self.size)

    def inputs(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Pictures at the given positions, decoded now or taken from the cache, uint8 ``(B, 3, size, size)``.

        Raises:
            DataFormatError: A file is missing or is not a whole picture; says which.
            MissingExtraError: Pillow is not installed.
        """
        chosen: list[int] = torch.as_tensor(indices, dtype=torch.int64).tolist()
        batch = torch.empty((len(chosen), *self.shape), dtype=torch.uint8)  # (B, 3, S, S)
        wanted = []
        for row, index in enumerate(chosen):
            kept = None if self.cache is None else self.cache.get(self._key(index))
            if kept is None:
                wanted.append((row, index))
            else:
                batch[row] = kept
        decoded = self._decode([index for _, index in wanted])
        for (row, index), picture in zip(wanted, decoded, strict=True):
            batch[row] = picture
            if self.cache is not None:
                self.cache.put(self._key(index), picture)
        return batch

    def subset(self, indices: Tensor | Sequence[int]) -> ImageFiles:
        """The pictures at the given positions, in that order; positions may repeat."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        return ImageFiles(
            [self.paths[index] for index in chosen.tolist()],
            self.labels[chosen],
            self.size,
            None if self.targets is None else self.targets[chosen],
            None if self.boxes is None else self.boxes[chosen],
            self.cache,
        )

    def _box(self, index: int) -> tuple[float, float, float] | None:
        if self.boxes is None:
            return None
        left, top, side = self.boxes[index].tolist()
        return left, top, side

    def _key(self, index: int) -> tuple[str, tuple[float, float, float] | None, int]:
        return str(self.paths[index]), self._box(index), self.size

    def _decode(self, indices: list[int]) -> list[Tensor]:
        def decode(index: int) -> Tensor:
            return decode_picture(Path(self.paths[index]), self.size, self._box(index))

        return in_threads(decode, indices)
