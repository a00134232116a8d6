"""Steps of an optimizer and of its oracles, from the same parameters and gradients."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from sklearn.datasets import load_digits

from fjdl.schedules import Schedule
from tests.optim.table import Row
from tests.running.absent import Absent

STEPS = 50


def parameters(rng: np.random.Generator, dtype: Any = np.float32) -> dict[str, Any]:
    tree = {
        "dense": {"kernel": rng.standard_normal((4, 4)), "bias": rng.standard_normal(4)},
        "gain": rng.standard_normal(()),
    }
    return jax.tree.map(lambda x: np.asarray(x, dtype), tree)


def gradients(rng: np.random.Generator, params: Any, steps: int = STEPS) -> Iterator[Any]:
    """Of magnitudes 1e-6 to 1e3, with a column that never receives any."""
    for _ in range(steps):
        scale = 10.0 ** rng.uniform(-6, 3)
        tree = jax.tree.map(lambda p: np.asarray(scale * rng.standard_normal(p.shape), p.dtype), params)  # noqa: B023
        tree["dense"]["kernel"][:, 1] = 0
        yield tree


def run_jax(optimizer: optax.GradientTransformation, params: Any, grads: list[Any]) -> Any:
    return program(optimizer)(params, stacked(grads))


def stacked(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


@cache
def program(optimizer: optax.GradientTransformation) -> Any:
    """The jitted function of parameters and stacked gradients that returns the last parameters."""

    def run(params: Any, grads: Any) -> Any:
        def step(carry: Any, grad: Any) -> tuple[Any, None]:
            params, state = carry
            updates, state = optimizer.update(grad, state, params)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, optimizer.init(params)), grads)[0][0]

    return jax.jit(run)


def run_torch(row: Row, params: Any, grads: list[Any], rate: Schedule) -> Any:
    leaves, structure = jax.tree.flatten(params)
    tensors = [torch.nn.Parameter(torch.tensor(leaf)) for leaf in leaves]
    optimizer = row.torch(tensors, lr=1.0)  # type: ignore[misc]  # the caller knows that it is there
    for step, grad in enumerate(grads):
        optimizer.param_groups[0]["lr"] = float(rate(step))
        for tensor, leaf in zip(tensors, jax.tree.leaves(grad), strict=True):
            tensor.grad = torch.tensor(leaf)
        optimizer.step()
    return jax.tree.unflatten(structure, [tensor.detach().numpy() for tensor in tensors])


def run_reference(row: Row, params: Any, grads: list[Any], rate: Schedule) -> Any:
    leaves, structure = jax.tree.flatten(jax.tree.map(lambda p: np.asarray(p, np.float64), params))
    steps = [row.reference(lambda t: float(rate(t))) for _ in leaves]  # type: ignore[misc]  # the caller knows that it is there
    for grad in grads:
        after = zip(steps, leaves, jax.tree.leaves(grad), strict=True)
        leaves = [step(leaf, np.asarray(g, np.float64)) for step, leaf, g in after]
    return jax.tree.unflatten(structure, leaves)


def oracles(row: Row, params: Any, grads: list[Any], rate: float | Schedule) -> Iterator[Any]:
    """What each outside implementation makes of the same gradients."""
    schedule = cache(lambda step: float(rate(step)) if callable(rate) else rate)
    if row.torch is not None and not (isinstance(torch, Absent) and (row.optax or row.reference)):
        yield run_torch(row, params, grads, schedule)
    if row.optax is not None:
        yield run_jax(row.optax(rate), params, grads)
    if row.reference is not None:
        yield run_reference(row, params, grads, schedule)


@cache
def network_gradients() -> tuple[Any, list[Any]]:
    """Parameters of a small network and its gradients along 200 steps of descent on scikit-learn's digits."""
    rng = np.random.default_rng(0)
    digits = load_digits()
    pixels, labels = jnp.asarray(digits.data / 16, jnp.float32), jnp.asarray(digits.target)

    def loss(params: Any, chosen: Any) -> Any:
        hidden = jnp.tanh(pixels[chosen] @ params["hidden"] + params["bias"][None])
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(hidden @ params["out"], labels[chosen]))

    @jax.jit
    def step(params: Any, chosen: Any) -> Any:
        grad = jax.grad(loss)(params, chosen)
        return jax.tree.map(lambda p, g: p - 0.3 * g, params, grad), grad

    start = {
        "hidden": rng.standard_normal((64, 16)) / 8,
        "bias": 0.1 * rng.standard_normal(16),
        "out": rng.standard_normal((16, 10)) / 4,
    }
    start = jax.tree.map(lambda p: np.asarray(p, np.float32), start)
    params, grads = start, []
    for _ in range(200):
        params, grad = step(params, rng.integers(0, len(labels), 32))
        grads.append(jax.tree.map(np.asarray, grad))
    return start, grads


def minimize(optimizer: optax.GradientTransformation, loss: Callable[[Any], Any], params: Any, steps: int) -> Any:
    def step(carry: Any, _: None) -> tuple[Any, None]:
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    return jax.jit(lambda p: jax.lax.scan(step, (p, optimizer.init(p)), length=steps)[0][0])(params)
