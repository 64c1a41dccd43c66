"""The Lightning module of a task: inputs made ready, model and loss held together, one optimiser for both."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from monge.data import Examples
from monge.data.any_splits import AnySplits
from monge.recipes import Recipe
from monge.recipes.data_sections import PictureData, ShapeData
from monge.recipes.schema import OptimizerSection
from monge.train.batches import EpochBatches
from monge.train.checkpoints import Checkpoint
from monge.train.divergence import DivergedError
from monge.train.inference import outputs_of
from monge.train.parameter_groups import parameter_groups
from monge.train.pixels import DrawnViews, Pixels
from monge.train.run_files import RunFiles
from monge.train.schedules import lr_factor
from monge.train.seeds import AUGMENT, BATCH, mixed_seed
from monge.train.selection import Selection

S = TypeVar("S", bound=AnySplits)


class Task(pl.LightningModule, Generic[S]):
    """Model and loss of a recipe on data of one kind; the loss's own parameters are trained with the model's.

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
        pixels: How pictures become inputs, where the data are pictures.
    """

    def __init__(
        self, recipe: Recipe, model: nn.Module, loss: nn.Module, steps_per_epoch: int, selection: Selection
    ) -> None:
        super().__init__()
        self.recipe, self.model, self.loss = recipe, model, loss
        self.steps_per_epoch, self.selection = steps_per_epoch, selection
        self.step = 0
        self.step_losses: list[Tensor] = []
        self.pixels = pixels_of(recipe)
        if isinstance(self.pixels, Pixels):
            # A third off the convolutions of a training step on the CPU; checkpoints load into either order.
            self.model.to(memory_format=torch.channels_last)

    @abstractmethod
    def batches(self, splits: S, *, epoch: int, start: int = 0, rank: int = 0, world_size: int = 1) -> EpochBatches:
        """Training batches of an epoch.

        Args:
            splits: The data.
            epoch: Which epoch.
            start: Batches of it that are done already.
            rank: This process.
            world_size: Processes that share each batch.

        Raises:
            RecipeError: The data cannot fill such batches, or a share of them teaches nothing.
        """

    @abstractmethod
    def batch_loss(self, inputs: Any, batch: Any) -> Tensor:
        """Loss of a batch whose inputs are ready for the network; scalar with gradient."""

    @abstractmethod
    def figures(self) -> Mapping[str, Tensor | float]:
        """What is logged of the last step beside its loss, named ``train/...``."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Length of one row of what `forward` gives."""

    @abstractmethod
    def validate(self, splits: S) -> dict[str, float]:
        """Measures the validation split, named ``val/...``; all processes call it, the first gets the metrics.

        Raises:
            DivergedError: The network no longer gives finite numbers.
        """

    @abstractmethod
    def run_test(self, splits: S, files: RunFiles) -> dict[str, float]:
        """Measures the test split, stores what a report shows of it, and returns the metrics, named ``test/...``."""

    def ready(self, inputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Inputs as the network takes them: rows (B, F) as they are, images and views as `pixels` makes them.

        Args:
            inputs: float32 (B, F), or uint8 (B, C, H, W) or (B, V, C, H, W).
            generator: Random numbers of the augmentation; none: no augmentation.
        """
        if self.pixels is None:
            return inputs
        pictures: Tensor = self.pixels(inputs, generator)
        return pictures

    def ready_batch(self, batch: Any, generator: torch.Generator) -> Any:
        """The first argument of `batch_loss`: the inputs of a batch, ready for the network.

        Args:
            batch: What `batches` gives.
            generator: Random numbers of the augmentation.
        """
        return self.ready(batch.inputs, generator)

    def shared_outputs(self, examples: Examples, forward: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """What the network gives for all examples, (N, `width`), each process having done its share of them.

        Args:
            examples: What goes in.
            forward: What they go through; the task itself unless given.

        Raises:
            DivergedError: Not all of it is finite.
        """
        processes = {"rank": self.global_rank, "world_size": self.trainer.world_size}
        outputs = outputs_of(self, examples, forward=forward, **processes)
        if not outputs.isfinite().all():  # the last step's loss was finite, the weights it left are not
            raise DivergedError.at(self.step, self.current_epoch, self.recipe.optimizer.lr)
        return outputs

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

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Sets learning rate and random numbers, both functions of the position alone."""
        if batch_idx % self.recipe.train.accumulate == 0:
            self.step_losses = []
            factor = lr_factor(self.recipe.schedule, self.step, self.steps_per_epoch, self.recipe.train.epochs)
            for group in self.trainer.optimizers[0].param_groups:
                group["lr"] = group["initial_lr"] * factor
        torch.manual_seed(mixed_seed(BATCH, self.recipe.seed, batch.epoch, batch.place, self.global_rank))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Loss of this process's share of a batch."""
        keys = (AUGMENT, self.recipe.seed, batch.epoch, batch.place, self.global_rank)
        generator = torch.Generator(self.device).manual_seed(mixed_seed(*keys))
        loss = self.batch_loss(self.ready_batch(batch, generator), batch)
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
        """One optimiser with groups for the model, for parts of it that learn slower, and for the loss."""
        config = self.recipe.optimizer
        groups = parameter_groups(self.model, config.lr)
        own = list(self.loss.parameters())
        if own:
            groups.append({"params": own, "lr": config.lr * float(getattr(self.loss, "lr_scale", 1.0))})
        for group in groups:
            group["initial_lr"] = group["lr"]
        return _optimizer(config, groups)


def pixels_of(recipe: Recipe) -> Pixels | DrawnViews | None:
    """How the pictures of a recipe become inputs; ``None`` where its data are no pictures, nor vectors of some.

    Args:
        recipe: Its ``data`` section.
    """
    data = recipe.data
    if not isinstance(data, PictureData):
        return None
    if isinstance(data, ShapeData) and data.features is not None:
        return DrawnViews(data.train_views)
    views: dict[str, Any] = {}
    if isinstance(data, ShapeData):
        views = {"background": data.background, "train_views": data.train_views}
    return Pixels(data.normalize, data.augment, data.image_size, **views)


def _optimizer(config: OptimizerSection, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimiser that the recipe names."""
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum or 0.0, weight_decay=config.weight_decay)
    kind = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=config.lr, weight_decay=config.weight_decay)
