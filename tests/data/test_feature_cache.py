"""Features on disk: computed once, gone on with after a kill, computed anew where damaged or where settings differ."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monge.data.sources.feature_cache import FeatureCache, Features, digest_of
from monge.errors import MongeError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path))
    return tmp_path


class Encoder:
    """Squares, that fails after a number of calls."""

    def __init__(self, calls: int = 100) -> None:
        self.calls = calls
        self.seen: list[int] = []

    def __call__(self, items: list[int]) -> Features:
        if not self.calls:
            raise KeyboardInterrupt
        self.calls -= 1
        self.seen += items
        return {"square": torch.tensor(items) ** 2, "rows": torch.tensor(items, dtype=torch.float32)[:, None] / 3}


CACHE = FeatureCache("squares", {"power": 2}, count=7, chunk=3)


def test_a_killed_run_goes_on_where_it_was() -> None:
    with pytest.raises(KeyboardInterrupt):
        CACHE.get(Encoder(calls=2))
    second = Encoder()
    told: list[tuple[int, int]] = []
    found = CACHE.get(second, lambda done, total: told.append((done, total)))
    assert second.seen == [6]
    assert found["square"].tolist() == [0, 1, 4, 9, 16, 25, 36]
    assert told == [(6, 7), (7, 7)]
    third = Encoder()
    again = CACHE.get(third, lambda done, total: pytest.fail("nothing is computed"))
    assert third.seen == []
    assert torch.equal(found["rows"], again["rows"])


def test_damaged_chunks_are_computed_anew() -> None:
    CACHE.get(Encoder())
    files = sorted(CACHE.folder.glob("*.safetensors"))
    assert len(files) == 3
    files[0].write_bytes(files[0].read_bytes()[:-1])
    content = bytearray(files[1].read_bytes())
    content[-1] ^= 1
    files[1].write_bytes(content)
    files[2].unlink()
    (CACHE.folder / ".0001-x.part").write_bytes(b"left behind")
    encoder = Encoder()
    assert CACHE.get(encoder)["square"].tolist() == [0, 1, 4, 9, 16, 25, 36]
    assert encoder.seen == list(range(7))


def test_other_settings_are_other_features() -> None:
    others = [
        FeatureCache("squares", {"power": 3}, count=7, chunk=3),
        FeatureCache("squares", {"power": 2}, count=8, chunk=3),
        FeatureCache("squares", {"power": 2, "items": digest_of(["a"])}, count=7, chunk=3),
    ]
    assert len({CACHE.folder, *(cache.folder for cache in others)}) == 4
    assert FeatureCache("squares", {"power": 2}, count=7, chunk=3).folder == CACHE.folder
    assert digest_of(["a", "b"]) != digest_of(["b", "a"]) != digest_of(["a", "", "b"])


def test_a_cache_that_cannot_be_written(home: Path) -> None:
    (home / "features").write_text("a file in the way")
    with pytest.raises(MongeError, match=r"cannot write features .*MONGE_CACHE"):
        CACHE.get(Encoder())
