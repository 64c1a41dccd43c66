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
    loaded = {known: load_recipe(known) for known in list_recipes()}
    width, tasks = max(map(len, loaded)), max(len(recipe.task) for recipe in loaded.values())
    for known, recipe in loaded.items():
        print(f"{known:<{width}}  {recipe.task:<{tasks}}  {recipe.title}")
