import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional import conv2d, linear
from fjdl.lowering.bilinear import Rules, bilinear
from tests.products import products_of
from tests.support import float64

OUTER = Rules(
    out=lambda a, b, *, scale: scale * a[:, None] * b[None, :],
    lhs=lambda out, b, *, scale: scale * out @ b,
    rhs=lambda a, out, *, scale: scale * a @ out,
)
outer = bilinear("test_outer", OUTER)


def plain(a, b, *, scale):
    return scale * jnp.outer(a, b)


@pytest.fixture
def operands(rng):
    return rng.standard_normal(3), rng.standard_normal(4)


def energy(product):
    return lambda a, b: jnp.sum(jnp.sin(product(a, b, scale=2.0)))


ORDERS = {
    "reverse": lambda f: jax.grad(f, (0, 1)),
    "forward": lambda f: jax.jacfwd(f, (0, 1)),
    "forward over reverse": lambda f: jax.jacfwd(jax.grad(f, (0, 1)), (0, 1)),
    "reverse over forward": lambda f: jax.jacrev(jax.jacfwd(f, (0, 1)), (0, 1)),
    "reverse over reverse": lambda f: jax.jacrev(jax.grad(f, (0, 1)), (0, 1)),
    "forward over forward": lambda f: jax.jacfwd(jax.jacfwd(f, (0, 1)), (0, 1)),
    "third order": lambda f: jax.jacfwd(jax.jacrev(jax.grad(f, 0), 1), 0),
    "fourth order": lambda f: jax.jacrev(jax.jacfwd(jax.jacrev(jax.grad(f, 1), 0), 1), 0),
}


@pytest.mark.parametrize("order", ORDERS)
def test_derivatives_of_every_order_and_mode_equal_those_of_the_plain_product(order, operands):
    with float64():
        actual, expected = (jax.jit(ORDERS[order](energy(product)))(*operands) for product in (outer, plain))
        for ours, theirs in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


def test_every_derivative_consists_of_the_three_products_alone(operands):
    a, b = map(jnp.float32, operands)
    third = jax.grad(jax.grad(jax.grad(lambda t: jnp.sum(outer(t * a, t * b, scale=2.0) ** 3))))
    text = str(jax.make_jaxpr(third)(1.0))
    assert {name for name in ("out", "lhs", "rhs") if f"test_outer_{name}[" in text} == {"out", "lhs", "rhs"}
    assert "dot_general" not in text


@pytest.mark.parametrize("axes", [(0, None), (None, 1), (1, 0)], ids=str)
def test_vmap_commutes_with_every_derivative(axes, rng):
    a, b = (
        rng.standard_normal(size if axis is None else np.insert([size], axis, 5))
        for size, axis in ((3, axes[0]), (4, axes[1]))
    )
    with float64():
        actual, expected = (jax.vmap(jax.hessian(energy(product), (0, 1)), axes)(a, b) for product in (outer, plain))
        for ours, theirs in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


def test_the_transpose_of_a_linearized_product_is_its_gradient(operands):
    with float64():
        a, b = map(jnp.asarray, operands)
        cotangent = jnp.ones((3, 4))
        transposed = jax.linear_transpose(lambda a: outer(a, b, scale=2.0), a)(cotangent)[0]
        np.testing.assert_allclose(
            transposed, jax.vjp(lambda a: plain(a, b, scale=2.0), a)[1](cotangent)[0], rtol=1e-12
        )


def test_gradients_pass_through_scan_cond_and_remat(operands):
    def chain(product):
        def loss(a, b):
            def body(a, _):
                a = jax.lax.cond(a[0] > 0, lambda a: jnp.sum(product(a, b, scale=0.5), 1), lambda a: a * b[0], a)
                return a, None

            return jnp.sum(jax.lax.scan(jax.checkpoint(body), a, length=3)[0])

        return jax.grad(loss, (0, 1))

    with float64():
        for ours, theirs in zip(chain(outer)(*operands), chain(plain)(*operands), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_rule_for_this_platform_replaces_the_plain_one_eagerly_and_compiled(operands):
    tripled = OUTER._replace(out=lambda a, b, *, scale: 3 * plain(a, b, scale=scale))
    here = bilinear("test_outer_here", OUTER, platforms={jax.default_backend(): {"0.10.2": tripled}})
    a, b = map(jnp.float32, operands)
    expected = 3 * plain(a, b, scale=1.0)
    np.testing.assert_allclose(here(a, b, scale=1.0), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(lambda a, b: here(a, b, scale=1.0))(a, b), expected, rtol=1e-6)


def test_a_second_eager_call_compiles_nothing(operands):
    traces = []

    def counted(a, b, *, scale):
        traces.append(scale)
        return plain(a, b, scale=scale)

    product = bilinear("test_outer_counted", OUTER._replace(out=counted))
    a, b = map(jnp.float32, operands)
    product(a, b, scale=1.0)
    once = len(traces)
    product(b[:3], b, scale=1.0)
    assert len(traces) == once
    product(a, b, scale=2.0)
    assert len(traces) > once


LAYERS = {
    "convolution": (lambda x, k: conv2d(x, k, stride=2), (1, 6, 6, 2), (3, 3, 2, 4)),
    "product": (linear, (3, 2), (2, 4)),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("asked", "expected"), [("float32", "HIGHEST"), ("high", "HIGH"), (None, "DEFAULT")], ids=str)
def test_the_precision_is_that_around_the_call_for_every_derivative_too(layer, asked, expected):
    """The derivatives and the programs are made outside."""
    function, *shapes = LAYERS[layer]
    arrays = [jnp.ones(shape) for shape in shapes]

    def called(x, kernel):
        with jax.default_matmul_precision(asked):
            return function(x, kernel)

    def slopes(x, kernel):
        outputs, back = jax.vjp(called, x, kernel)
        return jax.vmap(back)(jnp.stack([outputs, outputs]))

    second = jax.jacfwd(jax.grad(lambda x, kernel: jnp.sum(called(x, kernel) ** 2)), 1)
    for program in (called, slopes, second):
        found = products_of(jax.jit(program).trace(*arrays).lower(lowering_platforms=("tpu",)).as_text())
        assert {product.precision for product in found} == {expected}


def test_the_precision_that_is_set_for_the_whole_process_holds_too():
    jax.config.update("jax_default_matmul_precision", "highest")
    try:
        found = products_of(
            jax.jit(linear).trace(jnp.ones((3, 2)), jnp.ones((2, 4))).lower(lowering_platforms=("tpu",)).as_text()
        )
    finally:
        jax.config.update("jax_default_matmul_precision", None)
    assert [product.precision for product in found] == ["HIGHEST"]


def test_numbers_of_the_cpu_do_not_depend_on_the_precision(rng):
    x, kernel = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((2, 8, 8, 3), (3, 3, 3, 4)))
    usual = conv2d(x, kernel)
    with jax.default_matmul_precision("highest"):
        np.testing.assert_array_equal(conv2d(x, kernel), usual)
