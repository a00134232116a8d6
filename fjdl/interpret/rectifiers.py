"""The nonlinearities of any network, found in the program that JAX traces of it; the network itself stays as it is.

A ReLU is `max(x, 0)`, `where(x <= 0, 0, x)` or another selection between a value and 0 by its sign, also where a bound
above is applied before or after it, as in ReLU6; it may stand in functions that are jitted, rematerialized, or have a
derivative of their own of which it is the result, such as `jax.nn.relu` and `flax.linen.relu`. A leaky ReLU, GELU,
softplus or Swish is none, and neither is the bound from below of a variance, made of sums that keep their axes.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend import core

from fjdl.interpret.scores import Network
from fjdl.typing import Array, PyTree

_BODIES = ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2")  # that stand for their body
_OWN_RULE = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")
_MADE_ANEW = ("broadcast_in_dim", "convert_element_type", "reshape", "squeeze", "expand_dims", "pvary", "pcast", "copy")
_SIGN_TESTS = {"le": True, "lt": True, "gt": False, "ge": False}  # whether `x test 0` is true of negative numbers
_LINEAR = ("dot_general", "conv_general_dilated", "fjdl_")  # beginnings of names of what layers are made of
_OF_SUMS = ("add", "sub", "mul", "div", "square", "integer_pow", "sqrt", "rsqrt", "neg", *_MADE_ANEW)
_SMOOTH = {"tanh": "tanh", "logistic": "sigmoid"}

Visit = Callable[[str, str, Any], Any]  # of kind, name and value: what stands in its place

_Closed: Any = vars(core)["ClosedJaxpr"]  # from jax 0.12 on another name of Jaxpr


def guided(network: Network) -> Network:
    """The same function, whose derivative passes back through each ReLU only what is positive.

    The gradient of a score by the input is then guided backpropagation: a ReLU passes a gradient where its input and
    the gradient are both positive. Springenberg et al. 2014, arXiv:1412.6806. It is for networks whose nonlinearities
    are ReLUs in the sense of this module: of the zoo, LeNet to Inception, ResNets, DenseNet and MobileNets. Its maps
    change little when weights are randomized (Adebayo et al. 2018, arXiv:1810.03292). Raises `ValueError`, when called,
    for a network without ReLUs, or with one in a loop, a branch or layers that have a derivative of their own.
    """

    def apply(x: Array) -> Array:
        found: list[str] = []

        def visit(kind: str, name: str, value: Array) -> Array:
            if kind != "relu":
                return value
            found.append(name)
            return _only_positive(value)

        result = _traced(network, x, visit)
        if not found:
            raise ValueError("network must have ReLUs, max(x, 0), for guided backpropagation, got none")
        return result

    return apply


def nonlinearities(network: Callable[[Any], PyTree], x: Any) -> dict[str, dict[str, Array]]:
    """What the ReLUs, tanh and sigmoids of a network give, by kind ("relu", "tanh", "sigmoid") and name.

    A name is the scope of what made the input, so that the ReLU after the module conv1 of LeNet5 is "LeNet5/conv1"; a
    second one of the same name has " (2)" behind it. They come in the order of execution, and by name out of `jit`.
    Those in loops and branches are left out, and in functions with a derivative of their own all but their results.

    >>> nonlinearities(lambda x: jnp.tanh(jnp.maximum(x, 0)), jnp.array([-1.0, 0.0]))
    {'relu': {'relu': Array([0., 0.], dtype=float32)}, 'tanh': {'tanh': Array([0., 0.], dtype=float32)}}
    """
    found: dict[str, dict[str, Array]] = {}

    def visit(kind: str, name: str, value: Array) -> Array:
        known = found.setdefault(kind, {})
        repeat = sum(other == name or other.startswith(f"{name} (") for other in known)
        known[f"{name} ({repeat + 1})" if repeat else name] = value
        return value

    _traced(network, x, visit, strict=False)
    return found


@jax.custom_vjp
def _only_positive(x: Array) -> Array:
    """`x`, through which only positive gradients pass back."""
    return x


_only_positive.defvjp(lambda x: (x, None), lambda _, gradient: (jnp.maximum(gradient, 0),))


@dataclasses.dataclass(eq=False)
class _Value:
    """A number in the program and what is known of it; each is itself, whatever its entries are."""

    array: Any = None  # None while the program is only looked at
    zero: bool = False
    constant: bool = False
    follows: Any = None  # the value that it is wherever it is no constant, as after a bound from above
    sign_of: Any = None  # the value whose sign this boolean tells
    negative: bool = False  # whether it is true of negative ones
    reduced: bool = False  # whether it is made of sums over axes and nothing else
    kept: bool = False  # and these axes are still there
    kind: str = ""  # which nonlinearity made it
    scope: str = ""

    @property
    def origin(self) -> Any:
        return self.follows or self


def _traced(network: Callable[[Any], PyTree], x: Any, visit: Visit, *, strict: bool = True) -> PyTree:
    """What the network gives where `visit` changes what each nonlinearity gives."""
    closed, shape = jax.make_jaxpr(network, return_shape=True)(x)
    arguments = [_Value(leaf) for leaf in jax.tree.leaves(x)]
    results = _run(closed.jaxpr, _constants(closed), arguments, visit, strict, "")
    return jax.tree.unflatten(jax.tree.structure(shape), [value.array for value in results])


def _run(
    jaxpr: Any, constants: Sequence[_Value], arguments: Sequence[_Value], visit: Visit | None, strict: bool, scope: str
) -> list[_Value]:
    """The results of a program; without `visit` only what is known of them."""
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))

    def read(atom: Any) -> _Value:
        return _literal(atom.val) if isinstance(atom, core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        given = [read(atom) for atom in equation.invars]
        made = _equation(equation, given, visit, strict, _joined(scope, str(equation.source_info.name_stack)))
        values.update(zip(equation.outvars, made, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _equation(equation: Any, given: list[_Value], visit: Visit | None, strict: bool, scope: str) -> list[_Value]:
    name = equation.primitive.name
    bodies = list(_bodies(equation))
    if name in _BODIES and len(bodies) == 1:
        return _run(bodies[0].jaxpr, _constants(bodies[0]), given, visit, strict, scope)
    made = [_Value(scope=scope) for _ in equation.outvars]
    if name in _OWN_RULE:
        _of_own_rule(made, bodies, given, visit, strict, scope)
    elif bodies and strict and visit is not None and any(_hides(body) for body in bodies):
        raise ValueError(f"network must have its ReLUs outside of loops and branches, got one in {name!r}")
    elif not bodies:
        ranks = [len(getattr(atom.aval, "shape", ())) for atom in (*equation.outvars[:1], *equation.invars)]
        _know(made[0], name, given, ranks[0] > max(ranks[1:], default=0))
    if visit is None:
        return made
    with equation.ctx.manager:
        parameters = equation.primitive.get_bind_params(equation.params)
        arrays = equation.primitive.bind(*[value.array for value in given], **parameters)
    for value, array in zip(made, arrays if equation.primitive.multiple_results else [arrays], strict=True):
        value.array = array
    if made and made[0].kind and not any(value.kind == made[0].kind for value in given):
        before = made[0].follows or given[0]
        made[0].array = visit(made[0].kind, before.scope or made[0].kind, made[0].array)
    return made


def _of_own_rule(
    made: list[_Value], bodies: list[Any], given: list[_Value], visit: Visit | None, strict: bool, scope: str
) -> None:
    """A function that has a derivative of its own is what its result is; a ReLU before that stays hidden."""
    for body in bodies[:1]:
        copies = [dataclasses.replace(value, array=None, follows=value.origin) for value in given]
        results = _run(body.jaxpr, _constants(body), copies, None, strict, scope)
        for value, result in zip(made, results, strict=True):
            value.kind, value.follows = result.kind, result.follows
        layers = any(each.primitive.name.startswith(_LINEAR) for each in body.jaxpr.eqns)
        if strict and visit is not None and layers and _hides(body):
            raise ValueError(
                "network must have its ReLUs outside of layers with a derivative of their own, got one inside"
            )


def _know(made: _Value, name: str, given: list[_Value], grown: bool) -> None:
    """What the operation makes known of its result, which may have grown an axis."""
    made.reduced = name in ("reduce_sum", "reduce_max") or (
        name in _OF_SUMS
        and all(value.reduced or value.constant for value in given)
        and any(value.reduced for value in given)
    )
    made.kept = made.reduced and (grown or any(value.kept for value in given))
    if name in _MADE_ANEW:
        made.zero, made.constant = given[0].zero, given[0].constant
    elif name in _SIGN_TESTS and any(value.zero for value in given):
        tested, other = given if given[1].zero else given[::-1]
        made.sign_of, made.negative = tested.origin, _SIGN_TESTS[name] == (other is given[1])
    elif name == "select_n" and len(given) == 3:
        _know_selection(made, *given)
    elif name in ("max", "min", "clamp") and any(value.constant for value in given):
        _know_bound(made, name, given)
    elif name in _SMOOTH:
        made.kind = _SMOOTH[name]


def _know_selection(made: _Value, which: _Value, if_false: _Value, if_true: _Value) -> None:
    constants = [value for value in (if_false, if_true) if value.constant]
    others = [value for value in (if_false, if_true) if not value.constant]
    if len(others) != 1:
        return
    made.follows = others[0].origin  # bounded on one side
    if constants[0].zero and which.sign_of is others[0].origin and which.negative == (constants[0] is if_true):
        made.kind = "relu"


def _know_bound(made: _Value, name: str, given: list[_Value]) -> None:
    others = [value for value in given if not value.constant]
    if len(others) != 1 or others[0].kept:
        return
    bounded = others[0]
    made.follows = bounded.origin
    low = given[0] if name == "clamp" else next(value for value in given if value.constant)
    if bounded.kind == "relu" or (name in ("max", "clamp") and low.zero):
        made.kind = "relu"


def _hides(body: Any) -> bool:
    """Whether a ReLU stands anywhere in a program."""
    found: list[str] = []

    def look(jaxpr: Any, constants: Sequence[_Value], given: Sequence[_Value]) -> None:
        values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *given], strict=True))
        for equation in jaxpr.eqns:
            arguments = [
                _literal(atom.val) if isinstance(atom, core.Literal) else values[atom] for atom in equation.invars
            ]
            made = _equation(equation, arguments, None, False, "")
            found.extend(value.kind for value in made if value.kind == "relu")
            for inner in _bodies(equation):
                same = arguments if len(arguments) == len(inner.jaxpr.invars) else map(_Value, inner.jaxpr.invars)
                look(inner.jaxpr, _constants(inner), list(same))
            values.update(zip(equation.outvars, made, strict=True))

    look(body.jaxpr, _constants(body), [_Value() for _ in body.jaxpr.invars])
    return bool(found)


def _bodies(equation: Any) -> Iterator[Any]:
    """The programs inside of an operation, closed."""
    for parameter in equation.params.values():
        for part in parameter if isinstance(parameter, tuple | list) else [parameter]:
            if isinstance(part, _Closed):
                yield part
            elif isinstance(part, core.Jaxpr):
                yield _Closed(part, [])


def _constants(closed: Any) -> list[_Value]:
    return [_literal(value) if np.ndim(value) == 0 else _Value(value) for value in closed.consts]


def _literal(value: Any) -> _Value:
    known = not isinstance(value, Tracer)
    return _Value(value, zero=known and np.ndim(value) == 0 and bool(np.asarray(value) == 0), constant=known)


def _joined(outer: str, inner: str) -> str:
    return "/".join(part for part in (outer, inner) if part)
