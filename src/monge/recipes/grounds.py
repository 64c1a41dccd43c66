"""Typed ``loss.ground`` sections: which distance between classes a loss works with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, PositiveFloat

from monge.recipes.params import LossParams, named


def _absolute(file: str) -> str:
    """A path that holds from wherever the recipe is read again."""
    return str(Path(file).expanduser().absolute())


File = Annotated[str, AfterValidator(_absolute)]


class LineGround(LossParams):
    """Classes in a row, as far apart as their places are.

    Attributes:
        positions: Place of each class; unset: those of the data where they have any (ages, scores), else 0, 1, 2, ...
        span: Distance between the first class and the last, to which the places are stretched; unset: they stay.
    """

    name: Literal["line"] = "line"
    positions: tuple[float, ...] | None = None
    span: PositiveFloat | None = None


class TreeGround(LossParams):
    """Classes as leaves (or inner nodes) of a hierarchy; the distance is the length of the way between them.

    Attributes:
        file: ``.csv`` with the columns ``class,parent`` and, if edges differ in length, ``length``; any other suffix:
            lines ``parent child``, as ImageNet's ``wordnet.is_a.txt`` has them.
    """

    name: Literal["tree"] = "tree"
    file: File


class MatrixGround(LossParams):
    """Distances as they are given.

    Attributes:
        file: ``.npy``, ``.csv`` (numbers alone) or ``.safetensors`` (one tensor), a row and a column for every class.
        symmetric: False: the distances there and back may differ.
    """

    name: Literal["matrix"] = "matrix"
    file: File
    symmetric: bool = True


class EmbeddingsGround(LossParams):
    """Distances between vectors that stand for the classes, such as word vectors of their names.

    Attributes:
        file: ``.npy``, ``.csv`` (numbers alone) or ``.safetensors`` (one tensor) with one row a class.
        metric: How the vectors are compared.
    """

    name: Literal["embeddings"] = "embeddings"
    file: File
    metric: Literal["cosine", "euclidean"] = "cosine"


class LearnedGround(LossParams):
    """The distance that the network learns by itself from its own features (Hou, Yu, Samaras; 2016, section 3.3).

    Attributes:
        head_start: Epochs without it; 4 in the paper's experiments.
        momentum: Share of the old distance in the new one after each epoch; unset: none, as in the paper.
    """

    name: Literal["learned"] = "learned"
    head_start: NonNegativeInt = 4
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None


_Base = LineGround | TreeGround | MatrixGround | EmbeddingsGround | LearnedGround


class PowerGround(LossParams):
    """Another distance to a power, entry by entry.

    Attributes:
        omega: The power.
        of: The other distance.
    """

    name: Literal["power"] = "power"
    omega: PositiveFloat
    of: Annotated[Annotated[_Base, Field(discriminator="name")], BeforeValidator(named)] = LineGround()


GroundParams = _Base | PowerGround
"""Every kind of ground distance."""

GroundConfig = Annotated[Annotated[GroundParams, Field(discriminator="name")], BeforeValidator(named)]
"""A ``ground:`` section; a name alone stands for its defaults."""


def needs_order(ground: Any) -> bool:
    """Whether a ground distance means something only where the classes have an order.

    Args:
        ground: A ground section; ``None``: the line that losses take by default.

    Example:
        >>> needs_order(None), needs_order(LearnedGround()), needs_order(PowerGround(omega=2))
        (True, False, True)
    """
    if isinstance(ground, PowerGround):
        return needs_order(ground.of)
    return ground is None or (isinstance(ground, LineGround) and ground.positions is None)
