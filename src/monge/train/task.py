"""The Lightning module of a task: inputs made ready, model and loss held together, one optimiser for both."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from monge.data import Examples, Splits
from monge.data.augment import augment
from monge.recipes import Recipe
from monge.recipes.data_sections import PictureData
from monge.recipes.schema import OptimizerSection
from monge.train.checkpoints import Checkpoint
from monge.train.data_module import Batch
from monge.train.run_files import RunFiles
from monge.train.schedules import lr_factor
from monge.train.seeds import AUGMENT, BATCH, mixed_seed
from monge.train.selection import Selection


class Task(pl.LightningModule):
    """Model and loss of a recipe; the loss's own parameters are trained with the model's.

    Under several processes each one works on its share of the global batch, computes the loss of that share alone, and
    the gradients are averaged.

    Args:
        recipe: The experiment.
        model: The network.
        loss: Its loss.
        steps_per_epoch: Optimiser steps in an epoch.
        selection: The validation metric that chooses the best weights.

    Attributes:
        step: Optimiser steps done; `monge.train.keeper.RunKeeper` counts them.
        step_losses: Loss of each batch of the current step, without gradient.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, recipe: Recipe, model: nn.Module, loss: nn.Module, steps_per_epoch: int, selection: Selection
    ) -> None:
        super().__init__()
        self.recipe, self.model, self.loss = recipe, model, loss
        self.steps_per_epoch, self.selection = steps_per_epoch, selection
        self.step = 0
        self.step_losses: list[Tensor] = []
        if isinstance(recipe.data, PictureData):
            self.register_buffer("mean", _per_channel(recipe.data.normalize.mean), persistent=False)
            self.register_buffer("std", _per_channel(recipe.data.normalize.std), persistent=False)

    @abstractmethod
    def batch_loss(self, inputs: Tensor, batch: Batch) -> Tensor:
        """Loss of a batch whose inputs are ready for the network; scalar with gradient."""

    @abstractmethod
    def figures(self) -> Mapping[str, Tensor | float]:
        """What is logged of the last step beside its loss, named ``train/...``."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Length of one row of what `forward` gives."""

    @abstractmethod
    def measure(self, outputs: Tensor, examples: Examples, prefix: str) -> dict[str, float]:
        """Metrics of what `forward` gave for all examples, (N, `width`), named with a prefix and a slash."""

    @abstractmethod
    def run_test(self, splits: Splits, files: RunFiles) -> dict[str, float]:
        """Measures the test split, stores what a report shows of it, and returns the metrics, named ``test/...``."""

    def ready(self, inputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Inputs as the network takes them: rows (B, F) as they are, images and views as `pixels` makes them.

        Args:
            inputs: float32 (B, F), or uint8 (B, C, H, W) or (B, V, C, H, W).
            generator: Random numbers of the augmentation; none: no augmentation.
        """
        return self.pixels(inputs, generator) if isinstance(self.recipe.data, PictureData) else inputs

    def pixels(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Float images of uint8 ones: scaled to [0, 1], resized, augmented, normalised; views of an object all alike.

        Args:
            images: uint8 (B, C, H, W), or views (B, V, C, H, W).
            generator: Random numbers of the augmentation; none: no augmentation.
        """
        # The views of an object stand behind each other like channels, so that it is moved and turned as a whole.
        data, x = self.recipe.data, images.flatten(1, -3).to(torch.float32) / 255
        assert isinstance(data, PictureData)  # said for the type checker: `ready` has asked
        if data.image_size is not None and images.shape[-2:] != (data.image_size, data.image_size):
            x = nn.functional.interpolate(x, (data.image_size, data.image_size), mode="bilinear", antialias=True)
        if generator is not None and data.augment:
            x = augment(x, data.augment, generator)
        return (x.reshape(*images.shape[:-2], *x.shape[-2:]) - self.mean) / self.std

    @property
    def last_step(self) -> int:
        """Optimiser steps of the whole run."""
        return self.steps_per_epoch * self.recipe.train.epochs

    def end_epoch(self) -> None:
        """Tells a loss that learns by epochs that one is over; all processes do at the same time."""
        end_epoch = getattr(self.loss, "end_epoch", None)
        if callable(end_epoch):
            end_epoch()

    def keep_epoch(self, files: RunFiles, epoch: int) -> None:
        """Stores what a report wants to know of every epoch; by default nothing.

        Args:
            files: The run's folder.
            epoch: The epoch that has just ended, from 0.
        """

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
        """Loss of this process's share of a batch."""
        keys = (AUGMENT, self.recipe.seed, batch.epoch, batch.place, self.global_rank)
        generator = torch.Generator(self.device).manual_seed(mixed_seed(*keys))
        loss = self.batch_loss(self.ready(batch.inputs, generator), batch)
        self.step_losses.append(loss.detach())
        return loss

    def guarded(self, outputs: Tensor, *rest: Tensor, **named: Tensor) -> Tensor:
        """The loss in float32 whatever the precision of the model; NaN where the outputs are no numbers.

        Args:
            outputs: What the network gave, first argument of the loss.
            rest: Further arguments of the loss.
            named: The same, by name.
        """
        with torch.autocast(self.device.type, enabled=False):
            try:
                loss: Tensor = self.loss(outputs.float(), *rest, **named)
            except ValueError:  # how the transport engine meets NaN
                if outputs.isfinite().all():
                    raise
                loss = outputs.sum() * torch.nan  # all processes learn of it at the same step
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
