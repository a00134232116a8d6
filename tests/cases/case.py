"""One public function under the laws, and ways to build its inputs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

Inputs = Callable[[np.random.Generator], tuple[Any, ...]]


class Case(NamedTuple):
    """A public function with its options bound and its arrays positional.

    `result` is the dtype that bfloat16 inputs give: "same" is bfloat16, None says that no float goes in or out.
    `oracle` is an outside implementation of the same on float64 numpy arrays; it must not call fjdl.
    `domain` bounds the differentiable arguments: nowhere in it may a value or a gradient be NaN. None says that the
    domain is no interval, and that the edges below or a test of the function's own cover it.
    `edges` are pairs of arguments and the value documented for them, at which no gradient may be NaN.
    `errors` are pairs of arguments that are refused and a pattern that the sentence must match.
    """

    function: Callable[..., Any]
    inputs: Inputs  # float32/int32 numpy arrays, and typed keys
    differentiable: tuple[int, ...] = ()  # positions of smooth float arguments, away from kinks
    result: str | None = "same"
    vmappable: bool = True
    label: str = ""
    oracle: Callable[..., Any] | None = None
    domain: tuple[float, float] | None = (-1e4, 1e4)
    edges: tuple[tuple[tuple[Any, ...], Any], ...] = ()
    errors: tuple[tuple[tuple[Any, ...], str], ...] = ()

    @property
    def name(self) -> str:
        target = getattr(self.function, "func", self.function)
        return f"{target.__module__.removeprefix('fjdl.')}.{target.__qualname__}{self.label and '-' + self.label}"


def inputs(*makers: Callable[[np.random.Generator], Any]) -> Inputs:
    return lambda rng: tuple(make(rng) for make in makers)


def normal(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.standard_normal(shape).astype(np.float32)


def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.uniform(low, high, shape).astype(np.float32)


def labels(*shape: int, classes: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.integers(0, classes, shape).astype(np.int32)


def key(rng: np.random.Generator) -> jax.Array:
    return jax.random.key(int(rng.integers(2**31)))


def f32(*values: Any) -> np.ndarray:
    """Float32 numbers, for edges and errors."""
    return np.array(values, np.float32)


def i32(*values: Any) -> np.ndarray:
    """Int32 numbers, for edges and errors."""
    return np.array(values, np.int32)


def of_torch(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of torch tensors as a function of numpy arrays; float arrays become double, integers long."""

    def call(*arrays: Any) -> Any:
        import torch

        tensors = [
            torch.tensor(np.asarray(x), dtype=torch.float64 if np.asarray(x).dtype.kind == "f" else torch.int64)
            for x in arrays
        ]
        return jax.tree.map(lambda t: t.numpy(), function(*tensors))

    return call
