"""What a network made of pictures or sentences, on disk, so that it is computed once.

A folder holds the features of one list of items under one group of settings::

    settings.json                        what the features depend on
    0003-0f3a....safetensors             the features of the fourth chunk, named by the start of their SHA-256

A chunk is written beside its place and renamed, so that a killed run loses the chunk it was at and nothing else; one
that does not have its SHA-256 any more is computed anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from monge.data.cache import cache_dir
from monge.data.formats.sniff import shown
from monge.errors import MongeError
from monge.extras import require

Progress = Callable[[int, int], None]
Features = dict[str, Tensor]
_SETTINGS = "settings.json"


def silent(done: int, total: int) -> None:
    """Progress that nobody is told of."""


def digest_of(items: Iterable[str]) -> str:
    """One SHA-256 for a list of sentences or of digests.

    Example:
        >>> digest_of(["a", "bc"]) == digest_of(["ab", "c"])
        False
    """
    whole = hashlib.sha256()
    for item in items:
        whole.update(hashlib.sha256(item.encode()).digest())
    return whole.hexdigest()


@dataclass(frozen=True)
class FeatureCache:
    """Features of one list of items.

    Args:
        name: What the folder's name begins with.
        settings: All that the features depend on: the encoder, the items by a digest, sizes and so on.
        count: Number of items.
        chunk: Items that are computed and written at once.

    Example:
        >>> import os, tempfile
        >>> os.environ["MONGE_CACHE"] = tempfile.mkdtemp()
        >>> cache = FeatureCache("squares", {"power": 2}, count=5, chunk=2)
        >>> made = cache.get(lambda items: {"square": torch.tensor(items) ** 2})
        >>> made["square"].tolist(), cache.get(lambda items: {})["square"].tolist()
        ([0, 1, 4, 9, 16], [0, 1, 4, 9, 16])
        >>> del os.environ["MONGE_CACHE"]
    """

    name: str
    settings: Mapping[str, object]
    count: int
    chunk: int = 32

    @property
    def folder(self) -> Path:
        """Its folder in the data cache, whether it is there or not."""
        key = hashlib.sha256(self._described().encode()).hexdigest()[:16]
        return cache_dir() / "features" / f"{self.name}-{key}"

    def get(self, compute: Callable[[list[int]], Features], progress: Progress = silent) -> Features:
        """The features of all items, from the cache or computed now and kept.

        Args:
            compute: From positions of items to their features, a row each.
            progress: Called with the number of items done and of all, where something is computed.

        Raises:
            MongeError: The cache cannot be written.
        """
        parts = []
        for place, start in enumerate(range(0, self.count, self.chunk)):
            items = list(range(start, min(start + self.chunk, self.count)))
            part = self._read(place, len(items))
            if part is None:
                progress(start, self.count)
                part = compute(items)
                self._write(place, part)
                progress(items[-1] + 1, self.count)
            parts.append(part)
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]} if parts else compute([])

    def _described(self) -> str:
        return json.dumps({**self.settings, "count": self.count, "chunk": self.chunk}, sort_keys=True, indent=2)

    def _read(self, place: int, count: int) -> Features | None:
        """A chunk; ``None`` if it is missing or damaged."""
        load = require("safetensors.torch", extra="train", purpose="keeping features").load
        for path in sorted(self.folder.glob(f"{place:04d}-*.safetensors")):
            try:
                content = path.read_bytes()
            except OSError:
                continue
            if hashlib.sha256(content).hexdigest()[:16] == path.stem.partition("-")[2]:
                part: Features = load(content)
                if part and all(len(rows) == count for rows in part.values()):
                    return part
        return None

    def _write(self, place: int, part: Features) -> None:
        save = require("safetensors.torch", extra="train", purpose="keeping features").save
        content = save({name: rows.contiguous() for name, rows in part.items()})
        digest = hashlib.sha256(content).hexdigest()[:16]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _replace(self.folder / _SETTINGS, self._described().encode())
            _replace(self.folder / f"{place:04d}-{digest}.safetensors", content)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            hint = "set MONGE_CACHE to a folder that can be written and has room"
            raise MongeError(f"{shown(self.folder)}: cannot write features ({reason}): {hint}") from None


def _replace(path: Path, content: bytes) -> None:
    """Writes a file so that it is there wholly or not at all."""
    neighbour = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        neighbour.write_bytes(content)
        neighbour.replace(path)
    finally:
        neighbour.unlink(missing_ok=True)
