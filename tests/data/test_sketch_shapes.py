"""Drawings and shapes by name: their parts, their classes, their options."""

from __future__ import annotations

import pytest
import torch

from monge.data import ImageSet, load_sketch_shapes, sketch_shapes
from monge.data.cross_modal import CrossModalSplits
from monge.data.drawing_set import DrawingSet
from monge.data.examples import Splits
from monge.data.sources import sketch_furniture
from monge.data.sources.furniture import FURNITURE_CLASSES
from monge.data.sources.rendered import Viewing
from monge.data.sources.sketches import SKETCH_CLASSES, Drawings
from monge.data.synthetic.shape_layouts import write_fake_shrec
from monge.data.views import ViewSet
from monge.errors import DataFormatError, MongeError

pytestmark = pytest.mark.usefixtures("cache")


def test_every_test_sketch_is_a_query_and_all_models_are_found_in_every_part(tmp_path):
    write_fake_shrec(tmp_path, "shrec13", classes=3, train=10, test=2, models=2, size=64)
    splits = load_sketch_shapes("shrec13", str(tmp_path), size=24, views=2, jobs=1)
    assert [len(splits.part(part)[0]) for part in ("train", "val", "test")] == [27, 3, 6]
    assert splits.train_gallery is splits.val_gallery
    assert splits.train_gallery is splits.test_gallery
    assert len(splits.test_gallery) == 2 + 3 + 4
    assert splits.test_gallery.shape == (2, 1, 24, 24)
    assert splits.val_queries.labels.tolist() == [0, 1, 2]
    assert not splits.paired
    assert (splits.query_name, splits.gallery_name) == ("sketch", "shape")
    assert splits.source.startswith("official layout: SHREC'13 read from")
    assert "y up" in splits.source
    assert "3 of the training sketches, 10% of every class, are for validation" in splits.definition


def test_ink_is_bright_on_a_ground_of_zeros(tmp_path):
    write_fake_shrec(tmp_path, "shrec14", classes=2, train=10, test=1, models=1, size=64)
    splits = load_sketch_shapes("shrec14", str(tmp_path), size=64, views=1, jobs=1)
    drawn = splits.test_queries.inputs([0, 1])
    assert drawn.shape == (2, 1, 64, 64)
    assert int(drawn.flatten(1).median()) == 0
    assert int(drawn.max()) > 100
    assert torch.equal(splits.test_queries.pictures([0, 1]), 255 - drawn)


def test_the_axis_that_points_up_changes_the_views_and_is_told(tmp_path):
    write_fake_shrec(tmp_path, "shrec13", classes=2, train=10, test=1, models=1, size=64)
    y, z = (load_sketch_shapes("shrec13", str(tmp_path), size=24, views=2, up=up, jobs=1) for up in ("y", "z"))
    assert "z up" in z.source
    assert not torch.equal(y.test_gallery.inputs([0]), z.test_gallery.inputs([0]))


def test_damaged_models_are_refused_or_left_out_and_told(tmp_path):
    write_fake_shrec(tmp_path, "shrec13", classes=2, train=10, test=1, models=2, size=64)
    damaged = next((tmp_path / "SHREC13_SBR_TARGET_MODELS" / "models").glob("*.off"))
    damaged.write_text("OFF\n3 1 0\n0 0 0\n")
    with pytest.raises(DataFormatError, match=damaged.name):
        load_sketch_shapes("shrec13", str(tmp_path), size=16, views=1, jobs=1)
    with pytest.warns(UserWarning, match="meshes that cannot be rendered"):
        splits = load_sketch_shapes("shrec13", str(tmp_path), size=16, views=1, strict=False, jobs=1)
    assert len(splits.test_gallery) == 5
    assert "left out" in splits.definition


@pytest.mark.parametrize("name", ["sketch-furniture", "shrec13", "shrec14"])
def test_the_synthetic_source_is_complete_and_leaves_nothing_behind(name, tmp_path):
    splits = load_sketch_shapes(name, "synthetic", size=16, views=2)
    assert isinstance(splits, CrossModalSplits)
    assert splits.source.startswith("synthetic: ")
    for part in ("train", "val", "test"):
        queries, gallery = splits.part(part)
        assert splits.unanswerable(part) == 0
        assert queries.labels.unique().tolist() == gallery.labels.unique().tolist() == list(range(6))
    assert torch.equal(splits.train_queries.inputs([3]), splits.train_queries.inputs([3]))
    assert not (tmp_path / "cache").exists() or not any((tmp_path / "cache").rglob("*.npy"))


def made(monkeypatch):
    """Packaged parts as they would come, small."""
    shapes = ViewSet(
        torch.arange(17 * 3, dtype=torch.uint8).reshape(-1, 1, 1, 1, 1).expand(-1, 2, 1, 8, 8),
        torch.arange(17).repeat(3),
        [str(number) for number in range(51)],
    )
    places = torch.arange(51)
    parts = [shapes.subset(places[start : start + 17]) for start in (0, 17, 34)]
    told = "1 train / 1 val / 1 test: by model"
    splits = Splits(*parts, FURNITURE_CLASSES, "packaged: furniture", told)
    monkeypatch.setattr(sketch_furniture, "load_furniture", lambda folder, split, viewing: splits)

    def drawings(size, part):
        labels = torch.arange(16)
        images = torch.full((16, 1, size, size), 255, dtype=torch.uint8)
        return Drawings(images, labels, ("a:b",) * 16, ("a",) * 16)

    monkeypatch.setattr(sketch_furniture, "sketch_drawings", drawings)
    return splits


def test_only_classes_that_both_have_and_numbered_alike(monkeypatch):
    shapes = made(monkeypatch)
    splits = sketch_furniture.load_sketch_furniture("model", Viewing(8, 2))
    assert splits.classes == SKETCH_CLASSES
    assert set(FURNITURE_CLASSES) - set(SKETCH_CLASSES) == {"radiator"}
    for part, whole in (("train", shapes.train), ("val", shapes.val), ("test", shapes.test)):
        _, gallery = splits.part(part)
        assert len(gallery) == 16
        named = {
            name: SKETCH_CLASSES[label] for name, label in zip(gallery.names, gallery.labels.tolist(), strict=True)
        }
        before = {
            name: FURNITURE_CLASSES[label] for name, label in zip(whole.names, whole.labels.tolist(), strict=True)
        }
        assert named == {name: before[name] for name in named}
        first = whole.names.index(gallery.names[0])
        assert torch.equal(gallery.inputs([0]), whole.inputs([first]))
    assert "radiator left out" in splits.definition
    assert "16 / 16 / 16 drawings in train / val / test" in splits.definition
    assert (splits.query_name, splits.gallery_name) == ("drawing", "shape")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            ("shrec15",),
            "no drawings and shapes are called 'shrec15', expected one of sketch-furniture, shrec13, shrec14",
        ),
        (("shrec13",), "no package carries shrec13: give --data FOLDER with SHREC13_SBR_TRAINING_SKETCHES"),
        (("shrec13", "/nowhere"), "SHREC13_SBR_TARGET_MODELS"),
        (("sketch-furniture", "/nowhere"), "data.source: found '/nowhere', expected packaged or synthetic"),
        (("sketch-furniture",), "is not in the data cache"),
    ],
)
def test_what_cannot_be_had_is_one_line(call, message):
    with pytest.raises(MongeError) as caught:
        load_sketch_shapes(*call)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_choices_that_a_set_does_not_leave_are_refused():
    with pytest.raises(MongeError, match=r"data\.up: sketch-furniture leaves no such choice"):
        load_sketch_shapes("sketch-furniture", up="z")
    with pytest.raises(MongeError, match=r"data\.split: shrec13 leaves no such choice"):
        load_sketch_shapes("shrec13", split="model")
    with pytest.raises(MongeError, match=r"data\.split: found 'day', expected model or author"):
        load_sketch_shapes("sketch-furniture", split="day")
    assert sketch_shapes.SKETCH_SHAPES == ("sketch-furniture", "shrec13", "shrec14")


def test_drawings_of_colour_become_grey_and_keep_their_places():
    colours = torch.zeros(3, 3, 4, 4, dtype=torch.uint8)
    colours[1] = torch.tensor([30, 60, 90], dtype=torch.uint8)[:, None, None]
    drawn = DrawingSet(ImageSet(colours, torch.tensor([4, 5, 6])))
    assert (len(drawn), drawn.shape, drawn.targets) == (3, (1, 4, 4), None)
    assert drawn.inputs([1]).unique().tolist() == [195]
    part = drawn.subset([2, 1])
    assert part.labels.tolist() == [6, 5]
    assert part.pictures([1]).unique().tolist() == [60]
