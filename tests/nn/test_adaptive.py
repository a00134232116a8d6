import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import nn, tree
from fjdl.optim import KERNELS, add_decayed_weights

IDS = jnp.array([[0, 2, 3], [6, 8, 9]])


@pytest.mark.by_day_on_pin(0)
def test_vectors_are_of_unit_length_in_every_cluster_and_no_word_beyond_the_last_has_one() -> None:
    module, ids = nn.AdaptiveEmbedding(900, 64, (300, 600), rate=0.5), jnp.arange(901)
    params = module.init(jax.random.key(0), ids)
    vectors = module.apply(params, ids)
    assert np.isnan(vectors[900]).all()
    for start in (0, 300, 600):
        assert np.mean(np.sum(np.square(vectors[start : start + 300]), -1)) == pytest.approx(1, rel=0.35)
    dropped = module.apply(params, ids[:900], train=True, rngs={"dropout": jax.random.key(1)})
    zero = ~np.any(np.asarray(dropped), axis=1)
    assert [bool(100 < zero[start : start + 300].sum() < 200) for start in (0, 300, 600)] == [True] * 3
    np.testing.assert_allclose(dropped[~zero], 2 * vectors[:900][~zero], rtol=1e-4, atol=1e-6)


@pytest.mark.by_day_on_pin(1)
def test_decay_reaches_the_projections_and_the_columns_of_clusters_and_vectors_have_the_dtype() -> None:
    module = nn.AdaptiveEmbedding(9, 8, (3, 7), factor=2, dtype=jnp.bfloat16)
    params = module.init(jax.random.key(0), jnp.ones((2, 8)), method="log_probabilities")["params"]
    zeros = jax.tree.map(jnp.zeros_like, params)
    optimizer = add_decayed_weights(1.0, rules=KERNELS)
    moved, _ = optimizer.update(zeros, optimizer.init(params), params)
    changed = {name for name, x in zip(tree.names(moved), jax.tree.leaves(moved), strict=True) if x.any()}
    assert changed == {"clusters/kernel", "projections_0/kernel", "projections_1/kernel"}
    assert module.apply({"params": params}, IDS).dtype == jnp.bfloat16
    bound, scores, every = module.bind({"params": params}), 8 * (3 + 2), 4 * (8 + 4) + 2 * (8 + 2)
    layer, cost = bound.cost((3,)), bound.log_probabilities_cost((3, 8))
    assert (layer.output, layer.parameters) == ((3, 8), 3 * 8 + 4 * 4 + 2 * 2 + 8 * (4 + 2 + 2))
    assert (cost.output, cost.macs) == ((3, 9), 3 * (scores + every))


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"cutoffs": (3, 3)}, r"cutoffs must rise from above 0 to below the vocabulary of 9, got \(3, 3\)"),
        ({"cutoffs": (9,)}, "cutoffs must rise"),
        ({"cutoffs": ()}, "cutoffs must rise"),
        ({"cutoffs": (3,), "shares": (0.1, 0.2)}, "shares must have one number for each of the cutoffs"),
    ],
)
def test_cutoffs_and_shares_that_fit_nothing_are_refused(options, rule) -> None:
    with pytest.raises(ValueError, match=rule):
        nn.AdaptiveEmbedding(9, 8, **options).init(jax.random.key(0), IDS)
