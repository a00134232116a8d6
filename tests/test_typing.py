import inspect
import re
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.calls import CallError
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
        (
            ([1.0], LABELS),
            {},
            "weighted: argument `x` must be Float[Array, '*batch k'], got [1.0], which `jnp.asarray` makes an array",
        ),
        ((X[0, 0], LABELS), {}, "weighted: argument `x` must be Float[Array, '*batch k'], got f32[]"),
        (
            (X, LABELS),
            {"rate": "high"},
            "weighted: argument `rate` must be float, got 'high'",
        ),
        ((X, LABELS), {"rate": None}, "weighted: argument `rate` must be float, got None"),
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


def test_name_docstring_and_signature_are_kept():
    assert (weighted.__name__, weighted.__doc__) == ("weighted", "Scales.")
    assert list(inspect.signature(weighted).parameters) == ["x", "labels", "weights", "rate"]


def test_a_typed_key_and_a_raw_one_are_keys_and_many_are_not():
    assert draw(jax.random.key(0)) == draw(jax.random.PRNGKey(0)) == jax.jit(draw)(jax.random.PRNGKey(0))
    assert draw(np.asarray(jax.random.PRNGKey(0))) == draw(jax.random.key(0))
    rbg = jax.random.key(0, impl="rbg")
    assert draw(jax.random.key_data(rbg)) == draw(rbg)
    keys = jax.random.split(jax.random.PRNGKey(0), 3)
    np.testing.assert_array_equal(jax.vmap(draw)(keys), [draw(key) for key in keys])
    with pytest.raises(ValueError, match=r"argument `key` must be Key\[Array, ''\], got u32\[3,2\]$"):
        draw(keys)
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


@typed
def options(
    x: Float[Array, "n"] | None = None,
    *,
    rate: float | Float[Array, ""] = 0.5,
    window: int | tuple[int, int] = 1,
    labels: Sequence[int] | None = None,
    flag: bool = False,
    mode: Literal["a", "b"] | None = None,
    schedule: float | Callable[[int], float] = 1.0,
) -> tuple:
    """What it was given."""
    return rate, window, labels, flag


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"rate": np.float32(0.25)}, (0.25, 1, None, False)),
        ({"rate": np.int64(2), "window": np.uint8(3)}, (2, 3, None, False)),
        ({"window": (np.int32(2), np.int64(3)), "flag": np.bool_(True)}, (0.5, (2, 3), None, True)),
        ({"labels": np.array([3, 1])}, (0.5, 1, (3, 1), False)),
        ({"labels": jnp.array([3, 1])}, (0.5, 1, (3, 1), False)),
        ({"labels": [np.int64(3), 1]}, (0.5, 1, [3, 1], False)),
    ],
)
def test_numbers_and_vectors_of_numpy_are_numbers_and_sequences(given, plain):
    for _ in range(2):
        result = options(**given)
        assert result == plain
        assert [type(part) for part in jax.tree.leaves(result)] == [type(part) for part in jax.tree.leaves(plain)]


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"rate": "high"}, "`rate` must be float or Float[Array, ''], got 'high'"),
        ({"window": 0.5}, "`window` must be int or tuple[int, int], got 0.5"),
        ({"labels": np.array([0.5])}, "`labels` must be Sequence[int], got (0.5,)"),
        ({"mode": "c"}, "`mode` must be 'a' or 'b', got 'c'"),
        ({"schedule": "cosine"}, "`schedule` must be float or a function, got 'cosine'"),
        ({"rate": "high" * 50}, "`rate` must be float or Float[Array, ''], got '" + ("high" * 15)[:58] + "…"),
    ],
)
def test_the_sentence_names_types_of_python_first_and_stays_short(given, rule):
    with pytest.raises(ValueError, match=f"^options: argument {re.escape(rule)}$"):
        options(**given)


@pytest.mark.parametrize(
    ("args", "given", "rule"),
    [
        ((X,), {}, "argument `labels` is missing"),
        ((X, LABELS), {"smooth": 1}, "there is no argument `smooth`, only `x`, `labels`, `weights`, `rate`"),
        ((X, LABELS), {"rat": 1}, "there is no argument `rat`, did you mean `rate`?"),
        ((X, LABELS), {"wts": 1}, "there is no argument `wts`, did you mean `weights`?"),
        ((X, LABELS), {"labels": LABELS}, "argument `labels` is given by position and by name"),
        (
            (X, LABELS, None, 0.5),
            {},
            "takes at most 3 of its arguments by position (x, labels, weights), got 4, give the others by name, as in "
            "rate=…",
        ),
    ],
)
def test_a_call_that_does_not_fit_keeps_the_functions_name(args, given, rule):
    with pytest.raises(CallError, match=f"^weighted: {re.escape(rule)}$") as caught:
        weighted(*args, **given)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)


def test_a_function_within_others_has_their_public_names_alone() -> None:
    def maker():
        def _inner():
            @typed
            def update(x: Float[Array, "n"]) -> Float[Array, "n"]:
                return x

            return update

        return _inner()

    name = "test_a_function_within_others_has_their_public_names_alone.maker.update"
    with pytest.raises(ValueError, match=rf"^{name}: argument `x` must be"):
        maker()(3)
    with pytest.raises(CallError, match=rf"^{name}: argument `x` is missing"):
        maker()()


def test_a_second_call_of_the_same_kind_skips_the_check_and_another_kind_does_not():
    calls = []

    @typed
    def first(x: Float[Array, "n k"], *, rate: float = 1.0) -> Float[Array, "n"]:
        calls.append(rate)
        return x[:, 0]

    for rate in (1.0, 2.0):
        assert first(X, rate=rate).shape == (4,)
    for wrong in (X[0], X.astype(jnp.int32), np.zeros((2, 3), np.int64), [1.0]):
        with pytest.raises(ValueError, match="argument `x`"):
            first(wrong, rate=1.0)
    with pytest.raises(ValueError, match="argument `rate`"):
        first(X, rate="1.0")
    assert calls == [1.0, 2.0]
