"""Labels and features as vectors."""

import itertools
import math

import jax.numpy as jnp

from fjdl.checks import at_least, within
from fjdl.numerics import signed, widened
from fjdl.typing import Array, Float, Integer, Shaped, typed


@typed
def one_hot(labels: Integer[Array, "*batch"], *, classes: int) -> Float[Array, "*batch {classes}"]:
    """A vector per label that is 1 at the label and 0 elsewhere, in float32.

    A label outside [0, classes) never becomes another class: its vector is NaN. Equals
    `torch.nn.functional.one_hot` inside. Raises `ValueError` where `classes` is not positive.

    >>> one_hot(jnp.array([2, 0]), classes=3)
    Array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    at_least(1, classes=classes)
    labels = signed(labels)
    inside = (labels >= 0) & (labels < classes)
    hits = _hits(labels, classes)
    return jnp.where(inside[..., None], hits.astype(jnp.float32), jnp.nan)


@typed
def multi_hot(labels: Integer[Array, "*batch m"], *, classes: int) -> Float[Array, "*batch {classes}"]:
    """A vector that is 1 at each of up to `m` labels of an example and 0 elsewhere, in float32.

    -1 is no label, for examples with fewer than `m`; a label twice counts once. Any other label outside
    [0, classes) makes the vector NaN. Equals scikit-learn's `MultiLabelBinarizer`. Raises `ValueError` where `classes`
    is not positive.

    >>> multi_hot(jnp.array([[0, 2]]), classes=3)
    Array([[1., 0., 1.]], dtype=float32)
    """
    at_least(1, classes=classes)
    labels = signed(labels)
    inside = jnp.all((labels >= -1) & (labels < classes), axis=-1)
    hits = jnp.any(_hits(labels, classes), axis=-2)
    return jnp.where(inside[..., None], hits.astype(jnp.float32), jnp.nan)


@typed
def polynomial_features(
    x: Float[Array, "*batch d"], *, degree: int, interaction_only: bool = False
) -> Float[Array, "*batch m"]:
    """All products of up to `degree` features, 1 first, then by degree: `1, x₁, x₂, x₁², x₁x₂, x₂²` for d = degree = 2.

    Each is computed in float32 (float64 for float64) and rounded once, to the dtype of `x`. There are
    C(d + degree, degree) of them. `interaction_only` leaves out products that repeat a feature. Equals
    scikit-learn's `PolynomialFeatures`. Raises `ValueError` for a negative degree.

    >>> polynomial_features(jnp.array([[2.0, 3.0]]), degree=2)
    Array([[1., 2., 3., 4., 6., 9.]], dtype=float32)
    """
    within("[0, inf]", degree=degree)
    choose = itertools.combinations if interaction_only else itertools.combinations_with_replacement
    chosen = [list(product) for n in range(1, degree + 1) for product in choose(range(x.shape[-1]), n)]
    values = widened(x)
    columns = [jnp.ones_like(values[..., 0]), *(math.prod(values[..., i] for i in product) for product in chosen)]
    return jnp.stack([jnp.asarray(column) for column in columns], axis=-1).astype(x.dtype)


@typed
def flatten(x: Shaped[Array, "n *features"]) -> Shaped[Array, "n m"]:
    """Each example as one vector, in row-major order: an RGB image of h × w pixels becomes 3hw numbers.

    >>> flatten(jnp.ones((2, 3, 4))).shape
    (2, 12)
    """
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def _hits(labels: Array, classes: int) -> Array:
    """Where each label is each class, along a new last axis."""
    return labels[..., None] == jnp.arange(classes, dtype=labels.dtype).reshape((1,) * labels.ndim + (classes,))
