"""Ways of computing an operation on each platform: the same numbers as the formula, in the form that runs fast there.

Formulas stand in `fjdl.functional`, which may import this room. Every form for one platform names the versions of
jaxlib for which it was measured, see `fjdl.measured`. May import floor 0 alone.

>>> from fjdl.lowering.bilinear import Rules, bilinear
>>> rules = Rules(out=lambda a, b: a * b, lhs=lambda ct, b: ct * b, rhs=lambda a, ct: a * ct)
>>> times = bilinear("times_of_the_example", rules)
>>> jax.grad(times, argnums=(0, 1))(jnp.float32(3.0), jnp.float32(5.0))
(Array(5., dtype=float32), Array(3., dtype=float32))
"""
