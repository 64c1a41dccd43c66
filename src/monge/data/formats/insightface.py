"""InsightFace's training folders: ``train.rec``, ``train.idx`` and ``property``, with aligned faces of 112 x 112.

A record starts with a flag, a label, and two ids (24 bytes); a flag above zero is the number of float labels that
follow, of which the first counts; then comes the picture, or nothing in records that tell of identities: record 0 with
the range of keys of the identity records, and each of those with the range of keys of its pictures. Files made by
MXNet's im2rec have neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.places import text_lines
from monge.data.formats.recordio import LENGTH_BITS, RecordFile, read_record_index
from monge.data.formats.sniff import shown
from monge.errors import DataFormatError

LABEL_HEAD = 24
_RECORD_HEAD = 8
_CHUNK = 1 << 16
_MAX_LABELS = 1 << 16
_HEAD = np.dtype(
    [
        ("magic", "<u4"),
        ("word", "<u4"),
        ("flag", "<u4"),
        ("label", "<f4"),
        ("id", "<u8"),
        ("id2", "<u8"),
        ("first", "<f4"),
    ]
)
# float32 holds every whole number up to here.
_EXACT = 1 << 24


@dataclass(frozen=True)
class FaceRecords:
    """Where the pictures of a training folder are.

    Args:
        file: The ``.rec`` file.
        keys: Of the pictures, ascending, int64 ``(N,)``.
        offsets: Where their records start, int64 ``(N,)``.
        labels: Identity of each, int64 ``(N,)``.
        identities: Number of identities that ``property`` tells, else of the largest label.
    """

    file: RecordFile
    keys: NDArray[np.int64]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]
    identities: int


def read_face_records(rec: str | Path, idx: str | Path, properties: str | Path | None = None) -> FaceRecords:
    """Finds and checks every picture and its label; reads the heads of the records alone.

    Args:
        rec: ``train.rec``.
        idx: ``train.idx``.
        properties: The file ``property``, one line ``identities,height,width``; ``None``: there is none.

    Raises:
        DataFormatError: A file is missing or damaged, the index does not fit the records, or a label is no identity.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.face_layouts import write_fake_records
        >>> write_fake_records(folder := Path(tempfile.mkdtemp()), identities=3, each=2)
        >>> records = read_face_records(folder / "train.rec", folder / "train.idx", folder / "property")
        >>> records.labels.tolist(), records.identities
        ([0, 0, 1, 1, 2, 2], 3)
    """
    keys, offsets = read_record_index(idx)
    order = np.argsort(keys)
    keys, offsets = keys[order], offsets[order]
    file = RecordFile(rec)
    told = None if properties is None else _read_property(Path(properties))
    # By place in the file, which the system reads fastest.
    by_place = np.argsort(offsets)
    first, with_picture = np.empty(len(keys), np.float64), np.empty(len(keys), bool)
    for start in range(0, len(keys), _CHUNK):
        chosen = by_place[start : start + _CHUNK]
        first[chosen], with_picture[chosen] = _labels(file, offsets[chosen], keys[chosen])
    _check_empty(file, keys, offsets, first, with_picture)
    keys, offsets, first = keys[with_picture], offsets[with_picture], first[with_picture]
    if not len(keys):
        raise DataFormatError(shown(file.path), "", "no record with a picture", "pictures", "fetch the files again")
    bad = np.flatnonzero(~(np.isfinite(first) & (first >= 0) & (first == np.floor(first))))
    if bad.size:
        raise _label_error(file, keys[bad[0]], offsets[bad[0]], first[bad[0]], "a whole number from 0", len(bad))
    if told is not None and (bad := np.flatnonzero(first >= told)).size:
        expected = f"0 to {told - 1}, since property tells of {told:,} identities"
        raise _label_error(file, keys[bad[0]], offsets[bad[0]], first[bad[0]], expected, len(bad))
    labels = first.astype(np.int64)
    return FaceRecords(file, keys, offsets, labels, told or int(labels.max()) + 1)


def picture_of(file: RecordFile, offset: int, name: str) -> bytes:
    """The encoded picture of a record.

    Args:
        file: The ``.rec`` file.
        offset: Where the record starts.
        name: What the error messages call it, e.g. ``"key 17"``.

    Raises:
        DataFormatError: No whole record there.
    """
    payload = file.payload(offset, name)
    return payload[_picture_start(payload) :]


def _picture_start(payload: bytes) -> int:
    flag = int.from_bytes(payload[:4], "little")
    return LABEL_HEAD + 4 * min(flag, _MAX_LABELS)


def _labels(
    file: RecordFile, offsets: NDArray[np.int64], keys: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """First label of each record, and whether a picture follows."""
    heads = file.heads(offsets, keys, _HEAD.itemsize).view(_HEAD)[:, 0]  # (N,)
    flags, lengths = heads["flag"].astype(np.int64), (heads["word"] & ((1 << LENGTH_BITS) - 1)).astype(np.int64)
    first = np.where(flags > 0, heads["first"], heads["label"]).astype(np.float64)
    ends = LABEL_HEAD + 4 * flags
    # Records in parts, and those too short to be whole in one, are joined before they are looked at.
    for row in np.flatnonzero((heads["word"] >> LENGTH_BITS > 0) | (lengths < ends) | (flags > _MAX_LABELS)):
        name = f"key {keys[row]}"
        payload = file.payload(int(offsets[row]), name)
        flag = int.from_bytes(payload[:4], "little")
        if len(payload) < LABEL_HEAD or flag > _MAX_LABELS or len(payload) < LABEL_HEAD + 4 * flag:
            found = f"{len(payload):,} bytes with a flag of {flag:,}"
            expected = "a label head of 24 bytes, four for each label of the flag, and a picture"
            where = f"{name}, byte {offsets[row]}"
            raise DataFormatError(shown(file.path), where, found, expected, "is it a file of labelled pictures?")
        place = LABEL_HEAD if flag else 4
        first[row] = np.frombuffer(payload, "<f4", 1, place)[0]
        ends[row], lengths[row] = LABEL_HEAD + 4 * flag, len(payload)
    return first, lengths > ends


def _check_empty(
    file: RecordFile,
    keys: NDArray[np.int64],
    offsets: NDArray[np.int64],
    first: NDArray[np.float64],
    with_picture: NDArray[np.bool_],
) -> None:
    """Without a picture may be record 0 and, if it is so, those from the first identity record on, which it names."""
    empty = np.flatnonzero(~with_picture)
    if not empty.size:
        return
    head = keys[0] == 0 and not with_picture[0]
    # Above 2 ** 24 record 0 tells the first identity record a little wrong.
    slack = 0 if not head or first[0] < _EXACT else np.spacing(np.float32(first[0]))
    start = first[0] - slack if head and np.isfinite(first[0]) else np.inf
    wrong = empty[(keys[empty] < start) & (keys[empty] > 0)]
    if wrong.size:
        row = wrong[0]
        told = f", and pictures up to key {int(first[0]) - 1} by record 0" if head else ""
        expected = f"a picture{told}"
        where = f"key {keys[row]}, byte {offsets[row]}"
        hint = f"{len(wrong):,} records are without; fetch the files again"
        raise DataFormatError(shown(file.path), where, "a record without a picture", expected, hint)


def _label_error(
    file: RecordFile, key: np.int64, offset: np.int64, label: np.float64, expected: str, count: int
) -> DataFormatError:
    hint = f"{count:,} such labels; are record file, index and property of one data set?"
    return DataFormatError(shown(file.path), f"key {key}, byte {offset}", f"label {label:g}", expected, hint)


def _read_property(path: Path) -> int:
    expected = "one line identities,height,width such as 10572,112,112"
    lines = list(text_lines(path, expected))
    cells = [cell.strip() for cell in lines[0][1].split(",")] if lines else []
    if len(cells) != 3 or not all(cell.isdecimal() and 0 < int(cell) < 1 << 31 for cell in cells):
        found = repr(lines[0][1][:40]) if lines else "no lines"
        raise DataFormatError(shown(path), "line 1", found, expected, "is it the file of the data set?")
    return int(cells[0])
