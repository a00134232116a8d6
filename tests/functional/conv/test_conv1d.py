import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.functional.conv.conv1d import conv1d
from tests.support import float64


@pytest.mark.parametrize(("padding", "theirs"), [("SAME", "same"), ("VALID", "valid"), (2, 2)])
def test_paddings_equal_torch(padding, theirs, rng):
    x, kernel = rng.standard_normal((2, 7, 3)), rng.standard_normal((3, 3, 5))
    sequences, weights = torch.tensor(x).movedim(-1, 1), torch.tensor(kernel).permute(2, 1, 0)
    expected = torch.nn.functional.conv1d(sequences, weights, padding=theirs)
    with float64():
        y = jax.jit(lambda *a: conv1d(*a, padding=padding))(x, kernel)
    np.testing.assert_allclose(y, expected.movedim(1, -1), rtol=1e-10, atol=1e-12)


def test_with_all_padding_before_no_output_sees_a_later_input():
    def last_seen(x):
        return conv1d(x, jnp.ones((3, 1, 1)), padding=((4, 0),), dilation=2)[:, 0]

    seen = jax.jit(jax.jacobian(last_seen))(jnp.zeros((6, 1)))[..., 0]
    expected = [[float(s in (t, t - 2, t - 4)) for s in range(6)] for t in range(6)]
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("batch", [(), (0,), (2, 3)], ids=str)
def test_any_number_of_batch_axes(batch):
    assert jax.eval_shape(conv1d, np.ones((*batch, 5, 2)), np.ones((3, 2, 4))).shape == (*batch, 5, 4)


@pytest.mark.parametrize(
    ("kernel", "options", "message"),
    [
        ((3, 2, 4), {"stride": 0}, "stride must be at least 1, got 0"),
        ((3, 2, 4), {"padding": ((0, -1),)}, "padding must not be negative, got ((0, -1),)"),
        ((6, 2, 4), {"padding": "VALID"}, "the window must fit into the padded image, got window 6"),
        ((3, 2, 4), {"groups": 2}, "groups must divide the channels"),
        ((3, 2, 4), {"padding": (1, 1)}, "conv1d: argument `padding` must be"),
        ((0, 2, 4), {}, "kernel must have no empty axis, got shape (0, 2, 4)"),
    ],
    ids=str,
)
def test_impossible_options_are_refused_in_one_sentence(kernel, options, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        conv1d(jnp.ones((1, 5, 2)), jnp.ones(kernel), **options)
    assert "\n" not in str(error.value)
