"""Ground distances of recipes: from files and data, and what a broken file says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from monge.data import Splits, load_table
from monge.errors import DataFormatError, MongeError, RecipeError
from monge.ground import Learned, Line, Power
from monge.losses import CrossEntropyEMDLoss, SquaredEMDLoss, WassersteinLoss
from monge.recipes.loss_params import check_loss
from monge.train import ground_record
from monge.train.ground_record import ground_of, record_ground
from monge.train.grounds import build_ground, read_numbers

CUTS = ("Fair", "Good", "Very Good", "Premium", "Ideal")


@pytest.fixture(scope="module")
def stones() -> Splits:
    return load_table("diamonds", "synthetic")


def ground(stones: Splits, section: object):
    return build_ground(check_loss({"name": "squared_emd", "ground": section}).ground, stones)


def good_matrix() -> np.ndarray:
    places = np.arange(5.0)
    return np.abs(places[:, None] - places)


def written(file: Path, array: np.ndarray) -> Path:
    if file.suffix == ".npy":
        np.save(file, array)
    elif file.suffix == ".csv":
        np.savetxt(file, array, delimiter=",")
    else:
        save_file({"matrix": torch.from_numpy(array)}, file)
    return file


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".safetensors"])
def test_a_matrix_from_a_file(stones, tmp_path, suffix):
    file = written(tmp_path / f"d{suffix}", good_matrix())
    found = ground(stones, {"name": "matrix", "file": str(file)})
    torch.testing.assert_close(found.matrix(), torch.from_numpy(good_matrix()), check_dtype=False)


def test_vectors_from_a_file_and_a_power_of_them(stones, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    section = {"name": "embeddings", "file": str(written(tmp_path / "v.npy", vectors)), "metric": "euclidean"}
    expected = torch.cdist(torch.from_numpy(vectors), torch.from_numpy(vectors))
    torch.testing.assert_close(ground(stones, section).matrix(), expected, atol=1e-4, rtol=1e-4)
    squared = ground(stones, {"name": "power", "omega": 2, "of": section})
    torch.testing.assert_close(squared.matrix(), expected**2, atol=1e-4, rtol=1e-4)


def test_a_tree_from_a_table_and_from_pairs(stones, tmp_path):
    rows = ["class,parent,length", "low,all,1", "high,all,1", "Fair,low,1", "Good,low,1"]
    rows += ["Very Good,high,1", "Premium,high,1", "Ideal,high,2"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    found = ground(stones, {"name": "tree", "file": str(tmp_path / "t.csv")}).matrix()
    assert found[0].tolist() == [0, 2, 4, 4, 5]
    one_word = Splits(stones.train, stones.val, stones.test, ("a", "b", "c", "d", "e"), "x", "y", ordered=True)
    (tmp_path / "t.txt").write_text("r s\ns a\ns b\nr c\nr d\nr e\n")
    assert ground(one_word, {"name": "tree", "file": str(tmp_path / "t.txt")}).matrix()[0].tolist() == [0, 2, 3, 3, 3]


def test_lines_and_learned_ones(stones):
    assert ground(stones, "line").matrix(5)[0].tolist() == [0, 1, 2, 3, 4]
    assert ground(stones, {"name": "line", "span": 2.0}).matrix(5)[0].tolist() == [0, 0.5, 1, 1.5, 2]
    uneven = ground(stones, {"name": "line", "positions": [0, 1, 2, 3, 9]})
    assert uneven.matrix()[0].tolist() == [0, 1, 2, 3, 9]
    learned = ground(stones, {"name": "learned", "head_start": 2, "momentum": 0.5})
    assert isinstance(learned, Learned)
    assert (learned.num_classes, learned.head_start, learned.momentum) == (5, 2, 0.5)


def broken(**changes: float) -> np.ndarray:
    array = good_matrix()
    for place, value in changes.items():
        array[int(place[1]), int(place[2])] = value
    return array


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 4)), r"d.npy: ground matrix has shape \(5, 4\): expected a square one"),
        (np.zeros((4, 4)), "d.npy: found 4 classes, expected 5, as many as the data have"),
        (broken(x13=np.nan), r"d.npy: ground matrix holds nan at \[1, 3\]: expected finite"),
        (broken(x24=-1.0), r"d.npy: ground matrix holds -1 at \[2, 4\]: expected numbers that are not negative"),
        (broken(x22=1.0), r"d.npy: ground matrix holds 1 at \[2, 2\]"),
        (broken(x01=5.0), "d.npy: ground matrix"),
        (np.zeros(5), r"d.npy: found torch.float64 of shape \(5,\), expected a matrix"),
        (np.array([["a"]]), "d.npy: found values of dtype <U1, expected numbers"),
        (np.array([{}]), "d.npy: found Object arrays cannot be loaded"),
    ],
)
def test_a_matrix_that_is_none_is_one_line_with_file_and_place(stones, tmp_path, array, message):
    np.save(tmp_path / "d.npy", array, allow_pickle=True)
    with pytest.raises(MongeError, match=message) as caught:
        ground(stones, {"name": "matrix", "file": str(tmp_path / "d.npy")})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.csv", b"0,1\n1\n", "line 2: found 1 numbers, expected 2, as in the first line"),
        ("d.csv", b"a,b\n0,1\n", "line 1: found 'a', expected numbers separated by commas, no header"),
        ("d.csv", b"\n", "found no numbers, expected a row for each class"),
        ("d.csv", b"\xff\xfe", "byte 0: found bytes that are no text"),
        ("d.npy", b"no array", "expected an array of numbers"),
        ("d.npy", b"", "expected an array of numbers"),
        ("d.safetensors", b"none", "expected a safetensors file"),
        ("d.mat", b"", "found the suffix '.mat', expected .npy, .csv or .safetensors"),
    ],
)
def test_a_file_that_holds_no_matrix(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataFormatError) as caught:
        read_numbers(tmp_path / name)
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_a_missing_file_and_several_tensors(tmp_path):
    with pytest.raises(DataFormatError, match="No such file"):
        read_numbers(tmp_path / "none.npy")
    save_file({"a": torch.zeros(2, 2), "b": torch.zeros(2, 2)}, tmp_path / "two.safetensors")
    with pytest.raises(DataFormatError, match="found 2 tensors, expected one"):
        read_numbers(tmp_path / "two.safetensors")


def test_a_tree_without_a_class_and_a_line_of_other_length(stones, tmp_path):
    (tmp_path / "t.csv").write_text("class,parent\nFair,all\nGood,all\nPremium,all\nIdeal,all\n")
    with pytest.raises(DataFormatError, match=r"t.csv: .*'Very Good'"):
        ground(stones, {"name": "tree", "file": str(tmp_path / "t.csv")})
    with pytest.raises(RecipeError, match=r"loss.ground.positions: found 3 classes, expected 5"):
        ground(stones, {"name": "line", "positions": [0, 1, 2]})
    with pytest.raises(RecipeError, match=r"loss.ground.positions: positions of a line are not increasing"):
        ground(stones, {"name": "line", "positions": [0, 2, 1, 3, 4]})


def test_the_recorded_distance_is_the_one_given_and_not_its_power():
    assert ground_of(torch.nn.CrossEntropyLoss()) is None
    line = Line()
    assert ground_of(CrossEntropyEMDLoss.xemd2(line)) is line
    assert ground_of(WassersteinLoss(line, power=2.0)) is line
    squared = Power(line, 2)
    assert ground_of(SquaredEMDLoss(squared)) is squared
    assert ground_of(CrossEntropyEMDLoss.xemd1(squared)) is squared


def observed(count: int) -> Learned:
    learned = Learned(3)
    for seed in range(count):
        generator = torch.Generator().manual_seed(seed)
        learned.observe(torch.rand(30, 4, generator=generator), torch.arange(30) % 3)
        learned.refresh()
    return learned


def test_the_record_of_a_learned_distance_grows_and_is_cut_back(tmp_path):
    file = tmp_path / "ground.safetensors"
    record_ground(file, Learned(3), ("a", "b", "c"), 0)
    assert not file.exists()  # nothing is known yet
    for epoch in range(4):
        record_ground(file, observed(epoch + 1), ("a", "b", "c"), epoch)
    found = load_file(file)
    assert found["epochs"].tolist() == [0, 1, 2, 3]
    assert torch.equal(found["history"][3], found["matrix"])
    assert torch.equal(found["history"][1], observed(2).matrix())
    record_ground(file, observed(3), ("a", "b", "c"), 2)  # a resumption from before
    assert load_file(file)["epochs"].tolist() == [0, 1, 2]
    file.write_bytes(b"cut short")
    record_ground(file, observed(4), ("a", "b", "c"), 3)
    assert load_file(file)["epochs"].tolist() == [3]
    record_ground(tmp_path / "large", Line(), tuple(map(str, range(600))), 0)
    assert not (tmp_path / "large").exists()


def test_a_long_record_is_thinned_alike_whether_resumed_or_not(tmp_path, monkeypatch):
    monkeypatch.setattr(ground_record, "_HISTORY_BYTES", 8 * 4 * 9)  # eight distances between three classes
    learned = observed(1)
    for epoch in range(21):
        record_ground(tmp_path / "whole", learned, ("a", "b", "c"), epoch)
    for epoch in (*range(18), *range(13, 21)):
        record_ground(tmp_path / "resumed", learned, ("a", "b", "c"), epoch)
    whole, resumed = load_file(tmp_path / "whole"), load_file(tmp_path / "resumed")
    assert whole["epochs"].tolist() == [0, 4, 8, 12, 16, 20]
    assert resumed["epochs"].tolist() == whole["epochs"].tolist()
