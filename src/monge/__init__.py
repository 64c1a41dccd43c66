"""monge: optimal-transport losses for deep representation learning."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monge import ot as ot
    from monge.losses import BatchwiseOTLoss as BatchwiseOTLoss
    from monge.losses import CrossEntropyEMDLoss as CrossEntropyEMDLoss
    from monge.losses import SquaredEMDLoss as SquaredEMDLoss

__version__ = "0.1.0"

# Names that load on first use, so that `import monge` costs next to nothing.
_LAZY = dict.fromkeys(("BatchwiseOTLoss", "CrossEntropyEMDLoss", "SquaredEMDLoss"), "monge.losses")
_ROOMS = ("data", "ground", "integrations", "losses", "metrics", "mining", "nn", "ot", "recipes", "report", "train")

__all__ = ["BatchwiseOTLoss", "CrossEntropyEMDLoss", "SquaredEMDLoss", "__version__", "ot"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"monge.{name}")
    raise AttributeError(f"module 'monge' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_ROOMS})
