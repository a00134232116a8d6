"""Bilinear operations whose derivatives are bilinear operations we choose, closed under differentiation.

A product `out = B(lhs, rhs)` and its two gradients are the three partial derivatives of one trilinear form
`T(lhs, rhs, out)`.  Each one's transposes are the other two, so three functions describe every derivative of every
order, forward and reverse, and no layout that a compiler handles badly can appear behind our back.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from fjdl.typing import Array

Product = Callable[..., Array]


class Rules(NamedTuple):
    """How to compute the three products; each takes two arrays and the operation's static parameters."""

    out: Product  # (lhs, rhs) -> out
    lhs: Product  # (out, rhs) -> lhs
    rhs: Product  # (lhs, out) -> rhs


def bilinear(name: str, plain: Rules, *, platforms: dict[str, Rules] | None = None) -> Product:
    """An operation `(lhs, rhs, **static) -> out` that jits, vmaps and differentiates to any order in both modes.

    `plain` is correct everywhere; `platforms` may name faster rules, as in `{"cpu": rules}`.  The gradient rules must
    return the shape of the operand they replace, which they learn from static parameters.
    """
    primitives = Rules(*(Primitive(f"{name}_{part}") for part in Rules._fields))
    for part, primitive in primitives._asdict().items():
        _define(primitive, getattr(plain, part), {k: getattr(rules, part) for k, rules in (platforms or {}).items()})
    out, lhs, rhs = primitives
    _bilinear(
        out, wrt_first=lambda ct, b, **p: lhs.bind(ct, b, **p), wrt_second=lambda ct, a, **p: rhs.bind(a, ct, **p)
    )
    _bilinear(
        lhs, wrt_first=lambda ct, b, **p: out.bind(ct, b, **p), wrt_second=lambda ct, a, **p: rhs.bind(ct, a, **p)
    )
    _bilinear(
        rhs, wrt_first=lambda ct, b, **p: lhs.bind(b, ct, **p), wrt_second=lambda ct, a, **p: out.bind(a, ct, **p)
    )
    return out.bind


def _define(primitive: Primitive, plain: Product, faster: dict[str, Product]) -> None:
    """Evaluation, shapes, batching and lowering of one product."""

    def shape(*args: Any, **static: Any) -> Any:
        result = jax.eval_shape(partial(plain, **static), *(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in args))
        return jax.core.ShapedArray(result.shape, result.dtype)

    def batch(args: Any, axes: Any, **static: Any) -> Any:
        return jax.vmap(partial(plain, **static), in_axes=axes)(*args), 0

    primitive.def_impl(lambda *args, **static: jax.jit(partial(plain, **static))(*args))
    primitive.def_abstract_eval(shape)
    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(plain, multiple_results=False))
    for platform, rule in faster.items():
        mlir.register_lowering(primitive, mlir.lower_fun(rule, multiple_results=False), platform=platform)


def _bilinear(primitive: Primitive, *, wrt_first: Product, wrt_second: Product) -> None:
    def transpose(cotangent: Any, first: Any, second: Any, **static: Any) -> Any:
        if ad.is_undefined_primal(first):
            return wrt_first(cotangent, second, **static), None
        return None, wrt_second(cotangent, first, **static)

    def jvp(primals: Any, tangents: Any, **static: Any) -> Any:
        (a, b), (da, db) = primals, tangents
        terms = [primitive.bind(x, y, **static) for x, y in ((da, b), (a, db)) if not _zero(x) and not _zero(y)]
        out = primitive.bind(a, b, **static)
        return out, sum(terms[1:], start=terms[0]) if terms else ad.Zero.from_primal_value(out)

    ad.primitive_jvps[primitive] = jvp
    ad.primitive_transposes[primitive] = transpose


def _zero(x: Any) -> bool:
    return type(x) is ad.Zero
