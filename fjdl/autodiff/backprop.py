"""The four equations of backpropagation (Rumelhart et al. 1986), for a multilayer perceptron of any depth.

Examples are rows and kernels are `[inputs, outputs]`: `z = a W + b`, `a = σ(z)`. Gradients are summed over the batch,
so the cost decides about a mean.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.typing import Array, Float, typed


class Layer(NamedTuple):
    """Parameters of a dense layer, or their gradients."""

    kernel: Array  # [inputs, outputs]
    bias: Array  # [outputs]


class Activation(NamedTuple):
    """An elementwise function and its derivative."""

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]


sigmoid = Activation(jax.lax.logistic, lambda z: jax.lax.logistic(z) * jax.lax.logistic(-z))
tanh = Activation(jnp.tanh, lambda z: 1 - jnp.square(jnp.tanh(z)))
relu = Activation(lambda z: jnp.where(z > 0, z, 0), lambda z: (z > 0).astype(z.dtype))
identity = Activation(lambda z: z, jnp.ones_like)


class Trace(NamedTuple):
    """What a forward pass leaves for the backward pass."""

    weighted_inputs: list[Array]  # z of each layer
    activations: list[Array]  # the input, then a of each layer


@typed
def output_error(
    cost_gradient: Float[Array, "n k"], weighted_input: Float[Array, "n k"], *, activation: Activation
) -> Float[Array, "n k"]:
    """First equation, the error of the last layer: `δᴸ = ∇ₐC ⊙ σ'(zᴸ)`."""
    return cost_gradient * activation.derivative(weighted_input)


@typed
def hidden_error(
    error: Float[Array, "n k"],
    kernel: Float[Array, "h k"],
    weighted_input: Float[Array, "n h"],
    *,
    activation: Activation,
) -> Float[Array, "n h"]:
    """Second equation, from the error and kernel of the layer above: `δˡ = (δˡ⁺¹ Wˡ⁺¹ᵀ) ⊙ σ'(zˡ)`."""
    return (error @ kernel.T) * activation.derivative(weighted_input)


@typed
def bias_gradient(error: Float[Array, "n k"]) -> Float[Array, " k"]:
    """Third equation: `∂C/∂bˡ = δˡ`, summed over the examples, to which the bias was broadcast."""
    return jnp.sum(error, axis=0)


@typed
def weight_gradient(activation_below: Float[Array, "n h"], error: Float[Array, "n k"]) -> Float[Array, "h k"]:
    """Fourth equation: `∂C/∂Wˡ = aˡ⁻¹ᵀ δˡ`, the activation that went in times the error that came out."""
    return activation_below.T @ error


def forward(layers: Sequence[Layer], x: Array, *, activations: Sequence[Activation]) -> Trace:
    """The forward pass of inputs `[n, features]`, with one activation per layer.

    Raises `ValueError` where there are not as many activations as layers.
    """
    if len(layers) != len(activations):
        raise ValueError(
            f"activations must be as many as layers, got {len(activations)} activations and {len(layers)} layers"
        )
    trace = Trace([], [x])
    for layer, activation in zip(layers, activations, strict=True):
        trace.weighted_inputs.append(trace.activations[-1] @ layer.kernel + layer.bias[None])
        trace.activations.append(activation.function(trace.weighted_inputs[-1]))
    return trace


def backward(
    layers: Sequence[Layer], trace: Trace, cost_gradient: Array, *, activations: Sequence[Activation]
) -> list[Layer]:
    """The gradient of every kernel and bias, given `∂C/∂a` of the last layer: the four equations from the top down."""
    error = output_error(cost_gradient, trace.weighted_inputs[-1], activation=activations[-1])
    found = [Layer(weight_gradient(trace.activations[-2], error), bias_gradient(error))]
    for i in reversed(range(len(layers) - 1)):
        error = hidden_error(error, layers[i + 1].kernel, trace.weighted_inputs[i], activation=activations[i])
        found.append(Layer(weight_gradient(trace.activations[i], error), bias_gradient(error)))
    return found[::-1]
