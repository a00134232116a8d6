import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import tree
from fjdl.optim.adam import adam
from fjdl.optim.decay import KERNELS
from fjdl.optim.lamb import lamb
from tests.support import assert_trees_close


def test_each_leaf_moves_by_the_learning_rate_times_its_norm(rng: np.random.Generator) -> None:
    params = {"kernel": jnp.asarray(rng.standard_normal((3, 2))), "bias": jnp.asarray(rng.standard_normal(2))}
    gradient = jax.tree.map(lambda p: 1e3 * jnp.square(p), params)
    optimizer = lamb(0.1, weight_decay=0.01)
    update, _ = optimizer.update(gradient, optimizer.init(params), params)
    for name, leaf in params.items():
        np.testing.assert_allclose(tree.global_norm(update[name]), 0.1 * tree.global_norm(leaf), rtol=1e-6)


def test_what_rules_spare_moves_as_under_adam(rng: np.random.Generator) -> None:
    params = {"kernel": jnp.asarray(rng.standard_normal((3, 2))), "bias": jnp.asarray(rng.standard_normal(2))}
    optimizers = lamb(0.1, weight_decay=0.5, decay_rules=KERNELS, trust_rules=KERNELS), adam(0.1, eps=1e-6)
    updates = [optimizer.update(params, optimizer.init(params), params)[0] for optimizer in optimizers]
    assert_trees_close(updates[0]["bias"], updates[1]["bias"])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"b2": 1.0}, r"b2 must lie in \[0, 1\), got 1.0"), ({"eps": 0.0}, "eps must be positive, got 0.0")],
)
def test_options_outside_of_their_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lamb(0.1, **options)
