"""Where a run computes, and what it borrows from torch while it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from monge.errors import RunError
from monge.recipes import Recipe


def choose_device(name: str, recipe: Recipe, devices: int = 1) -> tuple[str, torch.device]:
    """Lightning's accelerator and torch's device for a name.

    Args:
        name: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
        recipe: Its precision must be one the device has.
        devices: How many are wanted.

    Raises:
        RunError: No such device here.

    Example:
        >>> from monge.recipes import load_recipe
        >>> choose_device("cpu", load_recipe("mnist"))
        ('cpu', device(type='cpu'))
    """
    if devices < 1:
        raise RunError(f"--devices: found {devices}, expected at least 1")
    kind, _, index = name.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (index and (kind != "cuda" or not index.isdigit())):
        raise RunError(f"--device: found {name!r}, expected auto, cpu, cuda, cuda:N or mps")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    elif kind == "mps" and not torch.backends.mps.is_available():
        raise RunError("--device mps: torch finds no such device here; use --device auto")
    have = torch.cuda.device_count() if kind == "cuda" else None
    if have is not None and max(devices, int(index or 0) + 1) > have:
        raise RunError(f"--device {name}, --devices {devices}: torch finds {have} CUDA devices here")
    if recipe.train.precision == "16-mixed" and kind != "cuda":
        raise RunError(f"train.precision: found 16-mixed on {kind}, expected 32 or bf16-mixed there")
    return kind, torch.device(kind, int(index or 0)) if kind == "cuda" else torch.device(kind)


def device_in_words(device: torch.device, devices: int = 1) -> str:
    """What a run computes on, for people.

    Args:
        device: The first device.
        devices: How many there are.

    Example:
        >>> device_in_words(torch.device("cpu"), 2)
        '2 x cpu'
    """
    name = f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
    return name if devices == 1 else f"{devices} x {name}"


@contextmanager
def own_torch_state(threads: int) -> Iterator[None]:
    """A number of threads and a random state for a run, given back afterwards.

    Args:
        threads: CPU threads of torch.

    Example:
        >>> with own_torch_state(1):
        ...     torch.get_num_threads()
        1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before)
