"""Unpickling with six permitted names, for data sets that were published as pickles.

Only containers, strings, numbers and plain numpy arrays come out. This is a mitigation, not a sandbox: where a data
set has an edition without pickles, that one is read first.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from monge.data.formats.pickle_scan import first_line, scan_pickle
from monge.data.formats.sniff import open_data, read_bounded
from monge.errors import DataFormatError

MAX_BYTES = 1 << 30
_PLAIN_DTYPE = re.compile(r"[<>|=]?([biufc])(1|2|4|8|16)")


def load_pickle(path: str | Path, *, max_bytes: int = MAX_BYTES) -> Any:
    """Loads a pickle of plain data, refusing every global but the six that numpy arrays need.

    Permitted are ``numpy.dtype``, ``numpy.ndarray``, ``_reconstruct``, ``scalar`` and ``_frombuffer`` of
    ``numpy.core`` or ``numpy._core``, and ``_codecs.encode``; each is answered by a stand-in that checks its arguments,
    so that none of them can be made to reserve memory that the file does not hold.

    Args:
        path: Pickle of protocol 0 to 5, written by Python 2 or 3.
        max_bytes: Refuse larger files.

    Returns:
        dict, list, tuple, str, bytes, numbers and read-only arrays. Strings of Python 2 arrive as bytes.

    Raises:
        DataFormatError: A global outside the list (named, with its byte), an object array, an array whose shape does
            not fit its bytes, or anything that is not a whole pickle.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "batch"
        >>> _ = file.write_bytes(pickle.dumps({b"labels": [3, 1], b"data": np.ones((2, 3), np.uint8)}))
        >>> load_pickle(file)[b"data"].shape
        (2, 3)
    """
    path = Path(path)
    with open_data(path, "a pickle") as (stream, size):
        if size > max_bytes:
            raise DataFormatError(
                path, "", f"{size} bytes", f"at most {max_bytes}", "larger than any file of this kind"
            )
        content = bytes(read_bounded(path, stream, size, "a pickle"))
    positions = scan_pickle(path, content)
    try:
        return _settle(_Unpickler(path, content, positions).load(), {})
    except DataFormatError:
        raise
    except _RefusedError as refused:
        raise DataFormatError(path, "", refused.found, refused.expected, "it was not loaded") from None
    except Exception as error:  # the unpickler raises nearly any kind for a damaged file
        found = f"a broken pickle ({first_line(error)})"
        raise DataFormatError(path, "", found, "plain data and numpy arrays", "fetch the file again") from None


class _RefusedError(Exception):
    """Raised by a stand-in: what was found and what is permitted."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.found, self.expected = found, expected


class _StandIn:
    """Answers for one permitted global; cannot be given state, so a file cannot alter it."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __setstate__(self, state: Any) -> None:
        raise _RefusedError("state for a function", "state for arrays and dtypes only")


class _Dtype:
    """A dtype in the making: its code, then the byte order that its state brings."""

    __slots__ = ("value",)

    def __init__(self, code: Any, *_flags: Any) -> None:
        self.value = np.dtype(_plain_code(code))

    def __setstate__(self, state: Any) -> None:
        # Version 3 or 4: (version, byte order, sub-array, names, fields, item size, alignment, flags).
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise _RefusedError("a dtype with fields", "a plain number type")
        self.value = np.dtype(_plain_code(_text(state[1]) + self.value.str[1:]))


class _Array:
    """An array in the making: empty until its state brings shape, dtype and bytes."""

    __slots__ = ("value",)

    def __init__(self, value: np.ndarray[Any, Any]) -> None:
        self.value = value

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise _RefusedError("an array without shape, dtype and bytes", "a plain numpy array")
        _version, shape, dtype, fortran, raw = state
        self.value = _view(raw, dtype, shape, "F" if fortran else "C")


def _plain_code(code: Any) -> str:
    text = _text(code)
    if _PLAIN_DTYPE.fullmatch(text):
        return text
    found = "an object array" if text.lstrip("<>|=").startswith("O") else f"the dtype {text[:20]!r}"
    raise _RefusedError(found, "booleans, integers or floats")


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin1")
    if isinstance(value, str):
        return value
    raise _RefusedError(f"a {type(value).__name__} for a type code", "text such as 'u1'")


def _view(raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray[Any, Any]:
    """Read-only array over the bytes themselves, after shape and dtype were found to fit them."""
    if not isinstance(raw, (bytes, bytearray)) or not isinstance(dtype, _Dtype):
        raise _RefusedError("an array whose data are not bytes", "a plain numpy array")
    if not isinstance(shape, tuple) or len(shape) > 32 or not all(type(n) is int and n >= 0 for n in shape):
        raise _RefusedError(f"the array shape {str(shape)[:60]}", "a tuple of sizes")
    needed = math.prod(shape) * dtype.value.itemsize
    if needed != len(raw):
        raise _RefusedError(f"an array of shape {shape} with {len(raw)} bytes of data", f"{needed} bytes")
    array = np.frombuffer(raw, dtype.value).reshape(shape, order="F" if _text(order) == "F" else "C")
    array.flags.writeable = False
    return array


class _Unpickler(pickle.Unpickler):
    """Resolves the six permitted names to stand-ins and nothing else."""

    def __init__(self, path: Path, content: bytes, positions: list[int]) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._path = path
        self._positions: Iterator[int] = iter(positions)
        self._encodable = len(content)
        self._ndarray = object()
        self._names: dict[tuple[str, str], object] = {
            ("numpy", "dtype"): _StandIn(_Dtype),
            ("numpy", "ndarray"): self._ndarray,
            ("_codecs", "encode"): _StandIn(self._encode),
            ("numpy._core.multiarray", "_reconstruct"): _StandIn(self._reconstruct),
            ("numpy._core.multiarray", "scalar"): _StandIn(lambda dtype, raw: _view(raw, dtype, (1,), "C")[0]),
            ("numpy._core.numeric", "_frombuffer"): _StandIn(lambda *args: _Array(_view(*args))),
        }

    def find_class(self, module: str, name: str) -> Any:
        where = f"byte {next(self._positions, 0)}"
        modern = module.replace("numpy.core.", "numpy._core.", 1) if module.startswith("numpy.core.") else module
        if (modern, name) not in self._names:
            hint = "the file asks to run code that a data file has no need of; it was not loaded"
            expected = "plain data and numpy arrays"
            raise DataFormatError(self._path, where, f"the global {module}.{name}", expected, hint)
        return self._names[modern, name]

    def _reconstruct(self, kind: Any, shape: Any, _code: Any) -> _Array:
        if kind is not self._ndarray or shape != (0,):
            raise _RefusedError(f"an array made with the shape {str(shape)[:60]}", "shape (0,), as numpy writes it")
        return _Array(np.empty(0, np.uint8))

    def _encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        # Protocols 0 to 2 of Python 3 write bytes as latin-1 text; no other use is genuine.
        if not isinstance(text, str) or _text(encoding) not in ("latin1", "latin-1"):
            raise _RefusedError(f"the encoding {str(encoding)[:20]!r}", "latin1, as Python writes bytes")
        self._encodable -= len(text)
        if self._encodable < 0:
            raise _RefusedError("more bytes than the file holds", "every text encoded once")
        return text.encode("latin1")


def _settle(value: Any, seen: dict[int, Any]) -> Any:
    """Puts finished arrays and dtypes in place of those in the making; each container is visited once."""
    if isinstance(value, (_Array, _Dtype)):
        return value.value
    if not isinstance(value, (dict, list, tuple)):
        if isinstance(value, _StandIn) or type(value) is object:
            raise _RefusedError("a function among the data", "plain data and numpy arrays")
        return value
    if id(value) not in seen:
        seen[id(value)] = value
        if isinstance(value, dict):
            value.update({key: _settle(item, seen) for key, item in value.items()})
        elif isinstance(value, list):
            value[:] = [_settle(item, seen) for item in value]
        else:
            seen[id(value)] = tuple(_settle(item, seen) for item in value)
    return seen[id(value)]
