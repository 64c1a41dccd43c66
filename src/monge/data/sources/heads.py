"""Synthetic heads: made once on this machine, kept in the data cache, always called synthetic.

Each identity is a person of a parametric body model with a skin, hair, brows and eyes of its own; its pictures differ
in age, yaw, expression and light. There is no texture of skin and no hair but a painted cap, so these are heads to
develop and compare methods with, and no stand-in for photographs.
"""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.cache import cache_dir, publish, workspace
from monge.data.formats.sniff import shown
from monge.data.sources.heads_model import HeadModel
from monge.data.sources.heads_parameters import draw_moments, draw_person
from monge.data.sources.heads_rendering import render_head
from monge.data.sources.package import Package, Progress
from monge.errors import MongeError

IDENTITIES, EACH, SIZE = 240, 10, 112
"""How many identities are made if nothing else is said, of how many pictures of which size."""
_NAME = "heads"
_FILE = "heads.npz"
_TITLE = "anny 0.6.2"
_SEED = 0
_VERSION = 1
_FEWEST = 60
_LIMITS = {"identities": (_FEWEST, 20_000), "each": (4, 100), "size": (32, 256)}
_BAD = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Heads:
    """The heads that were made, identity by identity.

    Args:
        images: uint8 ``(N, 3, S, S)``.
        labels: Identity of each, int64 ``(N,)``.
        ages: On the scale of the model, see `monge.data.sources.heads_parameters.AGES`, ``(N,)``.
        yaws: Degrees by which each head is turned, ``(N,)``.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ages: NDArray[np.float64]
    yaws: NDArray[np.float64]


def make_heads(
    identities: int = IDENTITIES,
    each: int = EACH,
    size: int = SIZE,
    progress: Progress = lambda sentence: None,
) -> Path:
    """Makes the heads, in some two minutes for the model and a tenth of a second a picture; stopped, it goes on later.

    Heads that are there are replaced where other numbers are asked for.

    Args:
        identities: Number of people.
        each: Pictures of each.
        size: Height and width; smaller ones are made of these when they are loaded.
        progress: Called with one sentence now and then.

    Returns:
        Their folder in the data cache.

    Raises:
        MissingExtraError: The package anny or embreex is not installed.
        MongeError: Numbers out of bounds, or the cache cannot be written.
    """
    for name, value in (("identities", identities), ("each", each), ("size", size)):
        low, high = _LIMITS[name]
        if not low <= value <= high:
            raise MongeError(f"{_NAME}: found {name}={value}, expected {low} to {high:,}")
    wanted = _settings(identities, each, size)
    if _is_made(wanted):
        return HEADS.folder
    with workspace() as work:
        parts = cache_dir() / f"{_NAME}-parts-{each}x{size}-v{_VERSION}"
        missing = [number for number in range(identities) if _read_part(parts, number, each, size) is None]
        if missing:
            progress(f"{_NAME}: building the model, which takes some two minutes")
            _make_parts(HeadModel(work / "model"), parts, missing, identities, each, size, progress)
        made = [_read_part(parts, number, each, size) for number in range(identities)]
        moments = [moment for number in range(identities) for moment in draw_moments(number, each, seed=_SEED)]
        (work / "ready").mkdir()
        progress(f"{_NAME}: writing")
        np.savez_compressed(
            work / "ready" / _FILE,
            images=np.concatenate([part for part in made if part is not None]),
            labels=np.arange(identities).repeat(each),
            ages=np.array([moment.age for moment in moments]),
            yaws=np.array([moment.yaw for moment in moments]),
            settings=wanted,
        )
        HEADS.write_manifest(work / "ready")
        publish(work / "ready", HEADS.folder, lambda: _is_made(wanted))
    shutil.rmtree(parts, ignore_errors=True)
    return HEADS.folder


def read_heads() -> Heads:
    """The heads in the data cache.

    Raises:
        MongeError: Not made yet, or the file is damaged.
    """
    path = HEADS.folder / _FILE
    if not HEADS.is_cached():
        raise MongeError(f"{_NAME} are not in the data cache ({shown(HEADS.folder)}): run `monge data make {_NAME}`")
    try:
        with np.load(path, allow_pickle=False) as kept:
            heads = Heads(kept["images"], kept["labels"], kept["ages"], kept["yaws"])
        if heads.images.dtype == np.uint8 and heads.images.ndim == 4 and len(heads.images) == len(heads.labels):
            return heads
        found = f"images {heads.images.dtype} {heads.images.shape}"
    except _BAD as error:
        found = f"{type(error).__name__}: {error}"
    raise MongeError(f"{shown(path)}: cannot be read ({found}): remove it and run `monge data make {_NAME}`")


def _settings(identities: int, each: int, size: int) -> NDArray[np.int64]:
    return np.array([_VERSION, _SEED, identities, each, size])


def _is_made(wanted: NDArray[np.int64]) -> bool:
    try:
        HEADS.check()
        with np.load(HEADS.folder / _FILE, allow_pickle=False) as kept:
            return bool(np.array_equal(kept["settings"], wanted))
    except (*_BAD, MongeError):
        return False


def _make_parts(
    model: HeadModel, parts: Path, missing: list[int], identities: int, each: int, size: int, progress: Progress
) -> None:
    """A file for each person, so that a run that was stopped goes on at the next."""
    parts.mkdir(parents=True, exist_ok=True)
    for done, number in enumerate(missing):
        progress(f"{_NAME}: {identities - len(missing) + done} of {identities:,} people made")
        person, moments = draw_person(number, model.shapes, seed=_SEED), draw_moments(number, each, seed=_SEED)
        vertices = model.vertices([person] * each, moments)
        pictures = [
            render_head(model.surface, head, person, moment, size)
            for head, moment in zip(vertices, moments, strict=True)
        ]
        with workspace() as work:
            np.savez_compressed(work / "part.npz", images=np.stack(pictures))
            os.replace(work / "part.npz", parts / f"{number}.npz")


def _read_part(parts: Path, number: int, each: int, size: int) -> NDArray[np.uint8] | None:
    try:
        with np.load(parts / f"{number}.npz", allow_pickle=False) as kept:
            images: NDArray[np.uint8] = kept["images"]
    except _BAD:
        return None
    return images if images.dtype == np.uint8 and images.shape == (each, 3, size, size) else None


@dataclass(frozen=True)
class _MadePackage(Package):
    """Data that are made instead of fetched."""

    def fetch(self, progress: Progress) -> Path:
        """Makes them as many as usual, unless there are some, however many."""
        if self._is_good():
            return self.folder
        return make_heads(progress=progress)

    def write_manifest(self, folder: Path) -> None:
        """Notes the files of a folder that is ready."""
        self._write_manifest(folder)


def _nothing(folder: Path) -> Mapping[str, Path]:
    return {}


HEADS = _MadePackage(name=_NAME, title=_TITLE, hashes={}, take=_nothing, convert=lambda files, into: None)
