"""Shared by all tests: one torch thread, a fixed seed; a data cache of their own for those that ask for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test keeps data, instead of the user's cache."""
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
