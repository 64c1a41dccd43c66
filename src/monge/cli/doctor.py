"""``monge doctor``: what is installed, what is missing, and whether the machine is fit for work."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata

import typer

# Extras for people who develop monge are none of a user's business.
_HIDDEN = {"dev", "bench"}


def doctor() -> None:
    """Check the installation: versions, extras, threads, cache folder, GPU, and a solve with a known answer."""
    import torch

    from monge import __version__

    print(f"monge {__version__}, Python {platform.python_version()}, torch {torch.__version__}, {platform.platform()}")
    for extra, missing in missing_packages().items():
        how = f": pip install 'monge[{extra}]' (for {', '.join(missing)})" if missing else ""
        print(f"{_mark(not missing)} extra {extra}{how}")
    print(f"ok      threads: torch {torch.get_num_threads()}, CPUs {os.cpu_count()}; a run uses train.threads of them")
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    print(f"ok      GPU: {', '.join(gpus) if gpus else 'none, training runs on the CPU'}")
    cache_ok, cache = _check_cache()
    solver_ok, solver = _check_solver()
    print(f"{_mark(cache_ok)} cache folder: {cache}")
    print(f"{_mark(solver_ok)} solver: {solver}")
    if not (cache_ok and solver_ok):
        raise typer.Exit(1)


def _mark(good: bool) -> str:
    """First word of a line."""
    return "ok     " if good else "MISSING"


def missing_packages() -> dict[str, list[str]]:
    """For each extra, its packages that are not installed.

    Example:
        >>> missing_packages()["cli"]
        []
    """
    needed: dict[str, set[str]] = {}
    for line in metadata.requires("monge") or []:
        found = re.fullmatch(r"([\w.-]+)(?:\[([\w,-]+)\])?.*;\s*extra\s*==\s*[\"']([\w-]+)[\"']", line)
        if found:
            package, nested, extra = found.groups()
            names = {f"[{one}]" for one in nested.split(",")} if package == "monge" and nested else {package}
            needed.setdefault(extra, set()).update(names)

    def packages(extra: str) -> set[str]:
        return {
            package
            for name in needed.get(extra, ())
            for package in (packages(name.strip("[]")) if name.startswith("[") else {name})
        }

    return {extra: sorted(filter(_absent, packages(extra))) for extra in needed if extra not in _HIDDEN}


def _absent(package: str) -> bool:
    """Whether a package is not installed."""
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return True
    return False


def _check_cache() -> tuple[bool, str]:
    """Whether data sets can be stored."""
    from monge.data import cache_dir

    folder = cache_dir()
    probe = folder / ".doctor"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("probe", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        return False, f"{folder} cannot be written ({error.strerror}); set MONGE_CACHE to a folder that can"
    return True, str(folder)


def _check_solver() -> tuple[bool, str]:
    """A transport problem whose answer is known: points on a line go to their mirror images in the mirrored list."""
    import time

    import torch

    from monge.ot import pairwise_cost, sinkhorn

    points = torch.linspace(0, 1, 32).unsqueeze(1)  # (32, 1)
    began = time.perf_counter()
    solved = sinkhorn(pairwise_cost(points, points.flip(0)), epsilon=1e-4)
    right = bool((solved.plan.argmax(1) == torch.arange(31, -1, -1)).all()) and bool(solved.converged)
    took = f"{(time.perf_counter() - began) * 1000:.0f} ms, marginal error {float(solved.marginal_error):.1e}"
    return right, f"{'right' if right else 'WRONG'} plan for a 32 x 32 problem with a known answer, in {took}"
