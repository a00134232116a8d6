"""What every scheme promises: the error of one trip there and back, and no change on a second."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from fjdl.quant import (
    NF4_LEVELS,
    Quantized,
    absmax_quantize,
    dequantize,
    float8_quantize,
    integers,
    nf4_quantize,
    quantize_tree,
    saturating_cast,
    spread,
    zeropoint_quantize,
)

Quantize = Callable[..., Quantized]

BLOCKS: dict[str, dict[str, Any]] = {
    "tensor": {},
    "channel": {"axis": -1},
    "group": {"axis": -1, "group": 50},
    "row": {"axis": 0},
}
AFFINE = {
    f"{scheme.__name__}-{bits}": partial(scheme, bits=bits)
    for scheme in (absmax_quantize, zeropoint_quantize)
    for bits in (8, 4, 3, 2)
}


def million() -> np.ndarray:
    """Columns of normal numbers of many sizes, one of zeros, one constant, and one far from 0."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal((1000, 1000)) * 10.0 ** rng.uniform(-6, 6, 1000)
    x[:, 0], x[:, 1], x[:, 2] = 0, -2.5, x[:, 2] / np.abs(x[:, 2]).max() + 40
    return x.astype(np.float32)


X = million()


def error_in_steps(q: Quantized) -> tuple[np.ndarray, np.ndarray]:
    """How far each entry of `X` is from what stands for it, and its own size, both in steps of the grid."""
    step = np.asarray(spread(q.scale, X.shape), np.float64)
    return np.abs(np.asarray(dequantize(q), np.float64) - X) / step, np.abs(X) / step


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("scheme", AFFINE)
def test_a_million_numbers_are_off_by_at_most_half_a_step(scheme: str, blocks: str) -> None:
    q = AFFINE[scheme](X, **BLOCKS[blocks])
    error, size = error_in_steps(q)
    assert np.all(error <= 0.5 + 4 * 2.0**-24 * (size + 256))  # half a step, and float32's own rounding
    assert np.max(error) > 0.4


@pytest.mark.parametrize("blocks", BLOCKS)
def test_nf4_is_off_by_at_most_half_of_its_widest_gap(blocks: str) -> None:
    error, _ = error_in_steps(nf4_quantize(X, **{"group": None, **BLOCKS[blocks]}))
    assert 0.14 < np.max(error) <= np.max(np.diff(NF4_LEVELS)) / 2 + 1e-6


@pytest.mark.parametrize(
    ("dtype", "part", "least"), [(jnp.float8_e4m3fn, 2**-4, 2**-10), (jnp.float8_e5m2, 2**-3, 2**-17)]
)
def test_float8_is_off_by_a_part_of_each_number(dtype: Any, part: float, least: float) -> None:
    error, size = error_in_steps(float8_quantize(X, dtype=dtype, axis=-1))
    assert np.all(error <= np.maximum(part * size, least) * (1 + 1e-6))


EVERY: dict[str, Quantize] = {
    **AFFINE,
    "nf4": partial(nf4_quantize, group=None),
    "e4m3": float8_quantize,
    "e5m2": partial(float8_quantize, dtype=jnp.float8_e5m2),
}


@pytest.mark.parametrize("scheme", EVERY)
def test_a_second_trip_changes_nothing(scheme: str) -> None:
    x = np.random.default_rng(3).standard_normal((64, 40)).astype(np.float32)
    for blocks in ({"axis": -1}, {"axis": -1, "group": 16}):
        once = EVERY[scheme](x, **{"group": None, **blocks})
        twice = EVERY[scheme](dequantize(once), **{"group": None, **blocks})
        np.testing.assert_array_equal(twice.values, once.values)
        np.testing.assert_allclose(dequantize(twice), dequantize(once), rtol=3e-7)


def test_levels_of_nf4_are_quantiles_of_the_normal_distribution() -> None:
    offset = 0.9677083
    above = stats.norm.ppf(np.linspace(offset, 0.5, 9))[:-1]
    below = -stats.norm.ppf(np.linspace(offset, 0.5, 8))[:-1]
    levels = np.sort([*above, 0, *below])
    np.testing.assert_allclose(NF4_LEVELS, levels / levels.max(), atol=2e-7)


def test_nf4_takes_the_nearest_level_and_is_better_than_even_steps_on_normal_numbers() -> None:
    x = np.random.default_rng(0).standard_normal((640, 10)).astype(np.float32)
    q = nf4_quantize(x, axis=-1, group=64)
    part = x / np.asarray(spread(q.scale, x.shape))
    nearest = np.argmin(np.abs(part[..., None] - np.array(NF4_LEVELS)), axis=-1)
    np.testing.assert_array_equal(integers(q), nearest - 8)
    even = absmax_quantize(x, bits=4, axis=-1, group=64)
    errors = [np.mean((np.asarray(dequantize(each)) - x) ** 2) for each in (q, even)]
    assert errors[0] < 0.8 * errors[1]


def test_casts_end_at_the_largest_number_and_keep_nan() -> None:
    x = jnp.asarray([1e9, -1e9, np.inf, -np.inf, np.nan, 1.0])
    for dtype, top in ((jnp.float16, 65504), (jnp.float8_e4m3fn, 448), (jnp.float8_e5m2, 57344)):
        small = saturating_cast({"w": x, "n": jnp.arange(3)}, dtype)
        assert (small["w"].dtype, small["n"].dtype) == (dtype, jnp.int32)
        np.testing.assert_array_equal(small["w"].astype(jnp.float32), [top, -top, top, -top, np.nan, 1.0])
    kept = saturating_cast(x, jnp.bfloat16)
    np.testing.assert_array_equal(kept.astype(jnp.float32)[2:4], [3.3895313892515355e38, -3.3895313892515355e38])
    with pytest.raises(ValueError, match="dtype must be a floating-point type, got int8"):
        saturating_cast(x, jnp.int8)


def test_casts_round_as_torch_does(rng: np.random.Generator) -> None:
    import torch

    x = rng.standard_normal(4096).astype(np.float32) * 10
    for ours, theirs in (
        (jnp.float16, torch.float16),
        (jnp.bfloat16, torch.bfloat16),
        (jnp.float8_e4m3fn, torch.float8_e4m3fn),
        (jnp.float8_e5m2, torch.float8_e5m2),
    ):
        np.testing.assert_array_equal(
            np.asarray(saturating_cast(jnp.asarray(x), ours), np.float32), torch.tensor(x).to(theirs).float().numpy()
        )


@pytest.mark.parametrize("quantize", [nf4_quantize, float8_quantize])
def test_zeros_stay_and_bad_entries_are_refused_or_make_their_own_block_nan(quantize: Any) -> None:
    x = jnp.asarray([[0.0, np.nan], [0.0, 1.0]])
    with pytest.raises(ValueError, match="x must hold no NaN and no infinity, got 1 among 4 entries"):
        quantize(x, group=None)
    back = dequantize(jax.jit(partial(quantize, axis=-1, group=None))(x))
    np.testing.assert_array_equal(back[:, 0], 0.0)
    assert np.all(np.isnan(back[:, 1]))


def test_float8_has_two_types_and_no_integers() -> None:
    with pytest.raises(ValueError, match="dtype must be float8_e4m3fn or float8_e5m2, got float16"):
        float8_quantize(jnp.ones(2), dtype=jnp.float16)
    with pytest.raises(ValueError, match="values must be integers, got float8_e4m3fn"):
        integers(float8_quantize(jnp.ones(2)))


def test_a_tree_takes_every_scheme() -> None:
    params = {"kernel": jnp.asarray(X[:64, 3:20])}
    for scheme in EVERY.values():
        assert quantize_tree(params, quantize=partial(scheme, axis=-1, group=32))["kernel"].shape == (64, 17)
