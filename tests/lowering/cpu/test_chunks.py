"""Chunks of images: every image once, whatever their number, and no copy of all of them."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.lowering.cpu import chunks


def images(count, *shape):
    return jnp.asarray(np.random.default_rng(0).standard_normal((count, *(shape or (3, 5, 2)))), jnp.float32)


@pytest.mark.parametrize(("count", "most", "together"), [(6, 4, 3), (6, 6, 6), (7, 4, 1), (6, 0, 1), (1, 9, 1)])
def test_each_image_counts_once(count, most, together):
    x = images(count)
    seen = []

    def squares(chunk):
        seen.append(chunk.shape)
        return chunk**2

    np.testing.assert_array_equal(chunks.mapped(squares, x, most=most), np.square(x))
    assert seen[0] == ((together,) if together > 1 else ()) + (3, 5, 2)

    total = chunks.summed(lambda a, b: jnp.sum(a * b), jnp.float32(3), (x, x + 1), most=most)
    expected = 3 + np.sum(np.float64(x) * (np.float64(x) + 1))
    np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_no_images_are_a_sum_of_nothing():
    x = images(0)
    assert chunks.mapped(lambda chunk: chunk**2, x, most=4).shape == x.shape
    assert chunks.summed(jnp.sum, jnp.float32(3), (x,), most=4) == 3


@pytest.mark.parametrize("most", [0, 2])
def test_a_loop_over_chunks_copies_no_image_before_it(most):
    x = images(4, 16, 16, 8)

    @jax.jit
    def program(x):
        x = jnp.abs(x)  # not an argument, and used twice
        return chunks.summed(lambda chunk: jnp.tensordot(chunk, chunk, chunk.ndim), jnp.float32(0), (x,), most=most), x

    text = program.lower(x).compile().as_text()
    assert " while(" in text
    assert not re.findall(r"f32\[(?:4,|2,2,)?(?:\d,)?16,16,8\]\S* copy\(", text)
