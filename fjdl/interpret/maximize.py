"""Inputs that a unit or a class answers to the most."""

import jax
import jax.numpy as jnp

from fjdl.checks import at_least, within
from fjdl.interpret.scores import Score, direction
from fjdl.meshes import fori_loop
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Number, PRNGKey, typed


@typed
def maximize(
    key: PRNGKey,
    score: Score,
    start: Float[Array, "n h w c"],
    *,
    steps: int = 100,
    step: Number = 0.5,
    jitter: int = 1,
    size: Number = 0.0,
    variation: Number = 0.0,
    low: Number = 0.0,
    high: Number = 1.0,
) -> Float[Array, "n h w c"]:
    """Images in [low, high] at which `score` [n] is large: ascent on `score - size ‖x‖² - variation V(x)`.

    Each of the `steps` has the length `step` along each image's gradient, and shrinks linearly to 0. The network sees
    the image rolled by a random number of pixels, at most `jitter` each way, so that no pattern depends on its place.
    `V` is `total_variation`. A score is the logit of a class, `lambda x: network(x)[:, 3]`, or the mean activation of a
    channel. Erhan et al. 2009; Simonyan, Vedaldi & Zisserman 2013 (‖x‖²); Mahendran & Vedaldi 2014, arXiv:1412.0035
    (variation); Mordvintsev et al. 2015 (jitter). Raises `ValueError` for `steps` below 1 and negative weights.
    """
    at_least(1, steps=steps)
    at_least(0, jitter=jitter)
    within("[0, inf)", step=step, size=size, variation=variation)

    def worth(x: Array, roll: Array) -> Array:
        penalty = size * jnp.sum(jnp.square(x)) + variation * jnp.sum(total_variation(x))
        return jnp.sum(widened(score(jnp.roll(x, roll, axis=(1, 2)).astype(start.dtype)))) - penalty

    def body(number: Array, x: Array) -> Array:
        roll = jax.random.randint(jax.random.fold_in(key, number), (2,), -jitter, jitter + 1)
        slope = jax.grad(worth)(x, roll)
        return jnp.clip(x + step * (1 - number / steps) * direction(slope), low, high)

    return fori_loop(0, steps, body, widened(start)).astype(start.dtype)


@typed
def total_variation(x: Float[Array, "n h w c"]) -> Float[Array, " n"]:
    """The sum of squared differences between neighbours in rows and columns, in float32.

    >>> total_variation(jnp.array([[[[0.0], [1.0]], [[0.0], [3.0]]]]))
    Array([14.], dtype=float32)
    """
    x = widened(x)
    steps = [jnp.square(jnp.diff(x, axis=axis)).reshape(x.shape[0], -1).sum(axis=1) for axis in (1, 2)]
    return steps[0] + steps[1]
