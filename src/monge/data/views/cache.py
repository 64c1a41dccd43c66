"""Pictures of meshes on disk, so that every mesh is rendered once.

A folder holds the pictures of one group of settings::

    manifest.json            the settings, and the renderer with its version
    entries/ab/ab12...       the pictures of one mesh, packed, under the SHA-256 of what the mesh is made from
    arrays/1234....npy       the pictures of one list of meshes, plain, for memory-mapping

Everything is written beside its place and renamed, so that a killed run loses the mesh it was at and nothing else, and
several runs may fill one folder. Twelve grey views of 224 x 224 take 602 kB as an array and about 70 kB as an entry.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from monge.data.cache import cache_dir
from monge.data.formats.sniff import shown
from monge.data.meshes import Mesh
from monge.data.views.entries import checksum, checksum_of, read_entry, write_entry
from monge.data.views.render import render_views
from monge.data.views.settings import RenderSettings
from monge.data.views.sources import MeshInMemory, MeshSource
from monge.data.views.workers import work_on
from monge.errors import DataFormatError, MongeError

Progress = Callable[[int, int], None]
_MANIFEST = "manifest.json"
_STALE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class RenderedMeshes:
    """The pictures of a list of meshes.

    Args:
        views: uint8 ``(N, V, S, S)``, memory-mapped and read-only.
        positions: Which mesh of the list each of the ``N`` is.
        skipped: What is wrong with the others.
        rendered: How many were rendered now; the others were in the cache.
    """

    views: NDArray[np.uint8]
    positions: tuple[int, ...]
    skipped: tuple[DataFormatError, ...] = ()
    rendered: int = 0


class ViewCache:
    """Pictures of meshes, kept in a folder.

    Args:
        folder: The folder, made when it is first written; ``None``: one for these settings in the data cache.
        settings: What the pictures depend on besides the mesh.

    Raises:
        MongeError: The folder holds pictures of other settings or of another renderer, or things of another kind.
        MissingExtraError: embreex is not installed.

    Example:
        >>> import tempfile
        >>> cache = ViewCache(tempfile.mkdtemp(), RenderSettings(size=8))
        >>> triangle = Mesh(np.eye(3), np.array([[0, 1, 2]]))
        >>> cache.get_or_render(triangle).shape, cache.holds(triangle)
        ((12, 8, 8), True)
        >>> ViewCache(cache.folder, RenderSettings(size=16))
        Traceback (most recent call last):
        monge.errors.MongeError: ...: holds views with size 8, asked for are views with size 16: ...
    """

    def __init__(self, folder: str | Path | None, settings: RenderSettings) -> None:
        self.settings = settings
        self.folder = cache_dir() / "views" / settings.key() if folder is None else Path(folder)
        self._check_manifest()

    def get_or_render(self, source: Mesh | MeshSource) -> NDArray[np.uint8]:
        """The pictures of one mesh, from the cache or taken now and kept: uint8 ``(V, S, S)``.

        Raises:
            DataFormatError: The mesh is bad.
            MongeError: The cache cannot be written.
        """
        self._check_manifest()
        source = _as_source(source)
        digest = source.digest()
        kept = read_entry(self._entry(digest), self.settings.shape)
        return self._render(source, digest) if kept is None else kept

    def holds(self, source: Mesh | MeshSource) -> bool:
        """Whether the pictures of a mesh are there."""
        return checksum_of(self._entry(_as_source(source).digest())) is not None

    def fill(
        self,
        sources: Sequence[Mesh | MeshSource],
        *,
        strict: bool = True,
        jobs: int | None = None,
        progress: Progress | None = None,
    ) -> RenderedMeshes:
        """The pictures of many meshes; those that are not here, or damaged, are rendered by all cores.

        Args:
            sources: The meshes; the same may be listed more than once.
            strict: Whether a bad mesh is an error; otherwise it is left out and listed.
            jobs: Processes; ``None``: one for each core, or none for a few meshes. A script that is run by itself needs
                ``if __name__ == "__main__":`` around its work, or ``jobs=1``.
            progress: Called with the number of meshes done and of all, when that changes.

        Raises:
            DataFormatError: A mesh is bad, if ``strict``; what was rendered until then is kept.
            MongeError: No mesh is left, a worker process was killed, the cache cannot be written.
        """
        self._check_manifest()
        given = [_as_source(source) for source in sources]
        flaws: dict[int, DataFormatError] = {}
        digests: dict[int, str] = {}
        for position, source in enumerate(given):
            try:
                digests[position] = source.digest()
            except DataFormatError as error:
                _note(flaws, position, error, strict)
        first = {digest: position for position, digest in reversed(digests.items())}
        missing = sorted(position for digest, position in first.items() if checksum_of(self._entry(digest)) is None)
        self._fill(given, digests, missing, len(first), flaws, strict, jobs, progress)
        bad = {digests[position] for position in flaws if position in digests}
        for position, digest in digests.items():
            if digest in bad:
                flaws.setdefault(position, flaws[first[digest]])
        kept = [position for position in digests if position not in flaws]
        if not kept:
            reason = f"; the first: {flaws[min(flaws)]}" if flaws else ""
            raise MongeError(f"none of {len(given)} meshes can be rendered{reason}")
        views = self._array([given[position] for position in kept], [digests[position] for position in kept])
        skipped = tuple(flaws[position] for position in sorted(flaws))
        return RenderedMeshes(views, tuple(kept), skipped, len([one for one in missing if one not in flaws]))

    def _fill(
        self,
        given: Sequence[MeshSource],
        digests: dict[int, str],
        missing: list[int],
        total: int,
        flaws: dict[int, DataFormatError],
        strict: bool,
        jobs: int | None,
        progress: Progress | None,
    ) -> None:
        """Renders what is missing, each mesh into its entry."""
        if not missing:
            return
        self._begin()
        self._tidy()
        done = total - len(missing)
        if progress is not None:
            progress(done, total)
        tasks = [(given[one], self._entry(digests[one]), self.settings) for one in missing]
        with closing(work_on(_render_entry, tasks, jobs)) as results:
            for task, told in results:
                if isinstance(told, str):
                    raise self._unwritable(told)
                if told is not None:
                    _note(flaws, missing[task], DataFormatError(*told), strict)
                done += 1
                if progress is not None:
                    progress(done, total)

    def _array(self, given: Sequence[MeshSource], digests: Sequence[str]) -> NDArray[np.uint8]:
        """All pictures as one array on disk, checked row by row, made from the entries if need be."""
        name = hashlib.sha256("\n".join(digests).encode()).hexdigest()[:32]
        path = self.folder / "arrays" / f"{name}.npy"
        shape = (len(digests), *self.settings.shape)
        noted = [checksum_of(self._entry(digest)) for digest in digests]
        views = _mapped(path, shape)
        if views is not None and all(checksum(row) == one for row, one in zip(views, noted, strict=True)):
            return views
        del views
        with self._writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Written and not mapped: a full disk is an error here, and the end of the process there.
            with _replaced(path) as stream:
                head = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(stream, head)
                for source, digest in zip(given, digests, strict=True):
                    row = read_entry(self._entry(digest), self.settings.shape)
                    stream.write((self._render(source, digest) if row is None else row).tobytes())
        views = _mapped(path, shape)
        if views is None:
            raise MongeError(f"{shown(path)}: cannot be read back: is the disk full or damaged?")
        return views

    def _render(self, source: MeshSource, digest: str) -> NDArray[np.uint8]:
        self._begin()
        views = render_views(source.mesh(), self.settings)
        with self._writing():
            write_entry(self._entry(digest), views)
        return views

    def _entry(self, digest: str) -> Path:
        return self.folder / "entries" / digest[:2] / digest

    def _check_manifest(self) -> None:
        """Raises if the folder is for other pictures; asked before every use, since another run may have made it."""
        path = self.folder / _MANIFEST
        asked = self.settings.described()
        try:
            found = json.loads(path.read_text(encoding="utf-8"))["settings"]
        except (FileNotFoundError, NotADirectoryError):
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise MongeError(
                    f"{shown(self.folder)}: is not empty and holds no {_MANIFEST} of a view cache: give another folder"
                ) from None
            return
        except (OSError, ValueError, KeyError, TypeError):
            raise MongeError(f"{shown(path)}: cannot be read: delete the folder, or give another one") from None
        other = [name for name in asked if not isinstance(found, dict) or found.get(name) != asked[name]]
        if other:
            was, wanted = (_told(side, other) for side in (found if isinstance(found, dict) else {}, asked))
            raise MongeError(
                f"{shown(self.folder)}: holds views with {was}, asked for are views with {wanted}:"
                " give another folder, or delete this one"
            )

    def _begin(self) -> None:
        """Makes the folder and its manifest."""
        path = self.folder / _MANIFEST
        if path.is_file():
            return
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            with _replaced(path) as stream:
                text = json.dumps({"settings": self.settings.described(), "key": self.settings.key()}, indent=2)
                stream.write(text.encode() + b"\n")

    def _tidy(self) -> None:
        """Removes what killed runs left behind more than a day ago."""
        for part in self.folder.rglob(".*.part"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime > _STALE_SECONDS:
                    part.unlink()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._unwritable((error.strerror or str(error)).lower()) from None

    def _unwritable(self, reason: str) -> MongeError:
        hint = "give a folder that can be written and has room, or set MONGE_CACHE"
        return MongeError(f"{shown(self.folder)}: cannot write views ({reason}): {hint}")


def _as_source(source: Mesh | MeshSource) -> MeshSource:
    return MeshInMemory(source) if isinstance(source, Mesh) else source


def _note(flaws: dict[int, DataFormatError], position: int, error: DataFormatError, strict: bool) -> None:
    if strict:
        raise error
    flaws[position] = error


def _render_entry(task: tuple[MeshSource, Path, RenderSettings]) -> tuple[str, str, str, str, str] | str | None:
    """Renders one mesh into its file; what goes wrong is told in words, since not every error can be pickled."""
    source, path, settings = task
    try:
        write_entry(path, render_views(source.mesh(), settings))
    except DataFormatError as error:
        return str(error.path), error.where, error.found, error.expected, error.hint
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return None


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its place when it is whole."""
    neighbour = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(neighbour, "wb") as stream:
            yield stream
        neighbour.replace(path)
    finally:
        neighbour.unlink(missing_ok=True)


def _mapped(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """The array in a file, or ``None`` if it is not there or another one."""
    try:
        views: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return views if views.shape == shape and views.dtype == np.uint8 else None


def _told(settings: dict[str, object], names: Sequence[str]) -> str:
    """Settings in words; cameras are too many numbers to be told."""
    return ", ".join(f"{name} {settings.get(name)}" if name != "cameras" else f"other {name}" for name in names)
