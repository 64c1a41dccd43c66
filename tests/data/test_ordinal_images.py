"""What the six sets share: synthetic data read by the real readers, options, the cache, and the line for `packaged`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from monge import data
from monge.data.image_files import ImageFiles
from monge.data.images import ImageSet
from monge.data.sources.ordinal_images import ORDINAL_IMAGES
from monge.data.synthetic.portraits import draw_faces, draw_scenes
from monge.errors import MongeError

pytestmark = pytest.mark.usefixtures("cache")

pytest.importorskip("PIL.Image")
CLASSES = {"adience": 8, "images-of-groups": 7, "aadb": 6, "ava": 10, "fg-net": 70, "utkface": 100}


@pytest.mark.parametrize("name", CLASSES)
def test_synthetic_data_have_the_form_of_the_real_set(name: str, cache: Path, recwarn: pytest.WarningsRecorder) -> None:
    splits = data.load_images(name, "synthetic", size=24)
    assert not recwarn.list
    assert list(cache.iterdir()) == []
    assert (
        splits.source
        == f"synthetic: drawings in the layout of {name}, read by the same reader; not a published data set"
    )
    assert splits.ordered
    assert len(splits.classes) == CLASSES[name]
    assert splits.positions is not None
    assert list(splits.positions) == sorted(set(splits.positions))
    assert len(splits.positions) == len(splits.classes)
    for part in (splits.train, splits.val, splits.test):
        assert isinstance(part, ImageSet)
        assert part.shape == (3, 24, 24)
        assert len(part) >= 6
        assert 0 <= int(part.labels.min()) <= int(part.labels.max()) < len(splits.classes)
        assert (part.targets is None) == (name != "ava")
    again = data.load_images(name, "synthetic", size=24)
    assert torch.equal(again.train.inputs([3, 1]), splits.train.inputs([3, 1]))


@pytest.mark.parametrize("name", CLASSES)
def test_packaged_says_how_to_get_it(name: str) -> None:
    with pytest.raises(
        MongeError, match=rf"no package carries {name}: give --data FOLDER .*https?://.* or --data synthetic"
    ):
        data.load_images(name)
    source = next(source for source in data.list_sources() if source.name == name)
    assert source.kinds == ("path", "synthetic")


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.filterwarnings("ignore:official layout")
def test_pictures_of_a_folder_stay_on_disk(name: str, tmp_path: Path) -> None:
    ORDINAL_IMAGES[name].written(tmp_path / "set")
    splits = data.load_images(name, str(tmp_path / "set"), size=24, cache_bytes=10 * 3 * 24 * 24)
    whole = data.load_images(name, "synthetic", size=24)
    assert splits.source.startswith(f"official layout: {name} read from {tmp_path / 'set'}")
    parts = [splits.train, splits.val, splits.test]
    for part, drawn in zip(parts, (whole.train, whole.val, whole.test), strict=True):
        assert isinstance(part, ImageFiles)
        assert torch.equal(part.labels, drawn.labels)
        assert torch.equal(part.inputs(range(6)), drawn.inputs(range(6)))
        assert part.cache is parts[0].cache  # type: ignore[union-attr]
    assert parts[0].cache.used == 10 * 3 * 24 * 24  # type: ignore[union-attr]
    without = data.load_images(name, str(tmp_path / "set"), cache_bytes=0)
    assert without.train.shape == (3, 224, 224)
    assert without.train.cache is None  # type: ignore[union-attr]


def test_options_are_named_and_others_refused() -> None:
    assert data.options_of("adience") == ("fold", "crops", "stray", "size", "strict", "cache_bytes")
    assert data.options_of("images-of-groups") == ("size", "strict", "cache_bytes")
    assert data.options_of("mnist") == ()
    with pytest.raises(MongeError, match="adience: unknown option 'flod'; did you mean fold"):
        data.load_images("adience", "synthetic", flod=1)
    with pytest.raises(
        MongeError, match="ava: unknown option 'fold'; expected one of split, size, strict, cache_bytes"
    ):
        data.load_images("ava", "synthetic", fold=1)
    with pytest.raises(MongeError, match="mnist takes no options, found fold"):
        data.load_images("mnist", "synthetic", fold=1)
    with pytest.raises(MongeError, match=r"unknown data set 'adiense', .*did you mean adience"):
        data.options_of("adiense")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 3}, "size=3, expected a whole number from 4 to 1024"),
        ({"size": 24.0}, r"size=24\.0"),
        ({"size": True}, "size=True"),
        ({"strict": 0}, "strict=0, expected true or false"),
        ({"cache_bytes": -1}, "cache_bytes=-1, expected a whole number of bytes"),
        ({"cache_bytes": 1e9}, "cache_bytes=1000000000.0"),
    ],
)
def test_values_of_options_are_checked(options: dict[str, object], said: str) -> None:
    with pytest.raises(MongeError, match=said):
        data.load_images("utkface", "synthetic", **options)


BROKEN = [
    b"\t",
    b"\n",
    b"\r",
    b"-1",
    b"nan",
    b"inf",
    b"9" * 30,
    b"\xff",
    b"(",
    b"",
    b"..",
    b"/",
    b"\0",
    b"\xc2\xb2",
    b"None",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["adience", "images-of-groups", "aadb", "ava"])
def test_any_annotations_are_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    small = {"adience": {"users": 10, "faces": 2, "crops": ["faces"]}, "images-of-groups": {"photographs": 10}}
    small |= {"aadb": {"counts": (8, 3, 3), "pictures": ["warp256"]}, "ava": {"train": 12, "test": 5}}
    ORDINAL_IMAGES[name].written(tmp_path, **small[name])
    files = sorted(path for path in tmp_path.rglob("*") if path.suffix in (".txt", ".jpgl"))
    draw, said = random.Random(0), list[str]()
    for _ in range(40):
        file = draw.choice(files)
        before = file.read_bytes()
        content = bytearray(before)
        for _ in range(draw.randint(1, 4)):
            start = draw.randrange(len(content))
            content[start : start + draw.choice([0, 1, 3, 20])] = draw.choice(BROKEN)
        file.write_bytes(content)
        try:
            splits = data.load_images(name, str(tmp_path), size=8, strict=draw.random() < 0.5)
            splits.train.inputs(range(len(splits.train)))
        except MongeError as error:
            said.append(str(error))
        file.write_bytes(before)
    assert 5 < len(said) < 35
    assert not [line for line in said if "\n" in line]


def test_drawings_show_their_order_and_depend_on_the_seed() -> None:
    young, old = draw_faces([0.0] * 40), draw_faces([1.0] * 40)
    assert old[:, 5:12, 18:30].mean() > young[:, 5:12, 18:30].mean() + 50
    poor, good = draw_scenes([0.0] * 20), draw_scenes([1.0] * 20)
    assert (
        abs(poor.astype(float)[:, :, 1:] - poor[:, :, :-1]).mean()
        > 2 * abs(good.astype(float)[:, :, 1:] - good[:, :, :-1]).mean()
    )
    assert (draw_faces([0.5], seed=1) != draw_faces([0.5])).any()
    assert (draw_faces([0.5], seed=1) == draw_faces([0.5], seed=1)).all()


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("adience", {"crops": "faces", "fold": 4}, "test is fold 4"),
        (
            "adience",
            {"crops": "aligned", "stray": "map"},
            "mapped to the nearest group rows with a stray age: 5 (35: 5)",
        ),
        (
            "aadb",
            {"pictures": "warp256", "test_list": "old", "levels": 3},
            "the old one for test; level = round(2 * score)",
        ),
        ("ava", {"split": "random"}, "test is a random 20 %"),
        ("fg-net", {"fold": 82, "levels": [[0, 20], [21, 69]]}, "test is person 82"),
        ("utkface", {"levels": [[0, 20], [21, 69], [70, 116]]}, "dropped faces"),
        ("images-of-groups", {"strict": False}, "by photograph"),
    ],
)
def test_synthetic_data_serve_every_option(name: str, options: dict[str, object], said: str) -> None:
    definition = data.load_images(name, "synthetic", size=8, **options).definition
    assert (said in definition) == (said != "dropped faces")
