"""A data set that several packages carry, of which the first few may be enough."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monge.data.cache import cache_dir
from monge.data.sources.package import Package, Progress
from monge.errors import MongeError


@dataclass(frozen=True)
class PackageGroup:
    """Packages that together make one data set; those that are here stay when fetching the others is cut off.

    Args:
        name: Name of the data set.
        base: What is always needed.
        parts: What there may be more or less of, in order.
    """

    name: str
    base: Package
    parts: tuple[Package, ...]

    @property
    def title(self) -> str:
        """All packages in words."""
        return ", ".join(package.title for package in (self.base, *self.parts))

    @property
    def folder(self) -> Path:
        """The folder in the cache that holds a folder of each."""
        return cache_dir() / self.name

    def is_cached(self) -> bool:
        """Whether there is something to work with: the base and the first part."""
        return self.base.is_cached() and self.parts[0].is_cached()

    def fetch(self, progress: Progress, parts: int | None = None) -> Path:
        """Fetches the base and the first parts, but for those that are here and whole.

        Args:
            progress: Called with one sentence before each step.
            parts: How many parts; ``None``: all.

        Returns:
            The folder in the cache.

        Raises:
            MongeError: A number of parts that there is not; otherwise as with a package.
        """
        wanted = len(self.parts) if parts is None else parts
        if not 1 <= wanted <= len(self.parts):
            raise MongeError(f"{self.name} has parts 1 to {len(self.parts)}, found {wanted} asked for")
        for package in (self.base, *self.parts[:wanted]):
            package.fetch(progress)
        return self.folder

    def check(self) -> int:
        """Compares every cached file with the SHA-256 noted when it was written, of the parts that are here.

        Returns:
            Bytes that were verified.

        Raises:
            MongeError: Nothing was fetched, or a file has changed.
        """
        here = [package for package in self.parts if package.is_cached()]
        return sum(package.check() for package in (self.base, *(here or self.parts[:1])))
