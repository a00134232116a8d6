from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from fjdl import tree
from fjdl.analysis import Layer, conv_layer, dense_layer, total
from fjdl.nn import LSTM, BatchNorm, Conv, Dense, GlobalAveragePool, MaxPool, trace
from tests.support import assert_trees_close

KEY = jax.random.key(0)
X = jax.random.normal(KEY, (2, 6, 6, 3))


class Block(linen.Module):
    """A convolution, a norm and a ReLU."""

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        x = Conv(4, window=3, padding=1, use_bias=False, name="conv")(x)
        return jnp.maximum(BatchNorm(name="norm")(x, train=train), 0)


class Net(linen.Module):
    """Two blocks, a pool and logits."""

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        x = Block(name="block0")(x, train=train)
        x = MaxPool(window=2, name="pool")(Block(name="block1")(x, train=train))
        return Dense(5, name="logits")(GlobalAveragePool(name="mean")(x))


class Twice(linen.Module):
    """One layer, used again and again."""

    times: int = 3

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        shared = Dense(3, name="shared")
        for _ in range(self.times):
            x = shared(x)
        return Dense(3, name="shared (2) like")(x)


class Scaled(linen.Module):
    """A dense layer and a gain, whose cost counts both."""

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        return self.param("gain", linen.initializers.ones, ()) * Dense(3, name="inner")(x)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        inner = dense_layer(shape, features=3)
        return Layer(name="scaled", output=inner.output, parameters=inner.parameters + 1, macs=inner.macs)


class Wrapped(linen.Module):
    """Another module below a name."""

    inside: Any

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        return self.inside(name="inside")(x)


class Sowing(linen.Module):
    """Keeps what it computes for whoever asks."""

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        x = Dense(3, name="dense")(x)
        self.sow("intermediates", "kept", x)
        return 2 * x


class Bare(linen.Module):
    """Parameters, and no cost."""

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        return x * self.param("gain", linen.initializers.ones, ())


class Nothing(linen.Module):
    """The identity."""

    def __call__(self, x: Any, *, train: bool = False) -> Any:
        return x


VARIABLES = jax.jit(Net().init)(KEY, X)


def test_there_is_a_row_for_each_layer_in_the_order_of_execution() -> None:
    rows = trace.layers(Net(), jax.ShapeDtypeStruct(X.shape, X.dtype))
    assert [(row.name, row.output, row.parameters, row.macs, row.pool_operations) for row in rows] == [
        ("block0/conv", (6, 6, 4), 108, 36 * 108, 0),
        ("block0/norm", (6, 6, 4), 8, 0, 0),
        ("block1/conv", (6, 6, 4), 144, 36 * 144, 0),
        ("block1/norm", (6, 6, 4), 8, 0, 0),
        ("pool", (3, 3, 4), 0, 0, 144),
        ("mean", (4,), 0, 0, 36),
        ("logits", (5,), 25, 20, 0),
    ]
    assert total(rows).parameters == tree.count(VARIABLES["params"])
    assert rows == trace.layers(Net(), X)


def test_the_outputs_of_the_rows_are_those_of_the_parts() -> None:
    rows = trace.layers(Net(), X)
    names = [row.name for row in rows]
    parts, _ = jax.eval_shape(lambda x: trace.outputs(Net(), VARIABLES, x, names=names), X)
    assert {row.name: row.output for row in rows} == {name: part.shape[1:] for name, part in parts.items()}


def test_a_layer_that_runs_again_has_no_parameters_of_its_own() -> None:
    rows = trace.layers(Twice(), jnp.zeros((1, 3)))
    assert [(row.name, row.parameters, row.macs) for row in rows] == [
        ("shared", 12, 9),
        ("shared (2)", 0, 9),
        ("shared (3)", 0, 9),
        ("shared (2) like", 12, 9),
    ]


def test_what_runs_inside_of_a_layer_has_no_row() -> None:
    x = jnp.zeros((1, 2))
    assert [(row.name, row.parameters, row.macs) for row in trace.layers(Scaled(), x)] == [
        ("", 10, 6)
    ]  # a layer alone has no path
    assert [(row.name, row.parameters) for row in trace.layers(Wrapped(Scaled), x)] == [("inside", 10)]


def test_parameters_without_a_cost_are_refused() -> None:
    for module, home in ((Bare(), ""), (Wrapped(Bare), "inside")):
        with pytest.raises(ValueError, match=f"must have a method cost.shape. that gives its row, '{home}' has none"):
            trace.layers(module, X)


def test_a_network_without_layers_has_no_rows() -> None:
    assert trace.layers(Wrapped(Nothing), X) == ()


@pytest.mark.parametrize(
    ("options", "lax"),
    [
        ({"kernel": 3}, {}),
        ({"kernel": (2, 3), "stride": (2, 1)}, {"window_strides": (2, 1)}),
        ({"kernel": 3, "dilation": 2, "groups": 2}, {"rhs_dilation": (2, 2), "feature_group_count": 2}),
        ({"kernel": 3, "groups": 4}, {"feature_group_count": 4}),
    ],
)
def test_flops_of_a_convolution_are_those_that_xla_counts(options: Any, lax: Any) -> None:
    row = conv_layer((9, 8, 4), features=8, bias=False, **options)
    window = np.zeros((*np.broadcast_to(options["kernel"], 2), 4 // options.get("groups", 1), 8), np.float32)

    def conv(x: Any) -> Any:
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, window, **{"window_strides": (1, 1), "padding": "VALID", "dimension_numbers": numbers, **lax}
        )

    lowered = jax.jit(conv).lower(np.zeros((1, 9, 8, 4), np.float32))
    assert lowered.out_info.shape[1:] == row.output
    assert lowered.cost_analysis()["flops"] == row.flops


def test_outputs_are_those_of_the_parts_in_the_order_of_the_names() -> None:
    names = ("logits", "block1", "block0/conv")
    (found, state), logits = jax.jit(
        lambda x: (trace.outputs(Net(), VARIABLES, x, names=names), Net().apply(VARIABLES, x))
    )(X)
    assert (list(found), dict(state)) == (sorted(names), {})  # sorted by jit
    np.testing.assert_array_equal(found["logits"], logits)
    kernel = VARIABLES["params"]["block0"]["conv"]["kernel"]
    expected = jax.lax.conv_general_dilated(X, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    np.testing.assert_allclose(found["block0/conv"], expected, rtol=1e-4, atol=1e-5)
    assert found["block1"].shape == (2, 6, 6, 4)
    assert jnp.all(found["block1"] >= 0)


def test_training_gives_the_changed_statistics_too() -> None:
    def run(x: Any) -> Any:
        options: dict[str, Any] = {"train": True, "mutable": ["batch_stats"]}
        return trace.outputs(Net(), VARIABLES, x, names=["logits"], **options), Net().apply(VARIABLES, x, **options)

    (found, state), (logits, expected) = jax.jit(run)(X)
    assert_trees_close(dict(state), dict(expected))
    np.testing.assert_allclose(found["logits"], logits, rtol=1e-6)


def test_a_part_that_runs_again_gives_its_last_output() -> None:
    x, params = jnp.ones((1, 3)), {"kernel": 2 * jnp.eye(3), "bias": jnp.zeros(3)}
    variables = {"params": {"shared": params, "shared (2) like": params}}
    found, _ = trace.outputs(Twice(), variables, x, names=["shared"])
    np.testing.assert_array_equal(found["shared"], np.full((1, 3), 8.0))


def test_what_a_module_sows_is_not_in_the_way() -> None:
    params = {"dense": {"kernel": jnp.eye(3), "bias": jnp.zeros(3)}}
    found, state = trace.outputs(Sowing(), {"params": params}, jnp.ones((1, 3)), names=["dense"])
    assert (list(found), dict(state)) == (["dense"], {})


def test_an_unknown_part_is_refused() -> None:
    for name in ("block2", "block0/con", "params", "pool/kernel"):
        with pytest.raises(ValueError, match=f"names must be paths of parts .* no part is called {name}"):
            jax.eval_shape(lambda x, name=name: trace.outputs(Net(), VARIABLES, x, names=["block0", name]), X)


def test_under_jit_what_the_outputs_do_not_need_is_not_computed() -> None:
    def flops(*names: str) -> float:
        compiled = jax.jit(lambda x: trace.outputs(Net(), VARIABLES, x, names=names)[0]).lower(X).compile()
        return compiled.cost_analysis()["flops"]

    assert flops("block0") < 0.6 * flops("block1")


class Tied(linen.Module):
    """A layer that is called by a second method too."""

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        table = Table(name="table")
        return table.back(LSTM(features=5, layers=2, bidirectional=True, merge=jnp.add, name="steps")(table(x))[0])


class Table(linen.Module):
    """Three features from five, and five from them by the same numbers."""

    def setup(self) -> None:
        self.table = self.param("table", linen.initializers.ones, (3, 5))

    def __call__(self, x: Any) -> Any:
        return x @ self.table

    def back(self, x: Any) -> Any:
        return x @ self.table.T

    def cost(self, shape: tuple[int, ...]) -> Layer:
        return Layer(name="there", output=(*shape[:-1], 5), parameters=15, macs=shape[0] * 15)

    def back_cost(self, shape: tuple[int, ...]) -> Layer:
        return Layer(name="back", output=(*shape[:-1], 3), parameters=15, macs=shape[0] * 15)


def test_another_method_has_a_cost_of_its_own_and_recurrent_layers_one_for_each_step() -> None:
    rows = trace.layers(Tied(), jnp.ones((2, 7, 3)))
    assert [row.name for row in rows] == ["table", "steps", "table (2)"]
    assert [row.parameters for row in rows] == [15, 4 * (4 * 5 * (5 + 5) + 4 * 5), 0]
    assert [row.macs for row in rows] == [7 * 15, 7 * 4 * 4 * 5 * (5 + 5), 7 * 15]
    assert rows[1].output == (7, 5)
