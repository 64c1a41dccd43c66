"""Annotations of MSR-VTT, DiDeMo, Charades-STA, several languages and one's own, and what can be wrong with them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monge.data.formats.captions import Caption, CaptionedClips, hold_out_clips
from monge.data.formats.charades import read_charades
from monge.data.formats.didemo import read_didemo
from monge.data.formats.flaws import Flaws
from monge.data.formats.msrvtt import read_msrvtt
from monge.data.formats.own_captions import read_own_captions
from monge.data.formats.rudder import read_rudder
from monge.data.synthetic.text_video_layouts import (
    write_fake_charades,
    write_fake_didemo,
    write_fake_msrvtt,
    write_fake_rudder,
)
from monge.errors import DataFormatError, MongeError

STRICT = Flaws(strict=True)


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def msrvtt(tmp_path: Path) -> Path:
    write_fake_msrvtt(tmp_path, clips=30, captions=5)
    return tmp_path


@pytest.mark.parametrize("layout", ["official", "experts"])
def test_msrvtt_full(tmp_path: Path, layout: Any) -> None:
    write_fake_msrvtt(tmp_path / "MSRVTT", clips=30, captions=5, layout=layout)
    listed = read_msrvtt(tmp_path, "full", STRICT)
    assert listed.counts() == (20, 4, 6)
    assert listed.clips["val"] == ("video20", "video21", "video22", "video23")
    # The first clip has a caption less than the others.
    assert [len(listed.captions[part]) for part in ("train", "val", "test")] == [99, 20, 30]
    assert [caption.numbers for caption in listed.captions["val"][:5]] == [(0,), (1,), (2,), (3,), (4,)]
    assert listed.missing == "not the complete set: 20 / 4 / 6 clips (train / val / test) of 6,513 / 497 / 2,990"


def test_msrvtt_in_two_files_and_with_other_lines(msrvtt: Path) -> None:
    whole = json.loads((msrvtt / "MSRVTT_data.json").read_text())
    expected = read_msrvtt(msrvtt, "full", STRICT)
    for name, tested in (("train_val_videodatainfo.json", False), ("test_videodatainfo.json", True)):
        videos = [video for video in whole["videos"] if (video["split"] == "test") == tested]
        own = {video["video_id"] for video in videos}
        sentences = [sentence for sentence in whole["sentences"] if sentence["video_id"] in own]
        (msrvtt / name).write_text("\ufeff" + json.dumps({"videos": videos, "sentences": sentences}))
    (msrvtt / "MSRVTT_data.json").unlink()
    assert read_msrvtt(msrvtt, "full", STRICT).captions == expected.captions


@pytest.mark.parametrize("layout", ["official", "experts"])
def test_msrvtt_1ka_has_one_given_caption_for_each_test_clip(tmp_path: Path, layout: Any) -> None:
    write_fake_msrvtt(tmp_path, clips=30, captions=5, layout=layout)
    listed = read_msrvtt(tmp_path, "1k-A", STRICT)
    assert listed.counts() == (24, 0, 6)
    assert [caption.clip for caption in listed.captions["test"]] == [f"video{n}" for n in range(24, 30)]
    assert len({caption.numbers for caption in listed.captions["test"]}) > 1
    every = read_msrvtt(tmp_path, "full", STRICT).captions["test"]
    assert set(listed.captions["test"]) <= set(every)


def test_msrvtt_1ka_tables_with_semicolons_and_quotes(msrvtt: Path) -> None:
    plain = read_msrvtt(msrvtt, "1k-A", STRICT)
    for name in ("MSRVTT_JSFUSION_test.csv", "MSRVTT_train.9k.csv"):
        rows = (msrvtt / name).read_text().replace(",", ";")
        (msrvtt / name).write_text(rows)
    assert read_msrvtt(msrvtt, "1k-A", STRICT) == plain


def test_msrvtt_1kb_tests_the_first_caption(tmp_path: Path) -> None:
    write_fake_msrvtt(tmp_path, clips=30, captions=5, layout="experts")
    listed = read_msrvtt(tmp_path, "1k-B", STRICT)
    assert listed.counts() == (20, 0, 6)
    assert {caption.numbers for caption in listed.captions["test"]} == {(0,)}


def test_a_caption_of_an_unknown_clip(msrvtt: Path) -> None:
    edit_json(msrvtt / "MSRVTT_data.json", lambda whole: whole["sentences"][7].update(video_id="video99"))
    with pytest.raises(DataFormatError, match=r"sentences\[7\]: found a caption of 'video99', expected a clip of"):
        read_msrvtt(msrvtt, "full", Flaws(strict=True))
    flaws = Flaws(strict=False)
    assert len(read_msrvtt(msrvtt, "full", flaws).captions["train"]) == 98
    assert flaws.told() == ["captions without a clip: 1 (MSRVTT_data.json sentences[7])"]


def test_an_empty_caption_and_a_clip_without_captions(msrvtt: Path) -> None:
    edit_json(msrvtt / "MSRVTT_data.json", lambda whole: whole["sentences"][7].update(caption="  "))
    with pytest.raises(DataFormatError, match=r"sentences\[7\]: found a caption without words"):
        read_msrvtt(msrvtt, "full", Flaws(strict=True))
    edit_json(msrvtt / "MSRVTT_data.json", lambda whole: whole.update(sentences=whole["sentences"][4:]))
    flaws = Flaws(strict=False)
    assert read_msrvtt(msrvtt, "full", flaws).counts() == (19, 4, 6)
    assert [kind.split(":")[0] for kind in flaws.told()] == ["empty captions", "clips without a caption"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda whole: whole.pop("videos"), "no list 'videos'"),
        (lambda whole: whole["videos"][3].pop("split"), r"videos\[3\]: found no text under 'split'"),
        (
            lambda whole: whole["videos"][3].update(split="dev"),
            r"videos\[3\]: found split 'dev', expected one of train,",
        ),
        (lambda whole: whole["videos"].append(whole["videos"][0]), r"videos\[30\]: found the clip 'video0' again"),
        (lambda whole: whole["sentences"][2].update(caption=5), r"sentences\[2\]: found no text under 'caption'"),
        (lambda whole: [video.update(split="train") for video in whole["videos"]], "no clip with a caption in test"),
    ],
)
def test_files_of_another_form(msrvtt: Path, change: Callable[[Any], None], message: str) -> None:
    edit_json(msrvtt / "MSRVTT_data.json", change)
    with pytest.raises(DataFormatError, match=message):
        read_msrvtt(msrvtt, "full", Flaws(strict=True))


def test_test_clips_within_training(tmp_path: Path) -> None:
    write_fake_msrvtt(tmp_path, clips=30, captions=2, layout="experts")
    with (tmp_path / "train_list_full.txt").open("a") as file:
        file.write("video29\n")
    with pytest.raises(
        DataFormatError, match="the clip 'video29' in train and in test, expected each clip in one part"
    ):
        read_msrvtt(tmp_path, "full", Flaws(strict=True))
    assert read_msrvtt(tmp_path, "full", Flaws(strict=False)).counts() == (20, 4, 6)


def test_lists_that_are_wrong(tmp_path: Path) -> None:
    write_fake_msrvtt(tmp_path, clips=30, captions=2, layout="experts")
    path = tmp_path / "test_list_full.txt"
    for line, message in (
        ("video3000", "no captions of 'video3000'"),
        ("video24.mp4", "line 7: found the clip 'video24'"),
    ):
        content = path.read_text()
        path.write_text(f"{content}{line}\n")
        with pytest.raises(DataFormatError, match=message):
            read_msrvtt(tmp_path, "full", STRICT)
        path.write_text(content)
    path.write_text("two words\n")
    with pytest.raises(DataFormatError, match="line 1: found 'two words', expected the id of one clip"):
        read_msrvtt(tmp_path, "full", STRICT)
    (tmp_path / "jsfusion_val_caption_idx.pkl").write_bytes(pickle.dumps({"video24": 7}))
    with pytest.raises(DataFormatError, match="found caption 7 of video24, expected a number from 0 to 1"):
        read_msrvtt(tmp_path, "1k-A", STRICT)


def test_a_test_sentence_that_is_no_caption_of_its_clip(msrvtt: Path) -> None:
    path = msrvtt / "MSRVTT_JSFUSION_test.csv"
    lines = path.read_text().splitlines()
    lines[2] = ",".join([*lines[2].split(",")[:3], "a sentence of another clip"])
    path.write_text("\n".join(lines))
    with pytest.raises(DataFormatError, match="the sentence 'a sentence of another clip' of video25, expected one of"):
        read_msrvtt(msrvtt, "1k-A", STRICT)
    (msrvtt / "MSRVTT_train.9k.csv").write_text("video\nvideo1\n")
    with pytest.raises(DataFormatError, match=r"columns 'video', expected a column 'video_id' .did you mean 'video'"):
        read_msrvtt(msrvtt, "1k-A", STRICT)


def test_a_folder_without_annotations(tmp_path: Path) -> None:
    with pytest.raises(
        DataFormatError, match=r"found none, expected MSRVTT_data.json, train_val_videodatainfo.json and"
    ):
        read_msrvtt(tmp_path, "full", STRICT)
    (tmp_path / "MSRVTT_data.json").write_text('{"videos": [')
    with pytest.raises(DataFormatError, match=r"line 1: found no JSON .*cut short"):
        read_msrvtt(tmp_path, "full", STRICT)


@pytest.mark.parametrize("layout", ["official", "experts"])
def test_didemo_joins_the_sentences_of_a_clip(tmp_path: Path, layout: Any) -> None:
    write_fake_didemo(tmp_path, clips=30, captions=3, layout=layout)
    listed = read_didemo(tmp_path, STRICT)
    assert listed.counts() == (20, 4, 6)
    assert listed.missing.endswith("of 8,392 / 1,065 / 1,004")
    first = listed.captions["train"][0]
    assert first.clip == "37000000@N00_4330302052"
    assert first.numbers == (0, 1, 2)
    if layout == "official":
        items = json.loads((tmp_path / "train_data.json").read_text())[:3]
        assert items[0]["video"] == f"{first.clip}.avi"
        assert first.text == " ".join(item["description"] for item in items)
        # Means of the first pieces 0, 0, 0, 0 and of the last 0, 1, 0, 0; the third sentence ends at 2, 3, 2, 2.
        assert first.moment == (0.0, (2.25 + 1) * 5)


def test_didemo_without_lists_and_moments_at_the_end(tmp_path: Path) -> None:
    write_fake_didemo(tmp_path, clips=30, captions=6)
    for path in tmp_path.glob("*_list.txt"):
        path.unlink()
    listed = read_didemo(tmp_path, STRICT)
    assert listed.counts() == (20, 4, 6)
    assert listed.missing.endswith("of 8,395 / 1,065 / 1,004")
    assert all(caption.moment is not None and caption.moment[1] <= 30 for caption in listed.captions["train"])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"times": [[3, 2]]}, r"test_data.json: \[4\].times: found \[3, 2\], expected first <= last"),
        ({"times": [[0.5, 2]]}, r"\[4\].times: found \[0.5, 2\], expected \[first, last\], two whole numbers"),
        ({"description": ""}, r"\[4\]: found a caption without words"),
        ({"video": None}, r"\[4\]: found no 'video' with a 'description'"),
    ],
)
def test_didemo_flaws(tmp_path: Path, item: dict[str, Any], message: str) -> None:
    write_fake_didemo(tmp_path, clips=30)
    edit_json(tmp_path / "test_data.json", lambda items: items[4].update(item))
    with pytest.raises(DataFormatError, match=message):
        read_didemo(tmp_path, Flaws(strict=True))


def test_charades_each_sentence_or_all_of_a_clip(tmp_path: Path) -> None:
    write_fake_charades(tmp_path, clips=30, captions=3)
    each = read_charades(tmp_path, STRICT)
    assert each.counts() == (24, 0, 6)
    assert len(each.captions["test"]) == 18
    assert each.captions["train"][4].moment == (5.1, 12.0)
    assert each.missing == "not the complete set: 72 / 18 sentences (train / test) of 12,408 / 3,720"
    # The first clip is 10 seconds long: its second and third moment end later.
    assert [caption.moment for caption in each.captions["train"][:3]] == [(0.0, 6.9), (5.1, 10.0), (10.0, 10.0)]
    assert "2 moments end after their clip and were cut" in each.split
    every = read_charades(tmp_path, STRICT, sentences="all")
    assert len(every.captions["test"]) == 6
    assert every.captions["test"][0].text == " ".join(caption.text for caption in each.captions["test"][:3])
    assert every.captions["test"][0].numbers == (0, 1, 2)
    with pytest.raises(MongeError, match=r"data.sentences: found 'some', expected each or all"):
        read_charades(tmp_path, STRICT, sentences="some")  # type: ignore[arg-type]


def test_charades_sentences_may_hold_number_signs_and_names_any_case(tmp_path: Path) -> None:
    write_fake_charades(tmp_path, clips=30, captions=1)
    with (tmp_path / "charades_sta_test.txt").open("a") as file:
        file.write("aaaay 1.0 2.5##takes ## number #5\r\n")
    caption = next(one for one in read_charades(tmp_path, STRICT).captions["test"] if "#5" in one.text)
    assert (caption.clip, caption.text, caption.numbers) == ("AAAAY", "takes ## number #5", (1,))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "AAAAZ 1.0 2.0 a person walks",
            "line 13: found 'AAAAZ 1.0 2.0 a person walks', expected '<clip> <first second>",
        ),
        ("AAAAZ one 2.0##a person", "line 13: found"),
        ("AAAAZ -1 2.0##a person", "line 13: found"),
        ("AAAAZ 4.0 2.0##a person", "line 13: found 4 to 2, expected first <= last"),
        ("AAAAZ 1.0 2.0##  ", "line 13: found a caption without words"),
    ],
)
def test_charades_flaws(tmp_path: Path, line: str, message: str) -> None:
    write_fake_charades(tmp_path, clips=30, captions=2)
    with (tmp_path / "charades_sta_test.txt").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataFormatError, match=f"charades_sta_test.txt: {message}"):
        read_charades(tmp_path, Flaws(strict=True))


def test_languages(tmp_path: Path) -> None:
    write_fake_rudder(tmp_path, clips=30, captions=2)
    both = read_rudder(tmp_path, STRICT)
    assert both.counts() == (20, 4, 6)
    assert len(both.captions["train"]) == 80
    one = read_rudder(tmp_path, STRICT, languages=["mr"])
    assert len(one.captions["train"]) == 40
    # Their features stand behind those of the first language.
    assert one.captions["train"][0].numbers == (2,)
    assert one.captions["train"][0].text.startswith("म ")
    with pytest.raises(DataFormatError, match="no captions in 'ta', expected languages among hi, mr"):
        read_rudder(tmp_path, STRICT, languages=["mr", "ta"])


def test_own_captions_without_parts_are_drawn_by_clip(tmp_path: Path) -> None:
    items = [{"id": f"clip{n}.mp4", "captions": [f"a {n}", f"b {n}"] if n else "alone"} for n in range(20)]
    (tmp_path / "captions.json").write_text(json.dumps(items))
    listed = read_own_captions(tmp_path, STRICT)
    assert listed.counts() == (14, 2, 4)
    assert read_own_captions(tmp_path, STRICT) == listed
    assert {caption.clip for caption in listed.captions["test"]} == set(listed.clips["test"])
    assert sum(map(len, listed.captions.values())) == 39


def test_own_pairs(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(
        "query,gallery,split,text\nq1,g1,train,a cat\nq2,g1,train,the cat\nq3,g2,val,a dog\nq4,g3,test,a cow\n"
    )
    listed = read_own_captions(tmp_path, STRICT)
    assert listed.counts() == (1, 1, 1)
    assert listed.captions["train"] == (
        Caption("g1", "a cat", (0,), query="q1"),
        Caption("g1", "the cat", (1,), query="q2"),
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("captions.json", "{}", "found something else, expected a list of objects"),
        ("captions.json", '[{"id": "a"}]', r"\[0\]: found keys id, expected 'id' and 'captions'"),
        ("captions.json", '[{"id": "a", "captions": [3]}]', r"\[0\]: found captions that are no text"),
        (
            "captions.json",
            '[{"id": "a", "captions": "x", "split": "dev"}]',
            r"\[0\]: found split 'dev', expected train",
        ),
        (
            "captions.json",
            '[{"id": "a", "captions": "x", "split": "train"}, {"id": "b", "captions": "y"}]',
            "no split for 'b', expected a split for every clip, or for none",
        ),
        ("captions.json", '[{"id": "a.avi", "captions": "x"}, {"id": "a", "captions": "y"}]', "'a.avi' and 'a'"),
        ("pairs.csv", "query,item\na,b\n", "a column 'gallery'"),
        ("pairs.csv", "gallery\nb\n", "found gallery alone, expected a column query or text"),
        ("pairs.csv", "query,gallery\na,b\na,c\n", "line 3: found the query 'a' again"),
        ("pairs.csv", "query,gallery\n,b\n", "line 2: found an empty id"),
        ("pairs.csv", "query,gallery,split\na,b,train\nc,b,test\n", "line 3: found 'b' in train and in test"),
    ],
)
def test_own_files_that_are_wrong(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataFormatError, match=message):
        read_own_captions(tmp_path, Flaws(strict=True))


def test_holding_out() -> None:
    train = tuple(f"c{number}" for number in range(10))
    captions = {part: tuple(Caption(one, one) for one in ids) for part, ids in (("train", train), ("test", ("t",)))}
    listed = CaptionedClips(Path("x"), {"train": train, "val": (), "test": ("t",)}, {**captions, "val": ()}, "two")
    held = hold_out_clips(listed, 3)
    assert held.counts() == (7, 3, 1)
    assert set(held.clips["train"]) | set(held.clips["val"]) == set(train)
    assert {caption.clip for caption in held.captions["val"]} == set(held.clips["val"])
    assert hold_out_clips(listed, 0).clips["val"] == ("t",)
    assert hold_out_clips(listed, 0).counts() == (10, 1, 1)
    with pytest.raises(MongeError, match=r"data.val_clips: found 6, expected 0 to 5"):
        hold_out_clips(listed, 6)
