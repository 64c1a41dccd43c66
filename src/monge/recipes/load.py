"""Finding, overriding and checking recipes."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from monge.errors import RecipeError
from monge.recipes.complaints import complaint
from monge.recipes.loss_params import check_loss
from monge.recipes.params import canonical, named
from monge.recipes.plain_yaml import MAX_BYTES, parse_yaml
from monge.recipes.schema import ExpectedSection, Recipe

# Sections whose keys depend on their name; a name alone is short for the section with its defaults.
_KINDS = (
    ["loss"],
    ["model"],
    ["sampler"],
    ["schedule"],
    ["loss", "ground"],
    ["loss", "softmax"],
    ["model", "query"],
    ["model", "gallery"],
)


def list_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with monge.

    Example:
        >>> "mnist" in list_recipes()
        True
    """
    folder = resources.files("monge.recipes")
    return tuple(sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")))


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Loads and checks a recipe.

    Args:
        name_or_path: A name that `list_recipes` gives, the path of a YAML file, or a run folder.
        overrides: Settings such as ``"loss.margin=1.5"``; the value is read as YAML. Setting ``loss.name``, or ``loss``
            for short (or the name of another section with kinds), to another kind drops the old kind's parameters.
            Where the loss changes, the task follows it and the recipe's expected numbers are dropped.

    Raises:
        RecipeError: No such recipe, or a wrong key or value; one line with the dotted path and what is allowed.

    Example:
        >>> load_recipe("mnist", ["train.epochs=2", "loss=squared-emd"]).task
        'classification'
    """
    text, where = _read(name_or_path)
    content = parse_yaml(text, where)
    if not isinstance(content, dict):
        raise RecipeError(f"{where}: found {type(content).__name__}, expected a mapping of sections")
    own_loss = copy.deepcopy(content.get("loss"))
    settings = [_override(setting) for setting in overrides]
    paths = [path for path, _ in settings]
    if ["loss", "name"] in paths and ["task"] not in paths:
        content.pop("task", None)
    # Names come first, the outer ones before the inner, for each begins its section anew.
    for path, value in sorted(settings, key=lambda setting: (setting[0][-1] != "name", len(setting[0]))):
        _assign(content, path, value)
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"{where}: {complaint(error, Recipe)}") from error
    if any(path[0] == "loss" for path in paths) and _changed(own_loss, recipe):
        return recipe.model_copy(update={"expected": ExpectedSection()})
    return recipe


def _changed(own_loss: Any, recipe: Recipe) -> bool:
    """Whether overrides gave a recipe another loss than the one that was written in it."""
    try:
        return check_loss(named(own_loss)) != recipe.loss
    except (RecipeError, TypeError):
        return True


def _read(name_or_path: str | Path) -> tuple[str, str]:
    """Text of the recipe and what to call it in errors."""
    name = str(name_or_path)
    if name in list_recipes():
        return (resources.files("monge.recipes") / f"{name}.yaml").read_text(encoding="utf-8"), f"recipe {name}"
    path = Path(name_or_path)
    if path.is_dir():
        path = path / "recipe.yaml"
    if not path.is_file():
        if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
            raise RecipeError(f"{path}: no such recipe file")
        near = difflib.get_close_matches(name, list_recipes(), n=1)
        hint = (
            f"did you mean {near[0]}?" if near else f"there are {', '.join(list_recipes())}, or the path of a YAML file"
        )
        raise RecipeError(f"no recipe is called {name!r}; {hint}")
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1).decode("utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read as UTF-8 text ({error})") from error


def _override(setting: str) -> tuple[list[str], Any]:
    """Splits ``a.b=c`` into its path and its value."""
    path, equals, value = setting.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise RecipeError(f"--set {setting}: expected key=value, such as loss.margin=1.5")
    content = parse_yaml(value, f"--set {path.strip()}")
    return ([*keys, "name"] if keys in _KINDS and isinstance(content, str) else keys), content


def _assign(content: dict[str, Any], path: list[str], value: Any) -> None:
    """Puts a value at a path, making sections on the way; another kind starts its section anew."""
    section: Any = content
    for depth, key in enumerate(path[:-1], start=1):
        inner = section.get(key)
        section[key] = {} if inner is None else named(inner) if path[:depth] in _KINDS else inner
        section = section[key]
        if not isinstance(section, dict):
            place = ".".join(path[:depth])
            raise RecipeError(f"--set {'.'.join(path)}: {place} is a value, not a section")
    if path[-1] == "name" and canonical(str(section.get("name"))) != canonical(str(value)):
        if path[:-1] in _KINDS:
            section.clear()
        elif path[:-1] == ["optimizer"]:
            section.pop("momentum", None)
    section[path[-1]] = value
