"""Integers of fewer than 8 bits in bytes."""

import itertools
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.quant import absmax_quantize, integers, pack, packed_length, unpack

NARROW = (2, 3, 4, 5, 6, 7)


@pytest.mark.parametrize("bits", NARROW)
def test_packing_is_exact_for_every_length_up_to_65(bits: int, rng: np.random.Generator) -> None:
    bottom, lengths = -(2 ** (bits - 1)), range(1, 66)
    every = [rng.integers(bottom, -bottom, (2, length)).astype(np.int8) for length in lengths]
    for rows in every:
        rows[0, 0], rows[0, -1] = bottom, -bottom - 1

    @jax.jit  # all lengths in one program
    def there_and_back(every: list[Any]) -> Any:
        packed = [pack(rows, bits=bits) for rows in every]
        return packed, [unpack(row, bits=bits, columns=length) for row, length in zip(packed, lengths, strict=True)]

    for length, rows, packed, back in zip(lengths, every, *there_and_back(every), strict=True):
        assert packed.dtype == jnp.uint8
        assert packed.shape == (2, packed_length(length, bits=bits))
        np.testing.assert_array_equal(back, rows)


@pytest.mark.parametrize("bits", NARROW)
def test_no_bit_is_left_over_but_at_the_end_of_a_row(bits: int) -> None:
    for length in (8, 64, 1000):
        assert packed_length(length, bits=bits) == length * bits // 8
    for length in range(1, 66):
        assert 0 <= 8 * packed_length(length, bits=bits) - length * bits < 8 * 3


def test_two_and_four_bits_lie_where_the_docstring_says() -> None:
    """By hand: −8 … 7 become 0 … 15, −2 … 1 become 0 … 3; byte i holds the entries i, i + m, … from its low bits."""
    four = pack(np.array([-8, -7, 6, 7, 0], np.int8), bits=4)
    np.testing.assert_array_equal(four, [0 + 16 * 15, 1 + 16 * 8, 14])
    two = pack(np.array([-2, 1, 0, -1, 1], np.int8), bits=2)
    np.testing.assert_array_equal(two, [0 + 4 * 2 + 16 * 3, 3 + 4 * 1])


def test_every_pair_of_four_bits_survives() -> None:
    pairs = np.array(list(itertools.product(range(-8, 8), repeat=2)), np.int8)
    packed = pack(pairs, bits=4)
    assert packed.shape == (256, 1)
    assert len(np.unique(packed)) == 256
    np.testing.assert_array_equal(unpack(packed, bits=4, columns=2), pairs)


def test_under_vmap_and_jit_rows_are_packed_one_by_one(rng: np.random.Generator) -> None:
    rows = rng.integers(-4, 4, (3, 2, 7)).astype(np.int8)
    packed = jax.jit(jax.vmap(partial(pack, bits=3)))(rows)
    np.testing.assert_array_equal(packed[1], pack(rows[1], bits=3))
    np.testing.assert_array_equal(jax.vmap(partial(unpack, bits=3, columns=7))(packed), rows)


def test_a_row_of_other_bytes_and_bits_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"columns must be integers of 4 bits that 2 bytes hold, got 5, which need 3"):
        unpack(np.zeros(2, np.uint8), bits=4, columns=5)
    for bits in (1, 9):
        with pytest.raises(ValueError, match=rf"bits must lie in \[2, 8\], got {bits}"):
            pack(np.zeros(2, np.int8), bits=bits)


def test_a_single_number_and_a_single_column_are_stored_too() -> None:
    assert integers(absmax_quantize(np.float32(-3.0), bits=4)) == -7
    column = absmax_quantize(np.array([[1.0], [-1.0], [0.2]], np.float32), bits=2)
    assert column.values.shape == (3, 1)
    np.testing.assert_array_equal(integers(column), [[1], [-1], [0]])
