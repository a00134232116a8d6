"""Penalties on the size of parameters, as scalars to add to a mean loss.

Each is λ times the penalty of every parameter times its coefficient: that of the first of `rules`, pairs of a regular
expression and a number, whose expression matches the parameter's whole path, such as `conv1/kernel`. Parameters of
coefficient 0 do not count at all.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add

import jax
import jax.numpy as jnp

from fjdl import tree
from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.typing import Array, Number, PyTree, Scalar, typed

Rules = Sequence[tuple[str, float]]

WITHOUT_BIASES_AND_SCALES: Rules = ((r"(?!(.*/)?(bias|scale)$).*", 1.0), (r".*", 0.0))


@typed
def l1(params: PyTree, *, strength: Number, rules: Rules = WITHOUT_BIASES_AND_SCALES) -> Scalar:
    """L1 penalty `strength · Σ |w|`, whose gradient is `strength · sign(w)`, 0 at 0.

    Summed in float32 over the parameters that `rules` select; 0 without any. Tibshirani 1996.

    >>> l1({"kernel": jnp.array([3.0, -4.0])}, strength=0.5)
    Array(3.5, dtype=float32)
    """
    within("[0, inf]", strength=strength)
    return strength * _total(lambda w: w * jnp.sign(w), params, rules)


@typed
def l2(params: PyTree, *, strength: Number, rules: Rules = WITHOUT_BIASES_AND_SCALES) -> Scalar:
    """L2 penalty `strength · Σ w²`, whose gradient is `2 · strength · w`.

    Summed in float32 over the parameters that `rules` select; 0 without any. Under plain gradient descent, and under
    no other optimizer, it is a weight decay of `2 · strength`. Hoerl & Kennard 1970.

    >>> l2({"kernel": jnp.array([3.0, -4.0])}, strength=0.5)
    Array(12.5, dtype=float32)
    """
    within("[0, inf]", strength=strength)
    return strength * _total(jnp.square, params, rules)


@typed
def elastic_net(params: PyTree, *, l1: Number, l2: Number, rules: Rules = WITHOUT_BIASES_AND_SCALES) -> Scalar:
    """Both penalties, `Σ (l1 · |w| + l2 · w²)`, in one pass over the parameters that `rules` select.

    Zou & Hastie 2005. Equals scikit-learn's penalty for `l1 = alpha · l1_ratio`, `l2 = alpha · (1 - l1_ratio) / 2`.
    """
    within("[0, inf]", l1=l1, l2=l2)
    return _total(lambda w: l1 * w * jnp.sign(w) + l2 * jnp.square(w), params, rules)


def _total(penalty: Callable[[Array], Array], params: PyTree, rules: Rules) -> Scalar:
    leaves = zip(jax.tree.leaves(params), jax.tree.leaves(tree.select(params, rules)), strict=True)
    sums = [coefficient * jnp.sum(penalty(widened(w))) for w, coefficient in leaves if coefficient]
    return reduce(add, sums) if sums else jnp.zeros(())
