"""Recipes: complete experiments as small YAML files, and the typed schema that checks them."""

from __future__ import annotations

from monge.extras import require

for _module in ("pydantic", "yaml"):
    require(_module, extra="cli", purpose="Reading recipes")

from monge.recipes.load import list_recipes, load_recipe  # noqa: E402  the check above must come first
from monge.recipes.loss_params import LOSS_NAMES, LossConfig, Task, task_of  # noqa: E402
from monge.recipes.schema import Recipe  # noqa: E402
from monge.recipes.smoke import smoke_recipe  # noqa: E402

__all__ = ["LOSS_NAMES", "LossConfig", "Recipe", "Task", "list_recipes", "load_recipe", "smoke_recipe", "task_of"]
