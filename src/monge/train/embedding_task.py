"""The embedding task: vectors that lie near one another where things are alike, measured by retrieval."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from monge.data import Examples, Splits
from monge.nn import build_model
from monge.recipes import Recipe
from monge.train.batch_samplers import example_batches
from monge.train.batches import Batch, EpochBatches
from monge.train.losses import build_loss
from monge.train.measures import measure_test_embeddings, retrieval_metrics
from monge.train.networks import input_shape, single_model
from monge.train.run_files import RunFiles
from monge.train.schedules import steps_in_epoch
from monge.train.selection import Selection
from monge.train.task import Task


class EmbeddingTask(Task[Splits]):
    """A network under a loss called as ``loss(embeddings, labels)``; see `monge.train.task.Task` for the rest."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Embeddings (B, D) of inputs as the data give them."""
        embeddings: Tensor = self.model(self.ready(inputs))
        return embeddings

    def batches(
        self, splits: Splits, *, epoch: int, start: int = 0, rank: int = 0, world_size: int = 1
    ) -> EpochBatches:
        """Batches of the training split."""
        return example_batches(self.recipe, splits.train, self.steps_per_epoch, epoch, start, rank, world_size)

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

    def validate(self, splits: Splits) -> dict[str, float]:
        """Retrieval on the validation split."""
        outputs = self.shared_outputs(splits.val)
        return {} if self.global_rank else self.measure(outputs, splits.val, "val")

    def run_test(self, splits: Splits, files: RunFiles) -> dict[str, float]:
        """Retrieval, k-NN and SVM on the test split; stores its embeddings."""
        return measure_test_embeddings(self, splits, files.embeddings)


def build_embedding_task(recipe: Recipe, splits: Splits, selection: Selection) -> EmbeddingTask:
    """Model and loss of a recipe for given data.

    Args:
        recipe: The recipe.
        splits: The shape of their inputs and their classes shape the network.
        selection: The validation metric that chooses the best weights.

    Raises:
        RecipeError: The recipe does not fit the data.
    """
    shape, steps = input_shape(recipe, splits.train), steps_in_epoch(recipe, len(splits.train))
    model = build_model(single_model(recipe), shape=shape)
    loss = build_loss(recipe.loss, recipe.model.embedding_dim, len(splits.classes))
    return EmbeddingTask(recipe, model, loss, steps, selection)
