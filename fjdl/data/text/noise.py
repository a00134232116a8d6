"""Words drawn as noise under `jax.jit`, each with its own chance, in two look-ups."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.checks import within
from fjdl.typing import Array, Float, Int, PRNGKey, typed


class NoiseTable(NamedTuple):
    """Numbers in equal boxes, each of which holds two: box `i` gives `i` with the chance `own[i]`, else `other[i]`."""

    own: np.ndarray | Array  # float32 [words]
    other: np.ndarray | Array  # int32 [words]


def noise_probabilities(counts: np.ndarray, *, power: float = 0.75) -> np.ndarray:
    """The chance of each word as noise, float64 `[words]` with sum 1: its count to the power 3/4 among all.

    Mikolov et al. 2013, arXiv:1310.4546, section 2.2. Raises `ValueError` for counts that are negative or all 0, and
    for a power that is not finite.
    """
    within("(-inf, inf)", power=power)
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 1 or not (counts >= 0).all() or not 0 < counts.sum() < np.inf:
        raise ValueError(f"counts must be a vector of numbers that are not negative and not all 0, got {counts}")
    powers = np.where(counts > 0, np.where(counts > 0, counts, 1) ** power, 0)
    return powers / powers.sum()


def noise_table(probabilities: np.ndarray) -> NoiseTable:
    """The table from which `draw_noise` draws number `i` with the chance `probabilities[i]`, made in linear time.

    The chances are those of float32 boxes, right to 1e-7 / words each. Vose 1991, "A linear algorithm for generating
    random numbers with a given distribution". Raises `ValueError` unless they are not negative with sum 1.
    """
    probabilities = np.asarray(probabilities, np.float64)
    if probabilities.ndim != 1 or not (probabilities >= 0).all() or abs(probabilities.sum() - 1) > 1e-6:
        raise ValueError("probabilities must be a vector of numbers that are not negative with sum 1")
    amounts = (probabilities / probabilities.sum() * len(probabilities)).tolist()
    other = list(range(len(amounts)))
    small = [i for i, amount in enumerate(amounts) if amount < 1]
    large = [i for i, amount in enumerate(amounts) if amount >= 1]
    while small and large:
        low, high = small.pop(), large[-1]
        other[low] = high
        amounts[high] -= 1 - amounts[low]  # what fills up the box of `low`
        if amounts[high] < 1:
            small.append(large.pop())
    for rest in (*small, *large):  # 1 but for rounding
        amounts[rest] = 1.0
    return NoiseTable(np.asarray(amounts, np.float32), np.asarray(other, np.int32))


@typed
def draw_noise(
    key: PRNGKey, own: Float[Array, "words"], other: Int[Array, "words"], *, shape: tuple[int, ...]
) -> Int[Array, "..."]:
    """Independent draws of word numbers, int32 of the `shape`, from the table `NoiseTable(own, other)`.

    >>> table = noise_table(np.array([0.0, 0.25, 0.75]))
    >>> draws = draw_noise(jax.random.key(0), *table, shape=(4000,))
    >>> bool(draws.min() == 1), round(float((draws == 2).mean()), 1)
    (True, 0.7...)
    """
    of_box, of_side = jax.random.split(key)
    box = jax.random.randint(of_box, shape, 0, own.shape[0])
    side = jax.random.uniform(of_side, shape)
    return jnp.where(side < jnp.asarray(own)[box], box, jnp.asarray(other)[box]).astype(jnp.int32)
