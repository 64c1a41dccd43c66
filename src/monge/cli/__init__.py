"""The ``monge`` command: one thin file a verb, and what a failure looks like."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from monge.errors import MongeError
from monge.extras import require

_NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""What files that cannot be written fail with, wherever that happens."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: Words after ``monge``; those of the process if not given.

    Returns:
        The exit code: 0, 2 for something the user can put right (one line on standard error), 130 after Ctrl-C and
        143 after SIGTERM, 1 where a verb says so.

    Example:
        >>> main(["--version"])
        monge 0.1.0
        0
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _one_line
            for module in ("typer", "rich", "pydantic", "yaml"):
                require(module, extra="cli", purpose="The monge command")
            from monge.cli.app import run

            return run(sys.argv[1:] if arguments is None else list(arguments))
    except MongeError as error:
        # A stopped run brings an exit code of its own; 0 means that another process speaks.
        code = int(getattr(error, "exit_code", 2))
        if code:
            print(f"error: {error}" if code == 2 else str(error), file=sys.stderr)
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has closed it; nothing is left to be said, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in _NO_PLACE:
            raise
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{error.strerror}; make room or choose another place", file=sys.stderr)
        return 2


def _one_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning without the line of source it came from."""
    print(f"warning: {message}", file=sys.stderr)
