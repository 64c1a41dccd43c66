"""The cross-modal task: queries of one modality find what answers them in another, in one space of embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from monge.data import Examples
from monge.data.cross_modal import CrossModalSplits
from monge.errors import RecipeError
from monge.losses.plan_diagnostics import PlanDiagnostics
from monge.nn.two_modalities import TwoModalities
from monge.nn.two_modalities_build import SIDES, TwoModalitiesConfig, build_two_modalities
from monge.recipes import Recipe
from monge.recipes.cross_modal_losses import CrossModalLoss
from monge.recipes.sketch_data import SketchData
from monge.train.batch_samplers import build_pair_sampler
from monge.train.batches import EpochBatches, PairBatch, PairBatches
from monge.train.cross_modal_losses import build_cross_modal_loss
from monge.train.cross_modal_measures import bank_of, cross_modal_metrics, store_cross_modal, store_rescored
from monge.train.inference import outputs_of
from monge.train.pixels import DrawnViews, Pixels
from monge.train.run_files import RunFiles
from monge.train.selection import Selection
from monge.train.task import Task

# What the loss calls its terms, and whose they are.
_SOFTMAX = {"x_softmax": "query", "y_softmax": "gallery"}


class CrossModalTask(Task[CrossModalSplits]):
    """Two networks under a loss called as ``loss(queries, gallery, query_labels, gallery_labels)``.

    Args:
        recipe: The experiment.
        model: The two networks.
        loss: Their loss.
        steps_per_epoch: Optimiser steps in an epoch.
        selection: The validation metric that chooses the best weights.

    Attributes:
        sides: How the pictures of a side become inputs, for the sides that are pictures.
    """

    def __init__(
        self, recipe: Recipe, model: TwoModalities, loss: nn.Module, steps_per_epoch: int, selection: Selection
    ) -> None:
        super().__init__(recipe, model, loss, steps_per_epoch, selection)
        self.sides = side_pixels(recipe)

    def forward(self, side: str, inputs: Tensor) -> Tensor:
        """Embeddings (B, D) of inputs of one side, ``"query"`` or ``"gallery"``, as the data give them."""
        return cast(TwoModalities, self.model).embed(side, self.ready_side(side, inputs))

    def ready_side(self, side: str, inputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Inputs of one side as its network takes them; what are no pictures stay as they are.

        Args:
            side: ``"query"`` or ``"gallery"``.
            inputs: As the data give them.
            generator: Random numbers of the augmentation; none: no augmentation.
        """
        if side not in self.sides:
            return inputs
        pictures: Tensor = self.sides[side](inputs, generator)
        return pictures

    def ready_batch(self, batch: PairBatch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Inputs of both sides, ready for their networks; queries draw their random numbers first."""
        queries = self.ready_side("query", batch.queries, generator)
        return queries, self.ready_side("gallery", batch.gallery, generator)

    def batches(
        self, splits: CrossModalSplits, *, epoch: int, start: int = 0, rank: int = 0, world_size: int = 1
    ) -> EpochBatches:
        """Batches of the training queries and their gallery."""
        queries, gallery = splits.part("train")
        sampler = build_pair_sampler(self.recipe, queries, gallery, self.steps_per_epoch, rank, world_size)
        return PairBatches(queries, gallery, sampler, epoch, start)

    def batch_loss(self, inputs: tuple[Tensor, Tensor], batch: PairBatch) -> Tensor:
        """Loss of the embeddings of both sides of a batch."""
        queries, gallery = self.model(*inputs)
        return self.guarded(queries, gallery.float(), batch.query_labels, batch.gallery_labels)

    def figures(self) -> Mapping[str, Tensor | float]:
        """Figures on the transport plans of the last batch and its softmax terms, where the loss has any."""
        diagnostics = getattr(self.loss, "diagnostics", None)
        found: Any = diagnostics() if callable(diagnostics) else {}
        plans: dict[str, PlanDiagnostics] = {"": found} if isinstance(found, PlanDiagnostics) else found
        of_plans: dict[str, Tensor | float] = {
            "_".join(filter(None, ("train/plan", plan, name))): float(value)
            for plan, figures in plans.items()
            for name, value in figures._asdict().items()
        }
        terms = getattr(self.loss, "terms", {})
        return of_plans | {f"train/{side}_softmax": terms[part] for part, side in _SOFTMAX.items() if part in terms}

    @property
    def width(self) -> int:
        """Length of an embedding."""
        return self.recipe.model.embedding_dim

    def validate(self, splits: CrossModalSplits) -> dict[str, float]:
        """Retrieval in the validation gallery."""
        sides = zip(SIDES, splits.part("val"), strict=True)
        queries, gallery = (self.shared_outputs(examples, partial(self, side)) for side, examples in sides)
        return {} if self.global_rank else self._measured(queries, gallery, splits, "val")

    def run_test(self, splits: CrossModalSplits, files: RunFiles) -> dict[str, float]:
        """Retrieval in the test gallery; stores the embeddings of both sides."""
        queries, gallery = (
            self._outputs(side, examples) for side, examples in zip(SIDES, splits.part("test"), strict=True)
        )
        store_cross_modal(files.embeddings, queries, gallery, splits)
        if splits.paired:
            banks = [self._outputs(side, bank_of(part)) for side, part in zip(SIDES, splits.part("train"), strict=True)]
            asked, found = splits.part("test")
            labels = asked.labels, found.labels
            store_rescored(files.rescored, (queries, gallery), labels, (banks[0], banks[1]))
        return self._measured(queries, gallery, splits, "test")

    def _outputs(self, side: str, examples: Examples) -> Tensor:
        return outputs_of(self, examples, forward=partial(self, side))

    def _measured(self, queries: Tensor, gallery: Tensor, splits: CrossModalSplits, part: str) -> dict[str, float]:
        asked, found = splits.part(part)
        labels = (asked.labels, found.labels)
        return cross_modal_metrics(queries, gallery, *labels, self.recipe.evaluate, part, paired=splits.paired)


def side_pixels(recipe: Recipe) -> nn.ModuleDict:
    """How the pictures of either side become inputs; empty where the data are neither pictures nor vectors of
    some.

    Args:
        recipe: Its ``data`` section.
    """
    data = recipe.data
    if not isinstance(data, SketchData):
        return nn.ModuleDict()
    if data.features is not None:
        return nn.ModuleDict({"query": DrawnViews(), "gallery": DrawnViews(data.train_views)})
    views: dict[str, Any] = {"background": data.background, "train_views": data.train_views}
    query = Pixels(data.queries.normalize, data.queries.augment, data.image_size)
    gallery = Pixels(data.gallery.normalize, data.gallery.augment, data.image_size, **views)
    return nn.ModuleDict({"query": query, "gallery": gallery})


def build_cross_modal_task(recipe: Recipe, splits: CrossModalSplits, selection: Selection) -> CrossModalTask:
    """Both networks and the loss of a recipe for given data.

    Args:
        recipe: The recipe.
        splits: The shapes of their inputs and their labels shape the networks.
        selection: The validation metric that chooses the best weights.

    Raises:
        RecipeError: The recipe does not fit the data.
    """
    if not isinstance(recipe.model, TwoModalitiesConfig):
        raise RecipeError(f"model.name: found {recipe.model.name}, expected two_modalities for queries and a gallery")
    queries, gallery = splits.part("train")
    shapes = {"query": queries.shape, "gallery": gallery.shape}
    for (side, pixels), name in zip(side_pixels(recipe).items(), ("queries", "gallery")):
        shapes[side] = cast(Pixels | DrawnViews, pixels).shape_of(shapes[side], f"data.{name}")
    accumulate = recipe.train.accumulate
    filled = len(build_pair_sampler(recipe, queries, gallery, None)) // accumulate
    steps = recipe.train.steps_per_epoch or max(1, filled)
    experts = {
        "query_widths": getattr(queries, "widths", ()),
        "gallery_widths": getattr(gallery, "widths", ()),
    }
    model = build_two_modalities(recipe.model, shapes["query"], shapes["gallery"], **experts)
    labels = torch.cat([queries.labels, gallery.labels])
    classes = int(labels.max()) + 1 if splits.paired else len(splits.classes)
    loss = build_cross_modal_loss(cast(CrossModalLoss, recipe.loss), recipe.model.embedding_dim, classes)
    return CrossModalTask(recipe, model, loss, steps, selection)
