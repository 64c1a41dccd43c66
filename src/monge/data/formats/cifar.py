"""CIFAR-10 and CIFAR-100, binary edition (read first where both are there) and python edition."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.cifar_files import CifarLayout, find_cifar
from monge.data.formats.pickles import load_pickle
from monge.data.formats.sniff import open_data, read_bounded
from monge.errors import DataFormatError

_PIXELS = 3 * 32 * 32
MAX_BYTES = 1 << 30
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Cifar:
    """CIFAR as read from a folder.

    Args:
        train_images: uint8 ``(N, 3, 32, 32)``, planes red, green, blue.
        train_labels: uint8 ``(N,)``; the fine label of CIFAR-100.
        test_images: uint8 ``(M, 3, 32, 32)``.
        test_labels: uint8 ``(M,)``.
        classes: Class names; numbers as text where the file of names is not there.
        edition: ``"binary"`` or ``"python"``.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    classes: tuple[str, ...]
    edition: str


def read_cifar(folder: str | Path, num_classes: int) -> Cifar:
    """Reads CIFAR from its official folder or the folder above it.

    Args:
        folder: E.g. ``cifar-10-batches-bin``, or the folder that holds it.
        num_classes: 10 or 100.

    Raises:
        DataFormatError: Files are missing or bad; the message names file, byte and what was expected.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.layouts import write_fake_cifar10
        >>> root = Path(tempfile.mkdtemp())
        >>> write_fake_cifar10(root, edition="binary", train=50, test=10)
        >>> read_cifar(root, 10).train_images.shape
        (50, 3, 32, 32)
    """
    layout, place = find_cifar(folder, num_classes)
    read: Callable[[Path, Sequence[int]], tuple[NDArray[np.uint8], NDArray[np.uint8]]]
    read = read_cifar_records if layout.edition == "binary" else read_cifar_pickle
    train = [read(place / name, layout.labels) for name in layout.train]
    images, labels = (np.concatenate(parts) for parts in zip(*train, strict=True))
    test_images, test_labels = read(place / layout.test, layout.labels)
    return Cifar(images, labels, test_images, test_labels, _class_names(place, layout), layout.edition)


def read_cifar_records(path: Path, labels: Sequence[int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Reads one file of the binary edition: records of the labels' bytes and 3,072 pixel bytes.

    Args:
        path: A ``.bin`` file.
        labels: Number of classes of each label byte: ``(10,)``, or ``(20, 100)`` for coarse and fine.

    Returns:
        Images uint8 ``(N, 3, 32, 32)`` and the last label of each, uint8 ``(N,)``.

    Raises:
        DataFormatError: The size is no multiple of the record, or a label is out of range.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "test_batch.bin"
        >>> _ = file.write_bytes(bytes([7]) + bytes(3072))
        >>> read_cifar_records(file, (10,))[1].tolist()
        [7]
    """
    record = len(labels) + _PIXELS
    kind = f"records of {record} bytes"
    with open_data(path, kind) as (stream, size):
        if size % record or size > MAX_BYTES:
            found = f"{size} bytes, {size % record} in a last part" if size % record else f"{size} bytes"
            hint = "the file is truncated or another one; fetch it again" if size % record else f"at most {MAX_BYTES}"
            raise DataFormatError(path, f"byte {size - size % record}", found, kind, hint)
        table = np.frombuffer(read_bounded(path, stream, size, kind), np.uint8).reshape(-1, record)
    for column, classes in enumerate(labels):
        if (bad := np.flatnonzero(table[:, column] >= classes)).size:
            place, found = f"byte {int(bad[0]) * record + column}", f"label {table[bad[0], column]}"
            raise DataFormatError(path, place, found, f"0 to {classes - 1}", "not CIFAR records, or gzipped ones")
    pixels = np.ascontiguousarray(table[:, len(labels) :]).reshape(-1, 3, 32, 32)
    return pixels, table[:, len(labels) - 1].copy()


def read_cifar_pickle(path: Path, labels: Sequence[int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Reads one batch of the python edition through the restricted unpickler.

    Args:
        path: A batch, e.g. ``data_batch_1`` or ``train``.
        labels: ``(10,)`` for the key ``labels``, ``(20, 100)`` for ``fine_labels``.

    Returns:
        Images uint8 ``(N, 3, 32, 32)`` and labels uint8 ``(N,)``.

    Raises:
        DataFormatError: A global that data do not need, a key that is missing, or data and labels that do not fit.
    """
    batch = _batch_dict(path)
    key, classes = ("labels" if len(labels) == 1 else "fine_labels"), labels[-1]
    for name in ("data", key):
        if name not in batch:
            has = ", ".join(sorted(batch)) or "no keys"
            raise DataFormatError(
                path, "", f"a dict with {has}", f"the key {name!r}", "is it a batch of this data set?"
            )
    data, values = batch["data"], batch[key]
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != _PIXELS:
        found = f"{data.dtype} of shape {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataFormatError(path, "key 'data'", found, f"uint8 of shape (N, {_PIXELS})", "is it a CIFAR batch?")
    numbers = values.tolist() if isinstance(values, np.ndarray) else values
    if not isinstance(numbers, list) or len(numbers) != len(data):
        found = f"{len(numbers)} labels" if isinstance(numbers, list) else type(numbers).__name__
        raise DataFormatError(path, f"key {key!r}", found, f"a list of {len(data)}, one for each image")
    for position, value in enumerate(numbers):
        if type(value) is not int or not 0 <= value < classes:
            found = f"label {str(value)[:20]} at position {position}"
            raise DataFormatError(path, f"key {key!r}", found, f"0 to {classes - 1}", "is it another data set?")
    return data.reshape(-1, 3, 32, 32).copy(), np.array(numbers, np.uint8)


def _batch_dict(path: Path) -> dict[str, Any]:
    batch = load_pickle(path, max_bytes=MAX_BYTES)
    if not isinstance(batch, dict):
        raise DataFormatError(path, "", f"a pickled {type(batch).__name__}", "a dict", "is it a CIFAR batch?")
    # Python 2 wrote bytes keys; copies pickled again have text.
    return {key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in batch.items()}


def _class_names(place: Path, layout: CifarLayout) -> tuple[str, ...]:
    classes, path = layout.labels[-1], place / layout.names
    if not os.path.isfile(path):
        return CIFAR10_CLASSES if classes == 10 else tuple(str(number) for number in range(classes))
    if layout.edition == "binary":
        with open_data(path, "class names") as (stream, size):
            names = bytes(read_bounded(path, stream, min(size, 1 << 16), "class names")).decode("latin1").split("\n")
        names = [name.strip() for name in names if name.strip()]
    else:
        listed = _batch_dict(path).get("label_names" if classes == 10 else "fine_label_names", [])
        names = [name.decode("latin1") if isinstance(name, bytes) else str(name) for name in listed]
    if len(names) != classes:
        raise DataFormatError(path, "", f"{len(names)} class names", f"{classes}", "fetch the file again")
    return tuple(names)
