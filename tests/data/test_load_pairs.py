"""load_pairs: every layout to the end, and one line for each way in which captions and features do not fit together."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monge.data.convert_features import convert_features
from monge.data.cross_modal import CrossModalSplits
from monge.data.feature_set import FeatureSet
from monge.data.formats.features import feature_entries
from monge.data.pairs import CLIPS, load_pairs
from monge.data.synthetic import text_video_layouts as layouts
from monge.data.synthetic.text_video import draw_clips
from monge.data.synthetic.text_video_layouts import write_features
from monge.errors import DataFormatError, MongeError

pytestmark = pytest.mark.filterwarnings("ignore:.*not the complete set")


def sizes(splits: CrossModalSplits) -> list[tuple[int, int]]:
    return [tuple(map(len, splits.part(part))) for part in ("train", "val", "test")]  # type: ignore[misc]


def sets(splits: CrossModalSplits, part: str = "train") -> tuple[FeatureSet, FeatureSet]:
    queries, gallery = splits.part(part)
    assert isinstance(queries, FeatureSet)
    assert isinstance(gallery, FeatureSet)
    return queries, gallery


def change(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Writes a feature file anew after an edit of its entries."""
    entries: dict[str, Any] = dict(feature_entries(path))
    edit(entries)
    write_features(path, entries)


@pytest.fixture
def msrvtt(tmp_path: Path) -> Path:
    layouts.write_fake_msrvtt(tmp_path, clips=30, captions=5)
    return tmp_path


@pytest.mark.parametrize("name", CLIPS)
def test_made_up_clips_of_every_set(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = load_pairs(name, "synthetic")
    assert splits.paired
    assert splits.classes == ()
    assert splits.source.startswith("synthetic: made-up clips")
    for part in ("train", "val", "test"):
        queries, gallery = sets(splits, part)
        assert queries.texts is not None
        assert queries.inputs([0]).shape[1:] == queries.shape
        assert gallery.labels.unique().numel() == len(gallery)
        assert splits.unanswerable(part) == 0
    numbers = [set(splits.part(part)[1].labels.tolist()) for part in ("train", "val", "test")]
    assert not numbers[0] & numbers[2]
    assert not numbers[0] & numbers[1]


def test_captions_stand_with_their_clips_and_with_their_features(msrvtt: Path) -> None:
    splits = load_pairs("msrvtt", str(msrvtt))
    assert sizes(splits) == [(99, 20), (20, 4), (30, 6)]
    drawn = draw_clips(30, captions=5)
    queries, gallery = sets(splits, "test")
    assert gallery.texts is not None
    assert queries.texts is not None
    for row, (text, label) in enumerate(zip(queries.texts, queries.labels.tolist())):
        clip = int(gallery.texts[gallery.labels.tolist().index(label)].removeprefix("video"))
        number = drawn.captions[clip].index(text)
        found = queries.inputs([row])[0]
        torch.testing.assert_close(found[~found.isnan().all(1)], torch.from_numpy(drawn.tokens[clip][number]))
    seen = gallery.inputs([3])[0]
    for name, width, start in (("audio", 12, 0), ("flow", 20, 12), ("rgb", 32, 32)):
        own = seen[:, start : start + width]
        rows = torch.from_numpy(drawn.experts[name][27])
        torch.testing.assert_close(own[~own.isnan().all(1)], rows[~rows.isnan().all(1)])
    assert gallery.names == ("audio", "flow", "rgb")
    assert "audio (12) of 67%, flow (20), rgb (32); captions by text.npz (24)" in splits.definition


@pytest.mark.parametrize("ending", [".pickle", ".h5", ".safetensors"])
def test_the_form_of_the_features_does_not_matter(tmp_path: Path, ending: Any) -> None:
    pytest.importorskip({".h5": "h5py", ".safetensors": "safetensors"}.get(ending, "numpy"))
    layouts.write_fake_msrvtt(tmp_path / "one", clips=30, captions=3)
    layouts.write_fake_msrvtt(tmp_path / "other", clips=30, captions=3, ending=ending)
    pairs = zip(*(sets(load_pairs("msrvtt", str(tmp_path / name))) for name in ("one", "other")))
    for one, other in pairs:
        every = range(len(one))
        torch.testing.assert_close(one.inputs(every), other.inputs(every), equal_nan=True)
        assert torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("name", ["msrvtt", "msrvtt-1ka"])
def test_the_layout_of_the_collaborative_experts_says_the_same(tmp_path: Path, name: str) -> None:
    for layout in ("official", "experts"):
        layouts.write_fake_msrvtt(tmp_path / layout, clips=30, captions=3, layout=layout)  # type: ignore[arg-type]
    one, other = (load_pairs(name, str(tmp_path / layout), val_clips=None) for layout in ("official", "experts"))
    assert sizes(one) == sizes(other)
    for part in ("train", "test"):
        (asked, found), (asked2, found2) = sets(one, part), sets(other, part)
        assert asked.texts == asked2.texts
        assert found.texts == found2.texts
        every = range(len(asked))
        torch.testing.assert_close(asked.inputs(every), asked2.inputs(every), equal_nan=True)
        assert sorted(found.widths) == sorted(found2.widths)


def test_didemo_paragraphs_have_the_words_of_all_sentences(tmp_path: Path) -> None:
    layouts.write_fake_didemo(tmp_path, clips=30, captions=3)
    queries, gallery = sets(load_pairs("didemo", str(tmp_path), tokens=64), "train")
    assert len(queries) == len(gallery) == 20
    drawn = draw_clips(30, captions=3)
    assert queries.texts is not None
    assert queries.texts[4] == " ".join(drawn.captions[4])
    found = queries.inputs([4])[0]
    torch.testing.assert_close(found[~found.isnan().all(1)], torch.from_numpy(np.concatenate(drawn.tokens[4])))


def test_few_frames_words_and_captions(msrvtt: Path) -> None:
    splits = load_pairs("msrvtt", str(msrvtt), frames=2, tokens=3, captions=2)
    queries, gallery = sets(splits)
    assert (gallery.shape, queries.shape) == ((2, 64), (3, 24))
    # Captions are thinned out in training alone.
    assert sizes(splits) == [(40, 20), (20, 4), (30, 6)]
    mean = load_pairs("msrvtt", str(msrvtt), frames="mean", tokens="mean")
    assert (sets(mean)[1].shape, sets(mean)[0].shape) == ((1, 64), (24,))
    drawn = draw_clips(30, captions=5)
    torch.testing.assert_close(sets(mean)[0].inputs([4]), torch.from_numpy(drawn.tokens[1][0].mean(0, keepdims=True)))


def test_experts_and_text_by_name(msrvtt: Path) -> None:
    (msrvtt / "text.npz").rename(msrvtt / "features" / "words.npz")
    with pytest.raises(DataFormatError, match=r"no features of captions, expected text.npz .*data.text to minilm"):
        load_pairs("msrvtt", str(msrvtt), experts={"rgb": "features/rgb.npz"})
    splits = load_pairs("msrvtt", str(msrvtt), experts={"rgb": "features/rgb.npz"}, text="features/words.npz")
    assert sets(splits)[1].widths == (32,)


def test_words_can_be_encoded(msrvtt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def encoded(name: str, texts: list[str], tokens: int | None, progress: object) -> torch.Tensor:
        assert (name, tokens) == ("msrvtt", 32)
        rows = torch.full((len(texts), 32, 7), torch.nan)
        for row, text in enumerate(texts):
            rows[row, : len(text.split())] = float(len(text))
        return rows

    monkeypatch.setattr("monge.data.clip_pairs.text_features", encoded)
    queries, _ = sets(load_pairs("msrvtt", str(msrvtt), text="minilm"), "test")
    assert queries.texts is not None
    assert queries.inputs([3])[0, 0].unique().tolist() == [len(queries.texts[3])]


def test_own_pairs_in_the_simplest_form(tmp_path: Path) -> None:
    layouts.write_fake_pairs(tmp_path, count=40)
    splits = load_pairs("features", str(tmp_path))
    assert sizes(splits) == [(56, 28), (8, 4), (16, 8)]
    queries, gallery = sets(splits, "test")
    assert (queries.shape, gallery.shape) == ((24,), (1, 32))
    assert gallery.texts is not None
    assert queries.texts is not None
    drawn = draw_clips(40, captions=2)
    clip, step = map(int, queries.texts[0].removeprefix("q").split("-"))
    torch.testing.assert_close(queries.inputs([0])[0], torch.from_numpy(drawn.tokens[clip][step].mean(0)))
    assert gallery.texts[gallery.labels.tolist().index(int(queries.labels[0]))] == f"g{clip}"


def test_own_clips_that_nothing_describes(tmp_path: Path) -> None:
    layouts.write_fake_pairs(tmp_path, count=40)
    change(tmp_path / "gallery.npz", lambda entries: entries.update(stray=entries["g0"]))
    with pytest.raises(DataFormatError, match=r"gallery.npz: found features of 'stray', which has no caption"):
        load_pairs("features", str(tmp_path))
    with pytest.warns(UserWarning, match=r"left out: clips without a caption: 1 \(gallery.npz\)"):
        load_pairs("features", str(tmp_path), strict=False)
    layouts.write_fake_pairs(tmp_path, count=40)
    change(tmp_path / "queries.npz", lambda entries: entries.pop("q3-1"))
    with pytest.raises(DataFormatError, match=r"queries.npz: q3-1: found no features, expected features of every"):
        load_pairs("features", str(tmp_path))


@pytest.mark.parametrize(
    ("file", "edit", "message", "left"),
    [
        (
            "features/rgb.npz",
            lambda clips: clips.update(video3=np.ones((4, 31), np.float32)),
            "video3: found vectors of 31 numbers, expected 32, as the others have",
            [(99, 20), (20, 4), (30, 6)],
        ),
        (
            "features/rgb.npz",
            lambda clips: clips.update(video3=np.ones((0, 32), np.float32)),
            r"video3: found shape \(0, 32\)",
            [(99, 20), (20, 4), (30, 6)],
        ),
        (
            "text.npz",
            lambda words: words.pop("video5/4"),
            "with too few features|no features",
            [(98, 20), (20, 4), (30, 6)],
        ),
        (
            "text.npz",
            lambda words: words.update({"video5/2": np.full((3, 24), np.nan)}),
            "video5/2: found NaN alone, expected numbers",
            [(98, 20), (20, 4), (30, 6)],
        ),
        (
            "text.npz",
            lambda words: [words.pop(f"video5/{number}") for number in range(5)],
            "video5, caption 0: found no features, one of 5 captions without features",
            [(94, 20), (20, 4), (30, 6)],
        ),
    ],
    ids=["width", "no frames", "a caption", "nan", "all captions"],
)
def test_flaws_of_features(
    msrvtt: Path, file: str, edit: Callable[[dict[str, Any]], None], message: str, left: list[tuple[int, int]]
) -> None:
    change(msrvtt / file, edit)
    with pytest.raises(DataFormatError, match=message):
        load_pairs("msrvtt", str(msrvtt))
    with pytest.warns(UserWarning, match="msrvtt: left out: "):
        assert sizes(load_pairs("msrvtt", str(msrvtt), strict=False)) == left


def test_a_clip_that_no_expert_has_seen(msrvtt: Path) -> None:
    for name in ("rgb", "flow"):
        change(msrvtt / "features" / f"{name}.npz", lambda clips: clips.pop("video26"))
    # The third clip of three is silent, so that nothing is left of it.
    with pytest.raises(DataFormatError, match=r"audio.npz: found NaN alone for the clip 'video26', expected"):
        load_pairs("msrvtt", str(msrvtt))
    with pytest.warns(UserWarning, match="left out: clips without features: 1"):
        splits = load_pairs("msrvtt", str(msrvtt), strict=False)
    assert sizes(splits) == [(99, 20), (20, 4), (25, 5)]


def test_features_of_another_set(msrvtt: Path) -> None:
    rows = {f"clip{number}": np.ones((2, 32), np.float32) for number in range(4)}
    write_features(msrvtt / "features" / "rgb.npz", rows)
    for strict in (True, False):
        message = r"rgb.npz: found features of 4 clips \(clip0 ...\), none of them in MSRVTT_data.json, expected"
        with pytest.raises(DataFormatError, match=message):
            load_pairs("msrvtt", str(msrvtt), strict=strict)
    write_features(msrvtt / "text.npz", {"clip0/0": np.ones((2, 24), np.float32)})
    with pytest.raises(DataFormatError, match=r"text.npz: found features of none of the 149 captions"):
        load_pairs("msrvtt", str(msrvtt), experts={"flow": "features/flow.npz"}, strict=False)


def test_what_is_told_of_an_incomplete_set(msrvtt: Path) -> None:
    with pytest.warns(UserWarning, match=r"msrvtt read from .*: not the complete set: 20 / 4 / 6 clips"):
        load_pairs("msrvtt", str(msrvtt))


def test_validation_of_sets_without_one(msrvtt: Path) -> None:
    splits = load_pairs("msrvtt-1ka", str(msrvtt))
    assert [count for _, count in sizes(splits)] == [22, 2, 6]
    assert "val is 2 of the training clips (fixed draw, seed 1903)" in splits.definition
    published = load_pairs("msrvtt-1ka", str(msrvtt), val_clips=0)
    assert [count for _, count in sizes(published)] == [24, 6, 6]
    assert "val is the test part itself" in published.definition
    assert torch.equal(published.val_gallery.labels, published.test_gallery.labels)
    with pytest.raises(MongeError, match=r"data.val_clips: found 13, expected 0 to 12"):
        load_pairs("msrvtt-1ka", str(msrvtt), val_clips=13)


def test_languages_and_sentences(tmp_path: Path) -> None:
    layouts.write_fake_rudder(tmp_path / "rudder", clips=30)
    one = load_pairs("rudder", str(tmp_path / "rudder"), languages=["hi"])
    assert sizes(one) == [(40, 20), (8, 4), (12, 6)]
    layouts.write_fake_charades(tmp_path / "charades", clips=30, captions=3)
    both = load_pairs("charades-sta", str(tmp_path / "charades"), sentences="all")
    assert sizes(both) == [(22, 22), (2, 2), (6, 6)]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("msvd", {}, "no captions and clips are called 'msvd', expected one of msrvtt"),
        ("msrvtt", {}, "no package has msrvtt: give the path of a folder"),
        ("msrvtt", {"source": "synthetic", "languages": ["hi"]}, "data.languages: msrvtt leaves no such choice"),
        ("didemo", {"source": "synthetic", "sentences": "all"}, "data.sentences: didemo leaves no such choice"),
        ("msrvtt", {"source": "synthetic", "val_clips": 5}, "data.val_clips: msrvtt leaves no such choice"),
        ("msrvtt", {"source": "no/such/folder"}, "folder: found nothing there"),
    ],
)
def test_choices_that_there_are_not(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(MongeError, match=message):
        load_pairs(name, **options)


def test_names_of_clips_in_other_capitals(tmp_path: Path) -> None:
    layouts.write_fake_charades(tmp_path, clips=30)
    expected = load_pairs("charades-sta", str(tmp_path))
    for name in ("features/rgb.npz", "features/audio.npz", "text.npz"):
        entries = {key.lower(): value for key, value in feature_entries(tmp_path / name)}
        write_features(tmp_path / name, entries)
    for one, other in zip(sets(expected, "test"), sets(load_pairs("charades-sta", str(tmp_path)), "test")):
        every = range(len(one))
        torch.testing.assert_close(one.inputs(every), other.inputs(every), equal_nan=True)


def test_converted_features_say_the_same(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    layouts.write_fake_msrvtt(tmp_path, clips=30, captions=3, layout="experts")
    before = load_pairs("msrvtt", str(tmp_path))
    pickles = [path for path in tmp_path.glob("aggregated_*/*") if path.suffix == ".pickle"]
    assert sum(convert_features(path, path.with_suffix(".safetensors")) for path in pickles) == 3 * 30 + 30 * 3 - 1
    with pytest.raises(MongeError, match="there is one already; remove it first"):
        convert_features(pickles[0], pickles[0].with_suffix(".safetensors"))
    with pytest.raises(MongeError, match=r"found the ending '.npz', expected .safetensors"):
        convert_features(pickles[0], tmp_path / "rgb.npz")
    for path in pickles:
        path.unlink()
    for one, other in zip(sets(before), sets(load_pairs("msrvtt", str(tmp_path)))):
        every = range(len(one))
        torch.testing.assert_close(one.inputs(every), other.inputs(every), equal_nan=True)


def test_captions_json_beside_features(tmp_path: Path) -> None:
    items = [{"id": f"v{number}", "captions": [f"clip {number}"]} for number in range(20)]
    (tmp_path / "captions.json").write_text(json.dumps(items))
    write_features(tmp_path / "gallery.npz", {f"v{number}.mp4": np.ones((3, 4), np.float32) for number in range(20)})
    write_features(tmp_path / "text.npz", {f"v{number}/0": np.ones(5, np.float32) for number in range(20)})
    splits = load_pairs("features", str(tmp_path))
    assert sizes(splits) == [(14, 14), (2, 2), (4, 4)]
    assert sets(splits)[0].shape == (5,)
