"""Recurrent layers, stacked, in one direction or both, over batches of sequences `[n, t, d]`.

Each returns the outputs of all steps, `[n, t, h]`, and the last states. The outputs serve many-to-many tasks, such as
a tag for each word; the last states many-to-one, such as the mood of a sentence, and as features of the sequence; a
first state `initial` made of something else serves one-to-many, such as the caption of an image. States that are handed
from one call to the next, behind `jax.lax.stop_gradient`, give truncated backpropagation through time.

>>> from fjdl import nn
>>> layer = nn.GRU(3, layers=2)
>>> words, lengths = jnp.ones((4, 7, 5)), jnp.array([7, 2, 0, 5])
>>> params = layer.init(jax.random.key(0), words)
>>> outputs, last = layer.apply(params, words, lengths=lengths)
>>> outputs.shape, [state.shape for state in last]
((4, 7, 3), [(4, 3), (4, 3)])
>>> outputs, last = layer.apply(params, words, initial=last)
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen
from jax.typing import DTypeLike

from fjdl import tree
from fjdl.analysis import Layer
from fjdl.checks import at_least
from fjdl.functional import initializers
from fjdl.functional.dropout import spatial_dropout
from fjdl.nn import recurrent_cells as cells
from fjdl.typing import Array

Initializer = initializers.Initializer
Merge = Callable[[Array, Array], Array]


def side_by_side(forward: Array, backward: Array) -> Array:
    """The features of both directions."""
    return jnp.concatenate([forward, backward], axis=-1)


class Recurrent(linen.Module, kw_only=True):
    """What recurrent layers share: `layers` of them, each over the outputs of the one before.

    If `bidirectional`, each layer has a second cell that goes from the last real step to the first, and `merge` makes
    one output of both: `side_by_side` doubles the features (Schuster & Paliwal 1997), `jnp.add` sums, `jnp.multiply`
    multiplies, `lambda a, b: (a + b) / 2` takes the mean, and any other function of both is taken as well.

    In training whole features are dropped, the same ones in all steps of a sequence (Gal & Ghahramani 2016,
    arXiv:1512.05287): of the input at the rate `input_dropout`, between layers at `dropout`, of the output at
    `output_dropout`. `recurrent_dropout` drops entries of the recurrent kernels, see `RNNCell`. Options of the cells
    are those of the cells.
    """

    layers: int = 1
    bidirectional: bool = False
    merge: Merge = side_by_side
    input_dropout: float = 0.0
    dropout: float = 0.0
    output_dropout: float = 0.0
    use_bias: bool = True
    kernel_init: Initializer = initializers.lecun_normal()
    recurrent_init: Initializer = initializers.orthogonal()
    recurrent_dropout: float = 0.0

    def cell(self, **options: Any) -> cells.Cell:
        """A cell of one layer and direction."""
        raise NotImplementedError

    def begin(self, examples: int, *, dtype: DTypeLike = jnp.float32) -> tuple[Any, ...]:
        """The states of zeros before so many sequences, as `initial` takes them."""
        zeros = tuple(jnp.zeros((examples, size), dtype) for size in self.cell(parent=None).sizes())
        return (zeros if len(zeros) > 1 else next(iter(zeros)),) * (self.layers * (2 if self.bidirectional else 1))

    @linen.compact
    def __call__(
        self, x: Array, *, lengths: Array | None = None, initial: Any = None, train: bool = False
    ) -> tuple[Array, tuple[Any, ...]]:
        """[n, t, d] to the outputs [n, t, h] of the last layer, and the last states of all cells.

        The states are those of the first layer, forward and then backward, then those of the second, and so on, each as
        its cell returns it; `initial` is such a tuple, or None for zeros. Steps from `lengths` on are padding: nothing
        there changes a result, their outputs are 0, and the last states are those of the last real steps.
        """
        at_least(1, layers=self.layers)
        directions = 2 if self.bidirectional else 1
        if initial is not None and len(initial) != self.layers * directions:
            raise ValueError(f"initial must hold {self.layers * directions} states, got {len(initial)}")
        states = iter(initial if initial is not None else [None] * (self.layers * directions))
        last: list[Any] = []
        y = self._dropped(x, self.input_dropout, train=train)
        for number in range(self.layers):
            outputs = []
            for reverse in (False, True)[:directions]:
                cell = self._named_cell(number, reverse=reverse)
                output, state = cell.over_time(y, initial=next(states), lengths=lengths, reverse=reverse, train=train)
                outputs.append(output)
                last.append(state)
            y = self.merge(*outputs) if self.bidirectional else outputs[0]
            rate = self.dropout if number + 1 < self.layers else self.output_dropout
            y = self._dropped(y, rate, train=train)
        return y, tuple(last)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layers cost for one example of `shape` [t, d]: each entry of a kernel is one MAC a step."""
        x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        (outputs, _), params = jax.eval_shape(self.clone(parent=None).init_with_output, jax.random.key(0), x)
        macs = shape[0] * sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params) if leaf.ndim == 2)
        return Layer(name="recurrent", output=outputs.shape[1:], parameters=tree.count(params), macs=macs)

    def _named_cell(self, number: int, *, reverse: bool) -> cells.Cell:
        return self.cell(
            name=f"layer{number}{'_reverse' if reverse else ''}",
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            recurrent_init=self.recurrent_init,
            recurrent_dropout=self.recurrent_dropout,
        )

    def _dropped(self, x: Array, rate: float, *, train: bool) -> Array:
        return spatial_dropout(self.make_rng("dropout"), x, rate=rate) if train and rate else x


class RNN(Recurrent):
    """Layers of `rnn` with `features` units, see `Recurrent`."""

    features: int
    activation: Callable[[Array], Array] = jnp.tanh

    def cell(self, **options: Any) -> cells.Cell:
        """A cell of one layer and direction."""
        return cells.RNNCell(self.features, activation=self.activation, **options)


class GRU(Recurrent):
    """Layers of `gru` with `features` units, PyTorch's form, see `Recurrent`."""

    features: int

    def cell(self, **options: Any) -> cells.Cell:
        """A cell of one layer and direction."""
        return cells.GRUCell(self.features, **options)


class ChoGRU(Recurrent):
    """Layers of `cho_gru` with `features` units, see `Recurrent`."""

    features: int

    def cell(self, **options: Any) -> cells.Cell:
        """A cell of one layer and direction."""
        return cells.ChoGRUCell(self.features, **options)


class SimpleGRU(Recurrent):
    """Layers of `simple_gru` with `features` units, see `Recurrent`."""

    features: int

    def cell(self, **options: Any) -> cells.Cell:
        """A cell of one layer and direction."""
        return cells.SimpleGRUCell(self.features, **options)


class LSTM(Recurrent):
    """Layers of `lstm` with `features` units, see `Recurrent`; the options are those of `LSTMCell`."""

    features: int
    forget_bias: float = 1.0
    peepholes: bool = False
    projection: int | None = None
    cudnn: bool = False

    def cell(self, **options: Any) -> cells.Cell:
        """A cell of one layer and direction."""
        return cells.LSTMCell(
            self.features,
            forget_bias=self.forget_bias,
            peepholes=self.peepholes,
            projection=self.projection,
            cudnn=self.cudnn,
            **options,
        )


class LayerNormLSTM(Recurrent):
    """Layers of `layer_norm_lstm` with `features` units, see `Recurrent`; the options are those of its cell."""

    features: int
    forget_bias: float = 1.0
    epsilon: float = 1e-5

    def cell(self, **options: Any) -> cells.Cell:
        """A cell of one layer and direction."""
        return cells.LayerNormLSTMCell(self.features, forget_bias=self.forget_bias, epsilon=self.epsilon, **options)
