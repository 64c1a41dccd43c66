"""InsightFace's training folders in all their variants, and every way in which they break."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from monge.data.encoded_images import EncodedImages
from monge.data.formats.insightface import FaceRecords, read_face_records
from monge.data.sources.face_records import RecordPictures
from monge.data.synthetic.drawn_identities import draw_identities
from monge.data.synthetic.face_layouts import encoded, write_fake_records
from monge.data.synthetic.record_writer import packed, write_records
from monge.errors import DataFormatError

VARIANTS = list(itertools.product([False, True], repeat=4))
PICTURE = encoded(np.full((3, 8, 8), 90, np.uint8))


def read(folder: Path) -> FaceRecords:
    properties = folder / "property"
    return read_face_records(folder / "train.rec", folder / "train.idx", properties if properties.is_file() else None)


def images_of(records: FaceRecords, size: int) -> EncodedImages:
    store = RecordPictures(records.file, records.keys, records.offsets)
    return EncodedImages(store, torch.arange(len(records.keys)), torch.from_numpy(records.labels), size)


@pytest.mark.parametrize(("record_zero", "vector_labels", "shuffled", "parts"), VARIANTS)
def test_every_variant_gives_the_same_pictures_and_labels(
    tmp_path: Path, record_zero: bool, vector_labels: bool, shuffled: bool, parts: bool
) -> None:
    write_fake_records(
        tmp_path,
        identities=4,
        each=3,
        size=24,
        record_zero=record_zero,
        vector_labels=vector_labels,
        shuffled=shuffled,
        parts=parts,
    )
    records = read(tmp_path)
    labels = np.arange(4).repeat(3)
    assert records.labels.tolist() == labels.tolist()
    assert records.identities == 4
    plain = tmp_path / "plain"
    write_fake_records(plain, identities=4, each=3, size=24)
    assert torch.equal(images_of(records, 24).inputs(range(12)), images_of(read(plain), 24).inputs(range(12)))


def test_the_pictures_are_those_that_were_drawn(tmp_path: Path) -> None:
    drawn = draw_identities([0, 0, 1], size=16).images
    payloads = [(key, packed(float(key // 2), encoded(image, "PNG"))) for key, image in enumerate(drawn)]
    write_records(tmp_path / "train.rec", payloads)
    images = images_of(read(tmp_path), 16)
    assert np.array_equal(images.inputs([0, 1, 2]).numpy(), drawn)
    assert images.inputs([]).shape == (0, 3, 16, 16)
    part = pickle.loads(pickle.dumps(images.subset([2, 0, 2])))
    assert np.array_equal(part.inputs([0, 1, 2]).numpy(), drawn[[2, 0, 2]])
    assert part.labels.tolist() == [1, 0, 1]


def test_pictures_of_another_size_are_resized(tmp_path: Path) -> None:
    write_fake_records(tmp_path, identities=2, each=1, size=64)
    assert images_of(read(tmp_path), 20).inputs([0, 1]).shape == (2, 3, 20, 20)


def test_without_property_the_largest_label_tells(tmp_path: Path) -> None:
    write_fake_records(tmp_path, identities=5, each=2, size=8, properties=False)
    assert read(tmp_path).identities == 5


def test_labels_beyond_the_exact_range_of_record_zero_are_no_error(tmp_path: Path) -> None:
    """float32 tells 2**24 + 3 as 2**24 + 4, so the identity record before that key has no picture rightly."""
    start = (1 << 24) + 3
    payloads = [(0, packed([float(start), float(start + 1)])), (1, packed(0.0, PICTURE)), (2, packed(1.0, PICTURE))]
    write_records(tmp_path / "train.rec", [*payloads, (start, packed([1.0, 3.0]))])
    assert int(np.float32(start)) > start
    assert read(tmp_path).keys.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (7.0, "key 2, byte .*: found label 7, expected 0 to 2, since property tells of 3 identities"),
        (-1.0, "label -1, expected a whole number from 0"),
        (0.5, "label 0.5, expected a whole number"),
        (float("nan"), "label nan, expected a whole number"),
        (float("inf"), "label inf"),
    ],
)
@pytest.mark.parametrize("vector", [False, True])
def test_a_label_that_is_no_identity_is_told(tmp_path: Path, label: float, message: str, vector: bool) -> None:
    told = [label, 0.0] if vector else label
    payloads = [(1, packed(0.0, PICTURE)), (2, packed(told, PICTURE)), (3, packed(1.0, PICTURE))]
    write_records(tmp_path / "train.rec", payloads)
    (tmp_path / "property").write_text("3,112,112")
    with pytest.raises(DataFormatError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_index_of_another_file_is_told(tmp_path: Path) -> None:
    write_fake_records(tmp_path, identities=3, each=2, size=16)
    other = tmp_path / "other"
    write_fake_records(other, identities=3, each=2, size=32)
    (tmp_path / "train.idx").write_bytes((other / "train.idx").read_bytes())
    with pytest.raises(DataFormatError, match=r"the index belongs to another .rec"):
        read(tmp_path)


def test_a_truncated_file_is_told(tmp_path: Path) -> None:
    write_fake_records(tmp_path, identities=3, each=2, size=16, record_zero=False)
    path = tmp_path / "train.rec"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataFormatError, match=r"key 5, byte .*the file was cut short"):
        read(tmp_path)


def test_a_picture_that_is_missing_is_told(tmp_path: Path) -> None:
    payloads = [(0, packed([4.0, 5.0])), (1, packed(0.0, PICTURE)), (2, packed(0.0)), (3, packed(1.0, PICTURE))]
    write_records(tmp_path / "train.rec", [*payloads, (4, packed([1.0, 4.0]))])
    with pytest.raises(
        DataFormatError, match=r"key 2, byte .*without a picture, expected a picture, and pictures up to"
    ):
        read(tmp_path)


def test_a_record_of_something_else_is_told(tmp_path: Path) -> None:
    write_records(tmp_path / "train.rec", [(1, packed(0.0, PICTURE)), (2, b"some text")])
    with pytest.raises(DataFormatError, match=r"key 2, byte .*9 bytes .*expected a label head of 24 bytes"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["3,112\n", "three,112,112", "0,112,112", "3,112,-1"])
def test_a_broken_property_is_told(tmp_path: Path, text: str) -> None:
    write_fake_records(tmp_path, identities=2, each=1, size=8)
    (tmp_path / "property").write_text(text)
    with pytest.raises(DataFormatError, match=r"property: line 1: found .*expected one line identities,height,width"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a picture", "found no picture that Pillow can read"),
        (PICTURE[:-150], "found a damaged picture"),
        (encoded(np.zeros((3, 8, 12), np.uint8)), "found a picture of 12 x 8 pixels, expected a square one"),
    ],
)
def test_a_picture_that_cannot_be_decoded_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    write_records(tmp_path / "train.rec", [(5, packed(0.0, PICTURE)), (9, packed(1.0, content))])
    images = images_of(read(tmp_path), 8)
    assert images.inputs([0]).shape == (1, 3, 8, 8)
    with pytest.raises(DataFormatError, match=rf"train.rec: key 9, byte .*: {message}"):
        images.inputs([0, 1])
