"""FeatureSet: what is missing is NaN, whichever rows are asked for."""

from __future__ import annotations

import pytest
import torch

from monge.data.feature_set import FeatureSet, RowsOf

LABELS = torch.tensor([3, 1, 1, 0])


def experts() -> tuple[RowsOf, RowsOf]:
    seen = [torch.full((n, 2), float(n)) for n in (3, 1, 0, 2)]
    heard = [torch.full((n, 1), 10.0 + n) for n in (1, 0, 0, 4)]
    return RowsOf.of(seen, 2), RowsOf.of(heard, 1)


def by_loops(indices: list[int]) -> torch.Tensor:
    inputs = torch.full((len(indices), 4, 3), torch.nan)
    for row, index in enumerate(indices):
        for column, counts, base in ((slice(0, 2), (3, 1, 0, 2), 0.0), (slice(2, 3), (1, 0, 0, 4), 10.0)):
            for step in range(counts[index]):
                inputs[row, step, column] = base + counts[index]
    return inputs


@pytest.mark.parametrize("indices", [[0, 1, 2, 3], [3, 0, 3], [2], []])
def test_experts_side_by_side(indices: list[int]) -> None:
    clips = FeatureSet(experts(), LABELS, 4)
    assert clips.shape == (4, 3)
    assert clips.widths == (2, 1)
    torch.testing.assert_close(clips.inputs(indices), by_loops(indices), equal_nan=True)
    some = clips.subset(indices)
    assert some.labels.tolist() == LABELS[indices].tolist()
    torch.testing.assert_close(some.inputs(range(len(some))), by_loops(indices), equal_nan=True)


def test_longer_clips_are_cut() -> None:
    clips = FeatureSet(experts(), LABELS, 2)
    torch.testing.assert_close(clips.inputs([0, 3]), by_loops([0, 3])[:, :2], equal_nan=True)


def test_one_tensor_gives_itself_back() -> None:
    vectors, rows = torch.randn(4, 5), torch.randn(4, 3, 5)
    rows[1, 2:] = torch.nan
    rows[2, 0, :2] = torch.nan
    assert torch.equal(FeatureSet.of(vectors, LABELS).inputs([2, 0]), vectors[[2, 0]])
    assert FeatureSet.of(vectors, LABELS).shape == (5,)
    torch.testing.assert_close(FeatureSet.of(rows, LABELS).inputs(range(4)), rows, equal_nan=True)


def test_texts_and_pictures_follow_a_subset() -> None:
    pictures = torch.arange(4, dtype=torch.uint8)[:, None, None, None].expand(4, 3, 2, 2)
    clips = FeatureSet.of(torch.zeros(4, 5), LABELS, texts=list("abcd"), images=lambda places: pictures[places])
    some = clips.subset([3, 1]).subset([1, 0, 1])
    assert some.texts == ("b", "d", "b")
    found = some.pictures([0, 1])
    assert found is not None
    assert found[:, 0, 0, 0].tolist() == [1, 3]
    assert FeatureSet.of(torch.zeros(4, 5), LABELS).pictures([0]) is None
    assert clips.targets is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.zeros(4)}, "labels must be int64"),
        ({"labels": LABELS[:3]}, "rows for 3 examples"),
        ({"texts": ("a",)}, "texts must be 4"),
        ({"length": None}, "without a length every expert must have one row"),
        ({"length": 0}, "length must be at least 1"),
    ],
)
def test_what_does_not_go_together(change: dict[str, object], message: str) -> None:
    given = {"experts": experts(), "labels": LABELS, "length": 4} | change
    with pytest.raises(ValueError, match=message):
        FeatureSet(**given)  # type: ignore[arg-type]


def test_rows_and_starts() -> None:
    with pytest.raises(ValueError, match="starts must be int64 and rise from 0 to 3"):
        RowsOf(torch.zeros(3, 2), torch.tensor([0, 2, 1, 3]))
    with pytest.raises(ValueError, match="rows must be float32"):
        RowsOf(torch.zeros(3), torch.tensor([0, 3]))
