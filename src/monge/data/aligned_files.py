"""Pictures of faces on disk that are aligned by their landmarks when they are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from monge.data.alignment import align
from monge.data.formats.encoded_picture import decode_whole
from monge.data.formats.picture import MAX_FILE_BYTES
from monge.data.formats.sniff import open_data, read_bounded
from monge.data.image_files import PictureCache, in_threads
from monge.data.labels import check_labels

_EXPECTED = "a picture"


@dataclass(frozen=True)
class AlignedFiles:
    """Picture files with five landmarks each; looks like `monge.data.ImageFiles`, but aligns instead of cutting.

    Args:
        paths: The files, ``N`` of them.
        landmarks: Left eye, right eye, tip of the nose, left and right corner of the mouth, x and y in pixels of the
            stored picture, float32 ``(N, 5, 2)``.
        labels: int64 ``(N,)``.
        size: Height and width that every face is given.
        cache: Where aligned faces are kept; subsets share it. ``None``: nowhere.

    Raises:
        ValueError: Lengths, shapes or dtypes other than these.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.face_layouts import write_fake_identities
        >>> drawn = write_fake_identities(folder := Path(tempfile.mkdtemp()), ["Ann"], each=1, size=64)
        >>> points = torch.from_numpy(drawn.landmarks)
        >>> files = AlignedFiles([folder / "Ann" / "Ann_0001.jpg"], points, torch.tensor([0]), 32)
        >>> files.inputs([0]).shape
        torch.Size([1, 3, 32, 32])
    """

    paths: Sequence[Path]
    landmarks: Tensor
    labels: Tensor
    size: int
    cache: PictureCache | None = None

    def __post_init__(self) -> None:
        count = len(self.paths)
        check_labels(self.labels, count, each="path")
        if self.landmarks.shape != (count, 5, 2):
            raise ValueError(f"landmarks must be ({count}, 5, 2), got {tuple(self.landmarks.shape)}")
        if self.size < 1:
            raise ValueError(f"size must be at least 1, got {self.size}")

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(3, size, size)``."""
        return (3, self.size, self.size)

    @property
    def targets(self) -> None:
        """None: the labels are all there is."""
        return None

    def inputs(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Aligned faces at the given positions, uint8 ``(B, 3, size, size)``.

        Raises:
            DataFormatError: A file is missing or is not a whole picture; says which.
            MissingExtraError: Pillow is not installed.
        """
        chosen: list[int] = torch.as_tensor(indices, dtype=torch.int64).tolist()
        if not chosen:
            return torch.empty((0, *self.shape), dtype=torch.uint8)
        return torch.stack(in_threads(self._face, chosen))

    def subset(self, indices: Tensor | Sequence[int]) -> AlignedFiles:
        """The faces at the given positions, in that order; positions may repeat."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        paths = [self.paths[index] for index in chosen.tolist()]
        return AlignedFiles(paths, self.landmarks[chosen], self.labels[chosen], self.size, self.cache)

    def _face(self, index: int) -> Tensor:
        key = (str(self.paths[index]), self.size)
        kept = None if self.cache is None else self.cache.get(key)
        if kept is None:
            path = self.paths[index]
            with open_data(path, _EXPECTED) as (stream, _):
                content = bytes(read_bounded(path, stream, MAX_FILE_BYTES, _EXPECTED))
            face = align(decode_whole(content, path), self.landmarks[index].numpy(), self.size)
            kept = torch.from_numpy(face).permute(2, 0, 1).contiguous()
            if self.cache is not None:
                self.cache.put(key, kept)
        return kept
