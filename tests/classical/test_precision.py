"""Fits and votes multiply without rounding on every platform: the programs for a TPU say so."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import pytest

from fjdl.classical import fit_binary, fit_softmax, normal_equations, vote
from fjdl.typing import Array
from tests.products import products_of

X, LABELS = jnp.ones((6, 3)), jnp.arange(6, dtype=jnp.int32) % 3
FITS: dict[str, tuple[Callable[..., object], tuple[Array, ...]]] = {
    "least squares": (normal_equations, (X, X[:, :1])),
    "logistic": (partial(fit_binary, iterations=1), (X, X[:, 0])),
    "softmax": (partial(fit_softmax, classes=3, iterations=1), (X, LABELS)),
    "votes": (partial(vote, classes=3), (X,)),
}


@pytest.mark.parametrize("name", FITS)
def test_no_product_rounds_its_factors(name: str) -> None:
    function, arrays = FITS[name]
    found = products_of(
        jax.jit(lambda *args: function(*args)).trace(*arrays).lower(lowering_platforms=("tpu",)).as_text()
    )
    assert {product.precision for product in found} == {"HIGHEST"}
