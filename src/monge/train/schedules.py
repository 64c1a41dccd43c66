"""Learning rate as a function of the step alone."""

from __future__ import annotations

import math

from monge.recipes.schema import (
    ConstantSchedule,
    CosineSchedule,
    ExponentialSchedule,
    MilestoneSchedule,
    PolynomialSchedule,
    Recipe,
    StepSchedule,
)

Schedule = (
    ConstantSchedule | CosineSchedule | ExponentialSchedule | StepSchedule | MilestoneSchedule | PolynomialSchedule
)


def lr_factor(schedule: Schedule, step: int, steps_per_epoch: int, epochs: int) -> float:
    """What the learning rate is multiplied with at a step.

    Args:
        schedule: The ``schedule:`` section.
        step: Optimiser steps done before this one.
        steps_per_epoch: Optimiser steps in an epoch.
        epochs: Epochs of the run.

    Example:
        >>> lr_factor(ExponentialSchedule(gamma=0.5), step=25, steps_per_epoch=10, epochs=5)
        0.25
    """
    epoch = step // steps_per_epoch
    match schedule:
        case CosineSchedule() | PolynomialSchedule():
            warmup = schedule.warmup_epochs * steps_per_epoch
            if step < warmup:
                return (step + 1) / (warmup + 1)
            share = min(1.0, (step - warmup) / max(1.0, epochs * steps_per_epoch - warmup))
            if isinstance(schedule, PolynomialSchedule):
                return float((1 - share) ** schedule.power)
            return schedule.final + (1 - schedule.final) * 0.5 * (1 + math.cos(math.pi * share))
        case ExponentialSchedule():
            return float(schedule.gamma**epoch)
        case StepSchedule():
            return float(schedule.gamma ** (epoch // schedule.epochs))
        case MilestoneSchedule():
            return float(schedule.gamma ** sum(epoch >= milestone for milestone in schedule.epochs))
        case _:
            return 1.0


def steps_in_epoch(recipe: Recipe, examples: int) -> int:
    """Optimiser steps in an epoch: as the recipe says, else as many as the training examples fill.

    Args:
        recipe: The recipe.
        examples: Training examples.

    Example:
        >>> from monge.recipes import load_recipe
        >>> steps_in_epoch(load_recipe("mnist", ["train.steps_per_epoch=7"]), examples=3400)
        7
    """
    filled = examples // (recipe.sampler.batch_size * recipe.train.accumulate)
    return recipe.train.steps_per_epoch or max(1, filled)
