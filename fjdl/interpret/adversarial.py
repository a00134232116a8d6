"""Inputs that are changed a little so that a network errs, and how many it still gets right.

Every attack gives inputs that lie in the ball around the given ones and in [low, high] exactly: the differences of the
numbers as they are stored, computed without error, are within the radius.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fjdl.checks import at_least, within
from fjdl.interpret.rounding import inside, moved_inward, norm_from_above
from fjdl.interpret.scores import Network, direction, in_pieces, per_example, scores_of
from fjdl.losses import softmax_cross_entropy
from fjdl.meshes import fori_loop
from fjdl.numerics import widened
from fjdl.typing import Array, Bool, Float, Integer, Number, PRNGKey, Scalar, typed

Loss = Callable[[Array, Array], Array]  # scores [n, k] and classes [n] to a number for each example, large for errors
Attack = Callable[[PRNGKey, Network, Array, Array], Array]


@typed
def logit_margin(logits: Float[Array, "n k"], classes: Integer[Array, " n"]) -> Float[Array, " n"]:
    """The largest other logit less that of the class: positive where the network errs; Carlini & Wagner 2017.

    As a loss of attacks its gradient is there however sure the network is, where that of the cross entropy is 0 once
    the probability is 1 in float32. Raises `ValueError` for fewer than two classes.
    """
    if logits.shape[1] < 2:
        raise ValueError(f"logits must be of at least two classes, got shape {logits.shape}")
    own = jax.nn.one_hot(classes, logits.shape[1], dtype=bool)
    others = jnp.max(jnp.where(own, -jnp.inf, widened(logits)), axis=1)
    return others - scores_of(lambda x: x, logits, classes)


@typed
def fgsm(
    network: Network,
    x: Float[Array, "n ..."],
    classes: Integer[Array, " n"],
    *,
    radius: Number,
    low: Number = 0.0,
    high: Number = 1.0,
    targeted: bool = False,
    loss: Loss = softmax_cross_entropy,
) -> Float[Array, "n ..."]:
    """`x + radius sign(∂loss/∂x)` in [low, high]: one step that raises the loss of the true class the most in L∞.

    With `targeted` the `classes` are those that the network shall see, and their loss falls. An entry whose gradient is
    0 stays. Entries of `x` lie in [low, high]. Goodfellow, Shlens & Szegedy 2014, arXiv:1412.6572. Raises `ValueError`
    for a radius that is negative, and for `low` above `high`.
    """
    least, most = _box(x, radius, low, high)
    slope = jnp.sign(_slope(network, x, classes, targeted=targeted, loss=loss))
    return jnp.where(slope > 0, most, jnp.where(slope < 0, least, jnp.clip(x, least, most)))


@typed
def pgd(
    key: PRNGKey,
    network: Network,
    x: Float[Array, "n ..."],
    classes: Integer[Array, " n"],
    *,
    radius: Number,
    step: Number,
    steps: int = 10,
    low: Number = 0.0,
    high: Number = 1.0,
    random_start: bool = True,
    targeted: bool = False,
    loss: Loss = softmax_cross_entropy,
) -> Float[Array, "n ..."]:
    """Steps of `step sign(∂loss/∂x)`, each followed by the nearest point of the L∞ ball around `x` and of [low, high].

    It starts at a point drawn uniformly from both, or at `x`. Options are those of `fgsm`, which it equals for one step
    of the radius from `x`. Madry et al. 2017, arXiv:1706.06083. Raises `ValueError` for `steps` below 1 and a `step`
    that is negative.
    """
    at_least(1, steps=steps)
    within("[0, inf)", step=step)
    least, most = _box(x, radius, low, high)
    start = jnp.clip(x, least, most)
    if random_start:
        draw = jax.random.uniform(key, x.shape, jnp.promote_types(x.dtype, jnp.float32))
        width = widened(most) - widened(least)
        start = jnp.clip((widened(least) + draw * width).astype(x.dtype), least, most)

    def body(_: Any, point: Array) -> Array:
        slope = jnp.sign(_slope(network, point, classes, targeted=targeted, loss=loss))
        return jnp.clip((widened(point) + step * widened(slope)).astype(x.dtype), least, most)

    return fori_loop(0, steps, body, start)


@typed
def pgd_l2(
    key: PRNGKey,
    network: Network,
    x: Float[Array, "n ..."],
    classes: Integer[Array, " n"],
    *,
    radius: Number,
    step: Number,
    steps: int = 10,
    low: Number = 0.0,
    high: Number = 1.0,
    random_start: bool = True,
    targeted: bool = False,
    loss: Loss = softmax_cross_entropy,
) -> Float[Array, "n ..."]:
    """As `pgd` in the Euclidean ball: steps of length `step` along each example's gradient, projected back.

    The start is drawn uniformly from the ball. A gradient that is 0 moves nothing. The norm of the change, computed
    without error, is at most `radius`; a projection in float32 comes as near to it as rounding towards `x` allows.
    """
    at_least(1, steps=steps)
    within("[0, inf)", step=step)
    within("[0, inf)", radius=radius)
    least, most = _limits(x, low, high)
    size = inside(radius, widened(x).dtype, below=True)

    def projected(change: Array) -> Array:
        length = norm_from_above(change.reshape(x.shape[0], -1))
        shrunk = size * (1 - 4 * float(jnp.finfo(size.dtype).eps)) / jnp.where(length == 0, 1, length)
        change = change * per_example(jnp.where(length > size, shrunk, 1), change)
        return jnp.clip(moved_inward(x, change), least, most)

    def body(_: Any, point: Array) -> Array:
        slope = _slope(network, point, classes, targeted=targeted, loss=loss)
        return projected(widened(point) - widened(x) + step * direction(slope))

    start = jnp.clip(x, least, most)
    if random_start:
        first, second = jax.random.split(key)
        d = max(1, start[:1].size)
        length = size * jax.random.uniform(second, (x.shape[0],), size.dtype) ** (1 / d)
        start = projected(per_example(length, x) * direction(jax.random.normal(first, x.shape, size.dtype)))
    return fori_loop(0, steps, body, start)


@typed
def targeted_gradient(
    network: Network,
    x: Float[Array, "n ..."],
    target: Integer[Array, " n"],
    *,
    penalty: Number = 0.01,
    step: Number = 0.1,
    steps: int = 100,
    low: Number = 0.0,
    high: Number = 1.0,
) -> Float[Array, "n ..."]:
    """A near input that the network takes for `target`: descent on `cross entropy + penalty ‖x' - x‖²` in [low, high].

    Each of the `steps` has the length `step` along each example's gradient, and shrinks linearly to 0. Szegedy et al.
    2013, arXiv:1312.6199, minimize the same with L-BFGS and search for the penalty; there is no bound on the change.
    Raises `ValueError` for a penalty or step that is negative.
    """
    at_least(1, steps=steps)
    within("[0, inf)", penalty=penalty, step=step)
    least, most = _limits(x, low, high)
    origin = widened(x)

    def cost(point: Array) -> Array:
        distance = jnp.sum(jnp.square(point - origin).reshape(x.shape[0], -1), axis=1)
        losses = softmax_cross_entropy(network(point.astype(x.dtype)), target)
        return jnp.sum(widened(losses) + penalty * distance)

    def body(number: Array, point: Array) -> Array:
        length = step * (1 - number / steps)
        return jnp.clip(point - length * direction(jax.grad(cost)(point)), widened(least), widened(most))

    return jnp.clip(fori_loop(0, steps, body, origin).astype(x.dtype), least, most)


class Robustness(NamedTuple):
    """Shares of examples that a network classifies as it should."""

    clean: Scalar  # as they are
    robust: Scalar  # as they are and under the attack
    held: Bool[Array, " n"]  # for each example, whether it counts in `robust`


@typed
def robust_accuracy(
    key: PRNGKey,
    network: Network,
    x: Float[Array, "n ..."],
    classes: Integer[Array, " n"],
    *,
    attack: Attack,
    batch_size: int = 256,
) -> Robustness:
    """Accuracy before and under `attack(key, network, x, classes) -> x'`, `batch_size` examples at a time.

    An attack is for example `partial(pgd, radius=0.1, step=0.02)`. The number of examples must be positive; both shares
    are means over all, and NaN scores are wrong.
    """
    if not x.shape[0]:
        raise ValueError(f"x must hold an example, got shape {x.shape}")
    numbers = jax.lax.iota(jnp.int32, x.shape[0])

    def right(points: Array, classes: Array) -> Array:
        scores = network(points)
        return (jnp.argmax(scores, axis=1) == classes) & jnp.all(~jnp.isnan(scores), axis=1)

    def body(points: Array, classes: Array, numbers: Array) -> tuple[Array, Array]:
        changed = attack(jax.random.fold_in(key, numbers[0]), network, points, classes)
        clean = right(points, classes)
        return clean, clean & right(changed, classes)

    clean, held = in_pieces(body, x, jnp.asarray(classes), numbers, size=batch_size)
    return Robustness(jnp.mean(clean, dtype=jnp.float32), jnp.mean(held, dtype=jnp.float32), held)


def _slope(network: Network, x: Array, classes: Array, *, targeted: bool, loss: Loss) -> Array:
    """The gradient that makes the network err, or see the classes where they are targets."""
    slope = jax.grad(lambda x: jnp.sum(widened(loss(network(x), classes))))(x)
    return -slope if targeted else slope


def _limits(x: Array, low: Number, high: Number) -> tuple[Array, Array]:
    if not isinstance(low, jax.Array) and not isinstance(high, jax.Array) and not low <= high:
        raise ValueError(f"low must not be above high, got {low} and {high}")
    return inside(low, x.dtype, below=False), inside(high, x.dtype, below=True)


def _box(x: Array, radius: Number, low: Number, high: Number) -> tuple[Array, Array]:
    """The least and the most that each entry may become: computed once, inside of the ball as exact numbers."""
    within("[0, inf)", radius=radius)
    least, most = _limits(x, low, high)
    size = inside(radius, widened(x).dtype, below=True)
    down, up = (moved_inward(x, jnp.broadcast_to(sign * size, x.shape)) for sign in (-1, 1))
    return jnp.clip(down, least, most), jnp.clip(up, least, most)
