"""What `monge compare --losses` says: loss names, each with parameters of its own where they are given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from monge.errors import RecipeError
from monge.recipes.loss_params import LOSS_NAMES, LossConfig, check_loss
from monge.recipes.params import canonical

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]*")


@dataclass(frozen=True)
class LossSpec:
    """One row of a comparison.

    Attributes:
        name: Name of the loss, as in a recipe.
        label: What the row and its folder are called; the name unless parameters or a label are given.
        params: Parameters that differ from the recipe's (for the recipe's own loss) or from the defaults.
    """

    name: str
    label: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def resolve(self, recipe_loss: Mapping[str, Any]) -> LossConfig:
        """All parameters: the recipe's ``loss`` section where it is about this loss, the defaults otherwise.

        Raises:
            RecipeError: A parameter does not exist or has a wrong value.
        """
        base = dict(recipe_loss) if recipe_loss.get("name") == self.name else {"name": self.name}
        return check_loss({**base, **self.params})


def parse_losses(text: str | Sequence[str]) -> list[LossSpec]:
    """Reads a list of losses, e.g. ``"contrastive,batchwise-ot:epsilon=100,label=uniform-plan"``.

    Hyphens and underscores in names are the same. A name may be followed by a colon and ``key=value`` pairs; the key
    ``label`` names the row.

    Args:
        text: The list, or the losses one by one.

    Raises:
        RecipeError: A name is not known, a pair is not ``key=value``, a label cannot be a folder's name, or two
            rows have the same label.

    Example:
        >>> [spec.label for spec in parse_losses("contrastive,batchwise_ot:epsilon=100,half=false,triplet")]
        ['contrastive', 'batchwise_ot-epsilon=100-half=false', 'triplet']
    """
    pieces = (text if isinstance(text, str) else ",".join(text)).split(",")
    grouped: list[tuple[str, list[str]]] = []
    for piece in (piece.strip() for piece in pieces):
        head, colon, pair = piece.partition(":")
        if colon or "=" not in piece:
            grouped.append((head, [pair] if colon else []))
        elif grouped:
            grouped[-1][1].append(piece)
        else:
            raise RecipeError(f"--losses: found {piece!r} before any loss, expected NAME or NAME:KEY=VALUE,...")
    specs = [_spec(name, pairs) for name, pairs in grouped]
    labels = [spec.label for spec in specs]
    for label in labels:
        if labels.count(label) > 1:
            raise RecipeError(f"--losses: {label!r} stands there twice; give one of them another name with label=NAME")
    return specs


def _spec(name: str, pairs: Sequence[str]) -> LossSpec:
    """One loss from its name and its ``key=value`` texts."""
    given, name = name, canonical(name)
    if name not in LOSS_NAMES:
        raise RecipeError(f"--losses: found {given!r}, expected one of {', '.join(LOSS_NAMES)}")
    texts: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals and value):
            raise RecipeError(f"--losses: found {pair!r} after {name!r}, expected KEY=VALUE")
        texts[key.strip()] = value.strip()
    label = texts.pop("label", "-".join([name, *(f"{key}={value}" for key, value in texts.items())]))
    if not _LABEL.fullmatch(label):
        raise RecipeError(f"--losses: found the label {label!r}, expected letters, digits, and . _ = + - only")
    try:
        params = {key: yaml.safe_load(value) for key, value in texts.items()}
    except yaml.YAMLError as error:
        raise RecipeError(f"--losses: found {','.join(pairs)!r} after {name!r}, one value is not YAML") from error
    return LossSpec(name, label, params)
