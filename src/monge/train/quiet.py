"""Lightning without its hints and tips: they speak of a trainer that users of a recipe never see."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric", "pytorch_lightning")


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silences what Lightning says below the level of an error, and the warnings raised inside it.

    Example:
        >>> with quiet_lightning():
        ...     logging.getLogger("lightning.pytorch").isEnabledFor(logging.INFO)
        False
    """
    before = {name: logging.getLogger(name).level for name in _LOGGERS}
    try:
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            warnings.filterwarnings("ignore", message=r".*(lightning|Lightning|Trainer|isinstance\(treespec).*")
            warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
