"""JSON files of annotations, with errors that name the line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from monge.data.formats.sniff import open_data, read_bounded, shown
from monge.errors import DataFormatError

_MAX_BYTES = 512 << 20


def read_json(path: str | Path, expected: str) -> Any:
    """Reads a JSON file in UTF-8.

    Args:
        path: The file.
        expected: What it should be, for the error messages, e.g. ``"captions as JSON"``.

    Raises:
        DataFormatError: Missing, empty, too large, not UTF-8, not JSON, or nested too deeply.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.json"
        >>> _ = file.write_text('{"a": [1, 2]}')
        >>> read_json(file, "an example")
        {'a': [1, 2]}
    """
    path = Path(path)
    with open_data(path, expected) as (stream, size):
        if size > _MAX_BYTES:
            raise DataFormatError(shown(path), "", f"{size:,} bytes", f"{expected} of at most {_MAX_BYTES:,}")
        content = bytes(read_bounded(path, stream, size, expected))
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        found = f"byte 0x{content[error.start]:02x}"
        raise DataFormatError(shown(path), f"byte {error.start}", found, f"{expected} in UTF-8") from None
    except json.JSONDecodeError as error:
        hint = "the file may be cut short" if error.pos >= len(content) - 1 else "is it another file?"
        raise DataFormatError(shown(path), f"line {error.lineno}", f"no JSON ({error.msg})", expected, hint) from None
    except RecursionError:
        raise DataFormatError(shown(path), "", "JSON that is nested too deeply", expected) from None
