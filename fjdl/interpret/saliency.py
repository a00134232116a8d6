"""Where in an input a network's score comes from, by gradients: one map for each example."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.checks import at_least, within
from fjdl.interpret.scores import Network, per_example, scores_of
from fjdl.meshes import fori_loop, scan
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Integer, Number, PRNGKey, typed

Attribution = Callable[[Network, Array, Array], Array]  # of network, inputs [n, ...] and classes [n]: as the inputs


@typed
def input_gradient(network: Network, x: Float[Array, "n ..."], classes: Integer[Array, " n"]) -> Float[Array, "n ..."]:
    """`∂S_c/∂x`: how the score of each example's class changes with each entry of its input, in the dtype of `x`.

    Scores of logits and not of probabilities, whose gradient a sure network makes 0. Equals what captum calls
    `Saliency(abs=False)`. Raises `ValueError` unless `network` gives [n, k] and `classes`, where known, lie in [0, k);
    one that is traced and does not gives NaN.
    """
    return jax.grad(lambda x: jnp.sum(scores_of(network, x, classes)))(jnp.asarray(x))


@typed
def saliency_map(
    network: Network, x: Float[Array, "n *space c"], classes: Integer[Array, " n"]
) -> Float[Array, "n *space"]:
    """The largest `|∂S_c/∂x|` among the channels of each pixel; Simonyan, Vedaldi & Zisserman 2013, arXiv:1312.6034.

    Of the gradient of `interpret.guided(network)` it is guided backpropagation.
    """
    return jnp.max(jnp.abs(input_gradient(network, x, classes)), axis=-1)


@typed
def gradient_times_input(
    network: Network, x: Float[Array, "n ..."], classes: Integer[Array, " n"]
) -> Float[Array, "n ..."]:
    """`x ∂S_c/∂x`: the part of each entry in a score that is linear; Shrikumar et al. 2016, arXiv:1605.01713.

    For a network of ReLUs without biases its sum is the score itself.
    """
    return x * input_gradient(network, x, classes)


@typed
def smooth_gradient(
    key: PRNGKey,
    network: Network,
    x: Float[Array, "n ..."],
    classes: Integer[Array, " n"],
    *,
    noise: Number = 0.15,
    samples: int = 50,
    attribution: Attribution = input_gradient,
) -> Float[Array, "n ..."]:
    """SmoothGrad: the mean gradient at `samples` inputs with Gaussian noise, one after the other.

    Its standard deviation is `noise` times the range of each example, from its smallest to its largest entry; means are
    float32, and in the dtype of `x` at last. `attribution` may be another function of network, inputs and classes, such
    as `gradient_times_input`. Smilkov et al. 2017, arXiv:1706.03825, who recommend a noise of 0.1 to 0.2 and 50
    samples. Raises `ValueError` for `samples` below 1 and a negative `noise`.
    """
    at_least(1, samples=samples)
    within("[0, inf)", noise=noise)
    flat = widened(x).reshape(x.shape[0], -1)
    deviation = per_example(noise * (flat.max(axis=1) - flat.min(axis=1)), x)

    def add(number: Array, total: Array) -> Array:
        moved = widened(x) + deviation * jax.random.normal(jax.random.fold_in(key, number), x.shape, deviation.dtype)
        return total + widened(attribution(network, moved.astype(x.dtype), classes))

    return (fori_loop(0, samples, add, jnp.zeros_like(widened(x))) / samples).astype(x.dtype)


@typed
def integrated_gradients(
    network: Network,
    x: Float[Array, "n ..."],
    classes: Integer[Array, " n"],
    baseline: Float[Array, "n ..."] | None = None,
    *,
    steps: int = 100,
) -> Float[Array, "n ..."]:
    """`(x - x') ∫₀¹ ∂S_c/∂x (x' + a (x - x')) da` in float32, by Gauss and Legendre's rule of so many `steps`.

    `baseline` x' is all 0 unless given. Complete: the entries add up to `S_c(x) - S_c(x')`, up to the error of the
    rule, which `completeness_gap` measures; it falls as 1 / steps for ReLUs, whose gradients jump, and fast for others.
    Sundararajan, Taly & Yan 2017, arXiv:1703.01365. Raises `ValueError` for `steps` below 1.
    """
    at_least(1, steps=steps)
    places, weights = np.polynomial.legendre.leggauss(steps)
    start = jnp.zeros_like(widened(x)) if baseline is None else widened(baseline)
    way = widened(x) - start

    def add(total: Array, node: tuple[Array, Array]) -> tuple[Array, None]:
        place, weight = node
        slope = input_gradient(network, (start + place * way).astype(x.dtype), classes)
        return total + weight * widened(slope), None

    nodes = jnp.asarray((places + 1) / 2, way.dtype), jnp.asarray(weights / 2, way.dtype)
    return way * scan(add, jnp.zeros_like(way), nodes)[0]


@typed
def completeness_gap(
    network: Network,
    x: Float[Array, "n ..."],
    classes: Integer[Array, " n"],
    attributions: Float[Array, "n ..."],
    baseline: Float[Array, "n ..."] | None = None,
) -> Float[Array, " n"]:
    """What the attributions of each example add up to, less `S_c(x) - S_c(x')`: 0 where they are complete."""
    start = jnp.zeros_like(jnp.asarray(x)) if baseline is None else jnp.asarray(baseline)
    difference: Any = scores_of(network, x, classes) - scores_of(network, start, classes)
    return widened(attributions).reshape(x.shape[0], -1).sum(axis=1) - difference
