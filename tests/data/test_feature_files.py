"""Feature files: the same arrays out of every form, and one line for every way in which a file can be wrong."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from monge.data.feature_files import find_experts, find_text
from monge.data.formats.features import feature_entries
from monge.data.formats.features_npy import npz_arrays, read_npy
from monge.data.synthetic.text_video_layouts import write_features
from monge.errors import DataFormatError

ENDINGS = (".npz", ".safetensors", ".h5", ".hdf5", ".pickle", ".pkl")
RANDOM = np.random.default_rng(0)
CLIPS = {f"video{n}": RANDOM.normal(size=(n + 1, 6)).astype(np.float32) for n in range(4)}


def needs(ending: str) -> None:
    pytest.importorskip({".h5": "h5py", ".hdf5": "h5py", ".safetensors": "safetensors"}.get(ending, "numpy"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_form_gives_the_same_arrays(tmp_path: Path, ending: str) -> None:
    needs(ending)
    write_features(path := tmp_path / f"rgb{ending}", CLIPS)
    found = dict(feature_entries(path))
    assert found.keys() == CLIPS.keys()
    for name, rows in CLIPS.items():
        np.testing.assert_array_equal(found[name], rows)


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".h5"])
def test_one_array_with_ids_and_lengths(tmp_path: Path, ending: str) -> None:
    needs(ending)
    rows = np.zeros((3, 5, 4), np.float32)
    for number, length in enumerate(lengths := np.array([5, 2, 1])):
        rows[number, :length] = number + 1
    path = tmp_path / f"rgb{ending}"
    if ending == ".safetensors":
        import torch
        from safetensors.torch import save_file

        tensors = {"features": torch.from_numpy(rows), "lengths": torch.from_numpy(lengths)}
        save_file(tensors, path, {"ids": '["a", "b", "c"]'})
    elif ending == ".npz":
        np.savez_compressed(path, ids=np.array(["a", "b", "c"]), features=rows, lengths=lengths)
    else:
        import h5py

        with h5py.File(path, "w") as file:
            file["ids"] = ["a", "b", "c"]
            file["features"], file["lengths"] = rows, lengths
    found = dict(feature_entries(path))
    assert {name: value.shape for name, value in found.items()} == {"a": (5, 4), "b": (2, 4), "c": (1, 4)}
    assert all((value == number).all() for number, value in zip((1, 2, 3), found.values()))


def test_npy_rows_are_numbered(tmp_path: Path) -> None:
    np.save(tmp_path / "gallery.npy", np.arange(12.0).reshape(3, 4))
    assert {name: value.tolist() for name, value in feature_entries(tmp_path / "gallery.npy")}["2"] == [8, 9, 10, 11]
    np.save(tmp_path / "flat.npy", np.arange(12.0))
    with pytest.raises(DataFormatError, match=r"flat.npy: found an array of shape \(12,\), expected rows"):
        list(feature_entries(tmp_path / "flat.npy"))
    np.save(tmp_path / "fortran.npy", np.asfortranarray(np.arange(6).reshape(2, 3)))
    assert read_npy(tmp_path / "fortran.npy").tolist() == [[0, 1, 2], [3, 4, 5]]


def test_python_2_keys_and_groups_of_hdf5(tmp_path: Path) -> None:
    (tmp_path / "old.pickle").write_bytes(pickle.dumps({b"video7": np.ones((1, 2), np.float32)}, protocol=2))
    assert [name for name, _ in feature_entries(tmp_path / "old.pickle")] == ["video7"]
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "text.h5", "w") as file:
        file["video7/0"] = np.ones((2, 3))
    assert [name for name, _ in feature_entries(tmp_path / "text.h5")] == ["video7/0"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"ids": np.array(["a"]), "features": np.ones((2, 3))}, "found 1 ids, 2 features, expected equally many"),
        (
            {"ids": np.array(["a", "b"]), "features": np.ones((2, 3, 4)), "lengths": np.array([1, 4])},
            "lengths: found lengths for features of shape .* up to 4",
        ),
        ({"ids": np.array(["a", "b"]), "features": np.ones((2, 3)), "lengths": np.array([1, 1])}, "lengths: found"),
        ({"a": np.array([None])}, "entry a.npy: found an array of objects, expected numbers or strings"),
        ({"a": np.array([1j])}, "found an array of complex128"),
    ],
)
def test_archives_that_contradict_themselves(tmp_path: Path, content: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "rgb.npz", **content)
    with pytest.raises(DataFormatError, match=message):
        list(feature_entries(tmp_path / "rgb.npz"))


def header(shape: tuple[int, ...], name: str = "a") -> bytes:
    """An array in .npy form without its data."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def test_an_array_that_claims_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", header((1 << 40, 1 << 10)) + bytes(64))
    with pytest.raises(DataFormatError, match=r"entry a.npy: found 64 bytes of data, expected 4,503,"):
        list(npz_arrays(tmp_path / "bomb.npz"))
    (tmp_path / "bomb.npy").write_bytes(header((1 << 40,)))
    with pytest.raises(DataFormatError, match="found 0 bytes of data"):
        read_npy(tmp_path / "bomb.npy")


def test_an_hdf5_array_that_was_never_written_takes_no_memory(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("a", shape=(1 << 38,), dtype="f4", chunks=(1 << 10,))
    with pytest.raises(DataFormatError, match="a: found an array of 1,099,511,627,776 bytes, expected at most"):
        list(feature_entries(tmp_path / "bomb.h5"))


def test_hdf5_links_are_not_followed(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = np.ones(3)
    with h5py.File(tmp_path / "rgb.h5", "w") as file:
        file["a"] = h5py.ExternalLink("other.h5", "a")
    with pytest.raises(DataFormatError, match=r"rgb.h5: a: found a link, expected the array itself"):
        list(feature_entries(tmp_path / "rgb.h5"))
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_dataset("a", (4,), "f4", external=[("secret.raw", 0, 16)])
    with pytest.raises(DataFormatError, match=r"raw.h5: a: found data that lie in other files"):
        list(feature_entries(tmp_path / "raw.h5"))


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run",)


def test_pickles_run_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rgb.pickle").write_bytes(pickle.dumps({"video0": _Evil()}))
    with pytest.raises(DataFormatError, match=r"rgb.pickle: .*found the global builtins.print"):
        list(feature_entries(tmp_path / "rgb.pickle"))
    assert capsys.readouterr().out == ""
    (tmp_path / "list.pickle").write_bytes(pickle.dumps([1]))
    with pytest.raises(DataFormatError, match="found a list, expected a dictionary from the ids of clips"):
        list(feature_entries(tmp_path / "list.pickle"))
    (tmp_path / "text.pickle").write_bytes(pickle.dumps({"video0": "a dog"}))
    with pytest.raises(DataFormatError, match="video0: found a str, expected an array, a list of arrays, or NaN"):
        list(feature_entries(tmp_path / "text.pickle"))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("content", "found"), [(b"", "an empty file"), (b"<!DOCTYPE html>", "an HTML page")])
def test_what_is_saved_in_place_of_features(tmp_path: Path, ending: str, content: bytes, found: str) -> None:
    (tmp_path / f"rgb{ending}").write_bytes(content)
    with pytest.raises(DataFormatError, match=found):
        list(feature_entries(tmp_path / f"rgb{ending}"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_is_cut_short(tmp_path: Path, ending: str) -> None:
    needs(ending)
    write_features(path := tmp_path / f"rgb{ending}", CLIPS)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DataFormatError, match=rf"rgb{ending}: "):
        list(feature_entries(path))


def test_a_damaged_byte_of_an_archive(tmp_path: Path) -> None:
    write_features(path := tmp_path / "rgb.npz", CLIPS)
    content = bytearray(path.read_bytes())
    content[300] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match=r"rgb.npz"):
        list(feature_entries(path))


def test_other_endings_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "rgb.mat").write_bytes(b"MATLAB")
    with pytest.raises(DataFormatError, match=r"a file that ends in .mat, expected features in one of .npz, "):
        list(feature_entries(tmp_path / "rgb.mat"))
    (tmp_path / "rbg.npz").touch()
    with pytest.raises(DataFormatError, match=r"no such file.*did you mean .*rbg.npz"):
        list(feature_entries(tmp_path / "rgb.npz"))


def test_which_files_are_used(tmp_path: Path) -> None:
    for name in ("features/rgb.npz", "features/audio.h5", "features/notes.txt", "gallery.npz", "text.pkl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(find_experts(tmp_path, None)) == ["audio", "rgb"]
    assert find_experts(tmp_path, {"one": "gallery.npz"}) == {"one": tmp_path / "gallery.npz"}
    assert find_text(tmp_path, None) == (tmp_path / "text.pkl", False)
    (tmp_path / "queries.npz").touch()
    assert find_text(tmp_path, None) == (tmp_path / "queries.npz", True)
    (tmp_path / "features/rgb.pickle").touch()
    with pytest.raises(DataFormatError, match=r"rgb.npz and rgb.pickle, expected one file .*data.experts"):
        find_experts(tmp_path, None)
    with pytest.raises(DataFormatError, match=r"rgb2.npz: found no such file.*did you mean"):
        find_experts(tmp_path, {"rgb": "features/rgb2.npz"})


def test_folders_of_the_collaborative_experts(tmp_path: Path) -> None:
    for name in ("aggregated_i3d/i3d-avg.pickle", "aggregated_text_feats/openai.pkl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_experts(tmp_path, None) == {"i3d": tmp_path / "aggregated_i3d/i3d-avg.pickle"}
    assert find_text(tmp_path, None)[0].name == "openai.pkl"
    (tmp_path / "aggregated_i3d/i3d-max.pickle").touch()
    with pytest.raises(DataFormatError, match=r"i3d-avg.pickle and i3d-max.pickle, expected one file"):
        find_experts(tmp_path, None)


def test_no_features_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"no features of clips, expected features/EXPERT.npz"):
        find_experts(tmp_path, None)
    with pytest.raises(DataFormatError, match=r"no features of captions, .*data.text to minilm"):
        find_text(tmp_path, None)
