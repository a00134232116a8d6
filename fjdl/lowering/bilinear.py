"""Bilinear operations, such as a convolution, with chosen code for the operation and for each of its derivatives.

An operation `out = B(lhs, rhs)` has two gradients: that of `lhs`, from `out` and `rhs`, and that of `rhs`, from `lhs`
and `out`.  All three are bilinear.  The gradient of any of the three is again one of the other two, because all three
are derivatives of the same function `T(lhs, rhs, out) = ⟨B(lhs, rhs), out⟩`.  So three functions, the `Rules`, give
the derivatives of every order, forward and reverse, and JAX never derives an operation of its own, which XLA might run
slowly.
"""

import functools
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from fjdl.measured import measured
from fjdl.meshes import alike
from fjdl.typing import Array

Product = Callable[..., Array]

_PRECISION = "jax_default_matmul_precision"  # what the context manager of this name sets


class Rules(NamedTuple):
    """How to compute the three products; each takes two arrays and the operation's static parameters."""

    out: Product  # (lhs, rhs) -> out
    lhs: Product  # (out, rhs) -> lhs
    rhs: Product  # (lhs, out) -> rhs


def bilinear(name: str, plain: Rules, *, platforms: Mapping[str, Mapping[str, Rules]] | None = None) -> Product:
    """An operation `(lhs, rhs, **static) -> out` that jits, vmaps and differentiates to any order in both modes.

    `plain` is correct everywhere; `platforms` may name faster rules, each with the versions of jaxlib for which they
    were measured, as in `{"cpu": {"0.10.2": rules, "0.12.0": others}}`; see `measured`. The gradient rules must return
    the shape of the operand they replace, which they learn from static parameters.

    Rules become programs long after the operation was called, so the operation keeps the precision that
    `jax.default_matmul_precision` has around its call, for itself and for its derivatives: the products of its rules
    have it.
    """
    faster = {platform: measured(rules) for platform, rules in (platforms or {}).items()}
    out, lhs, rhs = (Primitive(f"{name}_{part}") for part in Rules._fields)
    for primitive, part in zip((out, lhs, rhs), Rules._fields, strict=True):
        chosen = {platform: at_precision(getattr(rules, part)) for platform, rules in faster.items()}
        define(primitive, at_precision(getattr(plain, part)), faster=chosen)
    ad.defbilinear(out, lambda ct, a, b, **p: lhs.bind(ct, b, **p), lambda ct, a, b, **p: rhs.bind(a, ct, **p))
    ad.defbilinear(lhs, lambda ct, a, b, **p: out.bind(ct, b, **p), lambda ct, a, b, **p: rhs.bind(ct, a, **p))
    ad.defbilinear(rhs, lambda ct, a, b, **p: lhs.bind(b, ct, **p), lambda ct, a, b, **p: out.bind(a, ct, **p))

    def operation(lhs: Array, rhs: Array, **static: Any) -> Array:
        return out.bind(*alike(lhs, rhs), precision=precision_here(), **static)

    return operation


def precision_here() -> str | None:
    """What `jax.default_matmul_precision` says around this call."""
    return getattr(jax.config, _PRECISION)


def at_precision(rule: Product) -> Product:
    """The rule as a function of the precision of its products too."""

    def within(*args: Array, precision: str | None, **static: Any) -> Array:
        with jax.default_matmul_precision(precision):
            return rule(*args, **static)

    return within


def define(primitive: Primitive, plain: Product, *, faster: Mapping[str, Product] = MappingProxyType({})) -> None:
    """Evaluation, shapes, batching and lowering of one operation; `faster` names its forms for platforms."""

    @functools.cache
    def compiled(**static: Any) -> Product:
        return jax.jit(partial(primitive.bind, **static))

    def result(*args: Any, **static: Any) -> Any:
        return jax.make_jaxpr(partial(plain, **static))(*args).out_avals[0]

    def batch(args: Any, axes: Any, **static: Any) -> Any:
        return jax.vmap(partial(plain, **static), in_axes=axes)(*args), 0

    primitive.def_impl(lambda *args, **static: compiled(**static)(*args))
    primitive.def_abstract_eval(result)
    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(plain, multiple_results=False))
    for platform, rule in faster.items():
        mlir.register_lowering(primitive, mlir.lower_fun(rule, multiple_results=False), platform=platform)
