"""Files with class numbers, and how folders of them are listed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.sniff import names_in, shown
from monge.data.splits import SPLIT_SEED, split_by_fraction
from monge.errors import DataFormatError


@dataclass(frozen=True)
class LabelledFiles:
    """Files and the class of each.

    Args:
        paths: The files.
        labels: Class numbers, int64 ``(N,)``.

    Raises:
        ValueError: Not one label for each path.

    Example:
        >>> files = LabelledFiles((Path("a.off"), Path("b.off")), np.array([1, 0]))
        >>> len(files), files.subset([1]).paths[0].name
        (2, 'b.off')
    """

    paths: tuple[Path, ...]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.labels.shape != (len(self.paths),):
            raise ValueError(f"labels must be ({len(self.paths)},), one for each path, got {self.labels.shape}")

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, indices: NDArray[np.int64] | list[int]) -> LabelledFiles:
        """The files at the given positions, in that order."""
        chosen = np.asarray(indices, np.int64)
        return LabelledFiles(tuple(self.paths[index] for index in chosen.tolist()), self.labels[chosen])

    def hold_out(
        self, fraction: float, *, least: int = 1, seed: int = SPLIT_SEED
    ) -> tuple[LabelledFiles, LabelledFiles]:
        """Files that stay and files set aside, a share of every class; see `monge.data.splits.split_by_fraction`.

        Args:
            fraction: Share of each class that is set aside.
            least: So many at least, where a class keeps as many.
            seed: Another seed gives another draw.
        """
        if not len(self):
            return self, self
        stay, aside = split_by_fraction(self.labels, fraction, least=least, seed=seed)
        return self.subset(stay), self.subset(aside)

    def counts(self) -> Counter[int]:
        """Files of each class that has any."""
        return Counter(self.labels.tolist())


def labelled(files: list[tuple[Path, int]]) -> LabelledFiles:
    """`LabelledFiles` of pairs.

    Example:
        >>> labelled([(Path("a.off"), 3)]).labels.tolist()
        [3]
    """
    return LabelledFiles(tuple(path for path, _ in files), np.array([label for _, label in files], np.int64))


def files_in(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """Files of a folder with the given endings in small or capital letters, sorted; hidden ones are passed over.

    Archives made on macOS hold hidden doubles of every file (``._chair_0001.off``), which are such.

    Args:
        folder: The folder; one that is not there has none.
        endings: In small letters, e.g. ``(".off",)``.

    Raises:
        DataFormatError: Two names differ only in capitals, so that one of them would be lost on other systems.

    Example:
        >>> files_in(Path("no/such/folder"), (".off",))
        []
    """
    names = [name for name in names_in(folder) if name.lower().endswith(endings) and not name.startswith(".")]
    by_lower: dict[str, str] = {}
    for name in names:
        if (other := by_lower.setdefault(name.lower(), name)) != name:
            both = f"{shown(other)} and {shown(name)}"
            raise DataFormatError(shown(folder), "", both, "one of them", "the names differ only in capitals")
    return [folder / name for name in names]


def some(names: list[str], most: int = 3) -> str:
    """The first few names, and how many more there are.

    Example:
        >>> some(["a", "b", "c", "d", "e"])
        'a, b, c and 2 more'
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(shown(name) for name in names[:most]) + more
