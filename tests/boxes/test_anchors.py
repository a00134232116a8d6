"""Anchors beside torchvision's generators, written out."""

import math

import jax
import numpy as np
import pytest

from fjdl import boxes


def of_torchvision(size: tuple[int, int], stride: tuple[int, int], sizes, ratios) -> np.ndarray:
    """`AnchorGenerator` on one feature map."""
    h_ratios = np.sqrt(np.float32(ratios))
    w_ratios, scales = 1 / h_ratios, np.float32(sizes)
    ws, hs = (w_ratios[:, None] * scales).reshape(-1), (h_ratios[:, None] * scales).reshape(-1)
    base = np.round(np.stack([-ws, -hs, ws, hs], 1) / 2)
    y, x = np.meshgrid(np.arange(size[0]) * stride[0], np.arange(size[1]) * stride[1], indexing="ij")
    shifts = np.stack([x, y, x, y], -1).reshape(-1, 4)
    return (shifts[:, None] + base[None]).reshape(-1, 4)


@pytest.mark.parametrize(
    ("sizes", "ratios"), [((32, 40, 50), (0.5, 1.0, 2.0)), ((64,), (0.5, 1.0, 2.0)), ((7,), (1.0,))]
)
def test_without_offset_and_rounded_they_are_those_of_torchvision(sizes, ratios) -> None:
    shapes = boxes.anchor_shapes(sizes, ratios=ratios)
    found = boxes.grid_anchors(shapes, size=(3, 4), stride=(8, 16), offset=0, rounded=True)
    np.testing.assert_array_equal(found, of_torchvision((3, 4), (8, 16), sizes, ratios))


def test_retinanet_has_three_octaves_and_three_ratios_on_each_level() -> None:
    strides, sizes = [8, 16, 32], [(4, 5), (2, 3), (1, 2)]
    bases = [32, 64, 128]
    shapes = [boxes.anchor_shapes([int(s) for s in boxes.octave_sizes(base)]) for base in bases]
    found = boxes.pyramid_anchors(shapes, sizes=sizes, strides=strides, offset=0, rounded=True)
    levels = zip(sizes, strides, bases, strict=True)
    expected = [
        of_torchvision(size, (s, s), (base, int(base * 2 ** (1.0 / 3)), int(base * 2 ** (2.0 / 3))), (0.5, 1.0, 2.0))
        for size, s, base in levels
    ]
    np.testing.assert_array_equal(found, np.concatenate(expected))
    assert found.shape == (9 * (20 + 6 + 2), 4)


def test_ssd_boxes_are_those_of_torchvision() -> None:
    """`DefaultBoxGenerator([[2], [2, 3]])` on maps of 3 × 3 and 1 × 1, in parts of the image."""
    aspect_ratios, maps = [[2.0], [2.0, 3.0]], [3, 1]
    scales = [*(0.2 + (0.9 - 0.2) * k / 1 for k in range(2)), 1.0]
    assert boxes.ssd_scales(2) == pytest.approx(scales)
    expected = []
    for k, f_k in enumerate(maps):
        s_k, s_prime = scales[k], math.sqrt(scales[k] * scales[k + 1])
        pairs = [[s_k, s_k], [s_prime, s_prime]]
        for ratio in aspect_ratios[k]:
            root = math.sqrt(ratio)
            pairs.extend([[s_k * root, s_k / root], [s_k / root, s_k * root]])
        shifts = (np.arange(f_k) + 0.5) / f_k
        expected += [[x - w / 2, y - h / 2, x + w / 2, y + h / 2] for y in shifts for x in shifts for w, h in pairs]
    shapes = [boxes.ssd_shapes(scales[k], scales[k + 1], ratios=aspect_ratios[k]) for k in range(2)]
    found = boxes.pyramid_anchors(shapes, sizes=[(3, 3), (1, 1)], strides=[1 / 3, 1.0])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert boxes.ssd_scales(1) == (0.2, 1.0)


def test_the_size_of_the_map_may_be_left_open() -> None:
    h, w = jax.export.symbolic_shape("h, w")
    shapes = boxes.anchor_shapes([8.0])
    program = jax.jit(lambda x: boxes.grid_anchors(shapes, size=x.shape, stride=8))
    exported = jax.export.export(program)(jax.ShapeDtypeStruct((h, w), np.float32))
    np.testing.assert_array_equal(
        exported.call(np.zeros((2, 3), np.float32)), boxes.grid_anchors(shapes, size=(2, 3), stride=8)
    )


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: boxes.octave_sizes(0.0), "base must be positive and finite, got 0.0"),
        (lambda: boxes.octave_sizes(8.0, octaves=0), "octaves must be at least 1, got 0"),
        (lambda: boxes.anchor_shapes([1.0], ratios=[-1.0]), "ratios must be positive and finite, got .*"),
        (lambda: boxes.ssd_scales(0), "levels must be at least 1, got 0"),
        (lambda: boxes.ssd_shapes(-1.0, 1.0), "scale must be positive and finite, got -1.0"),
        (lambda: boxes.grid_anchors(SHAPES, size=(0, 2), stride=8), "size must have at least one .* got .*"),
        (lambda: boxes.grid_anchors(SHAPES, size=(1, 2), stride=0.0), "stride must be positive and finite, got .*"),
        (
            lambda: boxes.pyramid_anchors([SHAPES], sizes=[], strides=[8]),
            "shapes, sizes and strides must be .* 1, 0 .*",
        ),
    ],
)
def test_wrong_options_are_refused(call, rule: str) -> None:
    with pytest.raises(ValueError, match=f"^{rule}$"):
        call()


SHAPES = np.float32([[2, 4]])
