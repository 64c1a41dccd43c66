"""Trained models as files that run without monge: ``.pt2`` programs of torch.export, and ``.onnx``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from monge.extras import require

if TYPE_CHECKING:
    from monge.export.run_export import Exported as Exported
    from monge.export.run_export import export_run as export_run

__all__ = ["Exported", "export_run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in ("lightning", "safetensors", "sklearn"):
            require(module, extra="train", purpose="Opening a run")
        return getattr(importlib.import_module("monge.export.run_export"), name)
    raise AttributeError(f"module 'monge.export' has no attribute {name!r}")
