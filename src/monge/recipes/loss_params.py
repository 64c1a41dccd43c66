"""Every loss a recipe can name: `LossConfig` is the union of their parameters, told apart by ``name``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from monge.errors import RecipeError
from monge.recipes.class_losses import ClassLoss
from monge.recipes.complaints import complaint
from monge.recipes.cross_modal_losses import CrossModalLoss
from monge.recipes.face_losses import FaceLoss
from monge.recipes.metric_losses import MetricLoss
from monge.recipes.params import canonical, named

LossConfig = Annotated[
    Annotated[MetricLoss | ClassLoss | CrossModalLoss | FaceLoss, Field(discriminator="name")], BeforeValidator(named)
]
"""The ``loss:`` section of a recipe; a name alone stands for its defaults."""

Task = Literal["embedding", "classification", "cross-modal", "face"]
"""What a network is trained to give: vectors that lie near where things are alike, probabilities of classes, vectors of
two kinds of things that lie near where one answers the other, or vectors that tell one person from another."""


def _names(union: Any) -> tuple[str, ...]:
    """The ``name`` of each member."""
    return tuple(str(member.model_fields["name"].default) for member in get_args(union))


_TASKS: dict[str, Task] = {
    **dict.fromkeys(_names(MetricLoss), "embedding"),
    **dict.fromkeys(_names(ClassLoss), "classification"),
    **dict.fromkeys(_names(CrossModalLoss), "cross-modal"),
    **dict.fromkeys(_names(FaceLoss), "face"),
}
LOSS_NAMES: tuple[str, ...] = tuple(_TASKS)
"""Every ``loss.name``, by task: first the losses of embeddings, then those of classes, of two modalities, of faces."""


def task_of(name: str) -> Task | None:
    """The task of a loss; ``None`` where no loss has this name.

    Args:
        name: As in a recipe.

    Example:
        >>> task_of("supcon"), task_of("squared-emd"), task_of("hinge")
        ('embedding', 'classification', None)
    """
    return _TASKS.get(canonical(name))


def check_loss(values: Mapping[str, Any]) -> LossConfig:
    """Validates the parameters of one loss.

    Args:
        values: ``name`` and any of the parameters of that loss.

    Raises:
        RecipeError: One line on the first thing that is wrong.

    Example:
        >>> check_loss({"name": "triplet", "margin": 0.3})
        TripletParams(name='triplet', margin=0.3)
        >>> check_loss({"name": "triplet", "magin": 0.3})
        Traceback (most recent call last):
        monge.errors.RecipeError: loss.magin: unknown key; did you mean loss.margin?
    """
    try:
        return _Recipe.model_validate({"loss": dict(values)}).loss
    except ValidationError as error:
        raise RecipeError(complaint(error, _Recipe)) from error


class _Recipe(BaseModel):
    """As much of a recipe as a loss is checked in, so that what is wrong has the path it has there."""

    loss: LossConfig
