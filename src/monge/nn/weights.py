"""Weights that users bring along, read without ever unpickling freely, and an account of what fitted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from monge.errors import DataFormatError, MongeError
from monge.extras import require


@dataclass(frozen=True)
class WeightsReport:
    """What became of the tensors in a weights file.

    Attributes:
        loaded: Names that went into the network.
        missing: Names the network has and the file has not; they keep their random start.
        unexpected: Names the file has and the network has not, e.g. a classifier.
        mismatched: Names both have, with different shapes; left out.

    Example:
        >>> print(WeightsReport(("a", "b"), ("c",), (), ()))
        2 tensors loaded, 1 missing (c), 0 unexpected, 0 of another shape
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    def __str__(self) -> str:
        parts = [("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", self.mismatched)]
        return f"{len(self.loaded)} tensors loaded" + "".join(f", {len(n)} {what}{_some(n)}" for what, n in parts)


def _some(names: tuple[str, ...], most: int = 3) -> str:
    """The first few names in brackets."""
    more = ", ..." if len(names) > most else ""
    return f" ({', '.join(names[:most])}{more})" if names else ""


def load_weights(module: nn.Module, path: str | Path) -> WeightsReport:
    """Loads a ``.safetensors`` file or a ``torch.save`` file of plain tensors into a network, by name.

    A file that wraps the tensors in ``{"state_dict": ...}`` or ``{"model": ...}``, and names that all begin with
    ``module.``, are understood.

    Args:
        module: Takes the weights in place.
        path: The file.

    Raises:
        DataFormatError: The file cannot be read safely, or nothing in it fits the network.

    Example:
        >>> import tempfile
        >>> net, file = nn.Linear(2, 1), Path(tempfile.mkdtemp()) / "net.pth"
        >>> torch.save({"weight": torch.ones(1, 2), "extra": torch.ones(1)}, file)
        >>> print(load_weights(net, file))
        1 tensors loaded, 1 missing (bias), 1 unexpected (extra), 0 of another shape
    """
    found = read_tensors(path)
    own = module.state_dict()
    same = {name: tensor for name, tensor in found.items() if name in own and own[name].shape == tensor.shape}
    if not same:
        raise DataFormatError(
            path, "", f"names like {', '.join(list(found)[:3])}", f"names like {', '.join(list(own)[:3])}",
            "none of the tensors fits this network",
        )  # fmt: skip
    module.load_state_dict(same, strict=False)
    return WeightsReport(
        loaded=tuple(same),
        missing=tuple(name for name in own if name not in found),
        unexpected=tuple(name for name in found if name not in own),
        mismatched=tuple(name for name in found if name in own and name not in same),
    )


def read_tensors(file: str | Path) -> dict[str, Tensor]:
    """The named tensors of a file, by the rules of :func:`load_weights`.

    Only tensors and plain containers are ever unpickled.

    Args:
        file: A ``.safetensors`` file, or one of ``torch.save``.

    Raises:
        DataFormatError: The file cannot be read safely.
    """
    path = Path(file)
    if not path.is_file():
        raise DataFormatError(path, "", "no such file", "a .safetensors, .pth or .pt file")
    if path.suffix == ".safetensors":
        safetensors = require("safetensors.torch", extra="train", purpose="reading a .safetensors file")
        try:
            content = safetensors.load_file(path)
        except Exception as error:  # the class is the Rust extension's own
            raise DataFormatError(path, "", str(error), "a safetensors file") from error
    else:
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except MongeError:  # a request to stop that came meanwhile
            raise
        except Exception as error:  # the restricted unpickler trips over damaged files in many ways
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DataFormatError(path, "", reason, "a torch.save file that holds plain tensors only") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict):
        raise DataFormatError(path, "", type(content).__name__, "a dictionary of tensors")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return tensors
