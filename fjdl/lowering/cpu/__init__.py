"""Convolutions and matrix products in the forms that XLA:CPU runs fast.

Each file is one form with its three products: the convolution and both gradients. `fjdl.lowering.conv_cpu` chooses.
May import what `fjdl.lowering` may, and `fjdl.lowering` itself.

>>> from fjdl.lowering.cpu.matrix import product
>>> product(jnp.ones((2, 3)), jnp.ones((3, 2)), (1, 0))
Array([[3., 3.],
       [3., 3.]], dtype=float32)
"""
