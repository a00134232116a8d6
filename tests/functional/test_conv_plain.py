import jax
import numpy as np
import pytest
import torch

from fjdl.functional import conv_cpu, conv_plain
from fjdl.functional.bilinear import Rules
from tests.support import float64

GEOMETRIES = [
    conv_plain.Options((7, 9), (3, 4), (1, 1), ((1, 1), (2, 2)), (1, 1), 1),
    conv_plain.Options((7, 9), (3, 4), (2, 3), ((0, 0), (0, 0)), (1, 1), 1),
    conv_plain.Options((7, 9), (3, 1), (3, 2), ((2, 2), (1, 1)), (2, 1), 1),
    conv_plain.Options((7, 9), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 3),
]


@pytest.mark.parametrize("rules", [conv_plain.RULES, conv_cpu.RULES], ids=["plain", "cpu"])
@pytest.mark.parametrize("channels", [(3, 6), (18, 21)], ids=["few", "many"])
@pytest.mark.parametrize("options", GEOMETRIES, ids=str)
def test_the_three_products_equal_torch(
    options: conv_plain.Options, channels: tuple[int, int], rules: Rules, rng: np.random.Generator
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
