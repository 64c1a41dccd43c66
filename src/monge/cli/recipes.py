"""``monge recipes``: what can be trained."""

from __future__ import annotations

from typing import Annotated

import typer


def recipes(
    name: Annotated[str | None, typer.Argument(help="Show this recipe, all settings filled in, as YAML.")] = None,
) -> None:
    """List the recipes, or show one."""
    from monge.recipes import list_recipes, load_recipe

    if name is not None:
        print(load_recipe(name).to_yaml(), end="")
        return
    width = max(map(len, list_recipes()))
    for known in list_recipes():
        print(f"{known:<{width}}  {load_recipe(known).title}")
