"""Recurrent cells: one step, and with `over_time` all steps of a batch of sequences in one direction.

Each declares one kernel `[d, gates · h]` for inputs, "input/kernel", and one `[h, gates · h]` for states,
"recurrent/kernel". Parameters are float32; results have the dtype of the input.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from fjdl.checks import at_least
from fjdl.functional import initializers
from fjdl.functional.dropout import dropout
from fjdl.functional.recurrent import elman, gru, lstm
from fjdl.functional.recurrent.cudnn import cudnn_lstm
from fjdl.typing import Array, PRNGKey

Initializer = initializers.Initializer

_ONES, _ZEROS = initializers.ones(), initializers.zeros()


def each_gate(init: Initializer, gates: int) -> Initializer:
    """Draws `[..., gates · h]` as so many independent blocks `[..., h]` side by side."""

    def draw(key: PRNGKey, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        block = (*shape[:-1], shape[-1] // gates)
        return jnp.concatenate([init(own, block, dtype) for own in jax.random.split(key, gates)], axis=-1)

    return draw


class Weights(linen.Module):
    """Declares a kernel, and a bias where `bias_init` is given, and returns both."""

    shape: tuple[int, int]
    kernel_init: Initializer
    bias_init: Initializer | None = None

    @linen.compact
    def __call__(self) -> tuple[Array, Array | None]:
        """The kernel of this shape, and a bias for each of its columns or None."""
        kernel = self.param("kernel", self.kernel_init, self.shape)
        return kernel, None if self.bias_init is None else self.param("bias", self.bias_init, self.shape[1:])


class Cell(linen.Module, kw_only=True):
    """What cells share; a kind of cell says its arrays, its functions and the sizes of its states.

    `recurrent_init` draws the block of each gate of the recurrent kernel. In training each entry of the recurrent
    kernel is 0 with probability `recurrent_dropout`, the same ones in all steps and examples, and all others are
    divided by `1 - recurrent_dropout` (Merity et al. 2018, arXiv:1708.02182).
    """

    use_bias: bool = True
    kernel_init: Initializer = initializers.lecun_normal()
    recurrent_init: Initializer = initializers.orthogonal()
    recurrent_dropout: float = 0.0

    def sizes(self) -> tuple[int, ...]:
        """The features of each state, the output's first."""
        return (self.features,)  # type: ignore[attr-defined]

    def arrays(self, d: int, *, train: bool) -> dict[str, Any]:
        """The arguments of the cell's functions, for inputs of `d` features."""
        raise NotImplementedError

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """One step, and all steps."""
        raise NotImplementedError

    def __call__(self, x: Array, state: Any = None, *, train: bool = False) -> tuple[Array, Any]:
        """[n, d] and a state, zeros by default, to the output [n, h] and the next state."""
        at_least(1, features=min(self.sizes()))
        if state is None:
            zeros = tuple(jnp.zeros((x.shape[0], size), x.dtype) for size in self.sizes())
            state = zeros if len(zeros) > 1 else next(iter(zeros))
        after = self.functions()[0](x, state, **self.arrays(x.shape[-1], train=train))
        return jax.tree.leaves(after)[0], after

    def over_time(
        self, x: Array, *, initial: Any = None, lengths: Array | None = None, reverse: bool = False, train: bool = False
    ) -> tuple[Array, Any]:
        """[n, t, d] to the outputs [n, t, h] of all steps, and the last state."""
        at_least(1, features=min(self.sizes()))
        arrays = self.arrays(x.shape[-1], train=train)
        return self.functions()[1](x, **arrays, initial=initial, lengths=lengths, reverse=reverse)

    def kernels(
        self, d: int, *, gates: int, train: bool, bias: Initializer = _ZEROS, second: bool = False
    ) -> tuple[dict[str, Any], Array | None]:
        """Both kernels and the bias as arguments, and the second bias, which only some cells have."""
        columns = gates * self.sizes()[-1]
        own = bias if self.use_bias else None
        kernel, first = Weights((d, columns), self.kernel_init, own, name="input")()
        init = each_gate(self.recurrent_init, gates)
        recurrent, other = Weights((self.sizes()[0], columns), init, own if second else None, name="recurrent")()
        if train and self.recurrent_dropout:
            recurrent = dropout(self.make_rng("dropout"), recurrent, rate=self.recurrent_dropout)
        return {"input_kernel": kernel, "recurrent_kernel": recurrent, "bias": first}, other


class RNNCell(Cell):
    """`rnn_cell` with `features` units."""

    features: int
    activation: Callable[[Array], Array] = jnp.tanh

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """One step, and all steps."""
        return elman.rnn_cell, elman.rnn

    @linen.compact
    def arrays(self, d: int, *, train: bool) -> dict[str, Any]:
        """The arguments of both."""
        return {**self.kernels(d, gates=1, train=train)[0], "activation": self.activation}


class GRUCell(Cell):
    """`gru_cell` with `features` units and a second bias, as in PyTorch."""

    features: int

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """One step, and all steps."""
        return gru.gru_cell, gru.gru

    @linen.compact
    def arrays(self, d: int, *, train: bool) -> dict[str, Any]:
        """The arguments of both."""
        arrays, second = self.kernels(d, gates=3, train=train, second=True)
        return {**arrays, "recurrent_bias": second}


class ChoGRUCell(Cell):
    """`cho_gru_cell` with `features` units."""

    features: int

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """One step, and all steps."""
        return gru.cho_gru_cell, gru.cho_gru

    @linen.compact
    def arrays(self, d: int, *, train: bool) -> dict[str, Any]:
        """The arguments of both."""
        return self.kernels(d, gates=3, train=train)[0]


class SimpleGRUCell(Cell):
    """`simple_gru_cell` with `features` units."""

    features: int

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """One step, and all steps."""
        return gru.simple_gru_cell, gru.simple_gru

    @linen.compact
    def arrays(self, d: int, *, train: bool) -> dict[str, Any]:
        """The arguments of both."""
        return self.kernels(d, gates=2, train=train)[0]


class LSTMCell(Cell):
    """`lstm_cell` with a memory of `features` units.

    The bias of the forget gate begins at `forget_bias` (Jozefowicz et al. 2015), others at 0. `peepholes` begin at 0;
    `projection` is the number of features of the output, if it is not that of the memory. With `cudnn` all steps take
    `cudnn_lstm`, with its limits, where there are neither peepholes nor a projection.
    """

    features: int
    forget_bias: float = 1.0
    peepholes: bool = False
    projection: int | None = None
    cudnn: bool = False

    def sizes(self) -> tuple[int, ...]:
        """The features of output and memory."""
        return (self.features if self.projection is None else self.projection, self.features)

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """One step, and all steps."""
        plain = not self.peepholes and self.projection is None
        return lstm.lstm_cell, cudnn_lstm if self.cudnn and plain else lstm.lstm

    @linen.compact
    def arrays(self, d: int, *, train: bool) -> dict[str, Any]:
        """The arguments of both."""
        arrays, _ = self.kernels(d, gates=4, train=train, bias=forgetting(self.forget_bias))
        if self.peepholes:
            arrays["peepholes"] = self.param("peepholes", _ZEROS, (3, self.features))
        if self.projection is not None:
            shape = (self.features, self.projection)
            arrays["projection"] = Weights(shape, self.recurrent_init, name="projection")()[0]
        return arrays


class LayerNormLSTMCell(Cell):
    """`layer_norm_lstm_cell` with `features` units; it always has its biases.

    `forget_bias` is that of `LSTMCell`.
    """

    features: int
    forget_bias: float = 1.0
    epsilon: float = 1e-5

    def sizes(self) -> tuple[int, ...]:
        """The features of output and memory."""
        return (self.features, self.features)

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """One step, and all steps."""
        return lstm.layer_norm_lstm_cell, lstm.layer_norm_lstm

    @linen.compact
    def arrays(self, d: int, *, train: bool) -> dict[str, Any]:
        """The arguments of both."""
        arrays, _ = self.kernels(d, gates=4, train=train, bias=forgetting(self.forget_bias))
        gates, features = (4 * self.features,), (self.features,)
        scales = {"input_scale": gates, "recurrent_scale": gates, "memory_scale": features}
        arrays |= {name: self.param(name, _ONES, shape) for name, shape in scales.items()}
        return {**arrays, "memory_bias": self.param("memory_bias", _ZEROS, features), "epsilon": self.epsilon}


def forgetting(value: float) -> Initializer:
    """0 for the bias of each gate but the second of four, the forget gate, which begins at `value`."""

    def init(key: PRNGKey, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        del key
        return jnp.repeat(jnp.array([0, value, 0, 0], dtype), shape[0] // 4)

    return init
