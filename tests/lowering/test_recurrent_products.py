import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from fjdl.lowering import recurrent_products


def test_examples_stay_on_their_devices() -> None:
    """With time before the examples, joining both axes in one would bring all examples to all devices."""
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    spread, whole = NamedSharding(mesh, PartitionSpec(None, "data")), NamedSharding(mesh, PartitionSpec())
    x, y = (jax.ShapeDtypeStruct((5, 4, size), jnp.float32, sharding=spread) for size in (3, 6))
    kernel = jax.ShapeDtypeStruct((3, 6), jnp.float32, sharding=whole)

    def exchanges(function: Any, *operands: Any) -> set[str]:
        text = jax.jit(partial(function, dtype=jnp.float32)).lower(*operands).compile().as_text()
        return set(re.findall(r"(all-[a-z]+|collective-[a-z]+)\(", text))

    assert exchanges(recurrent_products.rows, x, kernel) == exchanges(recurrent_products._ROWS.lhs, y, kernel) == set()
    assert exchanges(recurrent_products._ROWS.rhs, x, y) == {"all-reduce"}
