"""Writes plain data as Python 2 pickled it, which is what the official python edition of CIFAR holds.

Python 3 cannot: it writes bytes by way of ``_codecs.encode`` and names numpy's present modules.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

Plain = int | bytes | NDArray[np.uint8] | list["Plain"] | dict[bytes, "Plain"]

_RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + b"K\x00\x85U\x01b\x87R"
_UINT8 = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def python2_pickle(value: Plain) -> bytes:
    """Pickles with protocol 2, text as Python 2's byte strings.

    Args:
        value: Whole numbers below 2 ** 31, byte strings, uint8 arrays, and lists and dicts of these.

    Example:
        >>> python2_pickle([3, b"ab"])
        b'\\x80\\x02](J\\x03\\x00\\x00\\x00T\\x02\\x00\\x00\\x00abe.'
    """
    return b"\x80\x02" + _plain(value) + b"."


def _plain(value: Plain) -> bytes:
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, bytes):
        return b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, list):
        return b"](" + b"".join(_plain(item) for item in value) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(_plain(key) + _plain(item) for key, item in value.items()) + b"u"
    shape = b"(" + b"".join(_plain(size) for size in value.shape) + b"t"
    return _RECONSTRUCT + b"(K\x01" + shape + _UINT8 + b"\x89" + _plain(value.tobytes()) + b"tb"
