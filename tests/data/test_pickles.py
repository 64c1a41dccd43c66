"""The restricted unpickler: genuine files of every protocol load, everything else is refused by name."""

from __future__ import annotations

import ast
import collections
import contextlib
import datetime
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import monge
from monge.data.formats.pickles import load_pickle
from monge.errors import DataFormatError

ARRAYS = [
    np.arange(12, dtype=np.uint8).reshape(3, 4),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(4, dtype=">i4"),
    np.array([True, False]),
    np.array(3.5),
]


def stored(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "data.pkl"
    path.write_bytes(content)
    return path


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.reduced = (function, args)

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("protocol", range(6))
def test_loads_what_data_files_hold_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    value = {
        "arrays": ARRAYS,
        b"labels": list(range(3000)),
        "scalar": np.float32(2.5),
        "n": (None, True, 1 << 70, -0.5),
    }
    loaded = load_pickle(stored(tmp_path, pickle.dumps(value, protocol=protocol)))
    assert loaded[b"labels"] == value[b"labels"]
    assert loaded["n"] == value["n"]
    assert loaded["scalar"] == np.float32(2.5)
    assert loaded["scalar"].dtype == np.float32
    for got, wanted in zip(loaded["arrays"], ARRAYS, strict=True):
        assert type(got) is np.ndarray
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)


def test_python_2_pickle_gives_bytes_keys(tmp_path: Path) -> None:
    # What Python 2 writes for {'data': array([[1, 2]], uint8), 'labels': [3]} at protocol 2.
    content = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b"
        b"\x87Rq\x05(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x02\x01\x02tbU\x06labelsq\x08]q\tK\x03au."
    )
    loaded = load_pickle(stored(tmp_path, content))
    assert loaded[b"labels"] == [3]
    np.testing.assert_array_equal(loaded[b"data"], np.array([[1, 2]], np.uint8))


def test_shared_and_cyclic_containers_survive(tmp_path: Path) -> None:
    shared = np.ones(3)
    cycle: list[Any] = [shared, (shared, [shared])]
    cycle.append(cycle)
    loaded = load_pickle(stored(tmp_path, pickle.dumps(cycle)))
    assert loaded[2] is loaded
    np.testing.assert_array_equal(loaded[1][1][0], shared)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Calls(os.system, "touch owned"), "system"),
        (Calls(eval, "1"), "eval"),
        (Calls(getattr, "a", "upper"), "getattr"),
        (collections.OrderedDict(a=1), "collections.OrderedDict"),
        (datetime.date(2020, 1, 1), "datetime.date"),
        (PurePosixPath("x"), "pathlib"),
        ([np.array([1]), Calls(subprocess.Popen, ["true"])], "Popen"),
        (Calls(np.load, "x"), "numpy.load"),
        (len, "len"),
    ],
    ids=["system", "eval", "getattr", "OrderedDict", "date", "path", "Popen", "np.load", "len"],
)
def test_any_other_global_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any, named: str, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataFormatError, match=r"byte \d+: found the global .*" + named):
        load_pickle(stored(tmp_path, pickle.dumps(value, protocol=protocol)))
    assert not (tmp_path / "owned").exists()


def test_the_byte_of_the_refused_global_is_its_own(tmp_path: Path) -> None:
    content = pickle.dumps([np.arange(3), Calls(os.system, "true")], protocol=2)
    with pytest.raises(DataFormatError) as caught:
        load_pickle(stored(tmp_path, content))
    position = int(caught.value.where.removeprefix("byte "))
    assert content[position:].startswith(b"cposix\nsystem\n")


HEAD = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
U1 = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
HUGE = b"\x8a\x06" + (10**11).to_bytes(6, "little")
BOMBS = {
    "reconstruct with a huge shape": (HEAD + HUGE + b"\x85U\x01b\x87R.", "shape"),
    "ndarray called": (b"\x80\x02cnumpy\nndarray\n" + HUGE + b"\x85\x85R.", "broken pickle"),
    "state with a huge shape": (HEAD + b"K\x00\x85U\x01b\x87R(K\x01" + HUGE + b"\x85" + U1 + b"\x89U\x01atb.", "shape"),
    "state with a negative shape": (
        HEAD + b"K\x00\x85U\x01b\x87R(K\x01J\xff\xff\xff\xff\x85" + U1 + b"\x89U\x00tb.",
        "shape",
    ),
    "frombuffer with a huge shape": (
        b"\x80\x02cnumpy.core.numeric\n_frombuffer\n(U\x01a" + U1 + HUGE + b"\x85U\x01CtR.",
        "shape",
    ),
    "scalar of too few bytes": (b"\x80\x02cnumpy.core.multiarray\nscalar\n" + U1 + b"U\x00\x86R.", "0 bytes"),
    "encode to another codec": (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.", "encoding"),
    "memo index": (b"\x80\x02]r\xf0\xff\xff\xff.", "memo index"),
    "bytearray of 2^60 bytes": (b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b"a.", "broken pickle"),
    "bytes of 2^60 bytes": (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"a.", "broken pickle"),
    "frame of 2^60 bytes": (b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.", "broken pickle"),
    "dtype with fields": (b"\x80\x02cnumpy\ndtype\nU\x02u1\x85R(K\x03U\x01|NU\x01a}K\x01K\x01K\x00tb.", "fields"),
    "dtype of huge items": (b"\x80\x02cnumpy\ndtype\nU\x0dV999999999999\x85R.", "dtype"),
    "state for a function": (b"\x80\x02c_codecs\nencode\n}b.", "state for a function"),
    "function as data": (b"\x80\x02c_codecs\nencode\n.", "function among the data"),
    "ndarray as data": (b"\x80\x02cnumpy\nndarray\n.", "function among the data"),
    "deep tuple as a key": (b"\x80\x02}" + b")" + b"\x85" * 300_000 + b"Ns.", "nesting"),
    "persistent id": (b"\x80\x02NQ.", "BINPERSID"),
    "extension code": (b"\x80\x02\x82\x01.", "EXT1"),
    "old-style instance": (b"(S'true'\nios\nsystem\n.", "INST"),
    "out-of-band buffer": (b"\x80\x05\x97.", "NEXT_BUFFER"),
    "sets": (b"\x80\x04" + b"\x8f" * 1000 + b".", "EMPTY_SET"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_and_odd_opcodes_are_refused_before_they_go_off(tmp_path: Path, name: str) -> None:
    content, named = BOMBS[name]
    with pytest.raises(DataFormatError, match=named):
        load_pickle(stored(tmp_path, content))


def test_bombs_ask_for_no_memory(tmp_path: Path) -> None:
    """Runs every bomb in a process that may use 300 MB more than it has when it starts."""
    for number, (content, _) in enumerate(BOMBS.values()):
        (tmp_path / f"{number}.pkl").write_bytes(content)
    program = """
import resource, sys, pathlib
from monge.data.formats.pickles import load_pickle
from monge.errors import DataFormatError
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 300_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.pkl")):
    try:
        load_pickle(path)
    except DataFormatError as error:
        assert "MemoryError" not in str(error), error
    else:
        raise SystemExit(f"{path} was loaded")
"""
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc")
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)


def test_encoding_the_same_text_again_and_again_is_refused(tmp_path: Path) -> None:
    once = b"c_codecs\nencode\nh\x01X\x06\x00\x00\x00latin1\x86R"
    content = b"\x80\x02X\x00\x02\x00\x00" + b"a" * 512 + b"q\x01(" + once * 50 + b"l."
    with pytest.raises(DataFormatError, match="more bytes than the file holds"):
        load_pickle(stored(tmp_path, content))


@pytest.mark.parametrize("protocol", range(6))
def test_object_and_text_arrays_are_refused(tmp_path: Path, protocol: int) -> None:
    with pytest.raises(DataFormatError, match="object array"):
        load_pickle(stored(tmp_path, pickle.dumps(np.array([{}, None], object), protocol=protocol)))
    with pytest.raises(DataFormatError, match="dtype"):
        load_pickle(stored(tmp_path, pickle.dumps(np.array([(1, 2.0)], "u1,f4"), protocol=protocol)))


def test_size_is_capped_and_rubbish_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="at most 10"):
        load_pickle(stored(tmp_path, pickle.dumps(list(range(100)))), max_bytes=10)
    for content, named in [
        (b"", "an empty file"),
        (b"<html>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs"),
        (b"\xff\xfe no pickle", "not a pickle"),
        (pickle.dumps(ARRAYS)[:-20], "truncated"),
        (b"\x80\x02]", "truncated"),
        (b".", "truncated"),
    ]:
        with pytest.raises(DataFormatError, match=named):
            load_pickle(stored(tmp_path, content))


GENUINE = [pickle.dumps({"data": ARRAYS[0], "labels": [1, 2, 3], "f": np.float64(2)}, protocol=p) for p in range(6)]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(which=st.sampled_from(GENUINE), data=st.data())
def test_random_damage_never_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, which: bytes, data: Any
) -> None:
    content = bytearray(which)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = stored(tmp_path_factory.getbasetemp(), bytes(content[: data.draw(st.integers(1, len(content)))]))
    with contextlib.suppress(DataFormatError):
        load_pickle(path)


def test_nothing_in_the_package_unpickles_freely() -> None:
    """Reads every source file: no pickle.load, no pickle.loads, and arrays only without pickles."""
    for path in Path(monge.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called = ast.unparse(node.func)
                assert called not in ("pickle.load", "pickle.loads", "cloudpickle.load", "cloudpickle.loads"), path
                assert not any(
                    word.arg == "allow_pickle" and ast.unparse(word.value) == "True" for word in node.keywords
                )
            if isinstance(node, ast.ImportFrom) and node.module == "pickle":
                assert not {name.name for name in node.names} & {"load", "loads", "Unpickler"}, path
