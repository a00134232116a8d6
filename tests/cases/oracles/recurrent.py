"""Recurrent layers in PyTorch: its own modules, and loops over steps for cells that it lacks.

Each takes tensors as `fjdl.functional` takes arrays, `(x, input_kernel, recurrent_kernel, …)`, and returns the outputs
of all steps and the last state; gradients flow to all of them.
"""

from collections.abc import Callable
from typing import Any

import torch

Step = Callable[..., Any]


def module(kind: str, x: Any, input_kernel: Any, recurrent_kernel: Any, bias: Any, **options: Any) -> Any:
    """One layer of `torch.nn`; a state is a tensor, or `(output, memory)`."""
    second, projection = options.pop("recurrent_bias", None), options.pop("projection", None)
    initial, lengths, reverse = (options.pop(name, None) for name in ("initial", "lengths", "reverse"))
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    features, size = recurrent_kernel.shape[1] // gates, recurrent_kernel.shape[0]
    ending = "_l0_reverse" if reverse else "_l0"
    sizes = {"proj_size": size} if projection is not None else {}
    layer = getattr(torch.nn, kind)(
        x.shape[-1], features, batch_first=True, bidirectional=bool(reverse), dtype=x.dtype, **sizes, **options
    )
    weights = {name: torch.zeros_like(p) for name, p in layer.named_parameters()}
    weights |= {f"weight_ih{ending}": input_kernel.T, f"weight_hh{ending}": recurrent_kernel.T}
    weights |= {f"bias_ih{ending}": bias, f"bias_hh{ending}": torch.zeros_like(bias) if second is None else second}
    if projection is not None:
        weights[f"weight_hr{ending}"] = projection.T
    states = None if initial is None else _map(lambda s: torch.stack([s] * (2 if reverse else 1)), initial)
    packed = x if lengths is None else _packed(x, lengths)
    outputs, last = torch.func.functional_call(layer, weights, (packed, states))
    if lengths is not None:
        outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])
    return (outputs[..., size:] if reverse else outputs), _map(lambda s: s[-1], last)


def _packed(x: Any, lengths: Any) -> Any:
    return torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)


def _map(function: Callable[[Any], Any], state: Any) -> Any:
    return tuple(map(function, state)) if isinstance(state, tuple) else function(state)


def loop(step: Step, x: Any, *weights: Any, state: Any) -> tuple[Any, Any]:
    """The step over all steps."""
    outputs = []
    for t in range(x.shape[1]):
        state = step(x[:, t], state, *weights)
        outputs.append(state[0] if isinstance(state, tuple) else state)
    return torch.stack(outputs, 1), state


def zeros(x: Any, size: int) -> Any:
    """A first state."""
    return torch.zeros(x.shape[0], size, dtype=x.dtype)


def cho_step(x: Any, state: Any, input_kernel: Any, recurrent_kernel: Any, bias: Any) -> Any:
    """Cho et al. 2014, equations 5 to 8."""
    x_r, x_z, x_n = (x @ input_kernel + bias).chunk(3, -1)
    k_r, k_z, k_n = recurrent_kernel.chunk(3, -1)
    r, z = torch.sigmoid(x_r + state @ k_r), torch.sigmoid(x_z + state @ k_z)
    return z * state + (1 - z) * torch.tanh(x_n + (r * state) @ k_n)


def simple_step(x: Any, state: Any, input_kernel: Any, recurrent_kernel: Any, bias: Any) -> Any:
    """An update gate that multiplies the candidate."""
    z, candidate = (x @ input_kernel + state @ recurrent_kernel + bias).chunk(2, -1)
    z = torch.sigmoid(z)
    return z * torch.tanh(candidate) + (1 - z) * state


def peephole_step(
    x: Any, state: Any, input_kernel: Any, recurrent_kernel: Any, bias: Any, peepholes: Any, projection: Any
) -> Any:
    """Sak et al. 2014, equations 1 to 6, without the product of the output layer."""
    output, memory = state
    i, f, g, o = (x @ input_kernel + output @ recurrent_kernel + bias).chunk(4, -1)
    i, f = torch.sigmoid(i + peepholes[0] * memory), torch.sigmoid(f + peepholes[1] * memory)
    memory = f * memory + i * torch.tanh(g)
    return (torch.sigmoid(o + peepholes[2] * memory) * torch.tanh(memory)) @ projection, memory


def layer_norm_step(
    x: Any,
    state: Any,
    input_kernel: Any,
    recurrent_kernel: Any,
    bias: Any,
    input_scale: Any,
    recurrent_scale: Any,
    memory_scale: Any,
    memory_bias: Any,
) -> Any:
    """Ba, Kiros & Hinton 2016, equations 20 to 22."""
    norm = torch.nn.functional.layer_norm
    output, memory = state
    gates = norm(x @ input_kernel, bias.shape, input_scale) + bias
    i, f, g, o = (gates + norm(output @ recurrent_kernel, bias.shape, recurrent_scale)).chunk(4, -1)
    memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(norm(memory, memory_scale.shape, memory_scale, memory_bias)), memory
