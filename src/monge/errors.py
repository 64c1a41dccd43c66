"""Errors and warnings that monge raises on purpose; the command line prints each as one line."""

from __future__ import annotations

from pathlib import Path


class MongeError(Exception):
    """Something the user can put right: the message says what was found, what was expected and what to do."""


class DataFormatError(MongeError):
    """A file that is not what its name or its reader promises.

    Args:
        path: The file at fault.
        where: Place inside the file, e.g. ``"byte 16"`` or ``"line 3"``; empty for the file as a whole.
        found: What was read.
        expected: What the format asks for.
        hint: What the user can do about it.

    Example:
        >>> print(DataFormatError("a.idx", "byte 0", "magic 0x03080000", "0x00000803", "the file is little-endian"))
        a.idx: byte 0: found magic 0x03080000, expected 0x00000803 (the file is little-endian)
    """

    def __init__(self, path: str | Path, where: str, found: str, expected: str, hint: str = "") -> None:
        self.path, self.where, self.found, self.expected, self.hint = Path(path), where, found, expected, hint
        place = f"{path}: {where}" if where else f"{path}"
        super().__init__(f"{place}: found {found}, expected {expected}" + (f" ({hint})" if hint else ""))


class RecipeError(MongeError):
    """A recipe or ``--set`` override with a wrong key or value; names its path and the allowed values."""


class RunError(MongeError):
    """A run folder that cannot be written, read or resumed."""


class MissingExtraError(MongeError, ImportError):
    """An optional package that is needed here is not installed; the message names the pip command."""


class ConvergenceWarning(UserWarning):
    """A transport solve stopped before its tolerance was met."""


class UniformPlanWarning(UserWarning):
    """The plan of a batch-wise loss is so near uniform that its importance weights do nothing."""
