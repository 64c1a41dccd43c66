"""The face task: embeddings that tell identities apart, learned from some, measured by verifying pairs of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast, get_args

import torch
from torch import Tensor

from monge.data.face_pairs import FaceSplits, PairSet
from monge.errors import RecipeError
from monge.losses import OTFaceLoss
from monge.metrics.verification import flip_sum
from monge.nn.face_build import FaceNetConfig, build_face_network
from monge.nn.feature_maps import FaceNetwork
from monge.recipes import Recipe, load_recipe
from monge.recipes.face_losses import FaceLoss
from monge.train.batch_samplers import example_batches
from monge.train.batches import Batch, EpochBatches
from monge.train.face_losses import build_face_loss, needs_maps
from monge.train.face_measures import Measured, mean_metrics, store_verification, threshold_for
from monge.train.inference import outputs_of
from monge.train.networks import input_shape
from monge.train.run_files import RunFiles
from monge.train.schedules import steps_in_epoch
from monge.train.selection import Selection
from monge.train.task import Task

_MAPS_AT_ONCE = 64


class FaceTask(Task[FaceSplits]):
    """A face network under a loss called as ``loss(embeddings, identities)``, with ``feature_maps`` where it asks.

    Pairs are compared as the field does it: the embedding of a picture plus that of its mirror image, at length 1.
    """

    @property
    def network(self) -> FaceNetwork:
        """The model as what it is."""
        return cast(FaceNetwork, self.model)

    def forward(self, inputs: Tensor) -> Tensor:
        """What pairs are compared by, (B, D), of pictures as the data give them: mirror images added, length 1."""
        pictures = self.ready(inputs)
        return flip_sum(self.network(pictures), self.network(pictures.flip(-1))).float()

    def mirrored_sum(self, inputs: Tensor) -> Tensor:
        """Embeddings (B, D) of pictures as the data give them plus those of their mirror images, not scaled."""
        pictures = self.ready(inputs)
        total: Tensor = self.network(pictures) + self.network(pictures.flip(-1))
        return total

    def maps(self, inputs: Tensor) -> Tensor:
        """Feature maps (B, C, h, w) of pictures as the data give them."""
        return self.network.with_maps(self.ready(inputs)).feature_maps

    def batches(
        self, splits: FaceSplits, *, epoch: int, start: int = 0, rank: int = 0, world_size: int = 1
    ) -> EpochBatches:
        """Batches of the training identities."""
        return example_batches(self.recipe, splits.train, self.steps_per_epoch, epoch, start, rank, world_size)

    def batch_loss(self, inputs: Tensor, batch: Batch) -> Tensor:
        """Loss of the embeddings of a batch, and of their feature maps where it compares these."""
        embeddings, maps = self.network.with_maps(inputs)
        named = {"feature_maps": maps} if needs_maps(self.loss) else {}
        return self.guarded(embeddings, batch.labels, **named)

    def figures(self) -> Mapping[str, Tensor | float]:
        """Terms of the loss, and figures on the hard groups of the last batch."""
        terms: Mapping[str, Tensor] = getattr(self.loss, "terms", {})
        if isinstance(self.loss, OTFaceLoss) and needs_maps(self.loss):
            terms = self.loss.diagnostics()._asdict()
        return {f"train/{name}": float(value) for name, value in terms.items() if bool(value.isfinite())}

    @property
    def width(self) -> int:
        """Length of an embedding."""
        return self.recipe.model.embedding_dim

    def validate(self, splits: FaceSplits) -> dict[str, float]:
        """Verification of the validation pairs."""
        embeddings = self.shared_outputs(splits.val.images)
        if self.global_rank:
            return {}
        return {f"val/{name}": value for name, value in Measured(splits.val, embeddings).metrics().items()}

    def run_test(self, splits: FaceSplits, files: RunFiles) -> dict[str, float]:
        """Verification of every test set; stores its pairs, and the threshold that the validation pairs give."""
        measured = {name: self.measured(pairs) for name, pairs in splits.test.items()}
        store_verification(files.verification, measured, splits.source)
        if load_recipe(files.recipe).data == self.recipe.data:  # not where other data are measured by the run's model
            embeddings = outputs_of(self, splits.val.images)
            threshold = threshold_for(Measured(splits.val, embeddings), self.recipe.evaluate.target_far)
            if threshold is not None:
                threshold.save(files.threshold)
        return mean_metrics({name: one.metrics() for name, one in measured.items()})

    @torch.no_grad()
    def measured(self, pairs: PairSet) -> Measured:
        """A set of pairs with the embeddings of its pictures, and feature maps of those that a report shows.

        Args:
            pairs: Any set.
        """
        found = Measured(pairs, outputs_of(self, pairs.images))
        self.eval()
        parts = [pairs.images.inputs(rows).to(self.device) for rows in torch.split(found.shown, _MAPS_AT_ONCE)]
        return replace(found, maps=torch.cat([self.maps(part).float().cpu() for part in parts]))


def build_face_task(recipe: Recipe, splits: FaceSplits, selection: Selection) -> FaceTask:
    """Network and loss of a recipe for given data.

    Args:
        recipe: The recipe.
        splits: The shape of their pictures and their identities shape network and loss.
        selection: The validation metric that chooses the best weights.

    Raises:
        RecipeError: The recipe does not fit the data.
    """
    if not isinstance(recipe.model, get_args(FaceNetConfig)):
        names = ", ".join(config.__dataclass_fields__["name"].default for config in get_args(FaceNetConfig))
        raise RecipeError(f"model.name: found {recipe.model.name}, expected a face network: {names}")
    shape, steps = input_shape(recipe, splits.train), steps_in_epoch(recipe, len(splits.train))
    model = build_face_network(cast(FaceNetConfig, recipe.model), shape)
    loss = build_face_loss(cast(FaceLoss, recipe.loss), recipe.model.embedding_dim, len(splits.classes))
    return FaceTask(recipe, model, loss, steps, selection)
