import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.typing import Array, Float, Integer, PRNGKey, typed


@typed
def weighted(
    x: Float[Array, "*batch k"],
    labels: Integer[Array, "*batch"],
    weights: Float[Array, "k"] | None = None,
    *,
    rate: float = 0.5,
) -> Float[Array, "*batch"]:
    """Scales."""
    return rate * x[..., 0] if weights is None else rate * (x @ jnp.asarray(weights))


@typed
def wrong(x: Float[Array, "n k"]) -> Float[Array, "n"]:
    return x


@typed
def draw(key: PRNGKey) -> Float[Array, ""]:
    return jax.random.uniform(key)


X, LABELS = jnp.ones((4, 3)), jnp.zeros(4, jnp.int32)


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        (
            (X, LABELS[:3]),
            {},
            "weighted: argument `labels` must be Integer[Array, '*batch'] with k=3, batch=(4,), got i32[3]",
        ),
        (
            (X, jnp.zeros(4)),
            {},
            "weighted: argument `labels` must be Integer[Array, '*batch'] with k=3, batch=(4,), got f32[4]",
        ),
        (
            (X, LABELS, np.ones(2)),
            {},
            "weighted: argument `weights` must be Float[Array, 'k'] with k=3, batch=(4,), got f64[2]",
        ),
        (([1.0], LABELS), {}, "weighted: argument `x` must be Float[Array, '*batch k'], got [1.0]"),
        ((X[0, 0], LABELS), {}, "weighted: argument `x` must be Float[Array, '*batch k'], got f32[]"),
        (
            (X, LABELS),
            {"rate": "high"},
            "weighted: argument `rate` must be float with k=3, batch=(4,), got 'high'",
        ),
        ((X, LABELS), {"rate": None}, "weighted: argument `rate` must be float with k=3, batch=(4,), got None"),
    ],
)
def test_a_wrong_argument_is_refused_in_one_line_with_its_name_the_expected_and_the_received(args, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        weighted(*args, **options)


def test_a_wrong_result_is_refused_in_one_line():
    with pytest.raises(
        ValueError, match=r"^wrong: the result must be Float\[Array, 'n'\] with n=4, k=3, got f32\[4,3\]$"
    ):
        wrong(X)


def test_a_violation_is_found_while_tracing():
    with pytest.raises(ValueError, match="argument `labels`"):
        jax.jit(weighted)(X, LABELS[:2])
    with pytest.raises(ValueError, match="argument `labels`"):
        jax.eval_shape(weighted, X, LABELS[:2])


def test_an_int_is_a_fine_float_and_an_array_is_none():
    assert weighted(X, LABELS, rate=2)[0] == 2
    with pytest.raises(ValueError, match="argument `rate` must be float"):
        weighted(X, LABELS, rate=jnp.float32(0.5))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32])
def test_numpy_and_jax_arrays_of_every_integer_width_are_labels(dtype):
    for labels in (np.zeros(4, dtype), jnp.zeros(4, dtype)):
        assert weighted(np.ones((4, 3), np.float32), labels).shape == (4,)


def test_a_check_survives_jit_grad_and_vmap():
    def total(x):
        return weighted(x, LABELS).sum()

    np.testing.assert_array_equal(jax.jit(jax.grad(total))(X)[0], [0.5, 0, 0])
    assert jax.vmap(weighted)(X, LABELS).shape == (4,)


def test_errors_of_the_function_itself_pass_through_unchanged():
    @typed
    def refuse(x: Float[Array, "n"]) -> Float[Array, "n"]:
        raise ValueError("smoothing must lie in [0, 1), got 1.5")

    with pytest.raises(ValueError, match=r"^smoothing must lie in \[0, 1\), got 1\.5$"):
        refuse(X[0])


def test_missing_and_unknown_arguments_stay_type_errors():
    with pytest.raises(TypeError, match="labels"):
        weighted(X)
    with pytest.raises(TypeError, match="smooth"):
        weighted(X, LABELS, smooth=1)


def test_name_docstring_and_signature_are_kept():
    assert (weighted.__name__, weighted.__doc__) == ("weighted", "Scales.")
    assert list(inspect.signature(weighted).parameters) == ["x", "labels", "weights", "rate"]


def test_only_typed_keys_are_keys():
    assert draw(jax.random.key(0)).shape == ()
    with pytest.raises(ValueError, match="argument `key`"):
        draw(jax.random.PRNGKey(0))
    with pytest.raises(ValueError, match="argument `key`"):
        draw(jax.random.split(jax.random.key(0)))


@typed
def sized(sizes: tuple[int, ...], scale: float = 1.0) -> int:
    """Nothing to do."""
    return sizes[-1]


def test_sizes_that_export_leaves_open_are_integers() -> None:
    open_sizes = jax.export.symbolic_shape("n, 3, 2*m")
    assert all(sized((*open_sizes, size), scale=size) == size for size in open_sizes for _ in range(20))
    with pytest.raises(ValueError, match=r"sized: argument `sizes` must be tuple\[int, \.\.\.\], got"):
        sized(("n",))
