"""Batches of two modalities at once: the same classes in both, so that every query has something to find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from monge.data.samplers import EpochBatchSampler, _draws


class TwoModalityBatchSampler(EpochBatchSampler):
    """Batches of P classes with K queries and L gallery items each.

    A batch is one list of positions: queries are ``0 .. N - 1``, gallery items ``N .. N + M - 1``, as in two sets laid
    end to end; `split` takes them apart. Its queries come first, grouped by class, then its gallery items, grouped by
    class in the same order.

    Classes that only one modality has take no part. Of the others, over an epoch, each comes up equally often (give or
    take one), and a class's samples are used up in random order before any of them comes again, separately in the two
    modalities. A class with too few samples repeats them within a batch, as evenly as possible. Every epoch draws anew.
    How ranks share a batch, and how an epoch is begun in the middle: see `EpochBatchSampler`. A share holds the
    batch's queries and gallery items in equal parts, give or take one of each.

    Args:
        query_labels: Class of each query, ``(N,)``.
        gallery_labels: Class of each gallery item, ``(M,)``.
        classes_per_batch: P; at most the number of classes that both have.
        queries_per_class: K.
        gallery_per_class: L.
        steps_per_epoch: Batches in an epoch; if left out, one pass over the modality that takes longer.
        seed: Not negative.
        rank: This process.
        world_size: Processes that share each batch of P * (K + L).

    Raises:
        ValueError: Fewer than P classes in both, or a number out of range.

    Example:
        >>> sampler = TwoModalityBatchSampler([0, 0, 1, 1, 2], [1, 1, 0], 2, queries_per_class=2, gallery_per_class=1)
        >>> queries, gallery = sampler.split(next(iter(sampler)))
        >>> sorted(queries), len(gallery), len(sampler)
        ([0, 1, 2, 3], 2, 1)
    """

    def __init__(
        self,
        query_labels: Tensor | Sequence[int],
        gallery_labels: Tensor | Sequence[int],
        classes_per_batch: int,
        *,
        queries_per_class: int,
        gallery_per_class: int,
        steps_per_epoch: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        queries, gallery = (torch.as_tensor(side).reshape(-1).cpu().numpy() for side in (query_labels, gallery_labels))
        shared = np.intersect1d(queries, gallery)
        if not 1 <= classes_per_batch <= len(shared) or min(queries_per_class, gallery_per_class) < 1:
            found = f"{classes_per_batch} classes of {queries_per_class} queries and {gallery_per_class} gallery items"
            raise ValueError(f"cannot make batches of {found} from {len(shared)} classes that both modalities have")
        self.num_queries = len(queries)
        self.classes_per_batch = classes_per_batch
        self.per_class = (queries_per_class, gallery_per_class)
        self._members = (
            [np.flatnonzero(queries == name) for name in shared],
            [self.num_queries + np.flatnonzero(gallery == name) for name in shared],
        )
        if steps_per_epoch is None:
            used = [sum(map(len, members)) for members in self._members]
            steps_per_epoch = max(1, *(n // (classes_per_batch * k) for n, k in zip(used, self.per_class)))
        batch_size = classes_per_batch * (queries_per_class + gallery_per_class)
        super().__init__(batch_size, steps_per_epoch, seed, rank, world_size)

    def global_batches(self, epoch: int) -> Iterator[list[int]]:
        """The batches of an epoch before they are shared out, without end; queries, then gallery items.

        Args:
            epoch: Any epoch, whatever :meth:`set_epoch` said.
        """
        classes = _draws(np.arange(len(self._members[0])), self.classes_per_batch, [self.seed, epoch, 0])
        # A stream of its own for each class and modality, so that none depends on when others come up.
        samples = [
            [_draws(members, size, [self.seed, epoch, 1 + side, number]) for number, members in enumerate(classed)]
            for side, (classed, size) in enumerate(zip(self._members, self.per_class))
        ]
        for chosen in classes:
            yield [index for streams in samples for number in chosen for index in next(streams[number])]

    def split(self, batch: Sequence[int]) -> tuple[list[int], list[int]]:
        """Positions of a batch, or of a rank's share, among the queries and among the gallery items."""
        queries = [index for index in batch if index < self.num_queries]
        return queries, [index - self.num_queries for index in batch if index >= self.num_queries]
