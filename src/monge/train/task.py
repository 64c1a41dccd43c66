"""The Lightning module of an embedding task: pixels in, model and loss held together, one optimiser for both."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from monge.data import Splits
from monge.data.augment import augment
from monge.errors import RecipeError
from monge.nn import build_model
from monge.recipes import Recipe
from monge.recipes.schema import DataSection, OptimizerSection
from monge.train.checkpoints import Checkpoint
from monge.train.data_module import Batch
from monge.train.losses import build_loss
from monge.train.schedules import lr_factor, steps_in_epoch
from monge.train.seeds import AUGMENT, BATCH, MODEL, mixed_seed


class EmbeddingTask(pl.LightningModule):
    """Model and loss of a recipe; the loss's own parameters are trained with the model's.

    Under several processes each one embeds its share of the global batch, computes the loss of that share alone, and
    the gradients are averaged.

    Args:
        recipe: The experiment.
        model: Turns float images (B, C, H, W) into embeddings (B, D).
        loss: Called as ``loss(embeddings, labels)``.
        steps_per_epoch: Optimiser steps in an epoch.

    Attributes:
        step: Optimiser steps done; `monge.train.keeper.RunKeeper` counts them.
        step_losses: Loss of each batch of the current step, without gradient.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, recipe: Recipe, model: nn.Module, loss: nn.Module, steps_per_epoch: int) -> None:
        super().__init__()
        self.recipe, self.model, self.loss, self.steps_per_epoch = recipe, model, loss, steps_per_epoch
        self.step = 0
        self.step_losses: list[Tensor] = []
        self.register_buffer("mean", _per_channel(recipe.data.normalize.mean), persistent=False)
        self.register_buffer("std", _per_channel(recipe.data.normalize.std), persistent=False)

    def pixels(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Float images (B, C, H, W) of uint8 ones: scaled to [0, 1], resized, augmented, normalised.

        Args:
            images: uint8 (B, C, H, W).
            generator: Random numbers of the augmentation; none: no augmentation.
        """
        data, x = self.recipe.data, images.to(torch.float32) / 255
        if data.image_size is not None and images.shape[-2:] != (data.image_size, data.image_size):
            x = nn.functional.interpolate(x, (data.image_size, data.image_size), mode="bilinear", antialias=True)
        if generator is not None and data.augment:
            x = augment(x, data.augment, generator)
        return (x - self.mean) / self.std

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (B, D) of uint8 images (B, C, H, W)."""
        embeddings: Tensor = self.model(self.pixels(images))
        return embeddings

    @property
    def last_step(self) -> int:
        """Optimiser steps of the whole run."""
        return self.steps_per_epoch * self.recipe.train.epochs

    def restore(self, checkpoint: Checkpoint) -> None:
        """Takes over model, loss and position.

        Args:
            checkpoint: From a run of the same recipe.
        """
        self.model.load_state_dict(checkpoint["model"])
        self.loss.load_state_dict(checkpoint["loss"])
        self.step = checkpoint["step"]

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Sets learning rate and random numbers, both functions of the position alone."""
        if batch_idx % self.recipe.train.accumulate == 0:
            self.step_losses = []
            factor = lr_factor(self.recipe.schedule, self.step, self.steps_per_epoch, self.recipe.train.epochs)
            for group in self.trainer.optimizers[0].param_groups:
                group["lr"] = group["initial_lr"] * factor
        torch.manual_seed(mixed_seed(BATCH, self.recipe.seed, batch.epoch, batch.place, self.global_rank))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of this process's share of a batch, in float32 whatever the precision of the model."""
        keys = (AUGMENT, self.recipe.seed, batch.epoch, batch.place, self.global_rank)
        generator = torch.Generator(self.device).manual_seed(mixed_seed(*keys))
        embeddings = self.model(self.pixels(batch.inputs, generator))
        with torch.autocast(self.device.type, enabled=False):
            try:
                loss: Tensor = self.loss(embeddings.float(), batch.labels)
            except ValueError:  # how the transport engine meets NaN
                if embeddings.isfinite().all():
                    raise
                loss = embeddings.sum() * torch.nan  # all processes learn of it at the same step
        self.step_losses.append(loss.detach())
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One optimiser with a group for the model and, if the loss has parameters, one for them."""
        config = self.recipe.optimizer
        groups: list[dict[str, Any]] = [{"params": list(self.model.parameters()), "lr": config.lr}]
        own = list(self.loss.parameters())
        if own:
            groups.append({"params": own, "lr": config.lr * float(getattr(self.loss, "lr_scale", 1.0))})
        for group in groups:
            group["initial_lr"] = group["lr"]
        return _optimizer(config, groups)


def _per_channel(values: tuple[float, ...]) -> Tensor:
    """Values that broadcast over images (B, C, H, W)."""
    return torch.tensor(values).reshape(1, -1, 1, 1)


def _optimizer(config: OptimizerSection, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimiser that the recipe names."""
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum or 0.0, weight_decay=config.weight_decay)
    kind = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=config.lr, weight_decay=config.weight_decay)


def build_task(recipe: Recipe, splits: Splits) -> EmbeddingTask:
    """Model and loss of a recipe for given images, with weights drawn from the recipe's seed.

    Args:
        recipe: The recipe.
        splits: Their channels, size and classes shape the network.

    Raises:
        RecipeError: The recipe does not fit the images.
    """
    channels, height, width = splits.train.shape
    size = _image_size(recipe.data, height, width)
    for key, values in (("mean", recipe.data.normalize.mean), ("std", recipe.data.normalize.std)):
        if len(values) not in (1, channels):
            wanted = f"1 or {channels} numbers" if channels > 1 else "1 number"
            raise RecipeError(f"data.normalize.{key}: found {len(values)} numbers, expected {wanted} for these images")
    torch.manual_seed(mixed_seed(MODEL, recipe.seed))
    model = build_model(recipe.model, channels, size)
    loss = build_loss(recipe.loss, recipe.model.embedding_dim, len(splits.classes))
    return EmbeddingTask(recipe, model, loss, steps_in_epoch(recipe, len(splits.train)))


def _image_size(data: DataSection, height: int, width: int) -> int:
    """Side of the square images the network sees."""
    if data.image_size is None and height != width:
        raise RecipeError(
            f"data.image_size: missing, and the images are {height} x {width}: networks here take squares"
        )
    return data.image_size or height
