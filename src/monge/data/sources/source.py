"""What people read about a data set: what it is, how large, under which licence, and how to get it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One data set, for people to read.

    Args:
        name: What recipes and the command line call it.
        title: What it is.
        kinds: What ``data=`` may be: ``"packaged"``, ``"synthetic"``, ``"path"`` (the official layout).
        size: Images, and bytes to fetch.
        licence: Licence of the data.
        how: How to get it.
    """

    name: str
    title: str
    kinds: tuple[str, ...]
    size: str
    licence: str
    how: str
