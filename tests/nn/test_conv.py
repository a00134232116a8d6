import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional.conv.conv1d import conv1d
from fjdl.functional.conv.conv3d import conv3d
from fjdl.functional.conv.local import locally_connected2d
from fjdl.functional.conv.separable import depthwise_conv2d, separable_conv2d, spatially_separable_conv2d
from fjdl.functional.conv.transposed import conv_transpose2d
from fjdl.nn.conv import (
    Conv1D,
    Conv3D,
    ConvTranspose,
    DepthwiseConv,
    LocallyConnected,
    SeparableConv,
    SpatiallySeparableConv,
)

KEY = jax.random.key(0)
STEP = {"stride": 2, "dilation": 1, "padding": 1}

# Module, the function it calls and its options, the input's shape, and the parameters in the function's order.
LAYERS = [
    (
        Conv1D(6, 3, stride=2, groups=2),
        (conv1d, {"stride": 2, "groups": 2}),
        (2, 5, 4),
        {"kernel": (3, 2, 6), "bias": (6,)},
    ),
    (
        Conv3D(4, (1, 2, 3), padding="VALID", dilation=(1, 2, 1)),
        (conv3d, {"padding": "VALID", "dilation": (1, 2, 1)}),
        (1, 2, 3, 4, 3),
        {"kernel": (1, 2, 3, 3, 4), "bias": (4,)},
    ),
    (
        ConvTranspose(6, (3, 2), padding=0, stride=2, output_padding=1, groups=2),
        (conv_transpose2d, {"padding": 0, "stride": 2, "output_padding": 1, "groups": 2}),
        (2, 3, 2, 4),
        {"kernel": (3, 2, 3, 4), "bias": (6,)},
    ),
    (
        DepthwiseConv(3, multiplier=2, **STEP),
        (depthwise_conv2d, STEP),
        (2, 4, 5, 3),
        {"kernel": (3, 3, 1, 6), "bias": (6,)},
    ),
    (
        SeparableConv(5, (2, 3), multiplier=2, **STEP),
        (separable_conv2d, STEP),
        (2, 4, 5, 3),
        {"depthwise": (2, 3, 1, 6), "pointwise": (1, 1, 6, 5), "bias": (5,)},
    ),
    (
        SpatiallySeparableConv(5, (2, 3), between=4, **STEP),
        (spatially_separable_conv2d, STEP),
        (2, 4, 5, 3),
        {"column": (2, 1, 3, 4), "row": (1, 3, 4, 5), "bias": (5,)},
    ),
    (
        LocallyConnected(5, (2, 3), **STEP),
        (locally_connected2d, STEP),
        (2, 4, 5, 3),
        {"kernel": (3, 3, 2, 3, 3, 5), "bias": (3, 3, 5)},
    ),
]


@pytest.mark.parametrize(("module", "call", "shape", "shapes"), LAYERS, ids=lambda v: type(v).__name__)
def test_a_layer_declares_its_parameters_and_calls_its_function(module, call, shape, shapes, rng):
    function, options = call
    x = rng.standard_normal(shape).astype(np.float32)
    declared = jax.eval_shape(module.init, KEY, x)["params"]
    assert {name: p.shape for name, p in declared.items()} == shapes
    assert {p.dtype for p in declared.values()} == {np.dtype(np.float32)}
    params = {name: rng.standard_normal(p).astype(np.float32) for name, p in shapes.items()}
    both = jax.jit(lambda x, p: (module.apply({"params": p}, x), function(x, *(p[name] for name in shapes), **options)))
    np.testing.assert_array_equal(*both(x, params))
    bare = jax.eval_shape(module.clone(use_bias=False).init, KEY, x)["params"]
    assert bare.keys() == shapes.keys() - {"bias"}


@pytest.mark.parametrize(("module", "call", "shape", "shapes"), LAYERS, ids=lambda v: type(v).__name__)
def test_a_layer_computes_in_the_dtype_of_its_input(module, call, shape, shapes):
    x = jnp.ones(shape, jnp.bfloat16)
    with jax.numpy_dtype_promotion("strict"):
        y = jax.eval_shape(lambda: module.apply(module.init(KEY, x), x))
    assert y.dtype == jnp.bfloat16


@pytest.mark.slow
def test_initial_outputs_have_the_variance_of_the_input(rng):
    x = rng.standard_normal((8, 12, 12, 32)).astype(np.float32)
    layers = [
        (ConvTranspose(64, 3), 1.0),
        (ConvTranspose(64, 3, groups=2), 1.0),
        (LocallyConnected(32, 3), 1.0),
        (SeparableConv(64, 3), 1.0),
    ]

    @jax.jit
    def deviations(x):
        inner = [layer.init_with_output(KEY, x)[0][:, 2:-2, 2:-2] for layer, _ in layers]
        return [jnp.std(y) for y in inner]

    np.testing.assert_allclose(deviations(x), [deviation for _, deviation in layers], rtol=0.1)


def test_every_position_of_a_locally_connected_layer_starts_with_a_kernel_of_its_own():
    kernel = jax.jit(LocallyConnected(2, 2).init)(KEY, jnp.ones((3, 3, 1)))["params"]["kernel"]
    assert len(np.unique(kernel)) == kernel.size


@pytest.mark.parametrize(("module", "call", "shape", "shapes"), LAYERS, ids=lambda v: type(v).__name__)
def test_the_row_of_a_layer_has_its_output_and_its_parameters(module, call, shape, shapes):
    for layer in (module, module.clone(use_bias=False)):
        x = jnp.ones(shape)
        output, variables = jax.eval_shape(lambda x, layer=layer: layer.init_with_output(KEY, x), x)
        row = layer.cost(shape[1:])
        assert row.output == output.shape[1:]
        assert row.parameters == sum(math.prod(p.shape) for p in variables["params"].values())


@pytest.mark.parametrize(
    ("module", "macs"),
    [
        (DepthwiseConv(3), 8 * 8 * 9 * 4),
        (SeparableConv(6, 3), 8 * 8 * (9 * 4 + 4 * 6)),
        (SpatiallySeparableConv(6, 3, between=5), 8 * 8 * (3 * 4 * 5 + 3 * 5 * 6)),
        (ConvTranspose(6, 2, stride=2), 8 * 8 * 4 * 4 * 6),
        (LocallyConnected(6, 3), 6 * 6 * 9 * 4 * 6),
    ],
    ids=lambda v: type(v).__name__,
)
def test_macs_are_those_counted_by_hand_on_an_image_of_8_x_8_x_4(module, macs):
    assert module.cost((8, 8, 4)).macs == macs
