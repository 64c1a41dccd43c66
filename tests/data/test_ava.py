"""AVA: votes as targets, their rounded mean as label, the generic lists, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from monge.data import Splits, load_images
from monge.data.formats.ava import LISTS, read_ava
from monge.data.formats.flaws import Flaws
from monge.data.image_files import ImageFiles
from monge.data.synthetic.ordinal_layouts import write_fake_ava
from monge.errors import DataFormatError, MongeError

pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.filterwarnings("ignore:official layout")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_fake_ava(tmp_path, train=40, test=10)
    return tmp_path


def load(root: Path, **options: object) -> Splits:
    return load_images("ava", str(root), size=16, **options)


def ids(part: object) -> list[int]:
    assert isinstance(part, ImageFiles)
    return [int(Path(path).stem) for path in part.paths]


def rows(root: Path) -> list[list[int]]:
    return [[int(cell) for cell in line.split()] for line in (root / "AVA.txt").read_text().splitlines()]


def rewrite(root: Path, table: list[list[int]]) -> None:
    (root / "AVA.txt").write_text("".join(" ".join(map(str, line)) + "\n" for line in table))


def test_targets_are_shares_and_labels_their_rounded_mean(root: Path) -> None:
    table = rows(root)
    for line, votes in zip(table, ([1] + [0] * 9, [0] * 9 + [7], [1, 1] + [0] * 8, [10] * 10), strict=False):
        line[2:12] = votes
    rewrite(root, table)
    splits = load(root)
    by_id = {line[1]: np.array(line[2:12]) for line in table}
    for part in (splits.train, splits.val, splits.test):
        assert part.targets is not None
        votes = np.array([by_id[id_] for id_ in ids(part)])
        shares = votes / votes.sum(axis=1, keepdims=True)
        torch.testing.assert_close(part.targets, torch.tensor(shares, dtype=torch.float32))
        means = (shares * np.arange(1, 11)).sum(axis=1)
        assert part.labels.tolist() == (np.floor(means + 0.5).astype(int) - 1).tolist()
    everything = dict(
        zip(ids(splits.train) + ids(splits.val), splits.train.labels.tolist() + splits.val.labels.tolist())
    )
    # Only ones: grade 1. Only tens: grade 10. Half and half of 1 and 2: upwards to 2. Uniform, 5.5: upwards to 6.
    assert [everything[line[1]] for line in table[:4]] == [0, 9, 1, 5]
    assert splits.classes == tuple(map(str, range(1, 11)))
    assert splits.positions == tuple(map(float, range(1, 11)))
    assert splits.ordered


def test_the_generic_lists_are_the_split(root: Path) -> None:
    with pytest.warns(UserWarning, match="50 of 255,530 lines"):
        splits = load(root)
    listed = {
        name: set(map(int, (root / "aesthetics_image_lists" / name).read_text().split())) for name in LISTS.values()
    }
    assert set(ids(splits.test)) == listed["generic_test.jpgl"]
    assert set(ids(splits.train)) | set(ids(splits.val)) == listed["generic_ls_train.jpgl"]
    assert not set(ids(splits.train)) & set(ids(splits.val))
    assert splits.definition.startswith(
        f"{len(splits.train)} train / {len(splits.val)} val / 10 test: generic_ls_train"
    )
    assert ids(load(root).val) == ids(splits.val)


def test_without_lists_the_split_is_a_fixed_draw_that_says_so(tmp_path: Path) -> None:
    write_fake_ava(tmp_path, train=160, test=40, lists=False)
    splits = load(tmp_path)
    assert 36 <= len(splits.test) <= 44
    assert 12 <= len(splits.val) <= 20
    assert "test is a random 20 %, val 10 % of the rest, by label (fixed draw, seed 1903)" in splits.definition
    parts = [set(ids(part)) for part in (splits.train, splits.val, splits.test)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 200
    with pytest.raises(MongeError, match=r"has no aesthetics_image_lists/generic_ls_train\.jpgl and .*split=random"):
        load(tmp_path, split="generic")
    with pytest.raises(MongeError, match="split='nima', expected one of generic, random"):
        load(tmp_path, split="nima")


def test_a_random_split_can_be_asked_for(root: Path) -> None:
    assert "random 20 %" in load(root, split="random").definition
    assert "generic" in load(root, split="generic").definition


@pytest.mark.parametrize("below", ["image", "."])
def test_pictures_in_other_places(root: Path, below: str) -> None:
    (root / below).mkdir(exist_ok=True)
    for path in (root / "images").iterdir():
        path.rename(root / below / path.name)
    assert len(load(root).test) == 10


def test_pictures_that_are_missing_or_damaged(root: Path) -> None:
    splits = load(root)
    gone, cut = (root / "images" / f"{id_}.jpg" for id_ in ids(splits.test)[:2])
    gone.unlink()
    with pytest.raises(
        DataFormatError, match=rf"{gone.name}: found no such file, expected every picture that AVA\.txt"
    ):
        load(root)
    cut.write_bytes(cut.read_bytes()[:300])
    told = rf"ava: left out missing pictures: 1 \({gone.name}\), damaged pictures: 1 \({cut.name}\)"
    with pytest.warns(UserWarning, match=told):
        left = load(root, strict=False)
    assert ids(left.test) == ids(splits.test)[2:]
    assert "does not have" not in left.definition
    assert left.test.targets is not None
    assert len(left.test.targets) == 8


@pytest.mark.parametrize(
    ("cells", "kind", "said"),
    [
        ([1, 5, *[0] * 10, 0, 0, 1], "lines without votes", "line 51: found no vote at all, expected at least one"),
        ([1, 5, 3, -1, *[0] * 8, 0, 0, 1], "lines with negative votes", r"line 51: found the votes \[3, -1, 0"),
        ([1, 5, 3], "broken lines", "line 51: found '1 5 3', expected 15 whole numbers"),
        ([1, 5, *[1] * 10, 0, 0, 1, 9], "broken lines", "line 51: .* expected 15 whole numbers"),
    ],
)
def test_lines_that_are_refused_or_left_out(root: Path, cells: list[int], kind: str, said: str) -> None:
    rewrite(root, [*rows(root), cells])
    with pytest.raises(DataFormatError, match=rf"AVA\.txt: {said}"):
        load(root)
    with pytest.warns(UserWarning, match=f"ava: left out {kind}: 1"):
        assert len(load(root, strict=False).test) == 10


def test_words_and_fractions_are_no_votes(root: Path) -> None:
    tail = " 1 1 1 1 1 1 1 1 1 1 0 0 1"
    for line in ("1 five" + tail, "1 5 1.5" + tail[2:], f"1 {10**30}" + tail, f"1 {'9' * 5000}" + tail):
        (root / "AVA.txt").write_text((root / "AVA.txt").read_text() + line + "\n")
        with pytest.raises(DataFormatError, match="line 51: found '1 "):
            load(root)


def test_a_picture_with_two_lines(root: Path) -> None:
    table = rows(root)
    rewrite(root, [*table, table[0]])
    assert len(read_ava(root, Flaws(strict=True)).ids) == 50
    rewrite(root, [*table, [*table[0][:2], *[3] * 10, 0, 0, 1]])
    with pytest.raises(
        DataFormatError, match=rf"line 51: found the votes \[3, .* for {table[0][1]}, expected .* as before"
    ):
        load(root)
    with pytest.warns(UserWarning, match="left out pictures listed twice: 1"):
        load(root, strict=False)


def test_an_id_in_both_lists_is_a_leak(root: Path) -> None:
    lists = root / "aesthetics_image_lists"
    first = (lists / "generic_test.jpgl").read_text().split()[0]
    train = lists / "generic_ls_train.jpgl"
    train.write_text(train.read_text() + first + "\n")
    said = rf"generic_ls_train\.jpgl: line 41: found {first}, which is in generic_test\.jpgl as well"
    with pytest.raises(DataFormatError, match=said):
        load(root)
    with pytest.warns(UserWarning, match="left out pictures in both lists: 1"):
        splits = load(root, strict=False)
    assert int(first) in ids(splits.test)
    assert int(first) not in ids(splits.train) + ids(splits.val)


def test_lists_of_other_ids_and_lists_that_are_not_whole(root: Path) -> None:
    lists = root / "aesthetics_image_lists"
    test = lists / "generic_test.jpgl"
    others = test.read_text().split()[1:]
    test.write_text("\n".join(["77", "78.jpg", *others]))
    definition = load(root).definition
    assert (
        "dropped pictures in neither list: 1; passed over ids of the lists that AVA.txt does not have: 2" in definition
    )
    for nonsense in ("nonsense", "12²", "-3", "9" * 30):
        test.write_text(nonsense + "\n")
        with pytest.raises(DataFormatError, match=rf"generic_test\.jpgl: line 1: found '{nonsense}', expected the id"):
            load(root)
    test.unlink()
    with pytest.raises(DataFormatError, match=r"no generic_test\.jpgl, expected both lists, or none"):
        load(root)


def test_folders_that_are_not_it(root: Path) -> None:
    with pytest.raises(DataFormatError, match=r"expected AVA\.txt, .*there is one in"):
        load(root / "images")
    for path in (root / "images").iterdir():
        path.unlink()
    with pytest.raises(DataFormatError, match=r"no pictures, expected pictures <id>\.jpg in images/"):
        load(root)
    (root / "AVA.txt").write_text("")
    (root / "images" / "1.jpg").write_bytes(b"x")
    with pytest.raises(DataFormatError, match=r"AVA\.txt: byte 0: found an empty file"):
        load(root)
