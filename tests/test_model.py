import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.nn import Model, averaged_views


def first_entry(params, stats, inputs, *, train=False, key=None):
    return params * inputs[:, :1], {"seen": stats["seen"] + train}


MODEL = Model(lambda key, inputs: (jnp.ones(()), {"seen": 0}), first_entry)
X = np.array([[1.0, 3.0], [2.0, 6.0]], np.float32)


def test_predictions_are_the_weighted_sum_over_views() -> None:
    model = averaged_views(MODEL, [(0.75, lambda x: x), (0.25, lambda x: x[:, ::-1])])
    outputs, stats = model.apply(2.0, {"seen": 0}, X)
    np.testing.assert_allclose(outputs, 2 * (0.75 * X[:, :1] + 0.25 * X[:, 1:]))
    assert stats == {"seen": 0}


def test_training_sees_the_inputs_alone() -> None:
    model = averaged_views(MODEL, [(1.0, lambda x: x[:, ::-1])])
    outputs, stats = model.apply(2.0, {"seen": 0}, X, train=True, key=None)
    np.testing.assert_allclose(outputs, 2 * X[:, :1])
    assert stats == {"seen": 1}


def test_there_must_be_a_view() -> None:
    with pytest.raises(ValueError, match="views must not be empty, got none"):
        averaged_views(MODEL, [])
