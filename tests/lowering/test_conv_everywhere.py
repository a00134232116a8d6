from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings, strategies as st
from jax.extend.core import ClosedJaxpr

from fjdl.lowering import conv_cpu, conv_everywhere
from fjdl.lowering.bilinear import Rules
from tests.support import float64

BOTH = (conv_everywhere.RULES, conv_cpu.RULES)
GEOMETRIES = [
    conv_everywhere.Options((7, 9), (3, 4), (1, 1), ((1, 1), (2, 2)), (1, 1), 1),
    conv_everywhere.Options((7, 9), (3, 4), (2, 3), ((0, 0), (0, 0)), (1, 1), 1),
    conv_everywhere.Options((7, 9), (3, 1), (3, 2), ((2, 2), (1, 1)), (2, 1), 1),
    conv_everywhere.Options((7, 9), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 3),
]


@pytest.mark.parametrize("rules", BOTH, ids=["plain", "cpu"])
@pytest.mark.parametrize("channels", [(3, 6), (18, 21)], ids=["few", "many"])
@pytest.mark.parametrize("options", GEOMETRIES, ids=str)
def test_the_three_products_equal_torch(
    options: conv_everywhere.Options, channels: tuple[int, int], rules: Rules, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((2, *options.size, channels[0]))
    kernel = rng.standard_normal((*options.window, channels[0] // options.groups, channels[1]))
    first, second = (torch.tensor(a, requires_grad=True) for a in (x, kernel))
    out = torch.nn.functional.conv2d(
        first.permute(0, 3, 1, 2),
        second.permute(3, 2, 0, 1),
        stride=options.stride,
        padding=tuple(low for low, _ in options.padding),
        dilation=options.dilation,
        groups=options.groups,
    ).permute(0, 2, 3, 1)
    y = rng.standard_normal(tuple(out.shape))
    out.backward(torch.tensor(y))
    expected = [out.detach(), first.grad, second.grad]
    with float64():
        run = jax.jit(
            lambda x, kernel, y: (
                rules.out(x, kernel, options=options),
                rules.lhs(y, kernel, options=options),
                rules.rhs(x, y, options=options),
            )
        )
        for ours, theirs in zip(run(x, kernel, y), expected, strict=True):
            np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-10, atol=1e-10)


AXIS = st.tuples(  # output, window, stride, dilation, pixels before and after, pixels beyond the last window
    st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.integers(0, 3), st.integers(0, 3)
).flatmap(lambda axis: st.tuples(st.just(axis), st.integers(0, axis[2] - 1)))


@st.composite
def strided(draw: st.DrawFn) -> conv_everywhere.Options:
    """Geometries with a stride and small outputs, so that most windows are larger than theirs along an axis."""
    (rows, more_rows), (columns, more_columns) = draw(AXIS), draw(AXIS)
    _, window, stride, dilation, _, _ = zip(rows, columns, strict=True)
    size = tuple(
        (output - 1) * s + d * (k - 1) + 1 + more - before - after
        for (output, k, s, d, before, after), more in ((rows, more_rows), (columns, more_columns))
    )
    assume(min(size) >= 1 and max(stride) > 1)
    return conv_everywhere.Options(size, window, stride, (rows[4:], columns[4:]), dilation, 1)


def convolutions(jaxpr: ClosedJaxpr) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            yield equation
        for inner in equation.params.values():
            if isinstance(inner, ClosedJaxpr):
                yield from convolutions(inner)


def operands(options: conv_everywhere.Options, channels: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The cotangent of the output and the kernel."""
    rng = np.random.default_rng(0)
    output = [axis.output for axis in conv_everywhere.axes_of(options)]
    return rng.standard_normal((2, *output, channels[1])), rng.standard_normal((*options.window, *channels))


@given(
    options=strided(), channels=st.sampled_from([(2, 3), (3, 20), (17, 18)]), axes=st.sampled_from([(0, None), (0, 0)])
)
@settings(max_examples=60, deadline=None)
def test_a_window_larger_than_a_strided_output_meets_no_zeros_of_the_compilers_own(
    options: conv_everywhere.Options, channels: tuple[int, int], axes: tuple[Any, Any]
) -> None:
    y, kernel = operands(options, channels)
    batch = [a if axis is None else a[None] for a, axis in zip((y, kernel), axes, strict=True)]
    for rules in BOTH:
        gradient = lambda y, kernel, rules=rules: rules.lhs(y, kernel, options=options)  # noqa: E731
        for function, arrays in ((gradient, (y, kernel)), (jax.vmap(gradient, axes), batch)):
            for equation in convolutions(jax.make_jaxpr(function)(*arrays)):
                numbers, (image, window) = equation.params["dimension_numbers"], (v.aval.shape for v in equation.invars)
                pixels, taps = (
                    [shape[i] for i in spec[2:]] for shape, spec in ((image, numbers[0]), (window, numbers[1]))
                )
                plain = set(equation.params["lhs_dilation"]) == {1}
                assert plain or all(k <= n for k, n in zip(taps, pixels, strict=True)), str(equation)


@given(options=strided(), channels=st.sampled_from([(2, 3), (3, 20), (17, 18)]))
@settings(max_examples=8, deadline=None)
def test_input_gradients_of_random_strided_geometries_equal_torch(
    options: conv_everywhere.Options, channels: tuple[int, int]
) -> None:
    y, kernel = operands(options, channels)
    (top, bottom), (left, right) = options.padding
    x = torch.zeros((2, channels[0], *options.size), dtype=torch.float64, requires_grad=True)
    padded = torch.nn.functional.pad(x, (left, right, top, bottom))
    weight = torch.tensor(kernel.transpose(3, 2, 0, 1).copy())
    torch.nn.functional.conv2d(padded, weight, stride=options.stride, dilation=options.dilation).backward(
        torch.tensor(y.transpose(0, 3, 1, 2).copy())
    )
    assert x.grad is not None
    expected = x.grad.permute(0, 2, 3, 1).numpy()
    with float64():
        actual = jax.jit(lambda y, kernel: [rules.lhs(y, kernel, options=options) for rules in BOTH])(y, kernel)
    for ours in actual:
        np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-10)
