"""Linear operations with chosen code for the operation and for its transpose.

JAX never looks inside: what a derivative keeps for the backward pass is the operand that is held, and not what the code
makes of it first, such as masks.
"""

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching

from fjdl.lowering.bilinear import Product, define
from fjdl.meshes import alike
from fjdl.typing import Array


def linear(name: str, *, forward: Product, backward: Product) -> Product:
    """An operation `(x, held, **static) -> y` that jits, vmaps and differentiates to any order in both modes.

    It is `forward`, linear in `x`; its transpose is `backward(y, held, **static) -> x`. Both take any number of
    leading axes, the same for both operands. The derivative by what is `held` is 0.
    """
    there, back = Primitive(name), Primitive(f"{name}_transposed")
    for primitive, form, transpose in ((there, forward, back), (back, backward, there)):
        define(primitive, form)
        batching.primitive_batchers[primitive] = partial(_batched, primitive)
        ad.defjvp(primitive, partial(_moved, primitive), None)
        ad.primitive_transposes[primitive] = partial(_transposed, transpose)
    return lambda x, held, **static: there.bind(*alike(x, held), **static)


def _moved(primitive: Primitive, tangent: Array, x: Array, held: Array, **static: Any) -> Array:
    del x
    return primitive.bind(tangent, held, **static)


def _transposed(transpose: Primitive, cotangent: Any, x: Any, held: Array, **static: Any) -> tuple[Any, None]:
    if isinstance(cotangent, ad.Zero):
        return ad.Zero(x.aval), None
    return transpose.bind(cotangent, held, **static), None


def _batched(primitive: Primitive, operands: Any, places: Any, /, **static: Any) -> tuple[Array, int]:
    """A new axis is one more leading axis."""
    size = next(x.shape[axis] for x, axis in zip(operands, places, strict=True) if axis is not None)
    x, held = (_leading(x, axis, size) for x, axis in zip(operands, places, strict=True))
    return primitive.bind(x, held, **static), 0


def _leading(x: Array, axis: int | None, size: int) -> Array:
    return jnp.broadcast_to(x, (size, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0)
