import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.autodiff import classify_critical_point, hessian, hvp, newton_step
from tests.support import float64


def rosenbrock(x: jax.Array) -> jax.Array:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def test_hessian_by_hand() -> None:
    x = jnp.asarray([1.0, 2.0])
    np.testing.assert_allclose(hessian(rosenbrock)(x), [[1200 - 800 + 2, -400], [-400, 200]])


def test_hvp_equals_the_hessian_times_the_vector(rng: np.random.Generator) -> None:
    with float64():
        x, vector = jnp.asarray(rng.standard_normal(2)), jnp.asarray(rng.standard_normal(2))
        np.testing.assert_allclose(hvp(rosenbrock, x, vector), jax.hessian(rosenbrock)(x) @ vector, rtol=1e-12)


def test_hvp_of_a_tree() -> None:
    def function(p: dict[str, jax.Array]) -> jax.Array:
        return jnp.sum(p["a"] ** 2) * p["b"]

    found = hvp(function, {"a": jnp.asarray([1.0, 2.0]), "b": 3.0}, {"a": jnp.asarray([1.0, 0.0]), "b": 1.0})
    np.testing.assert_allclose(found["a"], [2 * 3 * 1 + 2 * 1, 2 * 2])
    np.testing.assert_allclose(found["b"], 2.0)


def test_one_newton_step_solves_a_quadratic() -> None:
    matrix, offset = jnp.asarray([[3.0, 1.0], [1.0, 2.0]]), jnp.asarray([1.0, -4.0])
    found = newton_step(lambda x: 0.5 * x @ matrix @ x - offset @ x, jnp.asarray([7.0, -9.0]))
    np.testing.assert_allclose(found, np.linalg.solve([[3.0, 1.0], [1.0, 2.0]], [1.0, -4.0]), rtol=1e-5)


def test_newton_finds_the_minimum_of_rosenbrocks_function() -> None:
    with float64():
        x = jnp.asarray([-1.2, 1.0])
        for _ in range(7):
            x = newton_step(rosenbrock, x)
    np.testing.assert_allclose(x, [1.0, 1.0], atol=1e-12)


def test_damping_turns_an_ascent_into_a_descent() -> None:
    def hill(x: jax.Array) -> jax.Array:
        return -jnp.sum(x**2)

    x = jnp.asarray([1.0])
    np.testing.assert_allclose(newton_step(hill, x), [0.0])
    np.testing.assert_allclose(newton_step(hill, x, damping=4.0), [2.0])
    with pytest.raises(ValueError, match=r"damping must not be negative, got -1"):
        newton_step(hill, x, damping=-1.0)


@pytest.mark.parametrize(
    ("function", "point", "kind"),
    [
        (lambda x: x[0] ** 2 + 3 * x[1] ** 2, [0.0, 0.0], "minimum"),
        (lambda x: -(x[0] ** 2) - x[1] ** 2, [0.0, 0.0], "maximum"),
        (lambda x: x[0] ** 2 - x[1] ** 2, [0.0, 0.0], "saddle"),
        (lambda x: x[0] ** 2 + x[1] ** 4, [0.0, 0.0], "degenerate"),
        (lambda x: x[0] ** 2 + x[1] ** 2, [1.0, 0.0], "none"),
        (rosenbrock, [1.0, 1.0], "minimum"),
    ],
)
def test_critical_points(function, point: list[float], kind: str) -> None:
    assert classify_critical_point(function, jnp.asarray(point)) == kind
