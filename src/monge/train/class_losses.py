"""From the ``loss:`` section of a recipe to a module called as ``loss(outputs, targets, features=features)``."""

from __future__ import annotations

from torch import nn

from monge.data import Splits
from monge.errors import RecipeError
from monge.losses import (
    ConservativeWassersteinLoss,
    CrossEntropyEMDLoss,
    RelaxedEMDLoss,
    SquaredEMDLoss,
    WassersteinLoss,
)
from monge.losses.ground_loss import GroundLoss
from monge.nn import HeadFactory
from monge.recipes import LossConfig
from monge.recipes.class_losses import (
    ConservativeParams,
    RelaxedEMDParams,
    SquaredEMDParams,
    TransportParams,
    WassersteinParams,
    XEMD1Params,
    XEMD2Params,
)
from monge.recipes.grounds import LineGround, needs_order
from monge.recipes.params import LossParams
from monge.train.class_baselines import ClassBaselineParams, build_class_baseline
from monge.train.grounds import build_ground

_KINDS: dict[type[LossParams], type[GroundLoss]] = {
    SquaredEMDParams: SquaredEMDLoss,
    XEMD1Params: CrossEntropyEMDLoss,
    XEMD2Params: CrossEntropyEMDLoss,
    WassersteinParams: WassersteinLoss,
    RelaxedEMDParams: RelaxedEMDLoss,
    ConservativeParams: ConservativeWassersteinLoss,
}
_ANY_CLASSES = ("cross_entropy", "label_smoothing")
_LABELS_ONLY = ("corn", "dlordinal")


def build_class_loss(config: LossConfig, splits: Splits) -> nn.Module:
    """Builds the loss of a classification recipe.

    Args:
        config: One of the typed loss sections.
        splits: The data: number, order and places of the classes, and whether targets are distributions.

    Returns:
        A module called as ``loss(outputs (N, C), targets, features=None) -> scalar``. It may have ``terms`` (the named
        parts of the last value), ``end_epoch()``, and a layer of its own, see `head_of`.

    Raises:
        RecipeError: The loss does not go with these classes.
        DataFormatError: A file of its ground distance is not what it should be.
        MissingExtraError: A baseline without its package.

    Example:
        >>> from monge.data import load_images
        >>> from monge.recipes.class_losses import CrossEntropyParams
        >>> build_class_loss(CrossEntropyParams(), load_images("mnist", "synthetic"))
        Plain(
          (loss): CrossEntropyLoss()
        )
    """
    check_fit(config, splits)
    if not isinstance(config, TransportParams):
        assert isinstance(config, ClassBaselineParams)  # said for the type checker: the task decided
        return build_class_baseline(config, len(splits.classes))
    kind = _KINDS[type(config)]
    ground = build_ground(config.ground or LineGround(span=1.0 if kind is CrossEntropyEMDLoss else None), splits)
    try:
        return kind(ground, **config.model_dump(exclude={"name", "ground"}))
    except ValueError as error:
        raise RecipeError(f"loss: {error}") from error


def head_of(loss: nn.Module) -> HeadFactory | None:
    """The last layer that a loss brings; ``None`` where the classifier's own will do.

    Args:
        loss: From `build_class_loss`.
    """
    return getattr(loss, "head", None)


def check_fit(config: LossConfig, splits: Splits) -> None:
    """Refuses a loss that means nothing on some data.

    Args:
        config: The loss.
        splits: The data.

    Raises:
        RecipeError: It needs an order that the classes do not have, or labels where the data have distributions.
    """
    name, has_ground = config.name, isinstance(config, TransportParams)
    if not splits.ordered and name not in _ANY_CLASSES and needs_order(getattr(config, "ground", None)):
        other = "set loss.ground=learned (or a tree, matrix or embeddings with a file), or " if has_ground else ""
        raise RecipeError(
            f"loss.name: {name} works on the order of the classes, and those of these data ({splits.classes[0]}, "
            f"{splits.classes[1]} ...) have none: {other}take cross_entropy or label_smoothing"
        )
    if splits.train.targets is not None and name in _LABELS_ONLY:
        raise RecipeError(f"loss.name: {name} takes one class an example, and these data have distributions of them")
