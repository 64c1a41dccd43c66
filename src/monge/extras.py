"""Optional packages, imported where they are used, with an error that says what to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from monge.errors import MissingExtraError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Imports an optional module or says how to get it.

    Args:
        module: Dotted module name, e.g. ``"scipy.optimize"``.
        extra: The extra of the ``monge`` package that brings it.
        purpose: What it is needed for; opens the error message.

    Raises:
        MissingExtraError: The module is not installed.

    Example:
        >>> require("json", extra="train", purpose="reading JSON").__name__
        'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and not module.startswith(error.name):
            raise
        raise MissingExtraError(
            f"{purpose} needs the package {module.split('.')[0]!r}, which is not installed: "
            f"pip install 'monge[{extra}]'"
        ) from error
