"""One clear line for what pydantic found wrong in a recipe: the path, what stands there, what may stand there."""

from __future__ import annotations

import dataclasses
import difflib
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


def complaint(error: ValidationError, root: type[BaseModel]) -> str:
    """The first thing wrong, and how many more there are.

    Args:
        error: What validating raised.
        root: The class that was validated.

    Example:
        >>> from monge.recipes.schema import Recipe
        >>> try:
        ...     Recipe.model_validate({"loss": {"name": "supcon", "temprature": 0.2}})
        ... except ValidationError as caught:
        ...     print(complaint(caught, Recipe).split(" (and")[0])
        name: missing, a recipe needs it
    """
    errors = error.errors(include_url=False)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return _line(errors[0], root) + more


def _line(detail: ErrorDetails, root: type[BaseModel]) -> str:
    """One error as ``path: found, expected``."""
    keys, owner = _walk(detail["loc"], root)
    path, kind, context = ".".join(keys), detail["type"], detail.get("ctx", {})
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        allowed = _fields(owner)
        near = difflib.get_close_matches(keys[-1], allowed, n=1)
        hint = f"did you mean {'.'.join([*keys[:-1], near[0]])}?" if near else f"allowed: {', '.join(allowed)}"
        return f"{path}: unknown key; {hint}"
    if kind in ("missing", "missing_argument"):
        return f"{path}: missing, a recipe needs it"
    if kind == "union_tag_not_found":
        return f"{path}.name: missing, expected one of {', '.join(_tags(owner))}"
    if kind == "union_tag_invalid":
        return f"{path}.name: found {context['tag']!r}, expected one of {context['expected_tags']}".replace("'", "")
    if kind == "value_error":  # raised by our own checks: a section's begin with the key at fault
        text = str(context["error"])
        return f"{path}: {text}" if text.startswith("found ") else ".".join(filter(None, [path, text]))
    wanted = detail["msg"].replace("Input should be", "expected").replace("a valid tuple", "a list")
    return f"{path}: found {_short(detail['input'])}, {wanted}"


def _short(value: object) -> str:
    """What was found, cut to fit a line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _walk(location: tuple[int | str, ...], root: type[BaseModel]) -> tuple[list[str], Any]:
    """The location as a user wrote it, without the tags that pydantic puts in for unions, and the class at fault."""
    keys: list[str] = []
    owner: Any = root
    for part in location:
        branch = _branch(owner, str(part))
        if branch is not None:
            owner = branch
            continue
        if isinstance(part, str) and len(_kinds_of_value(owner)) > 1:
            continue  # pydantic's name for one of the kinds
        keys.append(str(part))
        if str(part) in _fields(owner):
            owner = _annotation(owner, str(part))
        elif part != location[-1]:
            break
    return keys, owner


def _annotation(owner: Any, field: str) -> Any:
    """Type of a field, pydantic's or a dataclass's."""
    if isinstance(owner, type) and issubclass(owner, BaseModel):
        return owner.model_fields[field].annotation
    if isinstance(owner, type) and dataclasses.is_dataclass(owner):
        return get_type_hints(owner)[field]
    return None


def _kinds_of_value(annotation: Any) -> list[Any]:
    """What may stand at a key that several kinds of plain values may stand at."""
    if get_origin(annotation) not in (Union, UnionType) or _members(annotation):
        return []
    return [kind for kind in get_args(annotation) if kind is not type(None)]


def _members(annotation: Any) -> list[Any]:
    """The section classes inside a union, however deeply it is annotated."""
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)):
        return [annotation]
    return [member for part in get_args(annotation) for member in _members(part)]


def _tag(member: Any) -> str:
    """What picks this member of a union: its ``kind`` where it has one, else the only ``name`` it may have."""
    if issubclass(member, BaseModel):
        return str(getattr(member, "kind", None) or member.model_fields["name"].default)
    return next(str(field.default) for field in dataclasses.fields(member) if field.name == "name")


def _tags(annotation: Any) -> list[str]:
    """Every ``name`` of a union."""
    return [_tag(member) for member in _members(annotation)]


def _branch(annotation: Any, tag: str) -> Any:
    """The member of a union that a tag picks; None where the type is no union."""
    members = _members(annotation)
    return next((member for member in members if len(members) > 1 and _tag(member) == tag), None)


def _fields(owner: Any) -> list[str]:
    """Allowed keys of a section."""
    if isinstance(owner, type) and issubclass(owner, BaseModel):
        return list(owner.model_fields)
    if isinstance(owner, type) and dataclasses.is_dataclass(owner):
        return [field.name for field in dataclasses.fields(owner)]
    return []
