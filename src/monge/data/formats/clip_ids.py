"""Names of clips: those that differ only in the ending of a video file mean the same clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import TypeVar

from monge.data.formats.sniff import shown
from monge.errors import DataFormatError

T = TypeVar("T")
VIDEO_ENDINGS = (
    ".mp4",
    ".avi",
    ".mov",
    ".m4v",
    ".3gp",
    ".3g2",
    ".mkv",
    ".webm",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".mts",
    ".flv",
)


def clip_id(name: str) -> str:
    """The name of a clip without the endings of video files; DiDeMo's lists have them and its features do not.

    Example:
        >>> clip_id("37691930@N00_4330302052.avi"), clip_id("clip.3gp.MP4"), clip_id("AO8RW"), clip_id("v1.5")
        ('37691930@N00_4330302052', 'clip', 'AO8RW', 'v1.5')
    """
    stripped = name.strip()
    while (ending := _ending(stripped)) and len(ending) < len(stripped):
        stripped = stripped[: -len(ending)]
    return stripped


def distinct_ids(names: Iterable[str], path: Path, where: str = "") -> dict[str, str]:
    """The id of each name, once every name has one of its own.

    Args:
        names: As a file has them.
        path: That file.
        where: Place in it.

    Raises:
        DataFormatError: An empty name, one given twice, or two that differ only in their endings.

    Example:
        >>> distinct_ids(["a.avi", "b"], Path("list.txt"))
        {'a': 'a.avi', 'b': 'b'}
    """
    ids: dict[str, str] = {}
    for name in names:
        one = clip_id(name)
        if not one:
            raise DataFormatError(shown(path), where, "an empty id", "the name of a clip")
        if one in ids:
            same = ids[one] == name
            found = f"the clip {shown(name)!r} twice" if same else f"clips {shown(ids[one])!r} and {shown(name)!r}"
            hint = "" if same else "they differ only in their endings"
            raise DataFormatError(shown(path), where, found, "each clip once", hint)
        ids[one] = name
    return ids


def spelled_as(rows: Mapping[str, T], wanted: Set[str]) -> dict[str, T]:
    """Rows by the ids that annotations have for them, where the two differ in capitals alone.

    Copies of Charades differ so. An id that is there as it stands, or that could mean several, is left alone.

    Args:
        rows: By the ids of a feature file.
        wanted: Ids of the annotations.

    Example:
        >>> spelled_as({"ao8rw": 1, "B": 2, "b": 3}, {"AO8RW", "b"})
        {'AO8RW': 1, 'B': 2, 'b': 3}
    """
    by_lower: dict[str, list[str]] = {}
    for one in wanted:
        by_lower.setdefault(one.lower(), []).append(one)
    spelled: dict[str, T] = {}
    for one, value in rows.items():
        others = [] if one in wanted else [other for other in by_lower.get(one.lower(), []) if other not in rows]
        spelled[others[0] if len(others) == 1 and others[0] not in spelled else one] = value
    return spelled


def _ending(name: str) -> str:
    return next((ending for ending in VIDEO_ENDINGS if name.lower().endswith(ending)), "")
