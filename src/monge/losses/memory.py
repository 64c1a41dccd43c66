"""Cross-batch memory: embeddings of past batches as further partners for the current one.

Source: X. Wang, H. Zhang, W. Huang, M. R. Scott, "Cross-batch memory for embedding learning", CVPR 2020.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from monge.losses.pairs import IndicesTuple, check_integers
from monge.ot.warm_start import WarmStart


class CrossBatchMemory(nn.Module):
    """Adds to a metric loss its value between the batch and a queue of past embeddings.

    ``loss(batch, batch) + memory_weight * loss(batch, queue)``. The queue is read before the batch enters it, so it
    never holds the batch's own copies and no pair of an embedding with itself can arise. Past embeddings carry no
    gradient. In evaluation mode the queue is read but neither filled nor counted.

    To compile, compile the loss that it holds: the queue grows, and a graph of the whole would be made anew at each
    call until it is full.

    The whole state (queue, its labels, pointer, number filled, steps) is in ``state_dict``, in buffers: a resumed run
    continues where it stopped. What enters the queue is a function of the batches alone, so equal batches give equal
    queues.

    Args:
        loss: Any loss called as ``loss(embeddings, labels, indices_tuple, ref_emb, ref_labels)``.
        embedding_dim: Length of an embedding.
        size: Number of embeddings remembered; the oldest leave first.
        warmup_steps: Training calls at the start during which nothing is remembered, because embeddings still move
            too fast to be of use later.
        memory_weight: Weight of the batch-against-queue term.
        warm_start: Begin each transport solve against the queue from the last potentials of the slots that have not
            changed hands. The loss must take ``warm=``, as `monge.losses.BatchwiseOTLoss` does. Compiled graphs start
            cold.

    Raises:
        ValueError: A size that is not positive, or a negative number of steps.

    Example:
        >>> from monge.losses import BatchwiseOTLoss
        >>> memory = CrossBatchMemory(BatchwiseOTLoss(), embedding_dim=4, size=16)
        >>> for _ in range(3):
        ...     value = memory(torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 2, 2]))
        >>> int(memory.filled), int(memory.pointer)
        (16, 2)
    """

    queue: Tensor
    queue_labels: Tensor
    pointer: Tensor
    filled: Tensor
    steps: Tensor

    def __init__(
        self,
        loss: nn.Module,
        embedding_dim: int,
        size: int = 1024,
        *,
        warmup_steps: int = 0,
        memory_weight: float = 1.0,
        warm_start: bool = False,
    ) -> None:
        super().__init__()
        if embedding_dim < 1 or size < 1 or warmup_steps < 0:
            raise ValueError("embedding_dim and size must be at least 1 and warmup_steps not negative")
        self.loss = loss
        self.size = size
        self.warmup_steps = warmup_steps
        self.memory_weight = memory_weight
        self.register_buffer("queue", torch.zeros(size, embedding_dim))  # (size, D)
        self.register_buffer("queue_labels", torch.zeros(size, dtype=torch.long))  # (size,)
        for name in ("pointer", "filled", "steps"):
            self.register_buffer(name, torch.zeros((), dtype=torch.long))
        self.warm = WarmStart(size) if warm_start else None
        # Host copies of `filled` and `steps`, so that slicing the queue never waits for the device.
        self._filled, self._steps = 0, 0
        self.register_load_state_dict_post_hook(CrossBatchMemory._count_again)  # type: ignore[no-untyped-call]

    def forward(self, embeddings: Tensor, labels: Tensor, indices_tuple: IndicesTuple | None = None) -> Tensor:
        """Returns the loss with the memory's share, a scalar, and remembers the batch when training.

        Args:
            embeddings: Floats ``(N, D)``.
            labels: Integers ``(N,)``.
            indices_tuple: Triplets or pairs within the batch, for the batch's own term.

        Raises:
            ValueError: Shapes or dtypes that do not fit.
        """
        dim = self.queue.shape[1]
        if embeddings.dim() != 2 or embeddings.shape[1] != dim or labels.shape != embeddings.shape[:1]:
            raise ValueError(
                f"found embeddings {tuple(embeddings.shape)} and labels {tuple(labels.shape)}: expected (N, {dim}) and "
                "(N,)"
            )
        check_integers(labels)
        value: Tensor = self.loss(embeddings, labels, indices_tuple)
        if self._filled:
            # A copy, because the queue changes in place before the backward pass reads these.
            past = self.queue[: self._filled].to(embeddings.dtype, copy=True)
            past_labels = self.queue_labels[: self._filled]
            started = {}
            if self.warm is not None and self.training and not torch.compiler.is_compiling():
                started["warm"] = self.warm.at(None, torch.arange(self._filled))
            value = value + self.memory_weight * self.loss(embeddings, labels, None, past, past_labels, **started)
        if self.training:
            self._remember(embeddings.detach(), labels)
        return value

    def reset(self) -> None:
        """Forgets everything, warm-up included."""
        for buffer in (self.queue, self.queue_labels, self.pointer, self.filled, self.steps):
            buffer.zero_()
        self._filled, self._steps = 0, 0
        if self.warm is not None:
            self.warm.reset()

    @torch.no_grad()
    def _remember(self, embeddings: Tensor, labels: Tensor) -> None:
        self.steps += 1
        self._steps += 1
        if self._steps <= self.warmup_steps:
            return
        embeddings, labels = embeddings[-self.size :], labels[-self.size :]
        count = embeddings.shape[0]
        places = (self.pointer + torch.arange(count, device=self.queue.device)) % self.size  # (N,)
        self.queue.index_copy_(0, places, embeddings.to(self.queue))
        self.queue_labels.index_copy_(0, places, labels.to(self.queue_labels))
        if self.warm is not None:
            self.warm.forget(places)
        self.pointer.copy_((self.pointer + count) % self.size)
        self._filled = min(self.size, self._filled + count)
        self.filled.fill_(self._filled)

    @staticmethod
    def _count_again(module: nn.Module, _: Any) -> None:
        assert isinstance(module, CrossBatchMemory)
        module._filled, module._steps = int(module.filled), int(module.steps)
