"""The outputs of the parts of modules, and others in their place."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.nn import observed, parts, pure
from tests.nn.test_trace import KEY, VARIABLES, Net, Twice, X

STATS = {name: values for name, values in VARIABLES.items() if name != "params"}


def test_parts_are_named_in_order_and_one_that_runs_again_has_a_number() -> None:
    model = pure(Net())
    shapes = parts(lambda x: model.apply(VARIABLES["params"], STATS, x)[0], X)
    assert {name: part.shape for name, part in shapes.items()} == {
        "block0/conv": (2, 6, 6, 4),
        "block0/norm": (2, 6, 6, 4),
        "block0": (2, 6, 6, 4),
        "block1/conv": (2, 6, 6, 4),
        "block1/norm": (2, 6, 6, 4),
        "block1": (2, 6, 6, 4),
        "pool": (2, 3, 3, 4),
        "mean": (2, 4),
        "logits": (2, 5),
    }
    again = pure(Twice())
    params, _ = jax.eval_shape(again.init, KEY, jnp.zeros((1, 3)))
    assert list(parts(again.apply, params, {}, jnp.zeros((1, 3)))) == [
        "shared",
        "shared (2)",
        "shared (3)",
        "shared (2) like",
    ]


def test_a_part_that_is_replaced_cuts_the_network_in_two() -> None:
    """The head of the pool's output is a mean over pixels and a dense layer."""
    model = pure(Net())
    watch = observed(lambda x: model.apply(VARIABLES["params"], STATS, x)[0], names=("pool", "mean"))

    @jax.jit
    def run(x: Any, pooled: Any) -> Any:
        plain, found = watch(x)
        changed, _ = watch(x, replaced={"pool": pooled})
        slope = jax.grad(lambda part: watch(x, replaced={"pool": part})[0].sum())(found["pool"])
        return plain, found, changed, slope

    pooled = jax.random.normal(jax.random.key(1), (2, 3, 3, 4))
    plain, found, changed, slope = run(X, pooled)
    kernel, bias = (np.asarray(VARIABLES["params"]["logits"][name]) for name in ("kernel", "bias"))
    np.testing.assert_allclose(found["mean"], np.mean(found["pool"], axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(plain, found["mean"] @ kernel + bias[None], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(changed, pooled.mean(axis=(1, 2)) @ kernel + bias[None], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slope, np.broadcast_to(kernel.sum(axis=1) / 9, slope.shape), rtol=1e-5)


def test_a_part_that_does_not_exist_is_refused_with_those_that_do() -> None:
    model, x = pure(Twice(times=2)), jnp.zeros((1, 3))
    params, _ = model.init(KEY, x)
    expected = r"^names must be among the parts shared, shared \(2\), shared \(2\) like, got 'conv9'$"
    with pytest.raises(ValueError, match=expected):
        observed(model.apply, names=["conv9"])(params, {}, x)
    with pytest.raises(ValueError, match=expected):
        observed(model.apply)(params, {}, x, replaced={"conv9": x})
