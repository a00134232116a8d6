from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.interpret import fgsm, logit_margin, pgd, pgd_l2, robust_accuracy, targeted_gradient
from fjdl.interpret.rounding import inside, moved_inward, norm_from_above
from tests.support import count_traces

KEY = jax.random.key(0)
WEIGHTS = np.array([[1.0, -1.0], [2.0, 0.0], [0.0, 3.0], [0.5, 0.5]], np.float32)  # of 4 entries and 2 classes


def linear(x: Any) -> Any:
    return x @ jnp.asarray(WEIGHTS, x.dtype)


def images(rng: np.random.Generator, dtype: Any = np.float32, n: int = 64, d: int = 96) -> Any:
    """Entries in [0, 1], some at the ends."""
    x = rng.uniform(-0.1, 1.1, (n, d)).clip(0, 1).astype(np.float32)
    return jnp.asarray(x).astype(dtype)


def wide(x: Any) -> np.ndarray:
    return np.asarray(x.astype(jnp.float32), np.float64)


def random_network(d: int = 96, k: int = 5) -> Any:
    rng = np.random.default_rng(1)
    first, second = (rng.standard_normal(s).astype(np.float32) / np.float32(s[0]) ** 0.5 for s in ((d, 8), (8, k)))
    return lambda x: jnp.tanh(x @ jnp.asarray(first, x.dtype)) @ jnp.asarray(second, x.dtype)


def test_fgsm_of_a_linear_network_is_the_worst_point_of_the_ball() -> None:
    """The loss of class 0 grows along w₁ - w₀ = (-2, -2, 3, 0); the last entry does not matter and stays."""
    x = jnp.array([[0.5, 0.05, 0.95, 0.5]])

    @jax.jit
    def run(x: Any) -> Any:
        target = fgsm(linear, x, jnp.array([1]), radius=0.125, targeted=True, low=-1.0, high=2.0)
        return fgsm(linear, x, jnp.array([0]), radius=0.125), target

    found, target = run(x)
    np.testing.assert_array_equal(found, np.float32([[0.375, 0.0, 1.0, 0.5]]))
    np.testing.assert_allclose(target, [[0.375, -0.075, 1.075, 0.5]], rtol=3e-7)


@pytest.mark.parametrize("name", ["fgsm", "pgd", "pgd_l2"])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_attacks_stay_inside_of_the_ball_and_the_box_to_the_last_bit(
    name: str, dtype: Any, rng: np.random.Generator
) -> None:
    """Differences of stored numbers are exact in float64, and so are the radii."""
    x, classes, network = images(rng, dtype), jnp.asarray(rng.integers(0, 5, 64)), random_network()
    attacks = {
        "fgsm": lambda x, radius: fgsm(network, x, classes, radius=radius),
        "pgd": lambda x, radius: pgd(KEY, network, x, classes, radius=radius, step=radius / 3, steps=4),
        "pgd_l2": lambda x, radius: pgd_l2(KEY, network, x, classes, radius=radius, step=radius / 2, steps=4),
    }
    run = jax.jit(attacks[name])
    for radius in (0.03, 0.1, 8 / 255):
        found = run(x, inside(radius, jnp.float32, below=True))
        assert found.dtype == dtype
        change = wide(found) - wide(x)
        size = np.abs(change) if name != "pgd_l2" else np.linalg.norm(change, axis=1)
        assert 0.5 * radius < size.max() <= radius
        assert wide(found).min() >= 0
        assert wide(found).max() <= 1
        if name == "fgsm":
            free = (wide(x) >= radius) & (wide(x) <= 1 - radius)
            assert np.median(size[free]) >= radius * (1 - (1e-6 if dtype == jnp.float32 else 0.2))


def test_a_radius_of_python_is_rounded_down(rng: np.random.Generator) -> None:
    """The float32 nearest to 0.1 is larger than 0.1."""
    x = jnp.asarray(rng.integers(0, 2, (4, 96)), jnp.float32)
    found = jax.jit(lambda x: fgsm(random_network(), x, jnp.zeros(4, int), radius=0.1))(x)
    assert 0.0999999 < np.abs(wide(found) - wide(x)).max() <= 0.1


def test_a_step_of_the_radius_from_the_input_is_fgsm(rng: np.random.Generator) -> None:
    x, classes, network = images(rng), jnp.zeros(64, int), random_network()

    @jax.jit
    def run(x: Any) -> Any:
        one = pgd(KEY, network, x, classes, radius=0.1, step=0.2, steps=1, random_start=False)
        return one, fgsm(network, x, classes, radius=0.1)

    np.testing.assert_array_equal(*run(x))


@pytest.mark.by_day_on_pin(1)
def test_projected_steps_raise_the_loss_and_targets_are_reached(rng: np.random.Generator) -> None:
    x, network = images(rng), random_network()
    classes = jnp.argmax(network(x), axis=1)
    margins = [float(logit_margin(network(x), classes).mean())]
    for attack in (
        lambda: fgsm(network, x, classes, radius=0.05),
        lambda: pgd(KEY, network, x, classes, radius=0.05, step=0.02, steps=10, loss=logit_margin),
    ):
        margins.append(float(jax.jit(lambda attack=attack: logit_margin(network(attack()), classes).mean())()))
    assert margins[0] < 0
    assert margins == sorted(margins)
    target = (classes + 1) % 5
    pulled = jax.jit(lambda penalty: targeted_gradient(network, x, target, step=0.3, steps=60, penalty=penalty))
    for found in (
        jax.jit(lambda: pgd(KEY, network, x, target, radius=0.5, step=0.1, steps=20, targeted=True))(),
        pulled(0.01),
    ):
        assert float(jnp.mean(jnp.argmax(network(found), axis=1) == target)) > 0.9
    near = pulled(1.0)
    assert np.linalg.norm(near - x) < np.linalg.norm(found - x)
    assert np.asarray(found).min() >= 0
    assert np.asarray(found).max() <= 1


def test_the_euclidean_step_of_a_linear_network_goes_along_its_weights() -> None:
    """From x along w₁ - w₀ = (-2, -2, 3, 0) of length √17, by the radius."""
    x = jnp.full((1, 4), 0.5)
    found = pgd_l2(KEY, linear, x, jnp.array([0]), radius=0.2, step=1.0, steps=3, random_start=False)
    np.testing.assert_allclose(found - x, 0.2 * np.array([[-2, -2, 3, 0]]) / np.sqrt(17), rtol=1e-5, atol=1e-7)


def test_starts_are_drawn_from_the_whole_ball(rng: np.random.Generator) -> None:
    """Of a network that gives no gradient, so that nothing moves behind the start."""
    x, points = images(rng), jnp.full((4096, 2), 0.5)
    flat = lambda x: jnp.zeros((x.shape[0], 3)) * x[:, :1]  # noqa: E731
    options: dict[str, Any] = {"radius": 0.25, "step": 0.1, "steps": 1}

    @jax.jit
    def run(x: Any, points: Any) -> Any:
        classes, many = jnp.zeros(x.shape[0], int), jnp.zeros(points.shape[0], int)
        still = pgd(KEY, flat, x, classes, random_start=False, **options)
        return pgd(KEY, flat, x, classes, **options), pgd_l2(KEY, flat, points, many, **options), still

    start, disc, still = run(x, points)
    least, most = np.maximum(wide(x) - 0.25, 0), np.minimum(wide(x) + 0.25, 1)
    share = (wide(start) - least) / (most - least)
    assert abs(share.mean() - 0.5) < 0.02
    assert abs(share.var() - 1 / 12) < 0.005
    squares = np.square(np.linalg.norm(wide(disc) - 0.5, axis=1) / 0.25)
    assert abs(squares.mean() - 0.5) < 0.02  # uniform in a disc
    np.testing.assert_array_equal(still, x)


def test_the_margin_has_a_gradient_where_the_cross_entropy_has_none() -> None:
    x = jnp.array([[0.5, 0.5, 0.5, 0.5]])
    sure = lambda x: 1e4 * linear(x) + jnp.array([[1e4, -1e4]])  # noqa: E731
    run = partial(fgsm, sure, classes=jnp.array([0]), radius=0.1)
    still, moved = jax.jit(lambda x: (run(x), run(x, loss=logit_margin)))(x)
    np.testing.assert_array_equal(still, x)
    assert np.abs(moved - x).max() > 0.09
    np.testing.assert_array_equal(
        logit_margin(jnp.array([[1.0, 4.0, 2.0], [3.0, 0.0, 1.0]]), jnp.array([2, 0])), [2, -2]
    )


@pytest.mark.by_day_on_pin(0)
def test_robust_accuracy_counts_who_holds_in_batches_of_any_size() -> None:
    """The network sees the sign of the first entry; a radius of 0.1 turns those nearer to 0 than that."""
    x = jnp.array([[0.3], [0.05], [-0.2], [-0.05], [0.4]])
    network = lambda x: jnp.concatenate([-x, x], axis=1)  # noqa: E731
    classes = jnp.array([1, 1, 0, 0, 0])  # the last is wrong anyway
    attack = lambda key, *rest: fgsm(*rest, radius=0.1, low=-1.0)  # noqa: E731
    for size in (2, 5, 100):
        found = jax.jit(partial(robust_accuracy, network=network, attack=attack, batch_size=size))(
            KEY, x=x, classes=classes
        )
        np.testing.assert_allclose([found.clean, found.robust], [0.8, 0.4], rtol=1e-6)
        assert found.held.tolist() == [True, False, True, False, False]
    nothing = robust_accuracy(KEY, lambda x: jnp.nan * network(x), x, classes * 0, attack=attack)
    assert float(nothing.clean) == 0


def test_a_second_call_compiles_nothing_and_options_may_be_traced(rng: np.random.Generator) -> None:
    x, network = images(rng, n=3), random_network()
    run, traces = count_traces(
        lambda key, x, classes, radius: pgd(key, network, x, classes, radius=radius, step=radius / 2, steps=2)
    )
    for radius in (0.1, 0.2):
        assert np.abs(wide(run(KEY, x, jnp.zeros(3, int), radius)) - wide(x)).max() <= radius + 1e-8
    assert len(traces) == 1


def test_sums_are_rounded_towards_their_start(rng: np.random.Generator) -> None:
    for dtype in (jnp.float32, jnp.bfloat16, jnp.float16):
        x = jnp.asarray(rng.uniform(-2, 2, 4096), jnp.float32).astype(dtype)
        change = jnp.asarray(rng.uniform(-1, 1, 4096) * 10.0 ** rng.integers(-6, 1, 4096), jnp.float32)
        found = jax.jit(moved_inward)(x, change)
        moved = wide(found) - wide(x)
        assert found.dtype == dtype
        assert np.all(np.abs(moved) <= np.abs(wide(change)))
        assert np.all(moved * wide(change) >= 0)
        unit = float(jnp.finfo(dtype).eps) * np.maximum(np.abs(wide(x)), np.abs(wide(x) + wide(change)))
        assert np.all(np.abs(wide(change)) - np.abs(moved) <= unit)


def test_bounds_are_rounded_inside(rng: np.random.Generator) -> None:
    for dtype in (jnp.float32, jnp.bfloat16):
        for bound in (0.1, 0.3, 0.7, 8 / 255, -0.1):
            assert float(inside(bound, dtype, below=True)) <= bound <= float(inside(bound, dtype, below=False))
            traced = jax.jit(partial(inside, dtype=dtype, below=True))(jnp.float32(bound))
            assert float(traced) <= float(jnp.float32(bound))
    assert float(inside(float("inf"), jnp.float32, below=True)) == np.inf


def test_norms_are_never_below_the_exact_ones(rng: np.random.Generator) -> None:
    for d in (1, 2, 3, 100, 5000):
        x = (rng.standard_normal((50, d)) * 10.0 ** rng.integers(-15, 15, (50, 1))).astype(np.float32)
        found, exact = np.asarray(jax.jit(norm_from_above)(x), np.float64), np.linalg.norm(x.astype(np.float64), axis=1)
        assert np.all(found >= exact)
        assert np.all(found <= exact * (1 + 3e-6))
    assert norm_from_above(jnp.zeros((2, 3))).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"radius": -1.0, "step": 0.1}, r"^radius must be finite and not negative, got -1.0$"),
        ({"radius": 0.1, "step": 0.1, "low": 1.0, "high": 0.0}, r"^low must not be above high, got 1.0 and 0.0$"),
        ({"radius": 0.1, "step": 0.1, "steps": 0}, r"^steps must be at least 1, got 0$"),
        ({"radius": 0.1, "step": -0.1}, r"^step must be finite and not negative, got -0.1$"),
    ],
)
@pytest.mark.parametrize("attack", [pgd, pgd_l2])
def test_what_makes_no_sense_is_refused(attack: Any, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        attack(KEY, linear, jnp.zeros((1, 4)), jnp.array([0]), **options)


def test_classes_and_networks_that_do_not_fit_are_refused() -> None:
    x = jnp.zeros((2, 4))
    with pytest.raises(ValueError, match=r"^x must hold an example, got shape \(0, 4\)$"):
        robust_accuracy(KEY, linear, x[:0], jnp.zeros(0, int), attack=pgd)
    with pytest.raises(ValueError, match=r"^logits must be of at least two classes, got shape \(2, 1\)$"):
        logit_margin(jnp.zeros((2, 1)), jnp.zeros(2, int))
