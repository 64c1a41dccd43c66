"""The embedding task: vectors that lie near one another where things are alike, measured by retrieval."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from monge.data import Examples, Splits
from monge.train.data_module import Batch
from monge.train.measures import measure_test_embeddings, retrieval_metrics
from monge.train.run_files import RunFiles
from monge.train.task import Task


class EmbeddingTask(Task):
    """A network under a loss called as ``loss(embeddings, labels)``; see `monge.train.task.Task` for the rest."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Embeddings (B, D) of inputs as the data give them."""
        embeddings: Tensor = self.model(self.ready(inputs))
        return embeddings

    def batch_loss(self, inputs: Tensor, batch: Batch) -> Tensor:
        """Loss of the embeddings of a batch."""
        return self.guarded(self.model(inputs), batch.labels)

    def figures(self) -> Mapping[str, Tensor | float]:
        """Figures on the transport plan of the last batch, where the loss has one."""
        diagnostics = getattr(self.loss, "diagnostics", None)
        found = diagnostics()._asdict() if callable(diagnostics) else {}
        return {f"train/plan_{name}": float(value) for name, value in found.items()}

    @property
    def width(self) -> int:
        """Length of an embedding."""
        return self.recipe.model.embedding_dim

    def measure(self, outputs: Tensor, examples: Examples, prefix: str) -> dict[str, float]:
        """Retrieval, every example a query against all others."""
        return retrieval_metrics(outputs, examples.labels, self.recipe.evaluate, prefix)

    def run_test(self, splits: Splits, files: RunFiles) -> dict[str, float]:
        """Retrieval, k-NN and SVM on the test split; stores its embeddings."""
        return measure_test_embeddings(self, splits, files.embeddings)
