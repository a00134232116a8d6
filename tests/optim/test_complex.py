"""Complex parameters: nothing of them is dropped, and squares are those of the modulus."""

import cmath
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import optim, tree
from tests.optim.table import EVERYTHING, ROWS, Part, Row, by_part
from tests.support import assert_trees_close, float64

TURN = cmath.exp(0.7j)
SHAPES = {"kernel": (4, 3), "bias": (3,)}


def parts(*, real_only: bool) -> pytest.MarkDecorator:
    return by_part({name: part for name, part in EVERYTHING.items() if part.real_only is real_only})


def values(part: Part, *, seed: int = 0, imaginary: float = 1.0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)

    def drawn(shape: tuple[int, ...]) -> Any:
        return jnp.asarray(rng.standard_normal(shape) + 1j * imaginary * rng.standard_normal(shape), jnp.complex64)

    return {name: drawn(shape) for name, shape in SHAPES.items() if part.vectors or len(shape) > 1}


def three_updates(part: Part, factor: Any, **options: Any) -> list[Any]:
    """The updates for the same three gradients, these and the parameters times `factor`."""
    optimizer = part.build()
    params = jax.tree.map(lambda p: factor * p, values(part, **options))
    state, results = optimizer.init(params), []
    for seed in (1, 2, 3):
        grads = jax.tree.map(lambda g: factor * g, values(part, seed=seed, **options))
        updates, state = optimizer.update(grads, state, params, **part.extra(params))
        params = optax.apply_updates(params, updates)
        results.append(updates)
    return results


@parts(real_only=False)
def test_complex_updates_turn_with_the_numbers_and_are_the_real_ones_where_these_are_real(part: Part) -> None:
    plain, around, flat, real = all_updates(part)
    assert {leaf.dtype for leaf in jax.tree.leaves(plain)} == {jnp.dtype(jnp.complex64)}
    if part.turns and not part.random:
        turned = jax.tree.map(lambda u: np.asarray(u) / TURN, around)
        for a, b in zip(jax.tree.leaves(turned), jax.tree.leaves(plain), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)
    if not part.random:
        for a, b in zip(jax.tree.leaves(flat), jax.tree.leaves(real), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


def all_updates(part: Part) -> Any:
    """The updates of the numbers, of turned ones, of those without imaginary parts, and of the real ones: a program."""
    flat = {"imaginary": 0.0}

    def program() -> Any:
        plain = three_updates(part, 1.0)
        around = three_updates(part, TURN) if part.turns and not part.random else None
        return plain, around, *((three_updates(part, 1.0, **flat), real_updates(part)) if not part.random else (0, 0))

    return jax.jit(program)()


def real_updates(part: Part) -> list[Any]:
    real = part._replace(factory=lambda *args, **options: _of_real(part.factory(*args, **options)))
    return three_updates(real, 1.0, imaginary=0.0)


def _of_real(inner: Any) -> Any:
    """The transformation of the real parts."""

    def real(values: Any) -> Any:
        return jax.tree.map(jnp.real, values)

    return optax.GradientTransformationExtraArgs(
        lambda params: inner.init(real(params)),
        lambda updates, state, params, **extra: inner.update(real(updates), state, real(params), **extra),
    )


@parts(real_only=True)
def test_what_moves_real_leaves_alone_says_so(part: Part) -> None:
    with pytest.raises(ValueError, match="moves real leaves, got one of complex64"):
        three_updates(part, 1.0)


# optax's adadelta squares complex gradients without their modulus.
OPTAX = {name: row for name, row in ROWS.items() if row.optax and not row.real_only and name != "adadelta"}


@pytest.mark.parametrize("row", OPTAX.values(), ids=OPTAX.keys())
def test_three_complex_updates_equal_optax(row: Row) -> None:
    theirs = Part(row.optax, (0.01,))  # type: ignore[arg-type]  # chosen above
    both = jax.jit(lambda: (three_updates(Part(row.ours, (0.01,)), 1.0), three_updates(theirs, 1.0)))()
    for a, b in zip(*both, strict=True):
        for ours, expected in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
            np.testing.assert_allclose(ours, expected, rtol=2e-4, atol=1e-6)


NUMBERS = jnp.asarray([3 + 4j, 1j, 2], jnp.complex64)


def test_descent_norms_and_clipping_by_hand() -> None:
    updates, _ = optim.sgd(0.1).update(NUMBERS, optim.sgd(0.1).init(NUMBERS), NUMBERS)
    np.testing.assert_allclose(updates, [-0.3 - 0.4j, -0.1j, -0.2], rtol=1e-6)
    assert tree.global_norm(NUMBERS) == pytest.approx(30**0.5, rel=1e-6)
    for clip in (optim.clip_by_global_norm(1.0), optim.clip_by_norm(1.0), optim.clip_by_leaf_rms(3**-0.5)):
        np.testing.assert_allclose(
            clip.update(NUMBERS, clip.init(NUMBERS))[0], np.asarray(NUMBERS) / 30**0.5, rtol=1e-6
        )
    gradients = jnp.stack([NUMBERS, jnp.zeros_like(NUMBERS)])
    np.testing.assert_allclose(
        optim.per_example_clip(gradients, max_norm=1.0), np.asarray(NUMBERS) / 30**0.5 / 2, rtol=1e-6
    )


def test_a_norm_of_complex_numbers_has_a_gradient_and_does_not_overflow() -> None:
    assert tree.global_norm(1e30 * NUMBERS) == pytest.approx(1e30 * 30**0.5, rel=1e-6)
    gradient = jax.grad(tree.global_norm)(NUMBERS)
    np.testing.assert_allclose(gradient, np.conj(NUMBERS) / 30**0.5, rtol=1e-6)
    np.testing.assert_array_equal(jax.grad(tree.global_norm)(0 * NUMBERS), 0)


def test_averages_of_parameters_stay_complex() -> None:
    average = optim.ema_update(optim.ema_init(NUMBERS), 3 * NUMBERS, decay=0.5)
    np.testing.assert_allclose(average, 2 * np.asarray(NUMBERS), rtol=1e-6)
    np.testing.assert_allclose(optim.swa_update(optim.swa_init(NUMBERS), 1j * NUMBERS).mean, 1j * np.asarray(NUMBERS))


def test_a_real_dtype_of_state_or_gradient_beside_complex_parameters_is_refused() -> None:
    for optimizer in (optim.adam(0.1, mean_dtype=jnp.bfloat16), optim.momentum(0.1, velocity_dtype=jnp.float32)):
        with pytest.raises(ValueError, match="the state of a complex parameter cannot be kept in"):
            optimizer.init(NUMBERS)
    decay = optim.add_decayed_weights(0.1)
    with pytest.raises(ValueError, match="the gradient of a complex parameter must be complex, got float32"):
        decay.update(jnp.ones(3), decay.init(NUMBERS), NUMBERS)


def test_skipped_complex_updates_leave_every_bit() -> None:
    guarded = optim.skip_non_finite(optim.sgd(0.1))
    weights = jnp.asarray([complex(-0.0, -0.0), 1 - 0j], jnp.complex64)
    updates, state = guarded.update(weights * jnp.nan, guarded.init(weights), weights)
    assert tree.digest(optax.apply_updates(weights, updates)) == tree.digest(weights)
    assert state.skipped == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("method", ["lbfgs", "backtracking"])
def test_a_line_search_over_complex_numbers_is_that_over_their_parts(method: str) -> None:
    rng = np.random.default_rng(0)
    matrix, goal = rng.standard_normal((4, 4)) + 1j * rng.standard_normal((4, 4)), rng.standard_normal(4)

    def of_parts(w: Any) -> Any:
        return loss(jax.lax.complex(w[0], w[1]))

    def loss(w: Any) -> Any:
        return jnp.sum(jnp.square(jnp.abs(jnp.tanh(matrix @ w) - goal)))

    def run(value_fn: Any, w: Any) -> Any:
        parts = [optim.lbfgs(memory=3)] if method == "lbfgs" else [optim.sgd(1.0), optim.scale_by_backtracking()]
        optimizer = optim.chain(*parts)
        state, update = optimizer.init(w), jax.jit(lambda g, s, w: optimizer.update(g, s, w, value_fn=value_fn))
        for _ in range(4):
            updates, state = update(jnp.conj(jax.grad(value_fn)(w)), state, w)
            w = optax.apply_updates(w, updates)
        return w

    with float64():
        start = jnp.asarray(rng.standard_normal((2, 4)))
        real, imaginary = run(of_parts, start)
        w = run(loss, jax.lax.complex(*start))
    assert_trees_close((w.real, w.imag), (real, imaginary), rtol=1e-8, atol=1e-10)
