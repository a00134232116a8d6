from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from fjdl import nn
from fjdl.functional import sinusoidal_positions

IDS = jnp.array([[0, 2], [1, 7]])


class Tied(linen.Module):
    """The logits of each word given itself."""

    @linen.compact
    def __call__(self, ids: Any, *, train: bool = False) -> Any:
        words = nn.Embedding(3, 4, name="words")
        return words.attend(words(ids))


def test_a_table_serves_input_and_output() -> None:
    params = Tied().init(jax.random.key(0), IDS)
    table = params["params"]["words"]["embedding"]
    assert table.shape == (3, 4)
    expected = np.asarray(table)[np.asarray(IDS[0])] @ table.T
    np.testing.assert_allclose(Tied().apply(params, IDS)[0], expected, rtol=1e-5)
    layers = nn.pure(Tied()).layers(IDS)
    assert [(layer.parameters, layer.output) for layer in layers] == [(12, (2, 4)), (0, (2, 3))]


def test_vectors_have_the_dtype_and_nan_for_an_id_outside() -> None:
    module = nn.Embedding(3, 4, dtype=jnp.bfloat16)
    params = module.init(jax.random.key(0), IDS)
    assert params["params"]["embedding"].dtype == jnp.float32
    out = module.apply(params, IDS)
    assert out.dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.isnan(out.astype(jnp.float32)).all(-1), [[False, False], [False, True]])


def test_the_spread_is_that_of_unit_vectors_and_rows_are_dropped_in_training() -> None:
    module, ids = nn.Embedding(400, 64, rate=0.5), jnp.arange(400)
    params = module.init(jax.random.key(0), ids)
    np.testing.assert_allclose(jnp.std(params["params"]["embedding"]), 1 / 8, rtol=0.02)
    dropped = module.apply(params, ids, train=True, rngs={"dropout": jax.random.key(1)})
    zero = ~np.any(np.asarray(dropped), axis=1)
    assert 150 < zero.sum() < 250
    np.testing.assert_allclose(dropped[~zero], 2 * module.apply(params, ids)[~zero], rtol=1e-6)


def test_positions_are_added_from_the_first_on() -> None:
    x = jnp.ones((2, 3, 4))
    waves = nn.SinusoidalPositions().apply({}, x, first=5)
    np.testing.assert_allclose(waves[0] - 1, sinusoidal_positions(jnp.arange(5, 8), features=4), atol=1e-6)
    learned = nn.LearnedPositions(6)
    params = learned.init(jax.random.key(0), x)
    table = params["params"]["embedding"]
    np.testing.assert_allclose(learned.apply(params, x, first=2)[1] - 1, table[2:5], atol=1e-6)
    assert np.isnan(learned.apply(params, x, first=4)[0]).all(-1).tolist() == [False, False, True]
