"""The complete Fashion-MNIST, from the Debian package that carries it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from monge.data.formats.idx import read_idx, write_idx
from monge.data.sources.clients import apt_download, unpack_deb
from monge.data.sources.package import Package
from monge.data.sources.unpacking import plain_files
from monge.errors import MongeError

_PACKAGE = "dataset-fashion-mnist"
_FOLDER = "usr/share/datasets/fashion-mnist"
_HASHES = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}


def _take(folder: Path) -> Mapping[str, Path]:
    try:
        deb = apt_download(_PACKAGE, folder)
    except MongeError as error:
        hint = "or give --data FOLDER with the four files of https://github.com/zalandoresearch/fashion-mnist"
        raise MongeError(f"fashion-mnist: {error}; {hint}") from None
    unpack_deb(deb, folder / "unpacked")
    return plain_files("fashion-mnist", deb, folder / "unpacked", _FOLDER, _HASHES)


def _convert(files: Mapping[str, Path], into: Path) -> None:
    """The same files without gzip, which load ten times faster."""
    for name, path in files.items():
        write_idx(into / name.removesuffix(".gz"), read_idx(path))


FASHION_MNIST = Package(
    name="fashion-mnist",
    title=f"the Debian package {_PACKAGE}",
    hashes=_HASHES,
    take=_take,
    convert=_convert,
)
