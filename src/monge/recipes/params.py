"""What the typed parameters of losses and of ground distances share, and how their names may be written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class LossParams(BaseModel):
    """What the parameter models share: unknown keys are refused and values never change after checking."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def canonical(name: str) -> str:
    """A name as recipes store it; hyphens and underscores are the same to a user.

    Example:
        >>> canonical("squared-emd")
        'squared_emd'
    """
    return name.strip().replace("-", "_")


def named(value: Any) -> Any:
    """A section from its name alone, or with its name in canonical form; anything else as it is.

    Args:
        value: What stands in a recipe.

    Example:
        >>> named("squared-emd"), named({"name": "squared-emd", "power": 1})
        ({'name': 'squared_emd'}, {'name': 'squared_emd', 'power': 1})
    """
    if isinstance(value, str):
        return {"name": canonical(value)}
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return {**value, "name": canonical(value["name"])}
    return value
