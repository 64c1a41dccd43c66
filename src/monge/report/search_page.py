"""What a search found, as pictures in files and as one page."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from monge.errors import RunError
from monge.report.page import render, write_page
from monge.report.thumbnails import save_picture, thumbnail
from monge.train.search import Found

_PAGE = "search.html"


def write_search(run: str | Path, found: Found) -> tuple[Path, list[Path | None]]:
    """Writes ``search/<query>/`` in the folder of a run: the page, and the picture of each match.

    Args:
        run: The folder.
        found: What `monge.train.search.search` gave.

    Returns:
        The page, and the file of each match's picture.

    Raises:
        RunError: The folder cannot be written.
    """
    folder = Path(run) / "search" / _slug(found.query)
    pictures: list[Path | None] = []
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for place, match in enumerate(found.matches, start=1):
            path = None if match.picture is None else folder / f"{place:03d}.png"
            if path is not None and match.picture is not None:
                save_picture(match.picture, path)
            pictures.append(path)
    except OSError as error:
        raise RunError(f"{folder}: cannot be written ({(error.strerror or str(error)).lower()})") from None
    return write_page(folder / _PAGE, _page(found)), pictures


def _page(found: Found) -> str:
    """The matches as figures, the best first."""
    cards: Sequence[dict[str, object]] = [
        {
            "picture": None if match.picture is None else thumbnail(match.picture, 128),
            "score": match.score,
            "told": match.told,
            "part": match.part,
        }
        for match in found.matches
    ]
    return render("search.html", {"found": found, "cards": cards})


def _slug(query: str) -> str:
    """A name for a folder: the letters and digits of the query.

    Example:
        >>> _slug("A red kangaroo?"), _slug("../..")
        ('a-red-kangaroo', 'query')
    """
    return re.sub(r"[^\w]+", "-", query.casefold()).strip("-_")[:60] or "query"
