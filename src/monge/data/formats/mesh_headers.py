"""What the headers of STL, PLY, GLB and 3MF files promise, held against the bytes that are there.

These files are read by trimesh, which believes some of them: a text PLY or STL that is cut short comes back with fewer
faces, and an accessor of a GLB file may ask for any amount of memory.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from monge.data.formats.polygons import quoted
from monge.data.formats.sniff import MAX_DEFLATE_RATIO, shown
from monge.errors import DataFormatError

_TRUNCATED = "the file is truncated; fetch it again"
_STL_HEAD, _STL_FACE = 84, 50
_PLY_BYTES = {"char": 1, "uchar": 1, "int8": 1, "uint8": 1, "short": 2, "ushort": 2, "int16": 2, "uint16": 2}
_PLY_BYTES |= {"int": 4, "uint": 4, "int32": 4, "uint32": 4, "float": 4, "float32": 4, "double": 8, "float64": 8}
_GLTF_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_GLTF_NUMBERS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}


def check_stl(path: Path, content: bytes) -> None:
    """Checks the number of faces of a binary STL file, or the ends of a text one.

    Args:
        path: Where the content comes from, for the error messages.
        content: The whole file.

    Raises:
        DataFormatError: The length does not fit to the number of faces, or facets are not closed.

    Example:
        >>> check_stl(Path("a.stl"), bytes(80) + struct.pack("<I", 2) + bytes(50))
        Traceback (most recent call last):
        monge.errors.DataFormatError: a.stl: byte 80: found 2 faces, expected 1 in 134 bytes (...)
    """
    faces = struct.unpack("<I", content[80:_STL_HEAD])[0] if len(content) >= _STL_HEAD else 0
    if len(content) >= _STL_HEAD and len(content) == _STL_HEAD + _STL_FACE * faces:
        return
    text = content.lower()
    if text.lstrip().startswith(b"solid") and b"\0" not in content[:_STL_HEAD]:
        begun, ended, vertices = (
            len(re.findall(word, text)) for word in (rb"\bfacet\s", rb"\bendfacet\b", rb"\bvertex\s")
        )
        if b"endsolid" not in text or begun != ended or vertices != 3 * begun:
            found = f"{begun:,} facets of which {ended:,} end, with {vertices:,} vertices"
            line = content.count(b"\n") + 1
            raise _error(path, f"line {line}", found, "three vertices a facet, and endsolid", _TRUNCATED)
        return
    if len(content) < _STL_HEAD:
        raise _error(path, "", f"{len(content)} bytes", f"at least {_STL_HEAD}, or a text that begins with solid")
    room = (len(content) - _STL_HEAD) // _STL_FACE
    raise _error(path, "byte 80", f"{faces:,} faces", f"{room:,} in {len(content):,} bytes", "truncated, or not STL")


def check_ply(path: Path, content: bytes) -> None:
    """Checks that a PLY file is as long as its header says, at the least.

    Args:
        path: Where the content comes from, for the error messages.
        content: The whole file.

    Raises:
        DataFormatError: No PLY header, one that is not whole, counts that the file cannot hold, text with too few
            lines or with a face of fewer than three vertices; names the line of the header or of the text.

    Example:
        >>> header = b"ply\\nformat ascii 1.0\\nelement vertex 9\\nproperty float x\\nend_header\\n"
        >>> check_ply(Path("a.ply"), header + b"0\\n")
        Traceback (most recent call last):
        monge.errors.DataFormatError: a.ply: line 3: found 9 entries of vertex, expected what 2 bytes can hold (...)
    """
    if not re.match(rb"ply\r?\n", content):
        raise _error(path, "line 1", quoted(content[:20]), "ply alone", "not a PLY file, or its first line is lost")
    end = re.search(rb"^end_header\r?\n", content, re.MULTILINE)
    if end is None:
        raise _error(path, "line 1", "a header without end", "end_header", _TRUNCATED)
    text = b"ascii" in content[: content.find(b"\n", 5)]
    room, is_list = len(content) - end.end(), False
    elements: list[tuple[str, int, bool]] = []  # name, count, whether a list is all there is of one
    properties: list[str] = []
    header = content[: end.start()].splitlines()
    for number, line in reversed(list(enumerate(header, start=1))):  # the properties of an element before its count
        words = line.decode("latin-1").split()
        if words[:1] == ["property"] and len(words) > 2:
            properties.append(words[2] if words[1] == "list" else words[1])
            is_list = words[1] == "list"
        elif words[:1] == ["element"]:
            try:
                name, count = words[1], int(words[2])
            except (IndexError, ValueError):
                raise _error(path, f"line {number}", quoted(line), "element, a name and a number") from None
            least = count * sum(2 if text else _PLY_BYTES.get(kind, 1) for kind in properties)
            if count < 0 or least > room + 1:
                found, expected = f"{count:,} entries of {name}", f"what {room:,} bytes can hold"
                raise _error(path, f"line {number}", found, expected, "truncated, or not PLY")
            elements.append((name, count, len(properties) == 1 and is_list))
            properties = []
    if text:
        _check_ply_text(path, content[end.end() :], len(header) + 1, elements[::-1])


def _check_ply_text(path: Path, body: bytes, header_lines: int, elements: list[tuple[str, int, bool]]) -> None:
    lines = [(number, line) for number, line in enumerate(body.splitlines(), header_lines + 1) if line.strip()]
    wanted = sum(count for _, count, _ in elements)
    if len(lines) < wanted:
        found = f"the end after {len(lines):,} entries"
        raise _error(path, f"line {header_lines + len(body.splitlines())}", found, f"{wanted:,}", _TRUNCATED)
    at = 0
    for name, count, only_list in elements:
        if name == "face" and only_list:
            for number, line in lines[at : at + count]:
                words = line.split()
                if not (words[0].isdigit() and 3 <= int(words[0]) < len(words)):
                    expected = "a size of at least 3 and so many vertices"
                    raise _error(path, f"line {number}", f"the face {quoted(line)}", expected)
        at += count


def check_glb(path: Path, content: bytes) -> None:
    """Checks the chunks of a GLB file, and that its accessors lie inside of them.

    Args:
        path: Where the content comes from, for the error messages.
        content: The whole file.

    Raises:
        DataFormatError: Another magic or version, chunks that do not fit into the file, JSON that is none, data that
            lie in another file, an accessor larger than its buffer view.

    Example:
        >>> check_glb(Path("a.glb"), b"glTF" + struct.pack("<II", 2, 99) + bytes(8))
        Traceback (most recent call last):
        monge.errors.DataFormatError: a.glb: byte 8: found 20 bytes, expected 99, as the header says (...)
    """
    if content[:4] != b"glTF" or len(content) < 20:
        raise _error(path, "byte 0", quoted(content[:4]), "glTF and a header of 20 bytes", "not a GLB file")
    version, length, size = struct.unpack("<III", content[4:16])
    if version != 2:
        raise _error(path, "byte 4", f"version {version}", "2", "export it as glTF 2.0")
    if length > len(content):
        raise _error(path, "byte 8", f"{len(content):,} bytes", f"{length:,}, as the header says", _TRUNCATED)
    if size > length - 20 or content[16:20] != b"JSON":
        raise _error(path, "byte 12", f"a first chunk of {size:,} bytes", "JSON that fits into the file", _TRUNCATED)
    try:
        tree = json.loads(content[20 : 20 + size])
        _check_gltf(path, tree, length)
    except (ValueError, RecursionError) as error:
        raise _error(path, "byte 20", f"damaged JSON ({str(error)[:80]})", "the tree of a glTF file") from None
    except (TypeError, KeyError, IndexError, AttributeError):
        raise _error(path, "byte 20", "JSON of another shape", "the tree of a glTF file") from None


def _check_gltf(path: Path, tree: dict[str, Any], size: int) -> None:
    for number, buffer in enumerate(tree.get("buffers", [])):
        if "uri" in buffer and not str(buffer["uri"]).startswith("data:"):
            found = f"buffer {number} in another file"
            raise _error(
                path, "byte 20", found, "all data in this file", "no other file is opened; export it as one GLB"
            )
    views = tree.get("bufferViews", [])
    for number, accessor in enumerate(tree.get("accessors", [])):
        count = int(accessor["count"])
        asked = count * _GLTF_BYTES[accessor["componentType"]] * _GLTF_NUMBERS[accessor["type"]]
        view = accessor.get("bufferView")
        # One without a view is all zeros, which a compressed mesh also has.
        room = size if view is None else min(size, int(views[view]["byteLength"]))
        if count < 0 or asked > room:
            found, expected = f"accessor {number} of {asked:,} bytes", f"at most {room:,}"
            raise _error(path, "byte 20", found, expected, "the tree is wrong or the file is damaged")
    compressed = set(tree.get("extensionsRequired", [])) & {"KHR_draco_mesh_compression", "EXT_meshopt_compression"}
    if compressed:
        raise _error(
            path, "byte 20", f"a mesh compressed by {min(compressed)}", "a plain one", "export it uncompressed"
        )


def check_3mf(path: Path, content: bytes, limit: int) -> None:
    """Checks the directory of a 3MF archive.

    Args:
        path: Where the content comes from, for the error messages.
        content: The whole file.
        limit: Bytes that all members together may take.

    Raises:
        DataFormatError: Not a zip archive, no model in it, or members that are too large.

    Example:
        >>> check_3mf(Path("a.3mf"), b"no archive", 1 << 20)
        Traceback (most recent call last):
        monge.errors.DataFormatError: a.3mf: found a damaged archive (File is not a zip file), expected a 3MF file (...)
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            size = sum(member.file_size for member in members)
            if size > min(limit, len(content) * MAX_DEFLATE_RATIO):
                raise _error(
                    path, "", f"{size:,} bytes when unpacked", f"at most {limit:,}", "it would fill the memory"
                )
            if damaged := archive.testzip():
                raise _error(path, damaged[:80], "a wrong checksum", "a whole member", _TRUNCATED)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        found = f"a damaged archive ({str(error)[:80]})"
        raise _error(path, "", found, "a 3MF file", "truncated, or not 3MF") from None
    if not any(member.filename.lower().endswith(".model") for member in members):
        raise _error(path, "", "an archive without a .model", "a 3MF file", "is it another kind of archive?")


CHECKS: dict[str, Callable[[Path, bytes], None]] = {"stl": check_stl, "ply": check_ply, "glb": check_glb}


def _error(path: Path, where: str, found: str, expected: str, hint: str = "") -> DataFormatError:
    return DataFormatError(shown(path), where, found, expected, hint)
