"""Many classes from binary classifiers: one against the rest, one against one, and several labels at once."""

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from fjdl.classical.linear import Linear
from fjdl.numerics import full_product
from fjdl.typing import Array, Float, Int, Integer, typed

FitBinary = Callable[[Array, Array, Array], Linear]  # (x, targets, weights) to one output, such as `fit_binary`


@typed
def one_vs_rest(x: Float[Array, "n d"], labels: Integer[Array, " n"], *, classes: int, fit: FitBinary) -> Linear:
    """One binary classifier per class, each against all other classes: `classes` outputs, the largest wins.

    Equals scikit-learn's `OneVsRestClassifier` of the same binary classifier.
    """
    return multilabel(x, (labels[:, None] == jnp.arange(classes, dtype=labels.dtype)[None]).astype(x.dtype), fit=fit)


@typed
def multilabel(x: Float[Array, "n d"], targets: Float[Array, "n k"], *, fit: FitBinary) -> Linear:
    """One binary classifier per column of multi-hot targets; an example may have any number of labels.

    Equals scikit-learn's `MultiOutputClassifier` of the same binary classifier.
    """
    ones = jnp.ones(x.shape[0], x.dtype)
    return _merged(jax.vmap(lambda column: fit(x, column, ones), in_axes=1)(targets))


@typed
def one_vs_one(x: Float[Array, "n d"], labels: Integer[Array, " n"], *, classes: int, fit: FitBinary) -> Linear:
    """One binary classifier for each of the `classes (classes - 1) / 2` pairs, fitted to the examples of its two alone.

    Output p of the pair (i, j), i < j, is positive for class i; `pairs` gives their order. `vote` decides. Equals
    scikit-learn's `OneVsOneClassifier` of the same binary classifier.
    """
    first, second = (jnp.asarray(side, labels.dtype) for side in zip(*pairs(classes=classes), strict=True))

    def one(first: Array, second: Array) -> Linear:
        member = (labels == first) | (labels == second)
        return fit(x, (labels == first).astype(x.dtype), member.astype(x.dtype))

    return _merged(jax.vmap(one)(first, second))


@typed
def pairs(*, classes: int) -> list[tuple[int, int]]:
    """The pairs (i, j) with i < j, in lexicographic order; raises `ValueError` for fewer than two classes."""
    if classes < 2:
        raise ValueError(f"classes must be at least 2 to form pairs, got {classes}")
    return list(itertools.combinations(range(classes), 2))


@typed
def vote(outputs: Float[Array, "n p"], *, classes: int) -> Int[Array, " n"]:
    """The class that wins most of its pairs; of equals the one whose outputs add up to more, then the lowest.

    `outputs` are those of `one_vs_one`. Equals the prediction of scikit-learn's `OneVsOneClassifier`. Raises
    `ValueError` where there are not as many outputs as pairs.
    """
    if outputs.shape[-1] != len(pairs(classes=classes)):
        raise ValueError(f"outputs must have {len(pairs(classes=classes))} columns, got shape {outputs.shape}")
    first, second = (jnp.asarray(side) for side in zip(*pairs(classes=classes), strict=True))
    sides = jax.nn.one_hot(first, classes, dtype=outputs.dtype), jax.nn.one_hot(second, classes, dtype=outputs.dtype)
    won = (outputs > 0).astype(outputs.dtype)
    votes = full_product(won, sides[0]) + full_product(1 - won, sides[1])
    margin = full_product(outputs, sides[0] - sides[1])
    return jnp.argmax(votes + margin / (3 * (1 + jnp.abs(margin))), axis=-1)


def _merged(classifiers: Linear) -> Linear:
    """Classifiers stacked along a new first axis as one map with an output for each."""
    return Linear(classifiers.weights[:, :, 0].T, classifiers.bias[:, 0])
