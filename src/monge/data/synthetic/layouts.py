"""Writes drawn digits in the official layouts of MNIST and CIFAR and by class, so that readers can be tested."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.cifar_files import LAYOUTS
from monge.data.formats.idx import write_idx
from monge.data.synthetic.digits import draw_digits
from monge.data.synthetic.face_layouts import encoded
from monge.data.synthetic.python2_pickle import Plain, python2_pickle


def write_fake_mnist(
    folder: str | Path, *, train: int = 200, test: int = 100, joint: str = "-", compress: bool = False, seed: int = 0
) -> None:
    """Writes the four IDX files of MNIST with drawn digits in them.

    Args:
        folder: Made if it is not there.
        train: Images in the training files.
        test: Images in the test files.
        joint: ``"-"`` or ``"."``, what stands before ``idx3-ubyte``.
        compress: Whether to gzip them and add ``.gz`` to the names.
        seed: Seed of the drawings.

    Example:
        >>> import tempfile
        >>> write_fake_mnist(folder := tempfile.mkdtemp(), joint=".", compress=True, train=10, test=10)
        >>> sorted(path.name for path in Path(folder).iterdir())[0]
        't10k-images.idx3-ubyte.gz'
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    end = ".gz" if compress else ""
    for number, (part, count) in enumerate((("train", train), ("t10k", test))):
        labels = _labels(count, 10, seed + number)
        images = draw_digits(labels, seed=seed + number)[:, 0]
        write_idx(place / f"{part}-images{joint}idx3-ubyte{end}", images, compress=compress)
        write_idx(place / f"{part}-labels{joint}idx1-ubyte{end}", labels, compress=compress)


def write_fake_cifar10(folder: str | Path, *, edition: str, train: int = 200, test: int = 50, seed: int = 0) -> None:
    """Writes CIFAR-10's official folder (``cifar-10-batches-bin`` or ``-py``) with coloured digits in it.

    Args:
        folder: Where to put that folder.
        edition: ``"binary"`` or ``"python"``.
        train: Images in the five training batches together; a multiple of 5.
        test: Images in the test batch.
        seed: Seed of the drawings.

    Example:
        >>> import tempfile
        >>> write_fake_cifar10(root := tempfile.mkdtemp(), edition="binary", train=10, test=10)
        >>> (Path(root) / "cifar-10-batches-bin" / "data_batch_1.bin").stat().st_size == 2 * 3073
        True
    """
    _write_cifar(Path(folder), 10, edition, train, test, seed)


def write_fake_cifar100(folder: str | Path, *, edition: str, train: int = 400, test: int = 100, seed: int = 0) -> None:
    """Writes CIFAR-100's official folder (``cifar-100-binary`` or ``-python``) with two-digit numbers in it.

    Args:
        folder: Where to put that folder.
        edition: ``"binary"`` or ``"python"``.
        train: Images in the training file.
        test: Images in the test file.
        seed: Seed of the drawings.

    Example:
        >>> import tempfile
        >>> write_fake_cifar100(root := tempfile.mkdtemp(), edition="python", train=100, test=100)
        >>> sorted(path.name for path in (Path(root) / "cifar-100-python").iterdir())
        ['meta', 'test', 'train']
    """
    _write_cifar(Path(folder), 100, edition, train, test, seed)


def write_fake_class_folders(folder: str | Path, *, classes: int = 6, each: int = 20, seed: int = 0) -> None:
    """Writes drawn digits in colour, a folder for each class.

    Args:
        folder: Made if it is not there.
        classes: At most 10.
        each: Pictures of each.
        seed: Of the drawings.

    Example:
        >>> import tempfile
        >>> write_fake_class_folders(folder := Path(tempfile.mkdtemp()), classes=2, each=3)
        >>> sorted(path.name for path in (folder / "digit 1").iterdir())
        ['0.png', '1.png', '2.png']
    """
    for digit in range(classes):
        place = Path(folder) / f"digit {digit}"
        place.mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(draw_digits([digit] * each, size=32, channels=3, seed=seed + digit)):
            (place / f"{number}.png").write_bytes(encoded(picture, "PNG"))


def _write_cifar(folder: Path, classes: int, edition: str, train: int, test: int, seed: int) -> None:
    layout = next(layout for layout in LAYOUTS[classes] if layout.edition == edition)
    place = folder / layout.folder
    place.mkdir(parents=True, exist_ok=True)
    sizes = [(name, train // len(layout.train)) for name in layout.train] + [(layout.test, test)]
    for number, (name, count) in enumerate(sizes):
        labels = _labels(count, classes, seed + number)
        digits = len(str(classes - 1))
        images = draw_digits(labels, size=32, channels=3, digits=digits, seed=seed + number).reshape(count, -1)
        if edition == "binary":
            columns = [labels // 5, labels] if classes == 100 else [labels]
            (place / name).write_bytes(np.column_stack([*columns, images]).astype(np.uint8).tobytes())
        else:
            (place / name).write_bytes(python2_pickle(_batch(images, labels, name)))
    names = [f"{number:0{digits}d}" for number in range(classes)]
    if edition == "binary":
        (place / layout.names).write_text("\n".join(names) + "\n\n")
    else:
        key = b"label_names" if classes == 10 else b"fine_label_names"
        (place / layout.names).write_bytes(python2_pickle({key: [name.encode() for name in names]}))


def _batch(images: NDArray[np.uint8], labels: NDArray[np.uint8], name: str) -> dict[bytes, Plain]:
    """The dict that a batch of the python edition holds."""
    batch: dict[bytes, Plain] = {
        b"data": images,
        b"batch_label": name.encode(),
        b"filenames": [f"{number:05d}.png".encode() for number in range(len(labels))],
    }
    if name in ("train", "test"):
        return batch | {b"fine_labels": labels.tolist(), b"coarse_labels": (labels // 5).tolist()}
    return batch | {b"labels": labels.tolist()}


def _labels(count: int, classes: int, seed: int) -> NDArray[np.uint8]:
    """Every class as often as the next, in random order."""
    return np.random.default_rng([seed, count]).permutation(np.arange(count) % classes).astype(np.uint8)
