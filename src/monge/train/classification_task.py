"""The classification task: probabilities of classes, by losses that may know how the classes are related."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from monge.data import Examples, Splits
from monge.nn import Classifier, build_classifier
from monge.recipes import Recipe
from monge.train.batch_samplers import example_batches
from monge.train.batches import Batch, EpochBatches
from monge.train.class_losses import build_class_loss, head_of
from monge.train.class_measures import Classes, class_metrics, store_predictions
from monge.train.ground_record import ground_of, record_ground
from monge.train.inference import outputs_of
from monge.train.measures import measure_vectors
from monge.train.networks import input_shape, single_model
from monge.train.run_files import RunFiles
from monge.train.schedules import steps_in_epoch
from monge.train.selection import Selection
from monge.train.task import Task


class ClassificationTask(Task[Splits]):
    """A classifier under a loss called as ``loss(outputs, targets, features=features)``.

    Targets are the distributions of the data where they have any, else labels. What the outputs mean is up to the
    loss: it may have ``probabilities(outputs)``, and without it they are logits.

    Args:
        recipe: The experiment.
        model: The classifier.
        loss: Its loss.
        steps_per_epoch: Optimiser steps in an epoch.
        selection: The validation metric that chooses the best weights.
        classes: What is known of the classes.

    Attributes:
        step_terms: Named terms of the loss of each batch of the current step.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Classifier,
        loss: nn.Module,
        steps_per_epoch: int,
        selection: Selection,
        classes: Classes,
    ) -> None:
        super().__init__(recipe, model, loss, steps_per_epoch, selection)
        self.classes = classes
        self.step_terms: list[Mapping[str, Tensor]] = []

    @property
    def classifier(self) -> Classifier:
        """The model as what it is."""
        return cast(Classifier, self.model)

    def forward(self, inputs: Tensor) -> Tensor:
        """Probabilities (B, C) of inputs as the data give them."""
        outputs: Tensor = self.classifier(self.ready(inputs)).float()
        decode: Callable[[Tensor], Tensor] | None = getattr(self.loss, "probabilities", None)
        return outputs.softmax(1) if decode is None else decode(outputs)

    def on_fit_start(self) -> None:
        """Says so where a run is over before its ground distance would come in."""
        learned = getattr(self.loss, "learned", None)
        start = getattr(self.loss, "head_start", getattr(learned, "head_start", 0))
        if start >= self.recipe.train.epochs:
            warnings.warn(
                f"loss: cross-entropy alone for all {self.recipe.train.epochs} epochs, since the head start before the "
                f"ground distance comes in takes {start}: train longer, or lower the head_start",
                UserWarning,
                stacklevel=1,  # one further up is Lightning's, whose warnings are silenced
            )

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Begins a step without terms."""
        super().on_train_batch_start(batch, batch_idx)
        if batch_idx % self.recipe.train.accumulate == 0:
            self.step_terms = []

    def batches(
        self, splits: Splits, *, epoch: int, start: int = 0, rank: int = 0, world_size: int = 1
    ) -> EpochBatches:
        """Batches of the training split."""
        return example_batches(self.recipe, splits.train, self.steps_per_epoch, epoch, start, rank, world_size)

    def batch_loss(self, inputs: Tensor, batch: Batch) -> Tensor:
        """Loss of the outputs for a batch; the features below them are for a ground distance that is learned."""
        features, outputs = self.classifier.features_and_logits(inputs)
        targets = batch.labels if batch.targets is None else batch.targets
        loss = self.guarded(outputs, targets, features=features.detach().float())
        self.step_terms.append(dict(getattr(self.loss, "terms", {})))
        return loss

    def figures(self) -> Mapping[str, Tensor | float]:
        """The named terms of the loss, averaged over the batches of the step."""
        names = self.step_terms[-1] if self.step_terms else {}
        return {
            f"train/{name}": torch.stack([torch.as_tensor(terms[name]) for terms in self.step_terms]).mean()
            for name in names
        }

    @property
    def width(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def measure(self, outputs: Tensor, examples: Examples, prefix: str) -> dict[str, float]:
        """Scores of the probabilities."""
        return class_metrics(outputs, examples, self.classes, self.recipe.evaluate, prefix)

    def validate(self, splits: Splits) -> dict[str, float]:
        """Scores of the validation split."""
        outputs = self.shared_outputs(splits.val)
        return {} if self.global_rank else self.measure(outputs, splits.val, "val")

    def keep_epoch(self, files: RunFiles, epoch: int) -> None:
        """Records the ground distance of the loss, if it has one."""
        ground = ground_of(self.loss)
        if ground is not None:
            record_ground(files.ground, ground, self.classes.names, epoch)

    def run_test(self, splits: Splits, files: RunFiles) -> dict[str, float]:
        """Scores of the test split, and of the features below the logits if wanted; stores the probabilities."""
        probabilities = outputs_of(self, splits.test)
        store_predictions(files.predictions, probabilities, splits.test, self.classes, splits.source)
        metrics = self.measure(probabilities, splits.test, "test")
        if self.recipe.evaluate.features:
            vectors = outputs_of(self, splits.test, forward=self.unit_features)
            metrics |= measure_vectors(self, splits, vectors, self.unit_features)
        return metrics

    def unit_features(self, inputs: Tensor) -> Tensor:
        """Features (B, D) below the logits, at unit length, of inputs as the data give them."""
        features, _ = self.classifier.features_and_logits(self.ready(inputs))
        return nn.functional.normalize(features.float(), dim=1)


def build_classification_task(recipe: Recipe, splits: Splits, selection: Selection) -> ClassificationTask:
    """Classifier and loss of a recipe for given data.

    Args:
        recipe: The recipe.
        splits: The shape of their inputs and their classes shape the network.
        selection: The validation metric that chooses the best weights.

    Raises:
        RecipeError: The recipe does not fit the data.
    """
    shape, steps = input_shape(recipe, splits.train), steps_in_epoch(recipe, len(splits.train))
    classes = Classes.of(splits)
    loss = build_class_loss(recipe.loss, splits)
    classifier = build_classifier(single_model(recipe), shape, len(classes), head_of(loss))
    return ClassificationTask(recipe, classifier, loss, steps, selection, classes)
