"""Products and convolutions of signed 8-bit integers with sums in 32 bits, as each platform runs them.

Both operands are signed everywhere: XLA:CPU multiplies uint8 by int8 14 to 40 times slower, and XLA:TPU twice. The sums
are exact; only the form differs. May import `fjdl.lowering` and what
`fjdl.lowering` may.

>>> from fjdl.lowering.int8.dot import dot
>>> dot(jnp.array([[100, 100]], jnp.int8), jnp.array([[127], [127]], jnp.int8))
Array([[25400]], dtype=int32)
"""
