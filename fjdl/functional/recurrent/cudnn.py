"""The LSTM of cuDNN, on GPUs of NVIDIA, through `jax.experimental.rnn`."""

from typing import Any

import jax.numpy as jnp

from fjdl.functional.recurrent.lstm import lstm
from fjdl.lengths import length_mask
from fjdl.platforms import by_platform
from fjdl.typing import Array, Float, Integer, typed

_Result = tuple[Array, tuple[Array, Array]]


@typed
def cudnn_lstm(
    x: Float[Array, "n t d"],
    input_kernel: Float[Array, "d g"],
    recurrent_kernel: Float[Array, "h g"],
    bias: Float[Array, "g"] | None = None,
    *,
    initial: tuple[Float[Array, "n h"], Float[Array, "n h"]] | None = None,
    lengths: Integer[Array, "n"] | None = None,
    reverse: bool = False,
) -> tuple[Float[Array, "n t h"], tuple[Float[Array, "n h"], Float[Array, "n h"]]]:
    """`lstm`, by cuDNN in a program for a GPU of NVIDIA, and as it is on every other platform.

    JAX has a first derivative of cuDNN's LSTM in reverse mode and nothing else: on no platform may this function be
    mapped by `vmap` or differentiated in forward mode or twice, and on GPUs it must not be called inside `shard_map`.
    Arrays that are not float32 take `lstm`, and so does everything where JAX is installed without CUDA. cuDNN has no
    peepholes, and other activations than sigmoid and tanh neither.
    """
    options = {"lengths": lengths, "reverse": reverse}
    if x.dtype != jnp.float32 or not _installed():
        return lstm(x, input_kernel, recurrent_kernel, bias, initial=initial, **options)
    n, t, features = x.shape[0], x.shape[1], recurrent_kernel.shape[0]
    bias = jnp.zeros(recurrent_kernel.shape[1]) if bias is None else bias
    zeros = jnp.zeros((n, features))
    states = (zeros, zeros) if initial is None else initial
    real = jnp.full(n, t, jnp.int32) if lengths is None else jnp.minimum(lengths, t).astype(jnp.int32)

    def scanned(x: Array, *arrays: Array) -> _Result:
        *weights, output, memory, _ = arrays
        return lstm(x, *weights, initial=(output, memory), **options)

    def by_cudnn(x: Array, *arrays: Array) -> _Result:
        return _by_cudnn(x, *arrays, reverse=reverse)

    arrays = (x, input_kernel, recurrent_kernel, bias, *states, real)
    return by_platform(*arrays, cuda=by_cudnn, elsewhere=scanned)


def _installed() -> bool:
    """Whether JAX's libraries for CUDA are there, without which it cannot even trace a call of cuDNN."""
    from jaxlib import gpu_rnn

    return hasattr(gpu_rnn, "compute_rnn_workspace_reserve_space_sizes")


def _by_cudnn(
    x: Array,
    input_kernel: Array,
    recurrent_kernel: Array,
    bias: Array,
    output: Array,
    memory: Array,
    lengths: Array,
    *,
    reverse: bool,
) -> _Result:
    """The layer on steps that are turned around within their lengths if `reverse`, which cuDNN alone does not do."""
    from jax.experimental import rnn

    real = length_mask(lengths, steps=x.shape[1])[..., None]
    x = jnp.where(real, x, 0)
    results: Any = rnn.lstm(
        _turned(x, lengths) if reverse else x,
        output.astype(x.dtype)[None],
        memory.astype(x.dtype)[None],
        cudnn_weights(input_kernel, recurrent_kernel, bias),
        lengths,
        input_size=x.shape[-1],
        hidden_size=recurrent_kernel.shape[0],
        num_layers=1,
        dropout=0.0,
        bidirectional=False,
    )
    y, last, end = results
    y = jnp.where(real, _turned(y, lengths) if reverse else y, 0)
    return y, (last[0].astype(output.dtype), end[0].astype(memory.dtype))


@typed
def cudnn_weights(
    input_kernel: Float[Array, "d g"], recurrent_kernel: Float[Array, "h g"], bias: Float[Array, "g"]
) -> Float[Array, "numbers"]:
    """All weights of a layer in one vector, as cuDNN has them: both kernels, transposed, then two biases.

    The gates have our order, i, f, g, o; the second bias is 0.
    """
    parts = (input_kernel.T, recurrent_kernel.T, bias, jnp.zeros_like(bias))
    return jnp.concatenate([part.reshape(-1) for part in parts])


def _turned(x: Array, lengths: Array) -> Array:
    """The real steps of each sequence in the opposite order, padding where it was."""
    steps = jnp.arange(x.shape[1])[None]
    source = jnp.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    return jnp.take_along_axis(x, source[..., None], axis=1)
