from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from fjdl.optim.adam import adamw
from fjdl.optim.muon import muon, newton_schulz, scale_by_muon
from tests.support import assert_trees_close, float64

orthogonal = jax.jit(newton_schulz, static_argnames="product_dtype")


def first_update(transformation: optax.GradientTransformation) -> Any:
    """The jitted function of gradients that gives the first update."""
    return jax.jit(lambda gradients: transformation.update(gradients, transformation.init(gradients))[0])


def quintic(values: Any, steps: int) -> np.ndarray:
    """What the iteration makes of singular values that are at most 1."""
    for _ in range(steps):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return values


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (1, 6), (6, 1), (2, 3, 5, 2)])
def test_each_singular_value_follows_the_scalar_polynomial(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    matrix = 1e-3 * rng.standard_normal(shape)
    u, s, vh = np.linalg.svd(matrix, full_matrices=False)
    scaled = quintic(s / np.linalg.norm(s, axis=-1, keepdims=True), 5)
    with float64():
        actual = orthogonal(matrix)
    np.testing.assert_allclose(actual, u * scaled[..., None, :] @ vh, rtol=0, atol=1e-12)


def test_singular_values_end_near_one_or_have_grown_as_documented() -> None:
    values = np.asarray([0.9, 0.3, 0.1, 1 / 600, 1e-6])
    rest = np.sqrt(1 - np.sum(values**2))
    with float64():
        diagonal = np.diag(orthogonal(np.diag([*values, rest])))
    assert np.all((diagonal[[0, 1, 2, 3, 5]] > 0.68) & (diagonal[[0, 1, 2, 3, 5]] < 1.21))
    np.testing.assert_allclose(diagonal[4] / 1e-6, 3.4445**5, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e30, 1e-3])
def test_the_scale_of_the_matrix_does_not_matter(scale: float) -> None:
    matrix = np.asarray([[1.0, 2.0, 0.5], [0.3, -1.0, 0.7]], np.float32)
    scaled = np.float32(scale) * matrix
    np.testing.assert_allclose(orthogonal(scaled), orthogonal(matrix), rtol=1e-5, atol=1e-6)


def test_matrices_of_zeros_and_of_no_entries_stay_with_finite_gradients() -> None:
    np.testing.assert_array_equal(orthogonal(jnp.zeros((3, 2))), np.zeros((3, 2)))
    assert orthogonal(jnp.zeros((0, 2))).shape == (0, 2)
    assert orthogonal(jnp.zeros((2, 3, 0))).shape == (2, 3, 0)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(newton_schulz(x))))(jnp.zeros((3, 2)))
    np.testing.assert_allclose(gradient, 3.4445**5 / 1e-7, rtol=1e-5)
    assert np.isnan(orthogonal(jnp.asarray([[np.nan, 1.0], [0.0, 1.0]]))).all()


def test_matrices_below_eps_are_not_lifted_to_full_size() -> None:
    tiny = orthogonal(jnp.full((2, 2), 1e-12))
    np.testing.assert_allclose(tiny, 1e-12 / 1e-7 * 3.4445**5, rtol=1e-4)


def test_coarse_products_are_pytorch_s_and_near_the_exact_ones(rng: np.random.Generator) -> None:
    matrix = rng.standard_normal((6, 4)).astype(np.float32)
    coarse = orthogonal(matrix, product_dtype=jnp.bfloat16)
    theirs = torch.optim._muon._zeropower_via_newtonschulz(torch.tensor(matrix), (3.4445, -4.7750, 2.0315), 5, 1e-7)
    assert coarse.dtype == jnp.float32
    np.testing.assert_allclose(coarse, theirs.float(), atol=5e-2)
    np.testing.assert_allclose(coarse, orthogonal(matrix), atol=5e-2)
    assert jax.eval_shape(newton_schulz, jnp.asarray(matrix, jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_the_original_scale_is_pytorch_s_for_the_transposed_kernel(
    shape: tuple[int, int], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    kernel, gradient = rng.standard_normal((2, *shape))
    weight = torch.nn.Parameter(torch.tensor(kernel.T.copy()))
    weight.grad = torch.tensor(gradient.T.copy())
    torch.optim.Muon([weight], lr=0.1, weight_decay=0.0, momentum=0.8, nesterov=False).step()
    with float64():
        update = first_update(scale_by_muon(momentum=0.8, nesterov=False, update_rms=None))(gradient)
    np.testing.assert_allclose(kernel - 0.1 * np.asarray(update), weight.detach().numpy().T, atol=1e-12)


def of_conv(params: Any) -> Any:
    numbers = optax.contrib.MuonDimensionNumbers
    return {"conv": numbers((0, 1, 2), 3), "dense": numbers(0, 1), "bias": None}


@pytest.mark.parametrize("update_rms", [None, 0.2])
def test_without_nesterov_it_is_optax_s_convolution_kernels_included(
    update_rms: float | None, rng: np.random.Generator
) -> None:
    shapes = {"conv": (2, 2, 3, 4), "dense": (3, 5), "bias": (5,)}
    ours = muon(0.1, nesterov=False, update_rms=update_rms, momentum=0.9)
    theirs = optax.contrib.muon(
        0.1, beta=0.9, nesterov=False, consistent_rms=update_rms, muon_weight_dimension_numbers=of_conv
    )
    with float64():
        params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        states, steps = [jax.jit(x.init)(params) for x in (ours, theirs)], [jax.jit(x.update) for x in (ours, theirs)]
        for scale in (1.0, -2.0, 0.3):
            gradient = jax.tree.map(lambda p: scale * np.sin(9 * p), params)  # noqa: B023
            actual, states[0] = steps[0](gradient, states[0], params)
            expected, states[1] = steps[1](gradient, states[1], params)
            assert_trees_close(actual, expected, rtol=1e-5, atol=1e-7)


def test_with_nesterov_optax_corrects_for_bias_and_so_differs(rng: np.random.Generator) -> None:
    gradients = rng.standard_normal((2, 3, 4))
    ours, theirs = scale_by_muon(update_rms=None), optax.contrib.scale_by_muon()
    params = jnp.zeros((3, 4))
    states, steps = [ours.init(params), theirs.init(params)], [jax.jit(ours.update), jax.jit(theirs.update)]
    for gradient in np.asarray(gradients, np.float32):
        actual, states[0] = steps[0](gradient, states[0])
        expected, states[1] = steps[1](gradient, states[1])
    assert 1e-3 < np.max(np.abs(actual * np.sqrt(3 / 4) - expected)) < 1


def products(params: Any) -> int:
    """Those of the program for a CPU."""
    transformation = scale_by_muon()
    return jax.jit(transformation.update).lower(params, transformation.init(params)).as_text().count("dot_general ")


def test_matrices_of_one_shape_or_its_transpose_are_orthogonalized_together(rng: np.random.Generator) -> None:
    one = {"a": jnp.asarray(rng.standard_normal((3, 4)), jnp.float32)}
    many = {**one, **{name: jnp.asarray(rng.standard_normal((3, 4)), jnp.float32) for name in "bcd"}}
    many |= {"e": one["a"].T, "f": jnp.asarray(rng.standard_normal((1, 3, 1, 4)), jnp.float32)}
    assert products(one) == products(many) == 3
    assert products({**many, "g": jnp.zeros((5, 5))}) == 6
    update = first_update(scale_by_muon())
    together = update(many)
    for name, leaf in many.items():
        np.testing.assert_allclose(together[name], update(leaf), atol=1e-6)
    np.testing.assert_allclose(together["e"], together["a"].T, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_accelerators_get_the_same_from_matrices_that_are_not_turned(
    dtype: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = {"kernel": (3, 3, 4, 6), "wide": (4, 9), "tall": (9, 4), "square": (5, 5)}
    leaves = {
        name: rng.standard_normal((*s, 2)).astype(np.float32).view(np.complex64)[..., 0].astype(dtype)
        if dtype == np.complex64
        else rng.standard_normal(s).astype(dtype)
        for name, s in shapes.items()
    }
    on_cpu = first_update(scale_by_muon())(leaves)
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *operands, default, **_: default(*operands))
    elsewhere = first_update(scale_by_muon())(leaves)
    for name, expected in on_cpu.items():
        np.testing.assert_allclose(np.asarray(elsewhere[name]), np.asarray(expected), rtol=1e-4, atol=1e-4)


def test_kernels_of_one_shape_may_be_sharded_each_in_its_own_way(rng: np.random.Generator) -> None:
    mesh = jax.make_mesh((2, 2), ("data", "model"))
    specs = {"a": jax.P(None, "model"), "b": jax.P("data", "model"), "c": jax.P()}
    leaves = {name: jnp.asarray(rng.standard_normal((4, 8)), jnp.float32) for name in specs}
    spread = {name: jax.device_put(leaf, jax.NamedSharding(mesh, specs[name])) for name, leaf in leaves.items()}
    transformation = scale_by_muon()
    expected = first_update(transformation)(leaves)
    actual, _ = jax.jit(transformation.update)(spread, transformation.init(leaves))
    assert_trees_close(actual, expected, rtol=1e-5, atol=1e-6)
    assert {name: leaf.sharding.spec for name, leaf in actual.items()} == {
        name: jax.typeof(leaf).sharding.spec for name, leaf in spread.items()
    }


def test_rules_leave_embeddings_to_adamw_at_its_own_rate_and_decay(rng: np.random.Generator) -> None:
    params = {"embedding": jnp.asarray(rng.standard_normal((4, 3))), "gain": jnp.asarray(2.0), "kernel": jnp.eye(3)}
    rules = ((r"embedding", False), (r".*", True))
    optimizer = muon(0.1, matrix_rules=rules, adam_multiplier=0.5, weight_decay=0.3)
    rest = adamw(0.05, weight_decay=0.3)
    update, state = jax.jit(lambda p: optimizer.update(p, optimizer.init(p), p))(params)
    expected, _ = jax.jit(lambda p: rest.update(p, rest.init(p), p))(params)
    for name in ("embedding", "gain"):
        np.testing.assert_allclose(update[name], expected[name], rtol=1e-6)
    rms = quintic(1 / np.sqrt(3), 5) * 0.2 * np.sqrt(3)  # of the identity, whose entries have RMS 1 / √3
    np.testing.assert_allclose(update["kernel"], -0.1 * (rms + 0.3) * np.eye(3), atol=1e-6)
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) == 9 + 2 * 13 + 2  # m; m and v; two counters


def test_the_mean_can_be_kept_in_bfloat16() -> None:
    gradient = jnp.asarray([[1.0, 2.3], [0.1, -1.0]])
    transformation = scale_by_muon(mean_dtype=jnp.bfloat16)
    update, state = jax.jit(lambda g: transformation.update(g, transformation.init(g)))(gradient)
    assert state.mean.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(state.mean), 0.05 * gradient, rtol=2**-8)
    np.testing.assert_allclose(update, first_update(scale_by_muon())(gradient), atol=1e-6)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda: muon(0.1, momentum=1.0), r"momentum must lie in \[0, 1\), got 1.0"),
        (lambda: muon(0.1, steps=0), "steps must be positive, got 0"),
        (lambda: muon(0.1, update_rms=0.0), "update_rms must be positive, got 0.0"),
        (lambda: muon(0.1, adam_multiplier=0.0), "adam_multiplier must be positive, got 0.0"),
        (lambda: muon(0.1, b1=-0.1), r"b1 must lie in \[0, 1\), got -0.1"),
        (lambda: newton_schulz(jnp.ones((2, 2)), eps=0.0), "eps must be positive, got 0.0"),
        (lambda: newton_schulz(jnp.ones(2)), "newton_schulz: argument `matrix` must be"),
        (lambda: muon(0.1, matrix_rules=[("kernel", True)]).init({"a": jnp.ones(2)}), r"none matches \['a'\]"),
        (
            lambda: scale_by_muon().update(jnp.ones(2), scale_by_muon().init(jnp.ones(2))),
            r"Muon moves leaves with two or more dimensions, got shape \(2,\)",
        ),
    ],
)
def test_options_outside_of_their_range_are_refused(factory: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        factory()
