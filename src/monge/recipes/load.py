"""Finding, overriding and checking recipes."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from monge.errors import RecipeError
from monge.recipes.complaints import complaint
from monge.recipes.plain_yaml import MAX_BYTES, parse_yaml
from monge.recipes.schema import Recipe

# Sections whose keys depend on their name.
_KINDS = ("loss", "model", "sampler", "schedule")


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
        overrides: Settings such as ``"loss.margin=1.5"``; the value is read as YAML. Setting ``loss.name`` (or the name
            of another section with kinds) to another kind drops the old kind's parameters.

    Raises:
        RecipeError: No such recipe, or a wrong key or value; one line with the dotted path and what is allowed.

    Example:
        >>> load_recipe("mnist", ["train.epochs=2", "loss.name=supcon"]).loss.name
        'supcon'
    """
    text, where = _read(name_or_path)
    content = parse_yaml(text, where)
    if not isinstance(content, dict):
        raise RecipeError(f"{where}: found {type(content).__name__}, expected a mapping of sections")
    for path, value in sorted(map(_override, overrides), key=lambda item: item[0][-1] != "name"):
        _assign(content, path, value)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"{where}: {complaint(error)}") from error


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
    return keys, parse_yaml(value, f"--set {path.strip()}")


def _assign(content: dict[str, Any], path: list[str], value: Any) -> None:
    """Puts a value at a path, making sections on the way; another kind starts its section anew."""
    section: Any = content
    for depth, key in enumerate(path[:-1]):
        section = section.setdefault(key, {})
        if not isinstance(section, dict):
            place = ".".join(path[: depth + 1])
            raise RecipeError(f"--set {'.'.join(path)}: {place} is a value, not a section")
    if len(path) == 2 and path[-1] == "name" and section.get("name") != value:
        if path[0] in _KINDS:
            section.clear()
        elif path[0] == "optimizer":
            section.pop("momentum", None)
    section[path[-1]] = value
