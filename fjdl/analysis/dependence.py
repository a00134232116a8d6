"""Programs that JAX has traced: on which of their inputs the results depend."""

from typing import Any


def inputs_used(program: Any) -> list[bool]:
    """For each input of a `jaxpr`, whether an output depends on it; of functions inside, on all of their inputs.

    >>> import jax
    >>> inputs_used(jax.make_jaxpr(lambda a, b: (a + 1, b + 1)[0])(1.0, 2.0).jaxpr)
    [True, False]
    """
    used = {id(variable) for variable in program.outvars}
    for equation in reversed(program.eqns):
        if not used.isdisjoint(map(id, equation.outvars)):
            used.update(map(id, equation.invars))
    return [id(variable) in used for variable in program.invars]
