"""What a network loses where one of its layers alone has few bits."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from fjdl.model import Model
from fjdl.nn.quantized.layers import EIGHT, flat, kernel_name, layers_of, replaced
from fjdl.quant import absmax_quantize, dequantize
from fjdl.typing import Array, PyTree


def sensitivities(
    model: Model, params: PyTree, stats: PyTree, batches: Iterable[Any], *, bits: Sequence[int] = (8, 4, 3, 2)
) -> dict[str, dict[int, float]]:
    """The error of the outputs by layer and bits, where only the kernel of this layer is rounded.

    It is the mean square of the change over the mean square of the outputs, over all `batches`, which are inputs of the
    model as in `apply`. Kernels have a symmetric grid for each output channel, as in `quantized`. All layers and bits
    share one compiled program for each shape of a batch. `quant.bits_within` chooses bits by it. Raises `ValueError` as
    `fake_quantized` does, and for no batches.

    >>> from fjdl import models, nn
    >>> model, x = nn.pure(models.MLP(hidden=(3,), classes=2)), jax.random.normal(jax.random.key(1), (8, 4))
    >>> errors = sensitivities(model, *model.init(jax.random.key(0), x), [x], bits=(8, 2))
    >>> sorted(errors), errors["logits"][8] < errors["logits"][2]
    (['hidden1', 'logits'], True)
    """
    batches = list(batches)
    if not batches:
        raise ValueError("batches must hold inputs of the model, got none")
    named = flat(params)

    @jax.jit
    def outputs(params: PyTree, inputs: Any) -> Any:
        return model.apply(params, stats, inputs, train=False)[0]

    @jax.jit
    def change(params: PyTree, inputs: Any, exact: Any) -> tuple[Array, Array]:
        changes = jax.tree.map(jnp.subtract, outputs(params, inputs), exact)
        return _squares(changes), _squares(exact)

    exact = [outputs(params, inputs) for inputs in batches]
    found: dict[str, dict[int, float]] = {}
    for path in layers_of(model, batches[0], EIGHT).bits:
        name = kernel_name(path)
        found[path] = {}
        for count in bits:
            rounded = dequantize(absmax_quantize(named[name], bits=count, axis=-1), dtype=named[name].dtype)
            changed = replaced(params, {name: rounded})
            squares = [change(changed, inputs, known) for inputs, known in zip(batches, exact, strict=True)]
            found[path][count] = float(sum(error for error, _ in squares)) / float(sum(size for _, size in squares))
    return found


def _squares(tree: PyTree) -> Array:
    return jnp.sum(jnp.stack([jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)]))
