"""What is wrong with single entries of a data set: an error, or left out and counted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monge.data.formats.sniff import shown
from monge.errors import DataFormatError

_NAMED = 3


@dataclass(frozen=True)
class Flaw:
    """One entry that cannot be used.

    Args:
        path: The file that it is in, or that it names.
        where: Line of that file, e.g. ``"line 3"``; empty for the file as a whole.
        found: What was read.
        expected: What was wanted.
    """

    path: Path
    where: str
    found: str
    expected: str

    def __str__(self) -> str:
        """Short enough for a list of several."""
        return f"{shown(self.path.name)} {self.where}".strip()


class Flaws:
    """Collects the flaws of a data set kind by kind, so that one line can tell how many there are and where.

    Args:
        strict: Whether :meth:`settle` refuses them; otherwise who reads the data leaves them out.

    Example:
        >>> flaws = Flaws(strict=False)
        >>> flaws.note("missing pictures", Path("a/1.jpg"), "", "no such file", "a picture")
        >>> flaws.note("missing pictures", Path("a/2.jpg"), "", "no such file", "a picture")
        >>> flaws.settle()
        >>> flaws.told()
        ['missing pictures: 2 (1.jpg, 2.jpg)']
        >>> flaws.strict = True
        >>> flaws.settle()
        Traceback (most recent call last):
        monge.errors.DataFormatError: a/1.jpg: found no such file, one of 2 missing pictures (1.jpg, 2.jpg)...
    """

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.found: dict[str, list[Flaw]] = {}

    def note(self, kind: str, path: Path, where: str, found: str, expected: str) -> None:
        """Remembers one.

        Args:
            kind: What several of them are called, e.g. ``"missing pictures"``.
            path: See :class:`Flaw`, as for the others.
            where: Place in it.
            found: What was read.
            expected: What was wanted.
        """
        self.found.setdefault(kind, []).append(Flaw(path, where, found, expected))

    def settle(self) -> None:
        """Raises for the first kind, if flaws are not to be left out.

        Raises:
            DataFormatError: There are any; names the first and says how many more there are and where.
        """
        if not self.strict or not self.found:
            return
        kind, flaws = next(iter(self.found.items()))
        first = flaws[0]
        others = f", one of {len(flaws):,} {kind} ({_places(flaws)})" if len(flaws) > 1 else ""
        hint = "strict=false leaves such entries out"
        raise DataFormatError(shown(first.path), first.where, first.found + others, first.expected, hint)

    def told(self) -> list[str]:
        """Each kind with its number and the first few places."""
        return [f"{kind}: {len(flaws):,} ({_places(flaws)})" for kind, flaws in self.found.items()]


def _places(flaws: list[Flaw]) -> str:
    more = f" and {len(flaws) - _NAMED:,} more" if len(flaws) > _NAMED else ""
    return ", ".join(str(flaw) for flaw in flaws[:_NAMED]) + more
