"""Icons as pictures: where the ink goes, what is refused, and what the careless hand may and may not change."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
import torch

from monge.data import raster
from monge.data.raster import MAX_BODY_BYTES, check_body, draw, drop_strokes, jitter, outlined
from monge.errors import MissingExtraError, MongeError

SQUARE = '<path fill="currentColor" d="M6 6h12v12H6z"/>'
LINE = '<path fill="none" stroke="currentColor" stroke-width="1.5" d="M3 12h18"/>'


def hand(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stack(body: str, count: int, size: int = 48) -> torch.Tensor:
    return torch.from_numpy(draw(body, size))[None, None].repeat(count, 1, 1, 1)


def test_ink_is_black_where_the_shape_is() -> None:
    picture = draw(SQUARE, 24, margin=0)
    expected = np.full((24, 24), 255, np.uint8)
    expected[6:18, 6:18] = 0
    np.testing.assert_array_equal(picture, expected)


def test_a_box_that_is_no_square_is_drawn_whole_in_the_middle() -> None:
    body = '<path fill="currentColor" d="M-5 10h20v10h-20z"/>'
    picture = draw(body, 40, (-5, 10, 20, 10), margin=0)
    assert (picture[10:30] == 0).all()
    assert (picture[:10] == 255).all()
    assert (picture[30:] == 255).all()
    with_margin = draw(body, 40, (-5, 10, 20, 10), margin=0.25)
    assert (with_margin == 0).sum() == pytest.approx(20 * 10, abs=20)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('<image href="file:///etc/passwd"/>', "element <image>"),
        ('<g><image href="data:image/png;base64,AA"/></g>', "element <image>"),
        ('<use href="#a"/>', "element <use>"),
        ("<script>alert(1)</script>", "element <script>"),
        ("<style>path{fill:url(http://a.b)}</style>", "element <style>"),
        ('<text x="1">a</text>', "element <text>"),
        ('<path d="M0 0h9"><animate attributeName="d" dur="1s"/></path>', "element <animate>"),
        ('<foreignObject width="9" height="9"/>', "element <foreignObject>"),
        ('<path xmlns="http://www.w3.org/1999/xhtml" d="M0 0"/>', "element <path>"),
        ('<path d="M0 0h9" fill="url(http://example.org/a.svg#b)"/>', "attribute fill="),
        ('<path d="M0 0h9" style="fill:red"/>', "attribute style="),
        ('<path d="M0 0h9" onclick="a"/>', "attribute onclick="),
        ('<path d="M0 0h9" href="http://example.org"/>', "attribute href="),
        ('<path xlink:href="a" d="M0 0h9"/>', "not XML"),
        ('<path d="M0 0h9"/></svg><svg>', "not XML"),
        ("<path", "not XML"),
        ('<!DOCTYPE svg [<!ENTITY a "b">]><path d="M0 0h9"/>', "declaration"),
        ("<!-- note -->" + SQUARE, "declaration"),
        (f'<path d="{"M0 0h9" * MAX_BODY_BYTES}"/>', "characters"),
        ("<path/>" * 501, "over 500 elements"),
        ("<g>" * 17 + "</g>" * 17, "16 levels"),
    ],
)
def test_what_is_more_than_a_plain_icon_is_refused(body: str, told: str) -> None:
    for refuse in (check_body, lambda given: draw(given, 16), lambda given: drop_strokes(given, random.Random(0))):
        with pytest.raises(MongeError, match=told) as caught:
            refuse(body)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 200


def test_local_references_are_drawn() -> None:
    body = (
        '<defs><mask id="a"><path fill="#fff" d="M0 0h12v24H0z"/></mask></defs>'
        '<path fill="currentColor" mask="url(#a)" d="M0 0h24v24H0z"/>'
    )
    picture = draw(body, 24, margin=0)
    assert (picture[:, :12] == 0).all()
    assert (picture[:, 12:] == 255).all()


@pytest.mark.parametrize(
    "body", ["", '<path d=""/>', '<path fill="white" d="M0 0h24v24z"/>', '<path d="M90 90h5v5z"/>']
)
def test_an_icon_that_shows_nothing_is_told(body: str) -> None:
    with pytest.raises(MongeError, match="shows nothing"):
        draw(body, 24)


@pytest.mark.parametrize(
    ("size", "box", "margin"),
    [(0, (0, 0, 24, 24), 0.1), (5000, (0, 0, 24, 24), 0.1), (24, (0, 0, 0, 24), 0.1), (24, (0, 0, 24, 24), 0.5)],
)
def test_sizes_that_make_no_picture(size: int, box: tuple[float, float, float, float], margin: float) -> None:
    with pytest.raises(ValueError, match="cannot draw a box"):
        draw(SQUARE, size, box, margin=margin)


def test_without_resvg_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(MissingExtraError, match=r"drawing icons needs .*pip install 'monge\[shapes\]'"):
        draw(SQUARE, 16)


def test_strokes_that_go_are_few_and_never_the_longest() -> None:
    long = '<path d="M1 1h20v20H1v-9h9v-9"/>'
    body = "<g>" + "".join(f'<circle cx="{x}" cy="3" r="1"/>' for x in range(7)) + "</g>" + long
    counts = set()
    for seed in range(60):
        left = drop_strokes(body, random.Random(seed))
        check_body(left)
        counts.add(left.count("<circle"))
        assert "M1 1h20v20H1v-9h9v-9" in left
    assert counts == {5, 6, 7}


@pytest.mark.parametrize(
    "body",
    [
        '<path d="M0 0h9"/><path d="M0 1h9"/><path d="M0 2h9"/>',
        '<path d="M0 0h9"/>' * 3 + '<path fill="#fff" d="M0 0h1"/>',
        '<path d="M0 0h9"/>' * 3 + '<path opacity=".5" d="M0 0h1"/>',
        '<mask id="a"><path d="M0 0h1"/></mask>' + '<path d="M0 0h9"/>' * 3,
    ],
)
def test_icons_whose_shapes_are_no_strokes_stay_whole(body: str) -> None:
    assert {drop_strokes(body, random.Random(seed)) for seed in range(20)} == {body}


def test_the_hand_draws_each_differently_and_the_same_for_a_seed() -> None:
    icons = stack(SQUARE, 12)
    drawn = jitter(icons, hand())
    assert drawn.shape == icons.shape
    assert drawn.dtype == torch.uint8
    assert len(drawn.flatten(1).unique(dim=0)) == 12
    assert torch.equal(drawn, jitter(icons, hand()))
    assert not torch.equal(drawn, jitter(icons, hand(1)))


def test_the_hand_keeps_most_of_the_drawing_in_the_picture() -> None:
    """Ink stays near where it was: a line through the middle keeps some of its length in every drawing."""
    drawn = 255 - jitter(stack(LINE, 200), hand()).float()
    original = 255 - stack(LINE, 1).float()
    kept = drawn.sum(dim=(1, 2, 3)) / original.sum()
    assert kept.min() > 0.2
    assert 0.6 < kept.median() < 1.6
    middle = drawn[:, 0, 12:36].sum(dim=(1, 2)) / drawn.sum(dim=(1, 2, 3))
    assert middle.min() > 0.7


def test_more_strength_changes_more_and_none_changes_nothing() -> None:
    icons = stack(LINE + SQUARE, 40)
    changes = [
        (jitter(icons, hand(), strength=strength).float() - icons.float()).abs().mean() for strength in (0.2, 1, 2)
    ]
    assert changes == sorted(changes)
    assert torch.equal(jitter(icons, hand(), strength=0), icons)
    assert len(jitter(icons[:0], hand())) == 0


def test_pictures_of_a_later_chunk_are_drawn_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster, "_CHUNK_PIXELS", 16 * 16 * 7)
    drawn = jitter(stack(SQUARE, 40, size=16), hand())
    assert len(drawn) == 40
    assert (drawn.amin(dim=(1, 2, 3)) < 200).all()


def test_outlines_empty_what_is_filled_and_keep_lines() -> None:
    filled = outlined(stack(SQUARE, 1, size=96))[0, 0]
    assert filled[48, 48] == 255
    assert filled[48, 28] == 0
    lines = stack(LINE, 1, size=96)
    assert torch.equal(outlined(lines), lines)


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 9).byte()]
)
def test_pictures_that_cannot_be_jittered(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"uint8 \(N, 1, S, S\)"):
        jitter(images, hand())
    with pytest.raises(ValueError, match="strength"):
        jitter(stack(SQUARE, 1), hand(), strength=3)
