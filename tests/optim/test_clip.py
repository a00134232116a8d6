from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from fjdl import optim
from fjdl.optim.clip import adaptive_clip, clip_by_norm, clip_by_value, per_example_clip
from tests.support import assert_trees_close


def clipped(grads: object, max_norm: float = 1.0) -> dict:
    transformation = optim.clip_by_global_norm(max_norm)
    return jax.jit(transformation.update)(grads, transformation.init(grads))[0]


def test_equals_optax_and_torch(rng: np.random.Generator) -> None:
    grads = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in [("a", (3, 2)), ("b", (4,))]}
    tensors = {name: torch.nn.Parameter(torch.zeros(g.shape)) for name, g in grads.items()}
    for name, tensor in tensors.items():
        tensor.grad = torch.tensor(grads[name])
    torch.nn.utils.clip_grad_norm_(tensors.values(), 0.5)
    actual = clipped(grads, 0.5)
    assert_trees_close(actual, {name: tensor.grad.numpy() for name, tensor in tensors.items()}, rtol=1e-5)
    theirs = optax.clip_by_global_norm(0.5)
    assert_trees_close(actual, theirs.update(grads, theirs.init(grads))[0])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_gradients_of_1e30_are_shrunk_right(dtype: object) -> None:
    actual = clipped({"a": jnp.asarray([3e30, 0.0], dtype), "b": jnp.asarray([4e30], dtype)})
    np.testing.assert_allclose(np.asarray(actual["a"], np.float32), [0.6, 0.0], rtol=1e-2)
    np.testing.assert_allclose(np.asarray(actual["b"], np.float32), [0.8], rtol=1e-2)
    assert actual["a"].dtype == dtype


def test_a_smaller_norm_passes_to_the_bit(rng: np.random.Generator) -> None:
    grads = {"a": (1e-3 * rng.standard_normal(5)).astype(np.float32)}
    np.testing.assert_array_equal(clipped(grads)["a"], grads["a"])


def test_zero_stays_zero() -> None:
    np.testing.assert_array_equal(clipped({"a": jnp.zeros(3)})["a"], 0.0)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_one_bad_entry_shows_in_every_leaf(bad: float) -> None:
    actual = clipped({"a": jnp.asarray([1.0, bad]), "b": jnp.ones(2)})
    assert all(np.isnan(leaf).all() for leaf in actual.values())


@pytest.mark.parametrize("max_norm", [0.0, -1.0])
def test_a_limit_that_is_not_positive_is_refused(max_norm: float) -> None:
    with pytest.raises(ValueError, match=f"max_norm must be positive, got {max_norm}"):
        optim.clip_by_global_norm(max_norm)


def updated(transformation: optax.GradientTransformation, grads: object, params: object = None) -> dict:
    return jax.jit(transformation.update)(grads, transformation.init(grads), params)[0]


GRADS = {"kernel": np.float32([[3, 0.3], [-4, 0.4]]), "bias": np.float32([0.0, 0.0]), "gain": np.float32(-7.0)}


def test_every_leaf_has_its_own_norm() -> None:
    actual = updated(clip_by_norm(1.0), GRADS)
    np.testing.assert_allclose(actual["kernel"], GRADS["kernel"] / np.linalg.norm(GRADS["kernel"]), rtol=1e-6)
    np.testing.assert_array_equal(actual["bias"], 0.0)
    np.testing.assert_array_equal(actual["gain"], -1.0)
    small = {"a": np.float32([0.6, -0.8])}
    np.testing.assert_array_equal(updated(clip_by_norm(1.0), small)["a"], small["a"])


def test_a_bad_leaf_is_nan_by_itself_and_a_huge_one_is_shrunk_right() -> None:
    grads = {"a": np.float32([np.inf, 1]), "b": np.float32([3e30, 4e30]), "c": np.zeros(0, np.float32)}
    actual = updated(clip_by_norm(1.0), grads)
    assert np.isnan(actual["a"]).all()
    np.testing.assert_allclose(actual["b"], [0.6, 0.8], rtol=1e-6)
    assert actual["c"].shape == (0,)


def test_values_are_clipped_as_by_torch_and_optax() -> None:
    grad = np.float32([-5, -0.5, -0.0, 0.25, 3, np.inf, -np.inf, np.nan])
    tensor = torch.nn.Parameter(torch.zeros(8))
    tensor.grad = torch.tensor(grad)
    torch.nn.utils.clip_grad_value_([tensor], 0.5)
    actual = updated(clip_by_value(0.5), {"a": grad})["a"]
    np.testing.assert_array_equal(actual, tensor.grad.numpy())
    np.testing.assert_array_equal(actual, updated(optax.clip(0.5), {"a": grad})["a"])


@pytest.mark.parametrize("shape", [(), (4,), (5, 3), (3, 2, 4, 6), (2, 2, 2, 3, 4)])
def test_adaptive_clipping_equals_optax(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    grads = {"w": rng.standard_normal(shape).astype(np.float32)}
    params = {"w": rng.standard_normal(shape).astype(np.float32) * np.float32(10.0 ** rng.uniform(-2, 2, shape[-1:]))}
    actual = updated(adaptive_clip(0.3), grads, params)
    assert_trees_close(actual, updated(optax.adaptive_grad_clip(0.3), grads, params))


def test_the_unit_of_a_kernel_with_three_axes_is_all_but_the_last_where_optax_takes_the_first() -> None:
    grads, params = {"w": np.ones((2, 3, 4), np.float32)}, {"w": np.ones((2, 3, 4), np.float32)}
    grads["w"][0, 0] = 10
    unit = np.sqrt(100 + 5)
    actual = updated(adaptive_clip(0.1), grads, params)["w"]
    np.testing.assert_allclose(actual, grads["w"] * 0.1 * np.sqrt(6) / unit, rtol=1e-6)
    assert np.any(np.abs(actual - updated(optax.adaptive_grad_clip(0.1), grads, params)["w"]) > 1e-3)


def test_adaptive_clipping_lets_zeros_learn_and_bad_units_show_by_themselves() -> None:
    grads = {"w": np.float32([[1, np.nan, 1e30], [0, 1, 0]]), "none": np.zeros((3, 0), np.float32)}
    params = {"w": np.zeros((2, 3), np.float32), "none": np.zeros((3, 0), np.float32)}
    actual = updated(adaptive_clip(0.1, eps=1e-2), grads, params)["w"]
    np.testing.assert_allclose(actual, np.float32([[1e-3, np.nan, 1e-3], [0, np.nan, 0]]), rtol=1e-5)
    with pytest.raises(ValueError, match="params must be given to adaptive_clip"):
        adaptive_clip(0.1).update(grads, optax.EmptyState())


def test_every_example_is_clipped_before_the_mean(rng: np.random.Generator) -> None:
    grads = {"a": rng.standard_normal((6, 2, 3)).astype(np.float32), "b": rng.standard_normal((6,)).astype(np.float32)}
    grads["a"][2:4] *= 1e-2
    grads["b"][2:4] *= 1e-2
    leaves, structure = jax.tree.flatten(grads)
    theirs, clipped_count = optax.per_example_global_norm_clip(leaves, 1.0)
    actual = jax.jit(lambda g: per_example_clip(g, max_norm=1.0))(grads)
    assert_trees_close(actual, jax.tree.unflatten(structure, [leaf / 6 for leaf in theirs]))
    assert int(clipped_count) == 4


def test_one_example_moves_the_mean_by_no_more_than_its_share() -> None:
    grads = {"w": jnp.asarray([[3e30, 4e30], [0, 0], [0, 0], [0, 0]])}
    np.testing.assert_allclose(per_example_clip(grads, max_norm=2.0)["w"], [0.3, 0.4], rtol=1e-6)


def test_per_example_edges() -> None:
    clipped = jax.jit(partial(per_example_clip, max_norm=1.0))
    coarse = clipped({"w": np.full((300, 1), 0.1, jnp.bfloat16)})["w"]
    assert coarse.dtype == jnp.bfloat16
    np.testing.assert_array_equal(coarse, jnp.asarray([0.1], jnp.bfloat16))
    np.testing.assert_array_equal(clipped({"w": np.zeros((0, 2), np.float32)})["w"], 0.0)
    assert per_example_clip({}, max_norm=1.0) == {}
    bad = {"w": np.float32([[1.0], [np.inf]]), "v": np.ones((2, 3), np.float32)}
    assert all(np.isnan(leaf).all() for leaf in clipped(bad).values())
    for shapes in ([(2, 3), (3,)], [(2,), ()]):
        with pytest.raises(ValueError, match="gradients must share a first axis of examples, got shapes"):
            per_example_clip([np.zeros(shape, np.float32) for shape in shapes], max_norm=1.0)


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (clip_by_norm, "max_norm"),
        (clip_by_value, "limit"),
        (adaptive_clip, "ratio"),
        (lambda bad: adaptive_clip(0.1, eps=bad), "eps"),
        (lambda bad: per_example_clip({}, max_norm=bad), "max_norm"),
    ],
)
def test_limits_that_are_not_positive_are_refused(build: object, name: str) -> None:
    for bad in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match=f"{name} must be positive, got {bad}"):
            build(float(bad))  # type: ignore[operator]
