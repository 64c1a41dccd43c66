"""Which files of a folder hold the features of clips, and which those of captions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from monge.data.formats.features import FEATURE_ENDINGS
from monge.data.formats.sniff import names_in, nearest_hint, shown
from monge.errors import DataFormatError

FEATURES, GALLERY, TEXT, QUERIES = "features", "gallery", "text", "queries"
_AGGREGATED, _TEXT_FOLDER = "aggregated_", "aggregated_text_feats"
_HINT = "name files in data.experts"


def find_experts(place: Path, named: Mapping[str, str] | None) -> dict[str, Path]:
    """Feature files of clips, by the name of the expert.

    Without names: the files of ``features/``; else ``gallery.npz`` (or another form); else the one file in each folder
    ``aggregated_...``, as the collaborative experts have them, but not that of the text.

    Args:
        place: The folder of the data.
        named: Files by the name of the expert, relative to the folder.

    Raises:
        DataFormatError: A file that is named and not there, two files for one expert, or no file at all.

    Example:
        >>> import tempfile
        >>> (place := Path(tempfile.mkdtemp()) / "features").mkdir()
        >>> (place / "rgb.npz").touch()
        >>> {name: path.name for name, path in find_experts(place.parent, None).items()}
        {'rgb': 'rgb.npz'}
    """
    if named:
        return {name: _named(place, file) for name, file in named.items()}
    if found := _by_stem(place / FEATURES):
        return found
    if (single := _by_stem(place).get(GALLERY)) is not None:
        return {GALLERY: single}
    experts: dict[str, Path] = {}
    for folder in sorted(place.glob(f"{_AGGREGATED}*")):
        if folder.is_dir() and folder.name != _TEXT_FOLDER and (one := _only(folder)) is not None:
            experts[folder.name.removeprefix(_AGGREGATED)] = one
    if not experts:
        expected = f"{FEATURES}/EXPERT.npz (or {', '.join(FEATURE_ENDINGS[1:])}), or {GALLERY}.npz"
        raise DataFormatError(shown(place), "", "no features of clips", expected, _HINT)
    return experts


def find_text(place: Path, named: str | None) -> tuple[Path, bool]:
    """Feature file of captions, and whether its entries are queries by their own names.

    Without a name: ``queries.npz`` (or another form), whose entries are queries; else ``text.npz``; else the one file
    in ``aggregated_text_feats``.

    Args:
        place: The folder of the data.
        named: The file, relative to the folder.

    Raises:
        DataFormatError: A file that is named and not there, several, or none.

    Example:
        >>> import tempfile
        >>> (place := Path(tempfile.mkdtemp()) / "text.h5").touch()
        >>> find_text(place.parent, None)[1]
        False
    """
    if named:
        path = _named(place, named)
        return path, path.stem == QUERIES
    files = _by_stem(place)
    if QUERIES in files:
        return files[QUERIES], True
    found = files.get(TEXT) or (_only(place / _TEXT_FOLDER) if (place / _TEXT_FOLDER).is_dir() else None)
    if found is None:
        expected = f"{TEXT}.npz (or {', '.join(FEATURE_ENDINGS[1:])})"
        hint = "name the file in data.text, or set data.text to minilm to encode the captions"
        raise DataFormatError(shown(place), "", "no features of captions", expected, hint)
    return found, False


def _named(place: Path, file: str) -> Path:
    path = place / Path(file).expanduser()
    if not path.is_file():
        raise DataFormatError(shown(path), "", "no such file", "a file with features", nearest_hint(path))
    return path


def _by_stem(folder: Path) -> dict[str, Path]:
    """Feature files of a folder by their names without endings."""
    found: dict[str, Path] = {}
    for name in names_in(folder):
        path = folder / name
        if path.suffix.lower() not in FEATURE_ENDINGS or name.startswith(".") or not path.is_file():
            continue
        if (other := found.setdefault(path.stem, path)) != path:
            both = f"{shown(other.name)} and {shown(name)}"
            raise DataFormatError(shown(folder), "", both, "one file for each expert", _HINT)
    return found


def _only(folder: Path) -> Path | None:
    """The one feature file of a folder."""
    found = list(_by_stem(folder).values())
    if len(found) > 1:
        names = " and ".join(shown(path.name) for path in found[:2])
        raise DataFormatError(shown(folder), "", f"{names}", "one file", _HINT)
    return found[0] if found else None
