"""Pictures on disk: what is decoded, what is refused and in which words, and what the cache keeps."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from monge.data import Examples
from monge.data.formats import picture as picture_room
from monge.data.formats.picture import decode_picture, picture_flaw
from monge.data.image_files import ImageFiles, PictureCache
from monge.errors import DataFormatError

Image = pytest.importorskip("PIL.Image")


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    """Red grows to the right, green downwards, so that every turn shows."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * x / width, 255 * y / height, 0 * x + 40], axis=-1).astype(np.uint8)


def saved(folder: Path, name: str, pixels: np.ndarray, **options: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / name, **options)
    return folder / name


def as_array(picture: torch.Tensor) -> np.ndarray:
    return picture.permute(1, 2, 0).numpy()


def test_a_square_picture_of_the_right_size_comes_as_it_is(tmp_path: Path) -> None:
    pixels = noise(16, 16)
    file = saved(tmp_path, "a.png", pixels)
    picture = decode_picture(file, 16)
    assert picture.dtype == torch.uint8
    np.testing.assert_array_equal(as_array(picture), pixels)


def test_the_middle_square_is_taken(tmp_path: Path) -> None:
    wide, high = noise(8, 20), noise(20, 8, 1)
    np.testing.assert_array_equal(as_array(decode_picture(saved(tmp_path, "w.png", wide), 8)), wide[:, 6:14])
    np.testing.assert_array_equal(as_array(decode_picture(saved(tmp_path, "h.png", high), 8)), high[6:14])


def test_shrinking_averages(tmp_path: Path) -> None:
    """A chequerboard of single pixels becomes grey; picking pixels would leave it black or white."""
    board = np.repeat((np.indices((64, 64)).sum(0) % 2 * 255)[..., None], 3, axis=-1).astype(np.uint8)
    small = as_array(decode_picture(saved(tmp_path, "board.png", board), 8))
    assert np.abs(small.astype(int) - 128).max() <= 12


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_pictures_are_turned_as_their_exif_data_say(tmp_path: Path, orientation: int, kind: str) -> None:
    upright = smooth(32, 48)
    # What a camera held otherwise would store: the inverse of the turn that undoes it.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(tmp_path, f"a.{kind}", np.ascontiguousarray(stored), exif=exif, quality=95)
    difference = as_array(decode_picture(file, 32)).astype(int) - upright[:, 8:40]
    assert np.abs(difference).max() <= 6


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_data_say_nothing(tmp_path: Path) -> None:
    file = saved(tmp_path, "a.jpg", smooth(16, 16), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09junk", quality=95)
    assert np.abs(as_array(decode_picture(file, 16)).astype(int) - smooth(16, 16)).max() <= 12


def test_other_kinds_of_pixels_become_rgb(tmp_path: Path) -> None:
    grey = noise(8, 8)[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=-1)
    for mode in ("L", "LA", "P", "RGBA"):
        Image.fromarray(grey).convert(mode).save(tmp_path / f"{mode}.png")
        np.testing.assert_array_equal(as_array(decode_picture(tmp_path / f"{mode}.png", 8)), expected)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    np.testing.assert_array_equal(as_array(decode_picture(tmp_path / "16.png", 8)), expected)
    Image.fromarray(smooth(8, 8)).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    assert decode_picture(tmp_path / "cmyk.jpg", 8).shape == (3, 8, 8)
    Image.fromarray(grey.astype(np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(DataFormatError, match=r"float\.tiff: found pixels that are floating point numbers"):
        decode_picture(tmp_path / "float.tiff", 8)


def test_large_jpegs_are_decoded_small_and_look_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved(tmp_path, "large.jpg", smooth(640, 800), quality=95)
    sizes = []
    load = picture_room._load
    monkeypatch.setattr(picture_room, "_load", lambda path, image: (sizes.append(image.size), load(path, image)))
    quick = decode_picture(file, 32)
    assert sizes == [(100, 80)]
    monkeypatch.setattr(picture_room, "_draft", lambda *_: None)
    slow = decode_picture(file, 32)
    assert sizes[1] == (800, 640)
    assert (quick.int() - slow.int()).abs().max() <= 2


def test_boxes_are_in_stored_pixels_and_black_outside(tmp_path: Path) -> None:
    pixels = noise(20, 30)
    file = saved(tmp_path, "a.png", pixels)
    np.testing.assert_array_equal(as_array(decode_picture(file, 8, (5.0, 3.0, 8.0))), pixels[3:11, 5:13])
    beyond = as_array(decode_picture(file, 8, (-4.0, 16.0, 8.0)))
    np.testing.assert_array_equal(beyond[:4, 4:], pixels[16:, :4])
    assert not beyond[4:].any()
    assert not beyond[:, :4].any()
    with pytest.raises(DataFormatError, match=r"a box at \(40, 3\) of side 8, expected one .* 30 x 20 pixels"):
        decode_picture(file, 8, (40.0, 3.0, 8.0))


@pytest.mark.parametrize("box", [(0.0, 0.0, 1e7), (-1e30, -1e30, 2e30), (0.0, 0.0, 0.0), (0.0, 0.0, float("nan"))])
def test_boxes_that_would_fill_the_memory_or_are_none(tmp_path: Path, box: tuple[float, float, float]) -> None:
    with pytest.raises(DataFormatError, match=r"found a box at .* of a side up to 8944"):
        decode_picture(saved(tmp_path, "a.png", noise(20, 30)), 8, box)


def test_a_box_in_a_large_jpeg_finds_the_same_place(tmp_path: Path) -> None:
    pixels = np.zeros((800, 800, 3), np.uint8)
    pixels[400:720, 80:400] = 255
    file = saved(tmp_path, "a.jpg", pixels, quality=95)
    assert decode_picture(file, 16, (88.0, 408.0, 304.0)).min() > 240
    assert decode_picture(file, 16, (408.0, 80.0, 304.0)).max() < 15


def test_a_box_of_a_turned_picture_is_cut_first_and_turned_after(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = smooth(20, 30)
    file = saved(tmp_path, "a.png", pixels, exif=exif)
    expected = np.rot90(pixels[4:12, 10:18], -1)
    np.testing.assert_array_equal(as_array(decode_picture(file, 8, (10.0, 4.0, 8.0))), expected)


def png_of(width: int, height: int) -> bytes:
    """A PNG that only promises its pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def jpeg(quality: int = 90) -> bytes:
    content = io.BytesIO()
    Image.fromarray(noise(64, 64)).save(content, "JPEG", quality=quality)
    return content.getvalue()


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "an empty file"),
    "page": (b"<!DOCTYPE html><html>Sign in", "an HTML page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "a git-lfs pointer"),
    "text": (b"not a picture at all, just some words", "no picture that Pillow can read"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture that Pillow can read"),
    "zero": (png_of(0, 5), "(0 x 5 pixels|no picture|damaged)"),
    "bomb": (png_of(20_000, 5_000), "20000 x 5000 pixels, expected at most 80,000,000"),
    "huge": (png_of(60_000, 60_000), "far more than 80,000,000 pixels"),
    "without-pixels": (png_of(8, 8), "a damaged picture"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", BAD)
def test_files_that_are_no_pictures(tmp_path: Path, name: str) -> None:
    content, found = BAD[name]
    file = tmp_path / f"{name}.jpg"
    file.write_bytes(content)
    part = ImageFiles([file], torch.tensor([0]), size=8)
    with pytest.raises(DataFormatError, match=rf"{name}\.jpg: .*found {found}"):
        part.inputs([0])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_pictures_that_are_cut_short(tmp_path: Path, kind: str) -> None:
    content = io.BytesIO()
    Image.fromarray(noise(64, 64)).save(content, kind)
    file = tmp_path / "cut"
    file.write_bytes(content.getvalue())
    assert picture_flaw(file) is None
    for share in (0.9, 0.5):
        file.write_bytes(content.getvalue()[: int(len(content.getvalue()) * share)])
        with pytest.raises(DataFormatError, match=r"cut: found (a damaged picture|no picture)"):
            decode_picture(file, 8)
        assert picture_flaw(file) is not None


@pytest.mark.filterwarnings("ignore")
def test_any_bytes_are_a_picture_or_one_line(tmp_path: Path) -> None:
    draw, seeds = random.Random(0), []
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM"):
        content = io.BytesIO()
        Image.fromarray(noise(24, 32)).save(content, kind)
        seeds.append(content.getvalue())
    file, said = tmp_path / "any", list[str]()
    for _ in range(400):
        content = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 4)):
            content[draw.randrange(draw.choice([60, len(content)]))] = draw.randrange(256)
        file.write_bytes(content)
        try:
            decode_picture(file, 8, draw.choice([None, (3.0, 4.0, 20.0)]))
        except DataFormatError as error:
            said.append(str(error))
    assert 100 < len(said) < 380
    assert not [line for line in said if "\n" in line]


def test_missing_files_folders_and_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, "001A02.JPG", noise(8, 8))
    with pytest.raises(DataFormatError, match=r"001A03\.JPG: found no such file, .*did you mean .*001A02\.JPG"):
        decode_picture(tmp_path / "001A03.JPG", 8)
    with pytest.raises(DataFormatError, match="found a folder"):
        decode_picture(tmp_path, 8)
    monkeypatch.setattr(picture_room, "MAX_FILE_BYTES", 100)
    with pytest.raises(DataFormatError, match=r"001A02\.JPG: found \d+ bytes, expected at most 100"):
        decode_picture(tmp_path / "001A02.JPG", 8)


def test_flaws_are_found_without_decoding_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> torch.Tensor:
        raise AssertionError("a whole file was decoded")

    (tmp_path / "padded.jpg").write_bytes(jpeg() + bytes(40))
    whole = [saved(tmp_path, "a.png", noise(8, 8)), tmp_path / "padded.jpg"]
    (tmp_path / "tail.jpg").write_bytes(jpeg() + b"some words after the picture")
    assert picture_flaw(tmp_path / "tail.jpg") is None
    monkeypatch.setattr(picture_room, "decode_picture", refuse)
    assert [picture_flaw(file) for file in whole] == [None, None]


def files(tmp_path: Path, count: int = 5) -> list[Path]:
    return [saved(tmp_path, f"{number}.png", noise(8, 8, number)) for number in range(count)]


def test_batches_come_in_the_order_asked_for_and_subsets_follow(tmp_path: Path) -> None:
    targets = torch.eye(5)
    part: Examples = ImageFiles(files(tmp_path), torch.tensor([4, 3, 2, 1, 0]), size=8, targets=targets)
    batch = part.inputs(torch.tensor([3, 0, 3]))
    np.testing.assert_array_equal(as_array(batch[0]), noise(8, 8, 3))
    np.testing.assert_array_equal(as_array(batch[1]), noise(8, 8, 0))
    assert torch.equal(batch[0], batch[2])
    few = part.subset([4, 1, 4])
    assert len(few) == 3
    assert few.labels.tolist() == [0, 3, 0]
    assert torch.equal(few.targets, targets[[4, 1, 4]])
    assert torch.equal(few.inputs([1]), part.inputs([1]))
    assert part.inputs([]).shape == (0, 3, 8, 8)


def test_boxes_follow_subsets(tmp_path: Path) -> None:
    file = saved(tmp_path, "a.png", noise(20, 20))
    boxes = torch.tensor([[0.0, 0.0, 8.0], [10.0, 5.0, 8.0]])
    part = ImageFiles([file, file], torch.tensor([0, 1]), size=8, boxes=boxes, cache=PictureCache(1 << 20))
    np.testing.assert_array_equal(as_array(part.inputs([0, 1])[1]), noise(20, 20)[5:13, 10:18])
    np.testing.assert_array_equal(as_array(part.subset([1]).inputs([0])[0]), noise(20, 20)[5:13, 10:18])


def test_the_cache_is_bounded_shared_and_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []

    def counted(path: Path, size: int, box: object) -> torch.Tensor:
        decoded.append(path.name)
        return decode_picture(path, size, box)  # type: ignore[arg-type]

    monkeypatch.setattr("monge.data.image_files.decode_picture", counted)
    cache = PictureCache(3 * 3 * 8 * 8 + 10)
    part = ImageFiles(files(tmp_path), torch.zeros(5, dtype=torch.int64), size=8, cache=cache)
    first = part.inputs(range(5))
    assert cache.used == 3 * 3 * 8 * 8
    assert torch.equal(part.inputs(range(5)), first)
    assert sorted(decoded) == sorted([f"{number}.png" for number in range(5)] + ["3.png", "4.png"])
    decoded.clear()
    assert torch.equal(part.subset([2, 0]).inputs([0, 1]), first[[2, 0]])
    assert decoded == []
    # What is given out may be written to without harm to what is kept.
    part.inputs([0]).zero_()
    assert torch.equal(part.inputs([0])[0], first[0])


def test_one_bad_file_of_a_batch_is_named(tmp_path: Path) -> None:
    paths = files(tmp_path)
    paths[3].write_bytes(paths[3].read_bytes()[:60])
    part = ImageFiles(paths, torch.zeros(5, dtype=torch.int64), size=8)
    assert part.inputs([0, 1, 2, 4]).shape == (4, 3, 8, 8)
    with pytest.raises(DataFormatError, match=r"3\.png: found a damaged picture"):
        part.inputs(range(5))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: ImageFiles(["a"], torch.tensor([0, 1]), 8), r"labels must be int64 \(1,\), one for each path"),
        (lambda: ImageFiles(["a"], torch.tensor([0.0]), 8), "got torch.float32"),
        (lambda: ImageFiles(["a"], torch.tensor([0]), 0), "size must be at least 1"),
        (lambda: ImageFiles(["a"], torch.tensor([0]), 8, torch.ones(2, 3)), r"targets must be \(1, classes\)"),
        (lambda: ImageFiles(["a"], torch.tensor([0]), 8, boxes=torch.ones(1, 4)), r"boxes must be \(1, 3\)"),
    ],
)
def test_what_does_not_fit_together(change: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        change()
